"""What scores a sentence against a view: an entailment model, or a sentence encoder for topics."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from assets.diversity.encoder import encode, load_encoder
from assets.evaluation.overton_coverage import Pair
from assets.sources.entailment_model import SETTINGS, Reading
from assets.sources.sentence_encoder import MODULES
from registry.artifact import digest_of, write_atomically
from registry.errors import MethodError

if TYPE_CHECKING:
    import torch

    from registry.context import Input

_PART = 512
"""Pairs whose scores are kept together."""


class Scorer(Protocol):
    """Scores pairs of sentences, from 0 or -1 to 1."""

    kind: Literal["entailment", "topic"]

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """A score for each pair, in their order."""
        ...


class EntailmentScorer:
    """The probability that the second sentence of a pair follows from the first."""

    kind: Literal["entailment", "topic"] = "entailment"

    def __init__(self, given: Input, device: torch.device, batch_size: int) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self._reading = Reading.model_validate_json((given.files / SETTINGS).read_bytes())
            model: Any = AutoModelForSequenceClassification.from_pretrained(
                given.files, local_files_only=True, trust_remote_code=False
            )
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                given.files, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise MethodError(
                f"holds no entailment model that can be loaded: {error}",
                where=given.label,
                mend="make that node again, or name another",
            ) from error
        self._model = model.float().eval().to(device)
        self._device, self._batch_size, self._label = device, batch_size, given.label

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """Probabilities; of pairs that are too long, the end of the longer sentence is not read."""
        import torch

        found: list[float] = []
        for start in range(0, len(pairs), self._batch_size):
            chosen = pairs[start : start + self._batch_size]
            read = self._tokenizer(
                [premise for premise, _ in chosen],
                [hypothesis for _, hypothesis in chosen],
                padding=True,
                truncation="longest_first",
                max_length=self._reading.longest,
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                logits = self._model(**read).logits.float()
            found += logits.softmax(dim=-1)[:, self._reading.entailment].cpu().tolist()
        if any(not math.isfinite(one) for one in found):
            raise MethodError(
                "the entailment model gives a score that is no number",
                where=self._label,
                mend="name a model whose weights are whole",
            )
        return found


class TopicScorer:
    """The cosine of both sentences: how near they are in topic, whatever they say of it."""

    kind: Literal["entailment", "topic"] = "topic"

    def __init__(self, given: Input, device: torch.device) -> None:
        self._encoder = load_encoder(given.files, device)

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """Cosines."""
        if not pairs:
            return []
        vectors = encode(self._encoder, [text for pair in pairs for text in pair])
        found: list[float] = (vectors[::2] * vectors[1::2]).sum(axis=1).tolist()
        return found


def load_scorer(given: Input, device: torch.device, batch_size: int) -> Scorer:
    """The scorer of an artifact; raises MethodError where it can score nothing."""
    if (given.files / SETTINGS).is_file():
        return EntailmentScorer(given, device, batch_size)
    if (given.files / MODULES).is_file():
        return TopicScorer(given, device)
    raise MethodError(
        "is neither an entailment model nor a sentence encoder",
        where=given.label,
        why="nothing else tells whether a sentence says what a view says",
        mend="name a model made by `entailment-model`, or by `sentence-encoder` for topics alone",
    )


def score_in_parts(
    scorer: Scorer,
    pairs: Sequence[Pair],
    folder: Path,
    progress: Callable[[int, int], None],
) -> Mapping[Pair, float]:
    """The score of each different pair; parts that an earlier attempt left in `folder` are read.

    Pairs are scored in an order of their own, so that padding, which moves the last digits, depends
    on nothing but the set of pairs.
    """
    import numpy

    once = sorted(set(pairs), key=lambda one: (len(one[0]) + len(one[1]), one))
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[Pair, float] = {}
    for start in range(0, len(once), _PART):
        chosen = once[start : start + _PART]
        path = folder / f"{digest_of([list(one) for one in chosen])}.npy"
        if not path.is_file():
            stream = io.BytesIO()
            scores = numpy.array(scorer.scores(chosen), dtype=numpy.float64)
            numpy.save(stream, scores, allow_pickle=False)
            write_atomically(path, stream.getvalue())
        kept = numpy.load(path, allow_pickle=False).tolist()
        found |= dict(zip(chosen, kept, strict=True))
        progress(len(found), len(once))
    return found
