"""A tiny model that is shown tosses of many coins comes to foresee them by Laplace's rule.

A coin's chance is uniform on (0, 1); after s heads in n tosses the ideal chance of heads is
(s + 1) / (n + 2).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assets.alignment.fine_tuning import tune
from assets.alignment.spectrum_sequences import Process, Sample, SequenceShape, deal, sort_out
from assets.alignment.spectrum_turns import turns_of
from assets.alignment.training import TuningParams
from assets.option_prompt import pad_left
from tests.assets.alignment.toy_tokenizer import CHATML, toy

TOSSES = 12
SHAPE = SequenceShape(mean_geometric=1, mean_poisson=60, drop_description=0.2)
PARAMS = TuningParams(
    steps=120, batch_size=16, adapter_rank=0, learning_rate=5e-3, checkpoint_every=0,
    weights_dtype="float32",
)  # fmt: skip


def coins(count, seed):
    source = np.random.default_rng(seed)
    found = []
    for number in range(count):
        heads = source.random(TOSSES) < source.random()
        samples = tuple(Sample("", "1" if one else "0") for one in heads)
        found.append(Process(str(number), "coin", samples))
    return found


def divergence(model, tokenizer, sequences) -> float:
    """Mean KL in nats from Laplace's rule to the model, over all tosses after the first."""
    zero, one = tokenizer.convert_tokens_to_ids(["0", "1"])
    ids, mask = pad_left([s.tokens.ids for s in sequences], 0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
    chances = logits[..., [zero, one]].log_softmax(dim=-1)
    width, total, places = ids.shape[1], 0.0, 0
    for row, sequence in enumerate(sequences):
        shift = width - len(sequence.tokens.ids)
        heads = 0
        for n, span in enumerate(sequence.outputs):
            if n:
                ideal = (heads + 1) / (n + 2)
                said = chances[row, shift + span.start - 1].tolist()
                total += (1 - ideal) * (math.log(1 - ideal) - said[0])
                total += ideal * (math.log(ideal) - said[1])
                places += 1
            heads += sequence.tokens.ids[span.start] == one
    return total / places


def half_and_half() -> float:
    """The same for one who always says 1/2: (n + 1) values of s are equally likely after n."""
    parts = []
    for n in range(1, TOSSES):
        ideals = [(s + 1) / (n + 2) for s in range(n + 1)]
        parts.append(np.mean([math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p)
                              for p in ideals]))  # fmt: skip
    return float(np.mean(parts))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_training_shrinks_the_divergence_from_laplaces_rule(build):
    tokenizer = toy(*CHATML, words=["description", "output", "coin", "0", "1"])
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, pad_token_id=0, bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    turns = turns_of(tokenizer, "own")
    learned, unseen = (
        sort_out(turns, list(deal(coins(count, seed), SHAPE, np.random.default_rng(seed))), 512)[0]
        for count, seed in ((PARAMS.steps * PARAMS.batch_size, 1), (60, 2))
    )
    before = divergence(model, tokenizer, unseen)
    trained, _ = tune(
        model, tokenizer, [one.tokens for one in learned], PARAMS,
        seed=0, device="cpu", folder=build(PARAMS).work, tell=lambda *_: None,
    )  # fmt: skip
    after = divergence(trained, tokenizer, unseen)
    assert before > 0.9 * half_and_half()
    assert after < before / 4
