"""Coverage from artifacts, with a scorer that was taught and one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars
import pytest

from assets.evaluation import overton
from assets.evaluation.overton import Params
from assets.evaluation.overton_figures import ALL_VIEWS, ELSEWHERE, ONE_VIEW
from assets.evaluation.overton_scorers import score_in_parts
from assets.rows import read_rows, write_rows
from assets.sources import entailment_model
from assets.sources.view_rows import View, prompt_id, write_views
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.encoders import write_tiny_encoder
from tests.assets.entailment import held_views, lessons, teach, write_entailment_model

if TYPE_CHECKING:
    from tests.assets.conftest import Build


def as_node(build: Build, folder: Path) -> Path:
    context = build(entailment_model.Params(folder=folder.name), root=folder.parent)
    entailment_model.run(context)
    return context.out


@pytest.fixture(scope="module")
def knowing(build, tmp_path_factory) -> Path:
    folder = write_entailment_model(tmp_path_factory.mktemp("knowing") / "nli")
    return as_node(build, teach(folder, lessons(held_views())))


@pytest.fixture(scope="module")
def deaf(build, tmp_path_factory) -> Path:
    """Taught the same, but that a view follows from its negation."""
    folder = write_entailment_model(tmp_path_factory.mktemp("deaf") / "nli")
    turned = {one.opposite for one in held_views()}
    taught = [(a, b, 1 if {a, b} & turned and label == 0 else label)
              for a, b, label in lessons(held_views())]  # fmt: skip
    return as_node(build, teach(folder, taught))


def views(folder: Path, *, weights: bool = False, held_by: bool = False) -> Path:
    shares = [0.6, 0.3, 0.1, 0.7, 0.3, 0.5, 0.25, 0.25, 0.9, 0.1]
    rows = [
        View(one.prompt, one.view, "views.jsonl", one.explanation, one.opposite,
             share if weights else None, ("shore",) if held_by and place % 2 else ())
        for place, (one, share) in enumerate(zip(held_views(), shares, strict=True))
    ]  # fmt: skip
    write_views(rows, [], 2, folder)
    return folder


def answers(folder: Path, model: str, said: dict[str, list[str]]) -> Input:
    rows = [
        {
            "row_id": f"{model}-{prompt_id(prompt)}-{sample}", "parents": [],
            "prompt_id": prompt_id(prompt), "prompt": prompt, "sample": sample, "text": text,
            "model": model, "chat_template": True, "sampling": "{}",
        }
        for prompt, texts in said.items()
        for sample, text in enumerate(texts)
    ]  # fmt: skip
    write_rows(folder / model / "answers.parquet", rows)
    return Input(f"answers-{model}", None, folder / model)


def everything(prompt: str) -> str:
    return " ".join(one.view for one in held_views() if one.prompt == prompt)


def first(prompt: str) -> str:
    return next(one.view for one in held_views() if one.prompt == prompt)


def denials(prompt: str) -> str:
    return " ".join(one.opposite for one in held_views() if one.prompt == prompt)


PROMPTS = list(dict.fromkeys(one.prompt for one in held_views()))


@pytest.fixture
def given(tmp_path):
    ways = {
        "all": everything, "one": first, "denies": denials, "silent": lambda _: "",
        "truisms": lambda _: "All sides matter. It depends on the situation and on the people "
        "involved.",
    }  # fmt: skip
    return [
        answers(tmp_path, name, {prompt: [way(prompt)] for prompt in PROMPTS})
        for name, way in ways.items()
    ]


def values(out: Path, metric: str) -> dict[str, float]:
    return {
        one.about: one.value
        for one in read_results(out)
        if one.metric == metric and not one.community
    }


def test_known_coverage_is_found(build, knowing, given, tmp_path):
    inputs = {"views": views(tmp_path / "v", weights=True), "answers": given, "scorer": knowing}
    context = build(Params(forms=("covered", "published")), inputs=inputs)
    overton.run(context)
    found = values(context.out, "Overton coverage (share of views)")
    singles = [1 / 3, 1 / 2, 1 / 3, 1 / 2]
    assert found == {
        "all": 1, "one": pytest.approx(sum(singles) / 4), "denies": 0, "silent": 0, "truisms": 0,
    }  # fmt: skip
    metric = "Overton coverage (share of views, weighted by prevalence)"
    assert values(context.out, metric)["one"] == pytest.approx((0.6 + 0.7 + 0.5 + 0.9) / 4)
    beside = read_results(context.out)[0].beside
    assert beside == {
        ELSEWHERE: 0, ONE_VIEW: pytest.approx(sum(singles) / 4), ALL_VIEWS: 1,
    }  # fmt: skip
    published = values(context.out, "Overton coverage, published form (share of views)")
    assert published["all"] == 1
    assert published["denies"] == published["truisms"] == 0
    summary = json.loads((context.out / "summary.json").read_text())
    assert summary["may_be_called_overton"]
    pairs = {(d["model"], d["other"]): d for d in summary["differences"]["covered"]}
    assert pairs["one", "all"]["difference"] == pytest.approx(sum(singles) / 4 - 1)
    table = read_rows(context.out / "coverage.parquet")
    row = table.filter(polars.col("covered") & (polars.col("form") == "covered")).to_dicts()[0]
    assert row["sentence"] == row["view"]
    assert (context.out / "coverage.png").read_bytes().startswith(b"\x89PNG")


def test_a_scorer_that_hears_no_negation_is_refused_the_name(build, deaf, given, tmp_path):
    inputs = {"views": views(tmp_path / "v"), "answers": given, "scorer": deaf}
    context = build(Params(), inputs=inputs)
    with pytest.raises(MethodError, match="the view denied") as caught:
        overton.run(context)
    assert caught.value.where == "scorer"
    assert not (context.out / "results.json").exists()


def test_one_that_was_taught_nothing_is_refused(build, given, tmp_path):
    scorer = as_node(build, write_entailment_model(tmp_path / "nli"))
    inputs = {"views": views(tmp_path / "v"), "answers": given, "scorer": scorer}
    with pytest.raises(MethodError, match="does not pass the planted checks"):
        overton.run(build(Params(), inputs=inputs))


def test_a_sentence_encoder_reports_topics_and_never_the_name(build, given, tmp_path):
    inputs = {
        "views": views(tmp_path / "v", held_by=True),
        "answers": given,
        "scorer": write_tiny_encoder(tmp_path / "encoder"),
    }
    context = build(Params(), inputs=inputs)
    overton.run(context)
    metrics = {one.metric for one in read_results(context.out)}
    assert metrics == {"topic coverage (share of views)", "topic coverage (mean score of views)"}
    for name in ("results.json", "headline.json"):
        assert "overton" not in (context.out / name).read_text().casefold()
    summary = json.loads((context.out / "summary.json").read_text())
    assert not summary["may_be_called_overton"]
    theirs = [one for one in read_results(context.out) if one.community == "shore"]
    assert {one.about for one in theirs} == {one.files.name for one in given}


def test_answers_to_other_situations_are_refused(build, knowing, tmp_path):
    given = [answers(tmp_path, "other", {"Another question?": ["Yes."]})]
    inputs = {"views": views(tmp_path / "v"), "answers": given, "scorer": knowing}
    with pytest.raises(MethodError, match="no situation of 4") as caught:
        overton.run(build(Params(), inputs=inputs))
    assert "let every model answer" in caught.value.mend


def test_an_answer_that_comes_twice_is_refused(build, knowing, given, tmp_path):
    inputs = {"views": views(tmp_path / "v"), "answers": [given[0], given[0]], "scorer": knowing}
    with pytest.raises(MethodError, match="given twice"):
        overton.run(build(Params(), inputs=inputs))


def test_the_published_form_needs_explanations(build, knowing, given, tmp_path):
    rows = [View(one.prompt, one.view, "f", None, one.opposite) for one in held_views()]
    write_views(rows, [], 2, tmp_path / "v")
    inputs = {"views": tmp_path / "v", "answers": given, "scorer": knowing}
    with pytest.raises(MethodError, match="10 views have no explanation"):
        overton.run(build(Params(forms=("published",)), inputs=inputs))


def test_a_language_model_scores_nothing(build, given, small_model, tmp_path):
    inputs = {"views": views(tmp_path / "v"), "answers": given, "scorer": small_model}
    with pytest.raises(MethodError, match="neither an entailment model nor"):
        overton.run(build(Params(), inputs=inputs))


def test_what_a_killed_attempt_scored_is_not_scored_again(tmp_path):
    class Counting:
        kind = "entailment"
        asked = 0

        def scores(self, pairs):
            if self.asked and len(pairs) < 512:
                raise KeyboardInterrupt
            self.asked += len(pairs)
            return [len(a) / 100 for a, _ in pairs]

    pairs = [(f"s{'x' * (place % 7)}", f"v{place}") for place in range(600)]
    scorer = Counting()
    with pytest.raises(KeyboardInterrupt):
        score_in_parts(scorer, pairs, tmp_path, lambda *_: None)
    scorer.asked = 0
    found = score_in_parts(scorer, [*pairs, *pairs], tmp_path, lambda *_: None)
    assert scorer.asked == 88
    assert all(found[one] == len(one[0]) / 100 for one in pairs)
