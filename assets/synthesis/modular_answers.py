"""One model answers with what community models say beside it, as in Modular Pluralism.

Each community's model writes a comment on a prompt. Then one model reads all comments and answers
for all (`all-comments`), or chooses one and answers in line with it (`chosen-comment`), for an
attribute if one is given. The answers are rows like those of `answers`, so that the same
evaluations compare them with answers of single models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.compute import Dtype, load_model, prepare
from assets.option_prompt import encode, letter_ids, next_token_probabilities, render
from assets.rows import LIBRARIES, REJECTED, row_id, write_rows
from assets.synthesis.answers import ANSWERS, answer_schema
from assets.synthesis.journal import ask_all
from assets.synthesis.sampling import Sampling, recorded, seed_of
from assets.synthesis.teachers import ModelTeacher, Request
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

_MOST = 26
"""Comments that have a letter each."""
_FEWEST = 2


class Wording(Frozen):
    """The words around prompt and comments."""

    all_comments: str = (
        "{prompt}\n\nPeople who see it differently say:\n{comments}\n\n"
        "Write one answer that gives each of these views its place."
    )
    """What the model reads where it answers for all; `{prompt}` and `{comments}` stand once."""
    chosen_comment: str = (
        "{prompt}\n\nSomebody says:\n{comment}\n\nAnswer in line with what was said."
    )
    """What it reads where one was chosen; `{prompt}` and `{comment}` stand once."""
    choice: str = "{prompt}\nWhich of these comments fits best?"
    """What it reads to choose; the comments follow, a letter each."""
    choice_for: str = "{prompt}\nWhich of these comments fits {attribute} best?"
    """The same where an attribute is given."""

    @model_validator(mode="after")
    def _slots_stand_once(self) -> Self:
        slots = {
            "all_comments": ("{prompt}", "{comments}"),
            "chosen_comment": ("{prompt}", "{comment}"),
            "choice": ("{prompt}",),
            "choice_for": ("{prompt}", "{attribute}"),
        }
        for name, wanted in slots.items():
            if wrong := [slot for slot in wanted if getattr(self, name).count(slot) != 1]:
                raise ValueError(f"`{name}` must hold {wrong[0]} once")
        return self


class Params(Frozen):
    """How comments become an answer."""

    way: Literal["all-comments", "chosen-comment"]
    """Whether all comments are read, or one is chosen."""
    attribute: str = ""
    """Whom a chosen comment has to fit, as in `a fisher`; without it, the prompt alone."""
    wording: Wording = Wording()
    """The words around prompt and comments."""
    sampling: Sampling = Sampling()
    """How answers are drawn."""
    batch_size: int = Field(default=16, ge=1)
    """Answers that are written at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""

    @model_validator(mode="after")
    def _attribute_is_read(self) -> Self:
        if self.attribute and self.way == "all-comments":
            raise ValueError("`attribute` chooses a comment; with `all-comments` none is chosen")
        return self


@dataclass(frozen=True)
class Comment:
    """What one community's model says."""

    row_id: str
    by: str
    """The artifact that it comes from."""
    text: str


@dataclass(frozen=True)
class Asked:
    """One answer to be written: a prompt, and one comment of each model."""

    prompt_id: str
    prompt: str
    sample: int
    comments: tuple[Comment, ...]

    @property
    def name(self) -> str:
        """What the answer is known by."""
        return f"{self.prompt_id}-{self.sample}"


@dataclass(frozen=True)
class Choice:
    """Which comment was chosen, and how sure the model was."""

    place: int
    probability: float
    outside: float
    """The mean probability that it gave to no comment at all."""


def read_comments(given: Sequence[Input]) -> list[Asked]:
    """For each prompt and sample that every model commented on, the comments in their order.

    Raises:
        MethodError: Where there are fewer than two models, or nothing that all commented on.
    """
    from assets.rows import read_rows

    if not _FEWEST <= len(given) <= _MOST:
        raise MethodError(
            f"{len(given)} models comment; {_FEWEST} to {_MOST} can be combined",
            where=", ".join(one.label for one in given),
            mend="name answers of several models as `comments`",
        )
    found: dict[tuple[str, int], dict[str, Comment]] = {}
    prompts: dict[str, str] = {}
    for one in given:
        if not (one.files / ANSWERS).is_file():
            raise MethodError(
                f"has no {ANSWERS}", where=one.label, mend="give what the method `answers` made"
            )
        for row in read_rows(one.files / ANSWERS).iter_rows(named=True):
            key = (row["prompt_id"], row["sample"])
            prompts[row["prompt_id"]] = row["prompt"]
            if text := (row["text"] or "").strip():
                found.setdefault(key, {})[one.label] = Comment(row["row_id"], one.label, text)
    whole = [
        Asked(prompt, prompts[prompt], sample, tuple(said[one.label] for one in given))
        for (prompt, sample), said in sorted(found.items())
        if len(said) == len(given)
    ]
    if not whole:
        raise MethodError(
            f"no prompt has a comment of all {len(given)} models",
            where=", ".join(one.label for one in given),
            mend="let all of them answer the same prompts, as many samples each",
        )
    return whole


def combined(asked: Asked, wording: Wording) -> str:
    """A prompt with all comments below it; no text is looked into for another's slot."""
    said = "\n".join(f"- {' '.join(one.text.split())}" for one in asked.comments)
    return _filled(wording.all_comments, {"{prompt}": asked.prompt, "{comments}": said})


def led_by(asked: Asked, choice: Choice, wording: Wording) -> str:
    """A prompt with the chosen comment below it."""
    text = asked.comments[choice.place].text
    return _filled(wording.chosen_comment, {"{prompt}": asked.prompt, "{comment}": text})


def _filled(template: str, slots: Mapping[str, str]) -> str:
    pattern = "|".join(re.escape(slot) for slot in slots)
    return re.sub(pattern, lambda found: slots[found[0]], template)


def choose(
    model: Any, tokenizer: Any, asked: Sequence[Asked], params: Params, progress: Any
) -> list[Choice]:
    """The comment that a model finds most likely, over every rotation of their letters."""
    words = params.wording.choice_for if params.attribute else params.wording.choice
    found = []
    for done, one in enumerate(asked, 1):
        count = len(one.comments)
        letters = letter_ids(tokenizer, count)
        question = _filled(words, {"{prompt}": one.prompt, "{attribute}": params.attribute})
        texts = [" ".join(comment.text.split()) for comment in one.comments]
        turned = [texts[turn:] + texts[:turn] for turn in range(count)]
        prompts = [encode(tokenizer, render(question, options)) for options in turned]
        shown = next_token_probabilities(model, tokenizer, prompts)[:, letters].tolist()
        found.append(_choice(shown))
        progress(done, len(asked))
    return found


def _choice(shown: Sequence[Sequence[float]]) -> Choice:
    """From letters' probabilities, a row for each rotation; of equals the first is chosen."""
    count = len(shown)
    sums = [
        sum(shown[turn][(place - turn) % count] for turn in range(count)) for place in range(count)
    ]
    inside = sum(sums)
    best = max(range(count), key=sums.__getitem__)
    sure = sums[best] / inside if inside else 1 / count
    return Choice(best, sure, max(0.0, 1 - inside / count))


def _answer_rows(
    context: Context,
    params: Params,
    asked: Sequence[Asked],
    teacher: ModelTeacher,
    read: Mapping[str, tuple[str, tuple[Comment, ...]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    requests = [Request(one.name, read[one.name][0], seed_of(context.seed, one.name))
                for one in asked]  # fmt: skip
    answered = ask_all(
        teacher,
        requests,
        context.work / "answers",
        lambda done, all_, _: context.progress(done, all_),
    )
    if not answered.completions:
        first = next(iter(answered.refused.values()))
        raise MethodError(f"none of {len(asked)} prompts can be put: {first}", where=context.node)
    settings = recorded(params.sampling)
    rows = []
    for one in asked:
        if one.name not in answered.completions:
            continue
        answer = answered.completions[one.name]
        content = {
            "prompt_id": one.prompt_id,
            "sample": one.sample,
            "text": answer.text,
            "sampling": settings,
            "seed": seed_of(context.seed, one.name),
        }
        rows.append(
            {
                "row_id": row_id(f"modular-answers:{context.node}", content),
                "parents": [one.prompt_id, *(comment.row_id for comment in read[one.name][1])],
                "prompt": one.prompt,
                "finish_reason": answer.finish_reason,
                "tokens": answer.tokens,
                "logprob": answer.logprob,
                "model": context.node,
                "chat_template": params.sampling.chat_template,
                "served_by": answer.served_by,
                "community": None,
                **content,
            }
        )
    rejected = [
        {"row_id": one.name, "prompt": one.prompt, "reason": answered.refused[one.name],
         "caused_by": one.prompt_id}
        for one in asked
        if one.name in answered.refused
    ]  # fmt: skip
    return rows, rejected


def _choice_rows(asked: Sequence[Asked], choices: Sequence[Choice]) -> Iterator[dict[str, Any]]:
    for one, choice in zip(asked, choices, strict=True):
        yield {
            "row_id": one.name,
            "prompt_id": one.prompt_id,
            "sample": one.sample,
            "chosen": one.comments[choice.place].by,
            "parents": [comment.row_id for comment in one.comments],
            "probability": choice.probability,
            "outside": choice.outside,
        }


def run(context: Context) -> None:
    """Combines comments into answers."""
    import polars

    params = context.typed(Params)
    asked = read_comments(context.inputs("comments"))
    given = context.input("model")
    device = prepare(context)
    model, tokenizer = load_model(given.files, device, params.dtype)
    headline: dict[str, float] = {}
    if params.way == "chosen-comment":
        choices = choose(model, tokenizer, asked, params, context.progress)
        write_rows(context.out / "choices.parquet", list(_choice_rows(asked, choices)))
        read: dict[str, tuple[str, tuple[Comment, ...]]] = {
            one.name: (led_by(one, choice, params.wording), (one.comments[choice.place],))
            for one, choice in zip(asked, choices, strict=True)
        }
        headline["mean probability outside the comments"] = sum(c.outside for c in choices) / len(
            choices
        )
    else:
        read = {one.name: (combined(one, params.wording), one.comments) for one in asked}
    teacher = ModelTeacher(model, tokenizer, context.node, params.sampling, params.batch_size)
    rows, rejected = _answer_rows(context, params, asked, teacher, read)
    write_rows(context.out / ANSWERS, rows, answer_schema())
    names = dict.fromkeys(("row_id", "prompt", "reason", "caused_by"), polars.String)
    write_rows(context.out / REJECTED, rejected, names)
    about = {
        "schema_version": 1,
        "kind": "modular",
        "way": params.way,
        "model": given.label,
        "comments": [one.label for one in context.inputs("comments")],
    }
    (context.out / "teacher.json").write_text(json.dumps(about, sort_keys=True, indent=2) + "\n")
    whole = sum(row["finish_reason"] == "stop" for row in rows) / len(rows)
    headline |= {"answers": len(rows), "answers that ended by themselves": whole}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="modular-answers",
    kind="dataset",
    description="One model's answers with the comments of several community models beside it.",
    params=Params,
    run=run,
    inputs={
        "comments": Role("dataset", "answers of the models that comment", many=True),
        "model": Role("model", "who answers with the comments", form="language model"),
    },
    libraries=(*TORCH_LIBRARIES, *LIBRARIES),
)
