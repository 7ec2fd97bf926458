"""How `chorus profile check` prints: for people, as annotations of a pull request, or as JSON."""

from __future__ import annotations

from collections.abc import Callable

from registry.cli.output import print_json, print_rows
from registry.errors import Problem
from registry.message import Message
from registry.profile_check import Checked
from registry.translation import printed, said, translated

NOTHING = Message("nothing to fix")
LOOK = Message("for reviewers, not to fix")


def _text(found: Checked, shown: str, language: str) -> None:
    for problem in found.problems:
        print_rows([(f"{printed(problem, language)}\n",)])
    if found.notices:
        print_rows([(f"{said(LOOK, language)}:",)])
        for notice in found.notices:
            print_rows([(f"{printed(notice, language)}\n",)])
    print_rows([(_count(len(found.problems), shown, language),)])


def _count(count: int, shown: str, language: str) -> str:
    if count == 0:
        return f"{shown}: {said(NOTHING, language)}"
    one = Message("1 thing to fix")
    many = Message("{count} things to fix", count=count)
    return said(one if count == 1 else many, language)


def _github(found: Checked, _shown: str, language: str) -> None:
    for level, problems in (("error", found.problems), ("warning", found.notices)):
        for problem in (translated(problem, language) for problem in problems):
            place = problem.place
            parts = [f"file={_escaped(place.path)}"]
            parts += [f"line={place.line}"] if place.line else []
            parts += [f"col={place.column}"] if place.column else []
            text = _escaped(f"{problem.what}. {problem.mend}".strip())
            print_rows([(f"::{level} {','.join(parts)}::{text}",)])


def _escaped(text: str) -> str:
    """A message as an annotation takes it: a stranger's text must not start another command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), ("::", "%3A%3A")):
        text = text.replace(character, code)
    return text


def _json(found: Checked, shown: str, language: str) -> None:
    problems, notices = (
        [_as_json(translated(problem, language)) for problem in part]
        for part in (found.problems, found.notices)
    )
    print_json(profile=shown, problems=problems, notices=notices)


def _as_json(problem: Problem) -> dict[str, str | int | None]:
    return {
        "file": problem.place.path,
        "line": problem.place.line,
        "column": problem.place.column,
        "what": problem.what,
        "mend": problem.mend,
    }


PRINTERS: dict[str, Callable[[Checked, str, str], None]] = {
    "text": _text, "github": _github, "json": _json,
}  # fmt: skip
