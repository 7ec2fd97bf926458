"""Declared rewards become functions: what each needs is looked for before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.alignment import rewards
from assets.alignment.reward_judges import Judge, agreement
from assets.alignment.reward_language import accepted_languages, wanted_share
from assets.alignment.reward_scoring import Scorer
from assets.alignment.reward_terms import (
    AccuracyReward,
    DiversityReward,
    FormatReward,
    LanguageReward,
    LengthReward,
    MatchReward,
    NormsReward,
    OffLimitsReward,
    PreferenceReward,
    RewardTerm,
    SharesReward,
    name_of,
)
from assets.alignment.reward_values import (
    Answer,
    Asked,
    Pay,
    after_thought,
    contributions,
    cosine_distances,
    groups_of,
    is_right,
    is_valid,
    keeps_format,
    length_pay,
    option_of,
    rarity,
    word_distances,
)
from assets.diversity.encoder import encode
from assets.diversity.filtering.rules import Topic, named_topic, pattern
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.context import Context

_TAG = re.compile(r"</?\w+>")
"""What marks a thought or an answer; it is no word of any language."""
Chances = Callable[[Sequence[Asked]], Sequence[Sequence[float]]]
"""The policy's own probability of each lettered option of each question, among the options."""


@dataclass(frozen=True)
class Means:
    """What rewards read beside the answers themselves."""

    size: int
    """Members of a group."""
    letters: Sequence[int] = ()
    """The token of each option's letter."""
    chances: Chances | None = None
    scorer: Scorer | None = None
    """The community's reward model."""
    judge: Judge | None = None
    encoder: Any = None
    languages: tuple[str, ...] = ()
    """Those of the profile."""
    topics: tuple[Topic, ...] = ()
    """What the profile puts off limits."""
    where: str = ""
    """The node."""


@dataclass(frozen=True)
class NamedReward:
    """A reward that is ready to be paid."""

    name: str
    weight: float
    pay: Pay


def require_means(context: Context, terms: Sequence[RewardTerm]) -> None:
    """Raises UsageError where a reward needs what the declaration does not give."""
    for term in terms:
        role, why = _role(term)
        if role and not context.inputs(role):
            raise UsageError(
                f"the reward {term.kind!r} needs the input {role!r}",
                where=context.node,
                why=why,
                mend=f"add `{role}:` to the declaration's inputs, or leave the reward out",
            )
        if lacking := _profile_part(term, context):
            raise UsageError(
                f"the reward {term.kind!r} needs a profile's {lacking}",
                where=context.node,
                why="the method of this declaration does not read it",
                mend="use the method `community-grpo`, or leave the reward out",
            )


def _role(term: RewardTerm) -> tuple[str, str]:
    match term:
        case PreferenceReward():
            return "reward", "what the community prefers is read by its reward model"
        case NormsReward():
            return "judge", (
                "a judgement is read by a classifier that hears a 'not'; the likeness of sentence "
                "vectors, which does not, is never taken"
            )
        case DiversityReward(of="meaning"):
            return "encoder", "distances in meaning are read by a sentence encoder"
        case _:
            return "", ""


def _profile_part(term: RewardTerm, context: Context) -> str:
    fields = {name for one in context.profiles for name in one.fields}
    match term:
        case LanguageReward(languages=()) if "languages" not in fields:
            return "languages"
        case OffLimitsReward() if "off_limits" not in fields:
            return "off-limits topics"
        case _:
            return ""


def applies(term: RewardTerm, asked: Asked) -> bool:
    """Whether a reward says anything of a prompt's answers."""
    task = asked.task is not None
    if (term.on == "tasks" and not task) or (term.on == "prompts" and task):
        return False
    match term:
        case AccuracyReward():
            return task
        case MatchReward() | SharesReward():
            return bool(asked.shares)
        case NormsReward():
            return asked.judgement is not None
        case _:
            return True


def reward_functions(terms: Sequence[RewardTerm], means: Means) -> list[NamedReward]:
    """The rewards as functions, in the order in which they are declared."""
    return [
        NamedReward(
            name_of(term), term.weight, _only_where(term, _BUILDERS[type(term)](term, means))
        )
        for term in terms
    ]


def _only_where(term: RewardTerm, pay: Pay) -> Pay:
    """Pays answers to prompts that the reward applies to; of others it says nothing."""

    def paid(answers: Sequence[Answer]) -> list[float | None]:
        chosen = [place for place, one in enumerate(answers) if applies(term, one.asked)]
        found: list[float | None] = [None] * len(answers)
        if chosen:
            given = pay([answers[place] for place in chosen])
            for place, value in zip(chosen, given, strict=True):
                found[place] = value
        return found

    return paid


def _read(answer: Answer, reads: str) -> str:
    return answer.text if reads == "whole" else after_thought(answer.text)


def _language(term: LanguageReward, means: Means) -> Pay:
    accepted = accepted_languages(term.languages or means.languages, means.where)
    return lambda answers: [
        wanted_share(_TAG.sub(" ", one.text), accepted, term.letters) for one in answers
    ]


def _preference(term: PreferenceReward, means: Means) -> Pay:
    def pay(answers: Sequence[Answer]) -> list[float]:
        assert means.scorer is not None  # noqa: S101 - `require_means` saw to it
        scores = means.scorer.scores([(a.asked.question, _read(a, term.reads)) for a in answers])
        # An answer too long to be read gets the least, or length alone would pay.
        return [max(-term.limit, min(term.limit, -term.limit if s is None else s)) for s in scores]

    return pay


def _targets(asked: Asked) -> list[float]:
    return rewards.smoothed(asked.shares, asked.people)


def _match(term: MatchReward, means: Means) -> Pay:
    place_of = {token: place for place, token in enumerate(means.letters)}

    def pay(answers: Sequence[Answer]) -> list[float]:
        from math import log

        assert means.chances is not None  # noqa: S101 - given wherever there are options
        groups = groups_of(answers, means.size)
        own = means.chances([group[0].asked for group in groups])
        found = []
        for group, chances in zip(groups, own, strict=True):
            targets = _targets(group[0].asked)
            outside = rewards.floor([targets], term.outside_margin)
            for one in group:
                place = place_of.get(one.tokens[0], rewards.OUTSIDE) if one.tokens else -1
                place = place if place < len(targets) else rewards.OUTSIDE
                own_log = log(chances[place]) if place != rewards.OUTSIDE else 0.0
                found.append(rewards.match(targets, place, own_log, outside))
        return found

    return pay


def _shares(term: SharesReward, means: Means) -> Pay:
    def pay(answers: Sequence[Answer]) -> list[float]:
        found: list[float] = []
        for group in groups_of(answers, means.size):
            labels = [option_of(one.text, one.asked.options) for one in group]
            found += rarity(_targets(group[0].asked), labels, term.outside_margin)
        return found

    return pay


def _norms(term: NormsReward, means: Means) -> Pay:
    def pay(answers: Sequence[Answer]) -> list[float]:
        assert means.judge is not None  # noqa: S101 - `require_means` saw to it
        judged = means.judge([(one.asked.situation, _read(one, term.reads)) for one in answers])
        return [
            agreement(value, one.asked.judgement or 0)
            for value, one in zip(judged, answers, strict=True)
        ]

    return pay


def _diversity(term: DiversityReward, means: Means) -> Pay:
    def pay(answers: Sequence[Answer]) -> list[float]:
        texts = [_read(one, term.reads) for one in answers]
        vectors = encode(means.encoder, texts) if term.of == "meaning" else None
        found: list[float] = []
        for start in range(0, len(answers), means.size):
            group = slice(start, start + means.size)
            apart = (
                word_distances(texts[group])
                if vectors is None
                else cosine_distances(vectors[group])
            )
            found += contributions(apart, [is_valid(one) for one in answers[group]])
        return found

    return pay


def _off_limits(_: OffLimitsReward, means: Means) -> Pay:
    sought = [(topic, pattern(topic.terms)) for topic in means.topics]
    return lambda answers: [-1.0 if named_topic(one.text, None, sought) else 0.0 for one in answers]


def _accuracy(_: AccuracyReward, __: Means) -> Pay:
    return lambda answers: [float(is_right(one)) for one in answers]


def _format(term: FormatReward, _: Means) -> Pay:
    return lambda answers: [
        float(keeps_format(one.text, term.tags, alone=term.alone)) for one in answers
    ]


def _length(term: LengthReward, _: Means) -> Pay:
    return lambda answers: [
        length_pay(len(one.tokens), term.free, term.most, ended=one.ended) for one in answers
    ]


_BUILDERS: dict[type, Callable[[Any, Means], Pay]] = {
    AccuracyReward: _accuracy,
    FormatReward: _format,
    LanguageReward: _language,
    PreferenceReward: _preference,
    MatchReward: _match,
    SharesReward: _shares,
    NormsReward: _norms,
    DiversityReward: _diversity,
    LengthReward: _length,
    OffLimitsReward: _off_limits,
}
