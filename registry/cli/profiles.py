"""`chorus profile`: how a value profile comes in, is looked at, changes and is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.importing import import_app
from registry.cli.output import Json, print_json, print_rows, say
from registry.errors import ExitCode, UsageError, relative

if TYPE_CHECKING:
    from registry.errors import Problem
    from registry.profile_desk import Receipt
    from registry.profile_new import Answers
    from registry.withdrawal import Plan

profile_app = typer.Typer(
    help="Value profiles: check, preview, review, accept, change, withdraw.", no_args_is_help=True
)
Which = Annotated[str, typer.Argument(help="A profile's or proposal's id, or its folder.")]
By = Annotated[list[str], typer.Option("--by", help="Who decides, such as maintainer:7.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.add_typer(import_app, name="import")
    app.add_typer(profile_app, name="profile", rich_help_panel="Communities")


def _place(which: str) -> tuple[Path, Path]:
    """The project's root and the folder that is meant."""
    from registry.profile_desk import folder_of
    from registry.project import find_root

    root = find_root()
    return root, folder_of(root, which)


@profile_app.command()
def check(
    which: Which,
    form: Annotated[str, typer.Option("--format", help="`text`, `github` or `json`.")] = "text",
) -> None:
    """Look at a profile and say everything that is to be mended, all at once."""
    from registry.profile_folder import check_tables, read_profile

    root, folder = _place(which)
    profile, problems = read_profile(folder, root)
    if profile is not None:
        problems += check_tables(profile)
    _PRINTERS[form if form in _PRINTERS else "text"](problems, relative(folder, root))
    raise typer.Exit(ExitCode.CHECKS_FAILED if problems else ExitCode.OK)


def _print_text(problems: list[Problem], shown: str) -> None:
    if not problems:
        print_rows([(f"{shown}: nothing to fix",)])
        return
    for problem in problems:
        print_rows([(f"{problem}\n",)])
    things = "1 thing" if len(problems) == 1 else f"{len(problems)} things"
    print_rows([(f"{things} to fix",)])


def _print_github(problems: list[Problem], _shown: str) -> None:
    for problem in problems:
        place = problem.place
        parts = [f"file={_escaped(place.path)}"]
        parts += [f"line={place.line}"] if place.line else []
        parts += [f"col={place.column}"] if place.column else []
        text = _escaped(f"{problem.what}. {problem.mend}".strip())
        print_rows([(f"::error {','.join(parts)}::{text}",)])


def _escaped(text: str) -> str:
    """A message as an annotation takes it: a stranger's text must not start another command."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), ("::", "%3A%3A")):
        text = text.replace(character, code)
    return text


def _print_json(problems: list[Problem], shown: str) -> None:
    print_json(
        profile=shown,
        problems=[
            {
                "file": p.place.path,
                "line": p.place.line,
                "column": p.place.column,
                "what": p.what,
                "mend": p.mend,
            }
            for p in problems
        ],
    )


_PRINTERS: dict[str, Any] = {"text": _print_text, "github": _print_github, "json": _print_json}


@profile_app.command()
def submit(which: Which, by: By, reason: Reason) -> None:
    """Hand a proposal in: it is checked, and reviewers can begin."""
    from registry.profile_desk import submit as act

    root, folder = _place(which)
    for receipt in act(root, folder, by, reason):
        _print_receipt(receipt)
    say(f"next: two people read it and run `chorus profile review {folder.name} --by ... `")


@profile_app.command()
def review(
    which: Which,
    by: Annotated[str, typer.Option("--by", help="Who read it, such as maintainer:7.")],
    reason: Reason,
    for_community: Annotated[
        bool, typer.Option("--for-community", help="You sign off on the community's own side.")
    ] = False,
) -> None:
    """Say that you read a proposal and agree to it; it counts for exactly what lies there now."""
    from registry.profile_desk import review as act

    root, folder = _place(which)
    _print_receipt(act(root, folder, by, reason, for_community=for_community))


def _settle(which: str, by: list[str], reason: str, wanted: str) -> None:
    from registry.errors import UsageError
    from registry.graph import load_graph
    from registry.profile_desk import settle, whole
    from registry.store import sync

    root, folder = _place(which)
    own = whole(folder, root).profile.described_by_itself
    if own != (wanted == "accepted"):
        kind = "describes itself: accept it" if own else "does not describe itself: admit it"
        raise UsageError(f"{folder.name} {kind}")
    _print_receipt(settle(root, folder, by, reason))
    for path in sync(load_graph(root)):
        say(f"wrote {path}")


@profile_app.command()
def accept(which: Which, by: By, reason: Reason) -> None:
    """Take up a profile that describes itself, after two reviews, one of them the community's."""
    _settle(which, by, reason, "accepted")


@profile_app.command()
def admit(which: Which, by: By, reason: Reason) -> None:
    """Take up a profile of survey figures or votes, after two maintainers reviewed it."""
    _settle(which, by, reason, "admitted")


def _and_sync(receipt: Receipt, root: Path) -> None:
    from registry.graph import load_graph
    from registry.store import sync

    _print_receipt(receipt)
    for path in sync(load_graph(root)):
        say(f"wrote {path}")


@profile_app.command()
def suspend(which: Which, by: By, reason: Reason) -> None:
    """Take a profile out of every gathering for a while; nothing is removed."""
    from registry.profile_desk import suspend as act

    root, folder = _place(which)
    _and_sync(act(root, folder, by, reason), root)


@profile_app.command()
def resume(which: Which, by: By, reason: Reason) -> None:
    """Take a suspended profile up again."""
    from registry.profile_desk import resume as act

    root, folder = _place(which)
    _and_sync(act(root, folder, by, reason), root)


def _print_receipt(receipt: Receipt) -> None:
    print_rows(receipt.lines())


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

    root, folder = _place(which)
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

    root, folder = _place(which)
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
    from registry.profile_desk import ACCEPTED, PROPOSALS, folder_of, folders_in
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


def _print_plan(given: Plan) -> None:
    what = "retiring" if given.retired_only else "withdrawing"
    print_rows([(f"{what} {given.profile.id} touches:",)])
    rows = [
        ("  table", path, "", "stays" if given.retired_only else "removed") for path in given.tables
    ]
    rows += [
        (f"  {t.kind}", t.node, f"{t.rows:,} rows" if t.rows else "", fate)
        for t, fate in given.fates
    ]
    rows += [
        ("  release", name.tag, "", "retired, with a notice on its card") for name in given.releases
    ]
    rows += [("  to make again", node, "", "without it") for node in given.remake]
    print_rows(rows or [("  nothing", "", "", "")])
    if given.retired_only:
        say("its content is published under a licence and stands in Git: retired, not erased")


@profile_app.command()
def withdraw(
    which: Which,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="The steward, or maintainers.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, in a sentence.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    json: Json = False,
) -> None:
    """Take a community out: block, list, erase what held its words, keep tombstones."""
    from registry.withdrawal import as_json, plan, receipt_text, write_receipt
    from registry.withdrawal import withdraw as act

    root, folder = _place(which)
    given = plan(root, folder)
    if json:
        print_json(**as_json(given))
    else:
        _print_plan(given)
    if dry_run:
        raise typer.Exit(ExitCode.OK)
    if not by or not reason:
        raise UsageError("name who withdraws and why", mend="add --by and --reason")
    if not yes:
        typer.confirm("This cannot be undone. Go on?", abort=True, err=True)
    done = act(root, given, by, reason)
    text = receipt_text(given, done)
    print_rows([(text,)])
    say(f"kept as {relative(write_receipt(root, given, text), root)}; commit it with the rest")
