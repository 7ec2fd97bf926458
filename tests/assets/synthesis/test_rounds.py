"""Rounds on planted clusters: what is kept, what the numbers say, and that a killed run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

from assets.synthesis.candidates import Candidate, Plan, new_row
from assets.synthesis.embedding import SHARD_ROWS, embed_rows
from assets.synthesis.rounds import NOT_SPARSE, Figures, Grown, RoundParams, grow
from registry.errors import MethodError
from tests.assets.synthesis.scripted import Directions

SIZES = {0: 90, 1: 9, 2: 1}


def planted(sizes: dict[int, int] = SIZES) -> list[dict[str, Any]]:
    """A pool of rows in known directions, one of each direction first."""
    places = [*sizes, *(place for place, size in sizes.items() for _ in range(size - 1))]
    return [
        {"row_id": f"row-{n}", "prompt": f"{place} at {n}", "completion": "x",
         "community": None, "task": None}
        for n, place in enumerate(places)
    ]  # fmt: skip


def place_of(row: Any) -> int:
    return int(row["prompt"].split()[0])


class Repeater:
    """Writes a candidate in each direction for each plan, whatever it is shown."""

    def __init__(self, places: Sequence[int] = (0, 1, 2), fail_in: str = "") -> None:
        self.places, self.fail_in = places, fail_in
        self.shown: list[list[int]] = []

    def write(self, plans: Sequence[Plan], folder: Path, progress: Any) -> list[Candidate]:
        if self.fail_in and plans[0].id.startswith(self.fail_in):
            raise MethodError("the power went")
        self.shown += [[place_of(row) for row in plan.examples] for plan in plans]
        found = []
        for plan in plans:
            for part, place in enumerate(self.places):
                text = f"{place} new {plan.id} {part}"
                row = new_row(plan, "t", part, plan.examples, prompt=text, completion="y",
                              source="synthetic:t")  # fmt: skip
                found.append(Candidate(row, text))
        return found

    def describe(self) -> dict[str, Any]:
        return {}


def grown(
    folder: Path, writer: Any = None, rows: Any = None, embedder: Any = None, **given: Any
) -> Grown:
    settings = {"rounds": 1, "requests": 2, "cluster_share": 0.03, "seeding": "first-k", **given}
    return grow(
        rows or planted(),
        RoundParams(**settings),
        3,
        writer or Repeater(),
        embedder or Directions(place_of),
        folder,
        0,
        lambda _: lambda *_: None,
        lambda _: None,
    )


def kept_places(found: Grown) -> list[int]:
    return [place_of(row) for row in found.pool.rows[found.first :]]


def test_of_planted_clusters_the_dense_one_is_left_out_and_the_rare_kept(tmp_path: Path) -> None:
    found = grown(tmp_path, ratio=0.5, ties="strictly below")
    (figures,) = found.figures
    assert (figures.sizes, figures.threshold) == ((1, 9, 90), 9)
    assert kept_places(found) == [2, 2]
    at_most = grown(tmp_path / "b", ratio=0.5, ties="at most")
    assert kept_places(at_most) == [1, 2, 1, 2]
    dense = [c for c in at_most.candidates if c.reason]
    assert {(c.reason, c.score) for c in dense} == {(NOT_SPARSE, 90.0)}
    rows = {row["row_id"]: row for row in planted()}
    assert {place_of(rows[c.caused_by]) for c in dense if c.caused_by} == {0}


def test_of_equal_clusters_all_is_kept(tmp_path: Path) -> None:
    for ties in ("at most", "strictly below"):
        found = grown(
            tmp_path / ties, rows=planted({0: 5, 1: 5, 2: 5}), cluster_share=0.2, ties=ties
        )
        assert sorted(kept_places(found)) == [0, 0, 1, 1, 2, 2]
        assert found.figures[0].all_accepted == (ties == "strictly below")


def test_ties_at_the_bottom_accept_the_dense_cluster_only_as_published(tmp_path: Path) -> None:
    rows = planted({0: 90, 1: 1, 2: 1, 3: 1})
    strict = grown(tmp_path / "a", rows=rows, cluster_share=0.05, ties="strictly below")
    assert strict.figures[0].sizes == (1, 1, 1, 90)
    assert 0 in kept_places(strict)
    most = grown(tmp_path / "b", rows=rows, cluster_share=0.05, ties="at most")
    assert kept_places(most) == [1, 2, 1, 2]


def test_a_ratio_of_one_keeps_everything(tmp_path: Path) -> None:
    assert len(kept_places(grown(tmp_path, ratio=1.0))) == 6


def test_examples_come_from_one_thin_cluster(tmp_path: Path) -> None:
    writer = Repeater()
    grown(tmp_path, writer, requests=20, selector="sparse cluster", sparse_share=0.67)
    assert all(len(set(shown)) == 1 for shown in writer.shown)
    assert {shown[0] for shown in writer.shown} == {1, 2}
    assert {len(shown) for shown in writer.shown} == {1, 3}
    even = Repeater()
    grown(tmp_path / "even", even, requests=20, selector="even")
    assert sum(place == 0 for shown in even.shown for place in shown) > 40


def test_figures_of_each_round_follow_from_what_was_kept(tmp_path: Path) -> None:
    found = grown(tmp_path, rounds=3, requests=4)
    one, two, three = found.figures
    assert [f.round for f in found.figures] == [1, 2, 3]
    assert two.pool == one.pool + one.kept
    assert three.pool == two.pool + two.kept
    assert len(found.pool.rows) == three.pool + three.kept == len(found.pool.vectors)
    assert sum(one.sizes) == one.pool == 100
    assert one.candidates == one.verified == 12
    assert {row["round"] for row in found.pool.rows[100:]} == {1, 2, 3}
    # rare directions gain, so that thin places raise the score more than chance does
    assert one.g_vendi < two.g_vendi < three.g_vendi
    assert one.g_vendi > one.g_vendi_random
    assert three.g_vendi_first_size == pytest.approx(three.g_vendi, rel=0.15)


def test_a_candidate_of_an_earlier_round_is_not_kept_again(tmp_path: Path) -> None:
    class Same(Repeater):
        def write(self, plans: Sequence[Plan], folder: Path, progress: Any) -> list[Candidate]:
            found = super().write(plans, folder, progress)
            return [Candidate({**c.row, "prompt": "2 again"}, "2 AGAIN ") for c in found]

    found = grown(tmp_path, Same(), rounds=2)
    assert len(kept_places(found)) == 1
    assert [f.verified for f in found.figures] == [1, 0]
    repeats = [c for c in found.candidates if c.reason == "its question came before"]
    assert {c.caused_by for c in repeats} == {found.pool.rows[-1]["row_id"]}


def test_a_run_that_was_stopped_between_rounds_goes_on_to_the_same(tmp_path: Path) -> None:
    whole = grown(tmp_path / "whole", rounds=3)
    with pytest.raises(MethodError, match="the power went"):
        grown(tmp_path / "cut", Repeater(fail_in="round-003"), rounds=3)
    embedder = Directions(place_of)
    found = grown(tmp_path / "cut", embedder=embedder, rounds=3)
    assert found.figures == whole.figures
    assert found.pool.rows == whole.pool.rows
    assert numpy.array_equal(found.pool.vectors, whole.pool.vectors)
    assert embedder.embedded == 6  # the candidates of the last round alone


def test_rows_without_a_vector_are_left_out_with_the_reason(tmp_path: Path) -> None:
    rows = planted()
    rows[5]["completion"] = ""
    found = grown(tmp_path, rows=rows)
    assert found.first == 99
    (out,) = [c for c in found.candidates if c.reason == "empty completion"]
    assert (out.row["row_id"], out.caused_by) == ("row-5", "row-5")
    for row in rows:
        row["completion"] = ""
    with pytest.raises(MethodError, match="no row of the pool has a vector: empty completion"):
        grown(tmp_path / "none", rows=rows)


def test_shards_that_are_missing_or_not_whole_are_made_again(tmp_path: Path) -> None:
    rows = planted({0: 2 * SHARD_ROWS + 10, 1: 3})
    embedder = Directions(place_of)
    expected, reasons = embed_rows(embedder, rows, tmp_path)
    assert reasons == [None] * len(rows)
    assert numpy.allclose(numpy.linalg.norm(expected, axis=1), 1, atol=1e-6)
    assert embedder.embedded == len(rows)
    for damage in (b"", b"\x93NUMPY\x01\x00", (tmp_path / "00002.npy").read_bytes()):
        (tmp_path / "00000.npy").write_bytes(damage)
        (tmp_path / "00001.npy").unlink()
        again = Directions(place_of)
        found, _ = embed_rows(again, rows, tmp_path)
        assert again.embedded == 2 * SHARD_ROWS
        assert numpy.array_equal(found, expected)


def test_vectors_that_are_no_numbers_are_a_reason_and_no_crash(tmp_path: Path) -> None:
    class Broken(Directions):
        def embed(self, rows: Sequence[Any]) -> Any:
            found = super().embed(rows)
            found[1], found[2] = numpy.nan, 0
            return found * 1e30  # longer than float16 counts

    vectors, reasons = embed_rows(Broken(place_of), planted()[:4], tmp_path)
    assert reasons == [None, *["gradient is zero or not finite"] * 2, None]
    assert not vectors[1:3].any()
    assert numpy.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)


def test_no_candidates_leave_the_pool_as_it_was(tmp_path: Path) -> None:
    found = grown(tmp_path, Repeater(places=()), rounds=2)
    assert [f.kept for f in found.figures] == [0, 0]
    assert isinstance(found.figures[0], Figures)
    assert found.figures[0].g_vendi == found.figures[0].g_vendi_random
