"""Great Expectations' pages (Data Docs) about made artifacts, beside the results as data.

`results.json` holds, for each table, the suite's digest, the content that was checked, and the
verdict and count of Great Expectations beside those of the gate.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import Manifest, canonical_json, write_atomically
from registry.errors import UsageError
from registry.expectation import Expectation, arguments
from registry.graph import Graph, Node
from registry.quality.gate import check
from registry.quality.offline import INDEX, Listed, flatten, list_pages
from registry.quality.suites import (
    RESULTS,
    context,
    opened,
    shared,
    suite_digest,
    verdicts_of,
)
from registry.quality.verdict import Verdict
from registry.typed import Frozen

if TYPE_CHECKING:
    from great_expectations import ValidationDefinition

RESULTS_FILE = "results.json"
_SITE = "quality"


class Compared(Frozen):
    """One expectation, by both."""

    expect: str
    """Its type."""
    arguments: dict[str, Any]
    """Its arguments."""
    severity: str
    """`error` or `warning`."""
    reason: str
    """Why it matters."""
    success: bool
    """The verdict of Great Expectations."""
    unexpected: int
    """Its count of what breaks the expectation."""
    found: str
    """What it found, where a count does not say it."""
    gate: bool | None
    """The gate's verdict; null where only Great Expectations checks."""


class TableResults(Frozen):
    """What Great Expectations found of one table."""

    node: str
    """The artifact's node."""
    content: str
    """The artifact's content digest."""
    table: str
    """The table."""
    suite: str
    """SHA-256 of the suite's contract."""
    page: str
    """The file of its page."""
    checks: tuple[Compared, ...]
    """Every expectation of the suite."""


class Results(Frozen):
    """What `results.json` holds."""

    schema_version: int = 1
    """The version of this schema."""
    great_expectations: str
    """Its version."""
    tables: tuple[TableResults, ...]
    """Every table that was checked."""


def publish(graph: Graph, nodes: Sequence[Node], folder: Path) -> Results:
    """Checks made artifacts with Great Expectations and writes its pages into a folder.

    Args:
        graph: The project.
        nodes: Nodes; those without an artifact, or without what it can check, are passed over.
        folder: Where the pages go; a folder that this wrote before is replaced.

    Raises:
        UsageError: Where the folder holds anything else.
    """
    _clear(folder)
    into, tables = context(), list[TableResults]()
    for node in nodes:
        manifest = graph.artifact(node).read_manifest()
        if manifest is not None:
            tables += _tables(graph, node, manifest, into)
    with tempfile.TemporaryDirectory(prefix="chorus-quality-") as built:
        _build(into, Path(built))
        flatten(Path(built), [table.page.removesuffix(".html") for table in tables], folder)
    import great_expectations

    listed = [
        Listed(t.page, t.node, t.table, sum(c.success for c in t.checks), len(t.checks))
        for t in tables
    ]
    version = great_expectations.__version__
    (folder / INDEX).write_text(list_pages(listed, version), encoding="utf-8")
    found = Results(great_expectations=version, tables=tuple(tables))
    raw = canonical_json(found.model_dump(mode="json"), indent=2)
    write_atomically(folder / RESULTS_FILE, raw + b"\n")
    return found


def _clear(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / RESULTS_FILE).is_file() or not (folder / INDEX).is_file():
            raise UsageError(
                "the folder holds something else",
                where=str(folder),
                why="its content would be replaced by pages",
                mend="name a new folder, or an empty one",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _build(into: Any, folder: Path) -> None:
    """Has Great Expectations write its site."""
    store = {
        "class_name": "TupleFilesystemStoreBackend",
        "base_directory": str(folder.resolve()),
    }
    builder = {"class_name": "DefaultSiteIndexBuilder", "show_cta_footer": False}
    into.add_data_docs_site(
        _SITE,
        {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": builder,
         "show_how_to_buttons": False},
    )  # fmt: skip
    for site in set(into.variables.data_docs_sites or {}) - {_SITE}:
        into.delete_data_docs_site(site)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        into.build_data_docs(site_names=[_SITE])


def _tables(graph: Graph, node: Node, manifest: Manifest, into: Any) -> list[TableResults]:
    files, contract = graph.artifact(node).files, shared(node.declaration.contract)
    found = []
    for table in sorted({given.table for given in contract}):
        if (files / table).is_file():
            asked = [given for given in contract if given.table == table]
            both = [given for given in asked if given.checker == "both"]
            gate = dict(zip(both, check(files, both), strict=True))
            # A dot would part the name into folders; a plus stands in no name of a table.
            name = f"{node.id}+{table.removesuffix('.parquet').replace('/', '+')}"
            results = tuple(
                _compared(verdict, gate.get(verdict.expectation))
                for verdict in _validated(files / table, asked, into, name)
            )
            digest = suite_digest(asked)
            found.append(
                TableResults(
                    node=node.id, content=manifest.content, table=table, suite=digest,
                    page=f"{name}.html",
                    checks=results,
                )
            )  # fmt: skip
    return found


def _validated(path: Path, asked: Sequence[Expectation], into: Any, name: str) -> list[Verdict]:
    from great_expectations import ValidationDefinition

    with opened(path, into, name) as batch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite, refused = batch.suite(name, asked)
        into.suites.add(suite)
        definition: ValidationDefinition = into.validation_definitions.add(
            ValidationDefinition(name=name, data=batch.definition, suite=suite)
        )
        return verdicts_of(asked, definition.run(result_format=RESULTS).results, refused)


def _compared(theirs: Verdict, gate: Verdict | None) -> Compared:
    given = theirs.expectation
    return Compared(
        expect=given.expect,
        arguments=arguments(given),
        severity=given.severity,
        reason=given.reason,
        success=theirs.success,
        unexpected=theirs.unexpected,
        found=theirs.detail,
        gate=gate.success if gate else None,
    )
