"""`chorus release` and `chorus releases`: versions of models, each with its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import ExitCode, UsageError, relative

if TYPE_CHECKING:
    from registry.release_checklist import Check

_PANEL = "Release"


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("release", rich_help_panel=_PANEL)(release)
    app.command("releases", rich_help_panel=_PANEL)(releases)


def release(
    node: Annotated[str, typer.Argument(help="A model.")],
    version: Annotated[str, typer.Option(help="Three numbers, like 1.0.0.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the checklist.")] = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="Only note that the stewards were told of it.")
    ] = False,
    override: Annotated[
        str | None,
        typer.Option(help="Why it is released although its community demands more; recorded."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Who told the stewards, or decides.")
    ] = None,
) -> None:
    """Release a model: checklist, card, release folder, commit and tag."""
    if notify:
        raise typer.Exit(_notify(node, version, by or []))
    code = release_and_say(node, version, dry_run=dry_run, override=override, by=by or ())
    raise typer.Exit(code)


def _notify(node_id: str, version: str, by: list[str]) -> ExitCode:
    """Notes that the stewards were told of a release to come."""
    from registry.release import name_of
    from registry.release_notice import notify
    from registry.release_terms import exempt, notice_days

    if not by:
        raise UsageError("say who told the stewards", mend="add --by maintainer:1")
    graph = load()
    node = graph.node(node_id)
    name = name_of(node, version)
    receipts = {receipt.profile: receipt for receipt in notify(graph, node, name, by)}
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        if why := exempt(profile):
            print_rows([(community, f"nobody is told: {why}")])
        elif community in receipts:
            print_rows([*receipts[community].lines()])
            steward = profile.profile.steward
            to = f" ({steward.contact})" if steward else ""
            say(f"write to the steward{to}: {name} may be released in {notice_days(profile)} days;")
            say(f"to hold it: chorus profile hold {community} --release {name.tag}")
        else:
            print_rows([(community, "was told of exactly this before")])
    if receipts:
        say("commit the events; the checklist counts the days")
    return ExitCode.OK


def release_and_say(
    node_id: str,
    version: str,
    *,
    dry_run: bool,
    override: str | None = None,
    by: Sequence[str] = (),
) -> ExitCode:
    """Shows the checklist and, where it holds, releases; returns the exit code.

    Args:
        node_id: The model.
        version: Three numbers.
        dry_run: Only shows the checklist.
        override: Why it is released although its community demands more of it.
        by: Who decides that.
    """
    from registry.release import name_of
    from registry.release import release as make
    from registry.release_checklist import checklist, set_aside

    graph = load()
    node = graph.node(node_id)
    name = name_of(node, version)
    checks = checklist(graph, node, name)
    word = set_aside(checks, by, override) if override is not None else None
    print_rows([(f"Before {name} is released:",)])
    print_rows([_line(check, overridden=word is not None) for check in checks])
    if word:
        say(f"what its community demands is set aside by {', '.join(word.by)}: {word.reason}")
    failed = [c for c in checks if c.problem and not (word and c.judged)]
    if failed:
        said = "1 point stands" if len(failed) == 1 else f"{len(failed)} points stand"
        say(f"not released: {said} against it; nothing was changed")
        return max(check.code for check in failed)
    if dry_run:
        say("nothing stands against it; leave out --dry-run to release")
        return ExitCode.OK
    judged = [check.judged for check in checks if check.judged]
    made = make(graph, node, name, judged, word)
    say(f"wrote {relative(made.folder, graph.project.root)}, which `from_pretrained` loads")
    if made.commit:
        say(f"committed its record as {made.commit}: {', '.join(made.committed)}")
    say(f"tagged it {made.tag} (`git push --follow-tags` makes commit and tag public)")
    say(f"next: chorus lineage verify {made.tag}")
    return ExitCode.OK


def _line(check: Check, *, overridden: bool) -> tuple[str, str, str]:
    if check.judged is None:
        return f"  {'refused' if check.problem else 'ok'}", check.sentence, check.problem
    if check.judged.reached:
        return "  ok", check.sentence, check.judged.found
    found = check.judged.found if overridden else check.problem
    return f"  {'set aside' if overridden else 'refused'}", check.sentence, found


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
