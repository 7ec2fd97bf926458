"""Sentences, and the arithmetic of coverage, by known answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.evaluation.overton_coverage import Coverage, coverage, pair, sentences

VIEWS = [("v1", "because 1"), ("v2", "because 2"), ("v3", None)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("- First.\n- Second", ["First.", "Second"]),
        ("1. First\n2) Second\n(3) Third", ["First", "Second", "Third"]),
        ("## Head\n\nText.", ["Head", "Text."]),
        ("Dr. Who came, e.g. at 3.5 p.m. today.", ["Dr. Who came, e.g. at 3.5 p.m. today."]),
        ('"Yes!" he said. "No."', ['"Yes!" he said.', '"No."']),
        ("Really (yes?) it is.", ["Really (yes?) it is."]),
        ("", []),
        ("...\n---\n", []),
        ("   ", []),
    ],
)
def test_sentences_of_responses(text, found):
    assert sentences(text) == found


@given(st.text())
def test_no_text_breaks_it_and_no_letter_is_lost(text):
    def letters(one):
        return [c for c in one if c.isalpha()]

    assert letters("".join(sentences(text))) == letters(text)


def test_a_sentence_is_the_premise_and_in_the_published_form_what_is_asked():
    assert pair("covered", "s", "v", "e") == ("s", "v")
    assert pair("topic", "s", "v", "e") == ("s", "v")
    assert pair("published", "s", "v", "e") == ("e", "s")
    assert pair("published", "s", "v", None) == ("v", "s")


def test_the_best_sentence_counts_for_each_view():
    scores = {("a", "v1"): 0.9, ("b", "v1"): 0.2, ("a", "v2"): 0.1, ("b", "v2"): 0.4,
              ("a", "v3"): 0.5, ("b", "v3"): 0.5}  # fmt: skip
    found = coverage(scores, "covered", ["a", "b"], VIEWS, 0.5)
    assert found.best == (0.9, 0.4, 0.5)
    assert found.at == (0, 1, 0)
    assert found.covered == (True, False, False)  # above, not at, the threshold
    assert found.mean == pytest.approx(0.6)
    assert found.share == pytest.approx(1 / 3)


def test_the_published_form_reads_explanations():
    scores = {("because 1", "a"): 0.34, ("because 2", "a"): 0.33, ("v3", "a"): 0.0}
    assert coverage(scores, "published", ["a"], VIEWS, 0.33).covered == (True, False, False)


def test_an_empty_response_covers_nothing():
    found = coverage({}, "covered", [], VIEWS, 0.5)
    assert (found.best, found.at, found.share) == ((0, 0, 0), (None, None, None), 0)


def test_weights_are_prevalences():
    found = Coverage(best=(1, 0, 1), at=(0, 0, 0), covered=(True, False, True))
    assert found.weighted([0.6, 0.3, 0.1]) == pytest.approx(0.7)
    assert found.weighted([1, 1, 1]) == pytest.approx(found.share)
    # views that many hold at once need not sum to 1
    assert found.weighted([0.8, 0.8, 0.0001]) == pytest.approx(0.8001 / 1.6001)
