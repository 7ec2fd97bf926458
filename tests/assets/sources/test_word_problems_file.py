"""Word problems from files as GSM8K is handed out; every sentence is made up here."""

from __future__ import annotations

import json

import pytest

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import word_problems_file
from assets.sources.word_problems_file import Params
from registry.errors import MethodError, UsageError


def make(build, folder, lines, **params):
    (folder / "p").mkdir(exist_ok=True)
    path = folder / "p/test.jsonl"
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in lines))
    context = build(Params(**({"path": "p"} | params)), root=folder)
    word_problems_file.run(context)
    return context.out


def test_problems_and_their_numbers(build, tmp_path):
    out = make(build, tmp_path, [
        ("Two nets and two?", "2 and 2 is <<2+2=4>>4.\n#### 4"),
        ("Many fish?", "All.\n#### 1,200"),
        ("Half a loaf?", "#### -0.5"),
        ("Cost?", "#### $18"),
        ("Two nets and two?", "Four. #### 4.0"),
    ])  # fmt: skip
    rows = read_rows(out / ROWS).to_dicts()
    assert [row["number"] for row in rows] == ["4", "1200", "-1/2", "18"]
    assert rows[0]["completion"] == "2 and 2 is 4.\n#### 4"
    assert rows[0]["source"] == "p/test.jsonl"
    assert read_rows(out / REJECTED)["reason"].to_list() == ["the same problem came before"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("Q", "Four."), "p/test.jsonl:1: 'answer' does not end with '#### number'"),
        (("Q", "#### four"), "ends with 'four', which is no number"),
        (("Q", "#### 4 fish"), "ends with '4 fish', which is no number"),
        (("Q", "#### 1/0"), "ends with '1/0', which is no number"),
        (("", "#### 4"), "'question' is empty"),
        (("Q", None), "does not end with"),
        (("Q", 4), "'answer' is int, not text"),
    ],
)
def test_wrong_lines_are_named(build, tmp_path, row, said):
    with pytest.raises(UsageError) as caught:
        make(build, tmp_path, [row])
    assert said in str(caught.value)


def test_an_empty_file_and_too_long_rows(build, tmp_path):
    with pytest.raises(MethodError, match="no problem can be used"):
        make(build, tmp_path, [])
    with pytest.raises(MethodError, match="longer than 20 characters"):
        make(build, tmp_path, [("Q" * 30, "#### 4")], limits={"characters": 20})
