"""Answers of GRPO written by vLLM, beside the policy on the same GPU.

trl starts the engine and gives it the policy's weights before each draw. What is drawn is ours:
every answer has a seed of its own, as it has where transformers writes, so that a run that was
killed asks for the same draws when it goes on. vLLM's arithmetic is not that of training: trl
weighs each token by the ratio of the two.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from assets.synthesis.generation import Written
from registry.errors import MethodError

if TYPE_CHECKING:
    from assets.synthesis.sampling import Sampling

Writer = Literal["transformers", "vllm"]


def require_writer(writer: Writer, device: str, where: str) -> None:
    """Raises MethodError where the writer that was asked for cannot run here."""
    if writer == "transformers":
        return
    if importlib.util.find_spec("vllm") is None:
        why = "vLLM is not installed; Chorus does not bring it, since it decides torch's version"
    elif device != "cuda":
        why = f"it writes on a GPU, and this node runs on {device}"
    else:
        return
    raise MethodError(
        "`writer: vllm` was asked for, and cannot run here",
        where=where,
        why=why,
        mend="install vllm beside a GPU, or leave `writer` out: transformers writes the answers",
    )


def write_by_vllm(
    engine: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    ends: frozenset[int],
) -> list[Written]:
    """One answer to each prompt, in their order; the arguments are those of `write_answers`."""
    from vllm import SamplingParams

    asked = [
        SamplingParams(
            n=1,
            seed=seed,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            max_tokens=sampling.max_new_tokens,
            stop_token_ids=sorted(ends),
            logprobs=0,
        )
        for seed in seeds
    ]
    given = engine.generate(
        [{"prompt_token_ids": list(prompt)} for prompt in prompts],
        sampling_params=asked,
        use_tqdm=False,
    )
    return [_written(one.outputs[0], ends) for one in given]


def _written(output: Any, ends: frozenset[int]) -> Written:
    tokens = [int(token) for token in output.token_ids]
    chances = [
        float(found[token].logprob) for token, found in zip(tokens, output.logprobs, strict=True)
    ]
    return Written(tokens, chances, bool(tokens) and tokens[-1] in ends)
