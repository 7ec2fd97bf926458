"""What licences hold back, and where that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.errors import ProblemsError
from registry.intake.codebook import Codebook, read_about
from registry.licences import conditions, dropped, held_back
from registry.profile import ValueProfile
from registry.profile_folder import read_profile
from tests.conftest import ROOT
from tests.registry.intake.material import CODEBOOK, write_yaml


@pytest.mark.parametrize(
    ("licence", "parts"),
    [
        ("CC-BY-4.0", set()),
        ("CC0-1.0", set()),
        ("CC-BY-NC-4.0", {"NC"}),
        ("cc-by-nc-sa-4.0", {"NC", "SA"}),
        ("CC-BY-NC-ND-3.0-DE", {"NC", "ND"}),
        ("CC-BY-SA-4.0", {"SA"}),
        ("Apache-2.0", set()),
        ("LicenseRef-ANC-BY-NC", set()),
    ],
)
def test_conditions_are_read_from_the_name(licence: str, parts: set[str]) -> None:
    assert conditions(licence) == parts


def test_what_is_held_back_and_what_a_declared_licence_drops() -> None:
    everything = ("train-sft", "train-rl", "evaluate", "publish-data", "commercial")
    assert held_back("CC-BY-4.0", everything) is None
    assert held_back("CC-BY-NC-SA-4.0", everything[:3]) is None
    assert "does not grant 'commercial'" in (held_back("CC-BY-NC-4.0", everything) or "")
    assert "does not grant 'publish-data'" in (held_back("CC-BY-SA-4.0", everything) or "")
    assert dropped("CC-BY-4.0", "CC-BY-NC-SA-4.0") == "NC, SA"
    assert dropped("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0") == ""


def test_a_codebook_that_claims_more_is_refused_with_its_file(tmp_path: Path) -> None:
    claims = {**CODEBOOK, "licence": "CC-BY-NC-SA-4.0", "uses": ["train-sft", "commercial"]}
    path = write_yaml(tmp_path / "book.yaml", claims)
    with pytest.raises(ProblemsError, match=r"book\.yaml.*(\n.*)*CC-BY-NC-SA-4.0 does not grant"):
        read_about(path, Codebook)


def test_a_profile_that_claims_more_is_refused_however_it_was_made() -> None:
    profile, _ = read_profile(ROOT / "value_profiles" / "age-22-34", ROOT)
    assert profile is not None
    data = profile.profile.model_dump(mode="json")
    data["consent"]["uses"] = [*data["consent"]["uses"], "commercial"]
    ValueProfile.model_validate(data)
    data["licence"] = "CC-BY-NC-4.0"
    with pytest.raises(ValidationError, match=r"CC-BY-NC-4\.0 does not grant 'commercial'"):
        ValueProfile.model_validate(data)
    data["licence"], data["sources"][0]["licence"] = "CC-BY-4.0", "CC-BY-NC-4.0"
    with pytest.raises(ValidationError, match="it is for non-commercial use"):
        ValueProfile.model_validate(data)
