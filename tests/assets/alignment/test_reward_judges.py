"""A classifier of judgements is taken only if it hears a "not"."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest
import torch
from accelerate.state import AcceleratorState

from assets.alignment import grpo
from assets.alignment.reward_judges import (
    JudgementClassifier,
    Rule,
    agreement,
    hearing,
    negated,
)
from assets.rows import ROWS
from registry.errors import MethodError
from registry.profile_tables import NORMS, read_table
from tests.assets.conftest import ROOT
from tests.assets.encoders import packaged_encoder

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
TABLE = ROOT / "value_profiles/example-tidewater-coop/norms.csv"


@pytest.fixture(scope="module")
def rules() -> list[Rule]:
    rows = read_table(TABLE, "norms.csv", NORMS).rows
    return [Rule(row.situation, row.rule, row.judgement) for row in rows]


@pytest.mark.parametrize(
    ("rule", "opposite"),
    [
        ("It's wrong to lie.", "It's not wrong to lie."),
        ("It is kind to share.", "It's not kind to share."),
        ("It's not okay to lie.", "It's okay to lie."),
        ("It isn't fair.", "It's fair."),
        ("You shouldn't lie.", "You should lie."),
        ("You should never lie.", "You should lie."),
        ("You should always leave word.", "You shouldn't leave word."),
        ("It's never all right to lie.", None),
        ("Whoever lies is out.", None),
    ],
)
def test_rules_of_thumb_are_negated(rule, opposite):
    assert negated(rule) == opposite


def hears(pairs):
    """Reads words of judgement, and turns them at a "not"; knows which deeds these rules mean."""
    meant = {(one.situation, one.rule): one.judgement for one in hears.rules}
    opposite = {(one.situation, negated(one.rule)): -one.judgement for one in hears.rules}
    return [float((opposite | meant)[pair]) for pair in pairs]


def follows_words(pairs):
    """What the likeness of vectors amounts to: the same words, the same judgement."""
    return [
        sum(map(ord, said.replace("not ", "").replace("n't", ""))) % 5 - 2.0 for _, said in pairs
    ]


def test_a_classifier_that_hears_is_taken(rules):
    hears.rules = rules
    found = hearing(hears, rules, 1.0, "judge")
    assert found.rules >= 30
    assert found.share == 1


def test_one_that_follows_words_is_refused(rules):
    with pytest.raises(MethodError, match="does not hear a 'not'") as caught:
        hearing(follows_words, rules, 0.75, "judge")
    assert "opposite of the community's norms" in caught.value.why


def test_too_few_norms_show_nothing(rules):
    with pytest.raises(MethodError, match="fewer than 8") as caught:
        hearing(follows_words, rules[:5], 0.75, "judge")
    assert "leave the reward out" in caught.value.mend


def test_agreement_falls_with_the_distance():
    assert [agreement(one, 2) for one in (2, 1, 0, -2)] == [1, 0.75, 0.5, 0]


def write_classifier(folder: Path, labels=("-2", "-1", "0", "1", "2")) -> Path:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(packaged_encoder(), local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach(folder: Path, rules: list[Rule]) -> Path:
    """Trains such a classifier until it knows these rules and their opposites."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    given = []
    for one in rules:
        if one.judgement and (opposite := negated(one.rule)):
            sign = 4 if one.judgement > 0 else 0
            given += [(one, one.rule, sign), (one, opposite, 4 - sign)]
    read = tokenizer([f"{one.situation}: {said}" for one, said, _ in given], padding=True,
                     truncation=True, max_length=64, return_tensors="pt")  # fmt: skip
    labels = torch.tensor([label for _, _, label in given])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimiser.zero_grad()
        model(**read, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def taught(rules, tmp_path_factory) -> Path:
    return teach(write_classifier(tmp_path_factory.mktemp("taught") / "judge"), rules)


def test_a_random_classifier_is_refused_and_a_taught_one_is_taken(rules, taught, tmp_path):
    random = write_classifier(tmp_path / "judge")
    device = torch.device("cpu")
    with pytest.raises(MethodError, match="does not hear"):
        hearing(JudgementClassifier(random, device, "judge").judge, rules, 0.9, "judge")
    judge = JudgementClassifier(taught, device, "judge").judge
    assert hearing(judge, rules, 0.9, "judge").share >= 0.9
    one = rules[0]
    alone = judge([(one.situation, one.rule)])
    beside = judge([(one.situation, one.rule), (one.situation, "long " * 200)])
    assert alone[0] == pytest.approx(beside[0], abs=1e-4)


def norm_rows(rules: list[Rule], folder: Path) -> Path:
    """The norms as `community-norms` writes them."""
    rows = [
        {
            "row_id": f"{place:016d}", "prompt": f"What do you think of {one.situation}?",
            "situation": one.situation, "rule": one.rule, "judgement": one.judgement,
            "held_out": False,
        }
        for place, one in enumerate(rules)
    ]  # fmt: skip
    polars.DataFrame(rows).write_parquet(folder / ROWS)
    return folder


def test_norms_are_learned_only_from_a_classifier_that_hears(
    build, lively_model, rules, taught, tmp_path
):
    AcceleratorState._reset_state()
    rows = norm_rows(rules, tmp_path)
    params = grpo.Params(
        steps=1, prompts=2, group_size=4, adapter_rank=4, sampling={"max_new_tokens": 6},
        rewards=[{"kind": "norms"}],
    )  # fmt: skip
    given = {"base": lively_model, "tasks": rows, "judge": taught}
    context = build(params, inputs=given)
    grpo.run(context)
    AcceleratorState._reset_state()
    found = json.loads((context.out / "judge.json").read_text())
    assert found["turned"] >= 0.9 * found["rules"]
    (paid,) = polars.read_parquet(context.out / "curves.parquet")["reward_norms"]
    assert 0 <= paid <= 1
    deaf = given | {"judge": write_classifier(tmp_path / "judge")}
    with pytest.raises(MethodError, match="does not hear a 'not'"):
        grpo.run(build(params, inputs=deaf))


def test_other_labels_are_refused(tmp_path):
    folder = write_classifier(tmp_path / "judge", labels=("bad", "good"))
    with pytest.raises(MethodError, match="has the labels bad, good") as caught:
        JudgementClassifier(folder, torch.device("cpu"), "judge")
    assert "-2 to 2" in caught.value.mend


def test_what_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MethodError, match="no classifier that can be loaded"):
        JudgementClassifier(tmp_path, torch.device("cpu"), "judge")
