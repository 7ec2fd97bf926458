"""A classifier that reads which judgement an answer speaks, and the check that it has to pass.

A classifier is taken only if it hears a "not": small encoders place "it's wrong to lie" and "it
isn't wrong to lie" beside each other, so that a reward by similarity would pay for the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.alignment.reward_scoring import filler, padded
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    import torch

Judge = Callable[[Sequence[tuple[str, str]]], list[float]]
"""How each pair of a situation and what is said of it judges, from -2 to 2."""
JUDGEMENTS = (-2, -1, 0, 1, 2)
_TURNED = 1.0
"""How far a judgement must move when its rule is negated: one step."""
_FEWEST = 8
"""Negated rules below which a check shows nothing."""
_AT_ONCE = 32
_NEGATIONS = (
    (re.compile(r"^(It)(?:'s| is) not\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"^(It) isn't\b", re.IGNORECASE), r"\1's"),
    (re.compile(r"^(It)(?:'s| is) (?!never\b|always\b)", re.IGNORECASE), r"\1's not "),
    (re.compile(r"^(You|One|People) (?:shouldn't|should not|should never)\b"), r"\1 should"),
    (re.compile(r"^(You|One|People) should(?: always)?\b"), r"\1 shouldn't"),
)
"""How the rules of thumb of Social Chemistry 101 begin, and how their opposites do."""


class Hearing(Frozen):
    """How a classifier did on negated rules."""

    rules: int
    """How many rules were negated."""
    turned: int
    """How many judgements turned by a whole step or more, in the right direction."""

    @property
    def share(self) -> float:
        """The share of judgements that turned."""
        return self.turned / self.rules


@dataclass(frozen=True)
class Rule:
    """A rule of thumb that a classifier is tried on."""

    situation: str
    rule: str
    judgement: int


def negated(rule: str) -> str | None:
    """The opposite of a rule of thumb; None where it does not begin as such rules do."""
    for pattern, opposite in _NEGATIONS:
        found, changed = pattern.subn(opposite, rule, count=1)
        if changed:
            return " ".join(found.split())
    return None


def hearing(judge: Judge, rules: Sequence[Rule], must_hear: float, where: str) -> Hearing:
    """Tries a classifier on rules and their opposites; raises MethodError where it does not hear.

    Args:
        judge: The classifier.
        rules: Rules of thumb with the judgement that they speak.
        must_hear: The share of judgements that must turn.
        where: What the classifier is called.
    """
    pairs = [
        (one, opposite)
        for one in rules
        if one.judgement and (opposite := negated(one.rule)) is not None
    ]
    if len(pairs) < _FEWEST:
        raise MethodError(
            f"only {len(pairs)} of {len(rules)} norms can be negated, fewer than {_FEWEST}",
            where=where,
            why="whether the classifier hears a 'not' cannot be told from so few",
            mend="write norms as 'It's wrong to ...' or 'You should ...', or leave the reward out",
        )
    plain = judge([(one.situation, one.rule) for one, _ in pairs])
    turned = judge([(one.situation, opposite) for one, opposite in pairs])
    heard = sum(
        (before - after) * (1 if one.judgement > 0 else -1) >= _TURNED
        for (one, _), before, after in zip(pairs, plain, turned, strict=True)
    )
    found = Hearing(rules=len(pairs), turned=heard)
    if found.share < must_hear:
        raise MethodError(
            f"the classifier does not hear a 'not': {heard} of {len(pairs)} judgements turn when "
            "their rule is negated",
            where=where,
            why="it would pay answers that say the opposite of the community's norms",
            mend=f"give a classifier that reaches {must_hear:.0%}, or take the reward `norms` out",
        )
    return found


def agreement(judged: float, judgement: int) -> float:
    """1 where two judgements from -2 to 2 are the same, 0 where they are opposite ends."""
    return 1 - abs(judged - judgement) / (JUDGEMENTS[-1] - JUDGEMENTS[0])


class JudgementClassifier:
    """A text classifier whose labels are the judgements from -2 to 2."""

    def __init__(self, files: Path, device: torch.device, where: str) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                files, local_files_only=True, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(
                files, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise MethodError(
                f"holds no classifier that can be loaded: {error}",
                where=where,
                mend="make that node again, or name another",
            ) from error
        labels = [str(model.config.id2label[place]) for place in range(model.config.num_labels)]
        if sorted(labels) != sorted(str(one) for one in JUDGEMENTS):
            raise MethodError(
                f"has the labels {', '.join(labels)}, not -2, -1, 0, 1 and 2",
                where=where,
                why="what it says of a situation could not be read as a judgement",
                mend="give a text classifier trained on judgements from -2 to 2",
            )
        tokenizer.pad_token = filler(tokenizer, where)
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        self._model, self._tokenizer = model.eval().to(device), tokenizer
        self._worth = [float(label) for label in labels]
        self._longest = getattr(model.config, "max_position_embeddings", None)

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The expected judgement in what is said of each situation; of long texts, their end."""
        import torch

        device = next(self._model.parameters()).device
        texts = [
            self._tokenizer(f"{situation}: {said}")["input_ids"][-(self._longest or 0) :]
            for situation, said in pairs
        ]
        worth, found = torch.tensor(self._worth), []
        for start in range(0, len(texts), _AT_ONCE):
            ids, mask = padded(texts[start : start + _AT_ONCE], self._tokenizer.pad_token_id)
            with torch.inference_mode():
                logits = self._model(
                    input_ids=ids.to(device), attention_mask=mask.to(device)
                ).logits
            found += (logits.float().softmax(dim=-1).cpu() @ worth).tolist()
        return found
