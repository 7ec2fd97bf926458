"""Every message of the checker can be said in every language, and is the same at every door."""

from __future__ import annotations

import ast
import re
import string
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from registry import (
    consent,
    plain_words,
    profile,
    profile_folder,
    profile_life,
    profile_rows,
    profile_tests,
)
from registry.errors import Place, Problem, UsageError
from registry.floor import floor
from registry.message import ABOUT, Message, about
from registry.profile_tables import SHAPES
from registry.profile_tests import TESTS
from registry.strict_yaml import LACKS, WHOLE
from registry.translation import languages, printed, require_language, said, translated, words

REGISTRY = Path(profile.__file__).parent
OTHERS = [language for language in languages() if language != "en"]
ROWS = {shape.model for shape in (*SHAPES, TESTS)}


@cache
def literals() -> dict[str, str]:
    """Every template that the code makes a message of, and the file that does."""
    found = {}
    for path in REGISTRY.rglob("*.py"):
        if "Message" not in path.read_text():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message":
                first = node.args[0]
                if isinstance(first, ast.Constant) and first.value:
                    found[first.value] = path.name
    return found


@cache
def descriptions() -> set[str]:
    """What the schemas say of each field, as a message gives it for a mend."""
    found = set()
    modules = (consent, profile, profile_life, profile_tests)
    models = {m for module in modules for m in vars(module).values()
              if isinstance(m, type) and issubclass(m, BaseModel) and m.model_fields}  # fmt: skip
    for model in models | ROWS:
        for info in model.model_fields.values():
            text = info.description or ""
            found.add(" ".join(text.split()) if model in ROWS else text.splitlines()[0])
    return found


CONSTANTS = {
    ABOUT, LACKS, WHOLE, plain_words.FOUND, profile_folder.NAMED_OTHERWISE, profile_rows.TOO_FEW,
    *(template for template, _ in plain_words._BOUNDS.values()),
    *(pattern.why for pattern in floor().patterns),
}  # fmt: skip


def placeholders(text: str) -> list[tuple[str, str, str]]:
    parts = string.Formatter().parse(text)
    return sorted((n, s or "", c or "") for _, n, s, c in parts if n is not None)


@pytest.mark.parametrize("language", OTHERS)
class TestCatalogue:
    def test_holds_every_message_of_the_code(self, language):
        lacking = {t: file for t, file in literals().items() if t not in words(language)}
        assert not lacking

    def test_holds_every_template_that_has_a_name_and_every_description(self, language):
        assert not (CONSTANTS | descriptions()) - words(language).keys()

    def test_holds_nothing_that_nobody_says(self, language):
        assert not words(language).keys() - literals().keys() - CONSTANTS - descriptions()

    def test_fills_in_the_same_values_in_the_same_way(self, language):
        filled = {t: other for t, other in words(language).items() if t in literals()}
        differing = {t for t, o in filled.items() if placeholders(t) != placeholders(o)}
        assert not differing

    def test_leaves_nothing_in_english(self, language):
        same = {t for t, other in words(language).items() if t == other}
        assert all(not re.sub(r"\{[^}]*\}", "", template).strip(" :,") for template in same)


class TestMessage:
    def test_is_its_english_text(self):
        message = Message("has {count:,} of {name!r}", count=1200, name="a{b}")
        assert message == "has 1,200 of 'a{b}'"
        assert hash(message) == hash("has 1,200 of 'a{b}'")
        assert said(message, "en") == message

    def test_is_said_with_its_inner_messages_in_the_other_language(self):
        message = about("values", Message("no value has the id {id!r}", id="x"))
        assert said(message, "de") == "values: kein Wert hat die Kennung 'x'"

    @given(st.text())
    def test_a_value_is_never_read_as_a_template(self, text):
        message = about("name", Message(plain_words.FOUND, what=Message("is missing"), given=text))
        assert said(message, "de") == f"name: fehlt (gefunden: {text!r})"

    def test_text_of_others_stays_as_it_is(self):
        assert said("is missing", "de") == "is missing"
        assert said(Message("nobody translated {this}"), "de") == "nobody translated {this}"

    def test_a_problem_keeps_its_place_and_its_snippet(self):
        place = Place("profile.yaml", 3, 1, "id: x")
        problem = Problem(place, Message("is missing"), Message("add the table"))
        assert translated(problem, "de").place == place
        assert printed(problem, "en") == str(problem)
        expected = (
            "profile.yaml:3:1: fehlt\n  3 | id: x\n      ^\n  Abhilfe: ergänzen Sie die Tabelle"
        )
        assert printed(problem, "de") == expected

    def test_a_language_that_is_not_there_is_refused_with_those_that_are(self):
        with pytest.raises(UsageError, match="choose one of: de, en"):
            require_language("xx")
