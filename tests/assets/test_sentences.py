"""Sentence embeddings: the formula, and the figures by which `near` was chosen."""

from __future__ import annotations

import pytest
import torch

from assets import sentences
from assets.sentences import embed, similarities
from benchmarks.nearest_item import figures, share_at
from registry.errors import UsageError
from registry.nearest_item import NEAR

pytest.importorskip(sentences.PACKAGE, reason="the model of sentences is not installed")


def test_an_embedding_is_the_mean_of_its_own_tokens_whatever_stands_beside_it() -> None:
    tokenizer, model = sentences._load()
    short, long = "Is it so?", "How much faith do you have in the courts of this country today?"
    both = embed([short, long])
    for text, found in zip((short, long), both, strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = hidden.mean(dim=0)
        assert torch.allclose(found, mean / mean.norm(), atol=1e-5)
    assert both.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_a_question_and_its_opposite_lie_near() -> None:
    same, opposite, other = similarities(
        "Should guests take off their shoes?",
        [
            "Should guests take off their shoes?",
            "Should guests not take off their shoes?",
            "How many moons has Mars?",
        ],
    )
    assert same == pytest.approx(1, abs=1e-5)
    assert opposite > NEAR
    assert other < 0.3
    assert similarities("anything", []) == []


def test_the_threshold_is_what_the_docs_say_of_it() -> None:
    found = figures()
    shares = {name: share_at(values, NEAR) for name, values in found.items()}
    assert len(found["nearest of its own item"]) == 172
    assert shares["nearest of its own item"] == pytest.approx(0.936, abs=0.006)
    assert shares["nearest of another item of its battery"] == pytest.approx(0.570, abs=0.006)
    assert shares["nearest of another battery"] == pytest.approx(0.035, abs=0.006)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences._load.cache_clear()
    monkeypatch.setattr(sentences, "PACKAGE", "not_there_at_all")
    with pytest.raises(UsageError, match=r"requirements-models\.txt"):
        similarities("a", ["b"])
    sentences._load.cache_clear()
