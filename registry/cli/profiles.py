"""`chorus profile`: how a value profile comes in, is looked at, changes and is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.deciding import (
    By,
    Reason,
    SignWith,
    Which,
    and_sync,
    place,
    print_receipt,
    signer,
)
from registry.cli.importing import import_app
from registry.cli.output import Json, print_json, print_rows, say
from registry.errors import ExitCode, relative

if TYPE_CHECKING:
    from registry.profile_new import Answers

profile_app = typer.Typer(
    help="Value profiles: check, preview, review, accept, change, withdraw.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.add_typer(import_app, name="import")
    app.add_typer(profile_app, name="profile", rich_help_panel="Communities")


@profile_app.command()
def check(
    which: Which,
    form: Annotated[str, typer.Option("--format", help="`text`, `github` or `json`.")] = "text",
    language: Annotated[str, typer.Option(help="The language of the messages: en or de.")] = "en",
) -> None:
    """Look at a profile and say everything that is to be mended, all at once."""
    from registry.cli.checking import PRINTERS
    from registry.profile_desk import check_all
    from registry.translation import require_language

    root, folder = place(which)
    require_language(language)
    found = check_all(folder, root)
    PRINTERS[form if form in PRINTERS else "text"](found, relative(folder, root), language)
    raise typer.Exit(ExitCode.CHECKS_FAILED if found.problems else ExitCode.OK)


@profile_app.command()
def submit(which: Which, by: By, reason: Reason, sign_with: SignWith = None) -> None:
    """Hand a proposal in: it is checked, and reviewers can begin."""
    from registry.profile_desk import submit as act

    root, folder = place(which)
    for receipt in act(root, folder, by, reason, signer(sign_with)):
        print_receipt(receipt)
    run = f"chorus profile review {folder.name} --floor-seen --by ..."
    say(f"next: two people read it and run `{run}`")


@profile_app.command()
def review(
    which: Which,
    by: By,
    reason: Reason,
    for_community: Annotated[
        bool, typer.Option("--for-community", help="You sign off on the community's own side.")
    ] = False,
    floor_seen: Annotated[
        bool, typer.Option("--floor-seen", help="You looked: it dehumanises and endangers nobody.")
    ] = False,
    sign_with: SignWith = None,
) -> None:
    """Say that you read a proposal and agree to it; it counts for exactly what lies there now."""
    from registry.profile_check import check_folder
    from registry.profile_desk import review as act

    root, folder = place(which)
    seen = check_folder(folder, root).notices
    receipt = act(
        root,
        folder,
        by,
        reason,
        for_community=for_community,
        floor=floor_seen,
        signer=signer(sign_with),
    )
    print_receipt(receipt)
    for notice in seen:
        say(f"to look at: {notice}")


def _settle(which: str, by: list[str], reason: str, wanted: str, key: Path | None = None) -> None:
    from registry.errors import UsageError
    from registry.graph import load_graph
    from registry.profile_desk import settle, whole
    from registry.store import sync

    root, folder = place(which)
    own = whole(folder, root).profile.described_by_itself
    if own != (wanted == "accepted"):
        kind = "describes itself: accept it" if own else "does not describe itself: admit it"
        raise UsageError(f"{folder.name} {kind}")
    print_receipt(settle(root, folder, by, reason, signer(key)))
    for path in sync(load_graph(root)):
        say(f"wrote {path}")


@profile_app.command()
def accept(which: Which, by: By, reason: Reason, sign_with: SignWith = None) -> None:
    """Take up a profile that describes itself, after two reviews, one of them the community's."""
    _settle(which, by, reason, "accepted", sign_with)


@profile_app.command()
def admit(which: Which, by: By, reason: Reason) -> None:
    """Take up a profile of survey figures or votes, after two maintainers reviewed it."""
    _settle(which, by, reason, "admitted")


@profile_app.command()
def suspend(which: Which, by: By, reason: Reason) -> None:
    """Take a profile out of every gathering for a while; nothing is removed."""
    from registry.profile_desk import suspend as act

    root, folder = place(which)
    and_sync(act(root, folder, by, reason), root)


@profile_app.command()
def resume(which: Which, by: By, reason: Reason) -> None:
    """Take a suspended profile up again."""
    from registry.profile_desk import resume as act

    root, folder = place(which)
    and_sync(act(root, folder, by, reason), root)


@profile_app.command()
def edit_key(which: Which) -> None:
    """Make the edit key with which a steward opens the accepted profile in the form."""
    from registry.profile_desk import whole
    from registry.profile_keys import renew

    root, folder = place(which)
    print_rows([(renew(root, whole(folder, root)),)])
    say("give it to the steward only; it is kept here as a digest and cannot be shown again")


@profile_app.command()
def preview(
    which: Which,
    model: Annotated[
        str | None, typer.Option(help="A made model whose answers stand beside the community's.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what models would be taught, and what is kept back and why."""
    from registry.profile_desk import whole
    from registry.profile_preview import mixed
    from registry.profile_preview import preview as rows_of

    root, folder = place(which)
    taught, dropped = rows_of(whole(folder, root), root)
    shown = mixed(taught)
    answers = _answers(model, [row.prompt for row in shown]) if model else {}
    if json:
        print_json(
            profile=folder.name,
            rows=len(taught),
            shown=[{**vars(row), "model": answers.get(row.prompt)} for row in shown],
            dropped=[vars(row) for row in dropped],
        )
        return
    for row in shown:
        print_rows([(f"{row.table} {row.id}",), (f"  somebody says   {row.prompt}",)])
        print_rows([(f"  it would learn  {row.answer}",)])
        if row.avoid:
            print_rows([(f"  and not         {row.avoid}",)])
        if row.prompt in answers:
            print_rows([(f"  {model} now says {answers[row.prompt]}",)])
    print_rows([(f"\n{len(shown)} of {len(taught)} rows shown; {len(dropped)} kept back:",)])
    why = {row.why for row in dropped}
    print_rows([(f"  {sum(d.why == reason for d in dropped)}", reason) for reason in sorted(why)])
    if not model:
        say("with --model NODE, a made model's own answers stand beside them")


def _answers(model: str, prompts: list[str]) -> dict[str, str]:
    from registry.ask import ask
    from registry.graph import load_graph

    graph = load_graph()
    node = graph.node(model)
    return {prompt: (ask(graph, node, prompt, ()).text or "").strip() for prompt in prompts}


@profile_app.command()
def new() -> None:
    """Start a profile of your community: questions in plain words, then tables to fill in."""
    from registry.profile_new import write_proposal
    from registry.project import find_root

    root = find_root()
    folder = write_proposal(root, _ask_about())
    shown = relative(folder, root)
    say(f"wrote {shown}; nobody else has seen it")
    say(f"now fill in {shown}/content/: values.csv, norms.csv and guidance.csv in a spreadsheet,")
    say("examples.jsonl with at least five examples; docs/profiles.md shows each")
    say(f"then: chorus profile check {folder.name}")


def _ask_about() -> Answers:
    from registry.profile_new import USES, Answers, digest_of_file

    ask, yes = typer.prompt, typer.confirm
    values: dict[str, Any] = {
        "id": ask("A short name in small letters and dashes, such as harbour-menders"),
        "name": ask("The name that readers see"),
        "description": ask("What is this profile, in a sentence or two"),
        "scope": ask("Whom does it speak for, and whom not"),
        "languages": tuple(ask("Languages, such as en or pt-BR, parted by blanks").split()),
        "organisation": ask("Which body answers for it"),
        "role": ask("Your role there (not your name)"),
        "contact": ask("A reference under which your address is kept, such as register:7"),
        "basis": ask("How was it decided: board-vote, assembly, survey or individual"),
        "evidence": digest_of_file(Path(ask("The file with the minutes (it stays where it is)"))),
        "method": ask("How was it gathered: assembly, survey, interviews, written-by-the-body"),
        "start": ask("First day of that, like 2026-03-01"),
        "end": ask("Last day of that"),
        "took_part": ask("How many people took part", type=int),
        "payment": ask("What were they paid (or: none)"),
        "terms": digest_of_file(Path(ask("The file with the terms you agreed to (it stays too)"))),
        "terms_version": ask("The version of these terms", default="1"),
        "granted_by": ask("Who agreed, as a body or role"),
        "granted_on": ask("Since which day"),
        "expires_on": ask("Until which day (or: never)"),
    }
    uses = tuple(use for use, words in USES.items() if yes(f"May a model {words}", default=False))
    return Answers(
        **values,
        uses=uses,
        withdrawal_contact=ask("A reference for leaving", default=values["contact"]),
        notice_days=ask("Days between saying so and the deed", type=int, default=14),
        releases=ask("Released models then: retire, retrain, leave-with-notice", default="retire"),
    )


@profile_app.command()
def diff(
    which: Which,
    against: Annotated[
        str | None, typer.Option(help="A Git revision; the accepted profile if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what changed: values, opinions, permissions, and what that makes stale."""
    from registry.impact import releases_on
    from registry.profile_diff import differences
    from registry.profile_history import before, stale_with

    root, folder = place(which)
    old, new = before(root, folder, against)
    changes = differences(old, new)
    stale = stale_with(root, old, new)
    releases = [name.tag for name in releases_on(root, new.id)]
    if json:
        print_json(
            profile=new.id,
            changes=[c.to_json() for c in changes],
            stale=stale,
            releases=releases,
        )
        return
    if not changes:
        print_rows([("nothing changed",)])
        return
    print_rows([(change.where, change.what) for change in changes])
    counted = ", ".join(stale) if stale else "nothing that was made"
    print_rows([(f"\nmakes stale: {counted}",)])
    if releases:
        print_rows([(f"releases that rest on it (they stay as they are): {', '.join(releases)}",)])


@profile_app.command()
def status(
    which: Annotated[str | None, typer.Argument(help="A profile's id; all if left out.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the chain of events.")] = False,
    json: Json = False,
) -> None:
    """Show where a profile stands, who reviewed it, and what rests on it."""
    from registry.profile_content import ACCEPTED, PROPOSALS, folders_in
    from registry.profile_desk import folder_of
    from registry.profile_standing import standing
    from registry.project import find_root

    root = find_root()
    folders = (
        [folder_of(root, which)]
        if which
        else [p for place in (ACCEPTED, PROPOSALS) for p in folders_in(root / place)]
    )
    found = [standing(root, folder, verify=verify) for folder in folders]
    broken = any(one["chain"] for one in found)
    if json:
        print_json(profiles=found)
    else:
        for one in found:
            rows = [(key, _shown(value)) for key, value in one.items() if value not in (None, [])]
            print_rows([*rows, ("", "")])
    raise typer.Exit(ExitCode.INTEGRITY if broken else ExitCode.OK)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
