"""One row leaves a table; every byte of the others stays."""

from __future__ import annotations

import json

import pytest

from registry.profile_tables import EXAMPLES, GUIDANCE, NORMS, OPINIONS, VALUES, parse_table
from registry.table_rows import without, without_reference

HEAD = b"id,statement,rationale,strength,agreement,n,dissent\n"


@pytest.mark.parametrize(
    "others",
    [
        b"one,Mend first,,5,0.9,42,\n",
        b'one,"Mend, then\nsew",,5,0.9,42,\n',
        b'one,"says ""no""",,5,0.9,42,\r\n',
        b"\xc3\xa9t\xc3\xa9,x,,5,0.9,42,\n\n",
    ],
    ids=["plain", "two lines", "quotes and CRLF", "a blank line"],
)
def test_only_the_row_goes(others):
    gone = b'two,"Share\ntools",,4,0.8,42,\n'
    assert without(HEAD + others + gone, VALUES, "two") == HEAD + others
    assert without(HEAD + gone + others, VALUES, "two") == HEAD + others
    assert without(HEAD + others, VALUES, "two") == HEAD + others


def test_a_byte_order_mark_and_a_missing_last_newline_stay():
    raw = b"\xef\xbb\xbf" + HEAD + b"two,Share,,4,0.8,42,\none,Mend,,5,0.9,42,"
    assert without(raw, VALUES, "two") == b"\xef\xbb\xbf" + HEAD + b"one,Mend,,5,0.9,42,"


def test_a_part_of_an_id_is_another_id():
    raw = HEAD + b"one-a,Mend,,5,0.9,42,\n"
    assert without(raw, VALUES, "one") == raw


def test_of_opinions_every_option_of_the_item_goes():
    head = b"item,option,position,count,share,n,n_effective,mark\n"
    rows = [b"q1,Yes,1,60,0.6,100,90,\n", b"q2,Yes,1,50,1,50,50,\n", b"q1,No,2,40,0.4,100,90,\n"]
    assert without(head + b"".join(rows), OPINIONS, "q1") == head + rows[1]


def test_lines_of_json_keep_their_own_spelling():
    one = '{"id":"one",  "prompt": "a\u2028b"}\n'.encode()
    two = b'{"prompt": "c", "id": "two"}\n'
    assert without(one + two, EXAMPLES, "two") == one
    assert without(one + two, EXAMPLES, "one") == two


def test_a_reference_is_struck_and_the_rest_of_the_row_is_the_same():
    raw = b'id,when,prefer,avoid,values\na-1,"When, then",Mend it,,one two\nb-2,x x,y y,,three\n'
    struck = without_reference(raw, GUIDANCE, "two")
    assert struck == raw.replace(b"one two", b"one")
    assert [row.values for row in parse_table(struck, "x", GUIDANCE).rows] == [("one",), ("three",)]
    line = {"id": "e", "prompt": "p", "values": ["one", "two"]}
    raw = json.dumps(line).encode() + b"\n"
    assert json.loads(without_reference(raw, EXAMPLES, "one"))["values"] == ["two"]
    assert without_reference(raw, NORMS, "one") == raw
