"""Everything that the pages speak of, each with its verdict, and what leads from one to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from registry import git
from registry.artifact import Manifest
from registry.errors import ChorusError
from registry.notices import is_retired
from registry.pages.addresses import node_page, release_page
from registry.pages.proof import Proof
from registry.pages.samples import REJECTED
from registry.pages.shelf import Shelf
from registry.pages.showing import figures_withheld
from registry.pages.verdicts import Verdict, verdict_of
from registry.profile_folder import Profile
from registry.release import Name, Statement, parse_name, read_statement
from registry.results import FILE as RESULTS
from registry.results import Result, Results


class Item(NamedTuple):
    """An artifact in a list."""

    node: str
    kind: str
    description: str
    method: str
    rows: int
    """Rows of a dataset, without those that were left out."""
    verdict: Verdict
    page: str
    communities: tuple[str, ...]
    """The profiles that it rests on."""


@dataclass(frozen=True)
class Released:
    """A release in a list."""

    name: Name
    statement: Statement | None
    """What its tag says; None where that cannot be read."""
    commit: str
    retired: bool
    verdict: Verdict
    page: str


@dataclass
class Library:
    """What one build knows."""

    shelf: Shelf
    proof: Proof
    _contents: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    @cached_property
    def items(self) -> dict[str, Item]:
        """Every artifact, by node."""
        return {node: self._item(node) for node in self.shelf.nodes}

    def _item(self, node: str) -> Item:
        manifest = self.shelf.manifest(node)
        declared = self.shelf.graph.nodes.get(node)
        kind = manifest.kind if manifest else declared.declaration.kind if declared else ""
        return Item(
            node=node,
            kind=kind,
            description=declared.declaration.description if declared else "No longer declared.",
            method=manifest.method.name if manifest else "",
            rows=_rows(manifest) if manifest and kind == "dataset" else 0,
            verdict=verdict_of(self.proof.of_node(node)),
            page=node_page(kind, node),
            communities=tuple(sorted(self.communities(node, manifest))),
        )

    def communities(self, node: str, manifest: Manifest | None) -> set[str]:
        """The profiles that an artifact rests on, by its manifest and by what is declared."""
        declared = self.shelf.graph.nodes.get(node)
        found = set(self.shelf.graph.permissions(declared)) if declared else set()
        for one, _ in self.contents(node):
            above = self.shelf.manifest(one)
            found |= {entry.id for entry in above.profiles} if above else set()
        return found | ({entry.id for entry in manifest.profiles} if manifest else set())

    def contents(self, node: str) -> frozenset[tuple[str, str]]:
        """Everything that an artifact was made from, itself included: node and content."""
        waiting, met = [node], set[str]()
        while waiting:
            current = waiting[-1]
            manifest = self.shelf.manifest(current)
            inputs = [entry.node for entry in manifest.inputs] if manifest else []
            missing = [one for one in inputs if one not in self._contents and one not in met]
            met.add(current)
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if current not in self._contents:
                found = {(current, manifest.content)} if manifest else set()
                for entry in manifest.inputs if manifest else ():
                    below = self._contents.get(entry.node, frozenset())
                    found |= below if (entry.node, entry.content) in below else set()
                self._contents[current] = frozenset(found)
        return self._contents[node]

    @cached_property
    def users(self) -> dict[str, list[str]]:
        """For each node, what was made from it directly."""
        found: dict[str, list[str]] = {}
        for node in self.shelf.nodes:
            manifest = self.shelf.manifest(node)
            for entry in manifest.inputs if manifest else ():
                found.setdefault(entry.node, []).append(node)
        return {node: sorted(set(users)) for node, users in found.items()}

    @cached_property
    def releases(self) -> list[Released]:
        """Every release that is tagged, the newest of each model first."""
        root = self.shelf.graph.project.root
        tags = git.ask(root, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags").split()
        names = [name for tag in tags if (name := parse_name(tag)) and name.tag == tag]
        order = sorted(names, key=lambda one: [-int(part) for part in one.version.split(".")])
        return [self.released(name) for name in sorted(order, key=lambda one: one.name)]

    def released(self, name: Name) -> Released:
        """A release in a list."""
        root = self.shelf.graph.project.root
        statement, commit = None, ""
        try:
            statement, commit = read_statement(root, name)
        except ChorusError:
            commit = git.ask(root, "rev-parse", f"refs/tags/{name.tag}^{{commit}}")
        verdict = verdict_of(self.proof.of_release(name))
        page = release_page(name.name, name.version)
        return Released(name, statement, commit, is_retired(name.card(root)), verdict, page)

    def releases_of(self, node: str) -> list[Released]:
        """The releases of a node."""
        return [one for one in self.releases if one.name.name == node.replace("@", "/")]

    @cached_property
    def _rests(self) -> dict[str, set[Any]]:
        """For each release, the profiles that it rests on, by the manifests that its tag holds."""
        root, found = self.shelf.graph.project.root, dict[str, set[Any]]()
        for one in self.releases:
            node = one.statement.node if one.statement else ""
            path = f"{one.name.folder}/lineage/{node}.json"
            found[one.name.tag] = _profiles_in(git.content(root, one.commit, path) or b"{}")
        return found

    def releases_on(self, community: str) -> list[Released]:
        """The releases that rest on a profile."""
        return [one for one in self.releases if community in self._rests[one.name.tag]]

    def communities_of(self, release: Released) -> tuple[str, ...]:
        """The profiles that a release rests on."""
        return tuple(sorted(map(str, self._rests[release.name.tag])))

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """Every value profile, by id."""
        return dict(self.shelf.graph.project.profiles)

    @cached_property
    def _measuring(self) -> dict[tuple[str, str], list[str]]:
        """For each content, the evaluations that met it and give figures."""
        found: dict[tuple[str, str], list[str]] = {}
        for node in self.shelf.nodes:
            manifest = self.shelf.manifest(node)
            if manifest and manifest.kind == "evaluation" and self._results_file(node):
                for one in self.contents(node):
                    found.setdefault(one, []).append(node)
        return found

    def _results_file(self, node: str) -> bool:
        manifest = self.shelf.manifest(node)
        return any(entry.path == RESULTS for entry in manifest.files) if manifest else False

    def measuring(self, node: str, content: str) -> list[str]:
        """The evaluations that met this very content of a node."""
        return self._measuring.get((node, content), [])

    def results(self, evaluation: str) -> tuple[Result, ...]:
        """The figures of an evaluation; none where they cannot be read."""
        path = self.shelf.file(evaluation, RESULTS) if self._results_file(evaluation) else None
        if path is None:
            return ()
        try:
            return Results.model_validate_json(path.read_bytes()).results
        except ValueError:
            return ()

    def measured(self, node: str, content: str) -> Iterator[tuple[str, Result]]:
        """What evaluations found about a node with this content; what two say stands once.

        Figures that rest on what may not be shown are left out.
        """
        seen: list[Result] = []
        for evaluation in self.measuring(node, content):
            rests = self.communities(evaluation, self.shelf.manifest(evaluation))
            if figures_withheld(self.shelf.graph, rests):
                continue
            for result in self.results(evaluation):
                if result.about == node and result not in seen:
                    seen.append(result)
                    yield evaluation, result


def _profiles_in(raw: bytes) -> set[Any]:
    try:
        return {entry["id"] for entry in json.loads(raw).get("profiles", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _rows(manifest: Manifest) -> int:
    return sum(count for path, count in manifest.rows.items() if not path.endswith(REJECTED))
