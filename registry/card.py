"""Model cards: every sentence stands on a record, and none is left blank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.artifact import Manifest, canonical_json, sha256_file
from registry.declaration import Declaration
from registry.graph import Graph, Node
from registry.measured import evaluations_of, met
from registry.profile import ValueProfile
from registry.profile_folder import Profile
from registry.results import Result, in_tables, read_results
from registry.status import status
from registry.tested import Tested, tested
from registry.thresholds import Judged, SetAside

SPEAKS = {
    "self-described": "Written or approved by a body that answers to its members.",
    "survey-population": (
        "Estimates what survey respondents answered. Nobody who answered has endorsed this model; "
        "it speaks for no one."
    ),
    "opinion-cluster": (
        "Estimates how a cluster of voters voted. Nobody who voted has endorsed this model; it "
        "speaks for no one."
    ),
}
"""For whom figures about a profile of each kind speak."""
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|#!~$])")
_LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "bsd-3-clause"}
"""Licences that a model hub knows by the small form of their SPDX name."""


@dataclass(frozen=True)
class Card:
    """What a card is written from."""

    graph: Graph
    node: Node
    name: str
    version: str
    released_on: str
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
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown: `plain` escapes what strangers wrote
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["plain"] = plain
    environment.filters["tojson"] = lambda value: canonical_json(value).decode().replace("`", "'")
    template = (files("registry") / "templates" / "model-card.md.j2").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        card=card,
        manifest=card.manifests[card.node.id],
        speaks=SPEAKS,
        absent=_absent(card),
        chain=_chain(card),
        datasets=[m for m in card.manifests.values() if m.kind == "dataset"],
        results=in_tables(card.results),
        tests=card.tested,
        manifest_digest=sha256_file(card.graph.artifact(card.node).manifest),
        limits=list(dict.fromkeys(_limits(card))),
        warnings=list(_warnings(card.manifests.values())),
    )
    return f"---\n{_front_matter(card)}\n---\n\n{text}"


def _front_matter(card: Card) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    manifest, profiles = card.manifests[card.node.id], card.profiles
    spdx = manifest.licence.lower()
    licence: dict[str, Any] = {"license": spdx}
    if spdx not in _LICENCES:
        licence = {"license": "other", "license_name": spdx}
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
        **licence,
        language=sorted({tag.split("-")[0] for p in profiles for tag in p.profile.languages})
        or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["chorus", "pluralistic-alignment", manifest.method.name],
        model_name=f"{card.name} {card.version}",
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text


def _profile(profiles: Sequence[Profile], community: str) -> str:
    return next((p.profile.name for p in profiles if p.id == community), community)


def _absent(card: Card) -> list[ValueProfile]:
    """Profiles of the project on which the model does not rest."""
    present = {profile.id for profile in card.profiles}
    return [p.profile for key, p in card.graph.project.profiles.items() if key not in present]


def _chain(card: Card) -> list[tuple[Declaration, Manifest]]:
    """The models on the way, the first one first."""
    return [
        (card.graph.nodes[name].declaration, manifest)
        for name, manifest in card.manifests.items()
        if manifest.kind == "model"
    ]


def _limits(card: Card) -> Iterator[str]:
    """What the methods of the models on the way say that a reader must know."""
    for node in card.graph.upstream([card.node]):
        if node.declaration.kind == "model":
            yield from node.declared.method.limits


def _warnings(manifests: Iterable[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        for check in manifest.checks:
            if not check.success:
                found = check.found or f"{check.unexpected:,} rows break it"
                yield f"{manifest.node}: {check.reason} ({found})"
