"""`chorus init`: a project of one's own, from the declarations and profiles that Chorus ships."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast

from registry.artifact import write_atomically
from registry.errors import ChorusError, UsageError
from registry.git import ask, commit_files, git
from registry.override import overrides_of, write_active
from registry.schemas import schema_files
from registry.strict_yaml import nearest

Size = Literal["default", "tiny"]
_STEPS = re.compile(r"steps: [0-9]+\n  trained_layers: 6")
FOLDERS = ("datasets", "models", "evaluations", "instruments", "prompts", "overrides")


def package_folder() -> Path:
    """The installed `registry` package, whose YAML files start a project."""
    return Path(str(files("registry")))


def shipped_profiles() -> Path:
    """The shipped value profiles: in the package where installed, beside it in a checkout."""
    packaged = package_folder() / "value_profiles"
    return packaged if packaged.is_dir() else package_folder().parent / "value_profiles"


def is_made_up(name: str) -> bool:
    """Whether a shipped profile is an example: it comes along only where it is named."""
    return name.startswith("example-")


def check_size(size: str) -> Size:
    """Returns `size` if it is one; raises UsageError."""
    if size in ("default", "tiny"):
        return cast("Size", size)
    raise UsageError(f"no size is called {size!r}", mend="use default or tiny")


def init_project(target: Path, communities: Sequence[str] | None, size: Size) -> list[str]:
    """Creates a project in `target`; returns what was done, a sentence each."""
    if target.exists() and any(target.iterdir()):
        raise UsageError(
            "is not empty",
            where=str(target),
            why="an existing project is never overwritten",
            mend="name a new folder",
        )
    available = sorted(p.name for p in shipped_profiles().iterdir() if p.is_dir())
    for community in communities or ():
        if community not in available:
            mend = nearest(community, available) or "shipped here: " + ", ".join(available)
            raise UsageError(f"no profile {community!r} is shipped", mend=mend)
    chosen = list(communities or (name for name in available if not is_made_up(name)))
    _copy(target, chosen, size)
    for path, content in schema_files().items():
        write_atomically(target / path, content)
    profiles = "1 value profile" if len(chosen) == 1 else f"{len(chosen)} value profiles"
    done = [f"wrote the declarations and {profiles}"]
    _run(target, "git", "init", "--quiet", "--initial-branch=main")
    _run(target, "dvc", "init", "--quiet")
    _run(target, "dvc", "config", "core.analytics", "false")
    done.append("started its Git and DVC repositories (DVC's telemetry is off)")
    return done


def _copy(target: Path, communities: Sequence[str], size: Size) -> None:
    source = package_folder()
    for folder in FOLDERS:
        (target / "registry" / folder).mkdir(parents=True)
        for path in sorted((source / folder).rglob("*.yaml")):
            copy = target / "registry" / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    if size == "tiny":
        _shrink(target)
    for community in communities:
        shutil.copytree(shipped_profiles() / community, target / "value_profiles" / community)
    shutil.copy(source / "templates" / "README.md", target / "README.md")
    shutil.copy(source / "templates" / "gitignore", target / ".gitignore")
    shutil.copy(source / "templates" / "dvcignore", target / ".dvcignore")


def _shrink(target: Path) -> None:
    """Puts the tiny random model in place of the pretrained one, and trains it for a moment."""
    tiny = package_folder() / "templates" / "tiny" / "models" / "tiny-random.yaml"
    shutil.copy(tiny, target / "registry" / "models" / tiny.name)
    (target / "registry" / "models" / "smollm2-135m.yaml").unlink()
    for folder in FOLDERS:
        for path in (target / "registry" / folder).rglob("*.yaml"):
            text = path.read_text().replace("smollm2-135m", "tiny-random")
            path.write_text(_STEPS.sub("steps: 12\n  trained_layers: 2", text))
    write_active(target, dict.fromkeys(overrides_of(target), "tiny"))


def _run(folder: Path, *command: str) -> None:
    program = [sys.executable, "-m", "dvc"] if command[0] == "dvc" else [command[0]]
    done = subprocess.run(
        [*program, *command[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ChorusError(
            f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}",
            where=str(folder),
            mend="mend that, remove the folder and run `chorus init` again",
        )


def commit(root: Path, message: str, *, identity: bool = False) -> str | None:
    """Commits declarations, pipelines and locks; returns the commit, or None if nothing changed.

    With `identity`, a repository-local author is set where Git knows none.
    """
    if identity and not ask(root, "config", "user.email"):
        git(root, "config", "user.email", "demo@chorus.invalid")
        git(root, "config", "user.name", "Chorus demo")
    return commit_files(root, ["."], message)
