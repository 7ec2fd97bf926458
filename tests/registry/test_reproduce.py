"""A release is made again from its sources alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG

DICE = """\
name: dice
description: A model that comes out otherwise each time.
method: toy-dice
inputs: {words: words}
params: {}
contract: []
licence: CC0-1.0
"""
AFTER_DICE = """\
name: parrot-of-dice
description: A copy of the dice for each community.
method: toy-parrot
each: community
inputs: {base: dice}
params: {}
contract: []
licence: CC0-1.0
"""
TOY = ("--override", "A toy: it counts, and answers nobody.", "--by", "maintainer:7")


def test_it_comes_out_as_it_was_recorded(released_toy: Folder) -> None:
    before, scratch = released_toy.snapshot(), released_toy.root.parent / "scratch"
    scratch.mkdir()
    done = released_toy.chorus("reproduce", TAG, TMPDIR=str(scratch))
    assert done.out.startswith("identical: every artifact came out as it was recorded")
    assert sorted(line.split()[:2] for line in done.out.splitlines()[1:]) == sorted(
        ["identical", node] for node in ("words", "letters@age-22-34", NODE)
    )
    assert "packages and code are those of the record: digests must be the same" in done.err
    assert released_toy.snapshot() == before
    assert not list(scratch.iterdir())


def test_it_needs_nothing_but_sources(released_toy: Folder) -> None:
    released_toy.run("rm", "-rf", "data", ".dvc/cache", ".chorus")
    told = released_toy.chorus("reproduce", TAG, "--json").json
    assert told["identical"] is True
    assert told["not_made"] == []


@pytest.fixture
def by_chance(toy: Folder) -> Folder:
    toy.declare("models", DICE)
    toy.declare("models", AFTER_DICE)
    toy.chorus("sync")
    toy.chorus("make", "parrot-of-dice@age-22-34", "--upstream")
    toy.run("git", "add", "--all")
    toy.run("git", "commit", "--quiet", "--message", "made")
    toy.chorus("release", "parrot-of-dice@age-22-34", "--version", "1.0.0", *TOY)
    return toy


def test_it_says_where_it_first_differs_and_by_how_much(by_chance: Folder) -> None:
    tag = "parrot-of-dice/age-22-34@v1.0.0"
    done = by_chance.chorus("reproduce", tag, expect=3)
    lines = done.out.splitlines()
    assert lines[0] == "differs: first in dice"
    assert "1 of 2 tensors differ, by at most" in done.out
    assert "1 rows of the record are not here, and 1 here are not in it" in done.out
    assert " ".join(lines[-1].split()) == (
        "not made parrot-of-dice@age-22-34 an input of it differs"
    )
    by_chance.run("rm", "-rf", "data", ".dvc/cache")
    told = by_chance.chorus("reproduce", tag, "--json", expect=3).json
    (said, _) = next(n for n in told["nodes"] if n["node"] == "dice")["differences"]
    assert "the recorded bytes are not here to say by how much" in said


def test_what_is_not_as_recorded_is_said_first(released_toy: Folder, toy_methods: Path) -> None:
    other = released_toy.root.parent / "methods"
    released_toy.run("cp", "-r", str(toy_methods), str(other))
    source = other / "toy_methods/words.py"
    source.write_text(source.read_text() + "\nMORE = 1\n")
    path = released_toy.env["PYTHONPATH"].replace(str(toy_methods), str(other))
    done = released_toy.chorus("reproduce", TAG, PYTHONPATH=path)
    assert (
        "not as recorded: the code of toy-words is other than that of toy-methods 1.0.0" in done.err
    )


def test_a_permission_that_ended_refuses_it(released_toy: Folder) -> None:
    released_toy.edit("value_profiles/age-22-34/profile.yaml", "expires_on: never",
                      'expires_on: "2026-01-01"')  # fmt: skip
    refused = released_toy.chorus("reproduce", TAG, expect=4).err  # whatever its commit granted
    assert "the permission of age-22-34 expired on 2026-01-01" in refused
    released_toy.run("rm", "-r", "value_profiles/age-22-34")
    assert "age-22-34 is gone" in released_toy.chorus("reproduce", TAG, expect=4).err


def test_what_is_no_release_is_an_error(released_toy: Folder) -> None:
    assert "is no release" in released_toy.chorus("reproduce", NODE, expect=2).err
    missing = released_toy.chorus("reproduce", "count/age-22-34@v9.0.0", expect=2).err
    assert "versions of count/age-22-34: 1.0.0" in missing
