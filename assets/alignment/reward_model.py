"""A reward model: one number for an answer, higher for what people preferred.

Bradley and Terry (1952): the chance that one answer is preferred to another is the logistic
function of the difference of their scores. The loss is minus the log of that chance for the answers
that were preferred; a margin, where one is asked for, is taken off the difference first.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment import training
from assets.alignment.preferences import (
    PairParams,
    TokenPair,
    log_odds,
    read_pairs,
    readable,
    require_learnable,
    sort_pairs,
)
from assets.alignment.reward_scoring import (
    SETTINGS,
    RewardSettings,
    architecture,
    filler,
    precise_head,
)
from assets.alignment.training import laid_out, low_rank, save_trained, settings, told, train
from assets.compute import LIBRARIES, as_dtype, prepare
from assets.rows import write_left_out
from registry.errors import MethodError
from registry.method import Method, Role

if TYPE_CHECKING:
    import torch

    from registry.context import Context, Input

CURVES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "difference": "margin",
    "mean_reward": "mean_reward",
    "gradient_norm": "grad_norm",
    "learning_rate": "learning_rate",
}


class Params(PairParams):
    """Parameters of the training."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate of AdamW. A new head on an adapter takes about 5e-4, all weights about
    1e-5: two passes over some pairs already learn them by heart."""
    margin: float = Field(default=0.0, ge=0)
    """How much of the log odds of people's choices the better answer must lead by. 0 is Llama 3's:
    a margin helped Llama 2 where all pairs had a strength, and is nothing where none has."""
    keep_centred: float = Field(default=0.01, ge=0)
    """Weight of the squared sum of both scores, which keeps scores around 0 (Eisenstein et al.,
    2023, who take 0.01). Differences say nothing of the level, and rewards are read by others."""


def load_base(given: Input, device: torch.device, params: PairParams) -> tuple[Any, Any]:
    """The model with a head that gives every answer a score of 0, and its tokenizer.

    The head of a model that is a reward model already is kept.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    kept = architecture(given.files, given.label).endswith("ForSequenceClassification")
    config = AutoConfig.from_pretrained(given.files, local_files_only=True, trust_remote_code=False)
    if kept and config.num_labels != 1:
        raise MethodError(
            f"gives {config.num_labels} numbers for an answer",
            where=given.label,
            why="a reward is one",
            mend="start from a language model, or from a reward model",
        )
    config.num_labels = 1
    model = AutoModelForSequenceClassification.from_pretrained(
        given.files,
        config=config,
        dtype=as_dtype(params.loads_as),
        local_files_only=True,
        trust_remote_code=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(
        given.files, local_files_only=True, trust_remote_code=False
    )
    tokenizer.pad_token = filler(tokenizer, given.label)
    model.config.pad_token_id = tokenizer.pad_token_id
    if not kept:
        with torch.no_grad():
            model.score.weight.zero_()
    precise_head(model)
    return model.to(device), tokenizer


def build_trainer(
    model: Any, tokenizer: Any, pairs: Sequence[TokenPair], params: Params, arguments: Any
) -> Any:
    """The trainer of trl on pairs that are tokens already."""
    from datasets import Dataset
    from transformers import set_seed
    from trl import RewardConfig, RewardTrainer

    set_seed(arguments["seed"])
    rows = [
        {"chosen_ids": list(one.chosen.ids), "rejected_ids": list(one.rejected.ids)}
        | ({"margin": params.margin * log_odds(one.pair.strength)} if params.margin else {})
        for one in pairs
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RewardTrainer(
            model=model.train(),
            args=RewardConfig(
                center_rewards_coefficient=params.keep_centred or None,
                pad_token=tokenizer.pad_token,
                remove_unused_columns=False,
                **arguments,
            ),
            train_dataset=laid_out(Dataset.from_list(rows), params, arguments["seed"]),
            processing_class=tokenizer,
            peft_config=low_rank(params, "SEQ_CLS"),
        )


def run(context: Context) -> None:
    """Trains on every pair of every dataset given, and saves the model."""
    params = context.typed(Params)
    device = prepare(context)
    base = context.input("base")
    require_learnable(context, "data")
    given = read_pairs(context, "data")
    model, tokenizer = load_base(base, device, params)
    longest = readable(model, params)
    pairs, rejected = sort_pairs(tokenizer, given, params, longest, base.label)
    if context.device == "cpu":
        model.set_attn_implementation("eager")  # a fifth faster on rows this short
    folder = context.work / "trainer"
    arguments = settings(params, context.seed, context.device, folder)
    trainer = build_trainer(model, tokenizer, pairs, params, arguments)
    say = context.ran
    trained, curve = train(trainer, params, folder, CURVES, told(context, params.steps), say)
    kept = RewardSettings(chat_template=params.chat_template, longest=longest)
    (context.out / SETTINGS).write_text(kept.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_left_out(context.out, rejected)
    panels = {name: [row[name] for row in curve] for name in ("loss", "accuracy", "difference")}
    save_trained(context, trained, tokenizer, curve, panels)


method = Method(
    name="reward-model",
    kind="model",
    form="reward model",
    description="A model that scores answers, learned from pairs of which people prefer one.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from"),
        "data": Role("dataset", "pairs of answers of which one is preferred", many=True),
    },
    use="train-rl",
    spreads=True,
    libraries=(*LIBRARIES, *training.LIBRARIES, "matplotlib", "polars"),
    limits=("It scores what its people preferred among a few answers, not whether one is true.",),
)
