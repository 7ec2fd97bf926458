"""Prompts written for this project, labelled by kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import polars
import pytest

from assets.rows import read_rows
from assets.sources import open_prompts
from assets.sources.open_prompts import CLASSES, Params, PromptKind
from registry.errors import MethodError, UsageError

if TYPE_CHECKING:
    from tests.assets.conftest import Build

HEAD = "schema_version: 1\ntitle: Some\nlanguage: en\nlicence: CC0-1.0\nprompts:\n"


def made(build: Build, params: Params, **given: Path) -> polars.DataFrame:
    context = build(params, **given)
    open_prompts.run(context)
    return read_rows(context.out / "rows.parquet")


def test_six_classes_hold_seventeen_kinds() -> None:
    kinds = [kind for found in CLASSES.values() for kind in found]
    assert len(CLASSES) == 6
    assert len(kinds) == 17
    assert set(kinds) == set(get_args(PromptKind))


def test_every_kind_has_twelve_prompts_of_its_own(build: Build) -> None:
    rows = made(build, Params(prompts="registry/prompts/open-ended.yaml"))
    first = Counter(labels[0] for labels in rows["labels"])
    assert set(first) == set(get_args(PromptKind))
    assert set(first.values()) == {12}
    assert rows["row_id"].n_unique() == len(rows) == 204
    assert set(rows["completion"]) == {None}


def test_prompts_are_about_many_places(build: Build) -> None:
    rows = made(build, Params(prompts="registry/prompts/open-ended.yaml"))
    places = set(rows["place"]) - {None}
    assert len(places) >= 15
    assert "United States" not in places


def test_classes_follow_from_labels(build: Build) -> None:
    rows = made(build, Params(prompts="registry/prompts/open-ended.yaml"))
    of = {kind: name for name, kinds in CLASSES.items() for kind in kinds}
    for labels, classes in zip(rows["labels"], rows["classes"], strict=True):
        assert set(classes) == {of[label] for label in labels}


def test_kinds_narrow_the_prompts(build: Build) -> None:
    path = "registry/prompts/open-ended.yaml"
    rows = made(build, Params(prompts=path, kinds=("controversial",)))
    assert all("controversial" in labels for labels in rows["labels"])
    assert 12 <= len(rows) < 204


def test_countable_prompts_list_every_answer(build: Build) -> None:
    rows = made(build, Params(prompts="registry/prompts/countable.yaml"))
    sizes = sorted(len(valid) for valid in rows["valid_answers"])
    assert sizes == [8, 12, 12, 25, 28, 47, 50, 54]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  - text: What is a good day?\n", "give `labels`, `valid_answers` or both"),
        ("  - text: What is a good day?\n    labels: [philosphical]\n", "philosophical"),
        ("  - text: Short\n    labels: [brainstorm]\n", "prompts.0.text"),
        ("  - text: What is a good day?\n    labels: [brainstorm, brainstorm]\n", "stands twice"),
        ("  - text: Name a planet.\n    valid_answers: [Mars, Mars]\n", "stands twice"),
        ("  - text: What is a good day?\n    kind: [brainstorm]\n", "unknown key 'kind'"),
        ("  []\n", "at least 1"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_place(
    build: Build, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + text)
    with pytest.raises(UsageError) as caught:
        made(build, Params(prompts="p.yaml"), root=tmp_path)
    assert message in str(caught.value)
    assert "p.yaml:" in str(caught.value)


def test_a_prompt_that_stands_twice_is_an_error(build: Build, tmp_path: Path) -> None:
    one = "  - text: What is a good day?\n    labels: [brainstorm]\n"
    (tmp_path / "p.yaml").write_text(HEAD + one + one)
    with pytest.raises(MethodError, match="stands twice"):
        made(build, Params(prompts="p.yaml"), root=tmp_path)


def test_no_prompt_of_a_kind_is_an_error(build: Build, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + "  - text: A good day?\n    labels: [brainstorm]\n")
    with pytest.raises(MethodError, match="no prompt is of these kinds"):
        made(build, Params(prompts="p.yaml", kinds=("analytical",)), root=tmp_path)
