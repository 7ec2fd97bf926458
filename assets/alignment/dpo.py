"""Direct preference optimisation: a model learns from pairs without a reward model.

The loss of a pair is -log sigmoid(beta * ((log p(c) - log p0(c)) - (log p(r) - log p0(r)))), with c
the chosen and r the rejected answer, p the model and p0 the model as it started (Rafailov et al.,
2023). Two changes are Llama 3's: tokens that only mark turns count in neither answer, since where
both answers share them they pull in both directions at once; and 0.2 times the cross-entropy of the
chosen answer is added, so that it does not become unlikely while the other becomes more so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment import training
from assets.alignment.preferences import (
    PairParams,
    TokenPair,
    read_pairs,
    readable,
    require_learnable,
    sort_pairs,
    words_only,
)
from assets.alignment.reward_scoring import padded, require_language_model
from assets.alignment.sequences import IGNORED
from assets.alignment.training import laid_out, low_rank, save_trained, settings, told, train
from assets.compute import LIBRARIES, load_weights, prepare
from assets.rows import write_left_out
from registry.method import Method, Role

if TYPE_CHECKING:
    import torch

    from registry.context import Context

CURVES = {
    "loss": "loss",
    "preference": "preference",
    "likelihood": "likelihood",
    "accuracy": "accuracy",
    "difference": "difference",
    "gradient_norm": "grad_norm",
    "learning_rate": "learning_rate",
}


class Params(PairParams):
    """Parameters of the training."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW. Adapters take about 1e-4, all weights about 1e-6: Llama 3's 1e-5
    goes with batches of hundreds."""
    beta: float = Field(default=0.1, gt=0)
    """How dearly the model pays for leaving where it started; 0.1 is Llama 3's."""
    likelihood_weight: float = Field(default=0.2, ge=0)
    """Weight of the chosen answer's cross-entropy, in nats a token; 0.2 is Llama 3's."""
    mask_marks: bool = True
    """Whether tokens that mark turns and their ends count in neither answer, as in Llama 3."""


def preference_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    first_chosen: torch.Tensor,
    first_rejected: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    """The loss of each pair, from log-probabilities of whole answers, now and at the start."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(beta * ((chosen - first_chosen) - (rejected - first_rejected)))


class Collator:
    """Puts pairs into a batch: chosen answers first, then rejected ones in the same order."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, pairs: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Tokens, which of them are real, and which count, each of shape (2 x pairs, tokens)."""
        import torch

        rows = [pair[f"{side}_ids"] for side in ("chosen", "rejected") for pair in pairs]
        counted = [pair[f"{side}_counted"] for side in ("chosen", "rejected") for pair in pairs]
        ids, mask = padded(rows, self._pad)
        width = ids.shape[1]
        counts = torch.tensor([[*one, *[0] * (width - len(one))] for one in counted])
        return {"input_ids": ids, "attention_mask": mask, "counted": counts}


def rows_of(
    tokenizer: Any, pairs: Sequence[TokenPair], *, mask_marks: bool
) -> list[dict[str, list[int]]]:
    """Pairs as the collator takes them."""
    found = []
    for pair in pairs:
        row: dict[str, list[int]] = {}
        for side, one in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            counted = words_only(tokenizer, one) if mask_marks else one.learned
            row |= {f"{side}_ids": list(one.ids), f"{side}_counted": [int(on) for on in counted]}
        found.append(row)
    return found


def token_logs(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The log-probability of each token that counts, 0 elsewhere, shape (rows, tokens - 1).

    The model has the output layer that trl gives it, which never holds all logits at once.
    """
    ids = batch["input_ids"]
    output = model(
        input_ids=ids,
        attention_mask=batch["attention_mask"],
        labels=ids.masked_fill(batch["counted"] == 0, IGNORED),
        fused_lm_head=True,
    )
    logs: torch.Tensor = output.log_probs[:, -(ids.shape[1] - 1) :]
    return logs


def losses(
    logs: torch.Tensor, first: torch.Tensor, counted: torch.Tensor, params: Params
) -> dict[str, torch.Tensor]:
    """The figures of each pair: both parts of the loss, the difference, and whether it is right.

    Args:
        logs: Log-probabilities of tokens, chosen answers first.
        first: The same of the model as it started.
        counted: Which tokens count.
        params: The weights.
    """
    chosen, rejected = logs.sum(dim=1).chunk(2)
    first_chosen, first_rejected = first.sum(dim=1).chunk(2)
    tokens = counted.chunk(2)[0].sum(dim=1).clamp(min=1)
    gained = params.beta * ((chosen - first_chosen) - (rejected - first_rejected)).detach()
    return {
        "preference": preference_loss(chosen, rejected, first_chosen, first_rejected, params.beta),
        "likelihood": -chosen / tokens,
        "difference": gained,
        "accuracy": (gained > 0).float(),
    }


def build_trainer(
    model: Any,
    reference: Any,
    tokenizer: Any,
    pairs: Sequence[TokenPair],
    params: Params,
    arguments: Any,
) -> Any:
    """The trainer of trl with the loss above, on pairs that are tokens already.

    Args:
        model: What is trained.
        reference: The model as it started; None where an adapter can be switched off instead.
        tokenizer: Its tokenizer.
        pairs: What it learns from.
        params: Parameters of the training.
        arguments: What every trainer takes.
    """
    from datasets import Dataset
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.utils import use_adapter

    class MaskedTrainer(DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            import torch

            logs = token_logs(model, inputs)
            with torch.no_grad():
                if self.ref_model is not None:
                    first = token_logs(self.ref_model, inputs)
                else:
                    with use_adapter(self.accelerator.unwrap_model(self.model), adapter_name=None):
                        first = token_logs(self.model, inputs)
            figures = losses(logs, first, inputs["counted"][:, 1:], params)
            for name, values in figures.items():
                mean = self.accelerator.gather(values.detach()).mean().item()
                self._metrics["train"][name].append(mean)
            whole = figures["preference"] + params.likelihood_weight * figures["likelihood"]
            loss = whole.mean()
            return (loss, logs) if return_outputs else loss

    set_seed(arguments["seed"])
    rows = rows_of(tokenizer, pairs, mask_marks=params.mask_marks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MaskedTrainer(
            model=model.train(),
            ref_model=reference,
            args=DPOConfig(beta=params.beta, remove_unused_columns=False, **arguments),
            data_collator=Collator(tokenizer.pad_token_id or 0),
            train_dataset=laid_out(Dataset.from_list(rows), params, arguments["seed"]),
            processing_class=tokenizer,
            peft_config=low_rank(params, "CAUSAL_LM"),
        )


def run(context: Context) -> None:
    """Trains on every pair of every dataset given, and saves the model."""
    params = context.typed(Params)
    device = prepare(context)
    base = context.input("base")
    require_language_model(base)
    require_learnable(context, "data")
    given = read_pairs(context, "data")
    model, tokenizer = load_weights(base.files, device, params.loads_as)
    reference = None
    if not params.adapter_rank:
        reference = load_weights(base.files, device, params.loads_as)[0].eval()
    longest = readable(model, params)
    pairs, rejected = sort_pairs(tokenizer, given, params, longest, base.label)
    if context.device == "cpu":
        for one in (model, reference) if reference is not None else (model,):
            one.set_attn_implementation("eager")  # a fifth faster on rows this short
    folder = context.work / "trainer"
    arguments = settings(params, context.seed, context.device, folder)
    trainer = build_trainer(model, reference, tokenizer, pairs, params, arguments)
    say = context.ran
    trained, curve = train(trainer, params, folder, CURVES, told(context, params.steps), say)
    write_left_out(context.out, rejected)
    shown = ("preference", "likelihood", "accuracy", "difference")
    panels = {name: [row[name] for row in curve] for name in shown}
    save_trained(context, trained, tokenizer, curve, panels)


method = Method(
    name="dpo",
    kind="model",
    form="language model",
    description="Direct preference optimisation on pairs of answers, all weights or an adapter.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from", form="language model"),
        "data": Role("dataset", "pairs of answers of which one is preferred", many=True),
    },
    use="train-rl",
    spreads=True,
    libraries=(*LIBRARIES, *training.LIBRARIES, "matplotlib", "polars"),
)
