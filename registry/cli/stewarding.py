"""`chorus profile key` and `chorus profile hold`: what only the steward of a profile can say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.deciding import By, Reason, SignWith, Which, place, print_receipt, signer
from registry.cli.output import print_rows, say
from registry.cli.profiles import profile_app

key_app = typer.Typer(help="The key that a steward signs with.", no_args_is_help=True)


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.add_typer(key_app, name="key")
    profile_app.command()(hold)


@key_app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where the private key goes: keep it to yourself.")],
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Whoever has the file can sign.")
    ] = False,
) -> None:
    """Make a pair of keys: a file for the steward alone, and a line for profile.yaml."""
    from registry.errors import UsageError
    from registry.project import find_root
    from registry.signing import new_key

    try:
        root = find_root()
    except UsageError:
        root = None  # a steward needs no project to make a key
    if root is not None and file.resolve().is_relative_to(root):
        raise UsageError(
            "lies inside the project",
            where=str(file),
            why="what lies there is shared, and whoever has the private key can sign as you",
            mend="name a file in a folder of your own",
        )
    passphrase = None if no_passphrase else _ask()
    public = new_key(file, passphrase)
    print_rows([("private", str(file)), ("public", public)])
    say(f'add to `steward:` in profile.yaml:  key: "{public}"')
    say("keep the private file, and a copy of it in a safe place: a lost key is replaced only by")
    say("a new revision that two maintainers attest")


def _ask() -> str:
    import os

    from registry.cli.deciding import PASSPHRASE

    given = os.environ.get(PASSPHRASE)
    asked = "Passphrase (--no-passphrase for none)"
    return given or str(typer.prompt(asked, hide_input=True, confirmation_prompt=True, err=True))


def hold(
    which: Which,
    release: Annotated[
        str, typer.Option("--release", help="The model's node and version: N@1.0.0")
    ],
    by: By,
    reason: Reason,
    lift: Annotated[bool, typer.Option("--lift", help="Let it go again.")] = False,
    sign_with: SignWith = None,
) -> None:
    """Hold a release before it is public, as the steward; --lift lets it go."""
    from registry.release_notice import hold as act

    root, folder = place(which)
    print_receipt(act(root, folder, release, by, reason, signer(sign_with), lift=lift))
