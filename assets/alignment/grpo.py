"""GRPO on tasks, prompts, survey questions and norms, with rewards that a declaration lists.

Each answer is paid by every reward for itself, and compared with the other answers to its prompt.
The curve of each reward is kept apart in `curves.parquet`; `samples.parquet` holds groups of
answers with what each reward paid, to be read: rewards rise for wrong reasons too.

Two methods share everything here. `grpo` reads no profile; `community-grpo` also takes the
languages and the off-limits topics of profiles, so that what it makes rests on their permission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.alignment import training
from assets.alignment.grpo_course import Course, GrpoTraining
from assets.alignment.grpo_rows import Material, Reader, read_material
from assets.alignment.grpo_training import build_trainer, read_samples, train
from assets.alignment.grpo_vllm import require_writer
from assets.alignment.reward_functions import Chances, Means, require_means, reward_functions
from assets.alignment.reward_judges import JudgementClassifier, hearing
from assets.alignment.reward_scoring import load_scorer, require_language_model
from assets.alignment.reward_terms import (
    MatchReward,
    NormsReward,
    RewardTerm,
    SharesReward,
    name_of,
)
from assets.alignment.reward_values import Asked
from assets.alignment.spread import Say, say_nothing
from assets.alignment.training import Tell, merged, save_trained, told, with_adapter
from assets.compute import LIBRARIES, Dtype, load_weights, prepare
from assets.diversity.encoder import LIBRARIES as ENCODER_LIBRARIES
from assets.diversity.encoder import load_encoder
from assets.diversity.filtering.rules import Topic
from assets.option_prompt import letter_ids, next_token_probabilities
from assets.rows import write_left_out, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from registry.errors import MethodError
from registry.method import Method, Role

if TYPE_CHECKING:
    from pathlib import Path

    from registry.context import Context

_SMALLEST = 3
"""Members that a group needs before the others' labels say how rare one's own is."""


class Params(GrpoTraining):
    """What is paid for, and how it is learned."""

    rewards: tuple[RewardTerm, ...] = Field(min_length=1)
    """The rewards; each is recorded apart, and answers are compared by their weighted sum."""
    instruction: str = ""
    """Put after every prompt, such as the form in which answers are wanted."""

    @model_validator(mode="after")
    def _rewards_fit(self) -> Self:
        names = [name_of(term) for term in self.rewards]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the reward {twice[0]!r} is listed twice")
        if not any(term.weight for term in self.rewards):
            raise ValueError("every reward has a weight of 0, so that nothing would be learned")
        people = [t.kind for t in self.rewards if isinstance(t, MatchReward | SharesReward)]
        if len(people) > 1:
            raise ValueError("`match` and `shares` pay for the same twice; list one of them")
        if people and self.scale != "none":
            raise ValueError(
                f"`scale: {self.scale}` would bend the gradient of `{people[0]}`; set `scale: none`"
            )
        plain = self.sampling
        if "match" in people and (plain.temperature, plain.top_k, plain.top_p, plain.min_p) != (
            1, 0, 1, 0,
        ):  # fmt: skip
            raise ValueError("`match` needs draws from the model itself: `sampling.temperature: 1`")
        if "shares" in people and self.group_size < _SMALLEST:
            raise ValueError("`shares` needs a `group_size` of 3 or more")
        return self


@dataclass(frozen=True)
class Reinforced:
    """What came of a training."""

    model: Any
    """Without its adapter, as it is saved."""
    tokenizer: Any
    names: list[str]
    """The rewards."""
    curves: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    rejected: Sequence[dict[str, Any]]


def reinforce(
    context: Context,
    params: Params,
    files: Path,
    folder: Path,
    tell: Tell,
    say: Say = say_nothing,
    callbacks: Sequence[Any] = (),
) -> Reinforced:
    """Trains the model in `files`; checkpoints lie in `folder`, from which a killed run goes on."""
    from transformers import set_seed

    device = prepare(context)
    require_writer(params.writer, device.type, context.node)
    model, tokenizer = load_weights(files, device, params.loads_as)
    topics = _topics(context)
    reader = Reader(
        tokenizer=tokenizer,
        chat=params.sampling.chat_template,
        instruction=params.instruction,
        answer_tokens=params.sampling.max_new_tokens,
        window=getattr(model.config, "max_position_embeddings", None),
    )
    material = read_material(context, reader, params.rewards, topics)
    set_seed(context.seed)
    ends = ends_of(model, tokenizer, end_of_line=params.sampling.until == "end of line")
    if device.type == "cpu":
        model.set_attn_implementation("eager")  # a fifth faster on rows this short
    policy = with_adapter(model, params).train()
    means = _means(context, params, material, topics, device, policy, tokenizer)
    course = Course(
        asked=material.asked,
        rewards=reward_functions(params.rewards, means),
        params=params,
        seed=context.seed,
        device=context.device,
        folder=folder,
    )
    trainer = build_trainer(policy, tokenizer, course, ends)
    for callback in callbacks:
        trainer.add_callback(callback)
    curves = train(trainer, course, tell, say)
    return Reinforced(
        model=merged(trainer.accelerator.unwrap_model(trainer.model), params),
        tokenizer=tokenizer,
        names=course.names,
        curves=curves,
        samples=read_samples(course),
        rejected=material.rejected,
    )


def run(context: Context) -> None:
    """Trains the policy, and saves it beside its curves and samples."""
    params = context.typed(Params)
    require_means(context, params.rewards)
    require_language_model(context.input("base"))
    files, tell = context.input("base").files, told(context, params.steps)
    made = reinforce(context, params, files, context.work, tell, context.ran)
    drawn = panels(made.curves, made.names)
    save_trained(context, made.model, made.tokenizer, made.curves, drawn, "rewards.png")
    write_rows(context.out / "samples.parquet", made.samples)
    write_left_out(context.out, made.rejected)


def ends_of(model: Any, tokenizer: Any, *, end_of_line: bool) -> frozenset[int]:
    """The tokens that end an answer: those that the model or its tokenizer names, and line ends."""
    named: Any = getattr(model.generation_config, "eos_token_id", None)
    ids = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    if end_of_line:
        words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        ids |= {token for token, word in enumerate(words) if "\n" in word}
    return frozenset(int(token) for token in ids if token is not None)


def panels(curves: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, list[float]]:
    """The curves that are drawn: each reward, and the share of groups that taught nothing."""
    wanted = {f"reward: {name.replace('_', ' ')}": f"reward_{name}" for name in names}
    wanted["groups paid alike"] = "equal_groups"
    found = {
        label: [row[name] for row in curves if row.get(name) is not None]
        for label, name in wanted.items()
    }
    return {label: values for label, values in found.items() if values}


def _topics(context: Context) -> tuple[Topic, ...]:
    return tuple(
        Topic(None, topic["id"], tuple(topic.get("terms") or ()))
        for one in context.profiles
        for topic in one.fields.get("off_limits") or ()
        if topic.get("terms")
    )


def _means(
    context: Context,
    params: Params,
    material: Material,
    topics: tuple[Topic, ...],
    device: Any,
    policy: Any,
    tokenizer: Any,
) -> Means:
    """Loads the models that judge, and only those that a reward asks for."""
    kinds = {term.kind for term in params.rewards}
    scorer = judge = encoder = None
    if "preference" in kinds:
        scorer = load_scorer(context.input("reward"), device)
    for term in params.rewards:
        if isinstance(term, NormsReward):
            one = context.input("judge")
            judge = JudgementClassifier(one.files, device, one.label).judge
            heard = hearing(judge, material.rules, term.must_hear, one.label)
            (context.out / "judge.json").write_text(heard.model_dump_json(indent=2) + "\n")
        if term.kind == "diversity" and term.of == "meaning":
            encoder = load_encoder(context.input("encoder").files, device)
    letters: list[int] = []
    if "match" in kinds:
        letters = letter_ids(tokenizer, max(len(one.options) for one in material.asked))
    return Means(
        size=params.group_size,
        letters=letters,
        chances=_chances(policy, tokenizer, letters, params.arithmetic),
        scorer=scorer,
        judge=judge,
        encoder=encoder,
        languages=tuple(
            language for one in context.profiles for language in one.fields.get("languages") or ()
        ),
        topics=topics,
        where=context.node,
    )


def _chances(policy: Any, tokenizer: Any, letters: Sequence[int], arithmetic: Dtype) -> Chances:
    """The policy's probabilities of each question's options, as it is when they are asked for."""

    def found(asked: Sequence[Asked]) -> list[list[float]]:
        import torch

        half = arithmetic == "bfloat16"
        with torch.autocast(policy.device.type, dtype=torch.bfloat16, enabled=half):
            whole = next_token_probabilities(policy, tokenizer, [one.ids for one in asked])
        own = [whole[row, letters[: len(one.options)]] for row, one in enumerate(asked)]
        lost = [one for one in own if not bool((one > 0).all())]
        if lost:
            raise MethodError(
                "the model gives an option no probability at all",
                why="the reward `match` is a logarithm of it",
                mend="start from a model that answers with letters, or lower the learning rate",
            )
        return [(one / one.sum()).tolist() for one in own]

    return found


_INPUTS = {
    "base": Role("model", "the model to start from", form="language model"),
    "tasks": Role("dataset", "tasks, prompts or survey questions", many=True),
    "reward": Role(
        "model", "a reward model of what the community prefers", optional=True, form="reward model"
    ),
    "judge": Role("model", "a classifier of judgements from -2 to 2", optional=True),
    "encoder": Role(
        "model",
        "a sentence encoder, for diversity of meaning",
        optional=True,
        form="sentence encoder",
    ),
}
_LIBRARIES = (
    *dict.fromkeys((
        *LIBRARIES, *training.LIBRARIES, *TASK_LIBRARIES, *ENCODER_LIBRARIES,
        "matplotlib", "polars", "py3langid",
    )),
)  # fmt: skip
_LIMITS = ("It was paid for what its rewards measure, and no reward measures all that is meant.",)

method = Method(
    name="grpo",
    kind="model",
    form="language model",
    description="GRPO with declared rewards, each answer paid by itself.",
    params=Params,
    run=run,
    inputs=_INPUTS,
    use="train-rl",
    spreads=True,
    libraries=_LIBRARIES,
    limits=_LIMITS,
)

community_method = Method(
    name="community-grpo",
    kind="model",
    form="language model",
    description="The same, with the languages and off-limits topics of value profiles.",
    params=Params,
    run=run,
    inputs=_INPUTS,
    profile_fields=("languages", "off_limits"),
    may_lack=("off_limits",),
    use="train-rl",
    spreads=True,
    libraries=_LIBRARIES,
    limits=_LIMITS,
)
