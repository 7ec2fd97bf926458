"""A Polis export: `comments.csv` and `participants-votes.csv`.

The export's own groups were computed from all votes, so that nothing is left to measure them on.
Groups are therefore formed anew on half of the statements; the export's serve to say how many there
are, and how far both agree.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from registry.errors import UsageError
from registry.intake.clusters import AGREE, DISAGREE, PASS, UNSEEN, cluster, counts
from registry.intake.codebook import About, Named
from registry.intake.estimates import Answers, is_learned_from
from registry.intake.group import Group
from registry.profile_tables import check_text

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from registry.intake.clusters import Labels, Votes

OPTIONS = ("agree", "disagree", "pass")
MAX_BYTES = 256 * 1024 * 1024
MAX_CELLS = 50_000_000
"""People times statements; one byte each."""
FEWEST_VOTES = 7
"""People with fewer votes on the forming statements are in no group, as in Polis."""
MOST_CLUSTERS = 8
_REJECTED = "-1"
_VOTES = {"1": AGREE, "1.0": AGREE, "-1": DISAGREE, "-1.0": DISAGREE, "0": PASS, "0.0": PASS,
          "-0.0": PASS, "": UNSEEN}  # fmt: skip
_NAMES = {
    "id": ("comment-id", "id"),
    "text": ("comment-body", "text"),
    "moderated": ("moderated",),
}


@dataclass(frozen=True)
class Statement:
    """One statement that people voted on."""

    id: str
    text: str
    author: str
    """The participant who wrote it; empty where the export does not say."""
    author_group: str
    """The export's group of its author; empty where it does not say."""


@dataclass(frozen=True)
class Conversation:
    """Votes and statements, without what moderators rejected."""

    statements: tuple[Statement, ...]
    participants: tuple[str, ...]
    votes: Votes
    """One row a participant, one column a statement."""
    groups: tuple[str, ...]
    """The export's group of each participant; empty where there is none."""
    rejected: int
    """Statements that moderators rejected."""


@dataclass(frozen=True)
class Clusters:
    """Groups of people who voted alike on the forming statements."""

    votes: Votes
    """The votes of those who are in a group."""
    labels: Labels
    learned: NDArray[numpy.bool_]
    """Whether each of them is in the half for learning."""
    forming: NDArray[numpy.bool_]
    """Which statements formed the groups."""
    count: int
    ungrouped: int
    """People with too few votes."""
    agreement: float | None
    """The share of people whom the export's own groups put together alike."""
    of_export: Mapping[str, int]
    """For each group of the export the cluster that it fits best."""
    of_participant: Mapping[str, int]

    def stand_as_exported(self) -> tuple[str, ...]:
        """How far the export's own groups agree, as a sentence, where it has any."""
        if self.agreement is None:
            return ()
        return (f"{self.agreement:.0%} of people stand as in the export's own groups",)

    def style(self, group: int) -> tuple[float, float]:
        """The share of agree and of pass among a group's votes on the measured statements."""
        agree, disagree, passed = counts(self.votes[self.labels == group][:, ~self.forming]).sum(0)
        total = max(int(agree + disagree + passed), 1)
        return float(agree / total), float(passed / total)


def read_conversation(comments: Path, votes: Path) -> Conversation:
    """Reads an export.

    Raises:
        UsageError: A file is not laid out as Polis exports it.
    """
    statements, rejected = _statements(comments)
    rows = _rows(votes)
    line, header = next(rows, (1, []))
    where = f"{votes}:{line}"
    ids = [s.id for s in statements]
    columns = {name: index for index, name in enumerate(header)}
    if "participant" not in columns or len(columns) != len(header):
        raise UsageError(
            "names no column `participant`, or one column twice",
            where=where,
            mend="give participants-votes.csv as Polis exports it",
        )
    if unknown := [i for i in ids if i not in columns]:
        raise UsageError(
            f"has no column for statement {unknown[0]}",
            where=where,
            mend="give both files of the same export",
        )
    return _voted(rows, columns, statements, rejected, str(votes))


def _voted(
    rows: Iterator[tuple[int, list[str]]],
    columns: Mapping[str, int],
    statements: Sequence[Statement],
    rejected: int,
    where: str,
) -> Conversation:
    import numpy as np

    places = [columns[statement.id] for statement in statements]
    people: list[str] = []
    groups: list[str] = []
    matrix: list[bytes] = []
    for line, row in rows:
        if len(row) != len(columns):
            raise UsageError(
                f"has {len(row)} cells, not {len(columns)}",
                where=f"{where}:{line}",
                mend="give the file as Polis exports it",
            )
        try:
            votes = [_VOTES[row[place].strip()] for place in places]
        except KeyError as error:
            raise UsageError(
                f"holds the vote {error.args[0][:40]!r}",
                where=f"{where}:{line}",
                mend="votes are 1 agree, -1 disagree, 0 pass, or empty",
            ) from None
        if len(matrix) * len(places) > MAX_CELLS:
            raise UsageError(
                f"holds more than {MAX_CELLS:,} votes",
                where=where,
                mend="import the conversation in parts",
            )
        people.append(row[columns["participant"]].strip())
        groups.append(row[columns["group-id"]].strip() if "group-id" in columns else "")
        matrix.append(np.array(votes, dtype=np.int8).tobytes())
    if len(set(people)) != len(people) or "" in people:
        raise UsageError(
            "has a participant twice, or one without an id",
            where=where,
            why="one person could stand in both halves",
            mend="give the file as Polis exports it",
        )
    found = np.frombuffer(b"".join(matrix), dtype=np.int8).reshape(len(people), len(places))
    return Conversation(tuple(statements), tuple(people), found, tuple(groups), rejected)


def _statements(path: Path) -> tuple[list[Statement], int]:
    rows = _rows(path)
    _, header = next(rows, (1, []))
    named: dict[str, int] = {}
    for name, known in _NAMES.items():
        if not (place := [header.index(k) for k in known if k in header]):
            raise UsageError(
                f"has no column {known[0]!r}",
                where=f"{path}:1",
                mend="give comments.csv as Polis exports it",
            )
        named[name] = place[0]
    found: dict[str, Statement] = {}
    rejected = 0
    for line, row in rows:
        if len(row) != len(header):
            raise UsageError(
                f"has {len(row)} cells, not {len(header)}",
                where=f"{path}:{line}",
                mend="put text with commas into double quotes",
            )
        record = dict(zip(header, row, strict=True))
        identity = row[named["id"]].strip()
        if not (identity.isascii() and identity.isdecimal()):
            raise UsageError(
                f"has the statement id {identity[:40]!r}",
                where=f"{path}:{line}",
                mend="Polis numbers statements: 0, 1, 2, ...",
            )
        if identity in found:
            raise UsageError(
                f"has the statement {identity} twice", where=f"{path}:{line}", mend="keep one row"
            )
        if row[named["moderated"]].strip() == _REJECTED:
            rejected += 1
            continue
        text = _plain(row[named["text"]], f"{path}:{line}")
        found[identity] = Statement(
            identity,
            text,
            record.get("author-id", "").strip(),
            record.get("author_group", "").removesuffix(".0"),
        )
    if not found:
        raise UsageError(
            "holds no statement that moderators let stand",
            where=str(path),
            mend="give comments.csv as Polis exports it",
        )
    return sorted(found.values(), key=lambda statement: int(statement.id)), rejected


def _plain(text: str, where: str) -> str:
    """A statement in one line, without what a spreadsheet would run."""
    try:
        return check_text(" ".join(text.split()).lstrip("=+-@ "))
    except ValueError as error:
        raise UsageError(
            f"a statement {error}",
            where=where,
            why="people, models and spreadsheets read it",
            mend="mend it",
        ) from None


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row of a CSV file, plain or gzipped, with its line."""
    if not path.is_file():
        raise UsageError("is no file", where=str(path), mend="give a file of the Polis export")
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    try:
        with cast("io.BufferedReader", gzip.open(path) if zipped else path.open("rb")) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error
    if len(raw) > MAX_BYTES:
        raise UsageError(
            f"is larger than {MAX_BYTES // 2**20} MiB",
            where=str(path),
            mend="import the conversation in parts",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(
            "is not UTF-8 text", where=f"{path}:{line}", mend="save it as UTF-8"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError("holds a NUL byte", where=f"{path}:{line}", mend="remove it")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(
            f"is no CSV: {error}",
            where=f"{path}:{reader.line_num}",
            mend="check the quotes on this line",
        ) from None


def forms_groups(seed: int, statement: str) -> bool:
    """Whether a statement is in the half that forms groups: a function of its id alone."""
    return hashlib.sha256(f"forming:{seed}:{statement}".encode()).hexdigest() < "8"


def form_clusters(talk: Conversation, count: int | None, seed: int) -> Clusters:
    """Puts people into groups by their votes on half of the statements.

    Args:
        talk: The conversation.
        count: How many groups; as many as the export has where left out.
        seed: Of the splits and of k-means.

    Raises:
        UsageError: The export names no groups, and neither does `count`.
    """
    import numpy as np

    wanted = count or len(set(talk.groups) - {""})
    if not 1 < wanted <= MOST_CLUSTERS:
        raise UsageError(
            f"names {wanted} groups, not between 2 and {MOST_CLUSTERS}",
            where="--clusters" if count else "participants-votes.csv, column group-id",
            mend="say how many groups to form, like --clusters 2",
        )
    forming = np.array([forms_groups(seed, s.id) for s in talk.statements])
    enough = (talk.votes[:, forming] != UNSEEN).sum(axis=1) >= FEWEST_VOTES
    if enough.sum() <= wanted:
        raise UsageError(
            "has too few people with votes",
            where="participants-votes.csv",
            why=f"a person needs {FEWEST_VOTES} votes on half of the statements",
            mend="wait for more votes",
        )
    votes = talk.votes[enough]
    labels = cluster(votes[:, forming], wanted, seed)
    people = [p for p, kept in zip(talk.participants, enough, strict=True) if kept]
    exported = [g for g, kept in zip(talk.groups, enough, strict=True) if kept]
    fits, agreement = _fits(exported, labels, wanted)
    return Clusters(
        votes,
        labels,
        np.array([is_learned_from(seed, person) for person in people]),
        forming,
        wanted,
        int((~enough).sum()),
        agreement,
        fits,
        dict(zip(people, map(int, labels), strict=True)),
    )


def _fits(
    exported: Sequence[str], labels: Labels, count: int
) -> tuple[dict[str, int], float | None]:
    """Which cluster each group of the export fits best, and for how many people that is right."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    names = sorted(set(exported) - {""})
    if not names:
        return {}, None
    table = np.zeros((len(names), count), dtype=int)
    for name, label in zip(exported, labels, strict=True):
        if name:
            table[names.index(name), label] += 1
    rows, columns = linear_sum_assignment(-table)
    right = table[rows, columns].sum() / table.sum()
    return {names[r]: int(c) for r, c in zip(rows, columns, strict=True)}, float(right)


def author_groups(talk: Conversation, found: Clusters) -> dict[str, str]:
    """For each statement the cluster of its author, where it is known."""
    groups: dict[str, str] = {}
    for statement in talk.statements:
        number = found.of_participant.get(statement.author)
        if number is None:
            number = found.of_export.get(statement.author_group)
        if number is not None:
            groups[statement.id] = f"cluster-{number + 1}"
    return groups


def groups_of(
    talk: Conversation, found: Clusters, about: About, *, held_out: bool
) -> tuple[Group, ...]:
    """The clusters as groups, named as clusters and never as who their people might be."""
    groups = []
    for number in range(found.count):
        inside = found.labels == number
        halves = [inside & found.learned, inside & ~found.learned] if held_out else [inside]
        answers = [_answers(talk, found.votes[half]) for half in halves]
        named = Named(
            id=f"{about.instrument}-cluster-{number + 1}",
            name=f"opinion cluster {number + 1} of {found.count}, {about.title}"[:100],
        )
        people = [int(half.sum()) for half in halves] + [0]
        groups.append(
            Group(named, (people[0], people[1]), answers[0], answers[1] if held_out else None)
        )
    return tuple(groups)


def _answers(talk: Conversation, votes: Votes) -> dict[str, Answers]:
    table = counts(votes).tolist()
    return {
        statement.id: Answers(tuple(row), tuple(map(float, row)), float(sum(row)))
        for statement, row in zip(talk.statements, table, strict=True)
        if sum(row)
    }
