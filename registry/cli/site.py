"""`chorus site`: pages for people who use a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from registry.cli.output import say
from registry.errors import UsageError

site_app = typer.Typer(help="Serve the form by which a community partner hands in a profile.")


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(site_app, name="site", rich_help_panel="Communities")


@site_app.callback()
def _site() -> None:
    """Keeps `serve` a command of its own."""


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
