"""What a community demands of its models: judged, before a release, and set aside by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars
import pytest
import yaml
from pydantic import ValidationError

from registry.graph import load_graph
from registry.intake.proposal import yaml_text
from registry.profile import BEATS, Evaluation, Threshold
from registry.profile_folder import read_profile
from registry.results import Result, Results
from registry.status import Status
from registry.thresholds import Judged, judge
from tests.conftest import ROOT, Folder
from tests.registry.test_release import commit, tags

YOUNG, OLD = "age-22-34", "age-65-plus"
NODE, TAG = f"count@{YOUNG}", f"count/{YOUNG}@v1.0.0"
WHY = "A toy: it counts words, and answers nobody."
BY = "maintainer:7"
OVERRIDE = ("--override", WHY, "--by", BY)
BEAT = {"metric": "total variation", "beats": ["uniform", "pooled"], "evaluation": "scores"}


def comparison(rival: str, high: float, **changed: Any) -> dict[str, Any]:
    found = {
        "community": YOUNG, "model": NODE, "rival": rival,
        "difference": high - 0.01, "low": high - 0.02, "high": high,
        "slice": "asked", "items": 30, "people": 600,
    }  # fmt: skip
    return found | changed


WON = [comparison("uniform", -0.1), comparison("total", -0.02)]


def figure(metric: str, value: float, part: str = "asked", **changed: Any) -> dict[str, Any]:
    return {
        "about": NODE, "community": YOUNG, "slice": part, "metric": metric,
        "lower_is_better": True, "value": value, "low": value - 0.1, "high": value + 0.1,
        "items": 30, "people": 600, "beside": {},
    } | changed  # fmt: skip


def rewrite(folder: Folder, **changed: Any) -> None:
    """Writes the profile of the young anew, in the present version of the schema."""
    path = folder.root / f"value_profiles/{YOUNG}"
    profile, _ = read_profile(path, folder.root)
    assert profile is not None
    data = profile.profile.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    data |= changed
    (path / "profile.yaml").write_text(yaml_text(data))


def demand(folder: Folder, *thresholds: dict[str, Any]) -> None:
    """Writes the thresholds of the young into their profile."""
    rewrite(folder, evaluation={"thresholds": list(thresholds)})


def score(folder: Folder, comparisons: list[Any] = WON, results: list[Any] | None = None) -> None:
    """Makes an evaluation that found this."""
    declared = {
        "name": "scores",
        "description": "Scores that a test gives, for every model.",
        "method": "toy-scores",
        "inputs": {"answers": ["count", "total"]},
        "params": {"comparisons": comparisons, "results": results or []},
        "contract": [],
        "licence": "CC0-1.0",
    }
    folder.declare("evaluations", yaml.safe_dump(declared, sort_keys=False))
    folder.chorus("sync")
    folder.chorus("make", "scores", "--upstream")


def judged(folder: Folder, node: str = NODE) -> list[dict[str, Any]]:
    return folder.chorus("show", node, "--json").json["thresholds"]


@pytest.fixture(scope="module")
def _made_template(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("thresholds"))
    score(folder)
    return folder


@pytest.fixture
def made(_made_template: Folder, tmp_path: Path) -> Folder:
    """A project whose models are made, with an evaluation in which the young one won."""
    return _made_template.copied(tmp_path)


@pytest.fixture
def judging(
    made: Folder, toy_methods: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Judged, ...]]]:
    """Judges in this process what an evaluation that is called current would have found."""
    from registry import method

    cached = (method._entry_points, method.load_method, method.code_of)
    monkeypatch.syspath_prepend(str(toy_methods))
    for one in cached:
        one.cache_clear()

    def judged(
        comparisons: Sequence[Any], results: Sequence[Any], *thresholds: Any
    ) -> tuple[Judged, ...]:
        demand(made, *thresholds)
        graph = load_graph(made.root)
        files = graph.artifact("scores").files
        (files / "comparisons.parquet").unlink(missing_ok=True)
        if comparisons:
            polars.DataFrame(list(comparisons)).write_parquet(files / "comparisons.parquet")
        Results(results=tuple(Result(**one) for one in results)).write(files)
        standing = {name: Status(name, "current") for name in graph.nodes}
        return judge(graph, graph.node(NODE), standing)

    yield judged
    for one in cached:
        one.cache_clear()


# What a profile says.


def test_who_holds_opinions_and_names_no_rival_gets_the_rule() -> None:
    profile, _ = read_profile(ROOT / "value_profiles" / YOUNG, ROOT)
    made_up, _ = read_profile(ROOT / "value_profiles" / "example-tidewater-coop", ROOT)
    assert profile is not None
    assert made_up is not None
    assert profile.profile.demands == (BEATS,)
    assert [t.metric for t in made_up.profile.demands] == ["preference accuracy", "norm agreement"]
    bound = Threshold(metric="skill", at_least=0.5)
    named = Threshold(metric="total variation", beats=("base",))
    for given, wanted in (((bound,), (BEATS, bound)), ((named, bound), (named, bound))):
        changed = profile.profile.model_copy(update={"evaluation": Evaluation(thresholds=given)})
        assert changed.demands == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "`at_most`, `at_least` or `beats`, one of them"),
        ({"at_most": 0.2, "beats": ("uniform",)}, "one of them"),
        ({"at_most": 0.2, "at_least": 0.1}, "one of them"),
        ({"beats": ("everybody",)}, "Input should be 'uniform'"),
        ({"beats": ("uniform", "uniform")}, "'uniform' stands twice"),
        ({"metric": "skill", "beats": ("uniform",)}, "only `total variation` is compared"),
        ({"at_most": float("nan")}, "finite"),
    ],
)
def test_a_threshold_that_demands_nothing_clear_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Threshold.model_validate({"metric": "total variation", **given})


# What is found.


@pytest.mark.parametrize(
    ("comparisons", "reached", "says"),
    [
        (WON, [True, True], "-0.110 (-0.120 to -0.100) against uniform, 30 questions, 600 people"),
        ([comparison("uniform", 0.0), WON[1]], [False, True], "+0.000) against uniform"),
        ([WON[0], comparison("total", 0.001)], [True, False], "against total"),
        ([WON[0]], [True, False], "compares it with no such answerer"),
        ([WON[1], comparison("uniform", -1, model=f"count@{OLD}")], [False, True], "no such"),
        ([comparison("uniform", -1, slice="unseen wording")], [False, False], "with nobody on"),
        ([], [False, False], "with nobody on 'asked'"),
        ([*WON, comparison(f"count@{OLD}", 0.5)], [True, True], ""),
        ([WON[0], comparison("total, told the group", -1)], [True, False], "no such answerer"),
    ],
    ids=["won", "touches nought", "lost", "no rival", "another's", "another slice", "nothing",
         "an own model is no pooled one", "a told model is no pooled one"],
)  # fmt: skip
def test_the_interval_of_the_difference_decides(
    judging: Any, comparisons: list[Any], reached: list[bool], says: str
) -> None:
    found = judging(comparisons, [], BEAT)
    assert [one.reached for one in found] == reached
    assert says in " ".join(one.found for one in found)
    assert all(one.reached or one.mend for one in found)


@pytest.mark.parametrize(
    ("threshold", "value", "reached"),
    [
        ({"metric": "total variation", "at_most": 0.2}, 0.2, True),
        ({"metric": "total variation", "at_most": 0.2}, 0.21, False),
        ({"metric": "skill", "at_least": 0.5}, 0.5, True),
        ({"metric": "skill", "at_least": 0.5, "slice": "unseen questions"}, 0.9, None),
        ({"metric": "community tests passed", "at_least": 1}, 0.9, False),
    ],
)
def test_a_bound_is_on_the_figure_itself(
    judging: Any, threshold: dict[str, Any], value: float, reached: bool | None
) -> None:
    named = {"community tests passed": "share of tests passed"}
    results = [figure(named.get(threshold["metric"], threshold["metric"]), value)]
    *_, found = judging([], results, {**threshold, "evaluation": "scores"})
    assert found.reached is bool(reached)
    if reached is None:
        assert "none of scores gives it" in found.found
    else:
        assert f"{value:.3f}" in found.found
        assert list(found.evaluations) == ["scores"]


def test_an_interval_that_is_no_number_is_no_proof(judging: Any) -> None:
    found = judging([WON[1], comparison("uniform", float("nan"))], [], BEAT)
    assert [one.reached for one in found] == [False, True]


def test_the_rule_looks_for_the_evaluation_by_its_method(judging: Any) -> None:
    for one in judging(WON, []):
        assert one.found == f"no evaluation here measures {NODE}"
        assert one.mend == "declare one of the method pluralism, then make it"


def test_nothing_counts_that_is_not_current_and_of_this_very_content(made: Folder) -> None:
    demand(made, BEAT, BEAT | {"evaluation": "another"})
    *won, other, _ = judged(made)
    assert [one["reached"] for one in won] == [True, True]
    assert "no evaluation called another" in other["found"]
    made.edit("registry/models/count.yaml", "scale: 1", "scale: 2")
    made.chorus("make", "count")
    one = judged(made)[0]
    assert "scores is stale" in one["found"]
    assert one["mend"] == "run `chorus make scores --upstream`"


def test_a_profile_that_kept_nobody_back_cannot_be_measured(made: Folder) -> None:
    profile, _ = read_profile(made.root / "value_profiles" / YOUNG, made.root)
    assert profile is not None
    assert profile.profile.opinions is not None
    opinions = profile.profile.opinions.model_dump(mode="json", exclude_none=True)
    opinions["held_out"] = False
    rewrite(made, opinions=opinions)
    (made.root / f"value_profiles/{YOUNG}/evaluation/opinions.csv").unlink()
    assert "no other people were kept" in judged(made)[0]["found"]


def test_a_model_for_all_and_what_is_no_language_model_answer_to_nobody(made: Folder) -> None:
    assert judged(made, "total") == []
    assert judged(made, "words") == []


# What follows from it.


def test_a_release_is_refused_until_it_is_reached_or_set_aside_by_name(made: Folder) -> None:
    demand(made, BEAT)
    score(made, [WON[0], comparison("total", 0.01)])
    commit(made)
    done = made.chorus("release", NODE, "--version", "1.0.0", expect=1)
    assert "  refused  it is nearer to the people of age-22-34 than every model for all" in done.out
    assert "+0.010) against total" in done.out
    assert "--override REASON --by WHO" in done.out
    for more, says in (
        (("--override", WHY), "say who decides"),
        (("--override", "no", "--by", BY), "at least 10 characters"),
        (("--override", "=cmd|' /C calc'!A0", "--by", BY), "a spreadsheet runs"),
        (("--override", WHY, "--by", "ann@example.org"), "never an address"),
    ):
        assert says in made.chorus("release", NODE, "--version", "1.0.0", *more, expect=2).err
    assert tags(made) == []
    done = made.chorus("release", NODE, "--version", "1.0.0", *OVERRIDE)
    assert "  set aside  it is nearer to the people of age-22-34 than every model" in done.out
    folder = made.root / f"releases/count/{YOUNG}/1.0.0"
    statement = json.loads((folder / "release.json").read_text())
    assert statement["schema_version"] == 3
    assert statement["override"]["by"] == [BY]
    assert statement["override"]["reason"] == WHY
    assert [one["reached"] for one in statement["thresholds"]] == [True, False]
    manifest = json.loads((made.root / "data/scores/manifest.json").read_text())
    assert statement["thresholds"][1]["evaluations"] == {"scores": manifest["content"]}
    card = (folder / "README.md").read_text()
    assert "**Released although it does not reach that.** maintainer:7 decided so on" in card
    assert WHY in card
    shown = made.chorus("lineage", "verify", TAG, expect=1).out
    assert shown.startswith("unsigned")
    assert f"by {BY}: {WHY}" in shown
    assert "not reached: it is nearer" in shown


def test_a_word_covers_the_thresholds_and_nothing_else(made: Folder) -> None:
    (made.root / f"value_profiles/{YOUNG}/events/0002-release-reviewed.yaml").unlink()
    commit(made)
    done = made.chorus("release", NODE, "--version", "1.0.0", *OVERRIDE, expect=4)
    assert "no review of purpose" in done.out
    assert tags(made) == []


def test_what_is_reached_needs_no_word_and_takes_none(made: Folder) -> None:
    demand(made, BEAT)
    commit(made)
    done = made.chorus("release", NODE, "--version", "1.0.0", *OVERRIDE, expect=2)
    assert "there is nothing to set aside" in done.err
    done = made.chorus("release", NODE, "--version", "1.0.0")
    assert "against total, 30 questions, 600 people" in done.out
    card = (made.root / f"releases/count/{YOUNG}/1.0.0/README.md").read_text()
    assert "## What its community demands of it" in card
    assert "Released although" not in card
    assert (
        "what age-22-34 demands of a model" in made.chorus("lineage", "verify", TAG, expect=1).out
    )


def test_an_altered_word_is_found(made: Folder) -> None:
    commit(made)
    made.chorus("release", NODE, "--version", "1.0.0", *OVERRIDE)
    path = made.root / f"releases/count/{YOUNG}/1.0.0/release.json"
    path.write_text(path.read_text().replace(BY, "maintainer:8"))
    done = made.chorus("lineage", "verify", TAG, expect=3)
    assert "is not the one that the tag holds" in done.out


def test_a_statement_of_the_first_version_is_still_read(tmp_path: Path) -> None:
    from registry.release import Statement

    old = {
        "schema_version": 1, "name": "count/a", "version": "1.0.0", "node": "count@a",
        "released_on": "2026-01-01", "content": "a" * 64, "manifests": {}, "files": [],
    }  # fmt: skip
    found = Statement.model_validate(old)
    assert found.thresholds == ()
    assert found.override is None


def test_show_says_it_in_lines(made: Folder) -> None:
    demand(made, BEAT)
    shown = made.chorus("show", NODE).out
    assert "reached: it is nearer to the people of age-22-34 than uniform answers" in shown
