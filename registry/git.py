"""What Chorus asks of Git: reads at a revision, a clean tree, and commits of named files only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from registry.errors import ChorusError, UsageError


def git(root: Path, *arguments: str) -> str:
    """What Git prints; raises ChorusError where it fails."""
    done = _run(root, arguments)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise ChorusError(f"`git {' '.join(arguments)}` failed: {said}", where=str(root))
    return done.stdout.decode(errors="replace").strip()


def ask(root: Path, *arguments: str) -> str:
    """What Git prints; nothing where it fails."""
    done = _run(root, arguments)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def content(root: Path, revision: str, path: str) -> bytes | None:
    """The bytes of a project's file at a revision; None where it is not there."""
    return contents(root, revision, [path])[path]


def contents(root: Path, revision: str, paths: Sequence[str]) -> dict[str, bytes | None]:
    """The bytes of several files of a project at a revision, read by one process."""
    place = prefix(root)
    asked = [path for path in dict.fromkeys(paths) if "\n" not in path]
    found = objects(root, [f"{revision}:{place}{path}" for path in asked])
    return dict.fromkeys(paths) | dict(zip(asked, found, strict=True))


def objects(root: Path, names: Sequence[str]) -> list[bytes | None]:
    """The bytes of blobs by what Git calls them, read by one process; None for what is none."""
    if not names:
        return []
    asked = "".join(f"{name}\n" for name in names).encode()
    raw, found, at = _run(root, ("cat-file", "--batch"), asked).stdout, list[bytes | None](), 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        _, kind, *size = raw[at:end].rsplit(b" ", 2)
        at = end + 1
        if size and size[0].isdigit():  # else it is missing, or names several
            found.append(raw[at : at + int(size[0])] if kind == b"blob" else None)
            at += int(size[0]) + 1
        else:
            found.append(None)
    return found or [None] * len(names)


class Change(NamedTuple):
    """A file that a commit brought in a new version."""

    commit: str
    path: str
    blob: str


def changes(root: Path, commits: Sequence[str], paths: Sequence[str]) -> Iterator[Change]:
    """What each commit changed below these paths of a project, beside any of its parents."""
    if not commits:
        return
    place = prefix(root)
    asked = ("diff-tree", "--stdin", "-r", "-m", "--root", "-z", "--no-renames", "--no-abbrev",
             "--", *(f":(top){place}{path}" for path in paths))  # fmt: skip
    raw = _run(root, asked, "".join(f"{sha}\n" for sha in commits).encode()).stdout
    current, blob = "", ""
    for part in raw.decode(errors="replace").split("\0"):
        if part.startswith(":"):
            blob = part.split()[3]
        elif blob:
            if blob.strip("0"):
                yield Change(current, part.removeprefix(place), blob)
            blob = ""
        elif part.strip():
            current = part.strip()


def listed(root: Path, revision: str, path: str) -> dict[str, str]:
    """The files below a folder of a project at a revision, each with its blob."""
    place = prefix(root)
    found = ask(root, "ls-tree", "-r", "-z", "--full-tree", revision, f"{place}{path}")
    lines = [line for line in found.split("\0") if line]
    return {line.partition("\t")[2].removeprefix(place): line.split()[2] for line in lines}


def tags(root: Path) -> Iterator[tuple[str, str]]:
    """Every tag of a commit, with that commit."""
    asked = "--format=%(refname:strip=2)%09%(objecttype)%09%(objectname)%09%(*objectname)"
    for line in ask(root, "for-each-ref", asked, "refs/tags").splitlines():
        name, kind, own, peeled = [*line.split("\t"), "", ""][:4]
        yield name, peeled if kind == "tag" else own


def archive(root: Path, revision: str) -> bytes:
    """A project's files at a revision as a tar; empty where there are none."""
    return _run(root, ("archive", "--format=tar", revision)).stdout


@cache
def prefix(root: Path) -> str:
    """Where a project lies in its repository, ending with a slash; empty at its root."""
    return ask(root, "rev-parse", "--show-prefix")


def commit_of(root: Path, revision: str) -> str:
    """The commit that a person means; raises UsageError where there is none."""
    asked = f"{revision}^{{commit}}"
    found = ask(root, "rev-parse", "--verify", "--quiet", "--end-of-options", asked)
    if not found:
        raise UsageError(
            f"Git knows no revision {revision!r}",
            where=str(root),
            mend="name a commit, a branch or a tag; `git log --oneline` lists commits",
        )
    return found


def _run(
    root: Path, arguments: Sequence[str], given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=root,
            input=given,
            capture_output=True,
            check=False,
            env=_environment(),
        )
    except FileNotFoundError:
        raise UsageError("Git is not installed", mend="install git") from None


def _environment() -> Mapping[str, str]:
    """Without the variables that a hook sets, which would point Git at another repository."""
    own = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in own}


def unclean(root: Path) -> list[str]:
    """Files of the project that differ from the last commit, or that Git does not know."""
    asked = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", ".")
    done = _run(root, asked)
    if done.returncode != 0:
        raise UsageError(
            "is not in a Git repository", where=str(root), mend="run `git init` there, and commit"
        )
    prefix = git(root, "rev-parse", "--show-prefix")
    entries = done.stdout.decode(errors="replace").split("\0")
    return [entry[3:].removeprefix(prefix) for entry in entries if entry]


def shares(path: Path) -> bool:
    """Whether a file lies in a Git repository that would take it up."""
    if ask(path.parent, "rev-parse", "--is-inside-work-tree") != "true":
        return False
    return _run(path.parent, ("check-ignore", "--quiet", "--", path.name)).returncode != 0


def require_identity(root: Path) -> None:
    """Raises UsageError where Git knows no author."""
    if not ask(root, "config", "user.email") or not ask(root, "config", "user.name"):
        raise UsageError(
            "Git does not know who you are",
            where=str(root),
            why="a record without an author could not be committed",
            mend="run `git config user.name NAME` and `git config user.email ADDRESS`",
        )


def commit_files(root: Path, paths: Sequence[str], message: str) -> str | None:
    """Commits these files and nothing else; returns the commit, or None if nothing changed."""
    require_identity(root)
    git(root, "add", "--", *paths)
    if not git(root, "status", "--porcelain", "--", *paths):
        return None
    git(root, "commit", "--quiet", "--message", message, "--", *paths)
    return git(root, "rev-parse", "--short", "HEAD")
