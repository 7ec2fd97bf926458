"""`chorus remote`, `push` and `pull`: artifacts for others, and from others."""

from __future__ import annotations

from typing import Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say

_remote = typer.Typer(help="Where artifacts are kept for others.", no_args_is_help=True)
Nodes = Annotated[
    list[str] | None, typer.Argument(help="Nodes, or for pull a release; everything by default.")
]
Where = Annotated[str | None, typer.Option("--remote", help="Which one, if not the default.")]
Upstream = Annotated[
    bool, typer.Option("--upstream", help="With everything that they were made from.")
]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(_remote, name="remote", rich_help_panel="Share")
    app.command(rich_help_panel="Share")(push)
    app.command(rich_help_panel="Share")(pull)


@_remote.command("list")
def list_remotes(json: Json = False) -> None:
    """List the remotes of this project."""
    from registry.project import find_root
    from registry.remotes import remotes

    found = remotes(find_root())
    if json:
        print_json(remotes=[vars(remote) for remote in found])
    elif found:
        print_rows([(r.name, "default" if r.default else "", r.url) for r in found])
    else:
        say("no remote yet: chorus remote add NAME PLACE")


@_remote.command()
def add(
    name: str,
    place: Annotated[str, typer.Argument(help="A folder, or an address that DVC knows.")],
    default: Annotated[bool, typer.Option("--default", help="Make it the default.")] = False,
) -> None:
    """Add a remote; the first one is the default."""
    from registry.project import find_root
    from registry.remotes import add

    add(find_root(), name, place, default=default)
    say(f"{name} is a remote now; commit .dvc/config, then: chorus push")


@_remote.command()
def default(name: str) -> None:
    """Make a remote the default."""
    from registry.project import find_root
    from registry.remotes import set_default

    set_default(find_root(), name)


@_remote.command()
def remove(name: str) -> None:
    """Forget a remote; what it holds stays there."""
    from registry.project import find_root
    from registry.remotes import remove

    remove(find_root(), name)
    say(f"{name} is forgotten here; nothing was removed there")


def push(nodes: Nodes = None, remote: Where = None, upstream: Upstream = False) -> None:
    """Copy recorded artifacts to a remote, for others to pull."""
    from registry.project import find_root
    from registry.remotes import push

    count = push(find_root(), nodes or [], remote, upstream=upstream)
    say(f"pushed {count} files" if count else "the remote has everything already")


def pull(nodes: Nodes = None, remote: Where = None, upstream: Upstream = False) -> None:
    """Fetch recorded artifacts, or all of a release, from a remote."""
    from registry.project import find_root
    from registry.release import parse_name
    from registry.remotes import pull, pull_release

    root = find_root()
    releases = [name for node in nodes or [] if (name := parse_name(node))]
    others = [node for node in nodes or [] if not parse_name(node)]
    count = sum(pull_release(root, name, remote) for name in releases)
    if others or not nodes:
        count += pull(root, others, remote, upstream=upstream)
    say(f"fetched {count} files" if count else "everything was here already")
    for name in releases:
        say(f"next: chorus lineage verify {name.tag}")
