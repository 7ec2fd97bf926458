"""Rejection sampling: several answers to each prompt, of which only the best are kept.

A program checks answers to tasks; a reward model scores any others. Answers that were cut, with
malformed thoughts or mixed languages, or that name what is off limits, are never kept. What is
kept is a dataset of prompts and completions, to fine-tune this model or a smaller one on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.alignment.reward_scoring import (
    load_scorer,
    require_language_model,
    require_reward_model,
)
from assets.alignment.sequences import mark_in
from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.compute import Dtype, prepare
from assets.diversity.filtering.rules import Topic, named_topic, pattern
from assets.evaluation.tasks import require_tasks
from assets.rows import LIBRARIES, REJECTED, ROWS, read_rows, row_id, row_schema, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.sources.verifiers import verify
from assets.synthesis.answers import requests_of, spread
from assets.synthesis.best_of import Candidate, best_of_curve, draw_best_of, keep_best
from assets.synthesis.endpoint import Endpoint, EndpointTeacher
from assets.synthesis.journal import Answered, ask_all
from assets.synthesis.outcomes import KEPT, draw_outcomes
from assets.synthesis.profile_rows import require_side
from assets.synthesis.sampling import Sampling, recorded
from assets.synthesis.teachers import Teacher, load_teacher
from assets.synthesis.thought_checks import LIBRARIES as LANGUAGE_LIBRARIES
from assets.synthesis.thought_checks import ThoughtParams, fault, require_known
from registry.errors import MethodError, UsageError
from registry.method import Method, Role

if TYPE_CHECKING:
    from registry.context import Context

Row = Mapping[str, Any]
Judge = Literal["verifier", "reward model", "verifier, then reward model"]


class BestOfParams(ThoughtParams):
    """How answers are drawn, judged and kept."""

    judge: Judge = "verifier"
    """Who says which answer is good: the program that checks the task, the reward model, or the
    reward model among the answers that the program takes for right."""
    samples: int = Field(default=10, ge=1, le=1000)
    """Answers to each prompt. Llama 3 takes 10 to 30."""
    keep: int = Field(default=1, ge=1)
    """Answers of a prompt that are kept, if so many are good."""
    least_reward: float | None = None
    """Answers that the reward model gives less are dropped. Without it the best is kept however
    low it is: rewards have no zero that means anything."""
    prompts: int | None = Field(default=None, ge=1)
    """Put only so many prompts, spread evenly over the input; without it, all."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=256)
    """How answers are drawn; at a temperature of 0 all samples of a prompt would be the same."""
    batch_size: int = Field(default=32, ge=1)
    """Answers that are written, or scored, at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the models."""


class Params(BestOfParams):
    """Rejection sampling from a model of the registry."""


class EndpointParams(BestOfParams):
    """Rejection sampling from a server."""

    endpoint: Endpoint
    """The server, and how it is asked."""


def read_prompts(context: Context, params: BestOfParams) -> tuple[list[Row], Mapping[str, Any]]:
    """The prompts that are put, and the columns of what is made of them."""
    import polars

    given = context.input("prompts")
    frame = read_rows(given.files / ROWS)
    rows = frame.to_dicts()
    if not rows:
        raise MethodError("has no prompts", where=given.label)
    require_side(rows, "learning", given.label)
    if params.judge != "reward model":
        require_tasks(rows, given.label)
    if ("reward model" in params.judge) != bool(context.inputs("reward")):
        needed = "reward model" in params.judge
        raise UsageError(
            f"the judge is {params.judge!r}, and {'no' if needed else 'a'} reward model is given",
            where=context.node,
            mend="add `reward:` to the inputs"
            if needed
            else "leave `reward` out, or name it as the judge",
        )
    for one in context.inputs("reward"):
        require_reward_model(one)
    text = polars.String
    added = {
        "teacher": text, "sample": polars.Int64, "sampling": text, "score": polars.Float64,
        "good_samples": polars.Int64,
    }  # fmt: skip
    schema: Mapping[str, Any] = row_schema() | dict(frame.schema) | row_schema() | added
    return list(spread(rows, params.prompts)), schema


class Rules:
    """What an answer must keep to, for the community that its prompt belongs to."""

    def __init__(self, context: Context, params: BestOfParams) -> None:
        self._params = params
        self._everyone = context.community
        self._languages = {
            one.id: tuple(str(tag) for tag in one.fields.get("languages") or ())
            for one in context.profiles
        }
        self._topics = [
            (Topic(one.id, topic["id"], tuple(topic["terms"])), pattern(topic["terms"]))
            for one in context.profiles
            for topic in one.fields.get("off_limits") or ()
            if topic.get("terms")
        ]
        require_known([*params.languages, *(t for own in self._languages.values() for t in own)])

    def off_limits(self, row: Row, text: str) -> str:
        """The topic that a text names and must not; nothing where it names none."""
        return named_topic(text, row.get("community") or self._everyone, self._topics)

    def fault(self, row: Row, text: str) -> str:
        """Why a text is not kept, whatever the judge says of it; nothing where it may be."""
        who = row.get("community") or self._everyone
        own = self._languages.get(who, ()) if who else ()
        every = tuple(dict.fromkeys(tag for tags in self._languages.values() for tag in tags))
        languages = self._params.languages or own or every
        return fault(text, self._params.model_copy(update={"languages": languages}))


def candidates_of(
    rows: Sequence[Row], answered: Answered, params: BestOfParams, teacher: str, rules: Rules
) -> dict[str, list[Candidate]]:
    """Every sample of every prompt, with the reason where its form rules it out."""
    settings = recorded(params.sampling)
    found: dict[str, list[Candidate]] = {}
    for row in rows:
        for sample in range(params.samples):
            answer = answered.completions.get(f"{row['row_id']}-{sample}")
            if answer is None:
                continue
            content = [row["row_id"], sample, answer.text, settings]
            own = row_id(f"rejection-sampling:{teacher}", content)
            one = Candidate(row["row_id"], own, sample, answer.text.strip(), caused_by=own)
            if topic := rules.off_limits(row, answer.text):
                one.reason, one.hidden = f"off limits: {topic}", True
            elif answer.finish_reason != "stop":
                one.reason = "it was cut"
            else:
                one.reason = rules.fault(row, one.text)
            found.setdefault(row["row_id"], []).append(one)
    return found


def check(rows: Sequence[Row], candidates: Mapping[str, Sequence[Candidate]]) -> None:
    """Gives every candidate in play 1 where the task's program takes it for right, else 0."""
    for row in rows:
        for one in candidates.get(row["row_id"], ()):
            if not one.reason:
                one.score = float(verify(row["task"], row["entry"], one.text))
                one.reason = "" if one.score else "the answer is wrong"


def score(
    context: Context,
    rows: Sequence[Row],
    candidates: Mapping[str, Sequence[Candidate]],
    params: BestOfParams,
    progress: Callable[[int, int], None],
) -> None:
    """Gives every candidate in play the reward model's score."""
    scorer = load_scorer(context.input("reward"), prepare(context), params.dtype, params.batch_size)
    for row in rows:
        for one in candidates.get(row["row_id"], ()):
            if not one.reason and (mark := mark_in(scorer.tokenizer, [one.text])):
                one.reason = f"it holds {mark}, a mark of the chat"
    open_ = [
        (row["prompt"], one)
        for row in rows
        for one in candidates.get(row["row_id"], ())
        if not one.reason
    ]
    rewards = scorer.scores([(prompt, one.text) for prompt, one in open_], progress)
    for (_, one), reward in zip(open_, rewards, strict=True):
        one.score = reward
        if reward is None:
            one.reason = "too long for the reward model"
        elif params.least_reward is not None and reward < params.least_reward:
            one.reason = f"its reward is below {params.least_reward:g}"


def write(
    context: Context,
    rows: Sequence[Row],
    candidates: Mapping[str, list[Candidate]],
    refused: Mapping[str, str],
    params: BestOfParams,
    teacher: Teacher,
    schema: Mapping[str, Any],
) -> None:
    """Writes what is kept, what is not and why, and what more samples would have brought."""
    import polars

    in_play = [one for group in candidates.values() for one in group if not one.reason]
    good = {row: sum(not one.reason for one in group) for row, group in candidates.items()}
    curve = best_of_curve(
        [_worths(group, candidates, params.judge) for group in candidates.values()]
    )
    kept = []
    for row in rows:
        for one in keep_best(candidates.get(row["row_id"], ()), params.keep):
            made = {
                "row_id": one.row_id, "parents": [row["row_id"]], "completion": one.text,
                "teacher": teacher.name, "sample": one.sample, "score": one.score,
                "sampling": recorded(params.sampling), "good_samples": good[row["row_id"]],
            }  # fmt: skip
            kept.append(dict(row) | {"community": row.get("community")} | made)
    if not kept:
        every = [one.reason for group in candidates.values() for one in group]
        raise MethodError(
            f"none of {len(every)} answers is good enough to keep",
            where=context.node,
            why=f"the most common reason: {max(set(every), key=every.count)}" if every
            else f"no prompt can be put: {next(iter(refused.values()), '')}",
            mend="take easier prompts, a better model, or more samples",
        )  # fmt: skip
    write_rows(context.out / ROWS, kept, schema)
    prompts = {row["row_id"]: row["prompt"] for row in rows}
    text = polars.String
    why = {
        "row_id": text, "parents": polars.List(text), "prompt": text, "completion": text,
        "sample": polars.Int64, "reason": text, "score": polars.Float64, "caused_by": text,
    }  # fmt: skip
    left = [
        {"row_id": name, "parents": [], "prompt": prompts[name], "completion": None,
         "sample": None, "reason": reason, "score": None, "caused_by": name}
        for name, reason in refused.items()
    ] + [
        {"row_id": one.row_id, "parents": [one.prompt_id],
         "prompt": None if one.hidden else prompts[one.prompt_id],
         "completion": None if one.hidden else one.text, "sample": one.sample,
         "reason": one.reason, "score": one.score, "caused_by": one.caused_by}
        for group in candidates.values() for one in group if one.reason
    ]  # fmt: skip
    write_rows(context.out / REJECTED, left, why)
    write_rows(context.out / "best_of.parquet", curve)
    label = "prompts answered" if params.judge == "verifier" else "expected best reward"
    (context.out / "best_of.png").write_bytes(draw_best_of(curve, label))
    every = [one.reason or KEPT for group in candidates.values() for one in group]
    (context.out / "outcomes.png").write_bytes(draw_outcomes(every))
    headline = {
        "prompts": len(rows),
        "prompts with an answer kept": len({row["parents"][0] for row in kept}) / len(rows),
        "answers kept": len(kept),
        "answers good enough": len(in_play) / max(len(every), 1),
        "expected best of one": curve[0]["expected_best"],
        f"expected best of {len(curve)}": curve[-1]["expected_best"],
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    (context.out / "teacher.json").write_text(
        json.dumps({"schema_version": 1, **teacher.describe()}, sort_keys=True, indent=2) + "\n"
    )


def _worths(
    group: Sequence[Candidate], candidates: Mapping[str, Sequence[Candidate]], judge: Judge
) -> list[float]:
    """What one prompt's samples are worth: 1 or 0 with a program as judge, else their rewards.

    One that was ruled out is worth as much as the worst that was not.
    """
    if judge == "verifier":
        return [float(not one.reason) for one in group]
    good = [one.score or 0.0 for g in candidates.values() for one in g if not one.reason]
    return [min(good, default=0.0) if one.reason else one.score or 0.0 for one in group]


def _sample(context: Context, params: BestOfParams, open_teacher: Callable[[], Teacher]) -> None:
    rows, schema = read_prompts(context, params)
    rules = Rules(context, params)
    teacher = open_teacher()
    requests = requests_of(rows, params.samples, context.seed)
    total = len(requests) * (2 if context.inputs("reward") else 1)
    answered = ask_all(
        teacher,
        requests,
        context.work / "answers",
        lambda done, _total, _tokens: context.progress(done, total),
    )
    candidates = candidates_of(rows, answered, params, teacher.name, rules)
    if params.judge != "reward model":
        check(rows, candidates)
    if context.inputs("reward"):
        score(
            context,
            rows,
            candidates,
            params,
            lambda done, _total: context.progress(len(requests) + done, total),
        )
    names = {f"{row['row_id']}-0": row["row_id"] for row in rows}
    refused = {names[one]: why for one, why in answered.refused.items() if one in names}
    write(context, rows, candidates, refused, params, teacher, schema)


def run(context: Context) -> None:
    """Lets a model of the registry answer, and keeps the best."""
    params = context.typed(Params)
    given = context.input("model")
    require_language_model(given)
    _sample(
        context,
        params,
        lambda: load_teacher(context, given, params.sampling, params.batch_size, params.dtype),
    )


def run_endpoint(context: Context) -> None:
    """Lets a server answer, and keeps the best."""
    params = context.typed(EndpointParams)
    _sample(context, params, lambda: EndpointTeacher(params.endpoint, params.sampling))


_INPUTS = {
    "prompts": Role("dataset", "rows whose prompts are put; tasks where a program is the judge"),
    "reward": Role(
        "model", "the reward model that scores answers", optional=True, form="reward model"
    ),
}
_MODEL = {"model": Role("model", "who answers", form="language model")}
_LIBRARIES = (*TORCH_LIBRARIES, *LIBRARIES, *TASK_LIBRARIES, *LANGUAGE_LIBRARIES, "matplotlib")
_LIMITS = (
    "A model wrote it; a program or another model chose it, and nobody read it.",
    "Right answers are those that the model finds easy: hard tasks are under-represented.",
)

method = Method(
    name="rejection-sampling",
    kind="dataset",
    description="Several answers of a model to each prompt, of which the best are kept.",
    params=Params,
    run=run,
    inputs=_INPUTS | _MODEL,
    libraries=_LIBRARIES,
    limits=_LIMITS,
)

community_method = Method(
    name="community-rejection-sampling",
    kind="dataset",
    description="The same, in the languages and without the off-limits topics of value profiles.",
    params=Params,
    run=run,
    inputs=_INPUTS | _MODEL,
    profile_fields=("languages", "off_limits"),
    may_lack=("off_limits",),
    use="train-sft",
    libraries=_LIBRARIES,
    limits=_LIMITS,
)

endpoint_method = Method(
    name="rejection-sampling-endpoint",
    kind="dataset",
    description="Several answers of a model behind a server to each prompt; the best are kept.",
    params=EndpointParams,
    run=run_endpoint,
    inputs=_INPUTS,
    libraries=("openai", *_LIBRARIES),
    limits=(
        *_LIMITS,
        "A server may change what it serves under one name; answers are not repeatable.",
    ),
    network=True,
)
