"""Each respondent's own answers as one source of exchangeable samples.

Rows of single people are read where the project keeps them, and stay in the memory of the method
that learns from them: none is written, noted or named in a message. Only people in the half for
learning are taken, and that this half is the right one is proved: its counts must be those of the
profile's own table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from assets.alignment.spectrum_sequences import Process, Sample, written
from assets.option_prompt import ORDERS, arrange
from assets.sources.civic_2020 import learning_half
from assets.sources.questionnaire import UNSEEN
from registry.errors import MethodError, ProblemsError
from registry.hashing import sha256_file
from registry.intake.codebook import Codebook, named_groups, read_about
from registry.intake.estimates import FEWEST_ANSWERS, ROUNDING_BASE, is_learned_from
from registry.intake.tables import opened
from registry.method import SourcePath
from registry.profile_tables import OPINIONS, read_table
from registry.typed import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator

    from registry.context import Context, ProfileView

Half = Literal["learning", "evaluation"]
SUMMARY = "sequences.json"
"""What a model that learned from sequences learned from, in numbers."""


class RowPermission(Frozen):
    """That single people's answers may be learned from, who says so, and of which file."""

    basis: Literal["licence", "consent", "mandate"]
    """On what it rests."""
    statement: str = Field(min_length=20, max_length=700)
    """Where it stands, in a sentence that a reviewer can check."""
    file_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    """The SHA-256 of the file that it covers, as the file lies there."""


class RespondentFile(Frozen):
    """A survey's file with a row for each respondent, and what its columns mean."""

    path: SourcePath
    """CSV, gzipped CSV or Parquet, from the project's root; keep it out of Git."""
    codebook: SourcePath
    """What its columns and codes mean, as `chorus profile import survey` reads it."""
    group: str
    """The column that divides the people."""
    bins: tuple[int, ...] = ()
    """Lowest values of neighbouring bands of a numeric group column; the last is open."""
    id: str | None = None
    """The column that tells people apart; without one, the number of the row does."""
    halves: Literal["import", "shuffle"] = "import"
    """How people were halved: as `chorus profile import` does, by a hash of seed and id, or by one
    shuffle of all ids, as for the profiles by age that come with Chorus."""
    seed: int = 0
    """The seed that the import was given; a shuffle has its own."""
    permission: RowPermission | None = None
    """That these rows may be learned from one by one; without it nothing is read."""


@dataclass(frozen=True)
class Question:
    """One item, in every wording that may be shown, with its options in the survey's order."""

    item: str
    options: tuple[str, ...]
    wordings: tuple[str, ...]


@dataclass(frozen=True)
class Respondent:
    """The option that one person chose, for each item answered."""

    id: str
    chosen: Mapping[str, str]


def require_permission(context: Context, file: RespondentFile) -> None:
    """Raises MethodError unless the file may be read row by row, and is the one that is meant."""
    if file.permission is None:
        raise MethodError(
            f"nothing says that the rows of {file.path} may be learned from one by one",
            where=context.node,
            why="a model can repeat single people's answers; that a survey's figures may be used "
            "does not say that its rows may",
            mend="ask who holds the rights, then declare `permission:` with `basis`, `statement` "
            "and `file_sha256`; or learn from the profile's figures with `opinion-sft`",
        )
    path = context.source(file.path)
    if not path.is_file():
        raise MethodError(
            f"{file.path} is no file",
            where=context.node,
            mend="put the survey's file there; it is not part of the project",
        )
    found = sha256_file(path)
    if found != file.permission.file_sha256:
        raise MethodError(
            f"{file.path} is not the file that its permission names",
            where=context.node,
            why=f"its SHA-256 is {found}, the permission is for {file.permission.file_sha256}",
            mend="put the file there that the permission covers, or have this one permitted",
        )


def questions_of(rows: Sequence[Mapping[str, Any]], *, held_out: bool = False) -> list[Question]:
    """The items of a questionnaire on one side; the wording kept for evaluation is left out."""
    found: dict[str, Question] = {}
    for row in rows:
        if row["held_out"] == held_out and row["wording"] != UNSEEN:
            before = found.get(row["item"])
            wordings = (*(before.wordings if before else ()), row["question"])
            found[row["item"]] = Question(row["item"], tuple(row["options"]), wordings)
    return list(found.values())


def read_people(
    context: Context, file: RespondentFile, questions: Sequence[Question], instrument: str
) -> dict[str, tuple[list[Respondent], list[Respondent]]]:
    """For each group, by its profile's id, the people of the half for learning and of the other.

    Raises:
        MethodError: The file is not of this questionnaire, or its codes are unknown.
        ProblemsError: The codebook is wrong.
        UsageError: The file is no table, or lacks a column.
    """
    require_permission(context, file)
    path, shown = context.source(file.path), file.path
    codebook = read_about(context.source(file.codebook), Codebook)
    if codebook.instrument != instrument:
        raise MethodError(
            f"the codebook is of {codebook.instrument!r}, the questionnaire is {instrument!r}",
            where=context.node,
            mend="name the codebook and the questionnaire of one survey",
        )
    _require_same_options(questions, codebook, file.codebook)
    items = list(codebook.questions)
    wanted = {"g": file.group, **{f"q{n}": item for n, item in enumerate(items)}}
    wanted |= {"i": file.id} if file.id else {}
    with opened(path, wanted) as connection:
        own = "i" if file.id else "CAST(row_number() OVER () AS VARCHAR)"
        columns = ", ".join(["g", *(f"q{n}" for n in range(len(items)))])
        rows = connection.execute(f"SELECT {own}, {columns} FROM raw").fetchall()  # noqa: S608 - our own names
    _require_ids([row[0] for row in rows], file)
    bands = _bands({row[1] for row in rows}, file, codebook)
    values = {band: band if file.bins else f"with {file.group} = {band}" for band in bands.values()}
    named = named_groups(values, codebook, shown, file.group)
    learned = _learning({row[0] for row in rows}, file)
    found: dict[str, tuple[list[Respondent], list[Respondent]]] = {
        one.id: ([], []) for one in named.values()
    }
    for own, group, *codes in sorted(rows, key=lambda row: str(row[0])):
        if group in bands:
            chosen = dict(_chosen(items, codes, codebook, shown))
            found[named[bands[group]].id][0 if learned(own) else 1].append(Respondent(own, chosen))
    return found


def _require_same_options(questions: Sequence[Question], codebook: Codebook, where: str) -> None:
    for question in questions:
        told = codebook.questions.get(question.item)
        if told is not None and tuple(told.options.values()) != question.options:
            raise MethodError(
                f"item {question.item}: the options are not those of the questionnaire",
                where=where,
                why="an answer would be learned as another one",
                mend="write the options in the codebook as in the questionnaire, in its order",
            )


def _learning(ids: set[str], file: RespondentFile) -> Callable[[str], bool]:
    if file.halves == "shuffle":
        return learning_half(ids).__contains__
    return lambda one: is_learned_from(file.seed, one)


def _require_ids(ids: Sequence[str | None], file: RespondentFile) -> None:
    if None in ids or len(set(ids)) != len(ids):
        raise MethodError(
            "does not tell people apart: an id stands twice or is empty",
            where=f"{file.path}, column {file.id}",
            why="one person could stand in both halves",
            mend="name a column that differs in every row",
        )


def _bands(values: set[str | None], file: RespondentFile, codebook: Codebook) -> dict[str, str]:
    """For each value of the group column the band that it falls into, or itself."""
    kept = sorted(v for v in values if v is not None and v not in codebook.missing)
    if not file.bins:
        return {value: value for value in kept}
    names = [f"{low}-{high - 1}" for low, high in pairwise(file.bins)] + [f"{file.bins[-1]}-plus"]
    found = {}
    for value in kept:
        try:
            below = sum(low <= float(value) for low in file.bins)
        except ValueError:
            raise MethodError(
                f"holds a value that is no number, {value[:60]!r}",
                where=f"{file.path}, column {file.group}",
                mend="list it under `missing:` in the codebook, or leave out `bins`",
            ) from None
        if below:
            found[value] = names[below - 1]
    return found


def _chosen(
    items: Sequence[str], codes: Sequence[str | None], codebook: Codebook, shown: str
) -> Iterator[tuple[str, str]]:
    for item, code in zip(items, codes, strict=True):
        if code is None:
            continue
        forms = (code, code.strip(), code.strip().removesuffix(".0"))
        places = [codebook.questions[item].position(form) for form in forms]
        place = next((place for place in places if place is not None), None)
        if place is not None:
            yield item, list(codebook.questions[item].options.values())[place]
        elif not {"", *codebook.missing} & set(forms):
            raise MethodError(
                f"holds the code {code[:60]!r}, which the codebook does not know",
                where=f"{shown}, column {item}",
                mend="list it under `options:` or `missing:`",
            )


def require_half(profile: ProfileView, people: Sequence[Respondent]) -> None:
    """Raises MethodError unless these people are those of the profile's own table.

    Published counts of one to four are rounded to five; an item with merged answers is not looked
    at.
    """
    shown = f"value_profiles/{profile.id}/{OPINIONS.file}"
    table = read_table(profile.table(OPINIONS.file), shown, OPINIONS)
    if table.problems:
        raise ProblemsError(table.problems)
    merged = {row.item for row in table.rows if row.mark == "merged"}
    told: dict[str, Counter[str]] = {}
    for row in table.rows:
        if row.item not in merged:
            told.setdefault(row.item, Counter())[row.option] = row.count
    counted = {
        item: Counter(one.chosen[item] for one in people if item in one.chosen) for item in told
    }
    differ = [
        item
        for item, counts in told.items()
        if counts != Counter({o: _published(n) for o, n in counted[item].items()})
    ]
    if differ or not told:
        raise MethodError(
            f"the people of the half for learning are not those of {profile.id}'s table"
            + (f": {len(differ)} of {len(told)} items are counted otherwise" if told else ""),
            why="people who are kept for evaluation could be learned from",
            mend="name the file, `bins`, `id`, `halves` and `seed` that the profile was made with",
        )


def _published(count: int) -> int:
    return max(count, ROUNDING_BASE) if count else 0


def processes_of(
    name: str | None, people: Sequence[Respondent], questions: Sequence[Question], source: Generator
) -> list[Process]:
    """The answers of each person, each question in a random wording and order of its options."""
    description = describe(name)
    found = []
    for number, person in enumerate(people):
        samples = tuple(
            sample_of(question, person.chosen[question.item], source)
            for question in questions
            if question.item in person.chosen
        )
        if samples:
            found.append(Process(str(number), description, samples))
    return found


def describe(name: str | None) -> str:
    """What a sequence of one person's answers is, and of which group where that is told."""
    group = f" The person is one of: {name}." if name else ""
    return (
        f"The answers of one person to a survey.{group} Each input is a question with its "
        "options, each output is the option that the person chose."
    )


def tells_group(files: Path) -> bool:
    """Whether a model learned, and must be asked, with its people's group in the description.

    A model that did not learn from people is told.
    """
    path = files / SUMMARY
    return not path.is_file() or json.loads(path.read_bytes()).get("tells_group", True)


def sample_of(question: Question, chosen: str, source: Generator) -> Sample:
    """One answer, to the question in a random wording and order of its options."""
    wording = question.wordings[int(source.integers(len(question.wordings)))]
    order = ORDERS[int(source.integers(len(ORDERS)))]
    options = list(arrange(question.options, order))
    return Sample(written({"question": wording, "options": options}), chosen)


def require_enough(profile: ProfileView, people: Sequence[Respondent]) -> None:
    """Raises MethodError where a group is so small that a model of it could point at a person."""
    if len(people) < FEWEST_ANSWERS:
        raise MethodError(
            f"fewer than {FEWEST_ANSWERS} people of {profile.id} are in the half for learning",
            why="a model that learned from few people can point at one of them",
            mend="merge the group with its neighbour",
        )
