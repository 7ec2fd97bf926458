"""What was begun with a community's words and not finished: makes that stopped, and forms.

No record names these, and who leaves must find them all the same. A scratch folder says which node
it belongs to and which profiles that node rests on, whether the node was ever made or not. Forms
are those that were opened from the accepted profile, answers of models that rest on it, and what
was being handed in when the machine stopped.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry.artifact import MANIFEST, write_atomically
from registry.typed import Frozen

DRAFTS = Path(".chorus") / "drafts"
"""Forms that visitors fill in, each in a folder of its own."""
ANSWERS = Path(".chorus") / "answers"
"""What visitors asked models, and what these answered."""
STATE = "state.json"
"""What a draft or an answer holds."""
OUTGOING = Path(".chorus") / "outgoing"
"""Proposals that are being handed in."""
_ATTEMPT = "attempt.json"


class Attempt(Frozen):
    """With what the work in a scratch folder was begun."""

    node: str
    """The node that was being made."""
    causes: str
    """Digest of everything that decides what comes out."""
    profiles: tuple[str, ...]
    """The profiles that it rests on, itself or through its inputs."""


def begin(scratch: Path, attempt: Attempt) -> None:
    """Notes what a scratch folder is for, before any work lies in it."""
    write_atomically(scratch / _ATTEMPT, attempt.model_dump_json().encode())


def begun(scratch: Path) -> Attempt | None:
    """What a scratch folder is for; None where it does not say."""
    try:
        return Attempt.model_validate_json((scratch / _ATTEMPT).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def finish(scratch: Path) -> None:
    """Takes the note away, once a manifest says the same."""
    (scratch / _ATTEMPT).unlink()


def left_with(root: Path, community: str) -> list[Path]:
    """Every folder that holds, or may hold, words of a community in something unfinished."""
    return [
        *(folder for folder in _scratches(root) if _may_rest_on(folder, community)),
        *_forms(root, community),
        *sorted((root / OUTGOING).glob(f"*/proposals/{community}")),
    ]


def remove(folders: list[Path]) -> None:
    """Removes folders with all that they hold; what is gone already is no matter."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _scratches(root: Path) -> Iterator[Path]:
    """Scratch folders, and artifacts that wait between the two renames of a swap."""
    data = root / "data"
    for ending in ("scratch", "old"):
        yield from sorted([*data.glob(f".*.{ending}"), *data.glob(f"*/.*.{ending}")])


def _may_rest_on(scratch: Path, community: str) -> bool:
    """Whether work rests on a community; work that does not say on whom may rest on anybody."""
    if attempt := begun(scratch):
        return community in attempt.profiles
    try:
        manifest = json.loads((scratch / MANIFEST).read_bytes())
        return community in {profile["id"] for profile in manifest["profiles"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return True


def _forms(root: Path, community: str) -> Iterator[Path]:
    for place, named in ((DRAFTS, _opened_from), (ANSWERS, _answered_by)):
        for path in sorted((root / place).glob(f"*/{STATE}")):
            with contextlib.suppress(FileNotFoundError):
                if community in named(json.loads(path.read_bytes())):
                    yield path.parent


def _opened_from(state: dict[str, Any]) -> set[str]:
    """The profile that a form changes, where it holds more than anybody is shown."""
    base = state.get("base")
    return {base["id"]} if base and base["opened"] else set()


def _answered_by(state: dict[str, Any]) -> set[str]:
    """The profiles behind the model that answered; once it was marked wrong, the one it is for."""
    reply = next(iter(state["fields"].get("reply", ())), None)
    marked = dict(state["receipt"]).get("profile")
    found = set(json.loads(reply)["communities"]) if reply else set()
    return found | ({marked} if marked else set())
