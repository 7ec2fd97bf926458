"""How a description, an input and an output are written: as turns of the model's own family.

Only the marks of a turn are special tokens. What stands between them is tokenized as plain text,
so that nobody's words can end a turn or begin another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from assets.alignment.sequences import has_template
from registry.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = Literal["description", "input", "output"]
Family = Literal["chatml", "llama-3", "gemma", "plain"]


@dataclass(frozen=True)
class Marks:
    """What stands around a turn; `{role}` is the part's name."""

    opens: tuple[str, ...]
    closes: str
    after: str = ""
    special: tuple[str, ...] = ()
    """Those of them that are one token each in the vocabulary."""


FAMILIES: dict[Family, Marks] = {
    "chatml": Marks(
        ("<|im_start|>", "{role}\n"), "<|im_end|>", "\n", ("<|im_start|>", "<|im_end|>")
    ),
    "llama-3": Marks(
        ("<|start_header_id|>", "{role}", "<|end_header_id|>", "\n\n"),
        "<|eot_id|>",
        "",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "gemma": Marks(
        ("<start_of_turn>", "{role}\n"),
        "<end_of_turn>",
        "\n",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    "plain": Marks(("### {role}\n",), "", "\n"),
}
"""Known families. `plain` is for models that were never taught turns: a heading, and the model's
end of text where the others end a turn."""


@dataclass(frozen=True)
class Turns:
    """The turns of one model, as tokens."""

    tokenizer: Any
    family: Family
    begins: tuple[int, ...]
    """What the model reads before any text."""
    closes: int
    after: tuple[int, ...]

    def opens(self, part: Part) -> list[int]:
        """The tokens before a part's text."""
        marks = FAMILIES[self.family]
        ids: list[int] = []
        for piece in marks.opens:
            if piece in marks.special:
                ids.append(self.tokenizer.convert_tokens_to_ids(piece))
            else:
                ids += self.text(piece.replace("{role}", part))
        return ids

    def text(self, words: str) -> list[int]:
        """Words as tokens; what looks like a mark in them is plain text."""
        encoded = self.tokenizer(words, add_special_tokens=False, split_special_tokens=True)
        return list(encoded["input_ids"])

    @property
    def special(self) -> list[int]:
        """The tokens of the family's marks."""
        names = FAMILIES[self.family].special
        return [self.tokenizer.convert_tokens_to_ids(name) for name in names]


def turns_of(tokenizer: Any, asked: Family | Literal["own"]) -> Turns:
    """The turns of a model's family, found by the marks in its vocabulary.

    Args:
        tokenizer: The model's.
        asked: A family, or `own` to find it.

    Raises:
        MethodError: The vocabulary lacks the family's marks, or the family is not known.
    """
    if asked == "own":
        family = next((name for name, m in FAMILIES.items() if m.special and
                       _has(tokenizer, m.special)), None)  # fmt: skip
        if family is None and has_template(tokenizer):
            raise MethodError(
                "the model writes turns in a way that is not known here",
                why=f"known are the marks of {', '.join(n for n in FAMILIES if n != 'plain')}",
                mend="set `params.turns: plain` to use headings and the end of text",
            )
        asked = family or "plain"
    marks = FAMILIES[asked]
    if not _has(tokenizer, marks.special):
        raise MethodError(
            f"the model's vocabulary lacks {' or '.join(marks.special)}",
            why=f"`params.turns` is {asked!r}",
            mend="set `params.turns: own`, or name the model's family",
        )
    closes = tokenizer.convert_tokens_to_ids(marks.closes) if marks.closes else None
    closes = tokenizer.eos_token_id if closes is None else closes
    if closes is None:
        raise MethodError(
            "the model's tokenizer has no end of text",
            why="a model that learns no end never stops",
            mend="start from a model whose tokenizer names an `eos_token`",
        )
    begins = tuple(tokenizer("")["input_ids"][:1])
    begins = begins if begins == (tokenizer.bos_token_id,) else ()
    found = Turns(tokenizer, asked, begins, closes, ())
    return Turns(tokenizer, asked, begins, closes, tuple(found.text(marks.after)))


def _has(tokenizer: Any, marks: Sequence[str]) -> bool:
    known = tokenizer.get_vocab()
    return all(
        mark in known and tokenizer.encode(mark, add_special_tokens=False) == [known[mark]]
        for mark in marks
    )


def take_marks(model: Any, other: Any, turns: Turns) -> None:
    """Copies from a sibling what it knows of the marks: their rows in and out of the vocabulary.

    The published method starts from base weights with these rows of the instruct sibling, since a
    base model has never seen a turn.

    Raises:
        MethodError: The models are no siblings, or the family has no marks of its own.
    """
    import torch

    if not turns.special:
        raise MethodError(
            "the model's turns are plain headings, so there are no marks to copy",
            mend="leave out the input `marks`",
        )
    rows = torch.tensor(turns.special)
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        mine, theirs = getattr(model, layer)().weight, getattr(other, layer)().weight
        if mine.shape != theirs.shape:
            raise MethodError(
                f"the vocabularies differ: {tuple(mine.shape)} and {tuple(theirs.shape)}",
                why="a mark's row in one model means nothing in another",
                mend="give the instruct model of the same family and size as `marks`",
            )
        with torch.no_grad():
            mine[rows] = theirs[rows].to(mine.dtype)
