"""Pages of Great Expectations run nothing and load nothing, whatever stands in a row."""

from __future__ import annotations

import pytest

from registry.quality.offline import Listed, list_pages, offline

PAGE = (
    '<html><head><title>t</title></head><body>%s<a href="../../index.html">Home</a></body></html>'
)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<SCRIPT src='https://evil.example/x.js'>\n</SCRIPT >",
        "<script>never closed",
        '<img src="https://evil.example/x.png" onerror="alert(1)">',
        '<iframe src="//evil.example"></iframe>',
        '<link rel="stylesheet" href="https://evil.example/x.css"/>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="https://evil.example">x</a>',
        '<base href="https://evil.example/">',
        "<style>@import url(https://evil.example/x.css)</style>",
    ],
)
def test_nothing_from_elsewhere_is_left(hostile):
    page = offline(PAGE % hostile)
    assert "evil.example" not in page
    assert "alert(1)" not in page
    assert "<script" not in page.lower()
    assert "default-src 'none'" in page


def test_what_a_reader_sees_stays():
    page = offline(PAGE % "<h4>Statistics</h4><p>10 &lt;b&gt; of 10</p>")
    assert "<h4>Statistics</h4><p>10 &lt;b&gt; of 10</p>" in page
    assert '<a href="index.html">Home</a>' in page


def test_the_list_puts_broken_tables_first_and_takes_names_as_names():
    listed = [
        Listed("a.html", "a", "rows.parquet", 3, 3),
        Listed("b.html", "<b>", "rows.parquet", 2, 3),
    ]
    page = list_pages(listed, "1.24")
    assert "1 of 2 tables break their contract" in page
    assert page.index("&lt;b&gt;") < page.index(">a</a>")
    assert "2 of 3" in page
    assert "All 1 tables meet" in list_pages(listed[:1], "1.24")
