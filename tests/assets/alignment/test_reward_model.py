"""A reward model learns what was preferred, scores by itself, and goes on where it was."""

from __future__ import annotations

import io
import json
import math
import shutil
from dataclasses import replace

import polars
import pytest
import torch
from accelerate.state import AcceleratorState

from assets.alignment import reward_model
from assets.alignment.preferences import log_odds, read_pairs, sort_pairs
from assets.alignment.reward_scoring import (
    RewardSettings,
    Scorer,
    filler,
    load_scorer,
    padded,
    require_language_model,
    require_reward_model,
)
from assets.compute import load_weights, save_model
from registry.context import Input
from registry.errors import MethodError
from tests.assets.pairs import WORDS, colours, pair, write_pairs

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
PARAMS = reward_model.Params(
    steps=6, batch_size=4, longest=96, checkpoint_every=2, adapter_rank=4, learning_rate=1e-2,
    warmup=0,
)  # fmt: skip
LOSSES = [0.6931, 0.6130, 0.6085, 0.5281, 0.3144, 0.2865]
"""Of `PARAMS` on the six colours, all weights: the trajectory that must stay."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), colours())


def train(build, base, pairs, params=PARAMS, **context):
    made = build(params, inputs={"base": base, "data": pairs}, **context)
    reward_model.run(made)
    return made.out


def curve(files, name="loss") -> list[float]:
    return polars.read_parquet(files / "curves.parquet")[name].to_list()


@pytest.fixture(scope="module")
def trained(build, lively_model, pairs):
    AcceleratorState._reset_state()
    return train(build, lively_model, pairs, PARAMS.model_copy(update={"steps": 30}))


def scorer(files) -> Scorer:
    return load_scorer(Input("reward", None, files), torch.device("cpu"), "float32", 4)


def test_an_untrained_head_finds_every_pair_a_coin_flip(build, lively_model, pairs):
    first = curve(train(build, lively_model, pairs))[0]
    assert first == pytest.approx(math.log(2), abs=1e-6)


def test_it_prefers_what_was_preferred(trained):
    assert curve(trained)[-1] < 0.2
    judge = scorer(trained)
    asked = [(f"Word {i}?", text) for i, word in enumerate(WORDS)
             for text in (f"It is {word}.", f"Who knows {i}.")]  # fmt: skip
    found = judge.scores(asked)
    assert all(good > bad for good, bad in zip(found[::2], found[1::2], strict=True))
    assert abs(sum(found)) / len(found) < 2, "scores stay around 0"


def test_what_is_saved_is_a_plain_classifier_with_one_number(trained):
    from transformers import AutoModelForSequenceClassification

    model, report = AutoModelForSequenceClassification.from_pretrained(
        trained, output_loading_info=True
    )
    assert model.config.num_labels == 1
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not list(trained.glob("*.bin"))
    assert RewardSettings.model_validate_json((trained / "reward.json").read_bytes()).longest == 96


def test_a_score_does_not_depend_on_who_is_beside_it(trained):
    judge = scorer(trained)
    asked = [("Tea?", "Yes."), ("Tea?", "Not at this time of the day, I think."), ("A", "B")]
    together = judge.scores(asked)
    alone = [judge.scores([one])[0] for one in asked]
    assert together == pytest.approx(alone, abs=1e-4)


def test_what_it_never_read_has_no_score(trained):
    assert scorer(trained).scores([("Tea?", "y" * 200), ("Tea?", "Yes.")])[0] is None


def test_a_score_that_is_no_number_is_refused(trained):
    judge = scorer(trained)
    with torch.no_grad():
        judge.model.score.weight.fill_(torch.nan)
    with pytest.raises(MethodError, match="the reward model gives nan to an answer") as caught:
        judge.scores([("Tea?", "Yes.")])
    assert caught.value.where == "reward"
    assert caught.value.mend


class Killed(BaseException):
    """Stands in for a signal."""


class Deadly(io.StringIO):
    """Events that end the process when step 5 is noted."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 5:
            raise Killed
        return super().write(text)


@pytest.mark.parametrize("rank", [4, 0], ids=["adapter", "all weights"])
def test_a_killed_run_goes_on_and_ends_the_same(build, lively_model, pairs, rank):
    params = PARAMS.model_copy(update={"adapter_rank": rank, "learning_rate": 1e-3})
    inputs = {"base": lively_model, "data": pairs}
    whole = build(params, inputs=inputs)
    reward_model.run(whole)
    cut = build(params, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        reward_model.run(cut)
    events = io.StringIO()
    reward_model.run(replace(cut, events=events))
    assert [json.loads(line)["done"] for line in events.getvalue().splitlines()] == [5, 6]
    for name in ("model.safetensors", "curves.parquet", "rejected.parquet", "training.png"):
        assert (cut.out / name).read_bytes() == (whole.out / name).read_bytes(), name


def test_the_trajectory_is_the_committed_one(build, lively_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0})
    assert curve(train(build, lively_model, pairs, params)) == pytest.approx(LOSSES, abs=2e-2)


def by_hand(files, pairs, params) -> list[float]:
    """The same training written out: whole batches, so that no order of pairs matters."""
    model, tokenizer = reward_model.load_base(
        Input("base", None, files), torch.device("cpu"), params
    )
    model.set_attn_implementation("eager")
    tokens, _ = sort_pairs(tokenizer, pairs, params, params.longest, "base")
    rows = [t.chosen.ids for t in tokens] + [t.rejected.ids for t in tokens]
    ids, mask = padded(rows, tokenizer.pad_token_id)
    optimiser = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, weight_decay=0)
    fall = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 - t / params.steps)
    found = []
    for _ in range(params.steps):
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(input_ids=ids, attention_mask=mask).logits[:, 0]
        good, bad = scores.chunk(2)
        loss = -torch.nn.functional.logsigmoid(good - bad).mean()
        loss += params.keep_centred * ((good + bad) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        fall.step()
        found.append(float(loss.detach()))
    return found


def test_every_step_is_the_one_written_out(build, lively_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0, "batch_size": 6})
    made = build(params, inputs={"base": lively_model, "data": pairs})
    reward_model.run(made)
    expected = by_hand(lively_model, read_pairs(made, "data"), params)
    assert curve(made.out) == pytest.approx(expected, abs=5e-3)
    assert expected[-1] < 0.6


def test_a_batch_in_parts_is_the_same_batch(build, lively_model, pairs):
    found = []
    for accumulate in (1, 2):
        params = PARAMS.model_copy(
            update={"adapter_rank": 0, "learning_rate": 1e-3, "accumulate": accumulate}
        )
        found.append(curve(train(build, lively_model, pairs, params)))
    assert found[0] == pytest.approx(found[1], abs=2e-2)


def test_a_margin_is_taken_off_the_difference(build, lively_model, tmp_path):
    rows = [row | {"strength": 0.9} for row in colours()]
    data = write_pairs(tmp_path, rows)
    params = PARAMS.model_copy(update={"steps": 1, "margin": 0.5})
    first = curve(train(build, lively_model, data, params))[0]
    assert first == pytest.approx(math.log(1 + math.exp(0.5 * log_odds(0.9))), abs=1e-5)


def test_scores_are_kept_around_zero_by_their_own_weight(build, lively_model, pairs):
    level = []
    for weight in (0.0, 1.0):
        params = PARAMS.model_copy(update={"keep_centred": weight, "steps": 10})
        made = train(build, lively_model, pairs, params)
        level.append(abs(curve(made, "mean_reward")[-1]))
    assert level[1] < max(level[0], 0.2)


def test_near_ties_are_left_out(build, lively_model, tmp_path):
    data = write_pairs(tmp_path, [*colours(), pair("a", "b", "c", strength=0.55)])
    made = train(build, lively_model, data, PARAMS.model_copy(update={"steps": 1}))
    left = polars.read_parquet(made / "rejected.parquet").to_dicts()
    assert [(row["reason"], row["score"]) for row in left] == [
        ("a near-tie: less than 0.6 preferred it", 0.55)
    ]


def test_a_reward_model_goes_on_from_a_reward_model(build, trained, pairs):
    made = train(build, trained, pairs, PARAMS.model_copy(update={"steps": 2}))
    assert curve(made)[0] < 0.3, "its head was kept"


def test_a_loss_that_is_no_number_is_refused(build, small_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0, "learning_rate": 1e30})
    with pytest.raises(MethodError, match=r"the loss is (nan|inf) at step") as caught:
        train(build, small_model, pairs, params)
    assert "learning_rate" in caught.value.mend


def changed(small_model, folder, **changes):
    model, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    save_model(model, tokenizer, folder)
    return folder


def test_a_base_without_a_chat_template_is_refused(build, small_model, pairs, tmp_path):
    base = changed(small_model, tmp_path, chat_template=None)
    with pytest.raises(MethodError, match="has no chat template") as caught:
        train(build, base, pairs)
    assert caught.value.where == "base"
    assert "chat_template: false" in caught.value.mend
    train(build, base, pairs, PARAMS.model_copy(update={"steps": 1, "chat_template": False}))


@pytest.mark.parametrize("pad", [None, "<|im_end|>"], ids=["no filler", "the end of turn"])
def test_rows_are_filled_with_what_ends_no_answer(build, small_model, pairs, tmp_path, pad):
    base = changed(small_model, tmp_path, pad_token=pad)
    made = train(build, base, pairs, PARAMS.model_copy(update={"steps": 1}))
    judge = scorer(made)
    assert judge.tokenizer.pad_token not in (None, "<|im_end|>")
    assert judge.model.config.pad_token_id == judge.tokenizer.pad_token_id


def test_a_tokenizer_without_any_filler_is_refused():
    class Bare:
        pad_token, eos_token, all_special_tokens = None, "</s>", ("</s>",)

    with pytest.raises(MethodError, match="no token to fill rows up with") as caught:
        filler(Bare(), "base")
    assert caught.value.where == "base"
    assert "pad_token" in caught.value.mend


def test_models_named_in_the_wrong_place_are_refused(trained, small_model, tmp_path):
    with pytest.raises(MethodError, match="is a reward model"):
        require_language_model(Input("base", None, trained))
    with pytest.raises(MethodError, match="is no reward model"):
        require_reward_model(Input("reward", None, small_model))
    with pytest.raises(MethodError, match=r"no config\.json"):
        require_language_model(Input("base", None, tmp_path))


def test_a_classifier_of_several_classes_is_no_base(build, trained, pairs, tmp_path):
    shutil.copytree(trained, tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    config = json.loads(path.read_text()) | {
        "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1},
    }  # fmt: skip
    path.write_text(json.dumps(config))
    with pytest.raises(MethodError, match="gives 2 numbers for an answer"):
        train(build, tmp_path / "base", pairs)
