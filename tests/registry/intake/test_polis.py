"""Votes: clusters that were planted are found, noise is not; pairs are made or none is."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import UsageError
from registry.intake import clusters, pairs, polis
from registry.intake.clusters import UNSEEN, cluster, counts, measure, null_ratio, traded
from registry.intake.imports import from_polis
from registry.profile_check import check_tables
from registry.profile_folder import read_profile
from registry.profile_tables import held_out
from registry.strict_yaml import read
from tests.registry.intake.material import published, san_juan_about

COMMENTS = [
    "timestamp", "datetime", "comment-id", "author-id", "agrees", "disagrees", "moderated",
    "comment-body",
]  # fmt: skip
SIDES = np.repeat([0, 1], 150)


def drawn(random: np.random.Generator, shares: np.ndarray, seen: float = 0.8) -> Any:
    """Votes with the given share of agree for each person and statement."""
    values = random.random(shares.shape)
    votes = np.where(values < shares, 1, np.where(values < shares + (1 - shares) / 2, -1, 0))
    return np.where(random.random(shares.shape) < seen, votes, UNSEEN).astype(np.int8)


def planted(random: np.random.Generator, statements: int = 40, gap: float = 0.6) -> Any:
    likes = random.random(statements) < 0.5
    shares = np.where(likes == (SIDES[:, None] == 0), 0.2 + gap, 0.2)
    return drawn(random, shares)


def styles(random: np.random.Generator, statements: int = 40) -> Any:
    """People who differ in how often they agree, and in nothing else."""
    return drawn(random, np.repeat(random.uniform(0.1, 0.9, (300, 1)), statements, axis=1))


def splits(random: np.random.Generator, statements: int = 40) -> tuple[Any, Any]:
    return random.random(statements) < 0.5, random.random(300) < 0.5


def test_trading_keeps_what_people_and_statements_have() -> None:
    random = np.random.default_rng(0)
    votes = planted(random)
    found = traded(votes, random)
    assert np.array_equal(counts(found), counts(votes))
    for value in (1, 0, -1, UNSEEN):
        assert np.array_equal((found == value).sum(1), (votes == value).sum(1))
    assert (found != votes).mean() > 0.1


def test_planted_groups_are_found_and_beat_the_null() -> None:
    random = np.random.default_rng(1)
    votes = planted(random)
    forming, learned = splits(random)
    labels = cluster(votes[:, forming], 2, 0)
    assert max((labels == SIDES).mean(), (labels != SIDES).mean()) > 0.97
    found = measure(votes[:, ~forming], labels, learned)
    _, null = null_ratio(votes, forming, learned, 2, 20, 0)
    assert found.ratio > 4
    assert found.ratio > null


def test_votes_without_any_group_score_one() -> None:
    random = np.random.default_rng(2)
    votes = drawn(random, np.full((300, 40), 0.5))
    forming, learned = splits(random)
    labels = cluster(votes[:, forming], 2, 0)
    assert measure(votes[:, ~forming], labels, learned).ratio == pytest.approx(1, abs=0.25)


def test_people_who_only_agree_more_do_not_beat_the_null() -> None:
    random = np.random.default_rng(3)
    votes = styles(random)
    forming, learned = splits(random)
    labels = cluster(votes[:, forming], 2, 0)
    found = measure(votes[:, ~forming], labels, learned)
    mean, null = null_ratio(votes, forming, learned, 2, 30, 0)
    assert found.ratio > 2  # twice the noise, and yet nothing but a habit
    assert mean > 2
    assert found.ratio < null * 1.05


def test_the_largest_group_comes_first_and_seeds_repeat() -> None:
    random = np.random.default_rng(4)
    votes = planted(random)[60:]
    labels = cluster(votes, 2, 7)
    assert (labels == 0).sum() >= (labels == 1).sum()
    assert np.array_equal(labels, cluster(votes, 2, 7))


def test_more_groups_than_people_can_form() -> None:
    with pytest.raises(UsageError, match="do not fall into 5 groups"):
        cluster(np.ones((30, 10), dtype=np.int8), 5, 0)


def test_compare_by_hand() -> None:
    one = np.array([1] * 60 + [-1] * 40 + [UNSEEN] * 5, dtype=np.int8)
    other = np.array([1] * 20 + [0] * 40 + [-1] * 40 + [1] * 5, dtype=np.int8)
    found = pairs.compare(one, other)
    assert found is not None
    assert (found.mean, found.first, found.second) == (0.4, 40, 0)
    assert found.error == pytest.approx(np.sqrt(0.24 * 100 / 99) / 10)
    assert pairs.compare(one[:49], other[:49]) is None


def test_topics_are_said_by_a_person(tmp_path: Path) -> None:
    path = tmp_path / "topics.csv"
    path.write_text("comment-id,topic\n0,a\n2,a\n3,b\n")
    assert pairs.read_topics(path) == {frozenset(("0", "2"))}
    path.write_text("id,topic\n0,a\n")
    with pytest.raises(UsageError, match="comment-id,topic"):
        pairs.read_topics(path)


def export(folder: Path, votes: Any, groups: list[str] | None = None) -> tuple[Path, Path]:
    """An export with these votes; the last statement is one that moderators rejected."""
    statements = votes.shape[1]
    names = [f"Ferry statement {n} about the ferry number {n}" for n in range(statements)]
    with (folder / "comments.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(COMMENTS)
        for n, name in enumerate(names):
            out.writerow([1, "x", n, n, 0, 0, "-1" if n == statements - 1 else "1", name])
    with (folder / "participants-votes.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["participant", "group-id", "n-comments", "n-votes", "n-agree", "n-disagree",
                      *range(statements)])  # fmt: skip
        for person, row in enumerate(votes):
            shown = ["" if v == UNSEEN else v for v in row]
            group = groups[person] if groups else str(SIDES[person % 300])
            out.writerow([person, group, 0, 0, 0, 0, *shown])
    return folder / "participants-votes.csv", folder / "comments.csv"


def test_clusters_become_profiles(tmp_path: Path, about: Path) -> None:
    votes, comments = export(tmp_path, planted(np.random.default_rng(5)))
    found = from_polis(votes, comments, about, draws=20)
    assert found.separation.usable
    assert found.more["stand_as_exported"] > 0.95
    found.write(tmp_path / "proposals", None, replace=False)
    for number in (1, 2):
        folder = tmp_path / "proposals" / f"town-2024-cluster-{number}"
        profile, problems = read_profile(folder, tmp_path)
        assert profile is not None
        assert problems == []
        assert check_tables(profile) == []
        assert profile.profile.kind == "opinion-cluster"
        assert profile.profile.name == f"opinion cluster {number} of 2, A survey of a town"
        assert "no demographic" in profile.profile.description
        assert "\n39," not in (folder / "opinions.csv").read_text()  # rejected by moderators
    instrument, problems = read(tmp_path / "proposals" / "town-2024.instrument.yaml", "i.yaml")
    assert instrument is not None
    battery = instrument.data["batteries"]["battery-1"]
    assert battery["options"] == ["agree", "disagree", "pass"]
    assert battery["items"]["3"]["author_group"] in ("cluster-1", "cluster-2")
    assert "39" not in battery["items"]


def test_the_instrument_is_one_that_the_questionnaire_method_reads(
    tmp_path: Path, about: Path
) -> None:
    from assets.sources.questionnaire import Instrument, compose
    from registry.strict_yaml import typed

    votes, comments = export(tmp_path, planted(np.random.default_rng(5)))
    found = from_polis(votes, comments, about, draws=20)
    found.write(tmp_path / "proposals", None, replace=False)
    document, _ = read(tmp_path / "proposals" / "town-2024.instrument.yaml", "i.yaml")
    assert document is not None
    instrument, problems = typed(Instrument, document)
    assert problems == []
    assert instrument is not None
    assert len(compose(instrument, 0.2)) == 39 * 4


def test_pairs_are_written_where_topics_are_given(tmp_path: Path, about: Path) -> None:
    votes, comments = export(tmp_path, planted(np.random.default_rng(5), gap=0.7))
    topics = tmp_path / "topics.csv"
    topics.write_text("comment-id,topic\n" + "".join(f"{n},ferry\n" for n in range(39)))
    found = from_polis(votes, comments, about, topics=topics, draws=20)
    found.write(tmp_path / "proposals", None, replace=False)
    for number in (1, 2):
        folder = tmp_path / "proposals" / f"town-2024-cluster-{number}"
        profile, _ = read_profile(folder, tmp_path)
        assert profile is not None
        rows = profile.tables()["preferences.jsonl"].rows
        assert len(rows) == found.more["preference_pairs"][profile.id] > 0
        formed_on = {f"Ferry statement {n} about the ferry number {n}"
                     for n in found.more["formed_on"]}  # fmt: skip
        assert not {text for row in rows for text in (row.chosen, row.rejected)} & formed_on
    assert from_polis(votes, comments, about, draws=20).preferences == {}


def test_habits_alone_are_not_proposed(tmp_path: Path, about: Path) -> None:
    votes, comments = export(tmp_path, styles(np.random.default_rng(6)))
    found = from_polis(votes, comments, about, draws=30)
    assert found.separation.ratio > 2
    assert "do not differ beyond noise" in found.refusal(None)
    agree = [share["agree"] for share in found.more["votes"].values()]
    assert abs(agree[0] - agree[1]) > 0.2  # what the report shows beside the verdict


def split(votes: Any, one: int, other: int) -> tuple[Any, polis.Conversation, polis.Clusters]:
    """A conversation in which only two measured statements are on one topic."""
    statements = tuple(polis.Statement(str(n), f"statement {n}", "", "") for n in range(40))
    people = tuple(map(str, range(300)))
    talk = polis.Conversation(statements, people, votes, ("",) * 300, 0)
    forming = np.array([n not in (one, other) for n in range(40)])
    formed = polis.Clusters(votes, SIDES, np.ones(300, dtype=bool), forming, 2, 0, None, {}, {})
    return {frozenset((str(one), str(other)))}, talk, formed


def alike() -> tuple[int, int]:
    """Two statements on one side of the split of items."""
    side = [n for n in range(40) if not held_out("talk", str(n), pairs.HELD_OUT_SHARE)]
    return side[0], side[1]


@pytest.mark.parametrize(
    ("own", "rest", "made"),
    [
        ((0.8, 0.2), (0.2, 0.8), {0: ("0", "1"), 1: ("1", "0")}),
        ((0.8, 0.2), (0.5, 0.5), {0: ("0", "1")}),
        ((0.8, 0.2), (0.8, 0.2), {}),  # beyond noise, but everybody thinks so
        ((0.5, 0.5), (0.5, 0.5), {}),
    ],
)
def test_pairs_are_made_where_groups_differ_beyond_noise_and_else_none(
    own: tuple[float, float], rest: tuple[float, float], made: dict[int, tuple[str, str]]
) -> None:
    random = np.random.default_rng(7)
    one, other = alike()
    shares = np.full((300, 40), 0.5)
    shares[:150, [one, other]], shares[150:, [one, other]] = own, rest
    topics, talk, formed = split(drawn(random, shares, seen=1), one, other)
    found, looked_at = pairs.preference_pairs(talk, formed, topics, "talk", learning_only=True)
    assert looked_at == 2
    names = {"0": f"statement {one}", "1": f"statement {other}"}
    expected = {g: [(names[chosen], names[not_])] for g, (chosen, not_) in made.items()}
    assert {g: [(p.chosen, p.rejected) for p in ps] for g, ps in found.items() if ps} == expected
    assert all(p.agreement and p.agreement > 0.7 for ps in found.values() for p in ps)
    none, _ = pairs.preference_pairs(talk, formed, set(), "talk", learning_only=True)
    assert not any(none.values())


def test_statements_that_formed_the_groups_and_mixed_items_make_no_pair() -> None:
    random = np.random.default_rng(8)
    one = alike()[0]
    other = next(n for n in range(40) if held_out("talk", str(n), pairs.HELD_OUT_SHARE))
    shares = np.full((300, 40), 0.5)
    shares[:150, one], shares[150:, one] = 0.9, 0.1
    topics, talk, formed = split(drawn(random, shares, seen=1), one, other)
    assert pairs.preference_pairs(talk, formed, topics, "talk", learning_only=True)[1] == 0
    one, other = alike()
    topics, talk, formed = split(drawn(random, shares, seen=1), one, other)
    formed.forming[one] = True
    assert pairs.preference_pairs(talk, formed, topics, "talk", learning_only=True)[1] == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("participants-votes.csv", ",1,1", ",1,yes", "holds the vote 'yes'"),
        ("participants-votes.csv", "\n5,", "\n4,", "has a participant twice"),
        ("participants-votes.csv", "participant,", "person,", "names no column `participant`"),
        ("participants-votes.csv", ",7,", ",seven,", "has no column for statement 7"),
        ("participants-votes.csv", "\n5,", "\n5,,", "cells, not"),
        ("participants-votes.csv", "\n5,", "\n\0,", "holds a NUL byte"),
        ("comments.csv", "\n1,x,7,", "\n1,x,../7,", "has the statement id '../7'"),
        ("comments.csv", "\n1,x,7,", "\n1,x,6,", "has the statement 6 twice"),
        ("comments.csv", "comment-body", "body", "has no column 'comment-body'"),
        ("comments.csv", "statement 7", "statement \u202e7", "turns the direction of writing"),
        ("comments.csv", "statement 7", 'statement "7', "is no CSV"),
    ],
)
def test_broken_exports(
    tmp_path: Path, about: Path, file: str, old: str, new: str, words: str
) -> None:
    votes, comments = export(tmp_path, planted(np.random.default_rng(9)))
    path = tmp_path / file
    text = path.read_text()
    if file == "comments.csv" and words == "is no CSV":
        text = text.replace("Ferry statement 7", '"Ferry statement" 7')
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        from_polis(votes, comments, about, draws=20)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_how_many_groups_must_be_known(tmp_path: Path, about: Path) -> None:
    random = np.random.default_rng(10)
    votes, comments = export(tmp_path, planted(random), groups=[""] * 300)
    with pytest.raises(UsageError, match="say how many groups to form"):
        from_polis(votes, comments, about, draws=20)
    assert len(from_polis(votes, comments, about, clusters=2, draws=20).groups) == 2


def test_big_exports_are_refused(
    tmp_path: Path, about: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes, comments = export(tmp_path, planted(np.random.default_rng(11)))
    (tmp_path / "votes.gz").write_bytes(gzip.compress(votes.read_bytes()))
    monkeypatch.setattr(polis, "MAX_BYTES", 10_000)
    with pytest.raises(UsageError, match="is larger than"):
        from_polis(tmp_path / "votes.gz", comments, about)


def test_san_juan(tmp_path: Path) -> None:
    votes = published("polis_san_juan/participants-votes.csv.gz")
    comments = published("polis_san_juan/statements.csv")
    source = san_juan_about(tmp_path)
    found = from_polis(votes, comments, source, draws=20)
    assert found.separation.usable
    assert found.separation.ratio == pytest.approx(2.96, abs=0.1)
    assert found.separation.null is not None
    assert 1 < found.separation.null < 2
    assert found.more["stand_as_exported"] > 0.9
    assert "--no-held-out" in found.refusal(None)  # 99 people are too few for two halves
    whole = from_polis(votes, comments, source, draws=20, held_out=False)
    assert whole.refusal(None) == ""
    assert [len(group.learning) for group in whole.groups] == [140, 124]


def test_votes_are_measured_where_enough_of_each_half_voted() -> None:
    votes = np.full((80, 3), UNSEEN, dtype=np.int8)
    labels, learned = np.repeat([0, 1], 40), np.tile([True, False], 40)
    votes[:, 0] = 1
    votes[:, 1] = np.where(labels == 0, 1, -1)
    votes[10:, 2] = 1
    found = measure(votes, labels, learned)
    assert found.pairs[0].items == 2
    assert found.pairs[0].distance == pytest.approx(0.5)
    assert clusters.FEWEST_VOTES == 20
