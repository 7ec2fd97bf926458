"""A method's context without a registry around it, and a tiny model that is built once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

import pytest

from assets.sources import questionnaire, random_model
from registry.context import Context, Input, ProfileView
from registry.typed import Frozen

ROOT = Path(__file__).resolve().parents[2]


class Build(Protocol):
    """Makes the context of one attempt, with folders of its own."""

    def __call__(
        self,
        params: Frozen,
        *,
        inputs: Mapping[str, Path | Sequence[Input]] = {},
        profiles: Sequence[ProfileView] = (),
        root: Path = ROOT,
        seed: int = 0,
        events: IO[str] | None = None,
    ) -> Context: ...


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    numbers = itertools.count()

    def make(
        params: Frozen,
        *,
        inputs: Mapping[str, Path | Sequence[Input]] = {},
        profiles: Sequence[ProfileView] = (),
        root: Path = ROOT,
        seed: int = 0,
        events: IO[str] | None = None,
    ) -> Context:
        folder = tmp_path_factory.mktemp(f"node-{next(numbers)}")
        out, work = folder / "files", folder / "work"
        out.mkdir()
        work.mkdir()
        roles = {
            role: (Input(role, None, given),) if isinstance(given, Path) else tuple(given)
            for role, given in inputs.items()
        }
        return Context(
            node="node",
            community=None,
            params=params,
            seed=seed,
            device="cpu",
            threads=1,
            out=out,
            work=work,
            root=root,
            roles=roles,
            profiles=tuple(profiles),
            events=events,
        )

    return make


@pytest.fixture(scope="session")
def small_model(build: Build) -> Path:
    """The files of a random model of two layers, 32 wide, in float32."""
    context = build(random_model.Params(hidden_size=32, layers=2))
    random_model.run(context)
    return context.out


@pytest.fixture(scope="session")
def lively_model(small_model: Path, build: Build) -> Path:
    """The same with larger weights: small ones make nearly every answer equally likely."""
    import torch

    from assets.compute import load_model, save_model

    model, tokenizer = load_model(small_model, torch.device("cpu"), "float32")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.mul_(50 if "embed" in name else 20)
    folder = build(random_model.Params()).out
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def civic(build: Build) -> Path:
    """The files of the shipped questionnaire, as it is declared."""
    params = questionnaire.Params(
        instrument="registry/instruments/civic-2020.yaml", held_out_share=0.2
    )
    context = build(params)
    questionnaire.run(context)
    return context.out
