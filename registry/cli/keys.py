"""`chorus key`: the keys that sign releases, and whose signatures a project trusts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.deciding import By, Reason
from registry.cli.output import Json, print_json, print_rows, say

if TYPE_CHECKING:
    from registry.release_keys import ReleaseKey

PASSPHRASE = "CHORUS_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
SignWith = Annotated[
    Path | None,
    typer.Option(
        "--sign-with", envvar="CHORUS_KEY", help="The private key that signs; unsigned without."
    ),
]
_Name = Annotated[str, typer.Argument(help="The key's name in this project.")]

key_app = typer.Typer(
    help="The keys that sign releases, and whose signatures count.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(key_app, name="key", rich_help_panel="Release")


@key_app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where the private key goes: keep it to yourself.")],
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Whoever has the file can sign.")
    ] = False,
) -> None:
    """Make a pair of keys: FILE for you alone, and FILE.pub for everybody."""
    from registry.release_keys import new_release_key

    made = new_release_key(file, None if no_passphrase else _new_passphrase())
    print_rows(
        [("private", str(file)), ("public", f"{file}.pub"), ("fingerprint", made.fingerprint)]
    )
    say("keep the private file, and a copy of it in a safe place; give away the public one")
    say(f"next, in a project: chorus key trust {file}.pub --name {file.stem}")


@key_app.command()
def trust(
    file: Annotated[Path, typer.Argument(help="A public key in PEM form.")],
    name: Annotated[str, typer.Option(help="What it is called here, such as a person's name.")],
) -> None:
    """Take a public key into the project: releases that it signs are verified."""
    from registry.project import find_root
    from registry.release_keys import FOLDER
    from registry.release_keys import trust as act

    key = act(find_root(), file, name)
    print_rows([("key", key.name), ("fingerprint", key.fingerprint)])
    say(f"wrote {FOLDER}/{key.name}.pem; compare the fingerprint with its owner, then commit it")


@key_app.command()
def replace(name: _Name, by: By, reason: Reason) -> None:
    """Say that a key signs nothing more; what it signed until today still counts."""
    _end(name, by, reason, "replaced")


@key_app.command()
def revoke(name: _Name, by: By, reason: Reason) -> None:
    """Say that nothing a key ever signed counts, since somebody else may have used it."""
    _end(name, by, reason, "revoked")


def _end(name: str, by: list[str], reason: str, how: str) -> None:
    from registry.errors import relative
    from registry.project import find_root
    from registry.release_keys import end

    root = find_root()
    path = end(root, name, "revoked" if how == "revoked" else "replaced", by, reason)
    print_rows([("key", name), (how, reason)])
    say(f"wrote {relative(path, root)}; commit it")


@key_app.command("list")
def list_keys(json: Json = False) -> None:
    """List the keys that this project trusts, and those it trusted once."""
    from registry.project import find_root
    from registry.release_keys import trusted

    found = trusted(find_root())
    if json:
        print_json(
            keys=[
                {
                    "name": key.name,
                    "fingerprint": key.fingerprint,
                    "ended": key.ended.model_dump(mode="json") if key.ended else None,
                }
                for key in found
            ]
        )
        return
    if not found:
        say("this project trusts no key yet; `chorus key new FILE` makes one")
        return
    rows = [
        (
            k.name,
            k.fingerprint,
            f"{k.ended.how} on {k.ended.on}: {k.ended.reason}" if k.ended else "",
        )
        for k in found
    ]
    print_rows([("KEY", "FINGERPRINT", ""), *rows])


def release_key(file: Path) -> ReleaseKey:
    """The private key in a file; asks for its passphrase where it has one."""
    from registry.release_keys import load_release_key

    def ask() -> str:
        given = os.environ.get(PASSPHRASE)
        return given or str(typer.prompt("Passphrase of the key", hide_input=True, err=True))

    return load_release_key(file, ask)


def _new_passphrase() -> str:
    given = os.environ.get(PASSPHRASE)
    asked = "Passphrase (--no-passphrase for none)"
    return given or str(typer.prompt(asked, hide_input=True, confirmation_prompt=True, err=True))
