"""Does combining help? Imitation, reinforcement and thinking, alone and in turn, at equal tokens.

Each arm is a chain of stages that starts from the same model: `sft` learns from reference answers,
`grpo` from what a verifier says of its own answers, `rlp` thinks before tokens of the same tasks as
plain text. All arms learn from the same number of tokens, which an arm's stages share evenly: those
are the tokens that an optimiser step reads, of prompts, thoughts and answers alike. What is drawn
and not learned from, and what is only scored, comes on top and is not counted.

Every model is measured on tasks that it has not learned from, and then forgotten.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from assets.alignment import rlp as thinking
from assets.alignment import training
from assets.alignment.fine_tuning import tune
from assets.alignment.grpo import Params as GrpoParams
from assets.alignment.grpo import reinforce
from assets.alignment.reward_terms import AccuracyReward, LengthReward
from assets.alignment.training import Tell, TuningParams, merged
from assets.compute import LIBRARIES, load_weights, prepare, save_model
from assets.evaluation.arms import (
    BASE,
    METRICS,
    Found,
    Unit,
    draw,
    in_lines,
    learnable,
    measured,
    results_of,
    rows_of,
    score_model,
)  # fmt: skip
from assets.evaluation.tasks import Row, Scored, floor, require_tasks
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.synthesis.sampling import Sampling
from registry.artifact import write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

Stage = Literal["sft", "grpo", "rlp"]
_MOST_STEPS = 100_000
"""More steps than any budget lasts: stages end when their tokens are used up."""


class Params(Frozen):
    """The arms, and the budget that they share."""

    arms: tuple[tuple[Stage, ...], ...] = (
        ("sft",),
        ("grpo",),
        ("sft", "grpo"),
        ("rlp", "sft", "grpo"),
    )
    """The stages of each arm, in their order; others are compared with the first arm."""
    tokens: int = Field(default=60_000, ge=1)
    """Tokens that each arm learns from."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Models of each arm."""
    sft: TuningParams = TuningParams(checkpoint_every=0)
    """How a model imitates; its steps follow from the budget."""
    grpo: GrpoParams = GrpoParams(
        rewards=(AccuracyReward(kind="accuracy"), LengthReward(kind="length", weight=0.2)),
        checkpoint_every=0,
    )
    """How it is reinforced; its steps follow from the budget."""
    rlp: thinking.Params = thinking.Params(checkpoint_every=0)
    """How it learns to think; its steps follow from the budget."""
    sampling: Sampling = Sampling(temperature=0, max_new_tokens=32)
    """How each answers when it is measured."""
    batch_size: int = Field(default=32, ge=1)
    """Tasks that are put at once when it is measured."""
    resamples: int = Field(default=2000, ge=100)
    """Draws of new tasks, for the intervals."""

    @model_validator(mode="after")
    def _budget_decides(self) -> Self:
        for name in ("sft", "grpo", "rlp"):
            own = getattr(self, name)
            if own.steps != type(own).model_fields["steps"].default:
                raise ValueError(f"`{name}.steps` follows from `tokens`; leave it out")
        if self.sft.packing:
            raise ValueError("packed rows hide how many tokens a step has; leave `packing` out")
        needing = {"preference", "norms", "match", "shares", "language"}
        if found := sorted({term.kind for term in self.grpo.rewards} & needing):
            raise ValueError(f"the reward {found[0]!r} is of people; the tasks here have none")
        if len(set(self.arms)) < len(self.arms) or not all(self.arms):
            raise ValueError("each arm has stages, and no two arms have the same")
        return self


@dataclass(frozen=True)
class Trained:
    """What a stage used, and how it went."""

    tokens: float
    curve: Sequence[Mapping[str, Any]]


def name_of(stages: Sequence[Stage]) -> str:
    """What an arm is known by."""
    return "-then-".join(stages)


def run(context: Context) -> None:
    """Trains and measures every model, then compares the arms."""
    params = context.typed(Params)
    learning = read_rows(context.input("tasks").files / ROWS).to_dicts()
    require_tasks(learning, context.input("tasks").label)
    parts: dict[str, list[Row]] = {}
    for given in context.inputs("new"):
        rows = read_rows(given.files / ROWS).to_dicts()
        require_tasks(rows, given.label)
        parts[given.label] = only_new(learning, rows, given.label)
    tasks = [row for rows in parts.values() for row in rows]
    arms = {name_of(stages): stages for stages in params.arms}
    units = [Unit(BASE, 0)] + [Unit(arm, seed) for arm in arms for seed in params.seeds]
    found: dict[Unit, list[Scored]] = {}
    for done, unit in enumerate(units):
        part = _Part(context, done, len(units))
        measure = partial(_measure, part, params, unit, arms.get(unit.arm, ()), learning, tasks)
        found[unit] = measured(context.work / "units", unit, measure)
    _write(context, params, found, parts)


def only_new(learning: Sequence[Row], tasks: Sequence[Row], label: str) -> list[Row]:
    """The tasks that no model learns from: small tasks are soon drawn twice.

    Raises:
        MethodError: Where none is left.
    """
    known = {row["prompt"] for row in learning}
    new = [row for row in tasks if row["prompt"] not in known]
    if not new:
        raise MethodError(
            "every task is one that models learn from",
            where=label,
            why="the figures would show what was learned by heart",
            mend="draw these tasks with another seed, or more of them",
        )
    return new


@dataclass(frozen=True)
class _Part:
    """One model's part of the run, of which progress is told."""

    context: Context
    done: int
    whole: int

    def tell(self, stage: str, share: float, figures: Mapping[str, float]) -> None:
        """Tells how far this model is, as a share of its tokens."""
        curves = {f"{name}_{stage}": value for name, value in figures.items()}
        done = min(int(1000 * (self.done + share)), 1000 * (self.done + 1))
        self.context.progress(done, 1000 * self.whole, **curves)


def _measure(
    part: _Part,
    params: Params,
    unit: Unit,
    stages: Sequence[Stage],
    learning: Sequence[Row],
    tasks: Sequence[Row],
) -> list[Scored]:
    """Trains one model stage by stage and scores it."""
    context = replace(part.context, seed=unit.seed)
    scratch = context.work / "unit" / unit.name
    shutil.rmtree(scratch, ignore_errors=True)
    files, used = context.input("base").files, []
    budget = params.tokens / max(1, len(stages))
    teach = {"sft": _imitate, "grpo": _reinforce, "rlp": _think}
    for place, stage in enumerate(stages):
        after = scratch / f"{place}-{stage}"

        def tell(
            tokens: int, figures: Mapping[str, float], place: int = place, stage: str = stage
        ) -> None:
            share = (place + min(1.0, tokens / budget)) / len(stages)
            part.tell(stage, share, figures)

        trained = teach[stage](context, params, files, after, learning, budget, tell)
        used.append({"stage": stage, "tokens": trained.tokens, "steps": len(trained.curve)})
        files = after
    scored = score_model(part.context, files, tasks, params.sampling, params.batch_size, scratch)
    _keep_used(context.work, unit, used)
    shutil.rmtree(scratch, ignore_errors=True)
    return scored


def _imitate(
    context: Context,
    params: Params,
    files: Path,
    out: Path,
    rows: Sequence[Row],
    budget: float,
    tell: Tell,
) -> Trained:
    device = prepare(context)
    model, tokenizer = load_weights(files, device, params.sft.loads_as)
    sequences = learnable(
        tokenizer, rows, params.sft.longest, "the tasks", chat=params.sampling.chat_template
    )
    step = params.sft.batch_size * sum(len(one.ids) for one in sequences) / len(sequences)
    steps = max(1, round(budget / step))
    model, curve = tune(
        model, tokenizer, sequences, params.sft.model_copy(update={"steps": steps}),
        seed=context.seed, device=context.device, folder=out.with_suffix(".trainer"),
        tell=lambda number, figures: tell(round(number * step), figures),
    )  # fmt: skip
    save_model(model, tokenizer, out)
    return Trained(steps * step, curve)


def _reinforce(
    context: Context,
    params: Params,
    files: Path,
    out: Path,
    _rows: Sequence[Row],
    budget: float,
    tell: Tell,
) -> Trained:
    from transformers import TrainerCallback

    class Enough(TrainerCallback):  # type: ignore[misc]
        tokens = 0.0

        def on_log(
            self, _args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any
        ) -> None:
            self.tokens = float(logs.get("num_tokens", self.tokens))
            if self.tokens >= budget and state.global_step % own.steps_per_draw == 0:
                control.should_training_stop = True

    enough = Enough()
    draws = -(-int(budget) // (params.grpo.prompts * params.grpo.group_size))
    own = params.grpo.model_copy(
        update={"steps": min(_MOST_STEPS, draws * params.grpo.steps_per_draw)}
    )
    made = reinforce(
        context, own, files, out.with_suffix(".trainer"),
        lambda _number, figures: tell(int(enough.tokens), figures), callbacks=[enough],
    )  # fmt: skip
    save_model(made.model, made.tokenizer, out)
    return Trained(enough.tokens, made.curves)


def _think(
    context: Context,
    params: Params,
    files: Path,
    out: Path,
    rows: Sequence[Row],
    budget: float,
    tell: Tell,
) -> Trained:
    own = params.rlp.model_copy(update={"steps": _MOST_STEPS})
    device = prepare(context)
    model, tokenizer = load_weights(files, device, own.loads_as)
    texts, _ = thinking.texts_of(
        tokenizer, [dict(row) for row in rows], own.least_context + own.target_tokens
    )
    if not texts:
        raise MethodError(
            "no task is long enough to think about", mend="lower params.rlp.least_context"
        )
    learner = thinking.build(own, model, tokenizer, context.seed, context.device)
    seen: list[float] = []

    def told(_number: int, figures: Mapping[str, float]) -> None:
        seen.append(figures["tokens"])
        tell(int(sum(seen)), {"reward": figures["reward"], "value": figures["value"]})

    out.parent.mkdir(parents=True, exist_ok=True)
    curve = thinking.train(learner, texts, out.with_suffix(".checkpoint"), told, budget)
    save_model(merged(learner.plain, own), tokenizer, out)
    return Trained(sum(seen), curve)


def _keep_used(work: Path, unit: Unit, used: Sequence[Mapping[str, Any]]) -> None:
    folder = work / "used"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{unit.name}.json", json.dumps(list(used)).encode())


def _used(work: Path, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """What each stage of each model used."""
    return [
        {"arm": unit.arm, "seed": unit.seed, "place": place, **stage}
        for unit in units
        for place, stage in enumerate(
            json.loads((work / "used" / f"{unit.name}.json").read_bytes())
        )
    ]


def markdown(
    params: Params,
    found: Mapping[str, Found],
    results: Sequence[Result],
    floors: Mapping[str, float],
) -> str:
    """The figures as a page."""
    lines = [
        (
            f"Each model learned from {params.tokens:,} tokens, shared evenly by its stages; "
            f"{len(params.seeds)} seeds an arm, averaged first; 95 % intervals over tasks, "
            "to which the spread over seeds, beside, comes on top."
        ),
    ]
    for part, own in found.items():
        lines += ["", f"## {part}", ""]
        lines += [
            "| arm | metric | value | 95 % interval | seeds | tasks |",
            "|---|---|---|---|---|---|",
        ]
        lines += in_lines(own, [r for r in results if r.slice == part])
        lines += [
            "",
            f"Always giving the commonest answer of a kind gets {floors[part]:.3f} right.",
        ]
    return "\n".join(lines) + "\n"


def _parts(
    found: Found, parts: Mapping[str, Sequence[Row]]
) -> Iterator[tuple[str, dict[Unit, Sequence[Scored]]]]:
    """The scores on each dataset of tasks."""
    start = 0
    for label, rows in parts.items():
        end = start + len(rows)
        yield label, {unit: scored[start:end] for unit, scored in found.items()}
        start = end


def _write(
    context: Context, params: Params, found: Found, parts: Mapping[str, Sequence[Row]]
) -> None:
    write_rows(context.out / "scores.parquet", rows_of(found))
    trained = [unit for unit in found if unit.arm != BASE]
    write_rows(context.out / "used.parquet", _used(context.work, trained))
    apart = dict(_parts(found, parts))
    floors: dict[str, float] = {}
    results: list[Result] = []
    for label, own in apart.items():
        commonest = floor(parts[label])
        floors[label] = sum(commonest[row["task"]] for row in parts[label]) / len(parts[label])
        results += results_of(own, parts[label], label, params.resamples, context.seed)
        pictured = [r for r in results if r.slice == label and r.metric in METRICS]
        (context.out / f"{label}.png").write_bytes(draw(pictured))
    Results(results=tuple(results)).write(context.out)
    page = markdown(params, apart, results, floors)
    (context.out / "table.md").write_text(page, encoding="utf-8")
    headline = {
        f"{r.about}: {r.metric} ({r.slice})": r.value for r in results if r.metric in METRICS
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="combination-experiment",
    kind="evaluation",
    description="Trains one model by imitation, reinforcement and thinking, alone and in turn.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model that each arm starts from"),
        "tasks": Role("dataset", "tasks with verifiers, which all arms learn from"),
        "new": Role("dataset", "tasks that no arm learns from; each dataset apart", many=True),
    },
    use="train-rl",
    libraries=(
        *dict.fromkeys((
            *LIBRARIES, *training.LIBRARIES, *TASK_LIBRARIES, "matplotlib", "numpy", "polars",
        )),
    ),
)  # fmt: skip
