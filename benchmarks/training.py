"""Prints what training costs beside what one would run instead: `python -m benchmarks.training`.

Each pair is trained in turn in one process, so that both meet the same machine; what is told is the
median over all steps but the first of each turn. A step counts from one word of progress to the
next, with everything that Chorus does in it. Ratios are taken of the processor's seconds, since
others may use the machine; the clock's stand beside them. Everything has one thread.

- `sft` and `grpo`: the methods as `chorus make` runs them, beside a script that calls trl with the
  same settings and its own generation. Both trl's and ours end an answer where it ends by itself.
- opinion training: a step whose logits are taken after the last token only, on layers above a trunk
  that is passed once, beside the loss over every token of whole prompts through the whole model.
- `rlp` beside `grpo`: as many answers of the same length at most; seconds for each token drawn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import SIZES, Clock, Moment, Size, context, in_turn, line, make_model, now
from benchmarks.opinion_training import measure_opinion

CLOSE = 0.03
"""What is claimed: within this part of trl."""


def make_rows(folder: Path, count: int = 64) -> list[dict[str, Any]]:
    """Prompts with short answers, and where they lie as a dataset."""
    import reasoning_gym

    from assets.rows import ROWS, row_id, row_schema, write_rows

    drawn = reasoning_gym.create_dataset("chain_sum", size=count, seed=0)
    rows = [
        {
            "row_id": row_id("bench", one["question"]), "parents": [], "prompt": one["question"],
            "completion": one["answer"], "source": "bench", "community": None,
        }
        for one in drawn
    ]  # fmt: skip
    write_rows(folder / ROWS, rows, row_schema())
    return rows


def watch(moments: list[Moment]) -> Any:
    """Notes when each step of a bare trainer was logged."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any, **_: Any) -> None:
            if "loss" in logs:
                moments.append(now(logs["num_tokens"]))

    return Watch()


def quietly(trainer: Any) -> None:
    """Trains without printing every step."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.train()


def bare(model: Path, attention: str) -> tuple[Any, Any, Any]:
    """A model, its tokenizer and an adapter, as a script would load them."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.use_deterministic_algorithms(False)
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    if attention:
        loaded.set_attn_implementation(attention)
    return loaded, AutoTokenizer.from_pretrained(model), adapter


def plain(size: Size, folder: Path) -> dict[str, Any]:
    """Settings that the bare scripts share."""
    return {
        "output_dir": str(folder), "max_steps": size.steps, "learning_rate": 1e-4,
        "per_device_train_batch_size": size.batch, "use_cpu": True, "bf16": True,
        "logging_steps": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True,
        "gradient_checkpointing": False, "dataloader_pin_memory": False, "seed": 0,
    }  # fmt: skip


def our_sft(model: Path, data: Path, size: Size, out: Path) -> list[Moment]:
    from assets.alignment import sft

    params = sft.Params(steps=size.steps, batch_size=size.batch, learning_rate=1e-4)
    clock = Clock()
    sft.run(context(out, params, clock, base=model, data=data))
    return clock.moments


def bare_sft(model: Path, rows: Sequence[Mapping[str, Any]], size: Size, out: Path) -> list[Moment]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    loaded, tokenizer, adapter = bare(model, size.attention)
    asked = [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "completion": [{"role": "assistant", "content": row["completion"]}],
        }
        for row in rows
    ]
    moments: list[Moment] = []
    trainer = SFTTrainer(
        model=loaded, args=SFTConfig(max_length=None, **plain(size, out)),
        train_dataset=Dataset.from_list(asked), processing_class=tokenizer, peft_config=adapter,
        callbacks=[watch(moments)],
    )  # fmt: skip
    quietly(trainer)
    return moments


def our_grpo(model: Path, data: Path, size: Size, out: Path) -> list[Moment]:
    from assets.alignment import grpo

    params = grpo.Params(
        steps=size.steps, prompts=size.batch, group_size=size.group,
        sampling={"max_new_tokens": size.answer_tokens},
        rewards=[{"kind": "length", "free": 1, "most": size.answer_tokens}],
    )  # fmt: skip
    clock = Clock()
    grpo.run(context(out, params, clock, base=model, tasks=data))
    return clock.moments


def bare_grpo(
    model: Path, rows: Sequence[Mapping[str, Any]], size: Size, out: Path
) -> list[Moment]:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def shortness(completion_ids: list[list[int]], **_: object) -> list[float]:
        return [1 - len(ids) / size.answer_tokens for ids in completion_ids]

    loaded, tokenizer, adapter = bare(model, size.attention)
    asked = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in rows]
    moments: list[Moment] = []
    shared = plain(size, out) | {"per_device_train_batch_size": size.batch * size.group}
    config = GRPOConfig(
        num_generations=size.group, max_completion_length=size.answer_tokens, beta=0.0,
        temperature=1.0, top_k=0, scale_rewards="none", loss_type="dapo", **shared,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=loaded, args=config, reward_funcs=[shortness],
        train_dataset=Dataset.from_list(asked), processing_class=tokenizer, peft_config=adapter,
        callbacks=[watch(moments)],
    )  # fmt: skip
    quietly(trainer)
    return moments


def our_rlp(model: Path, data: Path, size: Size, out: Path) -> list[Moment]:
    from assets.alignment import rlp

    params = rlp.Params(
        steps=size.steps, prefixes=size.batch, thoughts=size.group, temperature=1.0,
        thought_tokens=size.answer_tokens,
    )  # fmt: skip
    clock = Clock()
    rlp.run(context(out, params, clock, base=model, data=data))
    return clock.moments


def drawn_tokens(out: Path, name: str, answers: int) -> float:
    """Tokens drawn a step, as the method's own curve tells."""
    import polars

    return float(polars.read_parquet(out / "curves.parquet")[name].mean()) * answers  # type: ignore[arg-type]


def main() -> None:
    """Measures everything in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--model", choices=sorted(SIZES), default="packaged")
    parser.add_argument("--rounds", type=int, default=0, help="turns of each; 0 takes the size's")
    parser.add_argument("--steps", type=int, default=0, help="steps a turn; 0 takes the size's")
    parser.add_argument("--attention", default="", help="of trl called bare, such as eager (ours)")
    parser.add_argument("--only", choices=["sft", "grpo", "opinion", "rlp"], help="one of them")
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    warnings.simplefilter("ignore")
    import datasets
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    size = SIZES[given.model]
    size = size._replace(steps=given.steps or size.steps, attention=given.attention)
    rounds = given.rounds or size.rounds
    wanted = [given.only] if given.only else ["sft", "grpo", "opinion", "rlp"]
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as name:
        folder = Path(name)
        model = make_model(folder, given.model)
        data = folder / "rows"
        data.mkdir()
        rows = make_rows(data)
        print(f"{given.model} model, {rounds} turns of {size.steps} steps; seconds a step of the "
              "processor (of the clock)\n")  # fmt: skip
        print(f"{'':<16}{'ours':>18}{'beside':>18}{'ratio':>8}")
        if "sft" in wanted:
            measure_sft(model, data, rows, size, rounds, folder / "sft")
        if "grpo" in wanted:
            measure_grpo(model, data, rows, size, rounds, folder / "grpo")
        if "opinion" in wanted:
            measure_opinion(model, size, rounds, folder / "opinion")
        if "rlp" in wanted:
            measure_rlp(model, data, size, rounds, folder / "rlp")


def measure_sft(
    model: Path,
    data: Path,
    rows: Sequence[Mapping[str, Any]],
    size: Size,
    rounds: int,
    folder: Path,
) -> None:
    """SFT beside trl."""
    found = dict(in_turn({
        "ours": lambda out: our_sft(model, data, size, out),
        "bare": lambda out: bare_sft(model, rows, size, out),
    }, rounds, folder))  # fmt: skip
    claim = f"(claim: under {1 + CLOSE:.2f})"
    line("sft", found["ours"], found["bare"], claim, "trl's SFTTrainer")


def measure_grpo(
    model: Path,
    data: Path,
    rows: Sequence[Mapping[str, Any]],
    size: Size,
    rounds: int,
    folder: Path,
) -> None:
    """GRPO beside trl with its own generation."""
    found = dict(in_turn({
        "ours": lambda out: our_grpo(model, data, size, out),
        "bare": lambda out: bare_grpo(model, rows, size, out),
    }, rounds, folder))  # fmt: skip
    ours, other = found["ours"], found["bare"]
    tokens = (
        f"tokens a step: {statistics.mean(ours.tokens):.0f} and {statistics.mean(other.tokens):.0f}"
    )
    claim = f"(claim: under {1 + CLOSE:.2f})"
    line("grpo", ours, other, claim, f"trl's GRPOTrainer; {tokens}")


def measure_rlp(model: Path, data: Path, size: Size, rounds: int, folder: Path) -> None:
    """RLP beside GRPO, for each token drawn."""
    found = dict(in_turn({
        "rlp": lambda out: our_rlp(model, data, size, out),
        "grpo": lambda out: our_grpo(model, data, size, out),
    }, rounds, folder))  # fmt: skip
    answers = size.batch * size.group
    drawn = {
        "rlp": drawn_tokens(folder / "rlp-0", "thought_tokens", answers),
        "grpo": drawn_tokens(folder / "grpo-0", "answer_tokens", answers),
    }
    each = {name: found[name].seconds / drawn[name] for name in drawn}
    beside = (
        f"grpo; drawn a step: {drawn['rlp']:.0f} and {drawn['grpo']:.0f} tokens; "
        f"for each token {each['rlp'] / each['grpo']:.2f} times"
    )
    line("rlp", found["rlp"], found["grpo"], "(no claim)", beside)


if __name__ == "__main__":
    main()
