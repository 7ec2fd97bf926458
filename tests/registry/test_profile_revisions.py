"""Two published revisions differ by nobody, or by at least ten people: known answers."""

from __future__ import annotations

import pytest

from registry.profile_folder import read_profile
from registry.profile_revisions import differences, too_near
from registry.profile_tables import OPINIONS, parse_table
from tests.conftest import Folder
from tests.registry.proposals import ID, propose

HEAD = "item,option,position,count,share,n,n_effective,mark\n"


def table(*cells: tuple[str, str, int, int]) -> str:
    rows = [f"{item},{option},1,{count},0.5,{n},{n},rounded" for item, option, count, n in cells]
    return HEAD + "\n".join(rows) + "\n"


def rows(*cells):
    return parse_table(table(*cells).encode(), "opinions.csv", OPINIONS).rows


OLD = (("q1", "Yes", 60, 100), ("q1", "No", 40, 100))


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, []),
        ((("q1", "Yes", 61, 101), ("q1", "No", 40, 101)),
         ["item q1: 1 more people answered", "item q1: 1 more people chose 'Yes'"]),
        ((("q1", "Yes", 69, 109), ("q1", "No", 40, 109)),
         ["item q1: 9 more people answered", "item q1: 9 more people chose 'Yes'"]),
        ((("q1", "Yes", 70, 110), ("q1", "No", 40, 110)), []),
        ((("q1", "Yes", 50, 90), ("q1", "No", 40, 90)), []),
        ((("q1", "Yes", 55, 100), ("q1", "No", 45, 100)),
         ["item q1: 5 more people chose 'No'", "item q1: 5 fewer people chose 'Yes'"]),
        ((("q1", "Yes", 60, 120), ("q1", "No", 55, 120), ("q1", "Unsure", 5, 120)),
         ["item q1: 5 more people chose 'Unsure'"]),
        ((("q2", "Yes", 60, 101), ("q2", "No", 41, 101)), []),
        ((), []),
    ],
    ids=["the same", "one", "nine", "ten", "ten fewer", "moved between options", "a new option",
         "another question", "gone"],
)  # fmt: skip
def test_a_difference_of_one_to_nine_people_is_named(new, said):
    assert sorted(differences(rows(*OLD), rows(*new))) == sorted(said)


def test_it_looks_at_what_stands_and_at_what_git_still_has(toy: Folder) -> None:
    standing = toy.root / "value_profiles" / ID
    standing.mkdir()
    for count in (60, 75):
        (standing / "opinions.csv").write_text(table(("q1", "Yes", count, count + 40)))
        toy.run("git", "add", "--all")
        toy.run("git", "commit", "--quiet", "--message", "test")
    folder = propose(toy.root)
    (folder / "content/opinions.csv").write_text(table(("q1", "Yes", 62, 102)))
    profile, _ = read_profile(folder, toy.root)
    assert profile is not None
    found = [problem.what for problem in too_near(toy.root, profile)]
    assert len(found) == 2
    assert all("what commit" in what and "2 more people" in what for what in found)
    (folder / "content/opinions.csv").write_text(table(("q1", "Yes", 90, 130)))
    assert not list(too_near(toy.root, profile))
    (folder / "content/opinions.csv").write_text(table(("q1", "Yes", 76, 116)))
    assert "the revision that stands" in next(iter(too_near(toy.root, profile))).what
    said = toy.chorus("profile", "check", ID, expect=1).out
    assert "1 more people answered than in the revision that stands" in said
