"""What a materialisation shows: counts and headline figures first, then the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import dagster as dg

from registry.artifact import Manifest
from registry.graph import Graph, Node
from registry.runs import Run, read_events, runs_of

Metadata = dict[str, Any]
_PLOT_BYTES = 300_000


def describe(graph: Graph, node: Node, manifest: Manifest, run: Run | None) -> Metadata:
    """The metadata of one made artifact."""
    files = graph.artifact(node).files
    shown: Metadata = {}
    for table, rows in manifest.rows.items():
        shown["dagster/row_count" if len(manifest.rows) == 1 else f"rows in {table}"] = rows
    shown |= dict(_headline(files))
    run = run or _last_made(graph, node)
    if run is not None:
        shown |= _of_run(graph, node, run)
    if manifest.rows:
        shown["dagster/column_schema"] = _schema(files / next(iter(manifest.rows)))
    if (plot := _picture(files)) is not None:
        shown["plot"] = plot
    shown["size"] = f"{sum(f.size for f in manifest.files) / 1e6:,.1f} MB"
    shown["content"] = manifest.content
    shown["manifest"] = dg.MetadataValue.json(manifest.model_dump(mode="json"))
    return shown


def _headline(files: Path) -> Iterator[tuple[str, float]]:
    """The figures that an artifact puts forward in `headline.json`."""
    path = files / "headline.json"
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            yield name, round(value, 4)


def _last_made(graph: Graph, node: Node) -> Run | None:
    made = [r for r in runs_of(graph.project.state, node.id) if r.outcome == "made"]
    return made[-1] if made else None


def _of_run(graph: Graph, node: Node, run: Run) -> Metadata:
    folder = graph.project.state / "runs" / node.id
    shown: Metadata = {"run": dg.MetadataValue.path(str(folder / f"{run.id}.json"))}
    if run.seconds is not None:
        shown["seconds"] = run.seconds
    losses = [e["loss"] for e in read_events(folder / f"{run.id}.events.jsonl") if "loss" in e]
    if losses:
        shown["last loss"] = sum(losses[-20:]) / len(losses[-20:])
        shown["loss curve"] = _inline(_curve(losses))
    return shown


def _schema(table: Path) -> dg.TableSchema:
    import duckdb

    rows = duckdb.execute("describe select * from read_parquet(?)", [str(table)]).fetchall()
    return dg.TableSchema(columns=[dg.TableColumn(name=row[0], type=row[1]) for row in rows])


def _picture(files: Path) -> dg.MarkdownMetadataValue | None:
    for path in sorted(files.glob("*.png")):
        if path.stat().st_size <= _PLOT_BYTES:
            return _inline(path.read_bytes())
    return None


def _inline(png: bytes) -> dg.MarkdownMetadataValue:
    encoded = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{encoded})")


def _curve(values: list[float]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.2), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    window = max(1, len(values) // 40)
    smooth = [
        sum(values[max(0, i - window) : i + 1]) / len(values[max(0, i - window) : i + 1])
        for i in range(len(values))
    ]
    axis.plot(values, color="#c9d6df", lw=0.8)
    axis.plot(smooth, color="#30638e", lw=1.6)
    axis.set_xlabel("step")
    axis.set_ylabel("loss (nats)")
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
