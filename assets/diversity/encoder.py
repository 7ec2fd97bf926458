"""Sentences become unit vectors: one place where an encoder is loaded and asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import digest_of, write_atomically
from registry.errors import MethodError

if TYPE_CHECKING:
    import torch

    from assets.diversity.features import Vectors

LIBRARIES = ("sentence-transformers", "transformers", "tokenizers", "torch")
BATCH_SIZE = 32
_AT_ONCE = 1024


def load_encoder(files: Path, device: torch.device) -> Any:
    """An encoder from an artifact's files; raises MethodError where they are none."""
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(
            str(files), device=str(device), local_files_only=True, trust_remote_code=False
        )
        _vectors_of(encoder, ["A sentence."], BATCH_SIZE)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise MethodError(
            f"holds no sentence encoder that can be loaded: {error}",
            where=str(files),
            mend="make the encoder's node again, or name another encoder",
        ) from error
    return encoder


def encode(encoder: Any, texts: Sequence[str], batch_size: int = BATCH_SIZE) -> Vectors:
    """One unit vector a text, in their order.

    Equal texts get equal vectors: each text is encoded once, in batches that depend on the set of
    texts alone, since padding moves the last digits.
    """
    import numpy

    once = sorted(set(texts), key=lambda text: (len(text), text))
    found = _vectors_of(encoder, once, batch_size) if once else numpy.zeros((0, width(encoder)))
    places = {text: place for place, text in enumerate(once)}
    vectors: Vectors = found[[places[text] for text in texts]].astype(numpy.float32)
    return vectors


def encode_in_parts(
    encoder: Any, texts: Sequence[str], folder: Path, progress: Callable[[int, int], None]
) -> Vectors:
    """The same, part by part; parts that an earlier attempt left in `folder` are found again."""
    import io

    import numpy

    once = sorted(set(texts), key=lambda text: (len(text), text))
    folder.mkdir(parents=True, exist_ok=True)
    parts = [numpy.zeros((0, width(encoder)), dtype=numpy.float32)]
    for start in range(0, len(once), _AT_ONCE):
        chosen = once[start : start + _AT_ONCE]
        path = folder / f"{digest_of(chosen)}.npy"
        if not path.is_file():
            stream = io.BytesIO()
            numpy.save(stream, encode(encoder, chosen), allow_pickle=False)
            write_atomically(path, stream.getvalue())
        parts.append(numpy.load(path, allow_pickle=False))
        progress(min(start + _AT_ONCE, len(once)), len(once))
    places = {text: place for place, text in enumerate(once)}
    vectors: Vectors = numpy.concatenate(parts)[[places[text] for text in texts]]
    return vectors


def _vectors_of(encoder: Any, texts: Sequence[str], batch_size: int) -> Any:
    return encoder.encode(
        list(texts),
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )


def width(encoder: Any) -> int:
    """Numbers in a vector."""
    return int(encoder.get_embedding_dimension())


def cut(encoder: Any, texts: Sequence[str]) -> list[bool]:
    """Whether each text is longer than the encoder reads; the rest of it is not seen."""
    longest = encoder.max_seq_length
    if longest is None:
        return [False] * len(texts)
    found: list[bool] = []
    for start in range(0, len(texts), _AT_ONCE):
        chosen = list(texts[start : start + _AT_ONCE])
        tokens = encoder.tokenizer(chosen, truncation=False, verbose=False)["input_ids"]
        found += [len(one) > longest for one in tokens]
    return found
