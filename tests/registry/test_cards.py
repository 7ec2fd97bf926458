"""Cards of datasets, and of models that are not released: no blank, and hubs read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard

from tests.conftest import Folder

NODE = "count@age-22-34"


@pytest.fixture(scope="module")
def made(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("cards"))
    folder.chorus("make", NODE, "--upstream")
    return folder


def blanks(text: str) -> list[str]:
    """What a reader would take for a blank: an empty cell, a cut sentence, a template's word."""
    odd = ("More Information Needed", "None", "{{", "}}", "{%", "sha256:`", ": .", "; .")
    cells = [
        line for line in text.splitlines() if re.search(r"\| +\|", line) and "|---" not in line
    ]
    return [*cells, *(word for word in odd if word in text)]


def test_a_dataset_card_says_what_it_holds(made: Folder) -> None:
    text = made.chorus("card", "letters@age-22-34").out
    assert blanks(text) == []
    assert "| words.parquet | 3 |" in text
    assert "Columns of words.parquet:" in text
    assert "**Out of scope:** in place of a poll" in text
    assert "chorus lineage verify letters@age-22-34" in text
    text = made.chorus("card", "words").out
    assert "holds (error): Every row is numbered once." in text
    assert "It rests on no profile" in text


def test_hubs_read_both_kinds(made: Folder, tmp_path: Path) -> None:
    data, model = tmp_path / "data.md", tmp_path / "model.md"
    made.chorus("card", "words", "--output", str(data))
    made.chorus("card", NODE, "--output", str(model))
    card = DatasetCard.load(data)
    assert card.data.license == "cc0-1.0"
    assert card.data.size_categories == ["n<1K"]
    assert card.data.configs == [{"config_name": "words", "data_files": "words.parquet"}]
    assert ModelCard.load(model).data.library_name == "transformers"


def test_a_model_that_is_not_released_says_so(made: Folder) -> None:
    text = made.chorus("card", NODE).out
    assert "Not released. It lies as the node" in text
    assert "Released on" not in text
    assert blanks(text) == []
    for part in (
        "Anybody can object: `chorus profile object age-22-34`",
        "from 2020-09-25 and with no end",
        "explains 2.8 % of the uncertainty of an answer, over 43 questions",
        "respondents aged 65 and over",
    ):
        assert part in text, part


def test_what_has_no_card_is_told(made: Folder) -> None:
    assert "has not been made" in made.chorus("card", "total", expect=2).err
    assert "no release is called" in made.chorus("card", f"{NODE[:5]}/x@v1.0.0", expect=2).err
