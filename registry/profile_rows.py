"""What only several rows or several tables of a profile show to be wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from registry.errors import Place, Problem
from registry.message import Message, about
from registry.profile_folder import Profile, shape_of
from registry.profile_tables import SHAPES, Read
from registry.profile_tests import Marked

Tables = Mapping[str, Read[Any]]
Rule = Callable[[Profile, Tables], Iterator[Problem]]
TOO_FEW = "holds {count} examples"
"""The template of a message about a table of examples as a whole."""
EXAMPLES = 5
"""How many examples a community that describes itself gives at least."""
FEW = 5
"""Fewer people than this could be named by a count."""
TOLERANCE = 1e-4
_NO_TEXT = frozenset({"id", "author", "foundations", "values", "item"})
"""Columns that hold names of things, not words of the community."""


def texts(row: Any) -> Iterator[tuple[str, str]]:
    """The words of a row that a model could read, by column."""
    for name in type(row).model_fields:
        value = getattr(row, name)
        if name not in _NO_TEXT and isinstance(value, str):
            yield name, value


def lines(tables: Tables, name: str) -> Iterator[tuple[int, Any]]:
    """The rows of a table, each with its line; none where the table is not there."""
    if name in tables:
        yield from zip(tables[name].lines, tables[name].rows, strict=True)


def _at(profile: Profile, name: str, line: int, what: str, mend: str) -> Problem:
    return Problem(Place(profile.shown(name), line), what, mend)


def _values_are_there(profile: Profile, tables: Tables) -> Iterator[Problem]:
    known = {row.id for _, row in lines(tables, "values.csv")}
    for name in ("guidance.csv", "examples.jsonl"):
        for line, row in lines(tables, name):
            for value in row.values:
                if value not in known:
                    what = about("values", Message("no value has the id {id!r}", id=value))
                    yield _at(profile, name, line, what, Message("name an id from values.csv"))


def _examples_suffice(profile: Profile, tables: Tables) -> Iterator[Problem]:
    name = "examples.jsonl"
    examples = tables.get(name)
    few = EXAMPLES - _taken_back(profile, name)
    if profile.profile.described_by_itself and examples and len(examples.rows) < few:
        what = Message(TOO_FEW, count=len(examples.rows))
        yield _at(profile, name, 1, what, Message("write at least {count}", count=few))


def _taken_back(profile: Profile, table: str) -> int:
    """How many rows of a table members took back: what is left need not be as many as before."""
    return sum(name == table for name, _ in profile.life.left())


def _off_limits(profile: Profile, tables: Tables) -> Iterator[Problem]:
    """Rows that touch a topic on which the profile itself forbids to generate."""
    pattern = _pattern(profile)
    if pattern is None:
        return
    for shape in SHAPES:
        for line, row in lines(tables, shape.file):
            said = " ".join(text for _, text in texts(row))
            if found := pattern.search(_folded(said)):
                mend = Message("leave the row out, or narrow the topic")
                yield _at(profile, shape.file, line, touches(found[0]), mend)


def touches(term: str) -> Message:
    """What is said of text that touches a topic which is off limits."""
    return Message("touches {term!r}, which is off limits", term=term)


def forbidden(profile: Profile, marked: Marked) -> str:
    """The words of a marked answer that touch a topic which is off limits; nothing where none."""
    pattern = _pattern(profile)
    said = [marked.question, *marked.options, marked.wrong, marked.better or "", marked.why]
    found = pattern.search(_folded(" ".join(said))) if pattern else None
    return found[0] if found else ""


def _pattern(profile: Profile) -> re.Pattern[str] | None:
    terms = [t for topic in profile.profile.off_limits for t in topic.terms if t.strip()]
    either = "|".join(re.escape(_folded(term)) for term in terms)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)") if terms else None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _not_empty(profile: Profile, tables: Tables) -> Iterator[Problem]:
    for shape in SHAPES:
        read = tables.get(shape.file)
        needed = read is not None and profile.profile.kind in shape.required
        taken = _taken_back(profile, shape.file)
        if read and needed and not read.rows and not read.problems and not taken:
            mend = Message("add at least one")
            yield _at(profile, shape.file, 1, Message("has no rows"), mend)


def _opinions(profile: Profile, tables: Tables) -> Iterator[Problem]:
    """Items whose rows contradict each other."""
    for name in ("opinions.csv", "evaluation/opinions.csv"):
        items: dict[str, list[tuple[int, Any]]] = {}
        for line, row in lines(tables, name):
            items.setdefault(row.item, []).append((line, row))
        for item, found in items.items():
            for line, what, mend in _of_an_item(found):
                said = Message("item {item}: {what}", item=item, what=what)
                yield _at(profile, name, line, said, mend)


def _of_an_item(found: list[tuple[int, Any]]) -> Iterator[tuple[int, Message, Message]]:
    line, first = found[0]
    options = [row.option for _, row in found]
    if len(set(options)) != len(options):
        yield line, Message("an option stands twice"), Message("keep one row")
    if sorted(row.position for _, row in found) != list(range(1, len(found) + 1)):
        what = Message("positions are not 1 to {count}", count=len(found))
        yield line, what, Message("number the options in their order")
    if len({(row.n, row.n_effective) for _, row in found}) > 1:
        what = Message("n differs between its rows")
        yield line, what, Message("it counts those who answered the item")
    total = sum(row.count for _, row in found)
    rounded = any(row.mark for _, row in found)
    if total != first.n and not rounded:
        what = Message("counts sum to {total}, n is {n}", total=total, n=first.n)
        yield line, what, Message("n is the number of people who answered")
    share = sum(row.share for _, row in found)
    if abs(share - 1) > TOLERANCE:
        what = Message("shares sum to {share}", share=f"{share:.4f}")
        yield line, what, Message("shares of an item sum to 1")
    for at, row in found:
        if 0 < row.count < FEW:
            what = Message("{count} people chose {option!r}; it could name them",
                           count=row.count, option=row.option)  # fmt: skip
            mend = Message("write 5 and mark it `rounded`, or merge it into its neighbour")
            yield at, what, mend


def _same_options(profile: Profile, tables: Tables) -> Iterator[Problem]:
    """Items that the table for learning and the one for evaluation do not show alike."""
    learning, held = (
        {(row.item, row.option, row.position) for _, row in lines(tables, name)}
        for name in ("opinions.csv", "evaluation/opinions.csv")
    )
    both = {item for item, *_ in learning} & {item for item, *_ in held}
    for item, option, _ in sorted(learning ^ held):
        if item in both:
            different = Message("{option!r} is not the same in both tables", option=option)
            what = Message("item {item}: {what}", item=item, what=different)
            mend = Message("list the same options in the same order")
            yield _at(profile, "evaluation/opinions.csv", 1, what, mend)


def _came_back(profile: Profile, tables: Tables) -> Iterator[Problem]:
    """Rows that a member took back and that stand there again."""
    left = profile.life.left()
    for name in tables if left else ():
        shape = shape_of(name)
        for line, row in lines(tables, name):
            if event := left.get((name.removeprefix("evaluation/"), shape.identity(row))):
                what = Message("{row!r} was taken back on {day} by a member",
                               row=shape.identity(row), day=event.on)  # fmt: skip
                mend = Message("leave it out; its author may offer it again under another id")
                yield _at(profile, name, line, what, mend)


RULES: tuple[Rule, ...] = (
    _values_are_there, _examples_suffice, _off_limits, _not_empty, _opinions, _same_options,
    _came_back,
)  # fmt: skip
