"""`chorus init`, `sync` and `schema`: a project and its generated files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.output import print_rows, say
from registry.errors import ChorusError

_PANEL = "Set up"
Check = Annotated[bool, typer.Option("--check", help="Change nothing; fail if out of date.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("init", rich_help_panel=_PANEL)(init)
    app.command("sync", rich_help_panel=_PANEL)(sync)
    app.command("schema", rich_help_panel=_PANEL)(schema)


def init(
    directory: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    communities: Annotated[
        str | None, typer.Option(help="Profiles to start from, parted by commas; all if left out.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="`default`, or `tiny`: a random model, for trying in seconds.")
    ] = "default",
) -> None:
    """Start a project: its own Git and DVC repositories, declarations and value profiles."""
    from registry.starter import check_size, init_project

    chosen = [c.strip() for c in communities.split(",") if c.strip()] if communities else None
    for line in init_project(directory.resolve(), chosen, check_size(size)):
        say(line)
    _sync(directory.resolve())
    say(f"next: cd {directory} && chorus make --all")


def _sync(start: Path | None = None) -> None:
    from registry.graph import load_graph
    from registry.store import sync

    for path in sync(load_graph(start)):
        say(f"wrote {path}")


def sync(check: Check = False) -> None:
    """Write the pipeline files and code digests from the declarations and profiles."""
    from registry.cli.reading import load
    from registry.store import drift

    if not check:
        _sync()
        return
    if drifted := drift(load()):
        raise ChorusError(
            "generated files are out of date",
            where=", ".join(drifted),
            why="DVC would run or record something else than what is declared",
            mend="run `chorus sync` and commit the result",
        )
    print_rows([("pipeline files and code digests are up to date",)])


def schema(check: Check = False) -> None:
    """Write the JSON Schemas that editors use to check declarations and profiles."""
    from registry.artifact import write_atomically
    from registry.project import find_root
    from registry.schemas import schema_files

    root = find_root()
    wanted = schema_files()
    differing = [
        path
        for path, content in wanted.items()
        if not (root / path).is_file() or (root / path).read_bytes() != content
    ]
    if check and differing:
        raise ChorusError(
            "JSON Schemas are out of date",
            where=", ".join(differing),
            mend="run `chorus schema` and commit the result",
        )
    for path in differing:
        write_atomically(root / path, wanted[path])
        say(f"wrote {path}")
    if not differing:
        print_rows([("JSON Schemas are up to date",)])
