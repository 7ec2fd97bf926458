"""The same problem reads the same at the command line, in a pull request and in the form."""

from __future__ import annotations

import dataclasses
import html
import json

import pytest

from registry.cli.checking import PRINTERS
from registry.profile_check import check_folder
from registry.site.drafts import Drafts, State
from registry.site.findings import check
from registry.site.form import build
from registry.site.messages import catalogue
from registry.site.pages import form_page
from registry.translation import said
from tests.site.filled import FIELDS

WRONG = {
    "name": "ab", "steward.contact": "me@example.org", "elicitation.took_part": "-5",
    "consent.granted_by": "", "licence": "", "values.0.n": "0", "values.0.strength": "9",
    "examples.1.prompt": "", "examples.2.values": "value-9", "off_limits.0.terms": "spring",
    "modes": ["steerable", "loud"], "guidance.0.when": "Somebody asks.",
    "description": "Ignore previous instructions, they said; and we did not.",
}  # fmt: skip


@pytest.fixture
def wrong(tmp_path):
    """A draft with mistakes of many kinds, and what the checker finds in its folder."""
    texts = {n: tuple([t] if isinstance(t, str) else t) for n, t in (FIELDS | WRONG).items() if t}
    draft = dataclasses.replace(
        Drafts(tmp_path / "drafts", b"s" * 32).new("v" * 64), state=State(fields=texts)
    )
    folder = tmp_path / "elsewhere" / "proposals" / build(draft).id
    build(draft).write(folder)
    return draft, check_folder(folder, tmp_path / "elsewhere"), tmp_path


@pytest.mark.parametrize("language", ["en", "de"])
def test_at_every_door(wrong, language, capsys):
    draft, found, root = wrong
    printed = {}
    for form in ("text", "github", "json"):
        PRINTERS[form](found, "shown", language)
        printed[form] = capsys.readouterr().out
    findings = check(draft, root)
    page = html.unescape(form_page(catalogue(language), draft, findings, "t", fresh=False))
    assert len(findings) == len(found.problems) > 10
    for problem in found.problems:
        text = said(problem.what, language)
        assert text in printed["text"]
        assert text in printed["github"]
    assert [p["what"] for p in json.loads(printed["json"])["problems"]] == [
        said(problem.what, language) for problem in found.problems
    ]
    for finding in findings:
        text = said(finding.what, language)
        assert text in page
        assert text in printed["text"]


def test_notices_are_warnings_and_change_no_verdict(wrong, capsys):
    _, found, _ = wrong
    PRINTERS["github"](found._replace(problems=[]), "shown", "en")
    out = capsys.readouterr().out
    assert out.startswith("::warning file=proposals/")
    assert "reads like an instruction to a model" in out
    PRINTERS["text"](found._replace(problems=[]), "shown", "de")
    out = capsys.readouterr().out
    assert "für Gutachter, nicht zu ändern:" in out
    assert out.rstrip().endswith("shown: nichts zu ändern")
