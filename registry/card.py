"""Model cards: every sentence stands on a record, and none is left blank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.artifact import Manifest, canonical_json
from registry.better_served import Served, better_served
from registry.declaration import Declaration
from registry.graph import Graph, Node
from registry.group_spread import Spread, spread_of
from registry.hashing import sha256_file
from registry.measured import evaluations_of, met
from registry.profile import ValueProfile
from registry.profile_folder import Profile
from registry.profile_words import OUT_OF_SCOPE, SPEAKS
from registry.results import Result, in_tables, read_results
from registry.status import status
from registry.tested import Tested, tested
from registry.thresholds import Judged, SetAside

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|#!~$])")
_SHARED = "card-parts.md.j2"
"""What cards of models and of datasets share."""
_LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "bsd-3-clause"}
"""Licences that a model hub knows by the small form of their SPDX name."""


@dataclass(frozen=True)
class Card:
    """What a card is written from."""

    graph: Graph
    node: Node
    name: str
    version: str
    """Its version; empty for a model that is not released."""
    released_on: str
    """The day of the release; empty where there is none."""
    manifests: Mapping[str, Manifest]
    """The manifest of the node and of everything that it was made from."""
    judged: Sequence[Judged] = ()
    """What its community demands of it, and what was found."""
    override: SetAside | None = None
    """Whose word released it although it does not reach that."""

    @property
    def profiles(self) -> list[Profile]:
        """The profiles that the model rests on."""
        known = self.graph.project.profiles
        return [known[community] for community in self.graph.permissions(self.node)]

    @property
    def results(self) -> list[Result]:
        """What the project's evaluations say about this very model."""
        found: list[Result] = []
        for result in self._measured():
            # Two reports on the same evaluation say the same.
            if result.about == self.node.id and result not in found:
                found.append(result)
        return found

    @property
    def tested(self) -> list[tuple[Profile, Tested]]:
        """How the model does on the tests of every community that has some."""
        standing = status(self.graph)
        return [
            (profile, tested(self.graph, self.node, profile, standing))
            for profile in self.profiles
            if profile.tests.rows
        ]

    @property
    def spreads(self) -> list[tuple[Profile, Spread]]:
        """What its people's questionnaires say of each group beside the others."""
        found = [(profile, spread_of(self.graph, profile)) for profile in self.profiles]
        return [(profile, spread) for profile, spread in found if spread is not None]

    @property
    def served(self) -> list[Served]:
        """How many of its people it serves better and worse than one model for all."""
        return better_served(self.graph, self.node, self.manifests[self.node.id].content)

    @property
    def chain(self) -> list[Node]:
        """The node and everything that it was made from, inputs first."""
        return self.graph.upstream([self.node])

    @property
    def limits(self) -> list[str]:
        """What the methods of the models on the way say that a reader must know."""
        models = [n for n in self.chain if n.declaration.kind == "model"]
        return list(dict.fromkeys(limit for n in models for limit in n.declared.method.limits))

    def _measured(self) -> Iterator[Result]:
        content = self.manifests[self.node.id].content
        for node in evaluations_of(self.graph, self.node):
            if met(self.graph, node, self.node, content):
                yield from read_results(self.graph.artifact(node).files)


def plain(value: object) -> str:
    """A stranger's text as one line of Markdown that is text and nothing else."""
    return _ACTIVE.sub(r"\\\1", " ".join(str(value).split()))


def write_card(card: Card) -> str:
    """The card: front matter that model hubs read, then the text."""
    text = render(
        "model-card.md.j2",
        card=card,
        manifest=card.manifests[card.node.id],
        absent=absent(card.graph, card.node),
        chain=_chain(card),
        datasets=[m for m in card.manifests.values() if m.kind == "dataset"],
        results=in_tables(card.results),
        tests=card.tested,
        manifest_digest=sha256_file(card.graph.artifact(card.node).manifest),
        warnings=list(warnings_of(card.manifests.values())),
    )
    return f"---\n{_front_matter(card)}\n---\n\n{text}"


def render(template: str, **values: Any) -> str:
    """A template of a card, filled; a value that it asks for and nobody gives is an error."""
    from importlib.resources import files

    from jinja2 import DictLoader, Environment, StrictUndefined

    folder = files("registry") / "templates"
    environment = Environment(  # noqa: S701 - Markdown: `plain` escapes what strangers wrote
        loader=DictLoader(
            {name: (folder / name).read_text(encoding="utf-8") for name in (template, _SHARED)}
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["tojson"] = lambda value: canonical_json(value).decode().replace("`", "'")
    environment.globals |= {"speaks": SPEAKS, "out_of_scope": OUT_OF_SCOPE}
    return environment.get_template(template).render(**values)


def licence_data(licence: str) -> dict[str, Any]:
    """A licence as the front matter of a card names it."""
    spdx = licence.lower()
    return {"license": spdx} if spdx in _LICENCES else {"license": "other", "license_name": spdx}


def languages_of(profiles: Sequence[Profile]) -> list[str] | None:
    """The languages of some profiles' material, as model hubs name them."""
    return sorted({tag.split("-")[0] for p in profiles for tag in p.profile.languages}) or None


def _front_matter(card: Card) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    manifest, profiles = card.manifests[card.node.id], card.profiles
    results = [
        EvalResult(
            task_type="other",
            dataset_type=f"{r.community} {r.slice}".strip().replace(" ", "-"),
            dataset_name=f"{_profile(profiles, r.community)}: {r.slice}".removeprefix(": "),
            metric_type=r.metric,
            metric_value=round(r.value, 4),
        )
        for r in card.results
    ]
    data = ModelCardData(
        **licence_data(manifest.licence),
        language=languages_of(profiles),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["chorus", "pluralistic-alignment", manifest.method.name],
        model_name=f"{card.name} {card.version}".strip(),
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text


def _profile(profiles: Sequence[Profile], community: str) -> str:
    return next((p.profile.name for p in profiles if p.id == community), community)


def absent(graph: Graph, node: Node) -> list[ValueProfile]:
    """Profiles of the project on which a node does not rest."""
    present = graph.permissions(node)
    return [p.profile for key, p in graph.project.profiles.items() if key not in present]


def _chain(card: Card) -> list[tuple[Declaration, Manifest]]:
    """The models on the way, the first one first."""
    return [
        (card.graph.nodes[name].declaration, manifest)
        for name, manifest in card.manifests.items()
        if manifest.kind == "model"
    ]


def warnings_of(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Expectations of severity warning that something on the way does not meet."""
    for manifest in manifests:
        for check in manifest.checks:
            if not check.success:
                found = check.found or f"{check.unexpected:,} rows break it"
                yield f"{manifest.node}: {check.reason} ({found})"
