"""Lets a made model answer a person's question."""

from __future__ import annotations

from pathlib import Path

from assets.answering import greedy_answer, option_shares
from assets.compute import load_model
from assets.synthesis.conditioned_items import conditioned
from registry.ask import Answer


def answer(files: Path, question: str, options: tuple[str, ...], told: str = "") -> Answer:
    """Probabilities of the options, averaged over orders; or a free answer, greedily decoded.

    A model that is told whom to answer as is told in the words in which it learned.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_model(files, device, "bfloat16")
    question = conditioned(told, question) if told else question
    if not options:
        return Answer(greedy_answer(model, tokenizer, question), {}, None)
    shares, outside = option_shares(model, tokenizer, question, options)
    return Answer(None, dict(zip(options, shares, strict=True)), outside)
