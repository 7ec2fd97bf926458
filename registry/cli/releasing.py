"""`chorus release` and `chorus releases`: versions of models, each with its record."""

from __future__ import annotations

from typing import Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import ExitCode, relative

_PANEL = "Release"


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("release", rich_help_panel=_PANEL)(release)
    app.command("releases", rich_help_panel=_PANEL)(releases)


def release(
    node: Annotated[str, typer.Argument(help="A model.")],
    version: Annotated[str, typer.Option(help="Three numbers, like 1.0.0.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the checklist.")] = False,
) -> None:
    """Release a model: checklist, card, release folder, commit and tag."""
    raise typer.Exit(release_and_say(node, version, dry_run=dry_run))


def release_and_say(node_id: str, version: str, *, dry_run: bool) -> ExitCode:
    """Shows the checklist and, where it holds, releases; returns the exit code."""
    from registry.release import checklist, name_of
    from registry.release import release as make

    graph = load()
    node = graph.node(node_id)
    name = name_of(node, version)
    checks = checklist(graph, node, name)
    print_rows([(f"Before {name} is released:",)])
    rows = [(f"  {'refused' if c.problem else 'ok'}", c.sentence, c.problem) for c in checks]
    print_rows(rows)
    failed = [check for check in checks if check.problem]
    if failed:
        said = "1 point stands" if len(failed) == 1 else f"{len(failed)} points stand"
        say(f"not released: {said} against it; nothing was changed")
        return max(check.code for check in failed)
    if dry_run:
        say("nothing stands against it; leave out --dry-run to release")
        return ExitCode.OK
    made = make(graph, node, name)
    say(f"wrote {relative(made.folder, graph.project.root)}, which `from_pretrained` loads")
    if made.commit:
        say(f"committed its record as {made.commit}: {', '.join(made.committed)}")
    say(f"tagged it {made.tag} (`git push --follow-tags` makes commit and tag public)")
    say(f"next: chorus lineage verify {made.tag}")
    return ExitCode.OK


def releases(json: Json = False) -> None:
    """List what was released."""
    from registry.project import find_root
    from registry.release import listing

    found = listing(find_root())
    if json:
        print_json(releases=found)
        return
    if not found:
        say("nothing was released here yet")
        return
    rows = [
        (
            r["release"],
            r["released_on"],
            r["commit"],
            f"sha256:{r['content'][:12]}",
            "retired" if r["retired"] else "",
        )
        for r in found
    ]
    print_rows([("RELEASE", "ON", "COMMIT", "CONTENT", ""), *rows])
