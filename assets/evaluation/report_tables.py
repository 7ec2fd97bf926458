"""The tables that both kinds of page show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assets.evaluation.report_costs import LIKENESS, Covered, Named
from assets.evaluation.report_document import Cell, Table, Text, clean
from assets.evaluation.report_estimates import (
    Difference,
    Estimate,
    Missing,
    missing_cell,
)
from assets.evaluation.report_served import FARTHER, NEARER


def words_for(what: str) -> tuple[str, str]:
    """What better and worse mean for a measure."""
    return ("less alike", "more alike") if what == LIKENESS else ("higher", "lower")


def difference_cell(
    found: Difference | Missing, better: str = NEARER, worse: str = FARTHER
) -> Cell:
    """A difference: in words first, then the figure."""
    if isinstance(found, Missing):
        return missing_cell(found)
    words = found.words(better, worse)
    alone = found.sure and found.p is not None and found.p >= _SURE
    stands = f"; not when all comparisons count (p {found.p:.2f})" if alone else ""
    return Cell(words, f"{found.shown}, minus {found.rival}; {found.size}{stands}", found.tone)


_SURE = 0.05


def estimate_cell(found: Estimate | Missing, *, size: bool = False) -> Cell:
    """A figure with its interval."""
    if isinstance(found, Missing):
        return missing_cell(found)
    return Cell(found.shown, found.size if size else "")


def cost_table(
    caption: str, changes: Mapping[str, Sequence[Named]], links: Mapping[str, str], note: str
) -> Table:
    """Every change of every model, a line each."""
    rows = []
    for model, found in changes.items():
        for one in found:
            what = Cell(one.what, one.how)
            if isinstance(one.change, Missing):
                gap = missing_cell(one.change)
                figures = (gap, Cell(gap.text, tone="missing"), Cell(gap.text, tone="missing"))
                beside = Cell("none", tone="missing")
            else:
                change = one.change
                figures = (
                    Cell(change.before.shown, change.before.size),
                    Cell(change.after.shown, change.after.size),
                    difference_cell(change.difference, *words_for(one.what)),
                )
                beside = baselines_cell(change.beside)
            rows.append((Cell(clean(model), link=links.get(model, "")), what, *figures, beside))
    header = ("model", "measure", "before alignment", "after", "change", "beside it")
    return Table(caption, header, tuple(rows), note)


def baselines_cell(beside: Mapping[str, float]) -> Cell:
    """What is easy, or what chance gives."""
    if not beside:
        return Cell("none", tone="missing")
    return Cell("; ".join(f"{name} {value:.3f}" for name, value in beside.items()))


def coverage_table(covered: Sequence[Covered], base: str | None, note: str) -> Table | Text:
    """How many views are named, and the same minus the base."""
    if not covered:
        return Text(
            "Views named in free answers: not measured: no evaluation of coverage was given."
        )
    rows = []
    for one in covered:
        result = one.result
        size = f"{result.items} situations"
        level = Estimate(result.value, result.low, result.high, size, result.items)
        if base is None or one.about == base:
            why = "is what was before" if base else "`base` does not say what was before"
            change: Difference | Missing = Missing(why)
        else:
            change = one.minus.get(base) or Missing(f"{base} was not asked as well")
        rows.append(
            (
                Cell(clean(one.about)),
                Cell(result.metric),
                Cell(level.shown, level.size),
                difference_cell(change, "more views", "fewer views")
                if one.about != base
                else Cell("this is before"),
                baselines_cell(result.beside),
            )
        )
    header = ("who answers", "measure", "figure", "minus the base", "beside it")
    return Table("Views named in free answers", header, tuple(rows), note)


def made_from(given: Sequence[tuple[str, str, str]]) -> Table:
    """What a page was made from.

    Args:
        given: The role, the node and the digest of its content.
    """
    rows = tuple((Cell(node), Cell(role), Cell(f"sha256:{digest}")) for role, node, digest in given)
    note = (
        "`chorus lineage show` follows each back to the survey and the permission it rests on. The "
        "manifest of this report holds the same digests."
    )
    return Table("Made from", ("node", "as", "content"), rows, note)
