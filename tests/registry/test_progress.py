"""How far and how fast, from what a method notes; and reading on in a file that is written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from registry.progress import Follower, Pace, Standing, as_figure, clock
from registry.runs import MOST_POINTS, Door, EventTail, RunFiles, end_run, read_events, start_run


def event(when: float, done: int, total: int = 100, **values: float) -> dict[str, Any]:
    return {"time": when, "done": done, "total": total, **values}


def heard(*events: dict[str, Any]) -> Pace:
    pace = Pace()
    for one in events:
        pace.hear(one)
    return pace


# Speed and time left.


def test_steady_steps_leave_what_is_left_of_them() -> None:
    pace = heard(*(event(2.0 * n, n, tokens=300 * n, loss=1 / n) for n in range(1, 11)))
    standing = pace.standing(now=20.0)
    assert (standing.done, standing.total) == (10, 100)
    assert standing.seconds_left == pytest.approx(180)
    assert standing.tokens_per_second == pytest.approx(150)
    assert standing.figure == "loss 0.100"
    assert str(standing) == "10 of 100, loss 0.100, 150 tokens/s, 3:00 left"


def test_time_goes_on_between_two_notes_and_never_below_nothing() -> None:
    pace = heard(*(event(2.0 * n, n, total=20) for n in range(11)))
    assert pace.standing(now=21.0).seconds_left == pytest.approx(19)
    assert pace.standing(now=999.0).seconds_left == 0
    assert pace.standing(now=3.0).seconds_left == pytest.approx(20), "a clock that was set back"


def test_a_slow_beginning_is_forgotten() -> None:
    slow = [event(60.0 * n, n) for n in range(5)]
    quick = [event(240 + n, 4 + n) for n in range(1, 51)]
    assert heard(*slow, *quick).standing(now=290.0).seconds_left == pytest.approx(46, abs=1)


def test_slow_steps_are_measured_over_several_of_them() -> None:
    pace = heard(*(event(100.0 * n, n, total=10) for n in range(6)))
    assert pace.standing(now=500.0).seconds_left == pytest.approx(500)


def test_a_second_part_is_measured_anew() -> None:
    first = [event(n, n, total=10) for n in range(11)]
    pace = heard(*first, event(20, 0, total=40), event(24, 1, total=40))
    assert pace.standing(now=24.0).seconds_left == pytest.approx(156)


def test_one_note_tells_no_speed() -> None:
    standing = heard(event(5.0, 3, tokens=100)).standing(now=5.0)
    assert (standing.seconds_left, standing.tokens_per_second) == (None, None)
    assert str(standing) == "3 of 100"
    assert str(Pace().standing()) == "started"


def test_a_resumed_attempt_counts_only_its_own_tokens() -> None:
    pace = heard(event(0.0, 50, tokens=5000), event(10.0, 51, tokens=5100))
    assert pace.standing(now=10.0).tokens_per_second == pytest.approx(10)


def test_a_speed_that_the_method_measured_is_taken() -> None:
    standing = heard(event(0.0, 1, tokens_per_second=42.0)).standing(now=0.0)
    assert (standing.tokens_per_second, standing.figure) == (42.0, "")


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({"accuracy": 0.5, "loss": 1.25}, "loss 1.250"),
        ({"reward_format": 1.0, "reward": 0.25}, "reward 0.250"),
        ({"reward_match": -0.5}, "reward_match -0.500"),
        ({"inertia": 123456.0}, "inertia 123,456"),
        ({"loss": float("nan")}, "loss nan"),
        ({}, ""),
    ],
)
def test_the_figure_that_says_most(figures: dict[str, float], shown: str) -> None:
    assert Standing(1, 2, figures).figure == shown


def test_times_and_figures_are_short() -> None:
    assert [clock(s) for s in (0, 59.6, 75, 3599.6, 3725)] == [
        "0:00", "1:00", "1:15", "1:00:00", "1:02:05",
    ]  # fmt: skip
    assert [as_figure(v) for v in (0.12345, -999.9994, 1234567.0)] == [
        "0.123", "-999.999", "1,234,567",
    ]  # fmt: skip


# Reading on in a file.


def test_a_tail_reads_each_event_once_and_waits_for_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert list(tail.read()) == []
    first, second = (json.dumps(event(n, n)) for n in (1, 2))
    path.write_text(first + "\n" + second[:9])
    assert [one["done"] for one in tail.read()] == [1]
    assert list(tail.read()) == []
    with path.open("a") as stream:
        stream.write(second[9:] + "\n")
    assert [one["done"] for one in tail.read()] == [2]
    tail.close()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "\0\0\0",
        "[1, 2]",
        '{"done": 1}',
        '{"time": 1, "done": "1", "total": 2}',
        '{"time": 1, "done": true, "total": 2}',
        '{"time": 1, "done": 1, "total": 2, "loss": "\\u001b[2J"}',
        '{"time": 1, "done": 1, "total": 2, "loss": {"deep": 1}}',
    ],
)
def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    good = json.dumps(event(1, 1))
    path.write_text(f"{good}\n{line}\n{good}\n")
    assert len(list(read_events(path))) == 2
    path.write_bytes(b"\xff\xfe\n" + good.encode() + b"\n")
    assert len(list(read_events(path))) == 1


# What is kept.


def test_curves_outlive_the_attempt_in_a_bounded_size(tmp_path: Path) -> None:
    run, files = start_run(tmp_path, "node", Door())
    files.events.write_text(
        "".join(
            json.dumps(event(n, n, 9000, loss=n) | ({"rare": n} if n % 100 == 0 else {})) + "\n"
            for n in range(9000)
        )
    )
    with_tail = EventTail(files.events)
    next(with_tail.read())
    end_run(run, files, "made")
    kept = list(read_events(files.events))
    assert MOST_POINTS <= len(kept) <= MOST_POINTS + 90
    assert [kept[0]["done"], kept[-1]["done"]] == [0, 8999]
    assert [one["done"] for one in kept] == sorted(one["done"] for one in kept)
    assert sum("rare" in one for one in kept) == 90, "a curve with few points keeps them all"
    with_tail.close()


def test_short_events_are_left_as_they_are(tmp_path: Path) -> None:
    run, files = start_run(tmp_path, "node", Door())
    files.events.write_text("nonsense\n" + json.dumps(event(1, 1)) + "\n")
    before = files.events.read_bytes()
    end_run(run, files, "failed")
    assert files.events.read_bytes() == before


# Following.


def test_a_follower_tells_of_several_nodes_until_each_is_left(tmp_path: Path) -> None:
    told: dict[str, list[Standing]] = {"a": [], "b": []}
    with Follower(lambda node, standing: told[node].append(standing), 0.01) as follower:
        for name in told:
            files = RunFiles(tmp_path, name)
            follower.follow(name, files)
            files.events.write_text(json.dumps(event(time.time(), 7)) + "\n")
        deadline = time.monotonic() + 10
        while not all(found and found[-1].done == 7 for found in told.values()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        follower.leave("a")
        follower.leave("never followed")
        before = len(told["a"])
        after = len(told["b"])
        while len(told["b"]) < after + 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(told["a"]) == before
