"""`chorus quality` and `chorus diff`: what an artifact holds, whether it may, and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from registry.dataset_diff import Row, TableDifference
    from registry.quality import Verdict
    from registry.quality.description import Column, Table
    from registry.quality_report import Drift, QualityReport

_PANEL = "Look"
_FEW, _MOVED, _WIDTH = 4, 0.02, 160
"""Values of a column that are shown, how far it moves before it is named, letters of a row."""


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("quality", rich_help_panel=_PANEL)(quality)
    app.command("diff", rich_help_panel=_PANEL)(diff)


def quality(
    nodes: Annotated[
        list[str] | None, typer.Argument(help="Nodes; with --docs none means all.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Write Great Expectations' pages into this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a contract anew and say what the artifact holds; exits 1 where it is broken."""
    if docs is not None:
        _publish(nodes or [], docs, json)
        return
    if not nodes:
        raise UsageError("name a node", mend="`chorus list` shows them all")
    from registry.quality_report import quality_report

    graph = load()
    reports = [quality_report(graph, node) for node in graph.select(nodes)]
    if json:
        print_json(reports=[report.to_json() for report in reports])
    else:
        for place, report in enumerate(reports):
            print_rows([*([("",)] if place else []), *_report(report)])
    if any(report.broken for report in reports):
        raise typer.Exit(ExitCode.CHECKS_FAILED)


def _publish(names: list[str], folder: Path, json: bool) -> None:
    from registry.quality.data_docs import publish
    from registry.quality.offline import INDEX

    graph = load()
    nodes = graph.select(names) if names else list(graph.nodes.values())
    say("Great Expectations checks what was made; this takes about a second for each table")
    found = publish(graph, nodes, folder)
    checks = [check for table in found.tables for check in table.checks]
    differing = [c for c in checks if c.gate is not None and c.gate != c.success]
    if json:
        print_json(**found.model_dump(mode="json", exclude={"schema_version"}))
    else:
        met = sum(check.success for check in checks)
        print_rows([
            (f"{met} of {len(checks)} expectations met in {len(found.tables)} tables",),
            (f"the gate says otherwise of {len(differing)}",),
            (f"open {folder / INDEX}",),
        ])  # fmt: skip
    if differing or not all(check.success or check.severity == "warning" for check in checks):
        raise typer.Exit(ExitCode.CHECKS_FAILED)


def _report(report: QualityReport) -> Iterator[tuple[str, ...]]:
    met = sum(verdict.success for verdict in report.verdicts)
    head = f"contract: {met} of {len(report.verdicts)} expectations met"
    yield (f"{report.node}: {head if report.verdicts else 'the contract is empty'}",)
    for verdict in report.verdicts:
        yield from _verdict(verdict)
    for table in report.contents.tables:
        yield from _table(table, report.contents.drifts.get(table.table))


def _verdict(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    given = verdict.expectation
    word = "met" if verdict.success else "BROKEN" if verdict.stops else "warning"
    only = " (Great Expectations only)" if given.checker == "great expectations" else ""
    yield (f"  {word:<8} {given.reason}{only}",)
    if not verdict.success:
        yield (f"           {given.expect} in {given.table}: {verdict.detail or verdict.counted}",)
        for row in verdict.examples:
            yield (f"             {_cut(row)}",)


def _table(table: Table, moved: Drift | None) -> Iterator[tuple[str, ...]]:
    yield ("",)
    before = f", {moved.rows:,} before ({moved.since})" if moved else ""
    yield (f"{table.table}: {table.rows:,} rows{before}, {len(table.columns)} columns",)
    if len(table.communities) > 1:
        yield (f"  communities  {_shares(table.communities)}",)
    for text in table.texts:
        again = f"; {text.repeated} of {text.judged:,} nearly repeat another"
        yield (f"  {text.column} is in {_shares(text.languages)}{again}",)
    if moved:
        far = [f"{m.column} {m.distance:.2f}" for m in moved.columns if m.distance > _MOVED]
        yield (
            f"  moved since {moved.since} (0 not at all, 1 wholly): {', '.join(far) or 'nothing'}",
        )
    width = max((len(column.name) for column in table.columns), default=0)
    for column in table.columns:
        yield (f"  {column.name:<{width}}  {_column(column)}",)


def _column(column: Column) -> str:
    parts = []
    if column.counts:
        shown = [f"{value} ({rows:,})" for value, rows in list(column.counts.items())[:_FEW]]
        more = len(column.counts) - len(shown)
        parts.append(", ".join(shown) + (f" and {more} more" if more > 0 else ""))
    elif column.low is not None:
        unit = " characters" if column.type == "VARCHAR" else ""
        unit = " entries" if column.type.endswith("]") else unit
        numbers = [
            f"{value:,.4g}" for value in (column.low, column.middle or 0.0, column.high or 0.0)
        ]
        parts.append(f"{' .. '.join(numbers)}{unit}")
    if column.nulls:
        parts.append(f"{column.nulls:,} empty")
    return "; ".join(parts) or "empty"


def _shares(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    shown = [f"{name} {count / total:.0%}" for name, count in list(counts.items())[:_FEW]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if total else "nothing"


def diff(
    node: Annotated[str, typer.Argument(help="A node.")],
    from_: Annotated[str, typer.Option("--from", help="A commit, branch, tag or HEAD~1.")],
    to: Annotated[str | None, typer.Option(help="The same; the working tree unless given.")] = None,
    json: Json = False,
) -> None:
    """Say which rows of an artifact came and went between two revisions."""
    from registry.dataset_diff import HERE, at, difference, here

    graph = load()
    chosen = graph.node(node)
    before = at(graph, chosen, from_)
    after = at(graph, chosen, to) if to else here(graph, chosen)
    found = difference(before, after)
    if json:
        print_json(
            node=chosen.id, before=from_, after=to or HERE,
            tables=[table.model_dump(mode="json") for table in found],
        )  # fmt: skip
        return
    print_rows([(f"{chosen.id}: from {before.label} to {after.label}",)])
    for table in found:
        print_rows([*_difference(table)])


def _difference(table: TableDifference) -> Iterator[tuple[str, ...]]:
    if not (table.came or table.went or table.changed):
        yield (f"{table.table}: the same {table.after:,} rows",)
        return
    counts = f"{table.came:,} came, {table.went:,} went, {table.changed:,} changed"
    yield (f"{table.table}: {table.before:,} rows before, {table.after:,} after; {counts}",)
    for sign, rows, count in (
        ("+", table.came_rows, table.came),
        ("-", table.went_rows, table.went),
        ("~", table.changed_rows, table.changed),
    ):
        yield from ((f"  {sign} {_row(row)}",) for row in rows)
        if count > len(rows):
            yield (f"  {sign} and {count - len(rows):,} more",)
    far = [f"{m.column} {m.distance:.2f}" for m in table.moved if m.distance > _MOVED]
    if far:
        yield (f"  moved (0 not at all, 1 wholly): {', '.join(far)}",)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "\u2026"


def _row(row: Row) -> str:
    shown = _cut(row.row)
    return f"{shown}  {row.reason}" if row.reason else shown
