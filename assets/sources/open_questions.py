"""Survey items as open questions, and for each option the statement that somebody would hold.

What a model says in its own words is compared with these statements (`stance-in-words`). The
options are not shown to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from assets.rows import LIBRARIES, ROWS, read_rows, row_id, row_schema, write_rows
from assets.sources.csv_rows import read_any
from assets.sources.table_rows import RowColumns, TableParams
from registry.errors import MethodError, Place, Problem, ProblemsError
from registry.method import Method, Role, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

STANCES = "stances.parquet"
_QUESTION, _OPTION = "{question}", "{option}"
_FEWEST = 2


class Params(Frozen):
    """How items are asked, and what their options mean in a sentence."""

    wording: str = "a"
    """Which wording of the questionnaire is asked."""
    items: tuple[str, ...] = ()
    """Which items are asked; all, where none is named."""
    prompt: str = "{question}\nAnswer in one or two sentences, in your own words."
    """What a model reads; `{question}` stands for the question."""
    statement: str = 'Asked "{question}", my answer is: {option}.'
    """What somebody holds who chooses an option, where no file says it."""
    statements: SourcePath = ""
    """A CSV, JSON Lines or Parquet file with `item`, `option` and `statement`, one for each option
    of each item; and `opposite`, the statement denied, which may be empty. Its bytes count as an
    input."""

    @field_validator("prompt")
    @classmethod
    def _asks(cls, value: str) -> str:
        if value.count(_QUESTION) != 1:
            raise ValueError(f"`prompt` must hold {_QUESTION} once")
        return value

    @field_validator("statement")
    @classmethod
    def _states(cls, value: str) -> str:
        if value.count(_OPTION) != 1:
            raise ValueError(f"`statement` must hold {_OPTION} once")
        return value


class Stated(Frozen):
    """What somebody holds who chooses an option."""

    statement: str
    """In a sentence."""
    opposite: str | None = None
    """The sentence denied."""


def question_schema() -> dict[str, Any]:
    """The columns of open questions."""
    import polars

    text = polars.String
    added = {"item": text, "battery": text, "wording": text, "question": text}
    return row_schema() | added | {"held_out": polars.Boolean}


def stance_schema() -> dict[str, Any]:
    """The columns of `stances.parquet`."""
    import polars

    text = polars.String
    return {
        "row_id": text, "parents": polars.List(text), "prompt_id": text, "item": text,
        "option": text, "position": polars.Int64, "statement": text, "opposite": text,
        "held_out": polars.Boolean,
    }  # fmt: skip


def chosen_items(rows: Sequence[Mapping[str, Any]], params: Params) -> list[Mapping[str, Any]]:
    """The items that are asked; raises MethodError where one is not there, or has one option."""
    worded = [row for row in rows if row["wording"] == params.wording]
    if not worded:
        names = ", ".join(sorted({row["wording"] for row in rows}))
        raise MethodError(
            f"the questionnaire has no wording {params.wording!r}", mend=f"it has {names}"
        )
    known = {row["item"] for row in worded}
    if lacking := next((item for item in params.items if item not in known), None):
        raise MethodError(f"the questionnaire has no item {lacking!r}", mend="check `items`")
    chosen = [row for row in worded if not params.items or row["item"] in params.items]
    if single := next((row for row in chosen if len(row["options"]) < _FEWEST), None):
        raise MethodError(
            f"item {single['item']} has one option",
            why="there is no other stance to take",
            mend="name other items in `items`",
        )
    return chosen


def _read_statements(context: Context, path: str) -> dict[tuple[str, str], Stated]:
    """The statements of a file by item and option; raises ProblemsError with every wrong line."""
    columns = RowColumns(prompt="item", completion="option", keep=("statement", "opposite"))
    found: dict[tuple[str, str], Stated] = {}
    problems = []
    for row in read_any(context.source(path), path, TableParams(columns=columns)):
        texts = {name: str(row[name] or "").strip() for name in columns.names}
        what = next(
            (f"{n!r} is empty" for n in ("item", "option", "statement") if not texts[n]), ""
        )
        if (texts["item"], texts["option"]) in found:
            what = f"states the option {texts['option']!r} of {texts['item']} a second time"
        elif texts["opposite"] and texts["opposite"] == texts["statement"]:
            what = "'opposite' says the same as 'statement'"
        if what:
            line = row["line"]
            problems.append(Problem(Place(path, line if isinstance(line, int) else None), what))
            continue
        found[texts["item"], texts["option"]] = Stated(
            statement=texts["statement"], opposite=texts["opposite"] or None
        )
    if problems:
        raise ProblemsError(problems)
    return found


def stances_of(
    question: Mapping[str, Any],
    template: str,
    stated: Mapping[tuple[str, str], Stated] | None,
    where: str,
) -> list[Stated]:
    """The statement of each option; raises MethodError where one is missing or two are the same."""
    found = []
    for option in question["options"]:
        if stated is None:
            before, _, after = template.partition(_OPTION)
            filled = [part.replace(_QUESTION, question["question"]) for part in (before, after)]
            found.append(Stated(statement=f"{filled[0]}{option}{filled[1]}"))
        elif (question["item"], option) in stated:
            found.append(stated[question["item"], option])
        else:
            raise MethodError(
                f"does not say what the option {option!r} of item {question['item']} means",
                where=where,
                why="no answer could be taken for it",
                mend="add a line for it, or name fewer items in `items`",
            )
    same = [" ".join(one.statement.casefold().split()) for one in found]
    if twice := next((text for text in same if same.count(text) > 1), None):
        raise MethodError(
            f"two options of item {question['item']} mean {twice!r}",
            where=where,
            why="no answer could tell them apart",
            mend="word their statements differently",
        )
    return found


def run(context: Context) -> None:
    """Writes questions and statements."""
    params = context.typed(Params)
    given = context.input("questionnaire")
    stated = _read_statements(context, params.statements) if params.statements else None
    where = params.statements or context.node
    questions: list[dict[str, Any]] = []
    stances: list[dict[str, Any]] = []
    for row in chosen_items(read_rows(given.files / "items.parquet").to_dicts(), params):
        prompt = params.prompt.replace(_QUESTION, row["question"])
        own = row_id("open-question", [row["item"], prompt])
        named = {name: row[name] for name in ("item", "battery", "wording", "question")}
        questions.append(
            {"row_id": own, "parents": [row["row_id"]], "prompt": prompt, "completion": None,
             "source": f"questionnaire:{given.label}", "community": None,
             "held_out": row["held_out"], **named}
        )  # fmt: skip
        statements = stances_of(row, params.statement, stated, where)
        for position, (option, one) in enumerate(zip(row["options"], statements, strict=True), 1):
            stances.append(
                {"row_id": row_id("stance", [own, option, one.statement]), "parents": [own],
                 "prompt_id": own, "item": row["item"], "option": option, "position": position,
                 "statement": one.statement, "opposite": one.opposite,
                 "held_out": row["held_out"]}
            )  # fmt: skip
    write_rows(context.out / ROWS, questions, question_schema())
    write_rows(context.out / STANCES, stances, stance_schema())
    context.progress(1, 1)


method = Method(
    name="open-questions",
    kind="dataset",
    description="Survey items as open questions, with a statement for each option.",
    params=Params,
    run=run,
    inputs={"questionnaire": Role("dataset", "the items in every wording")},
    libraries=LIBRARIES,
)
