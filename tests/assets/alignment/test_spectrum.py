"""Spectrum Tuning from datasets of samples and from single people's answers."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace

import polars
import pytest

from assets.alignment import spectrum
from assets.rows import ROWS, row_id, row_schema, write_rows
from registry.errors import MethodError
from tests.assets.synthesis.respondents import HELD_OUT, town

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
SETTINGS = {
    "steps": 6, "batch_size": 2, "longest": 512, "checkpoint_every": 2, "adapter_rank": 4,
    "mean_geometric": 2, "mean_poisson": 2,
}  # fmt: skip
PARAMS = spectrum.Params(**SETTINGS, shuffles=4)


def samples(outputs=("good", "bad", "good", "good", "bad"), process="norms"):
    return [
        {
            "row_id": row_id("test", number), "parents": [], "prompt": f"Deed {number}",
            "completion": output, "source": "test", "community": "coop", "process": process,
            "description": "How the cooperative judges.",
        }
        for number, output in enumerate(outputs)
    ]  # fmt: skip


@pytest.fixture
def data(tmp_path):
    text = polars.String
    schema = row_schema() | {"process": text, "description": text}
    write_rows(tmp_path / ROWS, samples(), schema)
    return tmp_path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return town(tmp_path_factory.mktemp("town") / "project")


def digest(files):
    return hashlib.sha256((files / "model.safetensors").read_bytes()).hexdigest()


def told(files):
    return json.loads((files / "sequences.json").read_text())


class Killed(BaseException):
    """Stands in for a signal: nothing on the way may catch it."""


class Deadly(io.StringIO):
    """Events that end the process when step 5 is noted."""

    def write(self, text):
        if json.loads(text)["done"] == 5:
            raise Killed
        return super().write(text)


def test_a_communitys_samples_are_learned_and_counted(build, small_model, data):
    context = build(PARAMS, inputs={"base": small_model, "data": data})
    spectrum.run(context)
    found = told(context.out)
    assert (found["turns"], found["sources"]) == ("chatml", 1)
    assert found["outputs"] + found["outputs_that_did_not_fit"] == 20
    assert found["passes"] == pytest.approx(12 / found["sequences"])
    assert polars.read_parquet(context.out / "curves.parquet").height == 6
    assert (context.out / "loss.png").stat().st_size > 1000


def test_a_killed_run_goes_on_and_ends_the_same(build, small_model, data):
    inputs = {"base": small_model, "data": data}
    whole, cut = (build(PARAMS, inputs=inputs, events=e) for e in (None, Deadly()))
    spectrum.run(whole)
    with pytest.raises(Killed):
        spectrum.run(cut)
    events = io.StringIO()
    spectrum.run(replace(cut, events=events))
    assert [json.loads(line)["done"] for line in events.getvalue().splitlines()] == [5, 6]
    assert digest(cut.out) == digest(whole.out)
    assert told(cut.out) == told(whole.out)


def test_the_seed_decides_what_is_learned(build, small_model, data):
    inputs = {"base": small_model, "data": data}
    params = PARAMS.model_copy(update={"steps": 2, "checkpoint_every": 0})
    found = []
    for seed in (0, 0, 1):
        context = build(params, inputs=inputs, seed=seed)
        spectrum.run(context)
        found.append(digest(context.out))
    assert found[0] == found[1] != found[2]


def test_sequences_that_teach_nothing_are_named(build, small_model, data):
    shape = {"mean_geometric": 1, "mean_poisson": 0.3, "drop_description": 0.9, "shuffles": 30}
    params = PARAMS.model_copy(update={"steps": 1, **shape})
    context = build(params, inputs={"base": small_model, "data": data})
    spectrum.run(context)
    left_out = polars.read_parquet(context.out / "rejected.parquet")
    assert set(left_out["reason"]) == {
        "nothing in it is learned: one output, and no description before it"
    }
    assert set(left_out["samples"]) == {1}


def test_nothing_to_learn_is_refused_with_the_mend(build, small_model, data):
    params = PARAMS.model_copy(update={"longest": 20})
    with pytest.raises(MethodError, match="sequences can be learned from") as caught:
        spectrum.run(build(params, inputs={"base": small_model, "data": data}))
    assert "params.longest" in caught.value.mend


def test_rows_that_do_not_say_what_belongs_together_are_refused(build, small_model, tmp_path):
    rows = [row | {"process": None} for row in samples()]
    write_rows(tmp_path / ROWS, rows, row_schema() | dict.fromkeys(
        ("process", "description"), polars.String))  # fmt: skip
    with pytest.raises(MethodError, match="which of them belong together"):
        spectrum.run(build(PARAMS, inputs={"base": small_model, "data": tmp_path}))


def test_two_communities_never_share_a_sequence():
    rows = samples() + [row | {"community": "other"} for row in samples()]
    found = spectrum.processes_from(rows, "test")
    assert [process.id for process in found] == ["coop/norms", "other/norms"]


# Single people's answers.


def respondents(place, **changed):
    file = place.file.model_copy(update=changed)
    return spectrum.RespondentParams(**SETTINGS, respondents=file)


def attempt(build, place, small_model, params, profiles=None):
    inputs = {"base": small_model, "questionnaire": place.questionnaire}
    return build(params, inputs=inputs, profiles=profiles or place.profiles, root=place.root)


@pytest.fixture(scope="module")
def trained(build, place, small_model):
    context = attempt(build, place, small_model, respondents(place))
    spectrum.run_respondents(context)
    return context


def test_each_person_of_the_learning_half_is_a_source(place, trained):
    found = told(trained.out)
    assert found["sources"] == sum(len(learning) for learning, _ in place.ids.values())
    assert found["permission"]["basis"] == "consent"


def test_no_row_of_a_person_is_left_anywhere(place, trained):
    """Neither an id nor a table nor the words of a question: only weights and curves."""
    names = {path.name for path in trained.out.iterdir()}
    assert {name for name in names if name.endswith(".parquet")} == {"curves.parquet"}
    left = [p for folder in (trained.out, trained.work) for p in folder.rglob("*") if p.is_file()]
    for path in left:
        content = path.read_bytes()
        assert b"person-0" not in content
        assert b"What about" not in content
        assert path.suffix not in (".arrow", ".csv")


def test_one_community_learns_from_its_own_people_only(build, place, small_model):
    context = attempt(build, place, small_model, respondents(place), place.profiles[:1])
    spectrum.run_respondents(context)
    assert told(context.out)["sources"] == len(place.ids["town-north"][0])


def test_what_is_learned_holds_no_held_out_item_and_nobody_of_the_other_half(
    build, place, small_model, monkeypatch
):
    seen = []
    monkeypatch.setattr(spectrum, "_train", lambda context, params, pupil, found: seen.append(
        " ".join(pupil.tokenizer.decode(one.tokens.ids) for one in found)))  # fmt: skip
    spectrum.run_respondents(attempt(build, place, small_model, respondents(place)))
    (text,) = seen
    assert "What about tea, in wording" in text
    assert not any(f"What about {item}" in text for item in HELD_OUT)
    assert "wording unseen" not in text


def test_the_wrong_half_stops_before_any_work(build, place, small_model):
    context = attempt(build, place, small_model, respondents(place, seed=7))
    with pytest.raises(MethodError, match="are not those of town-north's table"):
        spectrum.run_respondents(context)
    assert not list(context.out.iterdir())


def test_rows_that_nobody_permitted_stop_before_any_work(build, place, small_model):
    context = attempt(build, place, small_model, respondents(place, permission=None))
    with pytest.raises(MethodError, match="nothing says that the rows"):
        spectrum.run_respondents(context)
    assert not list(context.out.iterdir())
