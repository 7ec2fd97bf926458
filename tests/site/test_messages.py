"""The catalogues say the same things, and every word that a page asks for is there."""

from __future__ import annotations

import re
import string

import pytest

from registry.errors import ChorusError
from registry.site.fields import FIELDS, FILES, SECTIONS, TABLES
from registry.site.messages import catalogue, catalogues
from registry.site.pages import HERE

ENGLISH = catalogue("en").words


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_is_a_second_language():
    assert set(catalogues()) == {"de", "en"}


@pytest.mark.parametrize("language", ["de"])
def test_both_have_the_same_keys_and_placeholders(language):
    other = catalogue(language).words
    assert set(other) == set(ENGLISH)
    differing = {k for k in ENGLISH if placeholders(ENGLISH[k]) != placeholders(other[k])}
    assert not differing


@pytest.mark.parametrize("language", ["de"])
def test_nothing_was_left_untranslated(language):
    words = catalogue(language).words
    same = {k for k in words if words[k] == ENGLISH[k] and not k.endswith(".example")}
    assert {ENGLISH[key] for key in same} <= {"2", "4", "{table}, {id}"}


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_field_option_and_table_has_words(language):
    words = catalogue(language).words
    asked = [(f"field.{name}", field) for name, field in FIELDS.items()]
    asked += [(f"column.{t.name}.{c.name}", c) for t in TABLES.values() for c in t.columns]
    for key, field in asked:
        assert words[f"{key}.label"]
        for option in field.options:
            assert words[f"{key}.option.{option}.label"]
    assert all(words[f"section.{section.name}.title"] for section in SECTIONS)
    assert all(words[f"file.{name}"] for name in FILES)
    for name in TABLES:
        assert all(words[f"table.{name}.{part}"] for part in ("title", "text", "row", "more"))


def test_every_plain_key_in_a_template_is_there():
    used = set()
    for path in (HERE / "templates").glob("*.html"):
        used |= set(re.findall(r"""\bt\(["']([a-z.-]+)["'][,)]""", path.read_text()))
    assert used
    assert used <= set(ENGLISH)


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(ChorusError, match="does not speak 'xx'"):
        catalogue("xx")
