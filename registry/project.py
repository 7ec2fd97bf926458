"""Finds the project, and loads its declarations and value profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from registry.artifact import Hasher
from registry.declaration import FOLDERS, Declaration, with_article
from registry.errors import Place, Problem, ProblemsError, UsageError, relative
from registry.method import Method, code_memory, load_method
from registry.override import Overridden, Override, active_overrides, apply, recipe_of
from registry.profile_folder import Profile, read_profile
from registry.strict_yaml import Document, nearest, read, typed
from registry.typed import Frozen


@dataclass(frozen=True)
class Declared:
    """A declaration with its file, its method and its typed parameters."""

    declaration: Declaration
    document: Document
    method: Method
    params: Frozen

    @property
    def name(self) -> str:
        """The declaration's name."""
        return self.declaration.name

    @property
    def recipe(self) -> str:
        """The recipe whose folder it lies in, or nothing."""
        return recipe_of(self.document.path)

    @property
    def overridden(self) -> Overridden | None:
        """Its document where an override changes it."""
        return self.document if isinstance(self.document, Overridden) else None


@dataclass(frozen=True)
class Project:
    """A project on disk: declarations, profiles, and the places of its own state."""

    root: Path
    declarations: Mapping[str, Declared] = field(repr=False)
    profiles: Mapping[str, Profile] = field(repr=False)

    @cached_property
    def narrowed(self) -> dict[str, tuple[str, ...]]:
        """The communities of each declaration, as the graph finds them.

        They are kept, since each stage of a chain asks for those of all before it.
        """
        return {}

    @cached_property
    def waiting(self) -> dict[str, str]:
        """What each declaration needs and no community holds, as the graph finds it."""
        return {}

    @property
    def communities(self) -> tuple[str, ...]:
        """The profiles that are accepted or admitted, and not suspended, by id."""
        return tuple(sorted(p.id for p in self.profiles.values() if p.active))

    @property
    def state(self) -> Path:
        """Runs, locks and digests: outside Git and DVC."""
        return self.root / ".chorus"

    @cached_property
    def hasher(self) -> Hasher:
        """Digests of this project's files, remembered between commands."""
        return Hasher(self.state / "digests.json")


def find_root(start: Path | None = None) -> Path:
    """The project that holds `start` (the working directory by default)."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "registry").is_dir() and (folder / "value_profiles").is_dir():
            return folder
    raise UsageError(
        "no Chorus project here",
        where=str(here),
        why="a project is a folder with registry/ and value_profiles/",
        mend="change into one, or start one with `chorus init DIR`",
    )


def load_project(start: Path | None = None, overrides: Mapping[str, str] | None = None) -> Project:
    """Loads the project; raises ProblemsError with everything that is wrong in all its files.

    Args:
        start: A folder in the project; the working directory by default.
        overrides: The override of each recipe to load it with, instead of those that hold.
    """
    root = find_root(start)
    code_memory.recall(root)
    active, problems = active_overrides(root, overrides)
    declarations: dict[str, Declared] = {}
    read_names: dict[str, set[str]] = {one.recipe: set() for one in active}
    for folder, kind in FOLDERS.items():
        for path in declaration_files(root / "registry" / folder):
            override = _override_of(path, root, active)
            if override is not None:
                read_names[override.recipe].add(path.stem)
            declared, found = _read_declaration(path, kind, root, override)
            problems += found
            if declared is None:
                continue
            if declared.name in declarations:
                other = declarations[declared.name].document.path
                what = f"declares {declared.name!r}, which {other} declares too"
                problems.append(declared.document.problem(("name",), what, "rename one of them"))
            declarations[declared.name] = declared
    for one in active:
        problems += _strangers(one, read_names[one.recipe])
    profiles, profile_problems = _read_profiles(root)
    problems += profile_problems
    if problems:
        raise ProblemsError(problems)
    return Project(root, declarations, profiles)


def load_profiles(start: Path | None = None) -> Project:
    """The project with its profiles alone: what proof asks of it, whatever is declared today.

    A profile that cannot be read, or whose events cannot, is left out: it grants nothing.
    """
    root = find_root(start)
    profiles, problems = _read_profiles(root)
    grave = ("/profile.yaml", "/events/", "/tests/")
    damaged = {
        p.place.path.split("/")[1] for p in problems if any(g in p.place.path for g in grave)
    }
    sound = {name: profile for name, profile in profiles.items() if name not in damaged}
    return Project(root, {}, sound)


def declaration_files(folder: Path) -> Iterator[Path]:
    """Every file that lies where declarations do; folders in it only group them for a reader."""
    for path in sorted(folder.glob("*")):
        if path.name.startswith((".", "__")):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from declaration_files(path)
        elif not path.is_dir():
            yield path


def _override_of(path: Path, root: Path, active: Iterable[Override]) -> Override | None:
    recipe = recipe_of(relative(path, root))
    return next((one for one in active if recipe and one.recipe == recipe), None)


def _strangers(override: Override, known: Iterable[str]) -> Iterator[Problem]:
    """What an override names that is no declaration of its recipe."""
    for name in override.content.declarations:
        if name not in known:
            what = f"names {name!r}, which the recipe {override.recipe!r} does not declare"
            mend = nearest(name, list(known)) or "it declares: " + ", ".join(sorted(known))
            yield override.document.problem(("declarations", name), what, mend)


def _read_profiles(root: Path) -> tuple[dict[str, Profile], list[Problem]]:
    profiles: dict[str, Profile] = {}
    problems: list[Problem] = []
    for folder in sorted((root / "value_profiles").iterdir()):
        if folder.is_symlink() or not folder.is_dir():
            what = "is not a profile folder"
            mend = "remove it; value_profiles/ holds one folder a community"
            problems.append(Problem(Place(relative(folder, root)), what, mend))
            continue
        profile, found = read_profile(folder, root)
        problems += found
        if profile is not None:
            profiles[profile.id] = profile
    return profiles, problems


def _read_declaration(
    path: Path, kind: type[Declaration], root: Path, override: Override | None
) -> tuple[Declared | None, list[Problem]]:
    shown = relative(path, root)
    if path.suffix != ".yaml":
        what = "is not a declaration"
        return None, [Problem(Place(shown), what, "rename it to end in .yaml, or move it away")]
    document, problems = read(path, shown)
    if document is None:
        return None, problems
    if override is not None:
        document = apply(document, override, path.stem)
    declaration, found = typed(kind, document)
    problems += found
    method, found = _method(document, kind)
    problems += found
    params: Frozen | None = None
    if method is not None and isinstance(document.data.get("params"), dict):
        params, found = typed(method.params, document, ("params",))
        problems += found
    if declaration is None or method is None or params is None:
        return None, problems
    if declaration.name != path.stem:
        what = f"is named {declaration.name!r} in the file {path.name}"
        problems.append(document.problem(("name",), what, "give both one name"))
    return Declared(declaration, document, method, params), problems


def _method(document: Document, kind: type[Declaration]) -> tuple[Method | None, list[Problem]]:
    name = document.data.get("method") if isinstance(document.data, dict) else None
    if not isinstance(name, str):
        return None, []
    try:
        method = load_method(name)
    except UsageError as error:
        return None, [document.problem(("method",), error.what, error.mend)]
    if method.kind != kind.kind:
        makes, declares = with_article(method.kind), with_article(kind.kind)
        what = f"the method {name!r} makes {makes}, and this declares {declares}"
        mend = f"move the file to registry/{method.kind}s, or choose another method"
        return None, [document.problem(("method",), what, mend)]
    return method, []
