"""A small project with something to show: made, recorded and released by the toy methods."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import Folder, trust_a_new_key

NODE, TAG = "count@age-22-34", "count/age-22-34@v1.0.0"
RELEASE_PAGE = "releases/count/age-22-34/1.0.0.html"
TOY = ("--override", "A toy: it counts, and answers nobody.", "--by", "maintainer:7")


@pytest.fixture(scope="session")
def _released_template(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("released"))
    folder.chorus("make", "--all")
    signed = trust_a_new_key(folder)
    folder.run("git", "add", "--all")
    folder.run("git", "commit", "--quiet", "--message", "Made")
    folder.chorus("release", NODE, "--version", "1.0.0", *TOY, *signed)
    return folder


@pytest.fixture
def released(_released_template: Folder, tmp_path: Path) -> Folder:
    """A toy project in which everything is made, recorded and committed, and one model released."""
    return _released_template.copied(tmp_path)


class Read(HTMLParser):
    """What a page holds: its links, its scripts, its text, and whether its elements fit."""

    _VOID = ("meta", "link", "img", "input", "br", "path", "hr")

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.page, self.open = page, list[str]()
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.styled: list[str] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(page.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [], f"{page}: {self.open} are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                (self.scripts if tag == "script" else self.links).append(value)
            if name == "id":
                self.ids.append(str(value))
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "style":
                self.styled.append(tag)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"{self.page}: </{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        """All its text in one line."""
        return " ".join(" ".join(self.words).split())

    def targets(self) -> Iterator[Path]:
        """The files that its links lead to."""
        for link in [*self.links, *self.scripts]:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("http", "https"), link
            elif parts.path:
                yield (self.page.parent / unquote(parts.path)).resolve()


def text(site: Path, page: str) -> str:
    """The text of a page."""
    return Read(site / page).text


def build(folder: Folder, *more: str, expect: int = 0) -> dict[str, object]:
    """Builds the site as its user does."""
    done = folder.chorus("site", "build", *more, "--json", expect=expect)
    found: dict[str, object] = done.json if expect == 0 else {"said": done.err}
    return found


def contents(site: Path) -> dict[str, bytes]:
    """Every page and file of a site, without what it remembers for the next build."""
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in sorted(site.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
