"""What vLLM is asked for GRPO's answers, how they are read, and where it is refused.

No engine runs here: it needs a GPU. These tests hold what is ours: a seed an answer, the declared
sampling, and which tokens and log-probabilities are taken from what comes back.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from assets.alignment.grpo_course import Course, GrpoTraining, settings
from assets.alignment.grpo_vllm import require_writer, write_by_vllm
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError

END = 7


class Engine:
    """Keeps what it is asked, and answers each prompt with its own last token and an end."""

    def __init__(self, *, cut: bool = False) -> None:
        self.cut = cut
        self.prompts: list[dict[str, list[int]]] = []
        self.asked: list[Any] = []

    def generate(
        self, prompts: list[dict[str, list[int]]], *, sampling_params: list[Any], use_tqdm: bool
    ) -> list[Any]:
        """One output a prompt, as vLLM gives them."""
        assert not use_tqdm
        self.prompts, self.asked = prompts, sampling_params
        return [self._output(one["prompt_token_ids"][-1]) for one in prompts]

    def _output(self, token: int) -> Any:
        tokens = [token] if self.cut else [token, END]
        likely = {99: SimpleNamespace(logprob=-0.1)}
        chances = [likely | {t: SimpleNamespace(logprob=-float(t))} for t in tokens]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=tokens, logprobs=chances)])


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of vLLM's name whose sampling parameters are what was given."""
    module = ModuleType("vllm")
    module.SamplingParams = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)


@pytest.mark.usefixtures("vllm")
def test_each_answer_has_its_own_seed_and_the_declared_sampling() -> None:
    engine = Engine()
    sampling = Sampling(temperature=0.7, top_k=5, top_p=0.9, min_p=0.01, max_new_tokens=12)
    write_by_vllm(engine, [(1, 2), (1, 2), (3,)], [11, 12, 13], sampling, frozenset({END}))
    assert [one["prompt_token_ids"] for one in engine.prompts] == [[1, 2], [1, 2], [3]]
    assert [one.seed for one in engine.asked] == [11, 12, 13]
    first = engine.asked[0]
    assert (first.temperature, first.top_k, first.top_p, first.min_p) == (0.7, 5, 0.9, 0.01)
    assert (first.n, first.max_tokens, first.stop_token_ids) == (1, 12, [END])


@pytest.mark.usefixtures("vllm")
def test_answers_keep_the_tokens_and_what_the_engine_gave_each_of_them() -> None:
    found = write_by_vllm(Engine(), [(1,), (2,)], [1, 2], Sampling(), frozenset({END}))
    assert [one.tokens for one in found] == [[1, END], [2, END]]
    assert [one.logprobs for one in found] == [[-1.0, -7.0], [-2.0, -7.0]]
    assert all(one.ended for one in found)


@pytest.mark.usefixtures("vllm")
def test_an_answer_that_was_cut_has_not_ended() -> None:
    (one,) = write_by_vllm(Engine(cut=True), [(1,)], [1], Sampling(), frozenset({END}))
    assert not one.ended


def test_vllm_is_refused_where_it_is_not_installed() -> None:
    if importlib.util.find_spec("vllm"):
        pytest.skip("vLLM is installed here")
    with pytest.raises(MethodError, match="not installed") as raised:
        require_writer("vllm", "cuda", "community-grpo@a")
    assert "community-grpo@a" in str(raised.value)
    assert "leave `writer` out" in str(raised.value)


def test_vllm_is_refused_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(MethodError, match="runs on cpu"):
        require_writer("vllm", "cpu", "node")
    require_writer("vllm", "cuda", "node")


def test_transformers_writes_anywhere() -> None:
    require_writer("transformers", "cpu", "node")


@pytest.mark.parametrize("writer", ["transformers", "vllm"])
def test_trl_is_told_who_writes(
    tmp_path: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr("trl.GRPOConfig", lambda **given: told.update(given))
    params = GrpoTraining(writer=writer, writer_memory=0.4, writer_cap=2.0)
    settings(Course([], [], params, 1, "cpu", tmp_path))
    assert told["use_vllm"] is (writer == "vllm")
    assert told["vllm_mode"] == "colocate"
    assert told["vllm_gpu_memory_utilization"] == 0.4
    assert told["vllm_importance_sampling_clip_max"] == 2.0
