"""All figures of the pluralism evaluation as a page of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assets.evaluation.answerers import UNIFORM
from assets.evaluation.cross_matrix import cell
from assets.evaluation.pluralism_figures import METRICS, TV
from assets.evaluation.pluralism_welfare import ELECTED, MEAN, SURE, VETOES, WORST

Rows = Sequence[Mapping[str, Any]]
_SURE = 0.05
_EXPLAINED = {
    "total variation": "The share of answers that would have to change. Lower is nearer.",
    "skill": "How far from uniform answers (0) to a group's own (1). Higher is nearer.",
    "Jensen-Shannon divergence": "In nats; at most 0.693. Lower is nearer.",
    "representativeness": "Counts steps between options in order; 1 is exact. Higher is nearer.",
    "calibration error": "How far 10 bins of equal mass are from the diagonal. Lower is better, "
    "but uniform answers score well, too: never read it alone.",
    "entropy": "In nats: how spread out the answers are.",
    "entropy gap": "Entropy minus that of the people. Below 0: more of one mind than they are.",
    "option coverage": "The probability on the options at all; the rest is thrown away before any "
    "other figure. Higher is better.",
}


def page(
    figures: Rows,
    jury: Rows,
    weights: Rows,
    comparisons: Rows,
    names: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """The page, as Markdown."""
    lines = [
        "# Every figure, beside every baseline",
        "",
        (
            "Compared with respondents held out. Lines in *italics* are marks, no rivals: they saw "
            "the answers, or show what noise alone makes. Brackets hold 95 % intervals. Every row, "
            "with numbers of people and questions: "
            "`figures.parquet`, `jury.parquet`, `weights.parquet`, `comparisons.parquet`."
        ),
        "",
    ]
    if notes:
        lines += ["## To know first", "", *(f"- {cell(note)}" for note in notes), ""]
    for part in dict.fromkeys(row["slice"] for row in figures):
        lines += [f"## {part}", ""]
        lines += _jury([row for row in jury if row["slice"] == part], names)
        lines += _comparisons([row for row in comparisons if row["slice"] == part], names)
        for metric in METRICS:
            chosen = [r for r in figures if (r["slice"], r["metric"]) == (part, metric)]
            lines += _metric(metric, chosen, names)
        if part == "asked":
            lines += _weights(weights, names)
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> list[str]:
    columns = list(header)
    found = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*found, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _shown(label: str, kind: str) -> str:
    return f"*{cell(label)}*" if kind == "mark" else cell(label)


def _bracketed(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _size(rows: Rows) -> str:
    people = [row["people"] for row in rows]
    fewest, most = min(people), max(people)
    among = f"at least {fewest}" + (f" to {most}" if fewest < most else "")
    items = max(row["items"] for row in rows)
    return f"{items} question{'s' * (items > 1)}, {among} people a group."


def _metric(metric: str, rows: Rows, names: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    communities = list(dict.fromkeys(row["community"] for row in rows))
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["predictor"], {})[row["community"]] = row
    cells = [
        [
            _shown(label, next(iter(found.values()))["kind"]),
            *(
                _bracketed(found[c]["value"], found[c]["low"], found[c]["high"])
                if c in found
                else ""
                for c in communities
            ),
        ]
        for label, found in lines.items()
    ]
    header = ["", *(cell(names[c]) if c else "mean" for c in communities)]
    explained = f"{_EXPLAINED[metric]} {_size(rows)}"
    return [f"### {metric[0].upper()}{metric[1:]}", "", explained, "", *_table(header, cells)]


def _jury(rows: Rows, names: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["predictor"], {})[row["metric"]] = row
    voting = any(ELECTED in found for found in lines.values())
    cells = []
    for label, found in lines.items():
        mean, worst, vetoes = found[MEAN], found[WORST], found[VETOES]
        line = [
            _shown(label, mean["kind"]),
            _bracketed(mean["value"], mean["low"], mean["high"]),
            _bracketed(worst["value"], worst["low"], worst["high"]),
            cell(names[who]) if (who := worst["worst_community"]) else "all alike",
            f"{vetoes['value']:.0%} ({vetoes['low']:.0%} to {vetoes['high']:.0%})",
        ]
        if voting:
            line += [_vote(found, suffix) for suffix in ("", ", votes by size")]
        cells.append(line)
    header = ["", "mean skill", "worst group's skill", "which", "vetoes"]
    header += ["elected", "elected, votes by size"] if voting else []
    return [
        "### Before a jury of all groups",
        "",
        (
            "Skill is 1 - TV(model) / TV(uniform). A group vetoes a model on a question where "
            "uniform answers are nearer to it. Elected is one model for all, by Black's rule; in "
            "brackets the "
            f"share of redrawn elections that it wins. {_size(rows)}"
        ),
        "",
        *_table(header, cells),
    ]


def _vote(found: Mapping[str, Mapping[str, Any]], suffix: str) -> str:
    if ELECTED + suffix not in found:
        return ""
    share, sure = found[ELECTED + suffix]["value"], found[SURE + suffix]["value"]
    won = "yes" if share == 1 else "shared" if share else "no"
    return f"{won} ({sure:.0%})"


def _comparisons(rows: Rows, names: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    rivals = list(dict.fromkeys(row["rival"].partition("@")[0] for row in rows))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        mark = "*" * ((row["p_people_family"] < _SURE) + (row["p_batteries_family"] < _SURE))
        if row["p_people_family"] >= _SURE:
            mark = ""
        found = lines.setdefault((row["model"], row["community"]), {})
        shown = f"{row['difference']:+.3f}{mark}"
        found[row["rival"].partition("@")[0]] = shown.replace("*", "\\*")
    cells = [
        [cell(model), cell(names[c]), *(found.get(rival, "") for rival in rivals)]
        for (model, c), found in lines.items()
    ]
    batteries, smallest = rows[0]["batteries"], rows[0]["smallest_p_batteries"]
    family = max(Counter(model.partition("@")[0] for model in (r["model"] for r in rows)).values())
    hopeless = smallest * family > _SURE
    return [
        f"### Model minus rival, in {TV}",
        "",
        "Below 0 the model is nearer. \\* stands with other people; \\*\\* also with other "
        "batteries "
        "of questions, by flipping whole ones. Both hold for all groups and rivals of a model "
        f"together (Holm, 5 %). {batteries} batter{'ies' if batteries > 1 else 'y'} can give no "
        f"smaller p than {smallest:.2g}"
        + (
            f", so that with {family} comparisons nothing can stand with other batteries. "
            if hopeless
            else ". "
        )
        + _size(rows),
        "",
        *_table(["", "on", *(cell(r) for r in rivals)], cells),
    ]


def _weights(rows: Rows, names: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["weighting"], []).append(row)
    cells = []
    for weighting, found in lines.items():
        loser = max(found, key=lambda row: row["loss"])
        mean = sum(row["skill"] for row in found) / len(found)
        cells.append(
            [
                cell(weighting),
                *(
                    f"{r['weight']:.2f}: {_bracketed(r['skill'], r['low'], r['high'])}"
                    for r in found
                ),
                f"{mean:.3f}",
                (
                    f"{cell(names[loser['community']])}: "
                    f"{loser['loss']:.3f} ({loser['loss_low']:.3f} to {loser['loss_high']:.3f})"
                ),
            ]
        )
    communities = [row["community"] for row in next(iter(lines.values()))]
    header = ["weights", *(cell(names[c]) for c in communities), "mean skill", "who loses most"]
    return [
        "### One table for all, and who loses under which weights",
        "",
        (
            "Each cell is a group's weight and its skill. The loss is what its own table would "
            "have been better by. Weights follow from the learning tables alone; max-min makes "
            "the worst "
            f"skill there as high as any weights can. {_size(rows)}"
        ),
        "",
        *_table(header, cells),
    ]


def notes_of(
    left_out: Mapping[str, str], alike: Sequence[str], uniform: Sequence[str], unordered: bool
) -> list[str]:
    """What a reader must know before reading any figure."""
    notes = [f"Left out of all figures: {item}, since {why}." for item, why in left_out.items()]
    notes += [
        f"{label} answers all questions with as many options alike, place by place: it does not "
        "read what it is asked, and a good figure is luck."
        for label in alike
    ]
    notes += [
        f"{name} answers as {UNIFORM} answers would: no skill can be told, and it has no seat on "
        "the jury."
        for name in uniform
    ]
    if unordered:
        notes.append(
            "No battery is declared to have options in order (`ordinal`), so there is no "
            "representativeness."
        )
    return notes
