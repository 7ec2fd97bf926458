"""Past attempts side by side: in a table, as lines of characters, as JSON and as a picture."""

from __future__ import annotations

import json
import math
import shutil
import signal
from pathlib import Path

import pytest

from registry.curves import Curve, attempts_of, draw, side_by_side, sparkline
from registry.errors import UsageError
from registry.runs import Door, end_run, start_run
from tests.conftest import Folder


def ran(state: Path, values: dict[int, float], outcome: str = "made", name: str = "loss") -> None:
    run, files = start_run(state, "node", Door())
    files.events.write_text(
        "".join(
            json.dumps({"time": s, "done": s, "total": 10, name: v, "tokens": 30 * s}) + "\n"
            for s, v in values.items()
        )
    )
    end_run(run, files, outcome)  # type: ignore[arg-type]


# A line of characters.


def test_a_falling_line_fills_its_width() -> None:
    curve = Curve(tuple(range(1, 9)), tuple(float(v) for v in range(8, 0, -1)))
    assert sparkline(curve, (1, 8), (1, 8), 8) == "█▇▆▅▄▃▂▁"
    assert sparkline(curve, (1, 8), (1, 8), 4) == "█▆▃▁"


def test_attempts_are_aligned_by_step_and_share_their_scale() -> None:
    late = Curve((5, 6, 7, 8), (0.0, 0.0, 0.0, 4.0))
    assert sparkline(late, (1, 8), (0, 8), 8) == "    ▁▁▁▅"


def test_between_two_points_a_line_goes_on_and_outside_it_is_empty() -> None:
    assert sparkline(Curve((2, 5), (1.0, 0.0)), (1, 8), (0, 1), 8) == " ███▁   "


def test_a_flat_line_and_a_single_point_are_shown() -> None:
    assert sparkline(Curve((1, 2), (3.0, 3.0)), (1, 2), (3, 3), 4) == "▄▄▄ "
    assert sparkline(Curve((1,), (3.0,)), (1, 1), (3, 3), 3) == "▄  "


# Attempts.


def test_attempts_are_numbered_and_keep_their_curves(tmp_path: Path) -> None:
    ran(tmp_path, {1: 3.0, 2: 2.0}, "interrupted")
    ran(tmp_path, {3: 1.0, 4: math.nan, 10: 0.5})
    first, second = attempts_of(tmp_path, "node")
    assert (first.number, second.number) == (1, 2)
    assert first.curves["loss"] == Curve((1, 2), (3.0, 2.0))
    assert second.standing.done == 10
    assert second.tokens_per_second == pytest.approx(30)
    assert attempts_of(tmp_path, "node", last=1) == [second]
    found = side_by_side([first, second])
    assert found == {"loss": {1: Curve((1, 2), (3.0, 2.0)), 2: Curve((3, 10), (1.0, 0.5))}}


def test_a_curve_without_a_number_is_left_out(tmp_path: Path) -> None:
    ran(tmp_path, {1: math.inf})
    assert side_by_side(attempts_of(tmp_path, "node")) == {}


def test_the_picture_lies_curves_over_each_other(tmp_path: Path) -> None:
    for name in ("loss", "reward_match"):
        ran(tmp_path, {1: 3.0, 2: 2.0}, name=name)
    picture = draw("node", attempts_of(tmp_path, "node"))
    assert picture.startswith(b"\x89PNG")
    assert picture == draw("node", attempts_of(tmp_path, "node"))


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    ran(tmp_path, {})
    with pytest.raises(UsageError, match="no attempt has noted a curve"):
        draw("node", attempts_of(tmp_path, "node"))


# `chorus runs`.


def test_a_killed_attempt_stands_beside_the_one_that_went_on(toy: Folder, tmp_path: Path) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 20, seconds: 1, dies_after: 8")
    toy.chorus("make", "words", expect=None)
    toy.chorus("make", "words")
    shutil.rmtree(toy.root / "data" / "words")
    shown = toy.chorus("runs", "words").out.splitlines()
    assert shown[0].split() == [
        "#", "STARTED", "(UTC)", "SECONDS", "DOOR", "STEPS", "LAST", "TOKENS/S", "OUTCOME",
    ]  # fmt: skip
    assert "8/20" in shown[1]
    assert "failed: the method toy-words was killed by signal" in shown[1]
    assert "20/20" in shown[2]
    assert "loss 0.050" in shown[2]
    assert shown[4] == "loss, steps 1 to 20, 0.050 to 1.000"
    first, second = shown[5], shown[6]
    assert first.startswith("   1  █")
    assert second.startswith("   2  " + 16 * " ")
    assert second.endswith("→ 0.050")
    assert all(len(line) <= 80 for line in shown[2:])
    runs = toy.chorus("runs", "words", "--json").json["runs"]
    assert runs[0]["curves"]["loss"]["steps"] == list(range(1, 9))
    assert runs[1]["curves"]["loss"]["values"][-1] == pytest.approx(1 / 20)
    assert [run["number"] for run in runs] == [1, 2]
    picture = tmp_path / "curves.png"
    toy.chorus("runs", "words", "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(toy.chorus("runs", "words", "--last", "1").out.splitlines()) == 5


def test_where_nothing_can_be_shown_or_drawn_it_is_said(toy: Folder) -> None:
    done = toy.chorus("runs", "words")
    assert done.out == ""
    assert "words was never made here; `chorus make words --upstream` makes it" in done.err
    for bad in ("curves.pdf", "nowhere/curves.png", "."):
        refused = toy.chorus("runs", "words", "--plot", bad, expect=2)
        assert f"cannot draw into {bad}" in refused.err
    refused = toy.chorus("runs", "words", "--plot", "curves.png", expect=2)
    assert "no attempt has noted a curve" in refused.err


def test_a_run_that_was_not_closed_is_shown_as_far_as_it_came(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 100, seconds: 60")
    process = toy.start("make", "words")
    events = toy.root / ".chorus" / "runs" / "words"
    while not any(path.stat().st_size for path in events.glob("*.events.jsonl")):
        assert process.poll() is None
    while_it_runs = toy.chorus("runs", "words").out
    assert "running" in while_it_runs
    assert "/100" in while_it_runs
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "died" in toy.chorus("runs", "words").out
