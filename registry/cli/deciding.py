"""What the commands about profiles share: who decides, why, and with which key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import print_rows, say

if TYPE_CHECKING:
    from registry.profile_desk import Receipt
    from registry.signing import Signer

PASSPHRASE = "CHORUS_STEWARD_PASSPHRASE"  # noqa: S105 - the name of a variable
Which = Annotated[str, typer.Argument(help="A profile's or proposal's id, or its folder.")]
By = Annotated[
    list[str], typer.Option("--by", help="Who decides, such as maintainer:7; once for each person.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence.")]
SignWith = Annotated[
    Path | None,
    typer.Option("--sign-with", envvar="CHORUS_STEWARD_KEY", help="The steward's private key."),
]


def place(which: str) -> tuple[Path, Path]:
    """The project's root and the folder that is meant."""
    from registry.profile_desk import folder_of
    from registry.project import find_root

    root = find_root()
    return root, folder_of(root, which)


def signer(key: Path | None) -> Signer | None:
    """Whoever holds the private key; asks for its passphrase where it has one."""
    if key is None:
        return None
    from registry.signing import load_key

    def ask() -> str:
        given = os.environ.get(PASSPHRASE)
        return given or str(typer.prompt("Passphrase of the key", hide_input=True, err=True))

    return load_key(key, ask)


def print_receipt(receipt: Receipt) -> None:
    """Prints what an act leaves."""
    print_rows(receipt.lines())


def and_sync(receipt: Receipt, root: Path) -> None:
    """Prints a receipt, and writes the pipeline files that follow from the act."""
    from registry.graph import load_graph
    from registry.store import sync

    print_receipt(receipt)
    for path in sync(load_graph(root)):
        say(f"wrote {path}")
