"""Croissant: datasets described so that other tools can load them (mlcommons.org/croissant).

One description holds one dataset, or all that a model learned from. Every Parquet file is a file
object with its SHA-256 and a record set whose fields come from its schema. The part on responsible
use (RAI) says what profiles and manifests record, and leaves out what they do not.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import FileEntry, Manifest, canonical_json
from registry.errors import ChorusError
from registry.licences import licence_url
from registry.profile import ValueProfile
from registry.profile_words import OUT_OF_SCOPE, permission_words

if TYPE_CHECKING:
    from mlcroissant import Field, FileObject, RecordSet

FILE = "croissant.json"
_COLLECTED = {"survey-population": "Surveys", "opinion-cluster": "Crowdsourcing"}
_MEDIA = {".parquet": "application/x-parquet", ".json": "application/json", ".md": "text/markdown",
          ".png": "image/png", ".txt": "text/plain"}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """One dataset to describe."""

    manifest: Manifest
    files: Path
    """Its `files/` folder, whose schemas are read."""
    path: str
    """That folder from the project's root."""
    description: str
    """What it is, as its declaration says."""
    limits: tuple[str, ...] = ()
    """What a reader must know of the method that made it."""


def croissant(
    name: str,
    description: str,
    version: str,
    datasets: Sequence[Described],
    profiles: Sequence[ValueProfile],
    published_on: dt.date | None = None,
) -> bytes:
    """The description as JSON-LD; the same bytes for the same datasets.

    Args:
        name: What the datasets are together.
        description: The same in a sentence.
        version: A semantic version.
        datasets: What is described.
        profiles: The profiles that the datasets rest on.
        published_on: The day of a release.

    Raises:
        ChorusError: mlcroissant finds the description wrong.
    """
    import mlcroissant as mlc

    licences = sorted({one.manifest.licence for one in datasets})
    citations = sorted({source.citation for profile in profiles for source in profile.sources})
    days = [dt.datetime.fromisoformat(day) for p in profiles for day in _fielded(p)]
    with _quiet():
        metadata = mlc.Metadata(
            name=name,
            description=description,
            version=version,
            url=f"urn:chorus:{name}",
            license=[licence_url(licence) for licence in licences],
            cite_as="; ".join(citations) or None,
            date_published=_moment(published_on),
            creators=[mlc.Organization(name=who) for who in _publishers(profiles)],
            in_language=sorted({tag for p in profiles for tag in p.languages}) or None,
            distribution=[o for one in datasets for o in _objects(one)],
            record_sets=[r for one in datasets for r in _records(one)],
            data_collection="; ".join(_collections(profiles)) or None,
            data_collection_type=sorted({_COLLECTED.get(p.kind, "Others") for p in profiles})
            or None,
            data_collection_timeframe=[min(days), max(days)] if days else None,
            data_preprocessing_protocol=[_protocol(one.manifest) for one in datasets],
            data_biases=[f"{p.name}: {p.scope}" for p in profiles] or None,
            data_use_cases=[f"Granted by {permission_words(p)}" for p in profiles] or None,
            data_limitations=list(_limits(datasets)),
            personal_sensitive_information=sorted({s for p in profiles for s in p.sensitive})
            or None,
        )
        _require_valid(metadata, name)
        return canonical_json(_plain(metadata.to_json()), indent=2) + b"\n"


def _require_valid(metadata: Any, name: str) -> None:
    if errors := sorted(metadata.issues.errors):
        raise ChorusError(
            f"its description is no Croissant: {errors[0]}",
            where=name,
            why="other tools could not load the datasets by it",
            mend="mend what it names; if Chorus wrote it wrongly, report that",
        )


def _fielded(profile: ValueProfile) -> Iterator[str]:
    when = profile.opinions.fielded if profile.opinions else None
    when = when or (profile.elicitation.dates if profile.elicitation else None)
    if when is not None:
        yield from (when.start, when.end)


def _moment(day: dt.date | None) -> dt.datetime | None:
    return dt.datetime(day.year, day.month, day.day) if day else None  # noqa: DTZ001 - a day


def _publishers(profiles: Iterable[ValueProfile]) -> list[str]:
    found = {source.publisher for profile in profiles for source in profile.sources}
    found |= {p.steward.organisation for p in profiles if p.steward and p.attribution == "named"}
    return sorted(found)


def _objects(one: Described) -> Iterator[FileObject]:
    import mlcroissant as mlc

    for file in one.manifest.files:
        yield mlc.FileObject(
            id=_identity(one, file),
            name=_identity(one, file),
            description=f"{file.path} of {one.manifest.node}",
            content_url=f"{one.path}/{file.path}",
            content_size=f"{file.size} B",
            encoding_formats=[_MEDIA.get(Path(file.path).suffix, "application/octet-stream")],
            sha256=file.sha256,
        )


def _identity(one: Described, file: FileEntry) -> str:
    return f"{one.manifest.node}/{file.path}"


def _records(one: Described) -> Iterator[RecordSet]:
    import mlcroissant as mlc
    import polars as pl

    for file in one.manifest.files:
        if file.path.endswith(".parquet"):
            identity = _identity(one, file).removesuffix(".parquet")
            rows = one.manifest.rows.get(file.path)
            counted = "" if rows is None else f": {rows:,} rows"
            schema = pl.read_parquet_schema(one.files / file.path)
            yield mlc.RecordSet(
                id=identity,
                name=identity,
                description=f"{one.description}{counted}",
                fields=[
                    _field(f"{identity}/{column}", column, kind, _identity(one, file), column)
                    for column, kind in schema.items()
                ],
            )


def _field(identity: str, name: str, kind: Any, file: str, column: str) -> Field:
    """A field; a list repeats its kind, and a struct is read as the column that holds it."""
    import mlcroissant as mlc
    import polars as pl

    repeated = isinstance(kind, pl.List | pl.Array)
    while isinstance(kind, pl.List | pl.Array):
        kind = kind.inner
    return mlc.Field(
        id=identity,
        name=name,
        description=f"The column {column}.",
        data_types=[_data_type(kind)],
        repeated=repeated or None,
        source=mlc.Source(file_object=file, extract=mlc.Extract(column=column)),
    )


def _data_type(kind: Any) -> Any:
    import mlcroissant as mlc

    match str(kind):
        case "Boolean":
            return mlc.DataType.BOOL
        case "Float32" | "Float64":
            return mlc.DataType.FLOAT
        case "Date":
            return mlc.DataType.DATE
        case text if text.startswith(("Int", "UInt")):
            return mlc.DataType.INTEGER
        case _:
            return mlc.DataType.TEXT


def _collections(profiles: Iterable[ValueProfile]) -> Iterator[str]:
    for profile in profiles:
        if profile.opinions:
            when = profile.opinions.fielded
            yield f"{profile.name}: asked from {when.start} to {when.end}"
        elif profile.elicitation:
            how = profile.elicitation
            yield f"{profile.name}: {how.method} of {how.took_part} people, paid {how.payment}"


def _protocol(manifest: Manifest) -> str:
    code = manifest.method.code[:12]
    params = canonical_json(manifest.params).decode()
    return f"{manifest.node}: {manifest.method.name} (code {code}) with {params}"


def _limits(datasets: Iterable[Described]) -> Iterator[str]:
    yield from dict.fromkeys(limit for one in datasets for limit in one.limits)
    yield f"Out of scope: {OUT_OF_SCOPE}."


def _plain(value: Any) -> Any:
    """The description as JSON; rdflib writes dates as objects."""
    if isinstance(value, dict):
        return {str(key): _plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside) for inside in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return value if isinstance(value, bool | int | float) or value is None else str(value)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the advice of mlcroissant's log away; errors are raised."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
