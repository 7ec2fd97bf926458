"""Pairs of answers as datasets of the registry, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assets.rows import ROWS, row_id, write_rows
from assets.synthesis.community_preferences import pair_schema

WORDS = ("red", "green", "blue", "black", "white", "brown")


def pair(prompt: str, chosen: str, rejected: str, **other: Any) -> dict[str, Any]:
    row = dict.fromkeys(pair_schema()) | {"parents": [], "source": "test", "held_out": False}
    texts = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return row | texts | {"row_id": row_id("test", [prompt, chosen, rejected])} | other


def colours() -> list[dict[str, Any]]:
    """Six pairs in which the named colour is preferred to no answer in particular."""
    return [pair(f"Word {i}?", f"It is {word}.", f"Who knows {i}.") for i, word in enumerate(WORDS)]


def write_pairs(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / ROWS, list(rows), pair_schema())
    return folder
