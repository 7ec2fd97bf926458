"""What a filter writes: rows kept, rows left out and why, every score, and who is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.diversity.filtering.judging import Judgement, Verdicts
from assets.diversity.filtering.material import SCORES
from assets.diversity.filtering.rules import Shortened
from assets.diversity.filtering.table import Table
from assets.diversity.kept import LEAST_RATE, write_kept
from assets.rows import REJECTED, ROWS

if TYPE_CHECKING:
    import polars

STEPS, HEADLINE, PLOT = "steps.parquet", "headline.json", "kept.png"
_ADDED = ("reason", "score", "caused_by")
_IDENTITY = ("row_id", "parents", "source", "community", *_ADDED)
_HIDDEN = "off_limits"
_BARS = 30
"""Groups that the picture shows, the least kept first."""


def write_outcome(
    files: Path,
    given: Table,
    shortened: Shortened | None,
    verdicts: Verdicts,
    clusters: polars.DataFrame | None,
) -> None:
    """Writes every table of the artifact, its headline figures and its picture.

    Args:
        files: The artifact's folder.
        given: The rows as they were given.
        shortened: What became of rows that lost lines, where lines were taken out.
        verdicts: What the steps say of the rows that were left then.
        clusters: `row_id` and `cluster` of the rows, where they were clustered.
    """
    table = shortened.table if shortened else given
    kept, left_out = _split(table, verdicts)
    if shortened and shortened.replaced:
        left_out = _with_shortened(given, shortened, left_out)
    _write(files / ROWS, kept)
    _write(files / REJECTED, left_out)
    _write(files / SCORES, _scores(table, verdicts))
    counts = _steps(given, shortened, verdicts)
    _write(files / STEPS, counts)
    survivors = set(kept["row_id"])
    if shortened:
        survivors |= {old for old, one in shortened.replaced.items() if one.new_id in survivors}
        survivors &= set(given.frame["row_id"])
    groups = write_kept(files, given.frame, survivors, clusters)
    (files / HEADLINE).write_text(json.dumps(_headline(given, kept, groups), indent=2) + "\n")
    (files / PLOT).write_bytes(_picture(counts, groups))


def _split(table: Table, verdicts: Verdicts) -> tuple[polars.DataFrame, polars.DataFrame]:
    import numpy
    import polars

    decided = numpy.asarray(verdicts.decided)
    kept = table.frame.filter(polars.Series(decided < 0))
    out = numpy.flatnonzero(decided >= 0)
    ids = table.frame["row_id"]
    why: dict[str, list[Any]] = {name: [] for name in _ADDED}
    hidden = []
    for row in out.tolist():
        name, found = verdicts.steps[decided[row]]
        why["reason"].append(found.reason(row))
        why["score"].append(float(found.score[row]))
        why["caused_by"].append(_cause(found, row) or ids[row])
        hidden.append(name.startswith(_HIDDEN))
    left_out = table.frame[out].with_columns(
        polars.Series("reason", why["reason"], dtype=polars.String),
        polars.Series("score", why["score"], dtype=polars.Float64),
        polars.Series("caused_by", why["caused_by"], dtype=polars.String),
    )
    return kept, _without_content(left_out, hidden)


def _without_content(left_out: polars.DataFrame, hidden: Sequence[bool]) -> polars.DataFrame:
    """What is off limits is not copied: the row's id leads to where it stands."""
    import polars

    mask = polars.Series("hidden", hidden, dtype=polars.Boolean)
    return left_out.with_columns(
        polars.when(~mask).then(polars.col(name)).alias(name)
        for name in left_out.columns
        if name not in _IDENTITY
    )


def _cause(found: Judgement, row: int) -> str | None:
    if found.cause is None or found.cause[row] < 0:
        return None
    return found.causes[int(found.cause[row])]


def _with_shortened(
    given: Table, shortened: Shortened, left_out: polars.DataFrame
) -> polars.DataFrame:
    """Adds the rows that lost lines, as they were before."""
    import polars

    def why(new: str | None) -> str:
        return (
            f"lost lines seen too often, goes on as {new}" if new else "only lines seen too often"
        )

    added = [
        {
            "row_id": old,
            "reason": why(one.new_id),
            "score": one.lost,
            "caused_by": one.caused_by,
        }
        for old, one in shortened.replaced.items()
    ]
    schema = {name: left_out.schema[name] for name in ("row_id", *_ADDED)}
    before = given.frame.join(
        polars.DataFrame(added, schema=schema), on="row_id", maintain_order="left"
    )
    return polars.concat([before.select(left_out.columns), left_out])


def _scores(table: Table, verdicts: Verdicts) -> polars.DataFrame:
    """A line a row: its rank, the step that left it out, and each step's score and cause."""
    import numpy
    import polars

    rank = numpy.empty(len(table), dtype=numpy.int64)
    rank[verdicts.order] = numpy.arange(1, len(table) + 1)
    labels = polars.Series([name for name, _ in verdicts.steps], dtype=polars.String)
    decided = polars.Series(verdicts.decided, dtype=polars.Int64)
    columns = {
        "row_id": table.frame["row_id"],
        "rank": polars.Series(rank),
        "left_out_by": labels.gather(decided.set(decided < 0, None)),
    }
    for name, found in verdicts.steps:
        columns[name] = polars.Series(numpy.asarray(found.score, dtype=numpy.float64))
        if found.cause is not None:
            cause = polars.Series(found.cause)
            ids = polars.Series(found.causes, dtype=polars.String)
            columns[f"{name}_caused_by"] = ids.gather(cause.set(cause < 0, None))
    return polars.DataFrame(columns)


def _steps(given: Table, shortened: Shortened | None, verdicts: Verdicts) -> polars.DataFrame:
    """A line a step: how many rows reached it, how many it left out, how many went on."""
    import numpy
    import polars

    rows: list[dict[str, Any]] = []
    if shortened:
        lost = len(given) - len(shortened.table)
        note = f"{len(shortened.replaced) - lost:,} rows go on with fewer lines"
        rows.append({"step": "lines_1", "before": len(given), "left_out": lost, "note": note})
    for place, (name, found) in enumerate(verdicts.steps):
        lost = int((numpy.asarray(verdicts.decided) == place).sum())
        before = verdicts.before[place]
        rows.append({"step": name, "before": before, "left_out": lost, "note": found.note})
    text, count = polars.String, polars.Int64
    schema: dict[str, Any] = {"step": text, "before": count, "left_out": count, "note": text}
    frame = polars.DataFrame(rows, schema=schema)
    return frame.with_columns(after=polars.col("before") - polars.col("left_out"))


def _headline(
    given: Table, kept: polars.DataFrame, groups: polars.DataFrame
) -> Mapping[str, float]:
    """The figures that a materialisation puts forward."""
    found: dict[str, float] = {
        "rows given": len(given),
        "rows kept": len(kept),
        "share kept": len(kept) / len(given),
    }
    least = groups["community_rate"].min()
    if isinstance(least, float):
        found["least kept community, relative to all rows"] = least
    return found


def _picture(counts: polars.DataFrame, groups: polars.DataFrame) -> bytes:
    """Rows left after each step, and how much of each group was kept relative to all rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = groups.sort("relative_rate", "kind", "group").head(_BARS).reverse()
    height = max(2.4, 0.8 + 0.22 * max(len(counts) + 1, len(shown)))
    figure = Figure(figsize=(10, height), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = ["rows given", *(f"after {name}" for name in counts["step"])]
    values = [counts["before"][0], *counts["after"]]
    left.barh(names[::-1], values[::-1], color="#30638e")
    left.bar_label(left.containers[0], fmt="{:,.0f}", fontsize=8, padding=2)
    left.margins(x=0.15)
    left.set_title("rows left", fontsize=10)
    colours = {"community": "#d1495b", "source": "#00798c", "cluster": "#c9d6df"}
    labels = [
        f"{kind} {_short(group)}" for kind, group in shown.select("kind", "group").iter_rows()
    ]
    right.barh(
        range(len(shown)),
        shown["relative_rate"].to_list(),
        color=[colours[kind] for kind in shown["kind"]],
    )
    right.set_yticks(range(len(shown)), labels)
    right.axvline(LEAST_RATE, color="#222222", lw=1, ls="--")
    more = f", the {_BARS} least of {len(groups)}" if len(groups) > _BARS else ""
    right.set_title(f"share kept relative to all rows{more}", fontsize=10)
    for axis in (left, right):
        axis.tick_params(labelsize=8)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def _short(text: str, width: int = 28) -> str:
    line = "".join(c if c.isprintable() and c != "$" else " " for c in text)
    return line if len(line) <= width else line[: width - 1] + "\u2026"


def _write(path: Path, frame: polars.DataFrame) -> None:
    frame.write_parquet(path, compression="zstd", statistics=False)
