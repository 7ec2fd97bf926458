"""Great Expectations' pages made to work from a folder: no scripts, nothing from elsewhere.

As they come they load scripts, styles and pictures from seven other places, show an empty list
without them, and would run a script that stands in a row. Here they are plain pages with a style of
their own and a policy that lets nothing run, beside a list of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

INDEX = "index.html"
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
_STYLE = """<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem }
i { font-style: normal }
h1 { font-size: 1.6rem } h4, h5, h6 { font-size: 1.1rem; margin: 1.5rem 0 .5rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  overflow-wrap: anywhere;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
.badge, code { font-family: ui-monospace, monospace; font-size: .9em; padding: 0 .25em;
  background: color-mix(in srgb, currentColor 10%, transparent); border-radius: .2em }
.fa-check-circle::before { content: "\\2713  met"; color: light-dark(#18653a, #7ecf9c) }
.fa-times::before { content: "\\2717  broken"; color: light-dark(#a3203a, #ff9aa9) }
.fa-exclamation-triangle::before { content: "!  not checked"; color: light-dark(#7a4b00, #f0bf6a) }
ol { list-style: none; padding: 0 } .d-none { display: block }
</style>"""
_GONE = (
    re.compile(r"<script\b.*?(?:</script\s*>|\Z)", re.DOTALL | re.IGNORECASE),
    re.compile(r"<(?:link|img|iframe|object|embed|base|form|input|button)\b[^>]*>", re.IGNORECASE),
    re.compile(r"<style>\s*</style>|<footer>.*?</footer>", re.DOTALL),
    re.compile(r"<strong>Actions</strong>.*?(?=<strong>\s*Table of Contents)", re.DOTALL),
)
_STYLES = re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE)
_HOME = re.compile(r'href="(?:\.\./)+index\.html"')
_AWAY = re.compile(r'href="(?!#|index\.html")[^"]*"')


@dataclass(frozen=True)
class Listed:
    """One page of the list."""

    page: str
    """Its file."""
    node: str
    """The artifact's node."""
    table: str
    """The table."""
    met: int
    """Expectations that are met."""
    total: int
    """All of them."""


def offline(page: str) -> str:
    """A page of Great Expectations without scripts, and without anything from elsewhere."""
    for gone in (*_GONE, _STYLES):
        page = gone.sub("", page)
    page = _AWAY.sub("", _HOME.sub(f'href="{INDEX}"', page))
    return page.replace("<head>", f"<head>{_POLICY}{_STYLE}", 1)


def list_pages(listed: Sequence[Listed], version: str) -> str:
    """The page that lists the others, the broken ones first."""
    rows = "".join(
        f'<tr><td><a href="{escape(one.page)}">{escape(one.node)}</a></td>'
        f"<td>{escape(one.table)}</td><td>{_outcome(one)}</td></tr>"
        for one in sorted(listed, key=lambda one: (one.met == one.total, one.node, one.table))
    )
    broken = sum(one.met < one.total for one in listed)
    said = f"{broken} of {len(listed)} tables break their contract" if broken else (
        f"All {len(listed)} tables meet their contract"
    )  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_POLICY}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Data quality</title>{_STYLE}</head><body><h1>{said}</h1>"
        f"<p>Checked by Great Expectations {escape(version)}, over the files that models learn "
        "from and are measured with. The verdicts as data are in "
        '<a href="results.json">results.json</a>.</p>'
        "<table><thead><tr><th>Artifact</th><th>Table</th><th>Expectations</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    )


def _outcome(one: Listed) -> str:
    icon = "fa-check-circle" if one.met == one.total else "fa-times"
    return f'<i class="{icon}"></i> {one.met} of {one.total}'


def flatten(built: Path, names: Sequence[str], into: Path) -> None:
    """Writes the page of each suite, as Great Expectations built it, into one folder."""
    for name in names:
        for page in (built / "validations" / name).rglob("*.html"):
            text = offline(page.read_text(encoding="utf-8"))
            (into / f"{name}.html").write_text(text, encoding="utf-8")
