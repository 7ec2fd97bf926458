"""Asked, near or never asked: what is known of a question before a model answers it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from registry import nearest_item as module
from registry.errors import UsageError
from registry.nearest_item import NEAR, nearest_item, wordings
from registry.profile_folder import Profile, read_profile
from tests.conftest import ROOT

JURY = "How important a part of being a good American is doing jury duty?"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for folder in ("datasets", "instruments"):
        shutil.copytree(ROOT / "registry" / folder, root / "registry" / folder)
    for name in ("age-22-34", "example-tidewater-coop"):
        shutil.copytree(ROOT / "value_profiles" / name, root / "value_profiles" / name)
    return root


def profile(root: Path, name: str = "age-22-34") -> Profile:
    found, problems = read_profile(root / "value_profiles" / name, root)
    assert found is not None, problems
    return found


Stub = Callable[[Callable[[str, Sequence[str]], list[float]]], None]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Puts another comparison in the place of the embedding."""

    def put(compare: Callable[[str, Sequence[str]], list[float]]) -> None:
        class Point:
            name = "default"

            @staticmethod
            def load() -> Callable[[str, Sequence[str]], list[float]]:
                return compare

        monkeypatch.setattr(module, "entry_points", lambda group: [Point])

    return put


@pytest.mark.parametrize("question", [JURY, f"  {JURY.upper()}??", JURY.replace(" ", "\n")])
def test_the_same_words_are_asked_however_they_are_written(root: Path, question: str) -> None:
    found = nearest_item([profile(root)], root, question)
    assert (found.label, found.similarity) == ("asked", 1.0)
    assert found.wording is not None
    assert found.wording.item == "Q2_2"
    assert found.sentences[0].startswith("asked: these words are Q2_2 of age-22-34.")


def test_every_wording_counts_and_what_no_model_learned_from_is_said(root: Path) -> None:
    known = list(wordings(profile(root), root))
    assert len({w.item for w in known}) == 43
    assert len(known) == 4 * 43
    assert len({w.item for w in known if not w.held_out}) == 31
    kept = next(w for w in known if w.held_out)
    found = nearest_item([profile(root)], root, kept.text)
    assert found.label == "asked"
    assert "No model learned from these words" in found.sentences[0]
    unseen = [w for w in known if w.item == "Q2_2"]
    assert [w.held_out for w in unseen] in ([False] * 3 + [True], [True] * 4)


def test_prompts_situations_and_pairs_count_too(root: Path) -> None:
    known = list(wordings(profile(root, "example-tidewater-coop"), root))
    assert {"examples.jsonl", "norms.csv", "preferences.jsonl", "guidance.csv"} <= {
        w.table for w in known
    }


@pytest.mark.parametrize(
    ("score", "label"), [(NEAR, "near"), (NEAR - 0.001, "never asked"), (0.999, "near")]
)
def test_the_threshold_belongs_to_near(
    root: Path, compared: Stub, score: float, label: str
) -> None:
    compared(lambda _question, texts: [0.0] * (len(texts) - 1) + [score])
    found = nearest_item([profile(root)], root, "Something quite new?")
    assert (found.label, found.similarity) == (label, score)
    assert found.wording is not None
    near = "Near means the same topic, never the same answer: opposites lie near too."
    assert (near in found.sentences) == (label == "near")


def test_where_nothing_compares_it_says_so_and_never_that_nobody_was_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch, compared: Stub
) -> None:
    def missing(_question: str, _texts: Sequence[str]) -> list[float]:
        raise UsageError("the model that compares sentences is not installed", mend="install it")

    compared(missing)
    found = nearest_item([profile(root)], root, "Something quite new?")
    assert found.label == "unknown"
    assert found.sentences == [
        "unknown: the model that compares sentences is not installed (install it)"
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: [])
    assert nearest_item([profile(root)], root, "Something quite new?").label == "unknown"


def test_no_more_is_compared_than_a_person_waits_for(
    root: Path, monkeypatch: pytest.MonkeyPatch, compared: Stub
) -> None:
    seen: list[int] = []

    def count(_question: str, texts: Sequence[str]) -> list[float]:
        seen.append(len(texts))
        assert any("jury" in text for text in texts)
        return [0.1] * len(texts)

    monkeypatch.setattr(module, "MAX_COMPARED", 5)
    compared(count)
    nearest_item([profile(root)], root, "May one refuse to sit on a jury in court?")
    assert seen == [5]


def test_no_profile_is_no_claim(root: Path) -> None:
    assert nearest_item([], root, JURY).label == "never asked"
