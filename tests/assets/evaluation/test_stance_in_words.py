"""Planted answers in words, read by a scorer that was taught; and scorers that are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from assets.evaluation import stance_in_words
from assets.evaluation.stance_figures import (
    CARRIED,
    NULL,
    OPTIONS_PEOPLE,
    SILENT,
    SILENT_COUNTED,
    TORN,
    WORDS_OPTIONS,
    WORDS_PEOPLE,
    Settings,
    Told,
    figures_of,
    silent_counted,
)
from assets.evaluation.stance_in_words import Params
from assets.evaluation.stance_reading import TOLD_APART, Question, Reader, pair, stance
from assets.opinion_tables import COLUMNS, OpinionTable
from assets.rows import ROWS, read_rows, write_rows
from assets.sources import entailment_model
from assets.sources.open_questions import STANCES, question_schema, stance_schema
from registry.context import Input, ProfileView
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.encoders import write_tiny_encoder
from tests.assets.entailment import VIEWS, held_views, lessons, teach, write_entailment_model

PROMPTS = list(dict.fromkeys(prompt for prompt, _, _ in VIEWS))
STATED = {prompt: [view for p, view, _ in VIEWS if p == prompt] for prompt in PROMPTS}
SHARES = {p: (0.6, 0.3, 0.1) if len(STATED[p]) == 3 else (0.8, 0.2) for p in PROMPTS}
"""What people hold; ten answers can have exactly these shares."""
PARAMS = Params(resamples=200)


def as_node(build, folder):
    context = build(entailment_model.Params(folder=folder.name), root=folder.parent)
    entailment_model.run(context)
    return context.out


@pytest.fixture(scope="module")
def knowing(build, tmp_path_factory):
    folder = write_entailment_model(tmp_path_factory.mktemp("knowing") / "nli")
    return as_node(build, teach(folder, lessons(held_views())))


@pytest.fixture(scope="module")
def deaf(build, tmp_path_factory):
    """Taught the same, but that a view follows from its negation."""
    folder = write_entailment_model(tmp_path_factory.mktemp("deaf") / "nli")
    turned = {one.opposite for one in held_views()}
    taught = [(a, b, 1 if {a, b} & turned and label == 0 else label)
              for a, b, label in lessons(held_views())]  # fmt: skip
    return as_node(build, teach(folder, taught))


@pytest.fixture(scope="module")
def questions(build):
    folder = build(PARAMS).out
    asked, stances = [], []
    for place, prompt in enumerate(PROMPTS):
        held = place == 3
        asked.append({"row_id": f"p{place}", "parents": [], "prompt": prompt, "completion": None,
                      "source": "q", "community": None, "item": f"Q{place}", "battery": "b",
                      "wording": "a", "question": prompt, "held_out": held})  # fmt: skip
        stances += [
            {"row_id": f"s{place}{n}", "parents": [], "prompt_id": f"p{place}",
             "item": f"Q{place}", "option": f"option {n}", "position": n + 1, "statement": view,
             "opposite": f"It is false that {view[0].lower()}{view[1:]}", "held_out": held}
            for n, view in enumerate(STATED[prompt])
        ]  # fmt: skip
    write_rows(folder / ROWS, asked, question_schema())
    write_rows(folder / STANCES, stances, stance_schema())
    return folder


@pytest.fixture(scope="module")
def profiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shore")
    (folder / "evaluation").mkdir()
    lines = [",".join(COLUMNS)]
    for place, prompt in enumerate(PROMPTS):
        lines += [
            f"Q{place},option {n},{n + 1},{round(400 * share)},{share},400,400,"
            for n, share in enumerate(SHARES[prompt])
        ]
    (folder / "evaluation" / "opinions.csv").write_text("\n".join(lines) + "\n")
    return [ProfileView("shore", "people of the shore", folder, ("evaluation/opinions.csv",), {})]


def answers(folder, model, texts):
    """`texts` gives for each prompt the answers."""
    rows = [
        {"row_id": f"{model}-{place}-{sample}", "parents": [], "prompt_id": f"p{place}",
         "prompt": prompt, "sample": sample, "text": text, "model": model, "chat_template": True,
         "sampling": "{}"}
        for place, prompt in enumerate(PROMPTS) for sample, text in enumerate(texts(prompt))
    ]  # fmt: skip
    write_rows(folder / f"answers-{model}" / "answers.parquet", rows)
    return Input("answers", None, folder / f"answers-{model}")


def options(folder, model, community, shares):
    rows = [
        {"item": f"Q{place}", "wording": wording, "order": order, "option": f"option {n}",
         "position": n + 1, "probability": (share if wording == "a" else 1.0) * 0.5,
         "outside": 0.5}
        for place, prompt in enumerate(PROMPTS) for wording in ("a", "b")
        for order in ("forward", "reversed") for n, share in enumerate(shares(prompt))
    ]  # fmt: skip
    place = folder / f"options-{model}"
    write_rows(place / "probabilities.parquet", rows)
    name = model.partition("@")[0]
    (place / "model.json").write_text(json.dumps({"model": name, "community": community}))
    return Input("option-probabilities", community, place)


def exactly(prompt):
    """Ten answers in the shares of the people, in the statements' own words."""
    return [view for view, share in zip(STATED[prompt], SHARES[prompt], strict=True)
            for _ in range(round(10 * share))]  # fmt: skip


def measure(build, questions, profiles, scorer, said, probabilities, params=PARAMS):
    inputs = {"questions": questions, "answers": said, "probabilities": probabilities,
              "scorer": scorer}  # fmt: skip
    context = build(params, inputs=inputs, profiles=profiles)
    stance_in_words.run(context)
    return context.out


def figure(out, name, model="m", part="asked"):
    found = read_rows(out / "figures.parquet").to_dicts()
    (one,) = (r for r in found if (r["figure"], r["model"], r["slice"]) == (name, model, part))
    return one


def test_words_that_say_what_people_say_are_near(build, questions, profiles, knowing, tmp_path):
    uniform = options(tmp_path, "m", None, lambda p: [1 / len(SHARES[p])] * len(SHARES[p]))
    said = answers(tmp_path, "m", exactly)
    out = measure(build, questions, profiles, knowing, [said], [uniform])
    assert figure(out, WORDS_PEOPLE)["value"] == pytest.approx(0, abs=1e-9)
    far = np.mean([0.5 * sum(abs(s - 1 / len(SHARES[p])) for s in SHARES[p]) for p in PROMPTS[:3]])
    one = figure(out, WORDS_OPTIONS)
    assert one["value"] == pytest.approx(far)
    assert (one["items"], one["answers"], one["people"]) == (3, 30, 400)
    assert figure(out, OPTIONS_PEOPLE)["value"] == pytest.approx(far)
    assert figure(out, CARRIED)["value"] == pytest.approx(-far)
    assert figure(out, SILENT)["value"] == figure(out, TORN)["value"] == 0
    assert figure(out, WORDS_PEOPLE)["p"] == 1  # nothing is nearer than exact
    assert figure(out, WORDS_PEOPLE, part="unseen questions")["items"] == 1
    metrics = {one.metric for one in read_results(out)}
    assert f"stance in words: {WORDS_OPTIONS}" in metrics
    beside = next(one for one in read_results(out) if one.metric.endswith(WORDS_PEOPLE)).beside
    assert set(beside) == {NULL, "uniform answers", SILENT_COUNTED}
    assert "| an option told from the others | 10 of 10 | 90% |" in (out / "stances.md").read_text()
    assert (out / "stances.png").stat().st_size > 1000
    rows = read_rows(out / "stances.parquet")
    assert rows.height == 40
    assert set(rows["said"]) == {"stance"}


def test_no_stance_stays_visible(build, questions, profiles, knowing, tmp_path):
    """Half of the answers say nothing: the shares stay, and the other distance shows it."""

    def half(prompt):
        return [*exactly(prompt), *["All sides matter.", ""] * 5]

    exact = options(tmp_path, "m", None, SHARES.get)
    out = measure(build, questions, profiles, knowing, [answers(tmp_path, "m", half)], [exact])
    assert figure(out, SILENT)["value"] == 0.5
    assert figure(out, WORDS_OPTIONS)["value"] == pytest.approx(0)
    assert figure(out, WORDS_OPTIONS)["silent_counted"] == pytest.approx(0.5)
    shares = read_rows(out / "shares.parquet")
    assert set(shares["no_stance"]) == {10}


def test_a_model_that_never_takes_a_stance_has_no_distance(
    build, questions, profiles, knowing, tmp_path
):
    nothing = "It depends on the situation and on the people involved."
    said = answers(tmp_path, "m", lambda _: [nothing] * 6)
    exact = options(tmp_path, "m", None, SHARES.get)
    out = measure(build, questions, profiles, knowing, [said], [exact])
    names = {one.metric for one in read_results(out)}
    assert names == {f"stance in words: {SILENT}", f"stance in words: {TORN}"}
    assert figure(out, SILENT)["value"] == 1
    assert "on 4 of 4 questions" in (out / "stances.md").read_text()


def test_denials_are_no_stance(build, questions, profiles, knowing, tmp_path):
    denied = {one.view: one.opposite for one in held_views()}
    said = answers(tmp_path, "m", lambda p: [denied[view] for view in exactly(p)])
    exact = options(tmp_path, "m", None, SHARES.get)
    out = measure(build, questions, profiles, knowing, [said], [exact])
    assert figure(out, SILENT)["value"] == 1


def test_an_answer_for_two_options_is_torn(build, questions, profiles, knowing, tmp_path):
    said = answers(tmp_path, "m", lambda p: [" ".join(STATED[p][:2])] * 6)
    exact = options(tmp_path, "m", None, SHARES.get)
    out = measure(build, questions, profiles, knowing, [said], [exact])
    assert figure(out, TORN)["value"] == 1


@pytest.mark.parametrize("which", ["deaf", "encoder", "language model", "untaught"])
def test_scorers_that_cannot_hear_are_refused(
    build, questions, profiles, deaf, small_model, tmp_path, which
):
    scorer = {
        "deaf": lambda: deaf,
        "encoder": lambda: write_tiny_encoder(tmp_path / "encoder"),
        "language model": lambda: small_model,
        "untaught": lambda: as_node(build, write_entailment_model(tmp_path / "nli")),
    }[which]()
    said = {"deaf": "the view denied", "encoder": "is a sentence encoder",
            "language model": "neither an entailment model", "untaught": "planted"}  # fmt: skip
    exact = options(tmp_path, "m", None, SHARES.get)
    with pytest.raises(MethodError, match=said[which]):
        measure(build, questions, profiles, scorer, [answers(tmp_path, "m", exactly)], [exact])


def test_options_that_the_scorer_mixes_up_fail_their_own_check(questions):
    from assets.evaluation.stance_reading import read_questions, require_heard, try_scorer
    from assets.evaluation.stance_reading import wanted_checks as wanted

    asked = read_questions(
        read_rows(questions / ROWS).to_dicts(), read_rows(questions / STANCES).to_dicts()
    )
    reader = Reader("sentence", 0.5, 0.1)
    views = {view for _, view, _ in VIEWS}
    reported = {f"Some people say that {view[0].lower()}{view[1:]}": view for view in views}
    scores = {
        (said, view): float(view in (said, reported.get(said)))
        for said, view in wanted(reader, asked)
    }
    require_heard(try_scorer(reader, asked, scores, 0.9), "s")
    same = {key: 1.0 if set(key) <= views and any(set(key) <= set(STATED[p]) for p in PROMPTS)
            else value for key, value in scores.items()}  # fmt: skip
    with pytest.raises(MethodError, match=f"{TOLD_APART}: 0 of 10"):
        require_heard(try_scorer(reader, asked, same, 0.9), "s")


def test_with_the_question_short_answers_can_be_read():
    asked = Question(
        "p", "Q", "a", "How much?", False, ("Very", "Not"), ("So.", "No."), (None,) * 2
    )
    reader = Reader("question and sentence", 0.5, 0.1)
    scores = {("How much? Very.", "So."): 0.9, ("How much? Very.", "No."): 0.1}
    assert stance(reader, asked, "Very.", scores).option == 0
    assert pair("sentence", "How much?", "Very.", "So.") == ("Very.", "So.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("no options", "no option probabilities of m"),
        ("two ways", "was asked in two ways"),
        ("twice", "is given twice"),
        ("other question", "none of the questions"),
        ("other options", "with other options"),
        ("told", "told whom to answer as"),
        ("nobody's", "no model's own people"),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    build, questions, profiles, knowing, tmp_path, wrong, said
):
    given = answers(tmp_path, "m", exactly)
    exact = options(tmp_path, "m", None, SHARES.get)
    path, table = given.files / "answers.parquet", read_rows(given.files / "answers.parquet")
    all_given, all_options = [given], [exact]
    if wrong == "no options":
        all_options = [options(tmp_path, "other", None, SHARES.get)]
    elif wrong == "two ways":
        rows = table.to_dicts()
        rows[0]["sampling"] = '{"temperature": 0.5}'
        write_rows(path, rows)
    elif wrong == "twice":
        all_given = [given, given]
    elif wrong == "other question":
        rows = table.to_dicts()
        rows[0]["prompt_id"] = "elsewhere"
        write_rows(path, rows)
    elif wrong == "other options":
        all_options = [options(tmp_path, "m", None, lambda p: SHARES[p][:-1])]
    elif wrong == "told":
        named = {"model": "m", "community": None, "told": "shore"}
        (exact.files / "model.json").write_text(json.dumps(named))
    elif wrong == "nobody's":
        all_given = [answers(tmp_path, "m@hill", exactly)]
        all_options = [options(tmp_path, "m@hill", "hill", SHARES.get)]
    with pytest.raises(MethodError, match=said):
        measure(build, questions, profiles, knowing, all_given, all_options)


def told(counts, silent, shares, item="Q1"):
    return Told(item, False, np.array(counts, dtype=float), silent, 0, np.array(shares))


def test_the_noise_of_few_answers_is_shown_beside():
    """Ten answers drawn from the options themselves are as far from them as the null says."""
    source = np.random.default_rng(0)
    shares = (0.5, 0.3, 0.2)
    held = {f"Q{n}": OpinionTable(shares, 400, 400) for n in range(30)}
    settings = Settings(400, 0.0, 1, 0)
    drawn = [told(source.multinomial(10, shares), 0, shares, f"Q{n}") for n in range(30)]
    found = {f.figure: f for f in figures_of("m", "c", "asked", drawn, held, settings)}
    one = found[WORDS_OPTIONS]
    assert one.value == pytest.approx(one.null, abs=0.04)
    assert one.p > 0.01
    assert one.low < one.value < one.high
    planted = [told((0, 0, 10), 0, shares, f"Q{n}") for n in range(30)]
    far = {f.figure: f for f in figures_of("m", "c", "asked", planted, held, settings)}
    assert (far[WORDS_OPTIONS].value, far[WORDS_OPTIONS].p) == pytest.approx((0.8, 1 / 401))
    assert (far[WORDS_OPTIONS].low, far[WORDS_OPTIONS].high) == pytest.approx((0.8, 0.8))
    assert far[CARRIED].value == pytest.approx(0.8)


def test_no_stance_counted_as_an_answer_is_as_far_as_it_is_often():
    assert silent_counted(told((3, 2), 5, (0.6, 0.4)), np.array([0.6, 0.4])) == pytest.approx(0.5)
    assert silent_counted(told((6, 4), 0, (0.6, 0.4)), np.array([0.6, 0.4])) == pytest.approx(0)
