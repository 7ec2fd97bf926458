"""Whether the code that a manifest names is the code that is there, and where that was looked up.

A method of the project itself is compared with the project's files: those of the Git tree where a
revision is read. Any other is compared with its distribution, if that is installed here in the
version that the manifest names. Either way the lock and the manifest must name the same code.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

from registry import git
from registry.artifact import MethodEntry
from registry.errors import UsageError
from registry.method import GROUP, code_of, digest_of_code


@dataclass(frozen=True)
class Compared:
    """What came of a comparison."""

    same: bool | None
    """Whether it is the same code; None where there is nothing to compare it with."""
    said: str
    """What it was compared with, or why it was not."""
    of_project: bool = False
    """Whether it is the project's own: then it may have moved on since."""


@dataclass(frozen=True)
class CodeProof:
    """The code of one project, at one revision or as it lies on disk."""

    root: Path
    revision: str
    """A commit; empty for the working tree."""
    _known: dict[MethodEntry, Compared] = field(default_factory=dict)

    def compare(self, method: MethodEntry) -> Compared:
        """Compares what a manifest says of its method with the code that is there."""
        if method not in self._known:
            inside = self._entry_points.get(method.name)
            own = inside and _same_name(self._project_name, method.distribution)
            self._known[method] = (
                self._with_tree(method, inside) if own and inside else _with_distribution(method)
            )
        return self._known[method]

    def _with_tree(self, method: MethodEntry, entry_point: str) -> Compared:
        place = f"the Git tree of {self.revision[:10]}" if self.revision else "the working tree"
        with self._tree(entry_point.partition(".")[0]) as folder:
            found = digest_of_code(entry_point.partition(":")[0], lambda name: _find(folder, name))
        if found == method.code:
            return Compared(True, f"compared with {place}", of_project=True)
        return Compared(False, f"{place} holds other code than made it", of_project=True)

    @contextlib.contextmanager
    def _tree(self, package: str) -> Iterator[Path]:
        """The project's package as the revision holds it, on disk."""
        if not self.revision:
            yield self.root
            return
        with tempfile.TemporaryDirectory(prefix="chorus-code-") as scratch:
            packed = git.archive(self.root, self.revision)
            with contextlib.suppress(tarfile.ReadError), tarfile.open(fileobj=BytesIO(packed)) as t:
                wanted = [m for m in t.getmembers() if package in Path(m.name).parts[:2]]
                t.extractall(scratch, members=wanted, filter="data")
            yield Path(scratch)

    @cached_property
    def _pyproject(self) -> dict[str, object]:
        raw: bytes | None = None
        if self.revision:
            raw = git.content(self.root, self.revision, "pyproject.toml")
        elif (self.root / "pyproject.toml").is_file():
            raw = (self.root / "pyproject.toml").read_bytes()
        try:
            found = tomllib.loads((raw or b"").decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return {}
        project = found.get("project")
        return project if isinstance(project, dict) else {}

    @property
    def _project_name(self) -> str:
        return str(self._pyproject.get("name", ""))

    @cached_property
    def _entry_points(self) -> dict[str, str]:
        groups = self._pyproject.get("entry-points")
        offered = groups.get(GROUP) if isinstance(groups, dict) else None
        return {str(k): str(v) for k, v in offered.items()} if isinstance(offered, dict) else {}


def _same_name(first: str, second: str) -> bool:
    return first.replace("_", "-").lower() == second.replace("_", "-").lower() != ""


def _find(folder: Path, module: str) -> Path | None:
    """The file of a module in a source tree, with or without a folder `src`."""
    for start in (folder, folder / "src"):
        stem = start.joinpath(*module.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return path
    return None


def _with_distribution(method: MethodEntry) -> Compared:
    named = f"{method.distribution} {method.version}".strip()
    try:
        installed = distribution(method.distribution) if method.distribution else None
    except PackageNotFoundError:
        installed = None
    if installed is None or installed.version != method.version:
        here = f"{installed.version} is" if installed else "it is not"
        return Compared(
            None,
            f"lock and manifest agree; {named} itself could not be compared: {here} installed here",
        )
    try:
        same = code_of(method.name, anew=True).digest == method.code
    except UsageError:
        return Compared(None, f"lock and manifest agree; {named} offers no such method here")
    if same:
        return Compared(True, f"compared with {named} as it is installed here")
    if _is_edited(installed.read_text("direct_url.json")):
        said = f"{named} has other code now, in a folder that is worked on"
        return Compared(None, f"lock and manifest agree; {said}")
    return Compared(False, f"{named} as it is installed here holds other code than made it")


def _is_edited(direct_url: str | None) -> bool:
    """Whether a distribution is installed as a folder that is worked on (PEP 660)."""
    with contextlib.suppress(ValueError):
        origin = json.loads(direct_url or "{}")
        return bool(origin.get("dir_info", {}).get("editable"))
    return False
