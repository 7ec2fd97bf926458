"""Norms become questions and answers, in the community's own language."""

from __future__ import annotations

import pytest

from assets.synthesis import community_norms
from assets.synthesis.community_norms import NormWording
from registry.errors import MethodError
from tests.assets.synthesis.profiles import ids, kept, make, norm, profile, read

NAMES = ids("row", learned=5, held=3)


def test_a_norm_is_a_question_with_judgement_and_rule(build, tmp_path):
    judged = {name: place % 5 - 2 for place, name in enumerate(NAMES)}
    rows = [norm(name, judgement=judged[name]) for name in NAMES]
    view = profile(tmp_path, norms=rows)
    found = read(make(build, community_norms.run, view, community_norms.Params()))
    assert [row["parents"] for row in found] == [[n] for n in NAMES if kept(n)]
    row = found[0]
    said = NormWording().judgements[judged[row["parents"][0]] + 2]
    assert row["prompt"] == f"What do you think of {row['situation']}?"
    assert row["completion"] == f"{said} {row['rule']}"


def test_a_rule_that_looks_like_a_slot_stays_as_it_is(build, tmp_path):
    name = next(n for n in NAMES if kept(n))
    rows = [norm(name, situation="{rule} {judgement}", rule="It's {judgement} {situation}.")]
    made = make(build, community_norms.run, profile(tmp_path, norms=rows), community_norms.Params())
    (row,) = read(made)
    assert row["prompt"] == "What do you think of {rule} {judgement}?"
    assert row["completion"] == "That is not right. It's {judgement} {situation}."


def test_norms_in_another_language_need_words_of_their_own(build, tmp_path):
    rows = [norm(name) for name in NAMES]
    view = profile(tmp_path, norms=rows, languages=["de-AT"])
    with pytest.raises(MethodError, match="the words around them in en") as caught:
        make(build, community_norms.run, view, community_norms.Params())
    assert "params.wording" in caught.value.mend
    german = NormWording(
        question="Was h\u00e4ltst du davon: {situation}?", answer="{rule} {judgement}",
        judgements=("Schlimm.", "Nicht gut.", "Geht.", "Gut.", "Sehr gut."), language="de",
    )  # fmt: skip
    made = make(build, community_norms.run, view, community_norms.Params(wording=german))
    assert read(made)[0]["completion"].endswith(". Nicht gut.")


@pytest.mark.parametrize("wrong", [{"question": "What?"}, {"answer": "{judgement}"}])
def test_wording_without_its_slot_is_refused(wrong):
    with pytest.raises(ValueError, match="once"):
        NormWording(**wrong)
