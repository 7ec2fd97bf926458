"""What other tools read of a release: CycloneDX, Croissant and in-toto, each by its own library."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from registry.artifact import (
    Hasher,
    Manifest,
    MethodEntry,
    ProfileEntry,
    content_digest,
    parse_manifest,
)
from registry.attestation import differences, materials, statement
from registry.bill_of_materials import Subject, bill_of_materials
from registry.croissant import Described, croissant
from registry.hashing import sha256_file
from registry.profile import ValueProfile
from registry.profile_folder import read_profile
from registry.results import Result
from tests.conftest import ROOT

FIXTURE = Path(__file__).parents[1] / "fixtures" / "releases" / "schema-3"
MODEL = "count@age-22-34"


@pytest.fixture(scope="module")
def profile() -> ValueProfile:
    found, problems = read_profile(ROOT / "value_profiles" / "age-22-34", ROOT)
    assert found is not None, problems
    return found.profile


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    files = sorted((FIXTURE / "lineage").iterdir())
    return {p.stem: parse_manifest(p.read_bytes(), p.name) for p in files}


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    return {p.stem: sha256_file(p) for p in (FIXTURE / "lineage").iterdir()}


def dataset(folder: Path) -> Manifest:
    """A dataset with a column of every kind, made by hand."""
    files = folder / "data" / "rows" / "files"
    files.mkdir(parents=True)
    pl.DataFrame(
        {
            "row_id": ["a", "b"],
            "text": ["Yes; or \u201cno\u201d", "no"],
            "n": [1, 2],
            "share": [0.25, 0.75],
            "held_out": [True, False],
            "parents": [["x"], ["y", "z"]],
            "on": [dt.date(2020, 9, 15)] * 2,
        }
    ).write_parquet(files / "rows.parquet")
    entries = Hasher(None).tree(files)
    profiles = (
        ProfileEntry(id="age-22-34", use="train-sft", permission="licence", consent="0" * 64,
                     tables={}, fields={}),
    )  # fmt: skip
    return Manifest(
        node="rows", kind="dataset", licence="CC-BY-4.0",
        method=MethodEntry(name="m", code="c" * 64, distribution="chorus-registry", version="1"),
        params={"a": 1}, seed=0, threads=1, device="cpu", dtype=None, libraries={"polars": "2.1.0"},
        inputs=(), profiles=profiles, sources=(), checks=(), rows={"rows.parquet": 2},
        files=entries, content=content_digest(entries),
    )  # fmt: skip


# Croissant.


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib and pandas, in mlcroissant
def test_croissant_is_read_by_its_own_library_and_loads_the_rows(
    tmp_path: Path, profile: ValueProfile
) -> None:
    import mlcroissant as mlc

    described = Described(
        dataset(tmp_path), tmp_path / "data/rows/files", "data/rows/files", "Some rows."
    )
    raw = croissant("rows", "Some rows.", "1.0.0", [described], [profile], dt.date(2026, 11, 23))
    (tmp_path / "croissant.json").write_bytes(raw)
    found = mlc.Dataset(jsonld=tmp_path / "croissant.json")
    assert not found.metadata.issues.errors
    rows = list(found.records("rows/rows"))
    assert rows[0]["rows/rows/n"] == 1
    assert rows[1]["rows/rows/text"] == b"no"
    said = json.loads(raw)
    (file,) = said["distribution"]
    assert file["sha256"] == sha256_file(tmp_path / "data/rows/files/rows.parquet")
    kinds = {field["name"]: field["dataType"] for field in said["recordSet"][0]["field"]}
    assert kinds == {
        "row_id": "sc:Text", "text": "sc:Text", "n": "sc:Integer", "share": "sc:Float",
        "held_out": "sc:Boolean", "parents": "sc:Text", "on": "sc:Date",
    }  # fmt: skip


def test_croissant_says_what_the_profile_says_and_the_same_bytes_twice(
    tmp_path: Path, profile: ValueProfile
) -> None:
    described = Described(dataset(tmp_path), tmp_path / "data/rows/files", "x", "Some rows.")
    raw = croissant("rows", "Some rows.", "1.0.0", [described], [profile])
    assert raw == croissant("rows", "Some rows.", "1.0.0", [described], [profile])
    said = json.loads(raw)
    assert said["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert said["citeAs"] == profile.sources[0].citation
    assert said["rai:dataCollectionType"] == "Surveys"
    assert said["rai:dataCollectionTimeFrame"] == ["2020-09-15", "2020-09-25"]
    assert profile.scope in said["rai:dataBiases"]
    assert "in place of a poll" in said["rai:dataLimitations"]
    assert "datePublished" not in said


# CycloneDX.


def subject(**more: Any) -> Subject:
    return Subject(MODEL, "count/age-22-34", "1.0.0", {MODEL: "Counts <b>words</b>."}, **more)


def test_the_bill_names_model_data_libraries_and_what_came_from_what(
    manifests: dict[str, Manifest], profile: ValueProfile
) -> None:
    result = Result(
        about=MODEL, community="age-22-34", slice="asked", metric="total variation",
        lower_is_better=True, value=0.0683, low=0.058, high=0.078, items=31, people=654, beside={},
    )  # fmt: skip
    raw = bill_of_materials(subject(results=[result], limits=["L."]), manifests, [profile])
    said = json.loads(raw)
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    model = said["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["licenses"] == [{"license": {"id": "CC0-1.0"}}]
    hashes = {one["name"]: one["hashes"][0]["content"] for one in model["components"]}
    assert hashes == {file.path: file.sha256 for file in manifests[MODEL].files}
    card = model["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": "letters@age-22-34"}, {"ref": "words"}]
    (metric,) = card["quantitativeAnalysis"]["performanceMetrics"]
    assert metric["value"] == "0.0683"
    assert metric["confidenceInterval"] == {"lowerBound": "0.0580", "upperBound": "0.0780"}
    assert card["considerations"]["technicalLimitations"][0] == "L."
    kinds = {one["bom-ref"]: one["type"] for one in said["components"]}
    assert kinds["words"] == kinds["letters@age-22-34"] == "data"
    links = {one["ref"]: one.get("dependsOn", []) for one in said["dependencies"]}
    assert {"words", "letters@age-22-34"} <= set(links[MODEL])


def test_the_bill_is_the_same_for_the_same_lineage_and_another_for_another(
    manifests: dict[str, Manifest], profile: ValueProfile
) -> None:
    raw = bill_of_materials(subject(), manifests, [profile])
    assert raw == bill_of_materials(subject(), dict(reversed(manifests.items())), [profile])
    assert "timestamp" not in json.loads(raw)["metadata"]
    words = manifests["words"].model_copy(update={"seed": 7})
    other = json.loads(bill_of_materials(subject(), manifests | {"words": words}, [profile]))
    assert other["serialNumber"] != json.loads(raw)["serialNumber"]


def test_a_licence_that_spdx_does_not_know_is_named_as_it_is(
    manifests: dict[str, Manifest], profile: ValueProfile
) -> None:
    own = manifests[MODEL].model_copy(update={"licence": "none-granted"})
    said = json.loads(bill_of_materials(subject(), manifests | {MODEL: own}, [profile]))
    licences = said["metadata"]["component"]["licenses"]
    assert licences == [{"license": {"name": "none-granted"}}]


# in-toto.


def test_the_statement_names_the_files_and_everything_they_were_made_from(
    manifests: dict[str, Manifest], digests: dict[str, str]
) -> None:
    said = statement(MODEL, manifests, digests)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    (own,) = said["subject"]
    assert own == {
        "name": "counts.json",
        "digest": {"sha256": sha256_file(FIXTURE / "counts.json")},
    }
    resolved = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    named = {one["name"]: one["digest"]["sha256"] for one in resolved}
    assert named["manifest words"] == digests["words"]
    assert named["artifact words"] == manifests["words"].content
    assert len(named) == len(materials(manifests, digests))
    assert list(differences(said, MODEL, manifests, digests)) == []


def test_another_subject_and_other_materials_are_found(
    manifests: dict[str, Manifest], digests: dict[str, str]
) -> None:
    said = statement(MODEL, manifests, digests)
    said["subject"][0]["digest"]["sha256"] = "0" * 64
    definition = said["predicate"]["buildDefinition"]
    definition["resolvedDependencies"] = definition["resolvedDependencies"][1:]
    found = list(differences(said, MODEL, manifests, digests))
    assert found[0] == "its subject is another than the model's files: counts.json"
    assert found[1].startswith("its materials are others than the lineage's: ")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"subject": 1, "predicate": []},
        {"subject": [1, {"name": []}], "predicate": {"buildDefinition": 3}},
    ],
)
def test_a_stranger_s_statement_is_never_a_crash(
    said: dict[str, Any], manifests: dict[str, Manifest], digests: dict[str, str]
) -> None:
    assert len(list(differences(said, MODEL, manifests, digests))) == 2
