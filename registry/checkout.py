"""A clean copy of a revision in a folder of its own, gone when it is no longer needed.

A clone that shares its objects leaves nothing in the repository that it is made from, even if the
process is killed. What DVC keeps comes from wherever its objects lie, read and never written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from registry import git
from registry.errors import IntegrityError, UsageError
from registry.ground import Revision
from registry.profile_folder import CONTENT


@contextlib.contextmanager
def temporary_checkout(repository: Path, revision: str = "HEAD") -> Iterator[Path]:
    """A project as a revision has it; from a bare clone as well."""
    commit = git.commit_of(repository, revision)
    whole = git.ask(repository, "rev-parse", "--path-format=absolute", "--git-common-dir")
    with tempfile.TemporaryDirectory(prefix="chorus-checkout-") as scratch:
        copy = Path(scratch) / "project"
        git.git(repository, "clone", "--quiet", "--shared", "--no-checkout", whole, str(copy))
        git.git(copy, "checkout", "--quiet", "--detach", commit)
        yield copy / git.prefix(repository)


def restore_content(root: Path, ground: Revision) -> None:
    """Puts what profiles hold by consent or mandate in its place, as a revision records it.

    What is nowhere to be found stays away: whoever reads it says so.
    """
    for tracked in sorted(root.glob(f"value_profiles/*/{CONTENT}.dvc")):
        folder = tracked.with_suffix("")
        _place(ground.held_paths(folder.relative_to(root).as_posix()), folder, link=False)


def restore_artifact(
    ground: Revision, node: str, target: Path, names: Sequence[str], *, link: bool
) -> None:
    """Puts files of an artifact into a folder; what is nowhere to be found stays away.

    Args:
        ground: Where they are recorded.
        node: The artifact.
        target: The folder.
        names: Which of its files.
        link: Whether a file may be the stored one itself, in a folder that nobody writes to.
    """
    paths = ground.paths(node)
    _place({name: paths.get(name) for name in names}, target, link=link)


def _place(paths: Mapping[str, Path | None], target: Path, *, link: bool) -> None:
    for name, source in paths.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise IntegrityError(
                f"names a file outside its folder: {name}",
                where=str(target),
                why="nothing is written where a record should not reach",
            )
        place = target / inside
        if source is None or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        linked = False
        with contextlib.suppress(OSError):  # another disk, or one without links
            if link:
                os.link(source, place)
                linked = True
        if not linked:
            scratch = place.with_name(f".{place.name}.part")
            shutil.copyfile(source, scratch)
            scratch.replace(place)


def is_bare(folder: Path) -> bool:
    """Whether a folder is a repository without files of its own."""
    return git.ask(folder, "rev-parse", "--is-bare-repository") == "true"


def use_objects(root: Path, places: Sequence[Path]) -> None:
    """Lets a temporary checkout read DVC's objects from a folder: a cache, or a remote."""
    for place in places:
        if not (place / "files" / "md5").is_dir():
            raise UsageError(
                "holds no objects of DVC",
                where=str(place),
                mend="name a DVC cache or a remote that is a folder: it has `files/md5`",
            )
    (root / ".dvc").mkdir(exist_ok=True)
    remotes = "".join(f"['remote \"beside-{n}\"']\n    url = {place.resolve()}\n"
                      for n, place in enumerate(places))  # fmt: skip
    (root / ".dvc" / "config.local").write_text(remotes)
