"""The weights of several models of one shape, averaged into one model.

Each tensor's mean is taken in float32 as a running one, m + (x - m) w / W with W the weight so far,
so that models that are the same have exactly themselves as their average. The files of the first
model give the layout, and one of its files is held in memory at a time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment.reward_scoring import architecture
from assets.compute import LIBRARIES, prepare
from assets.rows import write_rows
from registry.errors import MethodError, UsageError
from registry.method import Method, Role
from registry.strict_yaml import nearest
from registry.typed import Frozen

if TYPE_CHECKING:
    import torch

    from registry.context import Context, Input

_SUFFIX = ".safetensors"
_BESIDE = (
    "config.json", "generation_config.json", "model.safetensors.index.json", "reward.json",
    "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json",
)  # fmt: skip
"""What a model has beside its weights; the first model's are taken over."""
_OF_NO_ACCOUNT = frozenset({
    "_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache",
})  # fmt: skip
"""What a configuration may say otherwise: nothing here changes what weights mean."""


class Params(Frozen):
    """How much each model counts."""

    weights: dict[str, float] = Field(default_factory=dict)
    """A weight for each model by its node; those that are not named weigh 1. Only their ratios
    count."""


@dataclass(frozen=True)
class Source:
    """The files of one model."""

    given: Input

    @property
    def label(self) -> str:
        """The node."""
        return self.given.label

    @property
    def shards(self) -> list[Path]:
        """Its files of weights."""
        found = sorted(self.given.files.glob(f"*{_SUFFIX}"))
        if not found:
            raise MethodError(f"has no {_SUFFIX} file", where=self.label, mend="name a model")
        return found

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """What its configuration says of its shape."""
        architecture(self.given.files, self.label)
        read = json.loads((self.given.files / "config.json").read_text(encoding="utf-8"))
        return {name: value for name, value in read.items() if name not in _OF_NO_ACCOUNT}

    @cached_property
    def template(self) -> str:
        """How it writes turns."""
        path = self.given.files / "chat_template.jinja"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def vocabulary(self) -> Mapping[str, int]:
        """The number of each token."""
        from tokenizers import Tokenizer

        path = self.given.files / "tokenizer.json"
        if not path.is_file():
            raise MethodError("has no tokenizer.json", where=self.label, mend="name a model")
        found: Mapping[str, int] = Tokenizer.from_file(str(path)).get_vocab()
        return found


def shares(given: Mapping[str, float], labels: Sequence[str]) -> list[float]:
    """The share of each model; raises UsageError on weights that cannot be."""
    if len(set(labels)) != len(labels):
        raise UsageError("one model is named twice", mend="name it once, with a larger weight")
    for name, weight in given.items():
        if name not in labels:
            mend = nearest(name, list(labels)) or f"models here: {', '.join(labels)}"
            raise UsageError(f"params.weights names {name!r}, which is no input", mend=mend)
        if weight < 0:
            raise UsageError(f"params.weights.{name} is negative")
    weights = [given.get(label, 1.0) for label in labels]
    if sum(weights) <= 0:
        raise UsageError("params.weights leave no model any weight")
    return [weight / sum(weights) for weight in weights]


def require_alike(sources: Sequence[Source]) -> None:
    """Raises MethodError unless all models have one shape, one vocabulary and one way of turns."""
    first, *others = sources
    for other in others:
        names = sorted(first.config.keys() | other.config.keys())
        wrong = next((n for n in names if first.config.get(n) != other.config.get(n)), "")
        if wrong:
            _refuse(
                first, other, f"{wrong} is {first.config.get(wrong)} and {other.config.get(wrong)}"
            )
        if first.vocabulary != other.vocabulary:
            _refuse(first, other, "their tokens are not the same")
        if first.template != other.template:
            _refuse(first, other, "they write turns differently")


def _refuse(first: Source, other: Source, why: str) -> None:
    raise MethodError(
        f"{first.label} and {other.label} cannot be averaged: {why}",
        why="the same place in both does not mean the same",
        mend="average models that were trained from one base",
    )


class Weights:
    """The tensors of several models, read one at a time."""

    def __init__(self, sources: Sequence[Source], stack: ExitStack) -> None:
        from safetensors import safe_open

        self._sources = sources
        self._holders: list[dict[str, Any]] = []
        for source in sources:
            held: dict[str, Any] = {}
            for path in source.shards:
                opened = stack.enter_context(safe_open(path, framework="pt"))
                held |= dict.fromkeys(opened.keys(), opened)
            self._holders.append(held)
        first = self._holders[0].keys()
        for source, held in zip(sources[1:], self._holders[1:], strict=True):
            if odd := sorted(first ^ held.keys()):
                _refuse(sources[0], source, f"only one of them has {odd[0]}")

    def __len__(self) -> int:
        return len(self._holders[0])

    def of(self, name: str) -> list[torch.Tensor]:
        """One tensor of every model."""
        found = [held[name].get_tensor(name) for held in self._holders]
        for source, tensor in zip(self._sources[1:], found[1:], strict=True):
            if tensor.shape != found[0].shape:
                shapes = f"{list(found[0].shape)} and {list(tensor.shape)}"
                _refuse(self._sources[0], source, f"{name} is of shape {shapes}")
        return found


def mean(tensors: Sequence[torch.Tensor], parts: Sequence[float]) -> torch.Tensor:
    """The weighted mean of tensors, in float32; whole numbers must be the same in all."""
    import torch

    if not tensors[0].is_floating_point():
        if any(not torch.equal(tensors[0], other) for other in tensors[1:]):
            raise ValueError("whole numbers that differ have no average")
        return tensors[0]
    found = torch.zeros_like(tensors[0], dtype=torch.float32)
    total = 0.0
    for tensor, part in zip(tensors, parts, strict=True):
        total += part
        if part:
            found += (tensor.float() - found) * (part / total)
    return found


def average(
    sources: Sequence[Source],
    parts: Sequence[float],
    out: Path,
    progress: Callable[[int, int], None],
) -> list[float]:
    """Writes the average of models; returns how far each lies from it, relative to its length.

    Raises:
        MethodError: Where they do not fit together, or a mean is no finite number.
    """
    import torch
    from safetensors.torch import save_file

    apart, size = [0.0] * len(sources), 0.0
    done = 0
    with ExitStack() as stack:
        weights = Weights(sources, stack)
        for path in sources[0].shards:
            made = {}
            for name in _names(path):
                tensors = weights.of(name)
                try:
                    found = mean(tensors, parts)
                except ValueError as error:
                    raise MethodError(f"{name}: {error}", why="it is no weight") from None
                if not bool(torch.isfinite(found).all()):
                    raise MethodError(
                        f"the average of {name} is not finite",
                        why="one of the models is broken",
                        mend="make the model again whose loss ran away",
                    )
                made[name] = found.to(tensors[0].dtype)
                size += float(found.double().square().sum())
                for place, tensor in enumerate(tensors):
                    apart[place] += float((tensor.double() - found.double()).square().sum())
                done += 1
            save_file(made, out / path.name, metadata={"format": "pt"})
            progress(done, len(weights))
    return [(one / size) ** 0.5 if size else 0.0 for one in apart]


def _names(path: Path) -> Iterator[str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        yield from sorted(opened.keys())


def run(context: Context) -> None:
    """Averages all models given."""
    params = context.typed(Params)
    prepare(context)
    sources = [Source(given) for given in context.inputs("models")]
    parts = shares(params.weights, [source.label for source in sources])
    require_alike(sources)
    distances = average(sources, parts, context.out, context.progress)
    for name in _BESIDE:
        path = sources[0].given.files / name
        if path.is_file():
            shutil.copyfile(path, context.out / name)
    rows = [
        {"model": source.label, "weight": part, "distance": distance}
        for source, part, distance in zip(sources, parts, distances, strict=True)
    ]
    write_rows(context.out / "averaged.parquet", rows)
    headline = {"models": len(rows), "farthest from the average": max(distances)}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="average",
    kind="model",
    description="The weights of several models that came from one base, averaged.",
    params=Params,
    run=run,
    inputs={"models": Role("model", "the models to average", many=True)},
    libraries=(*LIBRARIES, "polars"),
)
