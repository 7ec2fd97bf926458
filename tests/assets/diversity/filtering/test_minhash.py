"""Signatures estimate Jaccard similarity, and near repetition is found by them."""

from __future__ import annotations

import time

import datasketch
import numpy as np
import polars as pl
import pytest

from assets.diversity.filtering import minhash, shingles


def pair(shared: int, own: int) -> tuple[str, str]:
    """Two texts of single-word sequences with Jaccard similarity shared / (shared + 2 own)."""
    common = [f"common{i}" for i in range(shared)]
    return tuple(
        " ".join([*common, *(f"{who}{i}" for i in range(own))]) for who in ("left", "right")
    )


def signed(texts: list[str], words: int = 1, permutations: int = 128, seed: int = 1):
    plain = shingles.normalised(pl.Series(texts)).to_list()
    found = shingles.sequences(shingles.words(plain), words, short=True)
    return minhash.signatures(found, permutations, seed)


@pytest.mark.parametrize(("shared", "own"), [(10, 45), (60, 20), (50, 25), (90, 5), (400, 50)])
@pytest.mark.parametrize("permutations", [128, 512])
def test_the_estimate_lies_within_three_standard_errors(shared, own, permutations) -> None:
    true = shared / (shared + 2 * own)
    first, second = signed(list(pair(shared, own)), permutations=permutations)
    margin = 3 * np.sqrt(true * (1 - true) / permutations)
    assert abs((first == second).mean() - true) <= margin


def test_the_estimate_is_unbiased_with_the_stated_variance() -> None:
    texts, true = list(pair(60, 20)), 0.6
    found = [(a == b).mean() for a, b in (signed(texts, seed=s) for s in range(400))]
    assert np.mean(found) == pytest.approx(true, abs=3 * np.sqrt(0.24 / 128 / 400))
    assert np.var(found) == pytest.approx(0.24 / 128, rel=0.25)


def test_estimates_agree_with_those_of_datasketch_within_both_errors() -> None:
    texts = list(pair(70, 15))
    ours = np.mean([(a == b).mean() for a, b in [signed(texts, permutations=1024)]])
    sketches = []
    for text in texts:
        sketch = datasketch.MinHash(num_perm=1024)
        sketch.update_batch([word.encode() for word in text.split()])
        sketches.append(sketch)
    assert ours == pytest.approx(sketches[0].jaccard(sketches[1]), abs=6 * np.sqrt(0.21 / 1024))


def test_signatures_do_not_depend_on_the_texts_beside() -> None:
    texts = ["one two three four five six", "", "seven", "eight nine " * 40_000, "ten eleven"]
    together = signed(texts, words=3)
    for index, text in enumerate(texts):
        assert (together[index] == signed([text], words=3)[0]).all()


def test_a_text_without_words_is_like_no_other() -> None:
    found = signed(["", "  \n", "word"])
    assert (found[:2] == minhash.EMPTY).all()
    assert (
        minhash.nearest_kept(found, np.arange(3), np.ones(3, bool), 0.8).score.tolist() == [0] * 3
    )


def test_rows_at_the_threshold_are_compared_almost_surely() -> None:
    for threshold in (0.5, 0.8, 0.95):
        length = minhash.rows_per_band(threshold, 128)
        assert 1 - (1 - threshold**length) ** (128 // length) >= 0.99
    assert minhash.rows_per_band(1, 128) == 128


def test_a_chain_is_broken_by_comparing_with_kept_rows_only() -> None:
    words = [f"w{i}" for i in range(140)]
    texts = [" ".join(words[start : start + 100]) for start in (0, 8, 16)]
    found = signed(texts, permutations=512)
    nearest = minhash.nearest_kept(found, np.arange(3), np.ones(3, bool), 0.8)
    assert nearest.score[1] >= 0.8 > nearest.score[2]
    assert nearest.cause.tolist() == [-1, 0, 0]


def test_many_identical_rows_take_linear_time() -> None:
    found = np.tile(signed(["the same short text"]), (40_000, 1))
    started = time.perf_counter()
    nearest = minhash.nearest_kept(found, np.arange(40_000), np.ones(40_000, bool), 0.8)
    assert time.perf_counter() - started < 20
    assert nearest.score[0] == 0
    assert (nearest.score[1:] == 1).all()
    assert (nearest.cause[1:] == 0).all()


def test_words_are_told_apart_and_letters_have_an_order() -> None:
    texts = shingles.normalised(
        pl.Series(["ab ba aab", "AB  Ba\naab", "a b", "ab", "漢字"])
    ).to_list()
    found = shingles.words(texts)
    values = found.values.tolist()
    assert found.counts.tolist() == [3, 3, 2, 1, 2]
    assert values[:3] == values[3:6]
    assert len(set(values[:3])) == 3
    assert values[0] == values[8]


def test_sequences_of_short_texts_are_all_their_words() -> None:
    found = shingles.words(["a b c d", "a b", "", "b a"])
    assert shingles.sequences(found, 3, short=True).counts.tolist() == [2, 1, 0, 1]
    assert shingles.sequences(found, 3, short=False).counts.tolist() == [2, 0, 0, 0]
    values = shingles.sequences(found, 3, short=True).values
    assert len(set(values.tolist())) == 4


def test_what_most_texts_hold_is_a_template_as_long_as_there_is_more() -> None:
    parts = [shingles.words([f"how many are {i} plus one", "how many are"]) for i in range(4)]
    dropped = shingles.common(parts, 4)
    assert len(dropped) == 3, "`plus` and `one` stand in four texts, the template in eight"
    found = shingles.without(shingles.words(["how many are 7 plus one", "how many", ""]), dropped)
    assert found.counts.tolist() == [3, 2, 0]


def test_the_numbers_never_change() -> None:
    """Signatures are kept for later runs: another number needs another `SCHEME`."""
    found = signed(["a row that is kept for ever"], words=2, permutations=16)
    assert found[0, :4].tolist() == GOLDEN


GOLDEN = [1804690873, 1962980402, 244770335, 201951713]
