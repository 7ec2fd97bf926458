"""The bill of materials of a model: CycloneDX 1.6, with the parts on machine learning (ML-BOM).

The model, the models and datasets that it was made from, and the libraries that their manifests
name. cyclonedx-python-lib writes the bill; it has no classes for model cards and the governance of
data, so these parts are added to its JSON, and the whole is checked with its strict validator.
Serial number and bytes follow from the content: the same lineage gives the same bill.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.artifact import Manifest, canonical_json, digest_of
from registry.errors import ChorusError
from registry.profile import ValueProfile
from registry.profile_words import OUT_OF_SCOPE, SPEAKS, permission_words
from registry.results import Result

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

FILE = "bom.cdx.json"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:chorus:bill-of-materials")


@dataclass(frozen=True)
class Subject:
    """The model that a bill is of."""

    node: str
    name: str
    """What it is called among releases."""
    version: str
    descriptions: Mapping[str, str]
    """What each node is, as its declaration says."""
    limits: Sequence[str] = ()
    """What a reader must know of the methods on the way."""
    results: Sequence[Result] = ()
    """What evaluations of this very content say."""


def bill_of_materials(
    subject: Subject, manifests: Mapping[str, Manifest], profiles: Sequence[ValueProfile]
) -> bytes:
    """The bill as JSON; raises ChorusError where the validator finds it wrong.

    Args:
        subject: The model.
        manifests: Its manifest and those of everything that it was made from, by node.
        profiles: The profiles that it rests on.
    """
    from cyclonedx.output.json import JsonV1Dot6

    written = json.loads(JsonV1Dot6(_bill(subject, manifests)).output_as_string())
    written["metadata"].pop("timestamp", None)
    model = written["metadata"]["component"]
    model["modelCard"] = _card(subject, manifests, profiles)
    for component in written.get("components", []):
        if component["type"] == "data":
            component["data"] = [_data(manifests[component["bom-ref"]], profiles)]
    serial = uuid.uuid5(_SPACE, digest_of(written | {"serialNumber": ""}))
    written["serialNumber"] = serial.urn
    raw = canonical_json(written, indent=2) + b"\n"
    _require_valid(raw, subject.node)
    return raw


def _bill(subject: Subject, manifests: Mapping[str, Manifest]) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData

    components = {node: _component(subject, one) for node, one in manifests.items()}
    libraries = {name: _library(*name) for one in manifests.values() for name in _libraries(one)}
    model = components.pop(subject.node)
    bill = Bom(
        metadata=BomMetaData(component=model),
        components=[*components.values(), *libraries.values()],
    )
    for node, one in manifests.items():
        above = [components[i.node] for i in one.inputs if i.node in components]
        with_ = [libraries[name] for name in _libraries(one)]
        bill.register_dependency(components.get(node, model), [*above, *with_])
    for library in libraries.values():
        bill.register_dependency(library)
    return bill


def _libraries(manifest: Manifest) -> list[tuple[str, str]]:
    own = (manifest.method.distribution, manifest.method.version)
    return sorted({own, *manifest.libraries.items()})


def _library(name: str, version: str) -> Component:
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    purl = PackageURL("pypi", name=name.lower().replace("_", "-"), version=version)
    return Component(name=name, version=version, purl=purl, bom_ref=f"{name}=={version}")


def _component(subject: Subject, manifest: Manifest) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    released = manifest.node == subject.node
    kind = ComponentType.DATA
    if manifest.kind == "model":
        kind = ComponentType.MACHINE_LEARNING_MODEL
    files = [
        Component(
            name=file.path,
            type=ComponentType.FILE,
            bom_ref=f"{manifest.node}/{file.path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        )
        for file in manifest.files
    ]
    facts = {
        "chorus:node": manifest.node,
        "chorus:content": f"sha256:{manifest.content}",
        "chorus:method": manifest.method.name,
        "chorus:code": f"sha256:{manifest.method.code}",
        "chorus:params": canonical_json(manifest.params).decode(),
        "chorus:seed": str(manifest.seed),
        "chorus:device": manifest.device,
    }
    return Component(
        name=subject.name if released else manifest.node,
        version=subject.version if released else f"sha256:{manifest.content[:12]}",
        type=kind,
        bom_ref=manifest.node,
        description=subject.descriptions.get(manifest.node),
        licenses=[_licence(manifest.licence)],
        properties=[Property(name=name, value=value) for name, value in facts.items()],
        components=files,
    )


def _licence(name: str) -> Any:
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.spdx import fixup_id

    known = fixup_id(name)
    return DisjunctiveLicense(id=known) if known else DisjunctiveLicense(name=name)


def _card(
    subject: Subject, manifests: Mapping[str, Manifest], profiles: Sequence[ValueProfile]
) -> dict[str, Any]:
    """The model card as CycloneDX has it, from the same records as the card for people."""
    data = sorted(node for node, one in manifests.items() if one.kind == "dataset")
    metrics = [
        {
            "type": one.metric,
            "value": f"{one.value:.4f}",
            "slice": f"{one.community} {one.slice}".strip(),
            "confidenceInterval": {
                "lowerBound": f"{one.low:.4f}",
                "upperBound": f"{one.high:.4f}",
            },
        }
        for one in subject.results
    ]
    considered = {
        "useCases": ["For research: how near a model comes to the values and opinions of people."],
        "technicalLimitations": [*subject.limits, f"Out of scope: {OUT_OF_SCOPE}."],
        "fairnessAssessments": [
            {"groupAtRisk": f"{p.name}. {p.scope}", "benefits": SPEAKS[p.kind]} for p in profiles
        ],
    }
    card: dict[str, Any] = {
        "modelParameters": {"task": "text-generation", "datasets": [{"ref": n} for n in data]},
        "considerations": {name: said for name, said in considered.items() if said},
    }
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card


def _data(manifest: Manifest, profiles: Iterable[ValueProfile]) -> dict[str, Any]:
    """What a dataset is and who answers for it."""
    rests = {entry.id for entry in manifest.profiles}
    own = [profile for profile in profiles if profile.id in rests]
    found: dict[str, Any] = {"type": "dataset", "name": manifest.node}
    facts = [{"name": f"rows of {path}", "value": str(n)} for path, n in manifest.rows.items()]
    facts += [{"name": "permission", "value": permission_words(profile)} for profile in own]
    if facts:
        found["contents"] = {"properties": facts}
    if sensitive := sorted({group for profile in own for group in profile.sensitive}):
        found["sensitiveData"] = sensitive
    governance = {"owners": list(_owners(own)), "stewards": list(_stewards(own))}
    if any(governance.values()):
        found["governance"] = {role: who for role, who in governance.items() if who}
    return found


def _owners(profiles: Iterable[ValueProfile]) -> Iterator[dict[str, Any]]:
    names = {source.publisher for profile in profiles for source in profile.sources}
    yield from ({"organization": {"name": name}} for name in sorted(names))


def _stewards(profiles: Iterable[ValueProfile]) -> Iterator[dict[str, Any]]:
    for profile in profiles:
        if profile.steward and profile.attribution == "named":
            yield {"organization": {"name": profile.steward.organisation}}


def _require_valid(raw: bytes, node: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(raw.decode()):
        said = str(getattr(error, "data", error)).splitlines()[0]
        raise ChorusError(
            f"its bill of materials is no CycloneDX: {said}",
            where=node,
            why="other tools could not read it",
            mend="mend what it names; if Chorus wrote it wrongly, report that",
        )
