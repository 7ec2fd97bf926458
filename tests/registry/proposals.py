"""Writes a whole profile that describes itself, for tests to break, review and withdraw."""

from __future__ import annotations

import json
from pathlib import Path

ID = "harbour-menders"
SHA = "0" * 64
PROFILE = """\
schema_version: 2
id: {id}
revision: {revision}
{supersedes}kind: self-described
name: "The harbour menders"
description: "A made-up guild of people who mend nets and sails, for tests only."
scope: "Speaks for the guild's members of this test, and for nobody else at all."
languages: ["en"]
steward: {{organisation: "Guild of menders", role: "secretary", contact: "register:7"{key}}}
authority: {{basis: assembly, evidence_sha256: "{sha}"}}
elicitation:
  method: assembly
  dates: {{start: "2026-03-01", end: "2026-03-02"}}
  invited: 80
  took_part: 42
  payment: none
licence: none-granted
attribution: pseudonymous
permission: consent
consent:
  terms_version: "1"
  terms_sha256: "{sha}"
  granted_by: "assembly of the guild"
  uses: [{uses}]
  granted_on: "2026-03-03"
  expires_on: "2030-01-01"
  statement: "the guild's assembly agreed to tests, and to nothing else"
withdrawal: {{contact: "register:7", notice_days: {notice_days}, releases: retire}}
modes: [overton, steerable]
"""
VALUES = """\
id,statement,rationale,strength,agreement,n,dissent
mend-first,Mend a thing before you replace it,It was work,5,0.9,42,Some think time is dearer
share-tools,Tools in the shed belong to whoever needs them,,4,0.8,42,
"""
NORMS = """\
id,situation,rule,judgement,agreement,foundations,item
borrowing,borrowing a needle,It's rude to borrow without asking,-1,3,fairness-cheating,
teaching,teaching a child,It's good to teach a child to splice,2,4,care-harm loyalty-betrayal,
"""


def examples(count: int = 5) -> str:
    """Lines of `examples.jsonl`."""
    rows = [
        {
            "id": f"example-{n}",
            "prompt": f"My net has {n} holes. What now?",
            "preferred": "Sit down with somebody who mends, and learn it while you do it.",
            "dispreferred": "Buy a new one; nets are cheap these days.",
            "values": ["mend-first"],
            "author": "gull",
        }
        for n in range(1, count + 1)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def propose(
    root: Path,
    *,
    revision: int = 1,
    supersedes: str = "",
    uses: str = "train-sft, train-rl, evaluate, publish-weights",
    name: str = ID,
    key: str = "",
    notice_days: int = 14,
) -> Path:
    """Writes a proposal and returns its folder."""
    folder = root / "proposals" / name
    content = folder / "content"
    content.mkdir(parents=True)
    before = f'supersedes: "{supersedes}"\n' if supersedes else ""
    text = PROFILE.format(
        id=name,
        revision=revision,
        supersedes=before,
        uses=uses,
        sha=SHA,
        key=f', key: "{key}"' if key else "",
        notice_days=notice_days,
    )
    (folder / "profile.yaml").write_text(text)
    (content / "values.csv").write_text(VALUES)
    (content / "norms.csv").write_text(NORMS)
    (content / "examples.jsonl").write_text(examples())
    return folder
