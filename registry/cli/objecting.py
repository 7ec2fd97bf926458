"""`chorus profile object`, `answer` and `floor`: for those whom a profile speaks about."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from registry.cli.deciding import By, Reason, Which, and_sync, place, print_receipt
from registry.cli.output import print_rows, say
from registry.cli.profiles import profile_app
from registry.errors import ExitCode, UsageError


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.command("object")(objects)
    profile_app.command()(answer)
    profile_app.command()(floor)


def objects(
    which: Which,
    reason: Reason,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="A reference such as register:12; never a name or address."),
    ] = None,
) -> None:
    """Object to a profile that speaks about you; releases wait until it is answered."""
    from registry.objections import object_to

    root, folder = place(which)
    print_receipt(object_to(root, folder, by or ["unnamed"], reason))
    say("two maintainers answer it; until then nothing that rests on the profile is released")


def answer(
    which: Which,
    outcome: Annotated[
        Literal["kept", "suspended"],
        typer.Option("--outcome", help="Whether the profile stays or is taken out."),
    ],
    by: By,
    reason: Reason,
    objection: Annotated[
        str | None, typer.Option("--objection", help="Which one, such as 0007-objected.")
    ] = None,
) -> None:
    """Answer an objection, as two maintainers."""
    from registry.objections import answer as act

    root, folder = place(which)
    *first, last = act(root, folder, outcome, by, reason, objection)
    for receipt in first:
        print_receipt(receipt)
    and_sync(last, root)


def floor(
    which: Which,
    keep: Annotated[
        str | None, typer.Option("--keep", help="A flagged place that may stay as it is.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="Who decides.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it may stay.")] = None,
) -> None:
    """Show what the floor flags: words that dehumanise or call for harm; decide on one."""
    from registry.floor import CANNOT_SEE, flags, undecided
    from registry.objections import keep as act
    from registry.profile_desk import whole

    root, folder = place(which)
    if keep is not None:
        if not by or not reason:
            raise UsageError("name who decides and why", mend="add --by and --reason")
        for receipt in act(root, folder, keep, by, reason):
            print_receipt(receipt)
        return
    profile = whole(folder, root)
    waiting = undecided(profile)
    for flag in flags(profile):
        state = "to decide" if flag in waiting else "decided"
        print_rows([(flag.place, repr(flag.words), flag.why, state)])
    print_rows([(f"{len(waiting)} to decide",)])
    say(CANNOT_SEE)
    raise typer.Exit(ExitCode.CHECKS_FAILED if waiting else ExitCode.OK)
