"""`chorus site`: the reviewer's pages and the partner's form, for people who use a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.output import Json, print_json, say
from registry.errors import UsageError

site_app = typer.Typer(
    help="Build the reviewer's pages, or serve the form by which a partner hands in a profile."
)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(site_app, name="site", rich_help_panel="Communities")


@site_app.command()
def build(
    folder: Annotated[
        Path, typer.Argument(help="Where the site goes: a new folder, or one built before.")
    ] = Path("site"),
    rev: Annotated[
        str, typer.Option(help="A Git revision to show instead of what lies here.")
    ] = "",
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Hash every byte anew, also where nothing seems to move."),
    ] = False,
    data_docs: Annotated[
        Path | None,
        typer.Option(help="A folder of Data Docs to carry along (`chorus quality --docs`)."),
    ] = None,
    json: Json = False,
) -> None:
    """Build the reviewer's pages: releases with verdict first, then everything they rest on.

    The folder opens from a disk: file:///.../index.html. Building again writes only what changed.
    Exits 0 whatever the verdicts are; `chorus lineage verify` gives them as exit codes.
    """
    from registry.cli.reading import load
    from registry.pages.build import build as build_site

    built = build_site(load(), folder, rev, verify=verify, data_docs=data_docs)
    if json:
        print_json(
            folder=str(built.folder),
            artifacts=built.artifacts,
            releases=built.releases,
            written=built.written,
            kept=built.kept,
            verdicts_found=built.walked,
            verdict=built.verdict,
        )
        return
    say(
        f"{built.releases:,} releases, {built.artifacts:,} artifacts; the gravest verdict is "
        f"`{built.verdict}`"
    )
    say(
        f"{built.walked:,} verdicts were found anew; the others rest on nothing that moved "
        f"(--verify hashes everything)"
    )
    say(f"wrote {built.written:,} files and kept {built.kept:,}: open {built.folder}/index.html")


@site_app.command()
def serve(
    port: Annotated[int, typer.Option(help="Where to listen.", min=0, max=65535)] = 8300,
    host: Annotated[
        str, typer.Option(help="The address to listen on; this one is seen by this machine only.")
    ] = "127.0.0.1",
    lang: Annotated[str, typer.Option(help="The language of the first page: en or de.")] = "en",
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name that the form answers to besides localhost; may be repeated."),
    ] = None,
) -> None:
    """Serve the form; Ctrl-C ends it. What is handed in lands in proposals/."""
    import contextlib
    import socket

    import uvicorn

    from registry.project import find_root
    from registry.site.app import LOCAL, build_app
    from registry.site.guard import read_secret

    root = find_root()
    names = [*LOCAL, *(name or []), *([host] if host not in LOCAL else [])]
    app = build_app(root, read_secret(root), language=lang, hosts=names)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        where = f"{host}:{port}"
        mend = "choose another with --port"
        raise UsageError(f"cannot listen: {error.strerror}", where=where, mend=mend) from None
    with listener, contextlib.suppress(KeyboardInterrupt):
        shown = f"[{host}]" if ":" in host else host
        say(f"the form is at http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C ends it)")
        uvicorn.Server(config).run(sockets=[listener])
