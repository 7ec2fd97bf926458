"""What became of candidates: the verified yield first, then why each was left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

from assets.rows import write_rows
from assets.synthesis.candidates import Candidate

KEPT = "kept"
_SHOWN = 12
_COLOURS = {True: "#00798c", False: "#d1495b"}


def write_outcomes(
    files: Path, candidates: Sequence[Candidate], passed: Collection[str] = (), **figures: float
) -> None:
    """Writes `headline.json`, `outcomes.parquet` and its picture.

    Candidates that are left out for a reason in `passed` count as verified: they passed every
    check of what they say.
    """
    import polars

    verified = sum(c.reason is None or c.reason in passed for c in candidates)
    headline = {
        "verified yield": verified / max(len(candidates), 1),
        "candidates": len(candidates),
        "verified": verified,
        **{name.replace("_", " "): value for name, value in figures.items()},
    }
    (files / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    counted = Counter((c.row["source"], _outcome(c)) for c in candidates)
    rows = [
        {"source": source, "outcome": outcome, "candidates": count}
        for (source, outcome), count in sorted(counted.items())
    ]
    schema = {"source": polars.String, "outcome": polars.String, "candidates": polars.Int64}
    write_rows(files / "outcomes.parquet", rows, schema)
    (files / "outcomes.png").write_bytes(draw_outcomes([_outcome(c) for c in candidates]))


def _outcome(candidate: Candidate) -> str:
    return candidate.reason or KEPT


def draw_outcomes(outcomes: Sequence[str]) -> bytes:
    """A PNG with a bar for each outcome: the kept first, then reasons by how often."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counted = Counter(outcomes)
    ordered = sorted(counted, key=lambda name: (name != KEPT, -counted[name], name))[:_SHOWN]
    figure = Figure(figsize=(7.2, 0.6 + 0.32 * max(len(ordered), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    colours = [_COLOURS[name == KEPT] for name in ordered]
    bars = axis.barh(ordered, [counted[name] for name in ordered], color=colours)
    whole = max(len(outcomes), 1)
    labels = [f"{counted[name]} ({counted[name] / whole:.0%})" for name in ordered]
    axis.bar_label(bars, labels, fontsize=8, padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.2)
    axis.set_xlabel("candidates", fontsize=8)
    axis.tick_params(labelsize=8)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
