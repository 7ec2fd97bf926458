"""PRISM: people's words and models' words apart, each under its own licence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from assets.sources import prism
from assets.sources.prism import MODELS, PEOPLE, Params
from registry.context import Context
from registry.errors import ChorusError

SURVEY = [
    {"user_id": "user0", "consent": "Yes, I consent to take part", "age": "18-24 years old"},
    {"user_id": "user1", "consent": "No"},
]


def said(conversation: str, response: str, score: Any, **changed: Any) -> dict[str, Any]:
    return {
        "utterance_id": "u", "interaction_id": "i", "conversation_id": conversation,
        "user_id": "user0", "turn": 0, "user_prompt": f"What of {conversation}?",
        "model_response": response, "model_name": "m", "score": score, "if_chosen": True,
    } | changed  # fmt: skip


UTTERANCES = [
    said("c0", "Good.", 90),
    said("c0", "Bad.", 20),
    said("c0", "So so.", 50),
    said("c0", "More.", 80, turn=1, user_prompt="And then?"),
    said("c1", "One.", 50),
    said("c1", "Other.", 55),
    said("c2", "Secret.", 90, user_id="user1"),
    said("c2", "No.", 10, user_id="user1"),
]


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(folder: Path, **params: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    given = Params(survey="survey.jsonl", utterances="utterances.jsonl", **params)
    context = Context(
        node="prism", community=None, params=given, seed=0, device="cpu", threads=1, out=out,
        work=folder, root=folder, roles={}, profiles=(),
    )  # fmt: skip
    prism.run(context)
    return tuple(pl.read_parquet(out / f"{n}.parquet").to_dicts() for n in ("rows", "rejected"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path / "survey.jsonl", SURVEY)
    write(tmp_path / "utterances.jsonl", UTTERANCES)
    return tmp_path


def test_peoples_openings_stand_without_a_word_of_a_model(files: Path) -> None:
    rows, rejected = read(files)
    assert [row["prompt"] for row in rows] == ["What of c0?", "What of c1?"]
    assert {row["completion"] for row in rows} == {None}
    assert {row["prompt_licence"] for row in rows} == {PEOPLE}
    assert {row["completion_licence"] for row in rows} == {None}
    assert {row["reason"] for row in rejected} == {
        "it answers a model, whose words are under another licence",
        "the survey does not say that its author consented",
    }
    everything = json.dumps(rows)
    assert "user0" not in everything
    assert "18-24" not in everything


def test_a_pair_carries_a_licence_for_each_column(files: Path) -> None:
    (row,) = read(files, text="pairs")[0]
    assert (row["completion"], row["rejected"]) == ("Good.", "Bad.")
    assert (row["prompt_licence"], row["completion_licence"], row["rejected_licence"]) == (
        PEOPLE,
        MODELS,
        MODELS,
    )
    assert len(read(files, text="pairs", margin=5)[0]) == 2


def test_the_declared_licence_keeps_what_the_words_ask_for() -> None:
    from registry.graph import _licence_problems

    def problems(text: str, licence: str) -> list[str]:
        params = Params(survey="s", utterances="u", text=text)
        declaration = SimpleNamespace(licence=licence)
        document = SimpleNamespace(problem=lambda _key, what, mend: f"{what}; {mend}")
        declared: Any = SimpleNamespace(
            document=document, method=prism.method, declaration=declaration, params=params
        )
        return [str(one) for one in _licence_problems(declared)]

    assert problems("people", "CC-BY-4.0") == []
    assert problems("pairs", "CC-BY-NC-4.0") == []
    (problem,) = problems("pairs", "CC-BY-4.0")
    assert "is under CC-BY-NC-4.0, which asks for NC; write `licence: CC-BY-NC-4.0`" in problem


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        ("utterances", [said("c", "x", 0)], r"utterances.jsonl:1(.|\n)*`score` is 0"),
        ("utterances", [said("c", "x", True)], "`score` is true"),
        ("utterances", [said("c", "", 5)], "`model_response` is"),
        ("utterances", [said("c", "x", 5, turn=-1)], "`turn` is -1"),
        ("utterances", [said("c", "x", 5), [1]], r"utterances.jsonl:2(.|\n)*no JSON object"),
        ("utterances", [said("c", "x", 5, user_id="user9")], "no row is left"),
        ("utterances", [], "no row is left"),
        ("survey", [SURVEY[0], SURVEY[0]], r"survey.jsonl:2(.|\n)*'user0' twice"),
        ("survey", [{"consent": "Yes"}], "has no `user_id`"),
    ],
)
def test_a_broken_line_is_named(files: Path, file: str, rows: list[Any], message: str) -> None:
    write(files / f"{file}.jsonl", rows)
    with pytest.raises(ChorusError, match=message):
        read(files, text="pairs")
