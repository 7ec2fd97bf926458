"""Methods: what they are, how they are found, and the digest of their code.

A method is a typed function that makes one artifact. Packages offer methods through the entry-point
group `chorus.methods`; each entry point names a `Method`. Its module imports heavy libraries only
inside functions, so that typed parameters load cheaply.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from registry.artifact import write_atomically
from registry.consent import Use
from registry.declaration import Form, Kind
from registry.errors import UsageError
from registry.hashing import sha256_file
from registry.strict_yaml import nearest
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

GROUP = "chorus.methods"


class SourcePathMark:
    """Marks a parameter that names a file or folder of the project that the method reads."""


SourcePath = Annotated[str, SourcePathMark()]
"""A path below the project's root; its bytes count as an input."""


@dataclass(frozen=True)
class Role:
    """What a method takes under one name."""

    kind: Kind
    """The kind of artifact."""
    description: str
    """What it is for."""
    many: bool = False
    """Whether it takes several: a list, or one artifact of each community."""
    optional: bool = False
    """Whether a declaration may leave it out."""
    form: Form | None = None
    """The form of model that it takes, where another would be of no use."""


@dataclass(frozen=True)
class Method:
    """A typed function that makes an artifact."""

    name: str
    kind: Kind
    description: str
    params: type[Frozen]
    run: Callable[[Context], None]
    inputs: Mapping[str, Role] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    """Tables of the profiles that it reads; `evaluation/...` is for evaluations only."""
    profile_fields: tuple[str, ...] = ()
    """Top-level fields of the profiles that it reads."""
    may_lack: tuple[str, ...] = ()
    """Those of them that a profile may leave out; the method then sees null."""
    use: Use | None = None
    """What it uses profiles for; each must grant this use."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions belong to the result."""
    limits: tuple[str, ...] = ()
    """What a reader of a card must know of what it makes, a sentence each."""
    spreads: bool = False
    """Whether several processes can share its work; others run in one."""
    form: Form | None = None
    """The form of model that it always makes; nothing where that depends on what it is given."""
    licence: Callable[[Any], str] | None = None
    """The licence of what its parameters make it read; the declared one keeps its conditions."""
    network: bool = False
    """Whether it may reach the network (a model hub); others run with offline switches."""

    def __post_init__(self) -> None:
        evaluation_tables = [table for table in self.reads if table.startswith("evaluation/")]
        if evaluation_tables and self.kind != "evaluation":
            raise UsageError(
                f"the method reads {evaluation_tables[0]}, which only evaluations may read",
                where=f"method {self.name}",
            )
        if (self.reads or self.profile_fields) and self.use is None:
            raise UsageError("reads profiles but names no use", where=f"method {self.name}")

    def source_paths(self, params: Frozen) -> tuple[str, ...]:
        """The project paths that `params` name as sources."""
        return tuple(sorted(_marked_paths(params)))


def _marked_paths(params: Frozen) -> Iterator[str]:
    for name, info in type(params).model_fields.items():
        value = getattr(params, name)
        marked = any(isinstance(mark, SourcePathMark) for mark in info.metadata)
        if marked and isinstance(value, str) and value:
            yield value
        elif isinstance(value, Frozen):
            yield from _marked_paths(value)


@lru_cache(maxsize=1)
def _entry_points() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise UsageError(
                f"two packages offer the method {point.name!r}: {other.value} and {point.value}",
                why="which of them made an artifact would be chance",
                mend="uninstall one of them",
            )
    return found


def method_names() -> list[str]:
    """The names of all methods that installed packages offer."""
    return sorted(_entry_points())


@cache
def load_method(name: str) -> Method:
    """The method called `name`; raises UsageError where no package offers it."""
    point = _entry_points().get(name)
    if point is None:
        hint = nearest(name, method_names()) or "known methods: " + ", ".join(method_names())
        raise UsageError(f"no installed package offers the method {name!r}", mend=hint)
    try:
        method = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the method {name!r} cannot be loaded: {error}",
            where=point.value,
            mend="reinstall the package that offers it, with what it needs",
        ) from error
    if not isinstance(method, Method):
        raise UsageError(f"the entry point {point.value} is no Method", where=f"method {name}")
    return method


@dataclass(frozen=True)
class Code:
    """Which code a method is: its digest, and the distribution that it came with."""

    digest: str
    distribution: str
    version: str


@cache
def code_of(name: str, *, anew: bool = False) -> Code:
    """The code of a method: its module, and what that runs of its own top-level package.

    Args:
        name: The method.
        anew: Whether every file is parsed, whatever is recalled of it: for proofs.
    """
    load_method(name)
    point = _entry_points()[name]
    distribution = point.dist.name if point.dist is not None else ""
    digest = digest_of_code(point.module, memory=None if anew else code_memory)
    return Code(digest, distribution, version(distribution) if distribution else "")


def digest_of_code(
    module: str, find: Callable[[str], Path | None] | None = None, memory: CodeMemory | None = None
) -> str:
    """The digest of a module and of what it runs of its own top-level package.

    Args:
        module: Its dotted name.
        find: Where the file of a module lies; as Python itself would find it by default.
        memory: What is known of files already; without it each is parsed, as a proof must.
    """
    digest = hashlib.sha256()
    found = _closure(module, find or _module_path, memory or CodeMemory())
    for name, source in sorted(found.items()):
        digest.update(f"{name}\0{source.digest}\0".encode())
    return digest.hexdigest()


def forget_code() -> None:
    """Forgets cached digests, for processes that outlive an edit of the code."""
    code_of.cache_clear()


class Source(NamedTuple):
    """What one file of code says: its digest, and what it imports as it is written there."""

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    """How many dots, from what, and which names; a plain import has neither dots nor names."""


class CodeMemory:
    """What files of code say, by the SHA-256 of their bytes, so that none is parsed twice.

    A project keeps it between commands. Proofs start with an empty one.
    """

    PLACE = Path(".chorus") / "code.json"
    _BY = f"1 {sys.version_info.major}.{sys.version_info.minor}"  # trees differ between Pythons

    def __init__(self) -> None:
        self._recalled: dict[str, Source] = {}
        self._used: dict[str, Source] = {}

    def source(self, path: Path) -> Source:
        """What the file at `path` says."""
        sha256 = _sha256(path, path.stat().st_mtime_ns)
        if sha256 not in self._used:
            recalled = self._recalled.get(sha256)
            self._used[sha256] = recalled or _parsed(path.read_bytes())
        return self._used[sha256]

    def recall(self, root: Path) -> None:
        """Takes over what a project kept; what cannot be read is parsed again."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads((root / self.PLACE).read_bytes())
            if kept["by"] == self._BY:
                for sha256, (digest, imports) in kept["sources"].items():
                    written = tuple((dots, base, tuple(names)) for dots, base, names in imports)
                    self._recalled[sha256] = Source(digest, written)

    def keep(self, root: Path) -> None:
        """Keeps what was used for the project's next command, if anything is new."""
        if self._used.keys() <= self._recalled.keys():
            return
        with contextlib.suppress(OSError):
            kept = {"by": self._BY, "sources": self._used}
            write_atomically(root / self.PLACE, json.dumps(kept).encode())
            self._recalled |= self._used


code_memory = CodeMemory()
"""That of this process."""


def _closure(
    module: str, find: Callable[[str], Path | None], memory: CodeMemory
) -> dict[str, Source]:
    package = module.partition(".")[0]
    found: dict[str, Source] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := find(name)) is None:
            continue
        found[name] = memory.source(path)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        is_package = path.name == "__init__.py"
        imported = _imported(found[name], name, is_package=is_package)
        waiting += [n for n in imported if n.partition(".")[0] == package]
    return found


@cache
def _module_path(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _imported(source: Source, module: str, *, is_package: bool) -> Iterator[str]:
    for dots, written, names in source.imports:
        base = written
        if dots:
            parents = module.split(".")
            parents = parents[: len(parents) - dots + (1 if is_package else 0)]
            base = ".".join([*parents, *([written] if written else [])])
        yield base
        yield from (f"{base}.{name}" for name in names)


@cache
def _sha256(path: Path, _mtime_ns: int) -> str:
    return sha256_file(path)


def _parsed(content: bytes) -> Source:
    tree = ast.parse(content)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imports.append((node.level, node.module or "", names))
    digest = hashlib.sha256()
    for token in _tokens(tree):
        digest.update(token.encode("utf-8", "surrogatepass") + b"\0")
    return Source(digest.hexdigest(), tuple(imports))


def _tokens(node: Any) -> Iterator[str]:
    """The syntax tree without comments, docstrings and empty fields.

    Written out by hand since `ast.dump` differs between Python versions.
    """
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value is None or value == [] or name in ("type_comment", "kind"):
                continue
            body = _without_docstring(node) if name == "body" and isinstance(value, list) else value
            yield name
            yield from _tokens(body)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for element in node:
            yield from _tokens(element)
        yield "]"
    else:
        yield f"{type(node).__name__}:{node!r}"


def _without_docstring(node: ast.AST) -> list[ast.stmt]:
    body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [s for s in body if not _is_bare_string(s)]
    return body


def _is_bare_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
