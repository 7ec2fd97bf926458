"""A page as Markdown, with its pictures beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from assets.evaluation.report_document import Block, Cell, Document, Picture, Points, Table, Text
from registry.card import plain


def markdown(document: Document) -> str:
    """The page; strangers' words stand in it as text and nothing else."""
    return "\n".join(_lines(document)).rstrip("\n") + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield from (plain(document.about), "", f"# {plain(document.title)}", "")
    for one in document.answers:
        yield from (f"**{plain(one.question)}** {plain(one.answer)}", "")
    for line in document.speaks:
        yield from (f"> {plain(line)}", "")
    for block in document.first:
        yield from _block(block, document.name)
    for section in document.sections:
        yield from (f"## {plain(section.title)}", "")
        for block in section.blocks:
            yield from _block(block, document.name)
    if document.others:
        yield from ("## Other pages", "")
        yield from (f"- [{plain(title)}]({link}.md)" for title, link in document.others)


def _block(block: Block, page: str) -> Iterator[str]:
    match block:
        case Text():
            yield from (plain(block.text), "")
        case Points():
            yield from (f"- {plain(line)}" for line in block.lines)
            yield ""
        case Picture():
            up = "../" * (len(PurePosixPath(page).parts) - 1)
            yield from (f"![{plain(block.says)}]({up}{block.name}.png)", "")
            yield from (plain(block.caption), "")
        case Table():
            yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {plain(table.caption)}", "")
    yield "| " + " | ".join(plain(name) for name in table.header) + " |"
    yield "|" + "---|" * len(table.header)
    for row in table.rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""
    if table.note:
        yield from (plain(table.note), "")


def _cell(cell: Cell) -> str:
    text = plain(cell.text)
    if cell.link:
        text = f"[{text}]({cell.link}.md)"
    elif cell.tone in ("good", "bad"):
        text = f"**{text}**"
    return f"{text}<br>{plain(cell.more)}" if cell.more else text


def in_short(document: Document) -> str:
    """The answers and the first table, for places that show a few lines."""
    tables = [block for block in document.first if isinstance(block, Table)]
    lines = [f"**{plain(one.question)}** {plain(one.answer)}\n" for one in document.answers]
    for table in tables[:1]:
        bare = tuple(tuple(replace(cell, link="") for cell in row) for row in table.rows)
        lines += _table(replace(table, rows=bare))
    return "\n".join(lines).rstrip("\n") + "\n"
