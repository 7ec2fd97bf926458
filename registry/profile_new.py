"""A new proposal from answers in plain words: the folder, its tables ready to be filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry.artifact import write_atomically
from registry.errors import UsageError, relative
from registry.profile import SCHEMA_VERSION
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_folder import CONTENT, read_profile
from registry.profile_tables import EXAMPLES, GUIDANCE, NORMS, VALUES, Shape

USES = {
    "train-sft": "learn by example from your words",
    "train-rl": "be rewarded for answering as you would",
    "evaluate": "be measured against your words",
    "publish-data": "be published together with your words",
    "publish-weights": "be published, so that anybody can run it",
    "commercial": "be used to earn money",
}
"""What a model may do with a profile, each in plain words."""
STARTED: tuple[Shape[Any], ...] = (VALUES, GUIDANCE, NORMS, EXAMPLES)


@dataclass(frozen=True)
class Answers:
    """What a community says about itself, as it was typed."""

    id: str
    name: str
    description: str
    scope: str
    languages: tuple[str, ...]
    organisation: str
    role: str
    contact: str
    basis: str
    evidence: str
    """Digest of the minutes or of the result."""
    method: str
    start: str
    end: str
    took_part: int
    payment: str
    terms_version: str
    terms: str
    """Digest of the terms as they were signed."""
    granted_by: str
    granted_on: str
    expires_on: str
    uses: tuple[str, ...]
    withdrawal_contact: str
    notice_days: int
    releases: str
    statement: str = field(default="")


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file that stays where it is; nothing of it is copied."""
    if not path.is_file():
        raise UsageError("is no file", where=str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_proposal(root: Path, answers: Answers) -> Path:
    """Writes a proposal's folder; raises UsageError where the id is taken."""
    folder = root / PROPOSALS / answers.id
    for taken in (folder, root / ACCEPTED / answers.id):
        if taken.exists():
            before = read_profile(taken, root)[0]
            if before is not None and before.stage == "withdrawn":
                raise UsageError(
                    "belongs to a community that withdrew",
                    where=relative(taken, root),
                    why="what is said under it would seem to come from those who left",
                    mend="choose another id; docs/profiles.md says how the same community returns",
                )
            raise UsageError(
                "is taken",
                where=relative(taken, root),
                mend="choose another id, or change that one",
            )
    text = yaml.safe_dump(_document(answers), sort_keys=False, allow_unicode=True, width=100)
    write_atomically(folder / "profile.yaml", text.encode())
    for shape in STARTED:
        header = "" if shape.file.endswith(".jsonl") else ",".join(shape.columns) + "\n"
        write_atomically(folder / CONTENT / shape.file, header.encode())
    return folder


def _document(answers: Answers) -> Mapping[str, Any]:
    said = answers.statement or f"granted by {answers.granted_by} for the uses named, and no other"
    return {
        "schema_version": SCHEMA_VERSION,
        "id": answers.id,
        "revision": 1,
        "kind": "self-described",
        "name": answers.name,
        "description": answers.description,
        "scope": answers.scope,
        "languages": list(answers.languages),
        "steward": {
            "organisation": answers.organisation,
            "role": answers.role,
            "contact": answers.contact,
        },
        "authority": {"basis": answers.basis, "evidence_sha256": answers.evidence},
        "elicitation": {
            "method": answers.method,
            "dates": {"start": answers.start, "end": answers.end},
            "took_part": answers.took_part,
            "payment": answers.payment,
        },
        "licence": "none-granted",
        "attribution": "pseudonymous",
        "permission": "consent",
        "consent": {
            "terms_version": answers.terms_version,
            "terms_sha256": answers.terms,
            "granted_by": answers.granted_by,
            "uses": list(answers.uses),
            "granted_on": answers.granted_on,
            "expires_on": answers.expires_on,
            "statement": said,
        },
        "withdrawal": {
            "contact": answers.withdrawal_contact,
            "notice_days": answers.notice_days,
            "releases": answers.releases,
        },
        "modes": ["overton", "steerable", "distributional"],
    }
