"""Tags of releases, as GTO writes them: a version, and the stages that it was given or lost.

GTO writes them and Git lists them (`git for-each-ref` takes hundredths of a second where GTO takes
seconds). `NAME#STAGE#N` gives a stage to the version on whose commit it lies, `NAME#STAGE!#N` takes
it away; N counts every tag of a name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from registry import git
from registry.errors import ChorusError
from registry.release import Name, parse_name

Stage = Literal["candidate", "production", "deprecated", "retired"]
"""What becomes of a release: it is tried, relied on, no longer advised, no longer to be used."""
Promotion = Literal["candidate", "production"]
PROMOTIONS: tuple[Promotion, ...] = ("candidate", "production")
"""Stages of which a name has one version at a time."""
_STAGED = re.compile(r"(?P<name>[a-z0-9/-]+)#(?P<stage>[a-z]+)(?P<lost>!?)#(?P<count>[0-9]+)")
_FORMAT = "%(refname:strip=2)%00%(*objectname)%00%(objectname)%00%(contents:subject)"


@dataclass(frozen=True)
class Standing:
    """Where a release stands."""

    stages: tuple[str, ...] = ()
    """Its stages, the latest first."""
    reason: str = ""
    """Why it has the latest one."""


def register_version(root: Path, name: Name, message: str) -> None:
    """Tags the last commit as a release."""
    from gto.api import register

    with _told(name, "the release is committed, but without its tag it is none"):
        register(
            git.git(root, "rev-parse", "--show-toplevel"),
            name.name,
            "HEAD",
            version=f"v{name.version}",
            message=message,
            **_author(root),
        )


def give_stage(root: Path, name: Name, stage: Stage, message: str) -> None:
    """Gives a release a stage."""
    from gto.api import assign

    with _told(name, "nothing was changed"):
        assign(
            git.git(root, "rev-parse", "--show-toplevel"),
            name.name,
            stage,
            version=f"v{name.version}",
            message=message,
            simple=False,
            **_author(root),
        )


def take_stage(root: Path, name: Name, stage: Stage, message: str) -> None:
    """Takes a stage from a release."""
    from gto.api import unassign

    with _told(name, "nothing was changed"):
        unassign(
            git.git(root, "rev-parse", "--show-toplevel"),
            name.name,
            version=f"v{name.version}",
            stage=stage,
            message=message,
            simple=False,
            **_author(root),
        )


def _author(root: Path) -> Mapping[str, Any]:
    asked = {"author": "user.name", "author_email": "user.email"}
    return {name: git.ask(root, "config", key) for name, key in asked.items()}


@contextlib.contextmanager
def _told(name: Name, why: str) -> Iterator[None]:
    """Raises what GTO says as an error of ours."""
    import logging

    from gto.exceptions import GTOException

    logging.getLogger("gto").setLevel(logging.ERROR)
    try:
        yield
    except GTOException as error:
        raise ChorusError(
            f"GTO could not make the tag: {error}",
            where=name.tag,
            why=why,
            mend="mend that, then run the same command again",
        ) from error


def _same_name(given: Mapping[str, Any], release: str) -> list[str]:
    name = release.rpartition("@")[0]
    return [other for other in given if other.rpartition("@")[0] == name]


def _split(listed: str) -> Iterator[list[str]]:
    return (line.split("\0") for line in listed.splitlines())


def standings(root: Path) -> dict[str, Standing]:
    """Where every release stands that was ever given a stage, by its tag."""
    listed = git.ask(root, "for-each-ref", f"--format={_FORMAT}", "refs/tags")
    # An annotated tag lies on a commit; any other is that commit.
    lines = [(tag, on or own, said) for tag, on, own, said in _split(listed)]
    commits = {tag: commit for tag, commit, _ in lines}
    versions = {
        (name.name, commits[tag]): tag for tag, *_ in lines if (name := parse_name(tag)) is not None
    }
    given: dict[str, dict[str, str]] = {}
    events = [(m, subject) for tag, _, subject in lines if (m := _STAGED.fullmatch(tag))]
    for found, subject in sorted(events, key=lambda event: int(event[0]["count"])):
        release = versions.get((found["name"], commits[found[0]]))
        if release is not None:
            stages = given.setdefault(release, {})
            # As GTO has it, one version of a name is in production: the one that came last.
            shared = found["stage"] in PROMOTIONS and not found["lost"]
            alike = _same_name(given, release) if shared else [release]
            for one in alike:
                given[one].pop(found["stage"], None)
            if not found["lost"]:
                stages[found["stage"]] = subject
    return {
        release: Standing(tuple(reversed(stages)), next(reversed(stages.values()), ""))
        for release, stages in given.items()
    }
