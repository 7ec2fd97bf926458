"""Questions of which some are held out, and lessons that do or do not come from them."""

from typing import Literal

import polars

from registry.context import Context
from registry.method import Method, Role
from registry.typed import Frozen

QUESTIONS = [
    {"row_id": f"question-{item}", "item": item, "held_out": item in ("b", "c")} for item in "abcd"
]


class NoParams(Frozen):
    """Nothing to choose."""


class Params(Frozen):
    """How it goes wrong."""

    leak: Literal["none", "item", "grandparent"] = "none"
    """Which row from a held-out question it learns."""


def ask(context: Context) -> None:
    """Writes the questions, and notes beside them, each made from one."""
    polars.DataFrame(QUESTIONS).write_parquet(context.out / "questions.parquet")
    notes = [{"row_id": f"note-{q['item']}", "parents": [q["row_id"]]} for q in QUESTIONS]
    polars.DataFrame(notes).write_parquet(context.out / "z-notes.parquet")


def learn(context: Context) -> None:
    """Writes lessons from every question that may be learned, and one that leaks."""
    rows = [{"parents": [f"question-{item}"]} for item in "ad"]
    leaks = {"none": [], "item": ["question-b"], "grandparent": ["note-c"]}
    rows += [{"parents": [one]} for one in leaks[context.typed(Params).leak]]
    polars.DataFrame(rows).write_parquet(context.out / "lessons.parquet")


questions = Method(
    name="toy-questions",
    kind="dataset",
    description="Asks four questions.",
    params=NoParams,
    run=ask,
)
lessons = Method(
    name="toy-lessons",
    kind="dataset",
    description="Learns from questions.",
    params=Params,
    run=learn,
    inputs={"questions": Role("dataset", "the questions")},
)
