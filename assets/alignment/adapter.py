"""A low-rank adapter on the top layers of a model, trained on prompts that come again and again.

Where only the top layers are trained, the layers below always give the same activations: they are
computed once per prompt and kept, which makes a step several times cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment.reward_scoring import require_language_model
from assets.compute import load_model, prepare
from assets.option_prompt import encode, letter_ids, position_ids
from registry.errors import MethodError, UsageError
from registry.typed import Frozen

if TYPE_CHECKING:
    import torch

    from registry.context import Context

_TOLERANCE = 0.02
"""Difference in probability that bfloat16 alone can make between two ways of computing."""


class AdapterParams(Frozen):
    """What is trained of a model."""

    adapter_rank: int = Field(default=16, ge=1)
    """Rank of the low-rank adapter."""
    adapter_alpha: float = Field(default=32, gt=0)
    """Scale of the adapter; its updates are multiplied by alpha / rank."""
    trained_layers: int = Field(default=6, ge=0)
    """How many of the top layers are adapted; 0 adapts all of them."""


class Trunk:
    """The layers below the adapter: fixed, so each prompt passes through them only once."""

    def __init__(self, model: Any, trained_layers: int) -> None:
        decoder = getattr(model, "model", None)
        if decoder is None or not hasattr(decoder, "layers") or not hasattr(decoder, "norm"):
            raise MethodError(
                f"{type(model).__name__} has no stack of decoder layers",
                mend="train all layers with `trained_layers: 0`, or choose a Llama-like model",
            )
        self._decoder = decoder
        self._all = decoder.layers
        self._norm = decoder.norm
        self.depth = len(self._all) - trained_layers if trained_layers else 0
        if self.depth < 0:
            raise UsageError(
                f"params.trained_layers is {trained_layers}; the model has {len(self._all)} layers"
            )

    def hidden(self, ids: Sequence[int]) -> torch.Tensor:
        """Activations of one prompt below the trained layers, shape (tokens, width)."""
        import torch

        decoder = self._decoder
        tokens = torch.tensor([list(ids)], device=decoder.embed_tokens.weight.device)
        decoder.layers, decoder.norm = self._all[: self.depth], torch.nn.Identity()
        try:
            with torch.no_grad():
                output = decoder(input_ids=tokens, use_cache=False)
        finally:
            decoder.layers, decoder.norm = self._all, self._norm
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def lift(
        self, model: Any, hidden: Sequence[torch.Tensor], seen: Sequence[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Next-token logits of prompts from their activations, shape (prompts, vocabulary).

        Args:
            model: The model, with its adapter if it has one.
            hidden: The activations of each prompt.
            seen: For each prompt 1 for each token that the trained layers may look at, else 0.
        """
        import torch

        width = max(len(rows) for rows in hidden)
        padded = hidden[0].new_zeros((len(hidden), width, hidden[0].shape[-1]))
        mask = torch.zeros((len(hidden), width), dtype=torch.long, device=padded.device)
        for index, rows in enumerate(hidden):
            padded[index, width - len(rows) :] = rows
            mask[index, width - len(rows) :] = 1
        positions = position_ids(mask)
        for index, rows in enumerate(seen or ()):
            mask[index, width - len(rows) :] = rows
        self._decoder.layers = self._all[self.depth :]
        try:
            output = model(
                inputs_embeds=padded,
                attention_mask=mask,
                position_ids=positions,
                logits_to_keep=1,
                use_cache=False,
            )
        finally:
            self._decoder.layers = self._all
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def check(self, model: Any, ids: Sequence[int]) -> None:
        """Raises MethodError unless both parts together are the model itself."""
        import torch

        with torch.no_grad():
            tokens = torch.tensor([list(ids)], device=self._decoder.embed_tokens.weight.device)
            whole = model(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[:, -1]
            parts = self.lift(model, [self.hidden(ids)])
        difference = (whole.float().softmax(-1) - parts.float().softmax(-1)).abs().max().item()
        if difference > _TOLERANCE:
            raise MethodError(
                f"{type(model).__name__} cannot be split below its top layers",
                why=f"the two parts differ from the whole by {difference:.3f} in probability",
                mend="train all layers with `trained_layers: 0`",
            )


@dataclass(frozen=True)
class Pupil:
    """A model with an adapter, and the prompts that it learns from."""

    model: Any
    tokenizer: Any
    device: torch.device
    trunk: Trunk
    ids: Mapping[str, tuple[int, ...]]
    """The tokens of each prompt."""
    hidden: Mapping[tuple[int, ...], torch.Tensor]
    """Activations below the trained layers, by the prompt's tokens."""
    letters: torch.Tensor
    """The token of each option's letter."""

    def logits(
        self,
        model: Any,
        prompts: Sequence[tuple[int, ...]],
        seen: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Next-token logits after each prompt, shape (prompts, vocabulary)."""
        return self.trunk.lift(model, [self.hidden[tokens] for tokens in prompts], seen)


def enrol(
    context: Context,
    params: AdapterParams,
    prompts: Sequence[str],
    options: int,
    steps: int,
    dropout: float = 0.0,
) -> Pupil:
    """Loads the model given as `base`, adds the adapter, and passes every prompt below it once."""
    import torch

    require_language_model(context.input("base"))
    device = prepare(context)
    model, tokenizer = load_model(context.input("base").files, device, "bfloat16")
    if device.type == "cpu":
        model.set_attn_implementation("eager")  # a fifth faster on prompts this short
    ids = {prompt: tuple(encode(tokenizer, prompt)) for prompt in prompts}
    trunk = Trunk(model, params.trained_layers)
    trunk.check(model, ids[prompts[0]])
    hidden: dict[tuple[int, ...], torch.Tensor] = {}
    for done, prompt in enumerate(prompts, 1):
        hidden[ids[prompt]] = trunk.hidden(ids[prompt])
        if done % 20 == 0:
            context.progress(done, len(prompts) + steps)
    letters = torch.tensor(letter_ids(tokenizer, options), device=device)
    return Pupil(_adapt(model, params, dropout), tokenizer, device, trunk, ids, hidden, letters)


def _adapt(model: Any, params: AdapterParams, dropout: float) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    layers = len(model.model.layers)
    linear = {
        name.rpartition(".")[2]
        for name, module in model.model.layers.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    first = layers - params.trained_layers if params.trained_layers else 0
    config = LoraConfig(
        r=params.adapter_rank,
        lora_alpha=params.adapter_alpha,
        lora_dropout=dropout,
        target_modules=sorted(linear),
        layers_to_transform=list(range(first, layers)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)
