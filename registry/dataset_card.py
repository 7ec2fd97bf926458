"""Dataset cards: what a dataset holds, whose words are in it, and on what permission."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from registry.artifact import Manifest
from registry.card import absent, languages_of, licence_data, render, warnings_of
from registry.croissant import Described
from registry.errors import UsageError
from registry.graph import Graph, Node
from registry.group_spread import Spread, spread_of
from registry.hashing import sha256_file
from registry.profile import ValueProfile
from registry.profile_folder import Profile

REJECTED = "rejected.parquet"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset's card is written from."""

    graph: Graph
    node: Node

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """The manifest of the dataset and of everything that it was made from, inputs first."""
        return {one.id: made(self.graph, one) for one in self.graph.upstream([self.node])}

    @property
    def manifest(self) -> Manifest:
        """Its own manifest."""
        return self.manifests[self.node.id]

    @property
    def manifest_digest(self) -> str:
        """SHA-256 of its manifest."""
        return sha256_file(self.graph.artifact(self.node).manifest)

    @cached_property
    def profiles(self) -> list[Profile]:
        """The profiles that it rests on."""
        known = self.graph.project.profiles
        return [known[community] for community in self.graph.permissions(self.node)]

    @property
    def absent(self) -> list[ValueProfile]:
        """Profiles of the project on which it does not rest."""
        return absent(self.graph, self.node)

    @cached_property
    def spreads(self) -> list[tuple[Profile, Spread]]:
        """What its people's questionnaires say of each group beside the others."""
        found = [(profile, spread_of(self.graph, profile)) for profile in self.profiles]
        return [(profile, spread) for profile, spread in found if spread is not None]

    @cached_property
    def columns(self) -> dict[str, dict[str, str]]:
        """The columns of each table, with their types."""
        import polars as pl

        files = self.graph.artifact(self.node).files
        return {
            path: {name: str(kind) for name, kind in pl.read_parquet_schema(files / path).items()}
            for path in self.manifest.rows
        }

    @cached_property
    def left_out(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        import duckdb

        if "reason" not in self.columns.get(REJECTED, {}):
            return {}
        path = self.graph.artifact(self.node).files / REJECTED
        with duckdb.connect() as connection:
            rows = connection.execute(
                "select reason, count(*) from read_parquet(?) group by reason order by 2 desc, 1",
                [str(path)],
            ).fetchall()
        return {str(reason): int(count) for reason, count in rows}

    @property
    def limits(self) -> list[str]:
        """What the methods on the way say that a reader must know."""
        chain = self.graph.upstream([self.node])
        return list(dict.fromkeys(limit for n in chain for limit in n.declared.method.limits))

    @property
    def warnings(self) -> list[str]:
        """Expectations of severity warning that something on the way does not meet."""
        return list(warnings_of(self.manifests.values()))


def made(graph: Graph, node: Node) -> Manifest:
    """The manifest of a node; raises UsageError where it was not made."""
    manifest = graph.artifact(node).read_manifest()
    if manifest is None:
        raise UsageError(
            "has not been made, so nothing can be said of it",
            where=node.id,
            mend=f"run `chorus make {node.id} --upstream`",
        )
    return manifest


def described(graph: Graph, node: Node) -> Described:
    """A dataset, as Croissant describes it."""
    return Described(
        manifest=made(graph, node),
        files=graph.artifact(node).files,
        path=f"{node.path}/files",
        description=node.declaration.description,
        limits=tuple(node.declared.method.limits),
    )


def write_dataset_card(card: DatasetCard) -> str:
    """The card: front matter that hubs read, then the text."""
    text = render("dataset-card.md.j2", card=card, manifest=card.manifest)
    return f"---\n{_front_matter(card)}\n---\n\n{text}"


def _front_matter(card: DatasetCard) -> str:
    from huggingface_hub import DatasetCardData

    manifest = card.manifest
    rows = sum(count for path, count in manifest.rows.items() if path != REJECTED)
    configs = [
        {"config_name": path.removesuffix(".parquet").replace("/", "-"), "data_files": path}
        for path in manifest.rows
    ]
    data = DatasetCardData(
        **licence_data(manifest.licence),
        language=languages_of(card.profiles),
        pretty_name=manifest.node,
        size_categories=[next((name for most, name in _SIZES if rows < most), "n>1M")],
        tags=["chorus", "pluralistic-alignment", manifest.method.name],
        configs=configs or None,
    )
    text: str = data.to_yaml()
    return text
