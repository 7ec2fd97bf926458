"""Asks a made model; what answers is found through the entry-point group `chorus.answers`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from registry.declaration import with_article
from registry.errors import UsageError
from registry.graph import Graph, Node
from registry.message import Message
from registry.nearest_item import Nearest, nearest_item
from registry.profile_tests import plain_answer

GROUP = "chorus.answers"
SURVEY_NOTICE = (
    "Estimates what survey respondents answered. Nobody who answered has endorsed this model; "
    "it speaks for no one."
)


@dataclass(frozen=True)
class Answer:
    """What a model said."""

    text: str | None
    """Its words, where no options were given."""
    options: dict[str, float]
    """The probability of each option, averaged over option orders."""
    outside: float | None
    """The probability mass that it gave to anything but the options."""


class Answerer(Protocol):
    """Loads the model in a folder and lets it answer."""

    def __call__(
        self, files: Path, question: str, options: tuple[str, ...], told: str = ""
    ) -> Answer:
        """The answer to one question, as the group with the name `told` where one is given."""
        ...


def ask(
    graph: Graph, node: Node, question: str, options: tuple[str, ...], community: str = ""
) -> Answer:
    """Lets the model that a node made answer a question, as a community where one is named."""
    if node.declaration.kind != "model":
        what = f"only models answer, and this is {with_article(node.declaration.kind)}"
        raise UsageError(what, where=node.id)
    if len(options) == 1 or len(set(options)) != len(options):
        raise UsageError(Message("give two or more different options"), where="--options")
    artifact = graph.artifact(node)
    if artifact.read_manifest() is None:
        raise UsageError(
            Message("has not been made"),
            where=node.id,
            mend=f"run `chorus make {node.id} --upstream`",
        )
    points = {point.name: point for point in entry_points(group=GROUP)}
    if "default" not in points:
        raise UsageError("no installed package offers an answerer", where=GROUP)
    answerer: Answerer = points["default"].load()
    return answerer(artifact.files, question, options, _told(graph, node, community))


def _told(graph: Graph, node: Node, community: str) -> str:
    """The name of the community that a model is to answer as."""
    if not community:
        return ""
    known = sorted(graph.permissions(node))
    if len(known) < 2:  # noqa: PLR2004
        raise UsageError(
            "has not learned whom it answers as",
            where=node.id,
            why="it rests on " + (f"{known[0]} alone" if known else "no community"),
            mend="leave out --as",
        )
    if community not in known:
        raise UsageError(
            f"has not learned to answer as {community}",
            where=node.id,
            mend=f"it knows {', '.join(known)}",
        )
    return graph.project.profiles[community].profile.name


def taken_for(answer: Answer) -> str:
    """The one text that an answer comes to: the option put first, or its words as a table takes."""
    if answer.text is None:
        return max(answer.options, key=lambda option: answer.options[option])
    return plain_answer(answer.text)


def nearest(graph: Graph, node: Node, question: str) -> Nearest | None:
    """The nearest item of the profiles that a model rests on; None where it rests on none."""
    profiles = [graph.project.profiles[community] for community in graph.permissions(node)]
    return nearest_item(profiles, graph.project.root, question) if profiles else None


def notice(graph: Graph, node: Node) -> str:
    """The sentence that belongs beside answers of models that no community endorsed."""
    kinds = {graph.project.profiles[c].profile.kind for c in graph.permissions(node)}
    return SURVEY_NOTICE if kinds - {"self-described"} else ""
