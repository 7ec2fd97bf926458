"""A form as a community partner fills it in, and a browser without JavaScript to send it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from registry.site.app import build_app

SECRET = b"s" * 32
DIGEST = "ab" * 32
ID = "river-valley"

FIELDS: dict[str, str | list[str]] = {
    "name": "People of the River Valley",
    "id": ID,
    "description": "Members of the valley association, who share one spring and two bridges.",
    "scope": "Members who live in the valley; not people who moved away.",
    "languages": "en, de-AT",
    "steward.organisation": "Board of the Valley Association",
    "steward.role": "secretary",
    "steward.contact": "register:42",
    "authority.basis": "assembly",
    "authority.evidence_sha256": DIGEST,
    "attribution": "pseudonymous",
    "elicitation.method": "assembly",
    "elicitation.dates.start": "2026-03-01",
    "elicitation.dates.end": "2026-03-02",
    "elicitation.took_part": "84",
    "elicitation.payment": "none",
    "permission": "consent",
    "consent.uses": ["train-sft", "evaluate"],
    "consent.statement": "The valley allows teaching and measuring, until the end of 2030.",
    "consent.granted_by": "the assembly",
    "consent.granted_on": "2026-03-05",
    "consent.expires_on": "2030-12-31",
    "consent.terms_version": "valley terms 1",
    "consent.terms_sha256": DIGEST,
    "licence": "none-granted",
    "modes": ["steerable"],
    "withdrawal.contact": "register:42",
    "withdrawal.notice_days": "30",
    "withdrawal.releases": "retire",
    "values.0.statement": "Water from the common spring belongs to everybody.",
    "values.0.strength": "5",
    "values.0.agreement": "0,92",
    "values.0.n": "84",
}
for _row in range(5):
    FIELDS[f"examples.{_row}.prompt"] = f"May I take water on day {_row}?"
    FIELDS[f"examples.{_row}.preferred"] = "Ask at the spring house first."
    FIELDS[f"examples.{_row}.dispreferred"] = "Take as much as you like."
    FIELDS[f"examples.{_row}.author"] = "the baker"


class _Inputs(HTMLParser):
    """What a browser would send of a page's form, and whether the page holds what it must not."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.active: list[str] = []
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.active += [name for name in given if name.startswith("on") or name == "style"]
        self.links += [given[name] for name in ("href", "src", "action") if name in given]
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in ("text", "hidden") or (kind in ("radio", "checkbox") and "checked" in given):
                self.values.setdefault(name, []).append(given.get("value", ""))
        elif tag == "textarea":
            self._area = name
            self.values[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given:
            self.values[self._select] = [given["value"]]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area][0] += data


def parsed(page: str) -> _Inputs:
    found = _Inputs()
    found.feed(page)
    for name, values in found.values.items():
        # HTML drops the line break that follows <textarea>.
        found.values[name] = [value.removeprefix("\n") for value in values]
    return found


class Visitor:
    """A partner with a browser that runs no scripts."""

    def __init__(self, root: Path, language: str = "en", **options: Any) -> None:
        self.root, self.language = root, language
        self.client = TestClient(
            build_app(root, SECRET, **options),
            base_url="http://localhost",
            raise_server_exceptions=False,
        )
        self.page = self.client.get(f"/{language}/form").text
        self.address = ""

    def send(
        self,
        act: str = "check",
        fields: dict[str, Any] | None = None,
        files: dict[str, Any] | None = None,
    ) -> str:
        """Sends the form as it stands on the page, changed by `fields`; returns the next page."""
        typed = parsed(self.page).values | (fields or {})
        data = {"act": act, **{name: value for name, value in typed.items() if value != ""}}
        given = files or {"nothing": ("", b"")}
        answer = self.client.post(f"/{self.language}/form", data=data, files=given)
        self.page, self.address, self.status = answer.text, str(answer.url.path), answer.status_code
        return self.page

    def fill(self, **changed: Any) -> str:
        """Sends the whole form, all in order but for what is changed."""
        return self.send("check", FIELDS | {n.replace("__", "."): v for n, v in changed.items()})

    def messages(self) -> dict[str, str]:
        """What is shown beside each field."""
        found = re.findall(r'<div class="wrong" id="e-([^"]+)">(.*?)</div>', self.page, re.DOTALL)
        return {name: " ".join(re.sub(r"<[^>]+>", " ", text).split()) for name, text in found}

    def count(self) -> str:
        """The heading of the summary."""
        found = re.search(r'<h2 id="summary-title">(.*?)</h2>', self.page)
        return found[1] if found else ""

    def submit(self, **fields: str) -> Any:
        """Presses the last button on the preview."""
        data = {"token": parsed(self.page).values["token"][0], "sure": "yes", **fields}
        address = self.address.replace("/preview", "/submit")
        answer = self.client.post(address, data=data, files={"nothing": ("", b"")})
        self.page, self.address = answer.text, str(answer.url.path)
        return answer


def proposals(root: Path) -> list[str]:
    """Every file that was handed in."""
    found = [*(root / "proposals").rglob("*"), *(root / "value_profiles").rglob("*")]
    return sorted(p.relative_to(root).as_posix() for p in found if p.is_file())
