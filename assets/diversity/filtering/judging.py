"""Steps one after the other: each scores every row, and leaves out some of those still there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from assets.diversity.filtering import contamination, language, minhash, rules, semantic, shingles
from assets.diversity.filtering.material import Asked, Material
from assets.diversity.filtering.measures import Measures
from assets.diversity.filtering.steps import (
    ExactStep,
    FilterStep,
    LanguageStep,
    LengthStep,
    NearStep,
    OffLimitsStep,
    OverlapStep,
    ParaphraseStep,
    ScoresStep,
    SemanticStep,
    label,
)
from assets.diversity.filtering.table import Table, texts
from registry.errors import MethodError
from registry.hashing import sha256_file

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Positions = NDArray[numpy.int64]
    Flags = NDArray[numpy.bool_]


@dataclass(frozen=True)
class Judgement:
    """What one step says of every row, whether or not the row is still there."""

    score: NDArray[Any]
    """The step's number; NaN where it measures none."""
    out: Flags
    """Whether the step leaves the row out."""
    reason: Callable[[int], str]
    """Why, for a row that it leaves out."""
    cause: Positions | None = None
    """The position among `causes` of the row that is the reason; -1 for the row itself."""
    causes: Sequence[str] = ()
    """Ids of the rows that can be a reason."""
    note: str = ""
    """What a reader must know of how it judged."""


@dataclass
class Verdicts:
    """What all steps say together."""

    order: Positions
    """Positions of the rows, the best-ranked first."""
    steps: list[tuple[str, Judgement]] = field(default_factory=list)
    """Each step's label and judgement, in order."""
    before: list[int] = field(default_factory=list)
    """How many rows reached each step."""
    decided: NDArray[Any] | None = None
    """For each row, the place of the step that left it out; -1 where it is kept."""


def ranking(table: Table, material: Material, columns: Sequence[str]) -> Positions:
    """Positions from the best-ranked row down; rows alike in rank stay in the order given.

    A row's rank is the product of the columns (Llama 3 ranks by quality x difficulty); a row that
    lacks one of them comes last. Raises MethodError where a number is below 0.
    """
    import numpy

    product = numpy.ones(len(table))
    for name in columns:
        values = material.column(name)
        if (values < 0).any():
            position = int(numpy.argmax(values < 0))
            raise MethodError(
                f"the row {table.frame['row_id'][position]} has {values[position]:g} for {name!r}",
                why="rows are ranked by a product, where a number below 0 turns the order around",
                mend="rank by columns whose numbers are 0 or more",
            )
        product *= values
    product = numpy.where(numpy.isnan(product), -1.0, product)
    return numpy.argsort(-product, kind="stable")


def judge(
    table: Table,
    material: Material,
    measures: Measures,
    steps: Sequence[FilterStep],
    rank_by: Sequence[str],
    first: int = 1,
) -> Verdicts:
    """Applies the steps in order.

    Args:
        table: The rows.
        material: What steps look at besides the rows.
        measures: What is expensive.
        steps: The steps.
        rank_by: Columns whose product ranks rows; of rows that are alike the best-ranked is kept.
        first: The number of the first of these steps in the declaration.
    """
    import numpy

    verdicts = Verdicts(ranking(table, material, rank_by))
    decided = numpy.full(len(table), -1, dtype=numpy.int64)
    for place, step in enumerate(steps):
        left = decided < 0
        sight = _Sight(table, material, measures, verdicts.order, left)
        found = _JUDGES[type(step)](step, sight)
        verdicts.steps.append((label(first + place, step), found))
        verdicts.before.append(int(left.sum()))
        decided[left & found.out] = place
    verdicts.decided = decided
    return verdicts


@dataclass(frozen=True)
class _Sight:
    """What a step sees."""

    table: Table
    material: Material
    measures: Measures
    order: Positions
    left: Flags
    """The rows that no earlier step left out."""


def _repetition(found: minhash.Nearest, threshold: float, table: Table, reason: str) -> Judgement:
    ids = table.frame["row_id"].to_list()
    out = found.score >= threshold
    return Judgement(found.score, out, lambda _: reason, found.cause, ids)


def _exact(step: ExactStep, sight: _Sight) -> Judgement:
    import numpy

    plain = shingles.normalised(sight.table.texts(step.of), longest=None)
    keys = plain.rank("dense").to_numpy().astype(numpy.int64)
    leader = numpy.full(int(keys.max()) + 1, -1, dtype=numpy.int64)
    standing = sight.order[sight.left[sight.order]]
    leader[keys[standing][::-1]] = standing[::-1]
    cause = leader[keys]
    cause[cause == numpy.arange(len(sight.table))] = -1
    found = minhash.Nearest((cause >= 0).astype(numpy.float64), cause)
    return _repetition(found, 1, sight.table, "repeats another row")


def _near(step: NearStep, sight: _Sight) -> Judgement:
    def found_in(part: slice) -> shingles.Groups:
        plain = shingles.normalised(texts(sight.table.frame[part], step.of)).to_list()
        return shingles.sequences(shingles.words(plain), step.words, short=True)

    @cache
    def templates() -> NDArray[Any]:
        parts = (found_in(part) for part in sight.measures.parts)
        return shingles.common(parts, step.ignore_common or len(sight.table))

    def signed(part: slice) -> NDArray[Any]:
        found = found_in(part)
        if step.ignore_common is not None:
            found = shingles.without(found, templates())
        return minhash.signatures(found, step.permutations)

    depends_on = {
        "of": step.of,
        "words": step.words,
        "permutations": step.permutations,
        "ignore_common": step.ignore_common,
        "scheme": shingles.SCHEME,
    }
    found = sight.measures.measure("near", depends_on, signed)
    nearest = minhash.nearest_kept(found, sight.order, sight.left, step.threshold)
    reason = f"shares {step.threshold:.0%} or more of its word sequences with another row"
    return _repetition(nearest, step.threshold, sight.table, reason)


def _semantic(step: SemanticStep, sight: _Sight) -> Judgement:
    vectors, known = sight.material.vectors()
    labels = sight.material.labels(known)
    nearest = semantic.nearest_kept(vectors, labels, sight.order, sight.left, step.threshold)
    reason = f"says what another row says (cosine {step.threshold:g} or more)"
    found = _repetition(nearest, step.threshold - semantic.SLACK, sight.table, reason)
    return replace(found, note=_unknown(known))


def _overlap(step: OverlapStep, sight: _Sight) -> Judgement:
    asked, prompts = sight.material.prompts()
    settings = {"shortest": step.shortest, "ignore_common": step.ignore_common}
    sought = contamination.evaluations(prompts, step.words, **settings)

    def shares(part: slice) -> NDArray[Any]:
        return contamination.overlap(texts(sight.table.frame[part], step.of), sought)

    depends_on = {
        "of": step.of,
        "words": step.words,
        **settings,
        "against": asked.digest,
        "scheme": shingles.SCHEME,
    }
    found = sight.measures.measure("overlap", depends_on, shares)
    note = f"{sought.unjudged:,} of {len(asked.ids):,} prompts have too few words of their own"
    shown = note if sought.unjudged else ""
    return _contaminated(found, step.threshold, asked, "holds the words of", shown)


def _paraphrase(step: ParaphraseStep, sight: _Sight) -> Judgement:
    asked, against = sight.material.asked_vectors()
    vectors, known = sight.material.vectors()
    depends_on = {"features": sight.material.features_digest(), "against": asked.digest}
    found = sight.measures.measure(
        "paraphrase", depends_on, lambda part: contamination.closest(vectors[part], against)
    )
    threshold = step.threshold - semantic.SLACK
    return _contaminated(found, threshold, asked, "says the same as", _unknown(known))


def _unknown(known: Flags) -> str:
    lacking = int((~known).sum())
    return f"{lacking:,} rows have no vector, so they were not compared" if lacking else ""


def _contaminated(
    found: NDArray[Any], threshold: float, asked: Asked, how: str, note: str = ""
) -> Judgement:
    import numpy

    score, cause = numpy.array(found[:, 0]), found[:, 1].astype(numpy.int64)

    def reason(row: int) -> str:
        return f"{how} a row of the evaluation {asked.evaluations[cause[row]]}"

    out = (score >= threshold) & (cause >= 0)
    return Judgement(score, out, reason, cause, asked.ids, note)


def _length(step: LengthStep, sight: _Sight) -> Judgement:
    import numpy

    if step.unit == "tokens":
        one = sight.material.tokenizer()
        count = rules.token_counter(one.files, one.label)
        depends_on = {"of": step.of, "tokenizer": sha256_file(one.files / "tokenizer.json")}
        found = sight.measures.measure(
            "tokens", depends_on, lambda part: count(texts(sight.table.frame[part], step.of))
        )
    else:
        found = rules.lengths(sight.table.texts(step.of), step.unit)
    least = 0 if step.at_least is None else step.at_least
    most = numpy.inf if step.at_most is None else step.at_most

    def reason(row: int) -> str:
        short = found[row] < least
        bound = f"under {least:,}" if short else f"over {most:,}"
        return f"{step.of if step.of != 'both' else 'text'} has {bound} {step.unit}"

    return Judgement(found.astype(numpy.float64), (found < least) | (found > most), reason)


def _language(step: LanguageStep, sight: _Sight) -> Judgement:
    found = language.detector()
    given: dict[str | None, tuple[str, ...]] = {None: step.languages}
    if not step.languages:
        given = dict(sight.material.languages().items())
    accepted = {who: language.wanted(tags, found.labels) for who, tags in given.items()}
    everyone = None if step.languages else sight.material.community
    owners: list[str | None] = (
        [everyone] * len(sight.table)
        if everyone or step.languages
        else sight.table.frame["community"].to_list()
    )

    def foreign(part: slice) -> NDArray[Any]:
        import numpy

        pairs = zip(texts(sight.table.frame[part], step.of), owners[part], strict=True)
        return numpy.array([
            language.foreignness(text, accepted[who], step.letters, step.mixing == "keep", found)
            if accepted.get(who)
            else 0.0
            for text, who in pairs
        ])  # fmt: skip

    depends_on = {
        "of": step.of,
        "accepted": {str(who): sorted(codes) for who, codes in accepted.items()},
        "for": everyone,
        "letters": step.letters,
        "mixing": step.mixing,
        "detector": version("py3langid"),
        "stretch": [language.READ, language.STRETCH],
    }
    score = sight.measures.measure("language", depends_on, foreign)
    unknown = sorted({tag for who, tags in given.items() if not accepted[who] for tag in tags})
    note = f"the detector cannot judge {', '.join(unknown)}: those rows stay" if unknown else ""

    def reason(row: int) -> str:
        return f"is surely not in {', '.join(given[owners[row]])}"

    return Judgement(score, score >= step.threshold, reason, note=note)


def _scores(step: ScoresStep, sight: _Sight) -> Judgement:
    import numpy

    passed = numpy.array([
        rules.passes(criterion, sight.material.column(criterion.column), sight.left)
        for criterion in step.any_of
    ])  # fmt: skip
    met = passed.sum(axis=0).astype(numpy.float64)
    columns = ", ".join(criterion.column for criterion in step.any_of)
    return Judgement(met, met == 0, lambda _: f"too low in {columns}")


def _off_limits(step: OffLimitsStep, sight: _Sight) -> Judgement:
    import numpy

    topics = sight.material.topics()
    if step.terms:
        topics.append(rules.Topic(None, "a term of the declaration", step.terms))
    sought = [(topic, rules.pattern(topic.terms)) for topic in topics]
    everyone = sight.material.community
    owners = [everyone] * len(sight.table) if everyone else sight.table.frame["community"]
    named = [
        rules.named_topic(text, who, sought)
        for text, who in zip(sight.table.texts("both"), owners, strict=True)
    ]
    score = numpy.array([float(bool(topic)) for topic in named])
    return Judgement(score, score > 0, lambda row: f"off limits: {named[row]}")


_JUDGES: dict[type, Callable[[Any, _Sight], Judgement]] = {
    ExactStep: _exact,
    NearStep: _near,
    SemanticStep: _semantic,
    OverlapStep: _overlap,
    ParaphraseStep: _paraphrase,
    LengthStep: _length,
    LanguageStep: _language,
    ScoresStep: _scores,
    OffLimitsStep: _off_limits,
}
"""Every step but `lines`, which changes the rows before any is judged."""
