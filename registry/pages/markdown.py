"""Markdown as HTML: no HTML of its own, no pictures, links to the web only."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from registry.pages.showing import text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"https?://[^\s]+", re.IGNORECASE)
_BROKEN = re.compile(r"&lt;br ?/?&gt;")
_DEEPEST = 6
_LONGEST = 400_000


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    found = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    found.enable("table").disable("image")
    found.validateLink = lambda url: bool(_LINK.fullmatch(url))  # type: ignore[method-assign]
    return found


def render(source: str, below: int = 2) -> Markup:
    """A text as HTML.

    Args:
        source: Markdown, perhaps with front matter, which is left out.
        below: The level of the heading that it stands under; its own headings come below.
    """
    plain = _COMMENT.sub("", _FRONT_MATTER.sub("", source.replace("\r\n", "\n")))
    tokens = _renderer().parse(text(plain, _LONGEST))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_DEEPEST, int(token.tag[1]) + below)}"
        if token.type == "table_open":
            token.attrSet("tabindex", "0")
        if token.type in ("th_open", "td_open") and (style := token.attrGet("style")):
            token.attrs.pop("style")
            token.attrSet("class", str(style).removeprefix("text-align:"))
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("rel", "noreferrer noopener")
    renderer = _renderer()
    html = renderer.renderer.render(tokens, renderer.options, {})
    return Markup(_BROKEN.sub("<br>", html))  # noqa: S704 - the renderer escapes every text
