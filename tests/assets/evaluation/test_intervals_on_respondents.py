"""The intervals against the respondents themselves, whom the published tables do not hold.

The evaluation redraws every item on its own, since a table does not say who answered two items
alike. Here people are redrawn, each with all of their answers. The spread is then larger: agreeing
once goes with agreeing again. `pytest -s` prints by how much; docs/pluralism.md cites the figures.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.evaluation.distances import Array, total_variation
from assets.evaluation.pluralism import METRICS, Params
from assets.evaluation.predictors import Item, Predictor, Slice, baselines, items_of
from assets.evaluation.resampling import Metric, resample, score, widening
from assets.opinion_tables import OpinionTable, read_opinions
from assets.sources import civic_2020
from registry.profile_tables import held_out
from registry.strict_yaml import read

ROOT = Path(__file__).resolve().parents[3]
RESPONSES = ROOT.parent / "shared" / "data" / "nonvoters538" / "nonvoters_data.csv.gz"
BANDS = [band.id for band in civic_2020.AGE_BANDS]
PARTS: tuple[Slice, ...] = ("asked", "unseen questions")
DRAWS = 2000
"""Makes the ratio of two spreads sure to about 3 %."""
OWN, POOLED = "own table (noise floor)", "pooled table"
REPORTED = ("uniform", POOLED, f"{OWN} - {POOLED}")
MEASURED: dict[Slice, tuple[float, float]] = {"asked": (1.3, 1.8), "unseen questions": (1.0, 1.4)}
"""The range of the ratio for what is reported, as docs/pluralism.md states it."""

pytestmark = pytest.mark.skipif(
    not RESPONSES.is_file(), reason="the survey's file is not beside the project"
)


@dataclass(frozen=True)
class Survey:
    """The survey as the evaluation sees it, and the people behind its held-out half."""

    items: Mapping[str, Item]
    held: Mapping[str, Mapping[str, OpinionTable]]
    predictors: Mapping[str, Predictor]
    people: Mapping[str, tuple[civic_2020.Respondent, ...]]

    def goal(self, band: str) -> dict[str, Array]:
        """The held-out shares of a band."""
        return {item: np.array(table.shares) for item, table in self.held[band].items()}


@cache
def survey() -> Survey:
    options = civic_2020.read_options(civic_2020.INSTRUMENT)
    document: Any = read(civic_2020.INSTRUMENT, civic_2020.INSTRUMENT.name)[0]
    items = {
        item: Item(item, battery, options[item], held_out("civic-2020", item, 0.2))
        for battery, given in document.data["batteries"].items()
        for item in given["items"]
    }
    folders = {band: ROOT / "value_profiles" / band for band in BANDS}
    learned = {b: read_opinions(f / "opinions.csv", options) for b, f in folders.items()}
    held = {
        b: read_opinions(f / "evaluation" / "opinions.csv", options) for b, f in folders.items()
    }

    def arrays(tables: Mapping[str, Mapping[str, OpinionTable]]) -> dict[str, dict[str, Array]]:
        return {b: {i: np.array(t.shares) for i, t in table.items()} for b, table in tables.items()}

    text = gzip.decompress(RESPONSES.read_bytes()).decode()
    everyone = civic_2020.read_respondents(text, options)
    learning = civic_2020.learning_half(one.id for one in everyone)
    people = {
        band: tuple(one for one in everyone if one.band == band and one.id not in learning)
        for band in BANDS
    }
    return Survey(items, held, baselines(items, arrays(learned), arrays(held)), people)


@cache
def redrawn_together(band: str) -> dict[str, Array]:
    """Shares among redrawn people, each with all of their answers and their weight."""
    people = survey().people[band]
    weights = np.array([one.weight for one in people])
    chances = np.full(len(people), 1 / len(people))
    drawn = np.random.default_rng(1).multinomial(len(people), chances, DRAWS) * weights
    shares = {}
    for item in survey().items.values():
        answered = np.zeros((len(people), len(item.options)))
        for index, one in enumerate(people):
            if item.id in one.codes:
                answered[index, one.codes[item.id] - 1] = 1
        sums = drawn @ answered
        shares[item.id] = sums / sums.sum(axis=1, keepdims=True)
    return shares


@cache
def redrawn_apart(band: str) -> dict[str, Array]:
    """Shares as the evaluation redraws them, from the published table alone."""
    return resample(survey().held[band], DRAWS, np.random.default_rng(2))


def spreads(band: str, part: Slice, metric: Metric) -> dict[str, tuple[float, float]]:
    """The spread of each baseline's mean distance, people redrawn together and items apart."""
    chosen = items_of(part, survey().items)
    goal = survey().goal(band)
    again: dict[str, list[Array]] = {}
    for redrawn in (redrawn_together(band), redrawn_apart(band)):
        for label, predictor in survey().predictors.items():
            predicted = [predictor(part, item, band) for item in chosen]
            held, drawn = [goal[i.id] for i in chosen], [redrawn[i.id] for i in chosen]
            again.setdefault(label, []).append(score(predicted, held, drawn, metric)[1])
    pairs = list(again)
    for one in pairs:
        for other in pairs:
            if one < other:
                differences = [a - b for a, b in zip(again[one], again[other], strict=True)]
                again[f"{one} - {other}"] = differences
    found = {label: (float(a.std()), float(b.std())) for label, (a, b) in again.items()}
    return {label: pair for label, pair in found.items() if pair[1] > 0}


def cases() -> Iterator[tuple[str, Slice]]:
    for band in BANDS:
        for part in PARTS:
            yield band, part


@pytest.mark.parametrize("band", BANDS)
def test_item_by_item_the_effective_number_gives_the_right_spread(band: str) -> None:
    together, apart = redrawn_together(band), redrawn_apart(band)
    variances = [
        [draws[item][:, :-1].var(axis=0).sum() for item in survey().items]
        for draws in (together, apart)
    ]
    ratio = np.sqrt(np.sum(variances[0]) / np.sum(variances[1]))
    assert ratio == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("band", "part"), list(cases()))
def test_people_answer_items_alike_by_the_documented_ratio(band: str, part: Slice) -> None:
    found = spreads(band, part, total_variation)
    count = len(items_of(part, survey().items))
    widened = widening(count, Params().item_correlation)
    for label in REPORTED:
        together, apart = found[label]
        ratio = together / apart
        print(  # noqa: T201 - the command that docs/pluralism.md names
            f"\n{band:12} {part:17} {count:2} items  {label:39} people {together:.4f}  "
            f"items apart {apart:.4f}  ratio {ratio:.2f}  reported {apart * widened:.4f}",
            end="",
        )
        low, high = MEASURED[part]
        assert low - 0.05 <= ratio <= high + 0.05


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("band", "part"), list(cases()))
def test_no_reported_interval_is_much_too_narrow(band: str, part: Slice, metric: str) -> None:
    widened = widening(len(items_of(part, survey().items)), Params().item_correlation)
    for label, (together, apart) in spreads(band, part, METRICS[metric]).items():
        assert together <= 1.15 * widened * apart, label
        assert together >= 0.45 * widened * apart, label


@pytest.mark.parametrize("band", BANDS)
def test_noise_alone_gives_an_exact_answerer_a_distance(band: str) -> None:
    chosen = items_of("asked", survey().items)
    goal, redrawn = survey().goal(band), redrawn_together(band)
    exact = [goal[item.id] for item in chosen]
    _, again = score(exact, exact, [redrawn[item.id] for item in chosen], total_variation)
    own = [survey().predictors[OWN]("asked", item, band) for item in chosen]
    floor, _ = score(own, exact, [redrawn[item.id] for item in chosen], total_variation)
    print(f"\n{band:12} exact answerer {again.mean():.3f}, own table {floor:.3f}", end="")  # noqa: T201
    assert 0.01 < again.mean() < 0.03
    assert again.mean() < floor
