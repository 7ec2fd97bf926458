"""Known ways in which text gives orders to a model, or shows the prompt that it was made with.

The patterns read alike in Python and in RE2, so that one list serves what writes rows and the
contracts that look through them.
"""

from __future__ import annotations

ORDERS = (
    (
        (
            r"(?is)\b(?:ignore|disregard|forget)\b.{0,40}\b(?:previous|above|prior|earlier)\b"
            r".{0,20}\b(?:instruction|prompt|rule|text|message)"
        ),
        "it tells a model to ignore its instructions",
    ),
    (
        (
            r"(?i)\bnew instructions\s*:|\b(?:system prompt|developer mode|"
            r"you are now (?:an? |the )?(?:ai|assistant|chatbot|model))\b"
        ),
        "it gives a model orders",
    ),
    (
        r"(?i)\bas an? (?:ai|artificial intelligence)?\s*(?:large )?language model\b",
        "the teacher speaks of itself",
    ),
    (
        r"(?i)<\|[^|\n]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:data|problem)>",
        "it holds marks of the prompt or of a chat",
    ),
)
"""Each pattern, with what a text does in which it is found."""
