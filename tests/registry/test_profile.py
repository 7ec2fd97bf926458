"""A profile folder holds data only, and says who speaks, on what permission."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path

import pytest

from registry.errors import ExitCode, ProblemsError, RefusedError
from registry.graph import load_graph
from registry.profile_check import check_tables
from registry.profile_folder import Profile, read_profile
from registry.profile_life import chain_problems

ROOT = Path(__file__).parents[2]
SHIPPED = ("age-22-34", "age-35-49", "age-50-64", "age-65-plus")
EXAMPLE = "example-tidewater-coop"
ID = "age-22-34"
OPINIONS = ("opinions.csv", "evaluation/opinions.csv")

EVENT = """\
event: {event}
revision: 1
on: "2026-11-24"
by: [chorus-founders]
reason: "It happened in these tests."
"""


@pytest.fixture
def folder(tmp_path):
    """A copy of a shipped profile that a test may break."""
    shutil.copytree(ROOT / "value_profiles" / ID, tmp_path / "value_profiles" / ID)
    return tmp_path / "value_profiles" / ID


def whole(folder: Path) -> Profile:
    profile, problems = read_profile(folder, folder.parents[1])
    assert not problems, str(ProblemsError(problems))
    assert profile is not None
    return profile


def wrong(folder: Path) -> list[str]:
    """The first line of every problem, in order."""
    problems = ProblemsError(read_profile(folder, folder.parents[1])[1]).problems
    return [str(problem).split("\n")[0] for problem in problems]


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "profile.yaml"
    text = path.read_text()
    assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


def happen(folder: Path, number: int, event: str) -> Path:
    path = folder / "events" / f"{number:04}-{event}.yaml"
    path.write_text(EVENT.format(event=event))
    return path


class TestShippedProfiles:
    def test_are_the_four_groups_of_the_survey_and_an_example(self):
        names = sorted(p.name for p in (ROOT / "value_profiles").iterdir())
        assert names == sorted([*SHIPPED, EXAMPLE])

    def test_the_example_is_whole_made_up_and_kept_out_of_every_fan_out(self):
        profile = whole(ROOT / "value_profiles" / EXAMPLE)
        assert profile.profile.fictional
        assert profile.active
        assert check_tables(profile) == []
        assert list(chain_problems(profile.life)) == []
        graph = load_graph(ROOT)
        assert EXAMPLE in graph.project.communities
        assert not [node for node in graph.nodes if EXAMPLE in node]

    @pytest.mark.parametrize("name", SHIPPED)
    def test_are_read_without_problems_and_active(self, name):
        profile = whole(ROOT / "value_profiles" / name)
        assert profile.id == name
        assert profile.active
        assert profile.stage == "admitted"
        assert all(profile.table(table).is_file() for table in OPINIONS)

    @pytest.mark.parametrize("name", SHIPPED)
    def test_rest_on_a_licence_that_publishes_no_weights(self, name):
        profile = whole(ROOT / "value_profiles" / name).profile
        assert profile.permission == "licence"
        assert set(profile.consent.uses) == {"train-sft", "train-rl", "evaluate", "publish-data"}
        assert profile.kind == "survey-population"


INTRUDERS = ["dvc.yaml", "dvc.lock", ".env", ".git", "notes.txt", "opinions.parquet",
             "Opinions.csv", "profile.yml", "events/dvc.yaml", "events/1-admitted.yaml",
             "events/0002-promoted.yaml", "events/٠٠٠٢-admitted.yaml", "evaluation/dvc.yaml",
             "evaluation/.hidden"]  # fmt: skip


class TestIntruders:
    @pytest.mark.parametrize("name", INTRUDERS)
    def test_files_that_the_schema_does_not_list_are_refused(self, folder, name):
        (folder / name).write_text(EVENT.format(event="admitted"))
        intruder = f"value_profiles/{ID}/{name}: is a file that a profile does not have"
        assert intruder in wrong(folder)

    @pytest.mark.parametrize("name", ["content", ".dvc", "events/old", "evaluation/more"])
    def test_folders_are_refused(self, folder, name):
        (folder / name).mkdir()
        assert wrong(folder) == [
            f"value_profiles/{ID}/{name}: is a folder that a profile does not have"
        ]

    def test_files_in_unknown_folders_are_each_refused(self, folder):
        (folder / "deep/er").mkdir(parents=True)
        (folder / "deep/er/dvc.yaml").write_text("stages: {}\n")
        assert [line.rpartition(": ")[0] for line in wrong(folder)] == [
            f"value_profiles/{ID}/deep",
            f"value_profiles/{ID}/deep/er",
            f"value_profiles/{ID}/deep/er/dvc.yaml",
        ]

    @pytest.mark.parametrize("name", ["profile.yaml", "opinions.csv", "events/0001-admitted.yaml"])
    def test_links_in_place_of_files_are_refused_unread(self, folder, name):
        secret = folder.parent / "secret"
        secret.write_text("password: 1: 2\n")
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
        problems = read_profile(folder, folder.parents[1])[1]
        assert f"value_profiles/{ID}/{name}: is a link" in wrong(folder)
        assert "password" not in str(ProblemsError(problems))

    def test_links_in_place_of_folders_are_refused_unread(self, folder):
        shutil.move(folder / "events", folder.parent / "elsewhere")
        (folder / "events").symlink_to(folder.parent / "elsewhere")
        profile, problems = read_profile(folder, folder.parents[1])
        assert [str(p).split("\n")[0] for p in problems] == [
            f"value_profiles/{ID}/events: is a link"
        ]
        assert profile is not None
        assert not profile.active

    def test_pipes_are_refused_and_not_waited_for(self, folder):
        (folder / "profile.yaml").unlink()
        os.mkfifo(folder / "profile.yaml")
        assert wrong(folder) == [f"value_profiles/{ID}/profile.yaml: is not a plain file"]

    def test_the_refusal_lists_what_a_profile_holds(self, folder):
        (folder / "dvc.yaml").write_text("stages: {}\n")
        (problem,) = read_profile(folder, folder.parents[1])[1]
        assert problem.mend == (
            "remove it; a profile holds data only: evaluation/opinions.csv, examples.jsonl, "
            "guidance.csv, norms.csv, opinions.csv, preferences.jsonl, profile.yaml, tests.jsonl, "
            "values.csv, events/ and tests/"
        )


class TestWhoSpeaks:
    def test_the_id_is_the_folders_name(self, folder):
        edit(folder, f"id: {ID}", "id: age-22-35")
        assert wrong(folder) == [
            f"value_profiles/{ID}/profile.yaml:2:1: is 'age-22-35' in the folder '{ID}'"
        ]

    def test_a_licence_publishes_no_weights(self, folder):
        edit(folder, "evaluate, publish-data]", "evaluate, publish-data, publish-weights]")
        (problem,) = wrong(folder)
        assert "a licence grants publish-weights only after a recorded review" in problem

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("permission: licence", "permission: consent"),
            ("permission: licence", "permission: mandate"),
            ("kind: survey-population", "kind: self-described"),
        ],
    )
    def test_version_1_holds_survey_figures_only(self, folder, old, new):
        edit(folder, old, new)
        problems = wrong(folder)
        assert any("is written as version 2" in problem for problem in problems)


class TestFields:
    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            (
                'granted_on: "2020-09-25"',
                'granted_on: "2020-09-31"',
                "consent.granted_on: is not a",
            ),
            (
                'granted_on: "2020-09-25"',
                "granted_on: never",
                "consent.granted_on: write a date as",
            ),
            ("expires_on: never", "expires_on: 25.9.2030", "consent.expires_on: write a date as"),
            ('end: "2020-09-25"', "end: autumn", "opinions.fielded.end: write a date as"),
            ('languages: ["en-US"]', "languages: []", "languages: must name at least 1"),
            ('languages: ["en-US"]', "languages: [English]", "languages.0: write a language as a"),
            ("schema_version: 1", "schema_version: 3", "is of version 3; this Chorus reads"),
            ("permission: licence", "permission: license", "permission cannot be 'license'"),
            ("uses: [train-sft,", "uses: [train-dpo,", "consent.uses.0 cannot be 'train-dpo'"),
            ("instrument: civic-2020", "instrument: ../civic", "opinions.instrument: use 3 to 48"),
            ('url: "https:', 'url: "javascript:', "source.url: must be a web address"),
            ('sha256: "c3a8', 'sha256: "C3A8', "source.sha256: write the SHA-256 digest as 64"),
            ("opinions:", "opinion:", "has the unknown key 'opinion'"),
        ],
    )
    def test_that_are_wrong_are_named_with_their_place(self, folder, old, new, problem):
        edit(folder, old, new)
        assert any(
            line.startswith(f"value_profiles/{ID}/profile.yaml:") and f": {problem}" in line
            for line in wrong(folder)
        ), wrong(folder)

    def test_language_tags_stay_text(self, folder):
        edit(folder, 'languages: ["en-US"]', "languages: [no, zh-Hant-TW]")
        assert whole(folder).profile.languages == ("no", "zh-Hant-TW")


class TestTables:
    @pytest.mark.parametrize("table", OPINIONS)
    def test_that_are_missing_are_named(self, folder, table):
        (folder / table).unlink()
        assert wrong(folder) == [f"value_profiles/{ID}/{table}: is missing"]

    def test_a_missing_profile_is_named(self, folder):
        (folder / "profile.yaml").unlink()
        (problem,) = wrong(folder)
        assert problem.startswith(f"value_profiles/{ID}/profile.yaml: cannot be read")


class TestLife:
    def test_begins_as_submitted(self, folder):
        shutil.rmtree(folder / "events")
        profile = whole(folder)
        assert profile.stage == "draft"
        assert not profile.active

    @pytest.mark.parametrize(
        ("event", "active"),
        [("submitted", False), ("accepted", True), ("admitted", True), ("suspended", False),
         ("withdrawn", False)],
    )  # fmt: skip
    def test_is_where_the_last_event_put_it(self, folder, event, active):
        happen(folder, 2, event)
        profile = whole(folder)
        assert profile.stage == event
        assert profile.active is active

    def test_can_be_taken_up_again(self, folder):
        happen(folder, 2, "suspended")
        happen(folder, 10, "admitted")
        assert whole(folder).active

    def test_an_event_says_what_its_file_says(self, folder):
        path = happen(folder, 2, "suspended")
        path.write_text(EVENT.format(event="admitted"))
        (problem,) = wrong(folder)
        assert problem.startswith(f"value_profiles/{ID}/events/0002-suspended.yaml:1:1: ")
        assert problem.endswith("says 'admitted' in the file 0002-suspended.yaml")

    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            ('"2026-11-24"', '"2026-02-30"', "3:1: on: is not a day of the calendar"),
            ("[chorus-founders]", "[]", "4:1: by: must name at least 1"),
            ("event: suspended", "event: banned", "1:1: event cannot be 'banned'"),
            ("revision: 1\n", "", "1:1: lacks the key 'revision'"),
        ],
    )
    def test_a_broken_event_is_refused_with_its_place(self, folder, old, new, problem):
        path = happen(folder, 2, "suspended")
        path.write_text(path.read_text().replace(old, new))
        (line,) = wrong(folder)
        assert line.startswith(f"value_profiles/{ID}/events/0002-suspended.yaml:{problem}")

    def test_broken_events_show_beside_a_broken_profile(self, folder):
        happen(folder, 2, "suspended").write_text("event: [\n")
        (folder / "profile.yaml").write_text("id: [\n")
        assert [line.partition(":")[0] for line in wrong(folder)] == [
            f"value_profiles/{ID}/events/0002-suspended.yaml",
            f"value_profiles/{ID}/profile.yaml",
        ]


class TestReleaseReview:
    """A licence grants the publishing of weights only by a review of its own."""

    TODAY = dt.date(2026, 11, 24)
    REVIEW = "0002-release-reviewed.yaml"

    def test_the_shipped_profiles_were_reviewed(self, folder):
        profile = whole(folder)
        assert profile.review is not None
        assert "shares" in profile.review.identifiability
        assert profile.refusal("publish-weights", self.TODAY) is None

    def test_a_licence_without_a_review_publishes_nothing(self, folder):
        (folder / "events" / self.REVIEW).unlink()
        profile = whole(folder)
        with pytest.raises(RefusedError) as caught:
            profile.require("publish-weights", self.TODAY, "model")
        assert caught.value.exit_code == ExitCode.REFUSED == 4
        assert "no review of purpose, identifiability and harm" in str(caught.value)
        assert "NNNN-release-reviewed.yaml" in str(caught.value)
        profile.require("train-sft", self.TODAY, "model")

    @pytest.mark.parametrize(
        ("old", "new"), [("granted: true", "granted: false"), ("revision: 1", "revision: 2")]
    )
    def test_a_review_that_refuses_or_is_of_another_revision_grants_nothing(self, folder, old, new):
        path = folder / "events" / self.REVIEW
        path.write_text(path.read_text().replace(old, new))
        assert whole(folder).refusal("publish-weights", self.TODAY) is not None

    def test_the_latest_review_counts(self, folder):
        text = (folder / "events" / self.REVIEW).read_text()
        later = folder / "events" / "0003-release-reviewed.yaml"
        later.write_text(text.replace("granted: true", "granted: false"))
        assert whole(folder).refusal("publish-weights", self.TODAY) is not None
        assert whole(folder).active

    def test_a_reviewed_licence_lapses_like_any_permission(self, folder):
        edit(folder, "expires_on: never", 'expires_on: "2026-11-23"')
        what, _ = whole(folder).refusal("publish-weights", self.TODAY)
        assert what == "expired on 2026-11-23"

    def test_a_review_stands_in_its_own_event_only(self, folder):
        path = folder / "events" / "0002-admitted.yaml"
        path.write_text(
            (folder / "events" / self.REVIEW).read_text().replace("release-reviewed", "admitted")
        )
        (problem,) = wrong(folder)
        assert "review: belongs to these events, and to no other: 'release-reviewed'" in problem


class TestVersion1:
    """Profiles of version 1 are read for ever, as version 2, with nothing made up."""

    def test_is_read_as_version_2(self, folder):
        profile = whole(folder).profile
        assert profile.schema_version == 2
        assert (profile.id, profile.revision) == (ID, 1)
        assert profile.sources[0].licence == profile.licence == "CC-BY-4.0"
        assert profile.attribution == "none"
        assert profile.steward is profile.authority is profile.withdrawal is None

    def test_what_methods_read_and_consents_cover_is_untouched(self, folder):
        read = whole(folder)
        assert read.document.data["schema_version"] == "1"
        assert read.document.data["opinions"]["instrument"] == "civic-2020"
        assert read.profile.opinions.instrument == "civic-2020"

    def test_a_later_revision_of_it_keeps_its_number(self, folder):
        edit(folder, "revision: 1", "revision: 3")
        assert whole(folder).profile.revision == 3

    def test_the_same_fields_written_as_version_2_are_the_same_profile(self, folder):
        before = whole(folder).profile
        text = (folder / "profile.yaml").read_text()
        start, end = text.index("source:\n"), text.index("permission:")
        source = text[start:end].replace("source:\n  title", "sources:\n  - title", 1)
        source = source.replace("\n  ", "\n    ").replace("    - title", "  - title")
        head = text[:start].replace("schema_version: 1", "schema_version: 2")
        more = "licence: CC-BY-4.0\nattribution: none\nmodes: [distributional, steerable]\n"
        (folder / "profile.yaml").write_text(head + source + more + text[end:])
        assert whole(folder).profile == before
