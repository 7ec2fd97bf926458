"""Whatever a row, a profile, a clause, a file or code has touched: artifacts and releases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from registry import impact as causes
from registry.errors import UsageError
from registry.explain import explain
from registry.impact import Cause, Impact, impact
from registry.known import Known, manifests_here, read_known
from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG

CHAIN = ["letters@age-22-34", "words", NODE]


def found(folder: Folder, cause: Cause) -> Impact:
    return impact(read_known(folder.root), cause)


@pytest.mark.parametrize(
    ("cause", "nodes"),
    [
        (causes.rests_on("age-22-34"), [NODE]),
        (causes.rests_on("age-65-plus"), []),
        (causes.relies_on("age-22-34", "train-sft"), [NODE]),
        (causes.relies_on("age-22-34", "train-rl"), []),
        (causes.relies_on("age-22-34", "expires_on"), [NODE]),
        (causes.reads_file("value_profiles/age-22-34/opinions.csv"), [NODE]),
        (causes.reads_file("value_profiles/age-22-34/"), [NODE]),
        (causes.reads_file("value_profiles/age-22-34/profile.yaml: opinions"), [NODE]),
        (causes.reads_file("value_profiles/age-22"), []),
        (causes.made_by("toy-words"), CHAIN),
        (causes.made_by("toy-count"), [NODE]),
        (causes.made_by("toy"), []),
    ],
)
def test_each_cause_reaches_what_was_made_from_it(
    cause: Cause, nodes: list[str], released_toy: Folder
) -> None:
    reached = found(released_toy, cause)
    assert sorted(one.node for one in reached.artifacts) == sorted(nodes)
    assert reached.releases == ((TAG,) if nodes else ())
    assert all(one.here and one.releases == (TAG,) for one in reached.artifacts)


def test_a_clause_that_no_terms_have_is_an_error() -> None:
    with pytest.raises(UsageError, match="no clause 'nope'"):
        causes.relies_on("age-22-34", "nope")


def test_what_was_erased_here_is_still_found_in_releases(released_toy: Folder) -> None:
    shutil.rmtree(released_toy.root / "data")
    reached = found(released_toy, causes.made_by("toy-words"))
    assert sorted(one.node for one in reached.artifacts) == sorted(CHAIN)
    assert not any(one.here for one in reached.artifacts)
    assert reached.releases == (TAG,)


def test_an_artifact_made_anew_is_told_from_the_released_one(released_toy: Folder) -> None:
    path = released_toy.root / "data/words/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"content": "0" * 64}))
    reached = found(released_toy, causes.made_by("toy-words")).artifacts
    words = {one.here: one for one in reached if one.node == "words"}
    assert words[True].releases == ()
    assert words[False].releases == (TAG,)


def manifest(node: str, *inputs: str) -> dict[str, object]:
    entries = [{"role": "r", "node": one, "content": f"content of {one}"} for one in inputs]
    return {"node": node, "content": f"content of {node}", "inputs": entries, "profiles": [],
            "kind": "dataset"}  # fmt: skip


def test_a_diamond_is_walked_once_and_its_neighbours_stay_out() -> None:
    here = {m["node"]: m for m in (manifest("a"), manifest("b", "a"), manifest("c", "a"),
                                   manifest("d", "b", "c"), manifest("e"))}  # fmt: skip
    known = Known(here, {"r@v1.0.0": {"d": here["d"]}, "s@v1.0.0": {"e": here["e"]}})
    reached = impact(known, lambda one: "first" if one["node"] == "a" else "")
    assert {one.node: one.why for one in reached.artifacts} == {
        "a": "first", "b": "made from a", "c": "made from a", "d": "made from b"}  # fmt: skip
    assert reached.releases == ("r@v1.0.0",)


def test_manifests_that_are_damaged_or_circular_stop_nothing(tmp_path: Path) -> None:
    circle = {"a": json.dumps(manifest("a", "b")), "b": json.dumps(manifest("b", "a"))}
    for name, text in (circle | {"c": "{", "d": "[]"}).items():
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "manifest.json").write_text(text)
    assert sorted(manifests_here(tmp_path)) == ["a", "b"]


# Rows.


@pytest.fixture
def chain(released_toy: Folder) -> Folder:
    """A row of a profile's item that became a row of letters, and that a row of counts."""
    tables = {
        "words": {"row_id": ["q1", "q2"], "item": ["Q2_1", "Q2_4"]},
        "letters/age-22-34": {"row_id": ["l1", "l2"], "parents": [["q1"], ["q2"]],
                              "item": ["Q2_1", ""]},
        "count/age-22-34": {"row_id": ["c1"], "parents": [["l1"]], "item": [None]},
    }  # fmt: skip
    for place, columns in tables.items():
        files = released_toy.root / "data" / place / "files"
        pl.DataFrame(columns).write_parquet(files / "rows.parquet")
    path = released_toy.root / "data/letters/age-22-34/manifest.json"
    read = json.loads(path.read_text())
    entry = {"id": "age-22-34", "use": "train-sft", "permission": "licence", "consent": "",
             "tables": {"opinions.csv": ""}, "fields": {}}  # fmt: skip
    path.write_text(json.dumps(read | {"profiles": [entry]}))
    return released_toy


def test_a_row_is_explained_from_the_profiles_item_to_the_release(chain: Folder) -> None:
    told = explain(chain.root, "l1")
    assert [one.node for one in told.standings] == ["letters@age-22-34", NODE]
    assert [(one.node, one.row) for one in told.ancestors] == [("words", "q1")]
    assert told.origins == (("value_profiles/age-22-34/opinions.csv", "Q2_1", "letters@age-22-34"),)
    assert told.releases == (TAG,)
    told = explain(chain.root, "c1")
    assert [one.row for one in told.ancestors] == ["l1", "q1"]
    assert told.used_by == ()


def test_a_rows_impact_is_what_keeps_it_and_what_was_made_from_that(chain: Folder) -> None:
    known = read_known(chain.root)
    reached = impact(known, causes.holds_row(chain.root, known, "l2"))
    assert [one.node for one in reached.artifacts] == ["letters@age-22-34", NODE]
    done = chain.chorus("lineage", "impact", "--row", "l1").out
    assert "keeps 1 row that" in done
    assert f"released: {TAG}" in done


def test_rows_that_are_their_own_ancestors_end(chain: Folder) -> None:
    files = chain.root / "data/words/files/rows.parquet"
    pl.DataFrame({"row_id": ["a", "b"], "parents": [["b"], ["a"]]}).write_parquet(files)
    told = explain(chain.root, "a")
    assert {one.row for one in told.ancestors} == {"b"}
    assert told.descendants == ()


def test_the_command_asks_about_one_thing(released_toy: Folder) -> None:
    for given in ((), ("--row", "a", "--method", "b"), ("--clause", "train-sft", "--source", "x")):
        assert "one thing" in released_toy.chorus("lineage", "impact", *given, expect=2).err
    told = released_toy.chorus("lineage", "impact", "--partner", "age-22-34", "--json").json
    assert told["releases"] == [TAG]
    assert [one["node"] for one in told["recorded"]] == [NODE]
    history = released_toy.chorus("lineage", "history", "words").out.splitlines()
    assert len(history) == 2
    assert "toy-words" in history[1]
