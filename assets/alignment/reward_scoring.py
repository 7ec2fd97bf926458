"""Reward models: what tells them from language models, and how they score an answer.

A reward model is a transformer with one number as its output, read at the last token of an answer.
Beside its weights stands `reward.json`, which says how prompts are put to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.alignment.sequences import of_completion
from assets.compute import Dtype, as_dtype
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    import torch

    from registry.context import Input

SETTINGS = "reward.json"
_CLASSIFIER = "ForSequenceClassification"


class RewardSettings(Frozen):
    """How prompts and answers are put to a reward model."""

    schema_version: int = 1
    """The version of this schema."""
    chat_template: bool
    """Whether they are written as turns, by the model's own template."""
    longest: int
    """Tokens that prompt and answer may have; the end of a longer one was never seen."""


def architecture(files: Path, label: str) -> str:
    """What kind of network an artifact is; raises MethodError where it does not say."""
    try:
        named = json.loads((files / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    except (OSError, ValueError, LookupError, TypeError):
        raise MethodError(
            "has no config.json that names its architecture",
            where=label,
            mend="name a model that this registry made",
        ) from None
    return str(named)


def require_language_model(given: Input) -> None:
    """Raises MethodError where an artifact is a reward model, which writes nothing."""
    if architecture(given.files, given.label).endswith(_CLASSIFIER):
        raise MethodError(
            "is a reward model; it scores answers and writes none",
            where=given.label,
            mend="name a language model here, and the reward model as `reward`",
        )


def require_reward_model(given: Input) -> None:
    """Raises MethodError where an artifact is no reward model."""
    if not (given.files / SETTINGS).is_file() or not architecture(
        given.files, given.label
    ).endswith(_CLASSIFIER):
        raise MethodError(
            "is no reward model",
            where=given.label,
            why="a language model has no score to give",
            mend="name a model that the method `reward-model` made",
        )


def filler(tokenizer: Any, label: str) -> str:
    """A token to fill rows up with that no answer ends with.

    A reward model reads its score at the last token that is no filler. Some tokenizers fill with
    the end of turn, or with nothing: then another of their special tokens is taken.
    """
    end = tokenizer.eos_token
    found = [tokenizer.pad_token, *tokenizer.all_special_tokens]
    chosen = next((str(token) for token in found if token and token != end), None)
    if chosen is None:
        raise MethodError(
            "the model's tokenizer has no token to fill rows up with",
            where=label,
            why="its only special token ends a turn, and the score is read there",
            mend="add one to the base model's tokenizer: `tokenizer.pad_token = ...`",
        )
    return chosen


def precise_head(model: Any) -> None:
    """Lets the score be computed in float32: in bfloat16, scores near 2 are 0.016 apart."""
    import torch

    class PreciseHead(torch.nn.Linear):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            with torch.autocast(given.device.type, enabled=False):
                weight = self.weight.float()
                return torch.nn.functional.linear(given.float(), weight)

    head = PreciseHead(model.score.in_features, 1, bias=False, device=model.score.weight.device)
    with torch.no_grad():
        head.weight.copy_(model.score.weight)
    model.score = head


@dataclass(frozen=True)
class Scorer:
    """A reward model that scores answers."""

    name: str
    model: Any
    tokenizer: Any
    settings: RewardSettings
    batch_size: int

    def tokens(self, prompt: str, answer: str) -> tuple[int, ...]:
        """What the model reads of a prompt and its answer."""
        return of_completion(
            self.tokenizer, prompt, answer, chat=self.settings.chat_template
        ).ids  # fmt: skip

    def scores(
        self,
        asked: Sequence[tuple[str, str]],
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> list[float | None]:
        """The score of each prompt with its answer; None where both are too long to be read.

        Raises:
            MethodError: Where a score is no finite number.
        """
        ids = [self.tokens(prompt, answer) for prompt, answer in asked]
        readable = [i for i, one in enumerate(ids) if len(one) <= self.settings.longest]
        readable.sort(key=lambda i: (len(ids[i]), i))
        found: list[float | None] = [None] * len(ids)
        for start in range(0, len(readable), self.batch_size):
            chosen = readable[start : start + self.batch_size]
            for place, score in zip(chosen, self._batch([ids[i] for i in chosen]), strict=True):
                if not math.isfinite(score):
                    raise MethodError(
                        f"the reward model gives {score} to an answer",
                        where=self.name,
                        why="no answer could be called better than another",
                        mend="make the reward model again with a lower learning rate",
                    )
                found[place] = score
            progress(start + len(chosen), len(readable))
        return found

    def _batch(self, rows: Sequence[Sequence[int]]) -> list[float]:
        import torch

        ids, mask = padded(rows, self.tokenizer.pad_token_id)
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            output = self.model(
                input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
            )
        scores: list[float] = output.logits[:, 0].float().cpu().tolist()
        return scores


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows filled up on the right, and which of their tokens are real."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


def load_scorer(
    given: Input, device: torch.device, dtype: Dtype = "bfloat16", batch_size: int = 16
) -> Scorer:
    """The reward model of an artifact."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    require_reward_model(given)
    settings = RewardSettings.model_validate_json((given.files / SETTINGS).read_bytes())
    model = AutoModelForSequenceClassification.from_pretrained(
        given.files, dtype=as_dtype(dtype), local_files_only=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(
        given.files, local_files_only=True, trust_remote_code=False
    )
    precise_head(model)
    return Scorer(given.label, model.to(device).eval(), tokenizer, settings, batch_size)
