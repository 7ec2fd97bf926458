"""What a materialisation shows: counts and headline figures first, then the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.plots import draw_curves
from assets.quality.plots import draw_table
from registry.artifact import Manifest
from registry.curves import read_attempt
from registry.graph import Graph, Node
from registry.quality_report import contents
from registry.runs import Run, runs_of

Metadata = dict[str, Any]
_PLOT_BYTES = 300_000
_TEXT_BYTES = 50_000
_MEGA = 1_000_000
_UNITS = {"loss": "loss (nats)"}
_LAST = 20
"""How many values the last value is the mean of."""


def describe(graph: Graph, node: Node, manifest: Manifest, run: Run | None) -> Metadata:
    """The metadata of one made artifact."""
    files = graph.artifact(node).files
    run = run or _last_made(graph, node)
    shown: Metadata = {}
    for table, rows in manifest.rows.items():
        shown["dagster/row_count" if len(manifest.rows) == 1 else f"rows in {table}"] = rows
    shown |= dict(_headline(files))
    shown |= dict(_in_short(files))
    if run is not None:
        shown |= dict(_curves(graph, run))
    shown |= dict(_pictures(files))
    if manifest.kind == "dataset":
        shown |= dict(_quality(graph, node))
    if run is not None and run.seconds is not None:
        shown["seconds"] = run.seconds
    shown["size"] = _size(sum(file.size for file in manifest.files))
    if manifest.rows:
        shown["dagster/column_schema"] = _schema(files / next(iter(manifest.rows)))
    shown["content"] = manifest.content
    shown["manifest"] = dg.MetadataValue.json(manifest.model_dump(mode="json"))
    if run is not None:
        shown["run"] = dg.MetadataValue.path(str(_folder(graph, run) / f"{run.id}.json"))
    return shown


def _headline(files: Path) -> Iterator[tuple[str, float]]:
    """The figures that an artifact puts forward in `headline.json`."""
    path = files / "headline.json"
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            yield name, round(value, 4)


def _in_short(files: Path) -> Iterator[tuple[str, Any]]:
    """What an artifact that is to be read says first, and where its page lies."""
    text, page = files / "in-short.md", files / "index.html"
    if text.is_file() and text.stat().st_size <= _TEXT_BYTES:
        yield "in short", dg.MetadataValue.md(text.read_text(encoding="utf-8"))
    if page.is_file():
        yield "page", dg.MetadataValue.path(str(page))


def _last_made(graph: Graph, node: Node) -> Run | None:
    made = [r for r in runs_of(graph.project.state, node.id) if r.outcome == "made"]
    return made[-1] if made else None


def _folder(graph: Graph, run: Run) -> Path:
    return graph.project.state / "runs" / run.node


def _curves(graph: Graph, run: Run) -> Iterator[tuple[str, Any]]:
    """The last value and the curve of every series that the method noted while it ran."""
    attempt = read_attempt(graph.project.state, run)
    for name, curve in attempt.curves.items():
        values = curve.finite.values
        if not values:
            continue
        last = values[-_LAST:]
        yield f"last {name}", round(sum(last) / len(last), 4)
        label = _UNITS.get(name, name.replace("_", " "))
        yield f"{name} curve", _inline(draw_curves({label: values}))
    if attempt.tokens_per_second is not None:
        yield "tokens per second", round(attempt.tokens_per_second, 1)


def _size(count: int) -> str:
    return f"{count / _MEGA:,.1f} MB" if count >= _MEGA else f"{count / 1000:,.1f} kB"


def _schema(table: Path) -> dg.TableSchema:
    import duckdb

    rows = duckdb.execute("describe select * from read_parquet(?)", [str(table)]).fetchall()
    return dg.TableSchema(columns=[dg.TableColumn(name=row[0], type=row[1]) for row in rows])


def _pictures(files: Path) -> Iterator[tuple[str, dg.MarkdownMetadataValue]]:
    """Every picture of an artifact that is small enough to lie in a database."""
    for path in sorted(files.glob("*.png")):
        if path.stat().st_size <= _PLOT_BYTES:
            yield f"plot: {path.stem.replace('-', ' ')}", _inline(path.read_bytes())


def _quality(graph: Graph, node: Node) -> Iterator[tuple[str, Any]]:
    """Of each table with texts: languages, near repetitions, drift and a picture."""
    report = contents(graph, node)
    files = graph.artifact(node).files
    for table in report.tables:
        moved = report.drifts.get(table.table)
        for text in table.texts:
            at = f"{text.column} in {table.table}"
            if text.judged:
                yield f"near repetitions: {at}", round(text.repeated / text.judged, 4)
                yield f"languages: {at}", ", ".join(text.languages)
        if moved and moved.columns:
            farthest = moved.columns[0]
            said = f"{farthest.column} by {farthest.distance:.2f} since {moved.since}"
            yield f"moved farthest: {table.table}", said
        columns = moved.columns if moved else ()
        if drawn := draw_table(files / table.table, table, columns):
            yield f"plot: what {table.table} holds", _inline(drawn)


def _inline(png: bytes) -> dg.MarkdownMetadataValue:
    encoded = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{encoded})")
