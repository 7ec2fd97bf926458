"""Situations with the answers that reasonable people give: what Overton coverage is measured on.

`rows.parquet` has a row for each situation, to be put to models; `views.parquet` one for each view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.rows import REJECTED, ROWS, row_id, row_schema, write_rows
from registry.errors import MethodError

VIEWS = "views.parquet"


@dataclass(frozen=True)
class View:
    """One reasonable answer to a situation."""

    prompt: str
    """The situation, as it is put to a model."""
    view: str
    """The answer, as a sentence that somebody could hold or deny."""
    source: str
    """The file, or the table of a profile."""
    explanation: str | None = None
    """Why somebody holds it; the published form of coverage reads it."""
    opposite: str | None = None
    """The same view denied, to try scorers on."""
    prevalence: float | None = None
    """The share of people who hold it."""
    held_by: tuple[str, ...] = ()
    """The communities that hold it."""
    parents: tuple[str, ...] = ()
    """The rows of profiles that it came from."""


@dataclass(frozen=True)
class LeftOutView:
    """A view that is not used, and why."""

    view: View
    reason: str


def view_schema() -> dict[str, Any]:
    """The columns of `views.parquet`."""
    import polars

    text, texts = polars.String, polars.List(polars.String)
    return {
        "row_id": text,
        "parents": texts,
        "prompt_id": text,
        "prompt": text,
        "view": text,
        "explanation": text,
        "opposite": text,
        "prevalence": polars.Float64,
        "held_by": texts,
        "source": text,
    }


def prompt_id(prompt: str) -> str:
    """The identity of a situation: the same whoever has a view of it."""
    return row_id("situation", prompt)


def view_row(view: View) -> dict[str, Any]:
    """A view as a row of `views.parquet`."""
    content = {
        "prompt": view.prompt,
        "view": view.view,
        "explanation": view.explanation,
        "opposite": view.opposite,
        "prevalence": view.prevalence,
        "held_by": list(view.held_by),
    }
    return {
        "row_id": row_id(f"view:{view.source}", content),
        "parents": list(view.parents),
        "prompt_id": prompt_id(view.prompt),
        "source": view.source,
        **content,
    }


def write_views(
    views: Sequence[View], left_out: Sequence[LeftOutView], fewest: int, out: Path
) -> None:
    """Writes situations and their views; those with too few views are left out with the reason.

    Raises:
        MethodError: Where no situation is left, or some views of one have a prevalence and some
            have none.
    """
    import polars

    rejected = list(left_out)
    by_prompt: dict[str, list[View]] = {}
    for view in views:
        by_prompt.setdefault(view.prompt, []).append(view)
    kept: list[View] = []
    for prompt, held in by_prompt.items():
        _require_one_kind_of_weight(prompt, held)
        if len(held) < fewest:
            reason = f"its situation has {len(held)} views, fewer than {fewest}"
            rejected += [LeftOutView(view, reason) for view in held]
        else:
            kept += held
    if not kept:
        raise MethodError(
            f"no situation has {fewest} views" if by_prompt else "holds no views",
            why=rejected[0].reason if rejected else "",
            mend="give situations with their views, or lower `fewest_views`",
        )
    rows: list[dict[str, Any]] = [
        {"row_id": prompt_id(prompt), "parents": [], "prompt": prompt, "completion": None,
         "source": by_prompt[prompt][0].source, "community": None}
        for prompt in dict.fromkeys(view.prompt for view in kept)
    ]  # fmt: skip
    write_rows(out / ROWS, rows, row_schema())
    write_rows(out / VIEWS, [view_row(view) for view in kept], view_schema())
    reasons = {"reason": polars.String, "caused_by": polars.String}
    write_rows(out / REJECTED, [_rejected(one) for one in rejected], view_schema() | reasons)


def _rejected(one: LeftOutView) -> dict[str, Any]:
    row = view_row(one.view)
    own = one.view.parents[0] if one.view.parents else row["row_id"]
    return row | {"row_id": own, "reason": one.reason, "caused_by": own}


def _require_one_kind_of_weight(prompt: str, held: Sequence[View]) -> None:
    given = [view for view in held if view.prevalence is not None]
    if given and len(given) < len(held):
        lacking = next(view for view in held if view.prevalence is None)
        raise MethodError(
            f"{lacking.view!r} has no prevalence, and other views of the same situation have one",
            where=repr(prompt),
            why="it would count for nothing in the weighted coverage",
            mend="give every view of the situation its prevalence, or none",
        )
