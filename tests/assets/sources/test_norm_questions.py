"""Held-out norms become questions that do not say the judgement."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import norm_questions
from assets.sources.norm_questions import Params, commonest
from registry.errors import MethodError
from registry.profile_tables import Norm
from tests.assets.synthesis.profiles import COMMUNITY, ids, kept, norm, profile

NAMES = ids("row", learned=5, held=3)


def made(build, view, **params):
    context = build(Params(**params), profiles=[view])
    norm_questions.run(context)
    return context.out


def test_only_held_out_norms_are_asked_and_the_rule_is_not_shown(build, tmp_path):
    out = made(build, profile(tmp_path, norms=[norm(name) for name in NAMES]))
    rows = read_rows(out / ROWS).to_dicts()
    held = [name for name in NAMES if not kept(name)]
    assert [row["norm"] for row in rows] == [name for name in held for _ in "abc"]
    assert rows[0]["question"] == f"What do you think of keeping {held[0]}?"
    assert len({row["question"] for row in rows}) == len(rows)
    assert {(row["community"], row["held_out"]) for row in rows} == {(COMMUNITY, True)}
    assert not [row for row in rows if "wrong to keep" in row["question"]]
    left = read_rows(out / REJECTED)
    assert left["row_id"].to_list() == [name for name in NAMES if kept(name)]


def test_the_commonest_judgement_is_that_of_norms_that_were_learned(build, tmp_path):
    rows = [norm(name, judgement=-2 if kept(name) else 2) for name in NAMES]
    found = read_rows(made(build, profile(tmp_path, norms=rows)) / ROWS)
    assert set(found["commonest"]) == {-2}
    assert set(found["judgement"]) == {2}


def test_of_equals_the_milder_judgement_is_the_commonest():
    def rows(*judgements):
        return [
            Norm(
                id=f"norm-{n}", situation="some deed", rule="It's a rule.", judgement=j, agreement=3
            )
            for n, j in enumerate(judgements)
        ]

    assert commonest(rows(-2, -2, 1, 1, 0)) == 1
    assert commonest(rows(-1, 1)) == -1
    assert commonest([]) is None


def test_another_language_needs_words_of_its_own(build, tmp_path):
    view = profile(tmp_path, norms=[norm(name) for name in NAMES], languages=["de-AT"])
    with pytest.raises(MethodError, match="the words around them in en"):
        made(build, view)
    german = {"a": "Was h\u00e4ltst du davon: {situation}?"}
    out = made(build, view, wordings=german, language="de",
               judgements=("Schlimm.", "Nicht gut.", "Geht.", "Gut.", "Sehr gut."))  # fmt: skip
    assert read_rows(out / ROWS)["options"][0].to_list()[1] == "Nicht gut."


def test_a_profile_whose_norms_are_all_learned_says_so(build, tmp_path):
    rows = [norm(name) for name in NAMES if kept(name)]
    with pytest.raises(MethodError, match="none of 5 rows can be taken"):
        made(build, profile(tmp_path, norms=rows))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wordings": {"a": "What?"}}, "must hold {situation} once"),
        ({"judgements": ("Bad.", "bad. ", "So.", "Good.", "Best.")}, "called the same"),
    ],
)
def test_wording_that_cannot_be_asked_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said.replace("{", r"\{")):
        Params(**wrong)
