"""What strangers wrote stays text, and what nobody may publish stays away."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from registry.pages.addresses import node_page, profile_page, release_page
from registry.pages.attachments import _HEAD, _plain
from registry.pages.drawing import MOST, Box, draw
from registry.pages.markdown import render
from registry.pages.samples import sample
from registry.pages.showing import text
from tests.conftest import Folder
from tests.pages.conftest import Read, build, contents
from tests.pages.conftest import text as page_text
from tests.registry.test_withdrawal import ID, LEAVE, SECRET, by_consent, made, withdraw

__all__ = ["by_consent", "made"]
ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](file:///etc/passwd)",
    "![](https://tracker.example/x.png)",
    '<https://x.example/"onmouseover=alert(1)>',
    "</td></table><script src=//evil.example/x.js></script>",
    "{{7*7}} {% include 'x' %} ${7*7}",
)


CARD = """\
---
license: mit
---

# Card

| a | b |
|---|--:|
| 1<br>2 | 3 |

<!-- chorus:notice -->
> **Retired.** Gone.

[web](https://example.org)
"""


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_of_strangers_is_text(attack: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    table = f"| a |\n|---|\n| {attack} |"
    page.write_text(f"<h1>x</h1>{render(attack)}{render(table)}")
    found = Read(page)
    assert found.scripts == []
    assert found.handlers == []
    assert all(link.startswith("https://") for link in found.links)
    assert "<img" not in page.read_text()
    assert "49" not in found.text


def test_markdown_of_ours_keeps_headings_tables_and_links() -> None:
    html = render(CARD)
    assert "<h3>Card</h3>" in html
    assert "license" not in html
    assert '<td class="right">3</td>' in html
    assert "1<br>2" in html
    assert "<strong>Retired.</strong>" in html
    assert "chorus:notice" not in html
    assert 'href="https://example.org" rel="noreferrer noopener"' in html


def test_hidden_characters_are_spelt_out_and_long_texts_cut() -> None:
    assert text("abc\u202edcb\u0000") == "abc\\u202edcb\\u0000"
    assert text("é ü 🎉 עברית") == "é ü 🎉 עברית"
    assert len(text("x" * 900)) == 300
    assert text("x" * 900).endswith("…")


def test_addresses_are_plain_whatever_a_name_holds() -> None:
    assert node_page("dataset", "items@age-22") == "datasets/items/age-22.html"
    assert node_page("model", "index") == "models/index.html"
    assert release_page("a/b", "1.0.0") == "releases/a/b/1.0.0.html"
    for name in ("../../etc", "<script>", "a" * 300, "con.", "ü", "", "a/b", "A", "..", "\udcff"):
        page = profile_page(name)
        assert page.startswith("profiles/x-"), name
        assert len(page) < 40
    assert node_page("dataset", "../x") != node_page("dataset", "../y")


def test_a_drawing_puts_sources_left_and_escapes_names() -> None:
    boxes = [
        Box("<b>", "dataset", "verified", "a.html"),
        Box("model", "model", "broken", here=True),
    ]
    svg = draw(boxes, [("<b>", "model")], "t<i>tle")
    assert "<b>" not in svg
    assert "&lt;b&gt;: dataset, verified" in svg
    assert "t&lt;i&gt;tle" in svg
    assert svg.index("&lt;b&gt;") < svg.index(">model<")
    assert svg.count("<rect") == 2
    assert svg.count('class="arrow"') == 1
    assert 'class="box bad here"' in svg
    assert "style=" not in svg


def test_a_drawing_has_a_layer_for_each_step_and_few_crossings() -> None:
    names = ["a", "b", "c", "d", "end"]
    boxes = [Box(name, "dataset", "verified") for name in names]
    svg = draw(boxes, [("a", "d"), ("b", "c"), ("c", "end"), ("d", "end"), ("a", "end")], "x")
    lefts = {}
    for name in names:
        before = svg[: svg.index(f"<title>{name}:")]
        lefts[name] = svg[len(before) :].split('<rect x="')[1].split('"')[0]
    assert lefts["a"] == lefts["b"] == "2"
    assert lefts["c"] == lefts["d"] == "302"
    assert lefts["end"] == "602"
    assert "H530" in svg  # a's long arrow passes the second layer on a line of its own


def test_a_drawing_survives_a_circle_and_gives_up_where_there_is_too_much() -> None:
    boxes = [Box(name, "dataset", "verified") for name in "abc"]
    assert draw(boxes, [("a", "b"), ("b", "a"), ("c", "a"), ("a", "a")], "x").count("<rect") == 3
    many = [Box(str(n), "dataset", "verified") for n in range(MOST + 1)]
    assert draw(many, [], "x") == ""
    assert draw(many[:MOST], [], "x").count("<rect") == MOST
    assert draw([], [], "x") == ""


def test_samples_show_rows_reasons_and_columns(tmp_path: Path) -> None:
    place = tmp_path / "rejected.parquet"
    rows = [{"row_id": f"r{n}", "reason": "too long" if n else "twin", "words": ["a", None]}
            for n in range(30)]  # fmt: skip
    pl.DataFrame(rows).write_parquet(place)
    found = sample("rejected.parquet", place, rows=True)
    assert found.rejected
    assert found.rows == 30
    assert len(found.shown) == 10
    assert found.shown[0] == ("r0", "twin", "a · ")
    assert found.reasons == (("too long", 29), ("twin", 1))
    assert [(c.name, c.empty, c.distinct) for c in found.columns[:2]] == [
        ("row_id", 0, 30), ("reason", 0, 2),
    ]  # fmt: skip
    hidden = sample("rejected.parquet", place, rows=False)
    assert (hidden.shown, hidden.reasons) == ((), ())
    assert [(c.name, c.empty, c.distinct) for c in hidden.columns[:1]] == [("row_id", None, None)]
    place.write_bytes(b"PAR1 no table PAR1")
    assert sample("rejected.parquet", place, rows=True).unreadable


def test_only_pages_that_forbid_themselves_scripts_come_along() -> None:
    start = (b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
             b'<meta name="viewport" content="width=device-width, initial-scale=1">\n')  # fmt: skip
    policy = (b'<meta http-equiv="Content-Security-Policy" '
              b"content=\"default-src 'none'; style-src 'unsafe-inline'\">")  # fmt: skip
    assert _HEAD.match(start + policy)
    assert not _HEAD.match(start + b"<script>1</script>" + policy)
    assert not _HEAD.match(start + policy.replace(b"'none'", b"*"))
    assert _plain("models/community-sft--age-22.html")
    for path in ("../x.png", "a b.png", "x.png#y", "javascript:x.html", ".x.png", "a//b.png"):
        assert not _plain(path)


def test_words_held_by_consent_are_in_no_file_of_the_site(made: Folder) -> None:
    assert build(made)["verdict"] == "verified"
    site = made.root / "site"
    words = [path for path, raw in contents(site).items() if SECRET.encode() in raw]
    assert words == []
    page = page_text(site, f"datasets/sayings/{ID}.html")
    assert "Its rows are not shown here." in page
    assert "consent of harbour-menders, which does not grant publishing data today" in page
    profile = page_text(site, f"profiles/{ID}.html")
    assert "Say so to register:7" in profile
    assert "Guild of menders" not in profile  # they chose not to be named
    assert "secretary" in profile


def test_after_a_withdrawal_pages_say_erased_and_hold_no_words(made: Folder) -> None:
    build(made)
    withdraw(made, *LEAVE)
    build(made)
    site = made.root / "site"
    assert "Erased" in page_text(site, f"datasets/sayings/{ID}.html")
    assert [path for path, raw in contents(site).items() if SECRET.encode() in raw] == []


def test_hostile_names_and_values_are_escaped_on_every_page(released: Folder) -> None:
    attack = "</title><script>alert(1)</script>\u202e" + "x" * 300 + "🎉"
    manifest = released.root / "data/words/manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"licence": "CC0-1.0"', f'"licence": "{attack}"')
        .replace("Every row is numbered once.", attack)
    )  # fmt: skip
    released.edit("registry/datasets/words.yaml", "Some words, the same for every community.",
                  "Some words <script>alert(2)</script> &amp; javascript:alert(3)")  # fmt: skip
    pl.DataFrame({"<b>id": [attack], "=cmd": ["<svg onload=alert(4)>"]}).write_parquet(
        released.root / "data/letters/age-22-34/files/words.parquet"
    )
    build(released)
    site = released.root / "site"
    for path in site.rglob("*.html"):
        found = Read(path)
        assert [one for one in found.scripts if one not in ("search-index.js", "search.js")] == []
        assert found.handlers == []
        assert "<script>alert" not in path.read_text()
        assert "\u202e" not in path.read_text()
    assert "<script" not in (site / "search-index.js").read_text()
    assert "Broken" in page_text(site, "datasets/words.html")


def test_a_sensitive_profile_shows_neither_who_nor_rows(released: Folder) -> None:
    released.edit("value_profiles/age-22-34/profile.yaml", "schema_version: 1", "schema_version: 2")
    profile = released.root / "value_profiles/age-22-34/profile.yaml"
    lines = profile.read_text().replace("source:\n", "sources:\n  -\n").split("\n")
    inside, done = False, []
    for line in lines:
        inside = line == "  -" or (inside and line.startswith("  "))
        done.append(f"  {line}" if inside and line != "  -" else line)
    more = "sensitive: [health]\nlicence: CC-BY-4.0\nattribution: named\nmodes: [distributional]\n"
    profile.write_text("\n".join(done) + more)
    build(released)
    site = released.root / "site"
    shown = page_text(site, "profiles/age-22-34.html")
    assert "grouped by something that can endanger them" in shown
    for hidden in ("health", "respondents aged 22-34", "1,310"):
        assert hidden not in shown
    assert "respondents aged 22-34" not in page_text(site, "profiles.html")
    assert "respondents aged 22-34" not in (site / "search-index.js").read_text()
    assert "could be endangered" in page_text(site, "models/count/age-22-34.html")
