"""Lets a made model answer a person's question."""

from __future__ import annotations

from pathlib import Path

from assets.compute import load_model
from assets.option_prompt import (
    ORDERS,
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)
from registry.ask import Answer

LONGEST = 160
"""Tokens that a free answer may have."""


def answer(files: Path, question: str, options: tuple[str, ...]) -> Answer:
    """Probabilities of the options, averaged over orders; or a free answer, greedily decoded."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_model(files, device, "bfloat16")
    if not options:
        ids = torch.tensor([encode(tokenizer, question)], device=device)
        with torch.inference_mode():
            generated = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=LONGEST,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        text = tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True)
        return Answer(str(text).strip(), {}, None)
    prompts = [encode(tokenizer, render(question, arrange(options, order))) for order in ORDERS]
    letters = letter_ids(tokenizer, len(options))
    shown = next_token_probabilities(model, tokenizer, prompts)[:, letters].tolist()
    inside = [sum(row) for row in shown]
    rows = [
        [probability / mass for probability in arrange(row, order)]
        for row, order, mass in zip(shown, ORDERS, inside, strict=True)
    ]
    shares = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    outside = max(0.0, 1 - sum(inside) / len(inside))
    return Answer(None, dict(zip(options, shares, strict=True)), outside)
