"""What GRPO asks: tasks, prompts, survey questions and norms, and which of them it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assets.alignment.reward_functions import applies
from assets.alignment.reward_judges import Rule
from assets.alignment.reward_terms import RewardTerm
from assets.alignment.reward_values import Asked
from assets.alignment.sequences import has_template
from assets.diversity.filtering.rules import Topic, named_topic, pattern
from assets.option_prompt import encode
from assets.rows import ROWS, read_rows, turned_away
from assets.sources.reasoning_tasks import HELD_OUT
from assets.sources.verifiers import read_entry, require_task
from assets.synthesis.profile_rows import require_side
from registry.errors import MethodError, UsageError

if TYPE_CHECKING:
    from registry.context import Context, Input

_ITEMS = "items.parquet"
"""The table of a dataset of survey questions."""


@dataclass(frozen=True)
class Material:
    """What is asked, and what is not."""

    asked: tuple[Asked, ...]
    rejected: tuple[dict[str, Any], ...]
    """Rows that were left out, with the reason."""

    @property
    def rules(self) -> list[Rule]:
        """The norms that are asked about."""
        return [
            Rule(one.situation, one.rule, one.judgement)
            for one in self.asked
            if one.judgement is not None and one.rule
        ]


@dataclass(frozen=True)
class Reader:
    """How prompts are put to a model, and which it cannot take."""

    tokenizer: Any
    chat: bool
    """Whether prompts are written as turns."""
    instruction: str
    """What stands after every prompt."""
    answer_tokens: int
    window: int | None
    """Tokens that the model can read."""

    def require_template(self, where: str) -> None:
        """Raises MethodError where prompts cannot be written as they are asked for."""
        if self.chat and not has_template(self.tokenizer):
            raise MethodError(
                "the model's tokenizer has no chat template",
                where=where,
                mend="set `chat_template: false`, or start from a model that has one",
            )
        if self.tokenizer.eos_token_id is None:
            raise MethodError(
                "the model's tokenizer has no token that ends an answer",
                where=where,
                why="no answer would ever end, and none could be padded",
                mend="start from a model whose tokenizer names an `eos_token`",
            )

    def put(self, asked: Asked) -> Asked:
        """The prompt with its instruction, and as tokens."""
        text = "\n\n".join(part for part in (asked.question, self.instruction) if part)
        ids = encode(self.tokenizer, text) if self.chat else self.tokenizer.encode(text)
        return replace(asked, prompt=text, ids=tuple(ids))

    def refusal(self, asked: Asked) -> str:
        """Why the model cannot be asked this, by its words; empty where it can."""
        if not asked.question.strip():
            return "its prompt is empty"
        for mark in sorted(set(self.tokenizer.all_special_tokens), key=len):
            if mark in asked.question:
                return f"its prompt holds {mark}, which the model reads as a part of the chat"
        return ""

    def excess(self, asked: Asked) -> str:
        """Why a prompt that was put leaves no room for an answer; empty where it does."""
        needed = len(asked.ids) + self.answer_tokens
        if self.window is not None and needed > self.window:
            return f"prompt and answer need {needed} tokens; the model reads {self.window}"
        return ""


def read_material(
    context: Context, reader: Reader, terms: Sequence[RewardTerm], topics: Sequence[Topic]
) -> Material:
    """Everything that can be asked; raises MethodError where nothing can."""
    reader.require_template(context.node)
    sought = [(topic, pattern(topic.terms)) for topic in topics]
    asked: list[Asked] = []
    rejected: list[dict[str, Any]] = []
    rows = (one for given in context.inputs("tasks") for one in _rows(given))
    for found, reason in rows:
        why = reason or reader.refusal(found)
        put = found if why else reader.put(found)
        why = why or reader.excess(put)
        if not why and (topic := named_topic(found.question, None, sought)):
            why = f"off limits: {topic}"
        if not why and not any(applies(term, put) for term in terms):
            why = "no reward applies to it"
        if why:
            rejected.append(turned_away(found.id, why))
            continue
        asked.append(put)
    if not asked:
        raise MethodError(
            f"none of {len(rejected)} prompts can be asked",
            where=context.node,
            why=rejected[0]["reason"] if rejected else "the datasets are empty",
            mend="give rows to which a reward in params.rewards applies",
        )
    return Material(tuple(asked), tuple(rejected))


def _rows(given: Input) -> Iterator[tuple[Asked, str]]:
    questions = given.files / _ITEMS
    path = questions if questions.is_file() else given.files / ROWS
    if not path.is_file():
        raise MethodError(
            f"holds neither {ROWS} nor {_ITEMS}",
            where=given.label,
            mend="give a dataset of tasks, of prompts or of survey questions",
        )
    rows = read_rows(path).to_dicts()
    require_side(rows, "learning", given.label)
    for row in rows:
        found = Asked(
            id=row["row_id"],
            prompt="",
            question=row["prompt"] or "",
            task=row.get("task"),
            entry=row.get("entry"),
            options=tuple(row.get("options") or ()),
            shares=tuple(row.get("shares") or ()),
            people=row.get("n") or 0,
            situation=row.get("situation") or "",
            rule=row.get("rule") or "",
            judgement=row.get("judgement"),
        )
        yield found, _reason(found)


def _reason(found: Asked) -> str:
    if found.task is None:
        return ""
    if found.task in HELD_OUT:
        return f"held out for evaluation: no model learns from {found.task}"
    try:
        require_task(found.task)
        read_entry(found.entry or "")
    except UsageError as error:
        return f"its answers cannot be checked: {error.what}"
    return ""
