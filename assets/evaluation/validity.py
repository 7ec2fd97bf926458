"""Which answers are right, where that can be known, and how many different ones there are.

For prompts with a list of valid answers an answer is the one that its text names; for tasks it is
what the verifier takes. Validity is the share of answers that are valid, diversity the share of
valid answers that are different, and the yield the number of different valid answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

from assets.diversity.homogeneity import expected_distinct
from assets.sources.verifiers import extract, verify
from registry.errors import MethodError

if TYPE_CHECKING:
    import polars

Judge = Callable[[str], str | None]
"""The valid answer that a text gives, in one form for all who give it; None where it gives none."""


@dataclass(frozen=True)
class Yield:
    """What a set of answers to one prompt yields."""

    answers: int
    valid: int
    distinct: int
    """Different valid answers: the yield."""
    even: float | None
    """The yield that as many valid answers would have if all were equally likely, where known."""
    counts: tuple[int, ...]
    """How often each different valid answer was given, the commonest first."""
    right_answers: int | None
    """How many valid answers there are, where known."""

    @property
    def validity(self) -> float:
        """The share of answers that are valid."""
        return self.valid / self.answers if self.answers else float("nan")

    @property
    def diversity(self) -> float:
        """The share of valid answers that are different."""
        return self.distinct / self.valid if self.valid else float("nan")


def plain(text: str) -> str:
    """Text in small letters with nothing but letters, digits and single spaces."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return " ".join(kept.split())


def named_answer(valid: Sequence[str]) -> Judge:
    """Finds the one valid answer that a text names; a text that names two names none.

    The longest name wins where one lies inside another, as Guinea does in Guinea-Bissau.
    """
    names = {plain(name): name for name in valid}
    longest = sorted(names, key=lambda name: (-len(name), name))
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b")

    def judge(text: str) -> str | None:
        found = {names[name] for name in pattern.findall(plain(text))}
        return next(iter(found)) if len(found) == 1 else None

    return judge


def verified_answer(task: str, entry: str) -> Judge:
    """The extracted answer, where the verifier takes it."""

    def judge(text: str) -> str | None:
        return extract(text) if verify(task, entry, text) else None

    return judge


def judges_of(prompts: polars.DataFrame) -> dict[str, tuple[Judge, int | None]]:
    """For each prompt that can be judged, how, and how many valid answers there are if known."""
    found: dict[str, tuple[Judge, int | None]] = {}
    for row in prompts.iter_rows(named=True):
        if row.get("valid_answers"):
            found[row["row_id"]] = named_answer(row["valid_answers"]), len(row["valid_answers"])
        elif row.get("task") and row.get("entry"):
            found[row["row_id"]] = verified_answer(row["task"], row["entry"]), None
    return found


def yield_of(texts: Sequence[str], judge: Judge, known: int | None) -> Yield:
    """Validity, diversity and yield of answers to one prompt."""
    valid = [answer for text in texts if (answer := judge(text)) is not None]
    even = expected_distinct(known, len(valid)) if known else None
    counts = tuple(sorted(Counter(valid).values(), reverse=True))
    return Yield(len(texts), len(valid), len(counts), even, counts, known)


def distinct_among(counts: Sequence[int], chosen: int) -> float:
    """How many different answers to expect among `chosen` of the valid ones, drawn without return.

    So two models can be compared at equal validity: whoever is right more often also has more
    chances to differ. The sum over answers of 1 - C(n - c, m) / C(n, m) (Hurlbert, Ecology, 1971).

    Args:
        counts: How often each different valid answer was given.
        chosen: How many to draw, no more than there are.
    """
    total = sum(counts)
    if not 0 <= chosen <= total:
        raise MethodError(f"{chosen} answers cannot be drawn from {total}")
    return sum(1 - comb(total - count, chosen) / comb(total, chosen) for count in counts)


def as_row(found: Yield) -> Mapping[str, Any]:
    """The figures of one prompt; what cannot be known is null."""
    return {
        "answers": found.answers,
        "valid": found.valid,
        "yield": found.distinct,
        "validity": found.validity,
        "diversity": found.diversity if found.valid else None,
        "even_yield": found.even,
        "counts": list(found.counts),
        "right_answers": found.right_answers,
    }


def yield_schema() -> dict[str, Any]:
    """The columns of `yield.parquet`."""
    import polars

    text, whole, figure = polars.String, polars.Int64, polars.Float64
    about = {"prompt_id": text, "model": text, "setting": text, "chat_template": polars.Boolean}
    counts = {"answers": whole, "valid": whole, "yield": whole}
    shares = dict.fromkeys(("validity", "diversity", "even_yield"), figure)
    return about | counts | shares | {"counts": polars.List(whole), "right_answers": whole}
