"""What Chorus asks of Git: reads at a revision, a clean tree, and commits of named files only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    done = _run(root, ("cat-file", "blob", f"{revision}:./{path}"))
    return done.stdout if done.returncode == 0 else None


def _run(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, check=False, env=_environment()
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
