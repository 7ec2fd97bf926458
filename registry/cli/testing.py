"""`chorus profile wrong` and `chorus profile tests`: a community's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.asking import print_answer
from registry.cli.deciding import SignWith, signer
from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.profiles import profile_app
from registry.cli.reading import load
from registry.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from registry.ask import Answer
    from registry.graph import Graph, Node
    from registry.profile_desk import Receipt
    from registry.profile_folder import Profile
    from registry.profile_tests import Marked
    from registry.tested import Tested

Who = Annotated[str, typer.Argument(help="The id of a profile that was taken up.")]


def register(_app: typer.Typer) -> None:
    """Adds this module's commands."""
    profile_app.command()(wrong)
    profile_app.command("tests")(show_tests)


def wrong(
    which: Who,
    question: Annotated[str, typer.Argument(help="What is asked, in quotes.")],
    model: Annotated[str, typer.Option(help="The made model that answers.")],
    why: Annotated[str, typer.Option(help="Why its answer is wrong, in your own words.")],
    by: Annotated[str, typer.Option(help="Who marks it: a reference such as steward:ID.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--options", "-o", help='The options: --options Yes No "Not sure".'),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    answer: Annotated[
        str | None, typer.Option(help="The wrong answer; the model is asked where it is left out.")
    ] = None,
    better: Annotated[
        str | None, typer.Option(help="A better answer: one of the options, or a text.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be kept.")] = (
        False
    ),
) -> None:
    """Mark an answer of a model wrong; it becomes a permanent test of the profile.

    No model that rests on the profile is released while it gives that answer.
    """
    from registry.test_desk import accepted, add, check, marked

    graph = load()
    profile, node = accepted(graph.project.root, which), graph.node(model)
    if more and not options:
        raise UsageError(f"does not know what {more[0]!r} is", mend="put options after --options")
    parts = (*(options or ()), *(more or ()))
    content = _content(graph, node)
    if answer is None:
        answer = _asked(graph, node, question, parts)
    one = marked(
        profile.id,
        question=question,
        options=parts,
        wrong=answer,
        better=better,
        why=why,
        model=node.id,
        content=content,
        by=by,
    )
    check(profile, one)
    print_rows(_shown(one))
    if dry_run:
        say("nothing was written; leave out --dry-run to keep it")
        return
    _print_receipt(add(graph.project.root, profile.id, one), graph.project.root)


def _content(graph: Graph, node: Node) -> str:
    manifest = graph.artifact(node).read_manifest()
    if node.declaration.kind != "model" or manifest is None:
        raise UsageError(
            "is no model that was made",
            where=node.id,
            why="a test names the model that gave the answer",
            mend=f"run `chorus make {node.id} --upstream`, or name another",
        )
    return manifest.content


def _asked(graph: Graph, node: Node, question: str, options: tuple[str, ...]) -> str:
    """The model's answer, which is shown and taken for the wrong one."""
    from registry.ask import ask

    said = ask(graph, node, question, options)
    print_answer(said)
    print_rows([("",)])
    return _taken(said, node.id)


def _taken(said: Answer, node: str) -> str:
    from registry.ask import taken_for

    text = taken_for(said)
    if not text:
        raise UsageError("said nothing", where=node, mend="give the wrong answer with --answer")
    return text


def _shown(one: Marked) -> list[tuple[str, str]]:
    rows = [("question", one.question)]
    rows += [("options", " | ".join(one.options))] if one.options else []
    rows += [("wrong", one.wrong)]
    rows += [("better", one.better)] if one.better is not None else []
    return [*rows, ("why", one.why), ("said by", f"{one.model}, {one.content[:12]}")]


def _print_receipt(receipt: Receipt, root: Path) -> None:
    from registry.graph import load_graph
    from registry.store import sync

    print_rows(receipt.lines())
    graph = load_graph(root)
    for path in sync(graph):
        say(f"wrote {path}")
    waiting = [
        node.id
        for node in graph.nodes.values()
        if node.community == receipt.profile and node.declared.method.name == "community-tests"
    ]
    say("commit it with the rest; a model is tested by: chorus make " + " ".join(waiting))


def show_tests(
    which: Who,
    take: Annotated[
        str | None, typer.Option(help="The name of a proposed test that becomes permanent.")
    ] = None,
    retire: Annotated[str | None, typer.Option(help="The id of a test that ends.")] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Who decides, such as maintainer:7.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why a test ends, in a sentence.")] = None,
    sign_with: SignWith = None,
    json: Json = False,
) -> None:
    """List a community's own tests and which models pass; take over a proposed one, or end one."""
    from registry.test_desk import accepted
    from registry.test_desk import retire as end
    from registry.test_desk import take as take_over

    graph = load()
    root, profile = graph.project.root, accepted(graph.project.root, which)
    if (take or retire) and not by:
        raise UsageError("name who decides", mend="add --by")
    if take and by:
        receipt = take_over(root, profile.id, take, by)
        if receipt:
            _print_receipt(receipt, root)
        else:
            say("it was taken over before; its proposal is removed now")
        return
    if retire and by:
        if not reason:
            raise UsageError("say why it ends", mend="add --reason")
        _print_receipt(end(root, profile.id, retire, by, reason, signer(sign_with)), root)
        return
    _list(graph, profile, json=json)


def _list(graph: Graph, profile: Profile, *, json: bool) -> None:
    from registry.status import status
    from registry.test_desk import proposals
    from registry.tested import tested

    standing = status(graph) if profile.tests.rows else {}
    found = [
        tested(graph, node, profile, standing)
        for node in graph.nodes.values()
        if node.declaration.kind == "model"
        and profile.tests.rows
        and profile.id in graph.permissions(node)
        and graph.artifact(node).manifest.is_file()
    ]
    waiting = proposals(graph.project.root, profile.id)
    if json:
        print_json(
            profile=profile.id,
            tests=[
                {
                    **row.model_dump(mode="json", exclude={"salt"}),
                    "sha256": row.sha256,
                    "retired": record.reason
                    if (record := profile.tests.retired.get(row.id))
                    else None,
                    "models": {one.model: _verdict(one, row.id) for one in found},
                }
                for row in profile.tests.rows
            ],
            proposed={
                name: one.model_dump(mode="json", exclude={"salt"}) for name, one in waiting.items()
            },
            doubts=list(profile.doubts_of_tests()),
        )
        return
    for row in profile.tests.rows:
        print_rows([(f"{row.id}  marked on {row.on} by {row.by}",)])
        print_rows([(f"  {name}", text) for name, text in _shown(row)])
        if record := profile.tests.retired.get(row.id):
            who = ", ".join(record.by)
            print_rows([("  retired", f"on {record.on} by {who}: {record.reason}")])
        print_rows([(f"  {one.model}", _verdict(one, row.id)) for one in found])
        print_rows([("",)])
    for name, one in waiting.items():
        print_rows([(f"proposed {name} by {one.by}",)])
        print_rows([(f"  {key}", text) for key, text in _shown(one)])
        print_rows([("",)])
    if waiting:
        say(f"take one over: chorus profile tests {profile.id} --take NAME --by ...")
    if not profile.tests.rows and not waiting:
        say(f"{profile.id} has no tests; `chorus profile wrong` adds one")
    for doubt in profile.doubts_of_tests():
        say(f"broken: {doubt}")


def _verdict(one: Tested, test: str) -> str:
    if one.evaluation is None:
        return "not tested: no evaluation is declared"
    found = one.verdicts.get(test)
    if found is None:
        return f"not tested: {one.evaluation} is {one.state}"
    return "passes" if found.passed else f"fails: {found.why}"
