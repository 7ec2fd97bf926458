"""The whole method: bad input, scores taken over, a killed run, and who is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pydantic
import pytest

from assets.diversity.filtering import measures, minhash
from assets.diversity.row_filter import Params, community_method, method, run
from assets.rows import ROWS, row_schema
from registry.errors import MethodError
from registry.expectation import Expectation
from registry.quality import check
from tests.assets.conftest import Build
from tests.assets.diversity.filtering.conftest import (
    Filter,
    dataset,
    given,
    kept,
    left_out,
    row,
)

NEAR = {"kind": "near", "threshold": 0.8, "words": 2}
FAIR = Expectation(
    expect="expect_column_values_to_be_between",
    table="kept.parquet",
    column="community_rate",
    min_value=0.8,
    reason="A community kept at under 0.8 of the overall rate was thinned out.",
)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts of which every third nearly repeats the one before."""
    draw = np.random.default_rng(seed)
    made: list[str] = []
    for index in range(count):
        words = [f"w{n}" for n in draw.integers(0, 5000, 40)]
        if index % 3 == 2:
            words = made[-1].split()
            words[0] = "changed"
        made.append(" ".join(words))
    return made


def rows_of(count: int) -> list[dict[str, Any]]:
    return [row(i, text, f"answer {i}") for i, text in enumerate(sentences(count))]


def _must_not_run(*_: Any) -> Any:
    pytest.fail("was measured again")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_steps_apply_in_order_and_nothing_is_lost(run_filter: Filter) -> None:
    rows = [
        *rows_of(30),
        row("copy", rows_of(30)[0]["prompt"].upper(), "ANSWER  0"),
        row("no", "x"),
    ]
    made = run_filter(
        rows, {"kind": "exact"}, {**NEAR, "of": "prompt"}, {"kind": "length", "at_least": 1}
    )
    gone = left_out(made)
    assert sorted([*kept(made), *gone]) == sorted(one["row_id"] for one in rows)
    assert gone["row-copy"]["reason"] == "repeats another row"
    assert gone["row-copy"]["caused_by"] == "row-0"
    assert gone["row-2"]["caused_by"] == "row-1"
    assert gone["row-no"]["reason"] == "completion has under 1 characters"
    steps = pl.read_parquet(made.out / "steps.parquet")
    assert steps.select("step", "before", "left_out", "after").rows() == [
        ("exact_1", 32, 1, 31),
        ("near_2", 31, 10, 21),
        ("length_3", 21, 1, 20),
    ]
    scores = pl.read_parquet(made.out / "scores.parquet")
    assert scores["row_id"].to_list() == [one["row_id"] for one in rows]
    assert scores.filter(row_id="row-copy")["near_2"].item() == 1, "scored, though long left out"
    headline = json.loads((made.out / "headline.json").read_text())
    assert headline == {"rows given": 32, "rows kept": 20, "share kept": 20 / 32}
    assert (made.out / "kept.png").read_bytes().startswith(b"\x89PNG")


def test_rows_keep_their_ids_columns_and_order(run_filter: Filter) -> None:
    rows = [row(i, f"text {i}", difficulty=float(i), task="sum") for i in (3, 1, 2)]
    made = run_filter(rows, {"kind": "exact"})
    found = pl.read_parquet(made.out / ROWS)
    assert found.equals(pl.DataFrame(rows, schema=found.schema))
    left = pl.read_parquet(made.out / "rejected.parquet")
    assert left.is_empty()
    assert left.columns == [*found.columns, "reason", "score", "caused_by"]


def test_the_same_rows_give_the_same_bytes(run_filter: Filter) -> None:
    steps = ({"kind": "exact"}, NEAR, {"kind": "language", "languages": ["en"]})
    first, second = (run_filter(rows_of(60), *steps) for _ in range(2))
    assert bytes_of(first.out) == bytes_of(second.out)


def test_another_threshold_takes_the_scores_over(
    run_filter: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(90)
    first = run_filter(rows, NEAR, {"kind": "language", "languages": ["en"]})
    strict = {**NEAR, "threshold": 0.97}
    fresh = run_filter(rows, strict, {"kind": "language", "languages": ["en"]})
    monkeypatch.setattr(minhash, "signatures", _must_not_run)
    again = run_filter(
        rows, strict, {"kind": "language", "languages": ["en"], "threshold": 0.9}, scores=first.out
    )
    assert kept(again) == kept(fresh) != kept(first)
    assert bytes_of(again.out)["scores.parquet"] == bytes_of(fresh.out)["scores.parquet"]
    assert bytes_of(again.out)["scores.json"] == bytes_of(first.out)["scores.json"]


def test_tasks_from_one_template_are_no_repetitions_of_one_another(run_filter: Filter) -> None:
    template = "Here is a list of animals on a farm, count their legs and answer with a number:"
    rows = [row(i, f"{template} {i} hens and {i * 3 + 1} cows") for i in range(20)]
    rows.append(row("copy", rows[7]["prompt"] + " now"))
    step = {"kind": "near", "of": "prompt", "threshold": 0.5}
    assert len(kept(run_filter(rows, step))) < 5
    made = run_filter(rows, {**step, "ignore_common": 10})
    assert {name: one["caused_by"] for name, one in left_out(made).items()} == {"row-copy": "row-7"}


def test_other_settings_are_measured_anew(run_filter: Filter) -> None:
    rows = rows_of(9)
    first = run_filter(rows, NEAR)
    other = run_filter(rows, {**NEAR, "words": 3}, scores=first.out)
    assert kept(other) == kept(run_filter(rows, {**NEAR, "words": 3}))


def test_scores_of_other_rows_are_refused(run_filter: Filter, tmp_path: Path) -> None:
    first = run_filter(rows_of(9), NEAR)
    with pytest.raises(MethodError, match="scores are of other rows"):
        run_filter(rows_of(12), NEAR, scores=first.out)
    for damaged in (first.out / "measures").iterdir():
        damaged.write_bytes(damaged.read_bytes()[:-50])
    with pytest.raises(MethodError, match="damaged or missing"):
        run_filter(rows_of(9), NEAR, scores=first.out)
    (first.out / "scores.json").write_text("{}")
    with pytest.raises(MethodError, match="does not say what its scores are"):
        run_filter(rows_of(9), NEAR, scores=first.out)
    with pytest.raises(MethodError, match=r"holds no scores\.json"):
        run_filter(rows_of(9), NEAR, scores=tmp_path)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "_PART_ROWS", 10)
    files = dataset(tmp_path / "rows", rows_of(50))
    params = Params.model_validate({"steps": [NEAR]})
    whole = build(params, inputs={"rows": files})
    run(whole)

    killed = build(params, inputs={"rows": files})
    real, calls = minhash.signatures, []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(minhash, "signatures", counted)
    with pytest.raises(KeyboardInterrupt):
        run(killed)
    shutil.rmtree(killed.out)
    killed.out.mkdir()
    run(killed)
    assert len(calls) == 4 + 2, "three of five parts were found again"
    assert bytes_of(killed.out) == bytes_of(whole.out)


def test_several_datasets_are_filtered_as_one_and_the_first_wins(
    build: Build, tmp_path: Path
) -> None:
    first = dataset(tmp_path / "a", [row("a", "same text", "x", task="t")])
    second = dataset(tmp_path / "b", [row("b", "same text", "x"), row("c", "another", "x")])
    params = Params.model_validate({"steps": [{"kind": "exact"}]})
    context = build(params, inputs={"rows": [given("a", first), given("b", second)]})
    run(context)
    assert kept(context) == ["row-a", "row-c"]
    twice = build(params, inputs={"rows": [given("a", first), given("copy", first)]})
    with pytest.raises(MethodError, match="row-a stands twice") as caught:
        run(twice)
    assert caught.value.where == "a and copy"


def test_a_thinned_out_community_breaks_the_contract(run_filter: Filter) -> None:
    common = [row(i, text, community="many") for i, text in enumerate(sentences(60)) if i % 3 != 2]
    alike = [
        row(f"few-{i}", "we all say this in our own way", f"{i}", community="few") for i in range(5)
    ]
    made = run_filter([*common, *alike], {**NEAR, "of": "prompt"})
    (verdict,) = check(made.out, [FAIR])
    assert verdict.stops
    headline = json.loads((made.out / "headline.json").read_text())
    assert headline["least kept community, relative to all rows"] < 0.3
    fair = run_filter(common, {**NEAR, "of": "prompt"})
    assert check(fair.out, [FAIR])[0].success


def test_no_rows_at_all_is_an_error(run_filter: Filter, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="there are no rows to filter"):
        run_filter([], {"kind": "exact"})
    with pytest.raises(MethodError, match=r"holds no rows\.parquet"):
        run_filter(tmp_path, {"kind": "exact"})


def test_every_row_left_out_is_recorded(run_filter: Filter) -> None:
    made = run_filter(rows_of(5), {"kind": "length", "at_least": 1000}, NEAR)
    assert kept(made) == []
    assert len(left_out(made)) == 5
    assert pl.read_parquet(made.out / "kept.parquet")["relative_rate"].to_list() == [0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"row_id": ["a"], "prompt": ["x"]}, "lacks the column 'completion'"),
        (
            {"row_id": ["a"], "prompt": [1], "completion": ["x"]},
            "'prompt' of rows.parquet holds Int",
        ),
        (
            {"row_id": [None, "b"], "prompt": ["x", "y"], "completion": ["", ""]},
            "row 1 of .* no id",
        ),
        ({"row_id": ["a"], "prompt": [b"\xff"], "completion": ["x"]}, "holds Binary, not String"),
    ],
)
def test_a_table_of_another_form_is_refused(
    frame: dict[str, Any], message: str, run_filter: Filter, tmp_path: Path
) -> None:
    pl.DataFrame(frame).write_parquet(tmp_path / ROWS)
    with pytest.raises(MethodError, match=message):
        run_filter(tmp_path, {"kind": "exact"})


def test_text_that_is_no_utf8_and_damaged_files_are_refused(
    run_filter: Filter, tmp_path: Path
) -> None:
    pl.DataFrame([row(0, "caféhouse")], schema=row_schema()).write_parquet(
        tmp_path / ROWS, compression="uncompressed", statistics=False
    )
    whole = (tmp_path / ROWS).read_bytes()
    assert "caféhouse".encode() in whole
    (tmp_path / ROWS).write_bytes(whole.replace("é".encode(), b"\xed\xa0"))
    with pytest.raises(MethodError, match="cannot be read"):
        run_filter(tmp_path, {"kind": "exact"})
    (tmp_path / ROWS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MethodError, match="cannot be read"):
        run_filter(tmp_path, {"kind": "exact"})


def test_a_huge_row_among_small_ones(run_filter: Filter) -> None:
    huge = "word and another " * 300_000
    rows = [row(0, huge), row(1, huge + "end"), row(2, "small"), row(3, None, None)]
    made = run_filter(
        rows, {"kind": "exact"}, NEAR, {"kind": "length", "at_most": 100, "of": "both"}
    )
    assert kept(made) == ["row-2", "row-3"]
    gone = left_out(made)
    assert gone["row-1"]["reason"] == "shares 80% or more of its word sequences with another row"
    assert gone["row-0"]["reason"] == "text has over 100 characters"


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "near", "threshold": 1.2},
        {"kind": "near", "threshold": 0},
        {"kind": "near", "threshold": float("nan")},
        {"kind": "near", "words": 0},
        {"kind": "semantic", "threshold": -1},
        {"kind": "language", "threshold": 0.2},
        {"kind": "overlap", "threshold": 0},
        {"kind": "length"},
        {"kind": "length", "at_least": 5, "at_most": 4},
        {"kind": "scores", "any_of": []},
        {"kind": "scores", "any_of": [{"column": "a"}]},
        {"kind": "scores", "any_of": [{"column": "a", "at_least": 1, "top_share": 0.1}]},
        {"kind": "lines", "at_most": 0},
        {"kind": "magic"},
        {"kind": "exact", "of": "title"},
    ],
)
def test_settings_out_of_range_are_refused(step: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Params.model_validate({"steps": [step]})


def test_only_the_method_for_communities_reads_profiles() -> None:
    assert method.profile_fields == ()
    assert community_method.profile_fields == ("languages", "off_limits")
    assert community_method.use == "train-sft"
