"""`chorus lineage impact`, `explain`, `history` and `export`: the ways down, and out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.lineage import Objects, Rev, Target, ground_of, lineage_app, standing
from registry.cli.output import Json, print_json, print_rows
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.explain import Explanation, Standing
    from registry.history import History
    from registry.impact import Cause
    from registry.known import Known


_NAMED = 3
"""Rows of one table that are named; --json names all."""


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    for command in (impact, explain, history, export):
        lineage_app.command()(command)


def _root() -> Path:
    """The project or the bare clone that holds the working directory."""
    from registry.checkout import is_bare
    from registry.project import find_root

    return Path.cwd() if is_bare(Path.cwd()) else find_root()


def impact(
    row: Annotated[str, typer.Option("--row", help="A row's id.")] = "",
    partner: Annotated[str, typer.Option("--partner", help="A profile's id.")] = "",
    clause: Annotated[
        str, typer.Option("--clause", help="Of that profile's terms: a use, or a field.")
    ] = "",
    source: Annotated[
        str, typer.Option("--source", help="A file, a folder, or FILE: FIELD of a profile.")
    ] = "",
    method: Annotated[str, typer.Option("--method", help="A method, with any code of it.")] = "",
    json: Json = False,
) -> None:
    """Say which artifacts and releases a row, a profile, a clause, a file or code has touched."""
    from registry.history import open_history
    from registry.impact import impact as find
    from registry.known import Known, manifests_here

    if sum(map(bool, (row, partner, source, method))) != 1 or (clause and not partner):
        raise UsageError(
            "ask about one thing",
            mend="name one of --row, --partner (with --clause), --source and --method",
        )
    root = _root()
    with open_history(root) as index:
        known = Known(manifests_here(root), index.releases())
        found = find(known, _cause(root, known, row, partner, clause, source, method))
        recorded = index.made_with(_recorded(index, partner, source, method))
    if json:
        artifacts = [one.to_json() for one in found.artifacts]
        earlier = [one.to_json() for one in recorded]
        print_json(artifacts=artifacts, releases=list(found.releases), recorded=earlier)
        return
    here = [one for one in found.artifacts if one.here]
    counted = _count(len(here), "artifact"), _count(len(found.releases), "release")
    print_rows([(f"{counted[0]} here and {counted[1]} rest on it",)])
    print_rows([(f"  {a.node}", a.kind, f"sha256:{a.content[:12]}", a.why) for a in here])
    print_rows([(f"  released: {tag}",) for tag in found.releases])
    gone = [(f"  only in releases: {a.node}", f"sha256:{a.content[:12]}", a.why)
            for a in found.artifacts if not a.here]  # fmt: skip
    print_rows(gone)
    if recorded:
        said = f"{_count(len(recorded), 'artifact')} of {len({r.node for r in recorded})} nodes"
        print_rows([(f"all commits together record {said} that rest on it (--json lists them)",)])


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _cause(
    root: Path, known: Known, row: str, partner: str, clause: str, source: str, method: str
) -> Cause:
    from registry import impact as causes

    if row:
        return causes.holds_row(root, known, row)
    if partner:
        return causes.relies_on(partner, clause) if clause else causes.rests_on(partner)
    return causes.reads_file(source) if source else causes.made_by(method)


def _recorded(index: History, partner: str, source: str, method: str) -> list[int]:
    """The records of all commits that read it themselves; rows stand in no lock."""
    if partner:
        return index.using(f"value_profiles/{partner}")
    if source:
        return index.using(source.rstrip("/"))
    return index.by_method(method) if method else []


def explain(
    row: Annotated[str, typer.Argument(help="A row's id, as in a column `row_id`.")],
    json: Json = False,
) -> None:
    """Say where a row stands and why, where it came from, and what was made from it."""
    from registry.explain import explain as find

    found = find(_root(), row)
    if json:
        print_json(row=row, **found.to_json())
    else:
        rows = [_standing(one, row) for one in found.standings]
        print_rows(_gathered([*rows, *_around(found)]))


def _standing(one: Standing, row: str) -> tuple[str, ...]:
    place = f"{one.node}: {one.table}"
    if one.row != row:
        return "made from it", place, one.row
    if not one.reason:
        return "in", place, f"made from {', '.join(one.parents)}" if one.parents else ""
    score = "" if one.score is None else f", score {one.score:.3g}"
    cause = f", because of {one.caused_by}" if one.caused_by not in ("", row) else ""
    return "left out", place, f"{one.reason}{score}{cause}"


def _gathered(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same rows, with those that say the same of one table in one line."""
    places: dict[tuple[str, ...], list[str]] = {}
    for *place, named in rows:
        places.setdefault(tuple(place), []).append(named)
    return [
        (*place, ", ".join(named) if len(named) <= _NAMED else
         f"{', '.join(named[:_NAMED])} and {len(named) - _NAMED} more")
        for place, named in places.items()
    ]  # fmt: skip


def _around(found: Explanation) -> list[tuple[str, ...]]:
    """The rest of the chain: what is above, what is below, and who learned from it."""
    rows: list[tuple[str, ...]] = []
    rows += [("came from", f"{one.node}: {one.table}", one.row) for one in found.ancestors]
    rows += [("asks about", one.table, one.item) for one in found.origins]
    rows += [("further down", f"{one.node}: {one.table}", one.row) for one in found.descendants]
    rows += [("used by", node, "") for node in found.used_by]
    rows += [("released in", tag, "") for tag in found.releases]
    return rows


def history(target: Target, json: Json = False) -> None:
    """List every artifact of a node that any commit recorded, the latest first."""
    from registry.history import open_history

    with open_history(_root()) as index:
        found = index.of(target)
    if not found:
        raise UsageError(
            "no commit records it", where=target, mend="make it, and commit its lock: `chorus list`"
        )
    if json:
        print_json(node=target, records=[one.to_json() for one in found])
        return
    head = ("FIRST RECORDED", "COMMIT", "MANIFEST", "METHOD", "CODE")
    print_rows([head, *((r.day, r.commit[:10], f"md5:{r.manifest[:12]}", r.method, r.code[:12])
                        for r in found)])  # fmt: skip


def export(
    target: Target,
    form: Annotated[
        str, typer.Option("--format", help="json, mermaid, openlineage, croissant or cyclonedx.")
    ] = "json",
    rev: Rev = None,
    objects: Objects = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it there, not to standard output.")
    ] = None,
) -> None:
    """Write the lineage of an artifact or a release in a form that other programs read."""
    from registry.artifact import write_atomically
    from registry.export import write
    from registry.machine_readable import FORMS

    if form in FORMS:
        raw = _described(target, form, lies_here=rev is None)
    else:
        with standing(objects) as graph:
            ground, node = ground_of(graph, target, rev, objects)
            raw = write(form, ground, node, graph.project.root).encode()
    if out is None:
        sys.stdout.write(raw.decode())
    else:
        write_atomically(out, raw)


def _described(target: str, form: str, *, lies_here: bool) -> bytes:
    from registry.cli.reading import load
    from registry.machine_readable import of_node, of_release
    from registry.release import parse_name

    if not lies_here:
        raise UsageError(
            f"{form} describes files as they lie here",
            where="--rev",
            mend="name a release, which carries its own, or check that revision out",
        )
    graph = load()
    if name := parse_name(target):
        return of_release(graph, name, form)
    return of_node(graph, graph.node(target), form)
