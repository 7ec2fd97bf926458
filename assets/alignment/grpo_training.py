"""GRPO by trl's trainer, drawn by our own generation and paid member by member.

What a step asks, draws and pays follows from the node's seed and the step's number alone, so that a
run that was killed goes on from its last checkpoint and ends with the same weights. trl draws anew
when it goes on, so checkpoints stand only where a batch of answers has been used up.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from assets.alignment.checkpoints import train_on
from assets.alignment.groups import advantages
from assets.alignment.grpo_course import Course, GrpoTraining, places_of, settings
from assets.alignment.grpo_progress import curve_rows, progress
from assets.alignment.grpo_vllm import write_by_vllm
from assets.alignment.reward_functions import NamedReward
from assets.alignment.reward_values import Answer, Asked, checked
from assets.alignment.spread import Say, what_runs
from assets.synthesis.generation import Written, write_answers
from assets.synthesis.sampling import seed_of
from registry.artifact import write_atomically

if TYPE_CHECKING:
    import torch
    from trl import GRPOTrainer


def build_trainer(model: Any, tokenizer: Any, course: Course, ends: frozenset[int]) -> GRPOTrainer:
    """The trainer of trl with our draws, our rewards and our comparison within groups.

    Args:
        model: The policy, with its adapter if it has one.
        tokenizer: Its tokenizer.
        course: What is trained on.
        ends: The tokens that end an answer.
    """
    import torch
    from datasets import Dataset
    from trl import GRPOTrainer

    params = course.params
    config, at_once = settings(course), course.at_once

    def rollout(places: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        asked = [course.asked[int(place)] for place in places]
        # What comes after is then the same in a run that goes on from here.
        torch.manual_seed(seed_of(course.seed, f"step {trainer.state.global_step}"))
        return draw(trainer, asked, course, ends, at_once)

    class MemberTrainer(GRPOTrainer):  # type: ignore[misc]
        paid: torch.Tensor

        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            self.paid = super()._calculate_rewards(*args, **kwargs)
            return self.paid

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            whole = (self.paid * self.reward_weights.to(self.paid.device)).nansum(dim=1)
            gains = advantages(whole.reshape(-1, params.group_size), params.scale).reshape(-1)
            first = self.accelerator.process_index * len(inputs)
            output["advantages"] = gains[first : first + len(inputs)]
            number = self.state.global_step // params.steps_per_draw
            if self.accelerator.is_main_process and number % params.samples_every == 0:
                own = slice(first, first + params.group_size)
                given = [row["answer"] for row in inputs[: params.group_size]]
                _keep_sample(course, self.state.global_step, given, self.paid[own], gains[own])
            return output

    rows = [{"prompt": str(place)} for place in places_of(course)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = MemberTrainer(
            model=model,
            args=config,
            reward_funcs=[_as_trl_asks(reward) for reward in course.rewards],
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            rollout_func=rollout,
        )
    trainer.eos_token_ids = sorted(ends)
    return trainer


def _as_trl_asks(reward: NamedReward) -> Callable[..., list[float | None]]:
    def paid(answer: list[Answer], **_: object) -> list[float | None]:
        return checked(reward.name, reward.pay(answer), len(answer))

    paid.__name__ = reward.name
    return paid


def draw(
    trainer: GRPOTrainer,
    asked: Sequence[Asked],
    course: Course,
    ends: frozenset[int],
    at_once: int,
) -> dict[str, Any]:
    """One answer to each prompt in the list, in which each stands as often as its group is large.

    Every answer is seeded by the step and by its place among those of all processes.
    """
    params, model = course.params, trainer.accelerator.unwrap_model(trainer.model)
    first = trainer.accelerator.process_index * len(asked)
    step = trainer.state.global_step
    seeds = [seed_of(course.seed, f"step {step} answer {first + i}") for i in range(len(asked))]
    pad = trainer.processing_class.pad_token_id or 0
    written: list[Written] = []
    if params.writer == "vllm":
        ids = [one.ids for one in asked]
        written = write_by_vllm(trainer.vllm_generation.llm, ids, seeds, params.sampling, ends)
    else:
        with _at_rest(model), trainer.accelerator.autocast():
            for start in range(0, len(asked), at_once):
                part = slice(start, start + at_once)
                ids = [one.ids for one in asked[part]]
                written += write_answers(model, ids, seeds[part], params.sampling, ends, pad)
    texts = trainer.processing_class.batch_decode(
        [one.tokens for one in written], skip_special_tokens=True
    )
    return {
        "prompt_ids": [list(one.ids) for one in asked],
        "completion_ids": [one.tokens for one in written],
        "logprobs": [one.logprobs for one in written] if params.writer == "vllm" else None,
        "answer": [
            Answer(one, _said(text, params), tuple(drawn.tokens), drawn.ended)
            for one, text, drawn in zip(asked, texts, written, strict=True)
        ],
    }


def _said(text: str, params: GrpoTraining) -> str:
    return text.partition("\n")[0] if params.sampling.until == "end of line" else text


@contextlib.contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """The model writes as it will when it is used, and then learns again."""
    learning = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(learning)


def _keep_sample(
    course: Course, step: int, answers: Sequence[Answer], paid: torch.Tensor, gains: torch.Tensor
) -> None:
    """Keeps one group to be read; a run that goes on writes the same again."""
    rows = []
    for member, one in enumerate(answers):
        given = {
            name: None if value != value else round(value, 6)  # noqa: PLR0124 - not a number
            for name, value in zip(course.names, paid[member].tolist(), strict=True)
        }
        rows.append(
            {
                "step": step + 1,
                "row_id": one.asked.id,
                "prompt": one.asked.prompt,
                "member": member,
                "answer": one.text,
                "tokens": len(one.tokens),
                "ended": one.ended,
                **{f"reward_{name}": value for name, value in given.items()},
                "advantage": round(float(gains[member]), 6),
            }
        )
    folder = course.folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{step:08d}.json", json.dumps(rows).encode())


def read_samples(course: Course) -> list[dict[str, Any]]:
    """The groups that were kept, in order."""
    paths = sorted((course.folder / "samples").glob("*.json"))
    return [row for path in paths for row in json.loads(path.read_bytes())]


def train(
    trainer: GRPOTrainer, course: Course, tell: Callable[[int, dict[str, float]], None], say: Say
) -> Any:
    """Trains from the last whole checkpoint on; returns a row for each step.

    Raises MethodError where what was asked for cannot run here, memory runs out, or a loss is no
    number; checkpoints stay.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress(course.names, tell))
    arithmetic = course.params.arithmetic
    say(what_runs(trainer.accelerator, "none", arithmetic, course.parts, course.params.writer))
    train_on(trainer, course.trainer, course.more_parts)
    return curve_rows(trainer.state.log_history, course.names)
