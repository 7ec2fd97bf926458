"""Repetition in other words, by vectors in clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from semhash import SemHash

from assets.diversity.filtering.semantic import nearest_kept
from registry.errors import MethodError, UsageError
from tests.assets.diversity.filtering.conftest import Filter, features, kept, left_out, row


def planted(groups: int, size: int, spread: float, seed: int = 0):
    """Unit vectors around centres, and the centre of each."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((groups, 48))
    found = np.repeat(centres, size, axis=0) + spread * draw.standard_normal((groups * size, 48))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32), np.repeat(np.arange(groups), size)


def by_hand(vectors, labels, order, threshold):
    """Llama 3's rule, row by row."""
    chosen: list[int] = []
    for one in order:
        rivals = [other for other in chosen if labels[other] == labels[one]]
        if all(vectors[one] @ vectors[other] < threshold for other in rivals):
            chosen.append(one)
    return chosen


@pytest.mark.parametrize("size", [5, 700])
def test_is_the_rule_applied_row_by_row(size: int) -> None:
    vectors, labels = planted(4, size, 0.42)
    order = np.random.default_rng(1).permutation(len(vectors))
    found = nearest_kept(vectors, labels, order, np.ones(len(vectors), bool), 0.85)
    chosen = [one for one in order if found.score[one] < 0.85 - 1e-6]
    assert chosen == by_hand(vectors, labels, order, 0.85)
    assert len(chosen) < len(vectors)
    for one, other in enumerate(found.cause):
        assert other < 0 or found.score[one] == pytest.approx(
            float(vectors[one] @ vectors[other]), abs=1e-5
        )


def test_no_pair_that_is_kept_in_a_cluster_reaches_the_threshold() -> None:
    vectors, labels = planted(5, 300, 0.6)
    order = np.arange(len(vectors))
    found = nearest_kept(vectors, labels, order, np.ones(len(vectors), bool), 0.8)
    stays = found.score < 0.8 - 1e-6
    for label in range(5):
        mine = vectors[stays & (labels == label)]
        cosines = mine @ mine.T
        np.fill_diagonal(cosines, -1)
        assert cosines.max() < 0.8


def test_always_keeps_the_top_ranked_member_of_a_cluster() -> None:
    vectors, labels = planted(20, 30, 0.1)
    order = np.random.default_rng(2).permutation(len(vectors))
    found = nearest_kept(vectors, labels, order, np.ones(len(vectors), bool), 0.5)
    for label in range(20):
        assert found.score[next(one for one in order if labels[one] == label)] == 0


def test_leaves_out_what_semhash_leaves_out() -> None:
    vectors, _ = planted(30, 20, 0.05)
    names = [str(i) for i in range(len(vectors))]
    theirs = SemHash.from_embeddings(vectors, names, model=None).self_deduplicate(threshold=0.9)
    everything = np.ones(len(vectors), bool)
    same = np.zeros(len(vectors), dtype=np.int32)
    ours = nearest_kept(vectors, same, np.arange(len(vectors)), everything, 0.9)
    assert len(theirs.selected) == int((ours.score < 0.9).sum()) == 30


def test_ranks_by_the_product_and_names_the_row_that_was_kept(
    run_filter: Filter, tmp_path: Path
) -> None:
    rows = [
        row(0, "a", quality=1.0, difficulty=2.0),
        row(1, "b", quality=2.0, difficulty=2.0),
        row(2, "c", quality=3.0, difficulty=1.0),
        row(3, "d", quality=None, difficulty=9.0),
    ]
    vectors = [[1, 0], [1, 0.01], [0.99, 0], [1, 0]]
    made = run_filter(
        rows,
        {"kind": "semantic", "threshold": 0.9},
        rank_by=["quality", "difficulty"],
        features=features(tmp_path / "f", [one["row_id"] for one in rows], vectors),
    )
    assert kept(made) == ["row-1"]
    assert {one["caused_by"] for one in left_out(made).values()} == {"row-1"}
    assert pl.read_parquet(made.out / "scores.parquet")["rank"].to_list() == [3, 1, 2, 4]


def test_all_rows_identical_keep_the_top_ranked_one(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(i, "the same", "text", quality=float(i % 7)) for i in range(50)]
    ids = [one["row_id"] for one in rows]
    for steps in ({"kind": "exact"}, {"kind": "near"}, {"kind": "semantic"}):
        made = run_filter(
            rows,
            steps,
            rank_by=["quality"],
            features=features(tmp_path / steps["kind"], ids, np.ones((50, 4))),
        )
        assert kept(made) == ["row-6"]
        assert len(left_out(made)) == 49


def test_clusters_bound_what_is_compared(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(i, f"text {i}") for i in range(4)]
    ids = [one["row_id"] for one in rows]
    (tmp_path / "c").mkdir()
    pl.DataFrame({"row_id": ids, "cluster": [0, 1, 0, 1], "similarity": [1.0] * 4}).write_parquet(
        tmp_path / "c" / "clusters.parquet"
    )
    made = run_filter(
        rows,
        {"kind": "semantic"},
        features=features(tmp_path / "f", ids, np.ones((4, 3))),
        clusters=tmp_path / "c",
    )
    assert kept(made) == ["row-0", "row-1"]
    groups = pl.read_parquet(made.out / "kept.parquet").filter(kind="cluster")
    assert groups.select("before", "after").rows() == [(2, 1), (2, 1)]


def test_vectors_and_clusters_of_other_rows_are_refused(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(i, f"text {i}") for i in range(3)]
    other = features(tmp_path / "f", ["row-0", "row-7", "row-8"], np.eye(3))
    with pytest.raises(MethodError, match="2 rows have no vector here, the first is row-1"):
        run_filter(rows, {"kind": "semantic"}, features=other)
    with pytest.raises(UsageError, match="needs the input 'features'"):
        run_filter(rows, {"kind": "semantic"})


def test_rows_that_the_features_left_out_stay_and_are_noted(
    run_filter: Filter, tmp_path: Path
) -> None:
    rows = [row(0, "a"), row(1, ""), row(2, "b")]
    mine = features(tmp_path / "f", ["row-0", "row-2"], np.ones((2, 3)))
    pl.DataFrame({"row_id": ["row-1"], "reason": ["no text"]}).write_parquet(
        mine / "rejected.parquet"
    )
    made = run_filter(rows, {"kind": "semantic"}, features=mine)
    assert kept(made) == ["row-0", "row-1"]
    note = pl.read_parquet(made.out / "steps.parquet")["note"][0]
    assert note == "1 rows have no vector, so they were not compared"


def test_a_rank_below_zero_is_refused(run_filter: Filter) -> None:
    rows = [row(0, "a", quality=1.0), row(1, "b", quality=-1.0)]
    with pytest.raises(MethodError, match="row-1 has -1 for 'quality'"):
        run_filter(rows, {"kind": "exact"}, rank_by=["quality"])
