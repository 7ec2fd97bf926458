"""`chorus release promote`, `demote`, `deprecate` and `retire`: what becomes of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.deciding import By, Reason
from registry.cli.output import print_rows, say
from registry.cli.reading import load
from registry.cli.releasing import release_app
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.release import Name
    from registry.release_tags import Promotion

_Release = Annotated[str, typer.Argument(help="A release, such as name@v1.0.0.")]
_Stage = Annotated[str, typer.Option(help="`candidate` or `production`.")]


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    release_app.command()(promote)
    release_app.command()(demote)
    release_app.command()(deprecate)
    release_app.command()(retire)


def promote(release: _Release, by: By, reason: Reason, to: _Stage = "production") -> None:
    """Say that a release is a candidate or in production, after the checks of today."""
    from registry.stages import promotion_checks, set_stage

    name, stage = _name(release), _promotion(to)
    graph = load()
    checks = promotion_checks(graph, name, stage)
    print_rows([(f"Before {name} is promoted to {stage}:",)])
    print_rows([(f"  {'refused' if c.problem else 'ok'}", c.sentence, c.problem) for c in checks])
    if failed := [check for check in checks if check.problem]:
        say(f"not promoted: {len(failed)} of {len(checks)} points stand against it")
        raise typer.Exit(max(check.code for check in failed))
    _say(set_stage(graph.project.root, name, stage, by, reason))


def demote(release: _Release, by: By, reason: Reason, stage: _Stage = "production") -> None:
    """Take a promotion back."""
    from registry.project import find_root
    from registry.stages import unset_stage

    name = _name(release)
    unset_stage(find_root(), name, _promotion(stage), by, reason)
    say(f"{name.tag} is not in {stage} any more")


def deprecate(release: _Release, by: By, reason: Reason) -> None:
    """Say that a release is no longer advised; it stays, and its card says so."""
    from registry.project import find_root
    from registry.stages import set_stage

    _say(set_stage(find_root(), _name(release), "deprecated", by, reason))


def retire(release: _Release, by: By, reason: Reason) -> None:
    """Say that a release is no longer to be used; its card says so on top."""
    from registry.project import find_root
    from registry.stages import set_stage

    _say(set_stage(find_root(), _name(release), "retired", by, reason))


def _say(lines: list[str]) -> None:
    for line in lines:
        say(line)
    say("`git push --follow-tags` makes it public")


def _name(release: str) -> Name:
    from registry.release import parse_name

    name = parse_name(release)
    if name is None:
        raise UsageError(f"{release!r} names no release", mend="write name@v1.0.0")
    return name


def _promotion(stage: str) -> Promotion:
    match stage:
        case "candidate" | "production":
            return stage
        case _:
            raise UsageError(f"no stage is called {stage!r}", mend="use candidate or production")
