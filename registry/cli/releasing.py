"""`chorus release` and `chorus releases`: versions of models, each with its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from registry.cli.keys import SignWith, release_key
from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import ExitCode, UsageError, relative

if TYPE_CHECKING:
    from registry.release_checklist import Check
    from registry.release_signature import Identity

_PANEL = "Release"
_MAKE = "make"


class _MakeByDefault(TyperGroup):
    """`chorus release NODE ...` is `chorus release make NODE ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `make` before what is no command."""
        known = {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if not args or args[0] in known else [_MAKE, *args])


release_app = typer.Typer(
    cls=_MakeByDefault,
    help="Release a model, and say what becomes of it. `chorus release NODE` makes a release.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(release_app, name="release", rich_help_panel=_PANEL)
    app.command("releases", rich_help_panel=_PANEL)(releases)
    release_app.command("list")(releases)


@dataclass(frozen=True)
class Wish:
    """How somebody wants a release to be made."""

    dry_run: bool = False
    """Only show the checklist."""
    override: str | None = None
    """Why it is released although its community demands more of it."""
    by: Sequence[str] = ()
    """Who decides that."""
    sign_with: Path | None = None
    """The private key that signs it."""
    keyless: bool = False
    """Whether an identity signs it."""


@release_app.command(_MAKE)
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
    sign_with: SignWith = None,
    keyless: Annotated[
        bool, typer.Option("--keyless", help="Sign by Sigstore, as an identity; needs the network.")
    ] = False,
) -> None:
    """Release a model: checklist, card, release folder, signature, commit and tag."""
    if notify:
        raise typer.Exit(_notify(node, version, by or []))
    wish = Wish(dry_run, override, by or (), sign_with, keyless)
    raise typer.Exit(release_and_say(node, version, wish))


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


def release_and_say(node_id: str, version: str, wish: Wish) -> ExitCode:
    """Shows the checklist and, where it holds, releases; returns the exit code."""
    from registry.release import name_of
    from registry.release_checklist import checklist, set_aside
    from registry.release_making import Order
    from registry.release_making import release as make

    if wish.keyless and wish.sign_with is not None:
        raise UsageError("sign with a key or without one", mend="leave out --keyless or the key")
    graph = load()
    node = graph.node(node_id)
    name = name_of(node, version)
    key = release_key(wish.sign_with) if wish.sign_with else None
    checks = checklist(graph, node, name, key.public if key else None, keyless=wish.keyless)
    word = set_aside(checks, wish.by, wish.override) if wish.override is not None else None
    print_rows([(f"Before {name} is released:",)])
    print_rows([_line(check, overridden=word is not None) for check in checks])
    if word:
        say(f"what its community demands is set aside by {', '.join(word.by)}: {word.reason}")
    failed = [c for c in checks if c.problem and not (word and c.judged)]
    if failed:
        said = "1 point stands" if len(failed) == 1 else f"{len(failed)} points stand"
        say(f"not released: {said} against it; nothing was changed")
        return max(check.code for check in failed)
    if wish.dry_run:
        say("nothing stands against it; leave out --dry-run to release")
        return ExitCode.OK
    judged = tuple(check.judged for check in checks if check.judged)
    made = make(graph, Order(node, name, judged, word, key, wish.keyless))
    say(f"wrote {relative(made.folder, graph.project.root)}, which `from_pretrained` loads")
    if made.commit:
        say(f"committed its record as {made.commit}: {', '.join(made.committed)}")
    say(f"tagged it {made.tag} (`git push --follow-tags` makes commit and tag public)")
    if key:
        say(f"signed it with the key {key.public.fingerprint[:12]}")
    elif not wish.keyless:
        say("nobody signed it: it is shown as unsigned (`chorus key new FILE` makes a key)")
    say(f"next: chorus release verify {made.tag}")
    return ExitCode.OK


def _line(check: Check, *, overridden: bool) -> tuple[str, str, str]:
    if check.judged is None:
        return f"  {'refused' if check.problem else 'ok'}", check.sentence, check.problem
    if check.judged.reached:
        return "  ok", check.sentence, check.judged.found
    found = check.judged.found if overridden else check.problem
    return f"  {'set aside' if overridden else 'refused'}", check.sentence, found


def releases(json: Json = False) -> None:
    """List what was released, who signed it, and what became of it."""
    from registry.project import find_root
    from registry.release import listing
    from registry.release_tags import Standing, standings

    root = find_root()
    stages = standings(root)
    signers = _signers(root)
    found = [
        one
        | {
            "signature": signers(one["signed_by"]),
            "stages": list(stages.get(one["release"], Standing()).stages),
            "reason": stages.get(one["release"], Standing()).reason,
        }
        for one in listing(root)
    ]
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
            r["signature"],
            ", ".join(dict.fromkeys([*r["stages"], *(["retired"] if r["retired"] else [])])),
        )
        for r in found
    ]
    print_rows([("RELEASE", "ON", "COMMIT", "CONTENT", "SIGNED (not checked here)", ""), *rows])


def _signers(root: Path) -> Any:
    """How a list names whoever a statement says has signed it."""
    from registry.release_keys import trusted
    from registry.release_signature import SIGSTORE

    names = {key.fingerprint: key for key in trusted(root)}

    def named(fingerprint: str) -> str:
        if not fingerprint:
            return "unsigned"
        key = names.get(fingerprint)
        if fingerprint == SIGSTORE:
            return fingerprint
        if key is None:
            return f"key {fingerprint[:12]}, not trusted"
        return f"{key.name}, {key.ended.how}" if key.ended else key.name

    return named


@release_app.command()
def verify(
    what: Annotated[str, typer.Argument(help="A downloaded release folder, or name@v1.0.0.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(help="The publisher's public key; the project's own where left out."),
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="Whose keyless signature you expect; needs the network.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="Who vouches for that identity.")] = None,
    json: Json = False,
) -> None:
    """Prove a release folder with only a public key, or a release of this project."""
    from registry.cli.lineage import print_verification, walk
    from registry.release import parse_name
    from registry.release_folder import verify_folder

    if parse_name(what) and not Path(what).is_dir():
        result = walk(load(), what)
        if json:
            _print_verdict(result, [])
        raise typer.Exit(_exit(result) if json else print_verification(result))
    proof = verify_folder(Path(what), _keys(key or []), _identity(identity, issuer))
    listed = [vars(one) for one in proof.materials]
    if json:
        _print_verdict(proof.verification, listed)
        raise typer.Exit(_exit(proof.verification))
    code = print_verification(proof.verification)
    if proof.materials:
        print_rows([("",), ("What it was made from, as its in-toto statement names it:",)])
        print_rows([(f"  {m.what}", m.name, f"sha256:{m.sha256[:12]}") for m in proof.materials])
    raise typer.Exit(code)


def _exit(result: Any) -> ExitCode:
    from registry.cli.lineage import exit_of

    return exit_of(result)


def _print_verdict(result: Any, materials: list[dict[str, str]]) -> None:
    hops = [
        {"name": h.name, "state": h.state, "sha256": h.digest, "findings": list(h.findings)}
        for h in result.hops
    ]
    print_json(release=result.node, verdict=result.verdict, hops=hops, materials=materials)


def _keys(files: Sequence[Path]) -> list[Any]:
    """The keys that are given, or those of the project that holds the working directory."""
    from registry.project import find_root
    from registry.release_keys import read_public, trusted

    if files:
        return [read_public(file) for file in files]
    try:
        return list(trusted(find_root()))
    except UsageError:
        return []


def _identity(name: str | None, issuer: str | None) -> Identity | None:
    from registry.release_signature import Identity

    if name is None and issuer is None:
        return None
    if name is None or issuer is None:
        raise UsageError("--identity and --issuer belong together", mend="give both")
    return Identity(name, issuer)
