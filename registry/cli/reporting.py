"""`chorus lineage report`: one walk through lineage as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.lineage import Target
from registry.cli.output import say
from registry.errors import ExitCode, UsageError

_EXIT = {
    "verified": ExitCode.OK,
    "unsigned": ExitCode.CHECKS_FAILED,
    "unrecorded": ExitCode.CHECKS_FAILED,
    "ended": ExitCode.REFUSED,
    "erased": ExitCode.REFUSED,
}


def register(app: typer.Typer) -> None:
    """Adds the command to the group `lineage`."""
    groups = {found.name: found.typer_instance for found in app.registered_groups}
    if (group := groups["lineage"]) is not None:
        group.command("report")(report)


def report(
    target: Target,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
) -> None:
    """Write one HTML page: the verdict, a drawing, every step, permissions and contracts.

    It is one file without scripts, to be sent or printed. Exits as `chorus lineage verify` does.
    """
    from registry.artifact import write_atomically
    from registry.cli.reading import load
    from registry.pages.report import report as write

    if output.suffix != ".html" or output.is_dir():
        raise UsageError("is no HTML file", where=str(output), mend="let its name end in .html")
    html, found = write(load(), target)
    write_atomically(output, html.encode("utf-8", errors="replace"))
    say(f"{found.verdict}: wrote {output}")
    raise typer.Exit(_EXIT.get(found.verdict, ExitCode.INTEGRITY))
