"""`chorus profile withdraw`: a community leaves, or one of its members takes one row back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.deciding import SignWith, Which, place, signer
from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.profiles import profile_app
from registry.errors import ExitCode, UsageError, relative

if TYPE_CHECKING:
    from registry.item_withdrawal import ItemPlan
    from registry.withdrawal import Plan


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.command()(withdraw)


def withdraw(
    which: Which,
    item: Annotated[
        str | None,
        typer.Option("--item", help="Only this row: its id, or table:id; of opinions, the item."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="The steward, or maintainers.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, in a sentence.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    sign_with: SignWith = None,
    json: Json = False,
) -> None:
    """Take a community out, or one member's row: what held the words goes, tombstones stay."""
    root, folder = place(which)
    act = _whole if item is None else _item
    act(root, folder, item or "", _Given(by or [], reason, dry_run, yes, sign_with, json))


class _Given:
    """What was given on the command line."""

    def __init__(
        self,
        by: list[str],
        reason: str | None,
        dry_run: bool,
        yes: bool,
        key: Path | None,
        json: bool,
    ) -> None:
        self.by, self._reason, self._dry_run = by, reason, dry_run
        self._yes, self.key, self.json = yes, key, json

    def confirmed(self) -> str:
        """The reason; ends the command where it was a dry run or somebody says no."""
        if self._dry_run:
            raise typer.Exit(ExitCode.OK)
        if not self.by or not self._reason:
            raise UsageError("name who withdraws and why", mend="add --by and --reason")
        if not self._yes:
            typer.confirm("This cannot be undone. Go on?", abort=True, err=True)
        return self._reason


def _whole(root: Path, folder: Path, _item: str, given: _Given) -> None:
    from registry.withdrawal import as_json, plan, receipt_text, withdraw, write_receipt

    found = plan(root, folder)
    if given.json:
        print_json(**as_json(found))
    else:
        _print_plan(found)
    reason = given.confirmed()
    done = withdraw(root, found, given.by, reason, signer(given.key))
    text = receipt_text(f"{found.profile.id}, withdrawn", done)
    print_rows([(text,)])
    kept = write_receipt(root, found.profile.id, text)
    say(f"kept as {relative(kept, root)}; commit it with the rest")


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
    rows += [("  unfinished", path, "", "removed") for path in given.unfinished]
    print_rows(rows or [("  nothing", "", "", "")])
    if given.retired_only:
        say("its content is published under a licence and stands in Git: retired, not erased")


def _item(root: Path, folder: Path, item: str, given: _Given) -> None:
    from registry.item_withdrawal import as_json, plan_item, withdraw_item
    from registry.withdrawal import receipt_text, write_receipt

    found = plan_item(root, folder, item)
    if given.json:
        print_json(**as_json(found))
    else:
        _print_item_plan(found)
    reason = given.confirmed()
    done = withdraw_item(root, found, given.by, reason, signer(given.key))
    rewritten = [relative(found.profile.table(name), root) for name in found.tables]
    text = receipt_text(
        f"{found.profile.id}: {found.name} was taken back by a member",
        done,
        Written_again_without_it=[*rewritten, *done.proposals],
    )
    print_rows([(text,)])
    number = f"receipt-{found.table.partition('.')[0]}-{len(found.profile.life.events) + 1:04}"
    kept = write_receipt(root, found.profile.id, text, number)
    say(f"kept as {relative(kept, root)}; commit it with the rest, and run `chorus make --all`")


def _print_item_plan(given: ItemPlan) -> None:
    print_rows([(f"taking {given.name} out of {given.profile.id} touches:",)])
    rows = [
        ("  table", name, "", "only its reference to the row goes" if name in given.struck
         else "written again without it")
        for name in given.tables
    ]  # fmt: skip
    rows += [("  proposal", path, "", "loses it too, and is reviewed again")
             for path in given.proposals]  # fmt: skip
    rows += [
        ("  rows", one.node, f"{one.count:,} in {one.table}", "made from it") for one in given.rows
    ]
    rows += [(f"  {touched.kind}", touched.node, "", fate) for touched, fate in given.fates]
    mark = "retired, with a notice on its card" if given.retires else "a notice on its card"
    rows += [("  release", name.tag, "", mark) for name in given.releases]
    rows += [("  to make again", node, "", "without it") for node in given.remake]
    rows += [("  unfinished", path, "", "removed") for path in given.unfinished]
    print_rows(rows or [("  nothing that was made", "", "", "")])
    for warning in given.warnings:
        say(f"note: {warning}")
    if given.started:
        say(
            f"{given.started.file} noted it on {given.started.event.on}; this finishes what is left"
        )
    if given.retired_only:
        say("its content is published under a licence and stands in Git: the row is retired, not "
            "withdrawn. It leaves the table, and Git's history keeps it")  # fmt: skip
