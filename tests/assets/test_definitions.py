"""Dagster: the same node, the same bytes, the same record, whichever door was used."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Folder

dg = pytest.importorskip("dagster")

pytestmark = pytest.mark.filterwarnings("ignore::Warning")

YOUNG, OLD = "age-22-34", "age-65-plus"
UNCHANGED = "nothing_that_it_was_made_from_has_changed"
CONSENT = "the_permission_of_every_profile_grants_this_use"


class Ui:
    """A project as Dagster sees it, its instance in memory."""

    def __init__(self, toy: Folder, instance: dg.DagsterInstance) -> None:
        self.toy, self.instance = toy, instance

    @property
    def defs(self) -> dg.Definitions:
        from assets.definitions import build_definitions

        return build_definitions(self.toy.root)

    def materialise(self, name: str, partition: str | None = None) -> dg.ExecuteInProcessResult:
        """Clicks Materialize on one asset."""
        job = self.defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(name)],
            raise_on_error=False,
        )

    def report(self) -> str:
        from assets.ui.reporting import report
        from registry.graph import load_graph

        return str(report(load_graph(self.toy.root), self.instance))

    def stale(self) -> dict[str, str]:
        """What the UI calls stale, with the reason it shows first."""
        from dagster._core.definitions.data_version import CachingStaleStatusResolver
        from dagster._core.loader import LoadingContextForTest

        repository = self.defs.get_repository_def()
        context = LoadingContextForTest(self.instance)
        resolver = CachingStaleStatusResolver(self.instance, repository.asset_graph, context)
        found = {}
        for key in repository.asset_graph.materializable_asset_keys:
            fanned = repository.asset_graph.get(key).partitions_def is not None
            for partition in (YOUNG, OLD) if fanned else (None,):
                status = resolver.get_status(key, partition)
                if status.value == "STALE":
                    name = f"{key.to_user_string()}@{partition}" if partition else key.path[0]
                    causes = resolver.get_stale_causes(key, partition)
                    found[name] = causes[0].reason
        return found

    def latest(self, name: str, partition: str | None = None) -> dg.AssetMaterialization:
        record = self.instance.get_latest_data_version_record(dg.AssetKey(name), False, partition)
        assert record is not None
        assert record.asset_materialization is not None
        return record.asset_materialization

    def checks(self, name: str) -> dict[str, dict[str, tuple[bool, str]]]:
        """Of each node, the latest outcome of each of its checks, and the reasons given."""
        found: dict[str, dict[str, tuple[bool, str]]] = {}
        for key in self.defs.get_repository_def().asset_graph.asset_check_keys:
            history = self.instance.event_log_storage.get_asset_check_execution_history(key, 100)
            for record in reversed([r for r in history if r.status.value != "PLANNED"]):
                said = record.evaluation
                node = key.asset_key.path[0] + (f"@{said.partition}" if said.partition else "")
                why = said.metadata.get("why")
                outcome = (said.passed, str(why.value) if why else "")
                found.setdefault(node, {})[key.name] = outcome
        return {node: outcomes for node, outcomes in found.items() if name in outcomes}

    def changed(self) -> dict[str, str]:
        """The nodes whose check says that something they were made from has changed, and what."""
        outcomes = {node: said[UNCHANGED] for node, said in self.checks(UNCHANGED).items()}
        return {node: why for node, (passed, why) in outcomes.items() if not passed}


@pytest.fixture
def ui(toy: Folder, toy_methods: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ui]:
    from registry import method

    monkeypatch.syspath_prepend(str(toy_methods))
    monkeypatch.setenv("PYTHONPATH", str(toy_methods))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    for cached in (method._entry_points, method.load_method, method.code_of):
        cached.cache_clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ui(toy, instance)
    for cached in (method._entry_points, method.load_method, method.code_of):
        cached.cache_clear()


def make_everything(ui: Ui) -> None:
    ui.report()
    assert ui.materialise("words").success
    for community in (YOUNG, OLD):
        assert ui.materialise("letters", community).success
        assert ui.materialise("count", community).success
    assert ui.materialise("total").success


def change_a_count(toy: Folder) -> None:
    """Changes one count of one group's answers, validly."""
    toy.edit(f"value_profiles/{YOUNG}/opinions.csv", ",640,", ",641,")


def test_every_node_is_an_asset_with_what_a_team_looks_for(ui: Ui) -> None:
    graph = ui.defs.get_repository_def().asset_graph
    count = graph.get(dg.AssetKey("count"))
    assert count.group_name == "2_models"
    assert count.kinds == {"model", "toy-count"}
    assert count.description.startswith("Counts the words")
    assert count.partitions_def is not None
    assert count.code_version
    parents = {key.to_user_string() for key in count.parent_keys}
    assert parents == {
        "words",
        "letters",
        "value_profiles/opinions_csv",
        "value_profiles/opinions",
    }
    checks = {key.name for key in graph.asset_check_keys}
    assert "Every_row_is_numbered_once" in checks
    assert "the_permission_of_every_profile_grants_this_use" in checks


def test_dagster_and_chorus_make_give_the_same_bytes_records_and_status(
    ui: Ui, tmp_path: Path
) -> None:
    other = Folder(tmp_path / "other", ui.toy.env)
    shutil.copytree(ui.toy.root, other.root, symlinks=True)
    make_everything(ui)
    other.chorus("make", "--all")
    assert ui.toy.snapshot() == other.snapshot()
    assert set(ui.toy.states().values()) == {"current"}
    assert "Data and pipelines are up to date" in ui.toy.dvc("status").out
    runs = ui.toy.chorus("runs", "words", "--json").json["runs"]
    assert runs[0]["door"] == "dagster"
    assert runs[0]["dagster_run_id"]


def test_what_dagster_made_is_fresh_to_dagster_and_not_reported_again(ui: Ui) -> None:
    make_everything(ui)
    assert ui.stale() == {}
    assert ui.report() == ""


def test_what_other_doors_made_is_reported_fresh_and_turns_stale_with_its_reason(ui: Ui) -> None:
    ui.toy.chorus("make", "words")
    ui.toy.chorus("make", "--all")
    assert "count@age-22-34" in ui.report()
    assert ui.stale() == {}
    assert ui.report() == ""
    change_a_count(ui.toy)
    assert "age-22-34 opinions.csv" in ui.report()
    assert set(ui.stale()) == {f"count@{YOUNG}", "total"}
    ui.toy.chorus("make", "--all")
    ui.report()
    assert ui.stale() == {}


def test_a_changed_profile_fails_the_checks_of_exactly_its_descendants(ui: Ui) -> None:
    make_everything(ui)
    everything = {
        "words",
        "total",
        *(f"{n}@{c}" for n in ("letters", "count") for c in (YOUNG, OLD)),
    }
    assert set(ui.checks(UNCHANGED)) == everything
    assert ui.changed() == {}
    change_a_count(ui.toy)
    assert f"stale: total, count@{YOUNG}" in ui.report()
    why = f"value_profiles/{YOUNG}/opinions.csv changed"
    assert ui.changed() == {f"count@{YOUNG}": why, "total": why}
    assert ui.report() == ""
    assert ui.materialise("count", YOUNG).success
    assert ui.materialise("total").success
    assert ui.changed() == {}
    assert ui.report() == ""


def test_staleness_reaches_what_dagster_does_not_mark_and_goes_when_another_door_makes_it(
    ui: Ui,
) -> None:
    make_everything(ui)
    ui.toy.edit("registry/datasets/letters.yaml", "letter: b", "letter: c")
    ui.report()
    letters = "params.letter changed from 'b' to 'c'"
    assert ui.changed() == {
        **{f"letters@{c}": letters for c in (YOUNG, OLD)},
        **{f"count@{c}": f"input letters@{c} is stale" for c in (YOUNG, OLD)},
        "total": f"input letters@{YOUNG} is stale; input letters@{OLD} is stale",
    }
    ui.toy.chorus("make", f"letters@{YOUNG}")
    ui.report()
    # The letters are as many as before, but other ones: what counts them must be made again.
    assert ui.changed() == {
        f"letters@{OLD}": letters,
        f"count@{YOUNG}": f"input letters@{YOUNG} changed",
        f"count@{OLD}": f"input letters@{OLD} is stale",
        "total": f"input letters@{YOUNG} changed; input letters@{OLD} is stale",
    }
    ui.toy.chorus("make", "--all")
    ui.report()
    assert ui.changed() == {}
    assert ui.report() == ""


def test_the_sensor_leaves_a_check_to_the_run_that_will_say_it(ui: Ui) -> None:
    make_everything(ui)
    job = ui.defs.resolve_implicit_global_asset_job_def()
    running = ui.instance.create_run_for_job(
        job, asset_selection={dg.AssetKey("count")}, tags={"dagster/partition": YOUNG}
    )
    change_a_count(ui.toy)
    assert "stale: total" in ui.report()
    ui.instance.report_run_failed(running)
    assert f"stale: count@{YOUNG}" in ui.report()
    assert ui.report() == ""


def test_each_community_has_its_own_outcome_of_a_check(ui: Ui) -> None:
    make_everything(ui)
    profile = f"value_profiles/{YOUNG}/profile.yaml"
    ui.toy.edit(profile, "expires_on: never", 'expires_on: "2026-01-01"')
    assert not ui.materialise("count", YOUNG).success
    assert ui.materialise("count", OLD).success
    outcomes = ui.checks(CONSENT)
    assert outcomes[f"count@{YOUNG}"][CONSENT][0] is False
    assert outcomes[f"count@{OLD}"][CONSENT][0] is True


def test_a_changed_declaration_is_stale_in_dagster_too(ui: Ui) -> None:
    make_everything(ui)
    ui.toy.edit("registry/datasets/letters.yaml", "letter: b", "letter: c")
    stale = ui.stale()
    assert stale[f"letters@{YOUNG}"] == "has a new code version"
    # Dagster marks what must be made first; chorus names everything that will follow from it.
    assert set(stale) == {f"letters@{YOUNG}", f"letters@{OLD}"}
    assert set(stale) < {n for n, s in ui.toy.states().items() if s == "stale"}


def test_a_materialisation_shows_counts_table_manifest_and_run(ui: Ui) -> None:
    ui.report()
    ui.materialise("words")
    shown = ui.latest("words").metadata
    assert shown["dagster/row_count"].value == 5
    assert [c.name for c in shown["dagster/column_schema"].value.columns] == ["id", "word"]
    assert shown["manifest"].value["node"] == "words"
    assert shown["last loss"].value > 0
    assert shown["loss curve"].value.startswith("![plot](data:image/png;base64,")
    assert Path(shown["run"].value).exists()


def test_every_series_that_a_method_notes_is_a_curve_and_counts_come_first(ui: Ui) -> None:
    from assets.ui.metadata import describe
    from registry.graph import load_graph

    ui.toy.chorus("make", "words")
    events = next((ui.toy.root / ".chorus/runs/words").glob("*.events.jsonl"))
    noted = [
        {"time": i, "done": i, "total": 40, "reward_match": i, "kl": float("nan")}
        for i in range(40)
    ]
    with events.open("a") as stream:
        stream.writelines(json.dumps(event) + "\n" for event in noted)
    graph = load_graph(ui.toy.root)
    node = graph.node("words")
    shown = describe(graph, node, graph.artifact(node).read_manifest(), None)
    assert shown["last reward_match"] == 29.5
    assert shown["reward_match curve"].value.startswith("![plot](data:image/png;base64,")
    assert len(shown["reward_match curve"].value) < 40_000
    assert not {"last kl", "last done", "last time"} & shown.keys()
    assert list(shown)[:5] == [
        "dagster/row_count",
        "last loss",
        "loss curve",
        "last reward_match",
        "reward_match curve",
    ]


def test_a_broken_contract_fails_its_check_and_records_nothing(ui: Ui) -> None:
    make_everything(ui)
    before = ui.latest("words").metadata["content"].value
    ui.toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 2")
    ui.toy.edit(
        "registry/datasets/words.yaml",
        "contract:\n",
        "contract:\n  - expect: expect_table_row_count_to_be_between\n    table: words.parquet\n"
        "    min_value: 4\n    reason: Too few words teach nothing.\n",
    )
    done = ui.materialise("words")
    assert not done.success
    checks = {c.check_name: c.passed for c in done.get_asset_check_evaluations()}
    assert checks["Too_few_words_teach_nothing"] is False
    assert ui.latest("words").metadata["content"].value == before


def test_an_expired_permission_fails_the_consent_check(ui: Ui) -> None:
    make_everything(ui)
    profile = f"value_profiles/{YOUNG}/profile.yaml"
    ui.toy.edit(profile, "expires_on: never", 'expires_on: "2026-01-01"')
    done = ui.materialise("count", YOUNG)
    assert not done.success
    failed = [c for c in done.get_asset_check_evaluations() if not c.passed]
    assert [c.check_name for c in failed] == ["the_permission_of_every_profile_grants_this_use"]
    assert ui.materialise("count", OLD).success


def test_a_broken_contract_says_nothing_of_the_permission_and_why_the_rest_is_stale(ui: Ui) -> None:
    make_everything(ui)
    ui.toy.edit(
        "registry/datasets/letters.yaml",
        "contract: []",
        "contract:\n  - expect: expect_table_row_count_to_be_between\n    table: words.parquet\n"
        "    min_value: 4\n    reason: Too few letters teach nothing.",
    )
    assert not ui.materialise("letters", YOUNG).success
    said = ui.checks(CONSENT)[f"letters@{YOUNG}"]
    assert said["Too_few_letters_teach_nothing"][0] is False
    assert said[CONSENT][0] is True
    assert said[UNCHANGED] == (
        False,
        "the contract changed; it will be checked again without remaking",
    )
    assert f"letters@{YOUNG}" not in ui.report()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_what_a_person_can_mend_on_the_machine_is_said_plainly(
    ui: Ui, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    ui.report()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "data/.words.scratch/files/words.parquet")

    monkeypatch.setattr("registry.make.sync_tree", fail)
    done = ui.materialise("words")
    assert not done.success
    (failure,) = [e for e in done.all_node_events if e.is_step_failure]
    said = failure.step_failure_data.error.message
    assert "words: data/.words.scratch/files/words.parquet: the machine refused to write: " in said
    assert os.strerror(number) in said
    assert "mend: free some space or mend the permissions" in said
    assert ui.toy.states()["words"] == "missing"


def test_one_job_makes_everything_for_one_community(ui: Ui) -> None:
    ui.report()
    ui.materialise("words")
    job = ui.defs.resolve_job_def("everything_for_one_community")
    assert job.execute_in_process(instance=ui.instance, partition_key=OLD).success
    states = ui.toy.states()
    assert states[f"count@{OLD}"] == "current"
    assert states[f"count@{YOUNG}"] == "missing"


def test_a_recipe_has_a_group_and_a_job_of_its_own(ui: Ui) -> None:
    from assets.definitions import build_definitions

    folder = ui.toy.root / "registry/datasets/recipes/small-talk"
    folder.mkdir(parents=True)
    letters = (ui.toy.root / "registry/datasets/letters.yaml").read_text()
    (folder / "talk.yaml").write_text(letters.replace("name: letters", "name: talk"))
    defs = build_definitions(ui.toy.root)
    talk = defs.get_repository_def().asset_graph.get(dg.AssetKey("talk"))
    assert talk.group_name == "4_recipe_small_talk"
    jobs = {
        name: {one.path[0] for one in defs.resolve_job_def(name).asset_layer.selected_asset_keys}
        for name in ("everything_for_one_community", "recipe_small_talk_for_one_community")
    }
    assert jobs["everything_for_one_community"] == {"letters", "count"}
    assert jobs["recipe_small_talk_for_one_community"] == {"talk"}


def test_a_suspended_profile_loses_its_partition(ui: Ui) -> None:
    ui.report()
    assert sorted(ui.instance.get_dynamic_partitions("community")) == [YOUNG, OLD]
    event = ui.toy.root / "value_profiles" / YOUNG / "events" / "0002-suspended.yaml"
    event.write_text(
        'event: suspended\nrevision: 1\n"on": "2026-11-23"\nby: [test]\n'
        "reason: A test takes it out of gathering.\n"
    )
    assert "removed: age-22-34" in ui.report()
    assert ui.instance.get_dynamic_partitions("community") == [OLD]


def test_definitions_load_without_torch_or_great_expectations(toy: Folder) -> None:
    script = (
        "import sys, assets.definitions\n"
        "heavy = {'torch', 'transformers', 'great_expectations', 'dvc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert assets.definitions.defs\n"
    )
    toy.run(sys.executable, "-c", script, CHORUS_PROJECT=str(toy.root))


def test_a_second_ui_leaves_the_runs_of_the_first_alone(tmp_path: Path) -> None:
    from assets.ui.start import _claim

    with (tmp_path / "ui.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        assert not _claim(tmp_path)
    assert _claim(tmp_path)


def test_outside_a_project_the_ui_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assets.ui.start"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no Chorus project here" in done.stderr


def test_a_run_logs_how_far_it_is_but_not_every_step(
    ui: Ui, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.ui import progress

    monkeypatch.setattr(progress, "EVERY", 0.5)
    ui.toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 200, seconds: 4")
    ui.report()
    made = ui.materialise("words")
    said = [entry.user_message for entry in ui.instance.all_logs(made.run_id)]
    lines = [line for line in said if " of 200" in line]
    assert 2 <= len(lines) <= 12
    assert any(re.search(r"words: \d+ of 200, loss 0\.\d{3}, 0:0\d left", line) for line in lines)


def test_tokens_are_no_curve_but_a_speed(ui: Ui) -> None:
    from assets.ui.metadata import describe
    from registry.graph import load_graph

    ui.toy.chorus("make", "words")
    events = next((ui.toy.root / ".chorus/runs/words").glob("*.events.jsonl"))
    noted = [{"time": i, "done": i, "total": 9, "tokens": 50 * i} for i in range(10)]
    events.write_text("".join(json.dumps(event) + "\n" for event in noted))
    graph = load_graph(ui.toy.root)
    node = graph.node("words")
    shown = describe(graph, node, graph.artifact(node).read_manifest(), None)
    assert shown["tokens per second"] == 50
    assert not any("tokens curve" in name or "last" in name for name in shown)


def test_what_is_to_be_read_is_shown_in_short_with_the_way_to_its_page(ui: Ui) -> None:
    from assets.ui.metadata import describe
    from registry.graph import load_graph

    ui.toy.chorus("make", "words")
    graph = load_graph(ui.toy.root)
    node = graph.node("words")
    files = graph.artifact(node).files
    (files / "in-short.md").write_text("**Who?** They.\n", encoding="utf-8")
    (files / "index.html").write_text("<!doctype html>", encoding="utf-8")
    manifest = graph.artifact(node).read_manifest()
    shown = describe(graph, node, manifest, None)
    assert shown["in short"].value == "**Who?** They.\n"
    assert shown["page"].value == str(files / "index.html")
    (files / "in-short.md").write_text("x" * 60_000, encoding="utf-8")
    assert "in short" not in describe(graph, node, manifest, None)
