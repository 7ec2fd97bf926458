"""`chorus reproduce`: a release is made again from its sources, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from registry.reproduce import Remade


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command(rich_help_panel="Trace")(reproduce)


def reproduce(
    release: Annotated[str, typer.Argument(help="A release, such as name@v1.0.0.")],
    json: Json = False,
) -> None:
    """Make a release again from its sources alone, and compare every artifact on the way."""
    from registry.project import find_root
    from registry.release import parse_name
    from registry.reproduce import Watcher, machine
    from registry.reproduce import reproduce as run

    name = parse_name(release)
    if name is None:
        raise UsageError(f"{release!r} is no release", mend="`chorus releases` lists them")
    found = run(find_root(), name, Watcher(surroundings=_say_surroundings, remade=_say_remade))
    code = ExitCode.OK if found.identical else ExitCode.INTEGRITY
    if json:
        print_json(
            release=found.release,
            identical=found.identical,
            machine=machine(),
            surroundings=list(found.surroundings),
            nodes=[node.to_json() for node in found.nodes],
            not_made=list(found.not_made),
        )
        raise typer.Exit(code)
    verdict = "identical: every artifact came out as it was recorded"
    if not found.identical:
        first = next(one.node for one in found.nodes if one.outcome == "differs")
        verdict = f"differs: first in {first}"
    print_rows([(verdict,)])
    for node in found.nodes:
        print_rows([(f"  {node.outcome}", node.node, f"sha256:{node.made[:12]}")])
        print_rows([(f"    {said}",) for said in node.differences])
    print_rows([("  not made", node, "an input of it differs") for node in found.not_made])
    raise typer.Exit(code)


def _say_surroundings(differences: tuple[str, ...]) -> None:
    from registry.reproduce import machine

    say(f"on {machine()}; records name device, threads and packages, not the machine itself")
    if not differences:
        say("device, threads, packages and code are those of the record: digests must be the same")
    for one in differences:
        say(f"not as recorded: {one}")


def _say_remade(node: Remade) -> None:
    say(f"{node.outcome}: {node.node}")
