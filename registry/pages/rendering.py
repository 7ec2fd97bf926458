"""Templates of ours filled with escaped text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from registry.pages.addresses import back, node_page, profile_page
from registry.pages.library import Library
from registry.pages.showing import text

HERE = Path(__file__).parent
ASSETS = ("style.css", "search.js")
POLICY = (
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a browser may load for a page: files that lie beside it. Browsers differ in whether a file
on a disk is `'self'`, so `file:` is named too; from a web server it grants nothing."""
ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The same for a page that is one file."""
_STEP, _LARGE = 1000, 100
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Page:
    """One page of the site."""

    path: str
    causes: Any
    """Everything that it shows depends on, as JSON; it is written anew when this changes."""
    render: Callable[[], str]


@dataclass(frozen=True)
class Links:
    """Ways from one page to the pages of nodes and profiles."""

    library: Library
    page: str
    """The page that they lead from."""

    def node(self, node_id: str) -> str:
        """The way to a node's page; nothing where it has none."""
        item = self.library.items.get(node_id)
        return back(self.page) + item.page if item else ""

    def profile(self, community: str) -> str:
        """The way to a profile's page; nothing where it has none."""
        return (
            back(self.page) + profile_page(community) if community in self.library.profiles else ""
        )


@dataclass(frozen=True)
class NoLinks:
    """Ways from a page that stands alone: there are none."""

    def node(self, _node_id: str) -> str:
        """Nothing."""
        return ""

    def profile(self, _community: str) -> str:
        """Nothing."""
        return ""


def size(count: int) -> str:
    """Bytes in words: 538 MB."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return (
        f"{value:.0f} {_UNITS[unit]}"
        if unit == 0 or value >= _LARGE
        else (f"{value:.3g} {_UNITS[unit]}")
    )


def number(value: float) -> str:
    """A figure with as many digits as a reader compares."""
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:,.1f}"


def plainly(value: Any) -> str:
    """A parameter as a reader of YAML knows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"shown": text, "size": size, "number": number, "plainly": plainly}
    found.globals |= {"node_page": node_page, "profile_page": profile_page}
    return found


def render(template: str, page: str, **values: Any) -> str:
    """A page of the site."""
    found = _environment().get_template(template)
    return found.render(to=back(page), page=page, policy=POLICY, alone=False, **values)


def render_alone(template: str, **values: Any) -> str:
    """A page that is one file."""
    from markupsafe import Markup

    style = Markup((HERE / "static" / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    found = _environment().get_template(template)
    return found.render(to="", page="", policy=ALONE, alone=True, style=style, **values)
