"""Coverage over all situations: each model's mean with its interval, and beside it what is easy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from assets.evaluation.intervals import mean
from assets.evaluation.overton_answers import Answer, Material, Viewed
from assets.evaluation.overton_coverage import Coverage, Form, Pair, coverage, pair
from registry.results import Result

ELSEWHERE, ONE_VIEW, ALL_VIEWS = (
    "its answer to another situation",
    "one view alone",
    "every view, a sentence each",
)
"""What stands beside each figure: a floor, what one side alone gets, and the most to be had."""
NAMES: Mapping[Form, str] = {
    "covered": "Overton coverage",
    "published": "Overton coverage, published form",
    "topic": "topic coverage",
}
_EVERYTHING = "all situations"


@dataclass(frozen=True)
class Difference:
    """One model's coverage minus another's, paired by situation."""

    model: str
    other: str
    difference: float
    low: float
    high: float
    situations: int


@dataclass(frozen=True)
class Reader:
    """Reads the coverage of one form out of the scores of pairs."""

    form: Form
    above: float
    scores: Mapping[Pair, float]

    def of(self, said: Sequence[str], views: Sequence[Viewed]) -> Coverage:
        """How sentences cover views."""
        held = [(one.held.view, one.held.explanation) for one in views]
        return coverage(self.scores, self.form, said, held, self.above)


def wanted_pairs(form: Form, material: Material) -> Iterator[Pair]:
    """Every pair whose score a form's figures need."""
    following = _following(material)
    for prompt, views in material.views.items():
        said = {one for group in material.answers.values() for a in group[prompt] for one in a.said}
        said |= {one.held.view for one in views}
        said |= {
            one for group in material.answers.values() for one in group[following[prompt]][0].said
        }
        for one in said:
            for view in views:
                yield pair(form, one, view.held.view, view.held.explanation)


def _following(material: Material) -> dict[str, str]:
    """Another situation for each, the next one by id."""
    prompts = list(material.views)
    return {prompt: prompts[(place + 1) % len(prompts)] for place, prompt in enumerate(prompts)}


Figure = Callable[[Coverage, Sequence[Viewed]], float]


def _share(found: Coverage, _: Sequence[Viewed]) -> float:
    return found.share


def _mean(found: Coverage, _: Sequence[Viewed]) -> float:
    return found.mean


def _weighted(found: Coverage, views: Sequence[Viewed]) -> float:
    return found.weighted([one.prevalence or 0.0 for one in views])


def by_situation(
    reader: Reader, material: Material, model: str, figure: Figure = _share
) -> dict[str, float]:
    """For each situation, the mean of a figure over the model's answers."""
    return {
        prompt: fmean(figure(reader.of(one.said, views), views) for one in group[prompt])
        for group in [material.answers[model]]
        for prompt, views in material.views.items()
    }


def _beside(reader: Reader, material: Material, model: str, figure: Figure) -> dict[str, float]:
    following, group = _following(material), material.answers[model]
    views_of = material.views.items()
    elsewhere = fmean(
        figure(reader.of(group[following[prompt]][0].said, views), views)
        for prompt, views in views_of
    )
    single = fmean(
        fmean(figure(reader.of([one.held.view], views), views) for one in views)
        for _, views in views_of
    )
    every = fmean(
        figure(reader.of([one.held.view for one in views], views), views) for _, views in views_of
    )
    found = {ONE_VIEW: single, ALL_VIEWS: every}
    return ({ELSEWHERE: elsewhere} if len(material.views) > 1 else {}) | found


def results_of(reader: Reader, material: Material) -> list[Result]:
    """The figures of one form, for every model.

    The mean is over situations, each weighing alike whatever the number of its views and answers.
    """
    name = NAMES[reader.form]
    figures: list[tuple[str, Figure]] = [(f"{name} (share of views)", _share)]
    if material.weighted:
        figures.append((f"{name} (share of views, weighted by prevalence)", _weighted))
    figures.append((f"{name} (mean score of views)", _mean))
    found = []
    for model in material.answers:
        for metric, figure in figures:
            values = list(by_situation(reader, material, model, figure).values())
            found.append(_result(model, metric, values, reader, material, figure))
        found += list(_for_communities(reader, material, model, f"{name} (share of views)"))
    return found


def _result(
    model: str,
    metric: str,
    values: Sequence[float],
    reader: Reader,
    material: Material,
    figure: Figure,
) -> Result:
    value, low, high = mean(values)
    return Result(
        about=model,
        slice=_EVERYTHING,
        metric=metric,
        lower_is_better=False,
        value=value,
        low=low,
        high=high,
        items=len(values),
        beside=_beside(reader, material, model, figure),
    )


def _for_communities(
    reader: Reader, material: Material, model: str, metric: str
) -> Iterator[Result]:
    """Whose views a model covers: the share of each community's views, where views name theirs."""
    named = {c for views in material.views.values() for one in views for c in one.held_by}
    for community in sorted(named):
        own = {
            prompt: tuple(one for one in views if community in one.held_by)
            for prompt, views in material.views.items()
        }
        theirs = Material(
            views={prompt: views for prompt, views in own.items() if views},
            answers=material.answers,
            left_out=0,
        )
        values = list(by_situation(reader, theirs, model).values())
        value, low, high = mean(values)
        yield Result(
            about=model,
            community=community,
            slice="views of the community",
            metric=metric,
            lower_is_better=False,
            value=value,
            low=low,
            high=high,
            items=len(values),
            beside={},
        )


def differences(reader: Reader, material: Material) -> list[Difference]:
    """Every model minus every model before it, by the share of views, paired by situation."""
    shares = {model: by_situation(reader, material, model) for model in material.answers}
    names = list(shares)
    found = []
    for place, model in enumerate(names):
        for other in names[:place]:
            each = [shares[model][prompt] - shares[other][prompt] for prompt in material.views]
            value, low, high = mean(each)
            found.append(Difference(model, other, value, low, high, len(each)))
    return found


def covered_rows(reader: Reader, material: Material) -> Iterator[dict[str, object]]:
    """A row for each answer and view: the score, whether it is covered, and by which sentence."""
    for model, group in material.answers.items():
        for prompt, views in material.views.items():
            for answer in group[prompt]:
                yield from _answer_rows(reader, model, answer, views)


def _answer_rows(
    reader: Reader, model: str, answer: Answer, views: Sequence[Viewed]
) -> Iterator[dict[str, object]]:
    found = reader.of(answer.said, views)
    for view, score, place, covered in zip(views, found.best, found.at, found.covered, strict=True):
        yield {
            "row_id": f"{answer.row_id}-{view.row_id}-{reader.form}",
            "parents": [answer.row_id, view.row_id],
            "prompt_id": answer.prompt_id,
            "model": model,
            "sample": answer.sample,
            "sentences": len(answer.said),
            "form": reader.form,
            "view": view.held.view,
            "score": score,
            "covered": covered,
            "sentence": None if place is None else answer.said[place],
        }
