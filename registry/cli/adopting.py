"""`chorus profile adopt`: a community takes over norms that somebody else wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.deciding import place
from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.profiles import profile_app
from registry.errors import UsageError


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.command()(adopt)


def adopt(
    proposal: Annotated[str, typer.Argument(help="A proposal's id, or its folder.")],
    file: Annotated[Path, typer.Argument(help="The norms.csv that an import wrote.")],
    rows: Annotated[
        list[str] | None,
        typer.Option("--rows", help="A row's id; once for each row, or parted by commas."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row of the file.")] = False,
    json: Json = False,
) -> None:
    """Take over norms that you hold too: the rows you name, marked with where they come from."""
    from registry.intake.adopting import adopt as act

    chosen = [one for part in rows or () for one in part.replace(",", " ").split()]
    if bool(chosen) == everything:
        raise UsageError(
            "say which rows you take over",
            why="nothing becomes a norm of yours without your saying so",
            mend="name them with --rows, or say --all",
        )
    root, folder = place(proposal)
    done = act(root, folder, file, None if everything else chosen)
    if json:
        print_json(
            adopted=[row.id for row in done.rows],
            already=list(done.already),
            licence=done.source.licence,
        )
        return
    print_rows([("adopted", row.id, row.rule) for row in done.rows])
    print_rows([("already there", one) for one in done.already])
    say(f"source: {done.source.citation} ({done.source.licence})")
    if "-SA" in done.source.licence.upper():
        say(f"its licence asks that what is made from it is shared under {done.source.licence} too")
    if done.rows:
        say(f"read each one, mend it to what you hold, then: chorus profile check {folder.name}")
