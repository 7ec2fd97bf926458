"""Strangers write these files: nothing is guessed, and every refusal names its place."""

from __future__ import annotations

import os
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from registry.errors import ProblemsError
from registry.strict_yaml import MAX_BYTES, MAX_DEPTH, Document, parse, read, typed
from registry.typed import Frozen


def parsed(text: str | bytes) -> Document:
    document, problems = parse(text.encode() if isinstance(text, str) else text, "file.yaml")
    assert not problems, [str(problem) for problem in problems]
    assert document is not None
    return document


def refusal(text: str | bytes) -> str:
    """The one problem of a file that is refused, as a reader sees it."""
    document, problems = parse(text.encode() if isinstance(text, str) else text, "file.yaml")
    assert document is None
    assert len(problems) == 1, [str(problem) for problem in problems]
    return str(problems[0])


class TestScalars:
    @pytest.mark.parametrize(
        "written",
        ["NO", "no", "yes", "on", "true", "null", "~", "1.10", "012", "0x1F", "0o17", "1e3",
         "1_000", ".inf", ".nan", "12:30:45", "2026-11-23", "<<", "=", "1.0.0"],
    )  # fmt: skip
    def test_stay_the_text_that_stands_there(self, written):
        assert parsed(f"key: {written}").data == {"key": written}
        assert parsed(f"{written}: value").data == {written: "value"}

    def test_stay_text_in_lists_and_quotes(self):
        assert parsed("[NO, 'NO', \"012\"]").data == ["NO", "NO", "012"]

    def test_become_what_a_type_asks_for(self):
        class Wanted(Frozen):
            flag: bool
            number: int
            ratio: float
            version: str

        document = parsed("{flag: NO, number: 012, ratio: 1.10, version: 1.10}")
        wanted, problems = typed(Wanted, document)
        assert problems == []
        assert wanted == Wanted(flag=False, number=12, ratio=1.1, version="1.10")

    def test_nothing_is_an_empty_text(self):
        assert parsed("key:").data == {"key": ""}

    def test_block_text_keeps_its_lines(self):
        assert parsed("key: |\n  one\n  two\n").data == {"key": "one\ntwo\n"}

    def test_a_merge_key_merges_nothing(self):
        assert parsed("<<: {a: b}").data == {"<<": {"a": "b"}}


class TestPlaces:
    def test_count_lines_and_columns_from_one(self):
        document = parsed("first: 1\nsecond:\n  - a\n  - deep: b\n")
        assert str(document.place(("first",))) == "file.yaml:1:1"
        assert str(document.place(("second", 1))) == "file.yaml:4:5"
        assert str(document.place(("second", 1, "deep"))) == "file.yaml:4:5"
        assert document.place(("second", 1)).text == "  - deep: b"

    def test_of_an_absent_key_are_those_of_what_should_hold_it(self):
        document = parsed("outer:\n  inner: 1\n")
        assert str(document.place(("outer", "absent", "deeper"))) == "file.yaml:1:1"
        assert str(document.place(("absent",))) == "file.yaml:1:1"

    @pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
    def test_hold_with_every_line_break(self, line_break):
        document = parsed(line_break.join(["a: 1", "b: 2", "c: 3"]))
        assert document.place(("c",)).line == 3
        assert document.place(("c",)).text == "c: 3"

    def test_count_characters_and_not_bytes(self):
        assert parsed("{é: 日本, b: 1}").place(("b",)).column == 9

    def test_are_not_moved_by_a_byte_order_mark(self):
        document = parsed(b"\xef\xbb\xbfname: x")
        assert document.data == {"name": "x"}
        assert document.place(("name",)).column == 1


class TestDuplicates:
    def test_are_refused_where_the_second_stands(self):
        assert refusal("a: 1\nb: 2\na: 3\n").startswith("file.yaml:3:1: has the key 'a' twice")

    def test_are_refused_in_nested_and_flow_mappings(self):
        assert refusal("x:\n  a: 1\n  a: 2\n").startswith("file.yaml:3:3: has the key 'a' twice")
        assert refusal("x: {a: 1, a: 2}").startswith("file.yaml:1:11: has the key 'a' twice")

    def test_are_seen_through_quotes_and_escapes(self):
        assert "twice" in refusal("a: 1\n'a': 2\n")
        assert "twice" in refusal('a: 1\n"\\x61": 2\n')

    def test_in_different_mappings_are_none(self):
        assert parsed("[{a: 1}, {a: 2}]").data == [{"a": "1"}, {"a": "2"}]


BILLION_LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


class TestIndirection:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("a: &x 1", "1:4"),
            ("a: 1\nb: *x", "2:4"),
            ("&x a: 1", "1:1"),
            ("*x : 1", "1:1"),
            ("a: &x [1]", "1:4"),
            ("a: &x {b: 1}", "1:4"),
            ("- *x", "1:3"),
            (BILLION_LAUGHS, "1:5"),
        ],
    )
    def test_anchors_and_aliases_are_refused(self, text, place):
        assert refusal(text).startswith(f"file.yaml:{place}: uses an anchor or alias (& or *)")

    @pytest.mark.parametrize(
        ("text", "tag", "place"),
        [
            ("a: !!python/object/apply:os.system [id]", "tag:yaml.org,2002:python", "1:4"),
            ("a: !!int 1", "tag:yaml.org,2002:int", "1:4"),
            ("a: !local {b: 1}", "!local", "1:4"),
            ("a: ! 1", "!", "1:4"),
            ("!!binary YQ==: 1", "tag:yaml.org,2002:binary", "1:1"),
        ],
    )
    def test_tags_are_refused(self, text, tag, place):
        assert refusal(text).startswith(f"file.yaml:{place}: uses the tag {tag}")

    def test_a_list_as_a_key_is_refused(self):
        assert "uses a list or mapping as a key" in refusal("? [a]\n: 1")


class TestLimits:
    def test_the_largest_file_is_read(self):
        text = "a: " + "x" * (MAX_BYTES - 3)
        assert parsed(text).data == {"a": "x" * (MAX_BYTES - 3)}

    def test_a_larger_one_is_refused(self):
        assert "is larger than 262,144 bytes" in refusal("a: " + "x" * (MAX_BYTES - 2))

    def test_the_deepest_file_is_read(self):
        data = parsed("[" * MAX_DEPTH + "x" + "]" * MAX_DEPTH).data
        for _ in range(MAX_DEPTH):
            (data,) = data
        assert data == "x"

    def test_a_deeper_one_is_refused(self):
        message = refusal("[" * (MAX_DEPTH + 1) + "x" + "]" * (MAX_DEPTH + 1))
        assert message.startswith("file.yaml:1:26: is nested deeper than 24 levels")

    @pytest.mark.parametrize("opener", ["[", "{a: ", "- ", "? "])
    def test_endless_nesting_neither_crashes_nor_floods_the_message(self, opener):
        assert len(refusal(opener * (MAX_BYTES // len(opener)))) < 600


class TestDocuments:
    @pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "\ufeff"])
    def test_an_empty_file_is_refused(self, text):
        assert "is empty" in refusal(text)

    def test_a_second_document_is_refused(self):
        assert refusal("a: 1\n---\nb: 2\n").startswith("file.yaml:2:1: holds a second document")

    def test_a_marked_start_is_fine(self):
        assert parsed("%YAML 1.2\n---\na: 1\n...\n").data == {"a": "1"}

    @pytest.mark.parametrize("raw", [b"a: \xff", "a: é".encode("latin-1"), "a: b".encode("utf-16")])
    def test_other_encodings_are_refused(self, raw):
        assert "is not UTF-8 text" in refusal(raw)

    def test_other_encodings_are_refused_with_their_line(self):
        assert refusal(b"a: 1\nb: \xe9\n").startswith("file.yaml:2: is not UTF-8 text")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: b: c", "1:5: is not valid YAML: mapping values are not allowed"),
            ("a: 1\n\tb: 2", "2:1: is not valid YAML: found a tab character"),
            ('a: "x', "1:6: is not valid YAML: found unexpected end of stream"),
            ("a: [1,\nb: 2\n", "3:1: is not valid YAML: did not find expected ',' or ']'"),
            ("a: 1\n  b: 2\n", "2:4: is not valid YAML: mapping values are not allowed"),
            ('a: "\\q"', "1:5: is not valid YAML: found unknown escape character"),
            ('a: "\\ud800"', "1:7: is not valid YAML: found invalid Unicode character"),
        ],
    )
    def test_wrong_syntax_is_refused_with_its_place(self, text, message):
        assert refusal(text).startswith(f"file.yaml:{message}")


HIDDEN = {
    "a bell": "\x07",
    "an escape for terminals": "\x1b",
    "nothing": "\x00",
    "a file separator": "\x1c",
    "a form feed": "\x0c",
    "a next line": "\x85",
    "a line separator": "\u2028",
    "a direction override": "\u202e",
    "a direction isolate": "\u2066",
    "a direction mark": "\u200f",
    "a zero-width space": "\u200b",
    "a byte order mark within": "\ufeff",
    "a tag that smuggles text": "\U000e0041",
    "no character": "\ufffe",
}


class TestInvisibleCharacters:
    @pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
    def test_are_refused_and_not_printed(self, character):
        message = refusal(f"first: 1\nkey: ab{character}c\n")
        wanted = f"file.yaml:2:8: holds the invisible character U+{ord(character):04X}\n"
        assert message.startswith(wanted)
        assert "  2 | key: ab\ufffdc\n" in message
        assert character not in message

    @pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
    def test_are_refused_as_escapes_too(self, character):
        message = refusal(f'key: "ab\\U{ord(character):08X}"')
        assert "1:6: holds the invisible character" in message
        assert "as an escape" in message

    def test_are_refused_as_escapes_in_keys(self):
        assert "1:1: holds the invisible character U+202E" in refusal('"a\\u202e": 1')

    def test_do_not_hide_behind_another(self):
        assert "\x1b" not in refusal("a: \x00\x1b[31m")

    @pytest.mark.parametrize(
        "text",
        [
            "می\u200cخواهم",  # noqa: RUF001
            "👩\u200d🔬",
            "क्\u200dष",
            "\u0600١٢",  # noqa: RUF001
            "日本語",
            "tab\tin a line",
            "naïve",
        ],
    )
    def test_that_writing_needs_are_kept(self, text):
        assert parsed(f"key: {text}").data == {"key": text}


class TestDecomposedLetters:
    def test_are_refused(self):
        message = refusal("ok: é\nkey: e\u0301\n")
        assert message.startswith("file.yaml:2:1: holds letters in decomposed form")

    def test_are_refused_as_escapes(self):
        assert "1:6: holds letters in decomposed form" in refusal('key: "e\\u0301"')


class TestReading:
    def test_gives_the_document(self, tmp_path):
        (tmp_path / "file.yaml").write_text("a: é\n", encoding="utf-8")
        document, problems = read(tmp_path / "file.yaml", "shown.yaml")
        assert problems == []
        assert document is not None
        assert (document.data, document.path) == ({"a": "é"}, "shown.yaml")

    def test_stops_at_the_size_limit(self, tmp_path):
        with (tmp_path / "sparse.yaml").open("wb") as stream:
            stream.truncate(1 << 40)
        (problem,) = read(tmp_path / "sparse.yaml", "sparse.yaml")[1]
        assert problem.what == "is larger than 262,144 bytes"

    def test_a_missing_file_is_a_problem(self, tmp_path):
        document, problems = read(tmp_path / "absent.yaml", "absent.yaml")
        assert document is None
        assert str(problems[0]) == (
            "absent.yaml: cannot be read: No such file or directory\n"
            "  mend: check that the file exists and is readable"
        )

    def test_a_folder_is_a_problem(self, tmp_path):
        assert "is not a plain file" in str(read(tmp_path, "folder")[1][0])

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "secret").write_text("password: 1: 2\n")
        (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
        document, problems = read(tmp_path / "link.yaml", "link.yaml")
        assert document is None
        assert "is not a plain file" in str(problems[0])
        assert "password" not in str(problems[0])

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.yaml")
        assert "is not a plain file" in str(read(tmp_path / "pipe.yaml", "pipe.yaml")[1][0])


class Inner(Frozen):
    size: int = Field(default=1, ge=1)
    """How large it is."""


class Outer(Frozen):
    """A specification for these tests."""

    name: str = Field(min_length=3)
    """What it is called."""
    inner: Inner = Inner()
    """One part."""
    parts: tuple[Inner, ...] = ()
    """More parts."""


BROKEN = """\
nam: thing
inner:
  size: none
parts:
  - {size: 2}
  - {sise: 3}
"""

GOLDEN_TYPED = """\
file.yaml:1:1: has the unknown key 'nam'
  1 | nam: thing
      ^
  mend: did you mean 'name'?

file.yaml:1:1: lacks the key 'name'
  1 | nam: thing
      ^
  mend: add `name:` (What it is called.)

file.yaml:3:3: inner.size: must be a whole number \
(found 'none')
  3 |   size: none
        ^
  mend: How large it is.

file.yaml:6:6: has the unknown key 'sise'
  6 |   - {sise: 3}
           ^
  mend: did you mean 'size'?

4 things to fix"""

GOLDEN_DUPLICATE = """\
file.yaml:3:3: has the key 'uses' twice
  3 |   uses: [evaluate]
        ^
  mend: keep one of the two

1 thing to fix"""

GOLDEN_HIDDEN = """\
file.yaml:1:9: holds the invisible character U+202E
  1 | name: ab\ufffddc
              ^
  mend: delete that character

file.yaml:3:1: holds letters in decomposed form
  3 | city: Orle\u0301ans
      ^
  mend: save the file in Unicode NFC

2 things to fix"""


class TestMessages:
    def test_name_the_key_the_place_and_the_mend(self):
        problems = typed(Outer, parsed(BROKEN))[1]
        assert str(ProblemsError(problems)) == GOLDEN_TYPED

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("consent:\n  uses: [train-sft]\n  uses: [evaluate]\n", GOLDEN_DUPLICATE),
            ("name: ab\u202edc\nok: 1\ncity: Orle\u0301ans\n", GOLDEN_HIDDEN),
        ],
    )
    def test_show_the_line_with_a_caret(self, text, message):
        problems = parse(text.encode(), "file.yaml")[1]
        assert str(ProblemsError(problems)) == message

    def test_put_the_caret_right_below_a_tab(self):
        message = refusal("{a:\t1, a: 2}")
        _, line, caret, _ = message.split("\n")
        assert line == "  1 | {a:\t1, a: 2}"
        assert caret == "         \t   ^"

    def test_show_a_window_of_a_very_long_line(self):
        message = refusal("{" + ", ".join(f"key{i}: 1" for i in range(1000)) + ", key7: 2}")
        _, line, caret, _ = message.split("\n")
        assert len(line) < 200
        assert line[len(caret) - 1 :].startswith("key7: 2")

    def test_show_no_line_where_it_is_empty(self):
        place, mend = refusal("a: [\n").split("\n")
        assert place.startswith("file.yaml:2:1: is not valid YAML")
        assert mend.startswith("  mend: ")

    def test_shorten_a_very_long_value(self):
        problems = typed(Inner, parsed(f"size: {'x' * 10_000}"))[1]
        assert "(found '" + "x" * 79 + "…')" in problems[0].what

    def test_stand_in_the_order_of_the_file(self):
        problems = typed(Outer, parsed(BROKEN))[1]
        assert str(ProblemsError(reversed(problems))) == GOLDEN_TYPED


VISIBLE = st.characters(
    exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
) | st.sampled_from("\n\t\u200d: #'\"-?[]{}&*!|>%@`")
TEXT = st.text(VISIBLE, max_size=30).map(lambda text: unicodedata.normalize("NFC", text))
DATA = st.recursive(
    TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


class WithoutAnchors(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@given(DATA, st.sampled_from(["'", '"']), st.booleans())
def test_what_is_written_in_quotes_is_read_back(data, style, plain_unicode):
    text = yaml.dump(data, Dumper=WithoutAnchors, default_style=style, allow_unicode=plain_unicode)
    assert parsed(text).data == data


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_refused_with_a_problem(raw):
    document, problems = parse(raw, "file.yaml")
    assert (document is None) == bool(problems)
