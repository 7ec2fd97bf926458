"""Option probabilities beside options scored one sequence at a time.

    python -m benchmarks.option_probabilities

Both ways answer the same made-up questions of four options in four orders, on one thread. One way
is the library's plain call: for each option the whole sequence with that option, all logits
computed, and the log-probability of its letter read. Ours reads what the orders of a question share
once, many rows of like length at a time, and computes the logits of the last position only.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from assets.option_prompt import Order, arrange, encode, letter_ids, render
from assets.shared_prefixes import all_probabilities
from benchmarks.measuring import SIZES, make_model

CLAIM, SAME = 5.0, 1e-4
"""How many times as fast, and how near each probability."""
Answers = list[list[list[float]]]
SUBJECTS = (
    "the police",
    "your town council",
    "the news that you read",
    "people next door",
    "banks",
)
ABOUT = (
    "How much do you trust {}?",
    "Thinking of the past year, how often did you worry about {}, if you did at all?",
    "Some say that {} should have more to say in public life. How far do you agree?",
    "If you had to choose, how important is it to you what happens to {} over the next ten years?",
)
SCALES = (
    ("A lot", "Some", "Not much", "None at all"),
    ("Very important", "Somewhat important", "Not so important", "Not at all important"),
    ("Strongly agree", "Somewhat agree", "Somewhat disagree", "Strongly disagree"),
)


def questions(count: int) -> list[tuple[str, tuple[str, ...]]]:
    """Made-up questions of unlike length."""
    source = random.Random(0)
    return [
        (
            f"Question {number}. {source.choice(ABOUT).format(source.choice(SUBJECTS))}",
            source.choice(SCALES),
        )
        for number in range(count)
    ]


def one_at_a_time(model: Any, prompts: Sequence[Sequence[Sequence[int]]], letters: Any) -> Answers:
    """Each option as a sequence of its own."""
    import torch

    found = []
    with torch.inference_mode():
        for group in prompts:
            rows = []
            for ids in group:
                row = []
                for letter in letters.tolist():
                    logits = model(torch.tensor([[*ids, letter]]), use_cache=False).logits
                    row.append(float(logits[0, -2].float().log_softmax(-1)[letter].exp()))
                rows.append(row)
            found.append(rows)
    return found


def together(model: Any, prompts: Any, letters: Any, pad: int, size: int) -> Answers:
    """As `option-probabilities` does."""
    found = {}
    for batch in all_probabilities(model, prompts, letters, pad, size):
        found |= batch
    return [found[place].tolist() for place in range(len(prompts))]


def main() -> None:
    """Measures both in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", choices=sorted(SIZES), default="packaged")
    parser.add_argument("--questions", type=int, default=1000, help="answered our way")
    parser.add_argument("--beside", type=int, default=25, help="of them also one at a time")
    parser.add_argument("--batch", type=int, default=32, help="prompts at once")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch
    import transformers

    from assets.compute import load_model

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as name:
        with contextlib.redirect_stderr(io.StringIO()):
            files = make_model(Path(name), given.model)
        model, tokenizer = load_model(files, torch.device("cpu"), "float32")
    letters = torch.tensor(letter_ids(tokenizer, 4))
    prompts = [
        [encode(tokenizer, render(text, arrange(options, order))) for order in get_args(Order)]
        for text, options in questions(given.questions)
    ]
    pad = tokenizer.pad_token_id or 0
    few = prompts[: given.beside]
    ways = {
        "one at a time": lambda: one_at_a_time(model, few, letters),
        "together": lambda: together(model, few, letters, pad, given.batch),
    }
    seconds, answers = {}, {}
    for _ in range(2):  # the first turn warms up
        for way, action in ways.items():
            started = time.process_time()
            answers[way] = torch.tensor(action())
            seconds[way] = time.process_time() - started
    furthest = float((answers["one at a time"] - answers["together"]).abs().max())
    ratio = seconds["one at a time"] / seconds["together"]
    print(f"{len(few)} questions x 4 orders x 4 options, float32, one thread:")
    print(f"one at a time {seconds['one at a time']:.1f} s, together {seconds['together']:.1f} s: "
          f"{ratio:.1f} times as fast (claim: {CLAIM:.0f}); "
          f"probabilities differ by {furthest:.0e} (claim: {SAME:.0e})")  # fmt: skip
    started = time.process_time()
    together(model, prompts, letters, pad, given.batch)
    print(f"{len(prompts):,} questions x 4 orders: {time.process_time() - started:.0f} s")


if __name__ == "__main__":
    main()
