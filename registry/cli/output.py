"""How commands write: results to standard output, messages to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

SCHEMA_VERSION = 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON with a schema_version.")]


def print_json(**values: Any) -> None:
    """Prints one JSON object with its schema version."""
    sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, **values}, indent=2) + "\n")


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows in aligned columns, the last one unpadded."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*padded, row[-1]]).rstrip() + "\n")


def say(message: str) -> None:
    """Prints a message for people."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
