"""Sentence embeddings: the formula, and the figures by which `near` was chosen."""

from __future__ import annotations

import numpy
import pytest
import yaml

from assets import sentences
from assets.sentences import PACKAGED, embed, similarities
from assets.sources.sentence_encoder import PackagedEncoder
from benchmarks.nearest_item import figures, share_at
from registry.errors import MethodError
from registry.nearest_item import NEAR
from tests.conftest import ROOT

pytest.importorskip(PACKAGED.package, reason="the model of sentences is not installed")


def test_it_is_the_encoder_that_is_declared() -> None:
    path = ROOT / "registry" / "models" / "diversity" / "sentence-encoder.yaml"
    declared = yaml.safe_load(path.read_text())["params"]["packaged"]
    assert PackagedEncoder.model_validate(declared) == PACKAGED


def test_an_embedding_is_the_same_whatever_stands_beside_it() -> None:
    short, long = "Is it so?", "How much faith do you have in the courts of this country today?"
    both = embed([short, long])
    assert both.shape == (2, 384)
    for text, found in zip((short, long), both, strict=True):
        assert numpy.allclose(embed([text])[0], found, atol=1e-5)
    assert numpy.linalg.norm(both, axis=1) == pytest.approx([1, 1], abs=1e-6)


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
    sentences._encoder.cache_clear()
    lost = PACKAGED.model_copy(update={"package": "not_there_at_all"})
    monkeypatch.setattr(sentences, "PACKAGED", lost)
    with pytest.raises(MethodError, match=r"requirements-models\.txt"):
        similarities("a", ["b"])
    sentences._encoder.cache_clear()
