"""`chorus ask`: puts a question to a made model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.ask import Answer


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("ask", rich_help_panel="Look")(ask)


def ask(
    model: Annotated[str, typer.Argument(help="A made model, such as pooled-sft.")],
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--options", "-o", help='The options: --options Yes No "Not sure".'),
    ] = None,
    community: Annotated[
        str,
        typer.Option("--as", help="Whom a model that is told the group answers as: a profile."),
    ] = "",
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Ask a model; with options it shows the probability of each.

    It also says whether its profiles were asked this, something near to it, or nothing like it.
    """
    from registry.ask import ask as put
    from registry.ask import nearest, notice

    graph = load()
    node = graph.node(model)
    if more and not options:
        raise UsageError(f"does not know what {more[0]!r} is", mend="put options after --options")
    parts = (*(options or ()), *(more or ()))
    answer = put(graph, node, question, parts, community)
    sentence, near = notice(graph, node), nearest(graph, node, question)
    if json:
        print_json(
            model=node.id,
            question=question,
            community=community or None,
            text=answer.text,
            options=answer.options,
            outside=answer.outside,
            notice=sentence,
            nearest=near.to_json() if near else None,
        )
        return
    print_answer(answer)
    for line in near.sentences if near else ():
        say(line)
    if sentence:
        say(sentence)


def print_answer(answer: Answer) -> None:
    """Prints what a model said: its words, or the share of each option."""
    if answer.text is not None:
        print_rows([(answer.text,)])
    else:
        print_rows(
            [(o, f"{share:6.1%}  {'█' * round(share * 40)}") for o, share in answer.options.items()]
        )
        say(f"({answer.outside:.1%} of the probability lay outside the options)")
