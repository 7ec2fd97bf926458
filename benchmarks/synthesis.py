"""Prints how fast answers are written: `python -m benchmarks.synthesis MODEL`.

The engine of the methods beside bare `generate` of transformers, in one process and on the same
threads, at several batch sizes and settings; turns alternate, since machines are noisy. Each side
writes exactly `--tokens` tokens an answer, so that no side gains by stopping early: the gain of
letting ended rows leave comes on top. MODEL is a folder with a model, by default the made one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = "1"
os.environ.setdefault("OMP_NUM_THREADS", THREADS)

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, logging  # noqa: E402

from assets.compute import load_model  # noqa: E402
from assets.option_prompt import encode, pad_left  # noqa: E402
from assets.synthesis.generation import write_answers  # noqa: E402
from assets.synthesis.sampling import Sampling  # noqa: E402
from assets.synthesis.teachers import ModelTeacher  # noqa: E402

PROMPTS = (
    "Write a short story about a fisherman.",
    "What do people in your town do when it rains all day?",
    "Suggest a name for a small bakery.",
    "How would you explain the tides to a child who has never seen the sea?",
)
SETTINGS = {
    "plain sampling": Sampling(),
    "top_p 0.9": Sampling(top_p=0.9),
    "T 2, min_p 0.1": Sampling(temperature=2, min_p=0.1),
}


def ours(folder: Path, device: torch.device) -> Callable[[Sampling, int, int], None]:
    """The engine that methods use."""
    model, tokenizer = load_model(folder, device, "bfloat16")
    ModelTeacher(model, tokenizer, "bench", Sampling(), 1)  # as methods set the model up
    ids = [encode(tokenizer, prompt) for prompt in PROMPTS]

    def write(sampling: Sampling, batch: int, tokens: int) -> None:
        asked = [ids[i % len(ids)] for i in range(batch)]
        given = sampling.model_copy(update={"max_new_tokens": tokens})
        found = write_answers(model, asked, list(range(batch)), given, frozenset(), 0)
        assert all(len(one.tokens) == tokens for one in found)

    return write


def bare(folder: Path, device: torch.device) -> Callable[[Sampling, int, int], None]:
    """`generate`, as its manual says."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = model.to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [encode(tokenizer, prompt) for prompt in PROMPTS]

    def write(sampling: Sampling, batch: int, tokens: int) -> None:
        ids, mask = pad_left([prompts[i % len(prompts)] for i in range(batch)], 0)
        torch.manual_seed(0)
        found = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=True,
            temperature=sampling.temperature,
            top_k=0,
            top_p=sampling.top_p,
            min_p=sampling.min_p or None,
            pad_token_id=tokenizer.pad_token_id or 0,
        )
        assert found.shape == (batch, ids.shape[1] + tokens)

    return write


def show(name: str, batch: str, speed: dict[str, float], claim: str) -> None:
    """Prints one line of the table."""
    both = f"{speed['chorus']:>10.1f}{speed['generate']:>10.1f}"
    ratio = f"{speed['chorus'] / speed['generate']:>8.2f}"
    print(f"{name:<18}{batch:>6}{both}{ratio}{claim}", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("data/smollm2-135m/files"))
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 64])
    given = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sides = {"chorus": ours(given.model, device), "generate": bare(given.model, device)}
    print(f"tokens per second on {device.type}, {torch.get_num_threads()} thread(s), bfloat16")
    print(f"{'sampling':<18}{'batch':>6}{'chorus':>10}{'generate':>10}{'ratio':>8}")
    for name, sampling in SETTINGS.items():
        best = dict.fromkeys(sides, 0.0)
        for batch in given.batches:
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(given.runs):
                for side, write in sides.items():
                    started = time.perf_counter()
                    write(sampling, batch, given.tokens)
                    if device.type == "cuda":
                        torch.cuda.synchronize()
                    seconds[side].append(time.perf_counter() - started)
            speed = {s: batch * given.tokens / statistics.median(v) for s, v in seconds.items()}
            best = {side: max(best[side], speed[side]) for side in sides}
            show(name, str(batch), speed, "")
        show(name, "best", best, "   (claim: at least 0.90)")


if __name__ == "__main__":
    main()
