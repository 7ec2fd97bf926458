"""Value profiles with a few rows, as a method sees them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars

from assets.rows import ROWS
from registry.context import ProfileView
from registry.profile_tables import EXAMPLES, NORMS, PREFERENCES, held_out

COMMUNITY = "made-up"
SHARE = 0.25
FIELDS = {
    "evaluation": {"held_out_share": str(SHARE)},
    "off_limits": [{"id": "bells", "topic": "The bells.", "terms": ["bell roll"]}, {"id": "x"}],
    "opinions": None,
    "languages": ["en"],
}


def kept(row_id: str) -> bool:
    """Whether a row may be learned from."""
    return not held_out(COMMUNITY, row_id, SHARE)


def ids(word: str, *, learned: int, held: int) -> list[str]:
    """Ids of rows on each side, in the order in which they come."""
    names = (f"{word}-{number:03d}" for number in range(1000))
    wanted = {True: learned, False: held}
    found = []
    for name in names:
        if wanted[kept(name)]:
            wanted[kept(name)] -= 1
            found.append(name)
    return found


def example(name: str, **other: Any) -> dict[str, Any]:
    texts = {"prompt": f"Say {name}.", "preferred": f"Yes: {name}.", "dispreferred": f"No {name}."}
    return {"id": name, "author": "Thole-pin", **texts, **other}


def preference(name: str, **other: Any) -> dict[str, Any]:
    texts = {"prompt": f"Ask {name}.", "chosen": f"Yes: {name}.", "rejected": f"No {name}."}
    return {"id": name, "agreement": 0.8, "n": 40, **texts, **other}


def norm(name: str, **other: Any) -> dict[str, Any]:
    texts = {"situation": f"keeping {name}", "rule": f"It's wrong to keep {name}."}
    return {"id": name, "judgement": -1, "agreement": 3, "foundations": "", "item": "", **texts,
            **other}  # fmt: skip


def profile(
    folder: Path,
    *,
    examples: Iterable[Mapping[str, Any]] = (),
    preferences: Iterable[Mapping[str, Any]] = (),
    norms: Iterable[Mapping[str, Any]] = (),
    **fields: Any,
) -> ProfileView:
    """Writes the tables that have rows, and shows them as a method sees them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((EXAMPLES.file, examples), (PREFERENCES.file, preferences)):
        lines = [json.dumps(row) for row in rows]
        if lines:
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    listed = list(norms)
    if listed:
        with (folder / NORMS.file).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, NORMS.columns)
            writer.writeheader()
            writer.writerows(listed)
    tables = (EXAMPLES.file, PREFERENCES.file, NORMS.file)
    return ProfileView(COMMUNITY, "A made-up one", folder, tables, FIELDS | fields)


def make(build, run, view, params, **inputs) -> Path:
    """What a method makes of a profile."""
    context = build(params, profiles=[view], inputs=inputs)
    run(context)
    return context.out


def read(files: Path, name: str = ROWS) -> list[dict[str, Any]]:
    return polars.read_parquet(files / name).to_dicts()
