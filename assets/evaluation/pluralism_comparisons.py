"""Each model minus each rival, community by community, with p-values for the whole family.

Two questions are asked of a difference. Would it stand if other people had been held out? (From
redrawn respondents.) Would it stand for other questions? (Whole batteries change sides.) The family
of one model is all its communities times all its rivals in one slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assets.evaluation.answerers import Answerer
from assets.evaluation.pluralism_figures import TV, Scored
from assets.evaluation.resampling import flip_clusters, holm, interval, normal_p

FLIPS = 10_000


def rivals(one: Answerer, answerers: Sequence[Answerer], community: str) -> list[Answerer]:
    """What a model has to beat: baselines, models for all, and own models named before it."""
    found = [a for a in answerers if a.kind == "baseline"]
    for other in answerers:
        if other.kind != "model" or other.label == one.label:
            continue
        if other.community is None or (
            other.community == community
            and one.community == community
            and answerers.index(other) < answerers.index(one)
        ):
            found.append(other)
    return found


def compare(scored: Sequence[Scored], source: np.random.Generator) -> Iterator[dict[str, Any]]:
    """The comparisons of one slice.

    Args:
        scored: The figures of all communities on it.
        source: Where flips come from if there are too many to try.
    """
    names = (
        dict.fromkeys(a.name for a in scored[0].answerers if a.kind == "model") if scored else {}
    )
    for name in names:
        family = [row for one in scored for row in _of_community(one, name, source)]
        for kind in ("people", "batteries"):
            adjusted = holm([row[f"p_{kind}"] for row in family])
            for row, p in zip(family, adjusted, strict=True):
                row[f"p_{kind}_family"] = float(p)
        yield from family


def _of_community(scored: Scored, name: str, source: np.random.Generator) -> list[dict[str, Any]]:
    panel, answerers = scored.panel, scored.answerers
    mine = [
        a
        for a in answerers
        if a.kind == "model" and a.name == name and a.community in (None, panel.community)
    ]
    if not mine:
        return []
    (own,) = mine
    place = scored.place(own.label)
    others = rivals(own, answerers, panel.community)
    figure = scored.figures[TV]
    each, again = figure.each, figure.again
    places = [scored.place(other.label) for other in others]
    if each is None or again is None or not others:
        return []
    differences = each[place][None, :] - each[places]
    flips = flip_clusters(differences, [item.battery for item in panel.items], FLIPS, source)
    rows = []
    for other, where, test in zip(others, places, flips, strict=True):
        value = float(figure.values[place] - figure.values[where])
        spread = again[place] - again[where]
        low, high = interval(value, spread, panel.factor)
        rows.append(
            {
                "slice": panel.part,
                "community": panel.community,
                "model": own.label,
                "rival": other.label,
                "difference": value,
                "low": low,
                "high": high,
                "items": len(panel.items),
                "people": panel.people,
                "batteries": test.clusters,
                "p_people": normal_p(value, spread, panel.factor),
                "p_batteries": test.p,
                "smallest_p_batteries": test.smallest,
                "every_flip_tried": test.exact,
            }
        )
    return rows
