"""Where proposals and profiles lie, and how content held by consent is kept out of Git."""

from __future__ import annotations

import contextlib
from pathlib import Path

from registry.artifact import write_atomically
from registry.errors import UsageError, relative
from registry.profile_folder import CONTENT, Profile

PROPOSALS = "proposals"
ACCEPTED = "value_profiles"


def folders_in(place: Path) -> list[Path]:
    """The profile folders in a place; proposed tests lie beside them, as `<id>.tests/`."""
    return [path for path in sorted(place.glob("*/")) if not path.name.endswith(".tests")]


def track_content(root: Path, folder: Path) -> None:
    """Puts a profile's content into DVC and out of Git's sight."""
    home = folder / CONTENT
    if not home.is_dir():
        raise UsageError(
            "holds no content", where=relative(folder, root), mend=f"add {CONTENT}/ with its tables"
        )
    ignored = root / ".gitignore"
    before = ignored.read_text() if ignored.exists() else ""
    lines = [f"/{place}/*/{CONTENT}/" for place in (ACCEPTED, PROPOSALS)]
    if lacking := [line for line in lines if line not in before.splitlines()]:
        write_atomically(ignored, "\n".join([before.rstrip(), *lacking, ""]).lstrip().encode())


def track_here(root: Path, profile: Profile) -> None:
    """Tracks the content as it is now, where it lies now; licensed content stands in Git."""
    if profile.profile.permission == "licence":
        return
    import logging

    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    with contextlib.chdir(root), Repo(str(root), _wait_for_lock=True) as repo:
        repo.add(f"{ACCEPTED}/{profile.id}/{CONTENT}")


def bring_instrument(root: Path, profile: Profile) -> None:
    """Takes along the questionnaire that an import wrote beside it; never over another."""
    if profile.profile.opinions is None:
        return
    name = profile.profile.opinions.instrument
    source = root / PROPOSALS / f"{name}.instrument.yaml"
    target = root / "registry" / "instruments" / f"{name}.yaml"
    if source.is_file() and not target.exists():
        write_atomically(target, source.read_bytes())
