"""Steerable pluralism as a page of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.evaluation.cross_matrix import cell
from assets.evaluation.steering import Steered, Together

Rows = Sequence[Mapping[str, Any]]
KNOWN = (0, 1, 2, 4, 8, 16)
"""How many known answers a table of k-shot curves shows."""
_OWN = " •"
_SURE = 0.05
_EXPLAINED = {
    "opinions": "Skill, 1 - TV(model) / TV(uniform): 0 as uniform answers, 1 exact. On respondents "
    "held out.",
    "norms": "Norm agreement: the probability of a judgement on the community's own side (bad, all "
    "right, good). On norms that no model learned from; the rule itself is not shown.",
    "preferences": "The share of pairs in which the preferred answer has the higher mean "
    "log-probability a token; a tie counts half. On pairs that no model learned from.",
}


@dataclass(frozen=True)
class KShot:
    """What a person's next answer costs a model, at one number of known answers."""

    model: str
    community: str
    slice: str
    known: int
    nats: float
    low: float
    high: float
    people: int


def page(
    matrix: Rows,
    rows: Sequence[Steered],
    families: Sequence[Together],
    shots: Sequence[KShot],
    names: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """The page, as Markdown."""
    lines = [
        "# Who is served by whose model",
        "",
        (
            "Each table is read **down its columns**: who serves this community best? Along a row "
            "one mostly reads how near a community is to a careless answer. A dot marks a "
            "community's own model, bold the best model of a column; *italics* are no models. "
            "Brackets hold 95 % intervals. All rows: `matrix.parquet`, `steerability.parquet`."
        ),
        "",
    ]
    if notes:
        lines += ["## To know first", "", *(f"- {cell(note)}" for note in notes), ""]
    for kind, part in dict.fromkeys((row["kind"], row["slice"]) for row in matrix):
        lines += [f"## {kind.capitalize()}: {part}", ""]
        cells = [row for row in matrix if (row["kind"], row["slice"]) == (kind, part)]
        lines += _matrix(kind, cells, names)
        lines += _steered(
            [row for row in rows if (row.kind, row.slice) == (kind, part)],
            [one for one in families if (one.kind, one.slice) == (kind, part)],
            names,
        )
    lines += _shots(shots, names)
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> list[str]:
    columns = list(header)
    found = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*found, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _name(names: Mapping[str, str], community: str) -> str:
    return cell(names.get(community, community))


def _size(rows: Rows) -> str:
    fewest, most = min(row["items"] for row in rows), max(row["items"] for row in rows)
    counted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    people = [row["people"] for row in rows if row["people"] is not None]
    among = f", at least {min(people)} people each" if people else ""
    return f"{counted} item{'s' * (most > 1)} a community{among}."


def _matrix(kind: str, rows: Rows, names: Mapping[str, str]) -> list[str]:
    communities = list(dict.fromkeys(row["community"] for row in rows))
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: not row["baseline"]):
        lines.setdefault(row["answerer"], {})[row["community"]] = row
    best = {
        community: max(
            (r["value"] for r in rows if r["community"] == community and not r["baseline"]),
            default=None,
        )
        for community in communities
    }
    shown = []
    for label, found in lines.items():
        baseline = next(iter(found.values()))["baseline"]
        cells = []
        for community in communities:
            if community not in found:
                cells.append("")
                continue
            row = found[community]
            value = f"{row['value']:.3f}"
            if not baseline and row["value"] == best[community]:
                value = f"**{value}**"
            ends = f" ({row['low']:.3f} to {row['high']:.3f})"
            cells.append(value + (_OWN if row["own"] else "") + ends)
        shown.append([f"*{cell(label)}*" if baseline else cell(label), *cells])
    header = ["", *(_name(names, community) for community in communities)]
    return [f"{_EXPLAINED[kind]} {_size(rows)}", "", *_table(header, shown)]


def _steered(
    rows: Sequence[Steered], families: Sequence[Together], names: Mapping[str, str]
) -> list[str]:
    if not rows:
        return ["No steerability: it takes models of two communities that were made alike.", ""]
    shown = [
        [
            f"*{cell(row.family)}*" if row.baseline else cell(row.family),
            _name(names, row.community),
            f"{row.own:.3f}",
            f"{row.others:.3f}",
            f"{row.steerability:+.3f} ({row.low:+.3f} to {row.high:+.3f})",
            "" if row.tables is None else f"{row.tables:+.3f}",
            f"{row.p:.2g}",
            f"{row.p_family:.2g}{'*' * (row.p_family < _SURE)}".replace("*", "\\*"),
            f"{row.clusters} ({row.smallest_p:.2g})",
        ]
        for row in sorted(rows, key=lambda row: (not row.baseline, row.family))
    ]
    header = [
        "models", "community", "own", "mean of others", "own minus others", "tables in their place",
        "p", "p, all communities (Holm)", "clusters (smallest p)",
    ]  # fmt: skip
    lines = [
        (
            "Steerability is a community's own model minus the mean of the other communities' "
            "models; one model for all has 0. p: how often another labelling of the models, drawn "
            "anew in each cluster (battery, norm or pair), would favour the own one as much."
        ),
        "",
        *_table(header, shown),
    ]
    for one in families:
        label = f"*{cell(one.family)}*" if one.baseline else cell(one.family)
        lines.append(
            f"- {label}, all {one.communities} communities at once: {one.steerability:+.3f}, "
            f"p = {one.p:.2g} by permuting whose model is whose, of at least {one.smallest_p:.2g}."
        )
    return [*lines, ""]


def _shots(shots: Sequence[KShot], names: Mapping[str, str]) -> list[str]:
    if not shots:
        return []
    lines = [
        "## A person's next answer",
        "",
        (
            "Nats that the next answer of a person costs, by how many of that person's answers are "
            "known (k-shot). Lower is better. Means over people, with 95 % intervals."
        ),
        "",
    ]
    for part in dict.fromkeys(one.slice for one in shots):
        chosen = [one for one in shots if one.slice == part]
        known = [k for k in KNOWN if any(one.known == k for one in chosen)]
        found: dict[tuple[str, str], dict[int, KShot]] = {}
        for one in chosen:
            found.setdefault((one.community, one.model), {})[one.known] = one
        cells = [
            [
                _name(names, community),
                cell(model),
                str(max(one.people for one in curve.values())),
                *(
                    f"{curve[k].nats:.3f} ({curve[k].low:.3f} to {curve[k].high:.3f})"
                    if k in curve
                    else ""
                    for k in known
                ),
            ]
            for (community, model), curve in sorted(found.items())
        ]
        header = ["community", "model", "people", *(f"{k} known" for k in known)]
        lines += [f"### {part}", "", *_table(header, cells)]
    return lines
