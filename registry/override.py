"""Override files: what differs in a recipe's declarations for another model, size or machine.

They lie in `registry/overrides/<recipe>/<name>.yaml`; `registry/overrides/active.yaml` says which
one of each recipe holds, so that Git knows it and every door sees the same. What is overridden
becomes an ordinary part of the declaration, with the override's line as its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from registry.artifact import write_atomically
from registry.declaration import InputNames, Slug
from registry.errors import Place, Problem, ProblemsError, UsageError, relative
from registry.partly import Key
from registry.strict_yaml import Document, nearest, read, typed
from registry.typed import Frozen

FOLDER = "registry/overrides"
ACTIVE = f"{FOLDER}/active.yaml"
RECIPES = "recipes"
"""The folder, in that of each kind, whose folders hold the declarations of one recipe each."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_HEADER = "# Which override of each recipe holds; `chorus recipe use` writes it.\n"


class Change(Frozen):
    """What differs in one declaration."""

    method: Slug | None = None
    """Another method; `params` then stand alone, since those declared belong to the other one."""
    inputs: dict[str, InputNames] = Field(default_factory=dict)
    """Inputs by role; roles that are not named stay as declared."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters, merged key by key into those declared; a list replaces the whole list."""
    communities: tuple[Slug, ...] | None = None
    """The communities that it fans out to."""
    resources: dict[str, Any] = Field(default_factory=dict)
    """What a node needs of a machine, merged key by key."""


class OverrideFile(Frozen):
    """One override file."""

    description: str = Field(min_length=20, max_length=2000)
    """What it is for, in a sentence or two."""
    declarations: dict[Slug, Change] = Field(min_length=1)
    """What differs, by the declaration's name."""


class Active(Frozen):
    """Which override of each recipe holds."""

    active: dict[Slug, str]
    """The override's name by the recipe's."""


@dataclass(frozen=True)
class Override:
    """An override file that was read."""

    recipe: str
    name: str
    document: Document
    content: OverrideFile

    @property
    def title(self) -> str:
        """How a reader is told of it."""
        return f"{self.recipe}/{self.name}"


@dataclass(frozen=True)
class Overridden(Document):
    """A declaration's document with what an override changes; places lead to where it stands."""

    written: Document
    override: Override
    taken: Mapping[Key, Key] = field(repr=False)
    """Keys of the declaration that the override changes, and where they stand in it."""

    def place(self, key: Key = ()) -> Place:
        """Where `key`, or its nearest enclosing key, stands: in the override if that changes it."""
        while key and key not in self.places and key not in self.taken:
            key = key[:-1]
        if key in self.taken:
            return self.override.document.place(self.taken[key])
        return super().place(key)

    def changes(self) -> Iterator[tuple[Key, Place]]:
        """Each value that the override gives, a list as one, and where it stands."""
        for key, at in self.taken.items():
            in_list = any(isinstance(step, int) for step in at)
            if not in_list and not isinstance(self.override.document.value(at), dict):
                yield key, self.place(key)


def recipe_of(path: str) -> str:
    """The recipe that a declaration at this path of the project belongs to, or nothing."""
    parts = path.split("/")
    return parts[3] if len(parts) > 4 and parts[2] == RECIPES else ""  # noqa: PLR2004


def overrides_of(root: Path) -> dict[str, list[str]]:
    """The names of all overrides of each recipe that has some."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / FOLDER).glob("*/*.yaml")):
        found.setdefault(path.parent.name, []).append(path.stem)
    return found


def active_of(root: Path) -> tuple[Mapping[str, str], Document | None, list[Problem]]:
    """Which override of each recipe holds, where that is said, and what is wrong with it."""
    path = root / ACTIVE
    if not path.exists() and not path.is_symlink():
        return {}, None, []
    document, problems = read(path, ACTIVE)
    if document is None:
        return {}, None, problems
    content, problems = typed(Active, document)
    return (content.active if content else {}), document, problems


def active_overrides(
    root: Path, chosen: Mapping[str, str] | None = None
) -> tuple[list[Override], list[Problem]]:
    """The overrides that hold: those that are `chosen`, or those that the project names."""
    named, document, problems = active_of(root) if chosen is None else (chosen, None, [])
    found: list[Override] = []
    for recipe, name in named.items():
        known = overrides_of(root)
        if name not in known.get(recipe, []):
            what, mend = _unknown(recipe, name, known)
            place = document.place(("active", recipe)) if document else Place(FOLDER)
            problems.append(Problem(place, what, mend))
            continue
        one, wrong = read_override(root, recipe, name)
        problems += wrong
        found += [one] if one else []
    return found, problems


def _unknown(recipe: str, name: str, known: Mapping[str, list[str]]) -> tuple[str, str]:
    if recipe not in known:
        mend = nearest(recipe, list(known)) or "recipes here: " + (", ".join(known) or "none")
        return f"no recipe with overrides is called {recipe!r}", mend
    mend = nearest(name, known[recipe]) or f"overrides of it: {', '.join(known[recipe])}"
    return f"the recipe {recipe!r} has no override {name!r}", mend


def read_override(root: Path, recipe: str, name: str) -> tuple[Override | None, list[Problem]]:
    """Reads one override file, or says everything that is wrong with it."""
    path = root / FOLDER / recipe / f"{name}.yaml"
    document, problems = read(path, relative(path, root))
    if document is None:
        return None, problems
    content, problems = typed(OverrideFile, document)
    if not _NAME.fullmatch(name):
        mend = "use small letters, digits, dots and hyphens, like `llama-3.2-1b.yaml`"
        problems.append(Problem(Place(document.path), "cannot be the name of an override", mend))
    return (Override(recipe, name, document, content) if content else None), problems


def apply(document: Document, override: Override, name: str) -> Document:
    """A declaration's document with what an override changes in it; itself where nothing."""
    at: Key = ("declarations", name)
    changes = override.document.data["declarations"].get(name)
    if changes is None or not isinstance(document.data, dict):
        return document
    data, places = dict(document.data), dict(document.places)
    if "method" in changes:
        data["params"] = {}
        _forget(places, ("params",))
        changes = {"params": {}, **changes}
    data = _merge(data, changes, (), places)
    taken = {
        known[len(at) :]: known
        for known in override.document.places
        if known[: len(at)] == at and known != at
    }
    return Overridden(document.path, data, places, document.lines, document, override, taken)


def _merge(value: Any, change: Any, key: Key, places: dict[Key, Any]) -> Any:
    """`value` with `change`: mappings key by key, anything else whole."""
    if not isinstance(change, dict):
        _forget(places, key)
        return change
    kept = dict(value) if isinstance(value, dict) else {}
    return kept | {
        name: _merge(kept.get(name), inner, (*key, name), places) for name, inner in change.items()
    }


def _forget(places: dict[Key, Any], key: Key) -> None:
    """Takes out where a value stood that another one replaces."""
    for known in [k for k in places if k[: len(key)] == key]:
        del places[known]


def write_active(root: Path, active: Mapping[str, str]) -> None:
    """Writes which override of each recipe holds."""
    lines = [f"  {recipe}: {name}\n" for recipe, name in sorted(active.items())]
    content = "active:\n" + "".join(lines) if lines else "active: {}\n"
    write_atomically(root / ACTIVE, (_HEADER + content).encode())


def chosen_instead(root: Path, recipe: str, name: str | None) -> dict[str, str]:
    """What would hold if a recipe's override were `name`; raises UsageError if that is unknown."""
    active, _, problems = active_of(root)
    if problems:
        raise ProblemsError(problems)
    known = overrides_of(root)
    if recipe not in known or (name is not None and name not in known[recipe]):
        what, mend = _unknown(recipe, name or "", known)
        raise UsageError(what, mend=mend)
    others = {one: held for one, held in active.items() if one != recipe}
    return others | ({recipe: name} if name is not None else {})
