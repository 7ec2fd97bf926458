"""Each trainer takes the steps that it always took: short trajectories on a tiny random model.

They are in float32, where machines agree to many digits. Whoever changes one on purpose says so in
the changelog: weights that were made before are then no longer what the code makes.
"""

from __future__ import annotations

from pathlib import Path

import polars
import pytest
from accelerate.state import AcceleratorState

from assets.alignment import grpo, opinion_grpo, opinion_sft, rlp, sft
from assets.rows import ROWS, row_id, row_schema, write_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    "ignore:`gradient_checkpointing_(en|dis)able` is deprecated:FutureWarning",
)
EXACT = {"arithmetic": "float32", "weights_dtype": "float32", "adapter_rank": 4}
WHOLE = EXACT | {"adapter_rank": 0}
WORDS = ("red", "green", "blue", "black", "white", "brown")
STEPS = 5


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    rows = [
        {
            "row_id": row_id("test", word), "parents": [], "prompt": f"Word {i} of all of them?",
            "completion": f"It is {word}.", "source": "test", "community": None,
        }
        for i, word in enumerate(WORDS)
    ]  # fmt: skip
    write_rows(folder / ROWS, rows, row_schema())
    return folder


def test_sft(build, lively_model, colours):
    params = sft.Params(**EXACT, steps=STEPS, batch_size=4, longest=96, learning_rate=1e-2)
    made = build(params, inputs={"base": lively_model, "data": colours})
    sft.run(made)
    follows(made.out, loss=[15.2006, 12.0539, 9.7973, 7.8027, 6.9317])


def test_grpo(build, small_model, colours):
    """From a model that has learned to end its answers, so that their lengths differ."""
    learned = sft.Params(**WHOLE, steps=40, batch_size=6, longest=96, learning_rate=1e-2)
    base = build(learned, inputs={"base": small_model, "data": colours})
    sft.run(base)
    AcceleratorState._reset_state()
    params = grpo.Params(
        **EXACT, steps=STEPS, prompts=2, group_size=4, learning_rate=1e-2,
        sampling={"max_new_tokens": 8},
        rewards=[{"kind": "length", "free": 1, "most": 8}, {"kind": "diversity"}],
    )  # fmt: skip
    made = build(params, inputs={"base": base.out, "tasks": colours})
    grpo.run(made)
    follows(made.out, reward=[-0.9107, -0.625, -0.3036, 0.3214, 0.3631])


def test_rlp(build, lively_model, colours):
    params = rlp.Params(
        **EXACT, steps=STEPS, prefixes=3, thoughts=3, thought_tokens=6, least_context=4,
        learning_rate=1e-2,
    )  # fmt: skip
    made = build(params, inputs={"base": lively_model, "data": colours})
    rlp.run(made)
    follows(made.out, reward=[-4.8347, -7.3525, -4.109, -4.3781, 2.6044])


def test_opinion_sft(build, lively_model, data):
    params = opinion_sft.Params(steps=STEPS, batch_size=2, trained_layers=1)
    made = build(params, inputs={"base": lively_model, "data": list(data.values())})
    opinion_sft.run(made)
    follows(made.out, within=2e-2, loss=[13.3855, 17.4818, 11.9227, 18.0197, 11.3345])


def test_opinion_grpo(build, lively_model, data):
    """From a model that has learned to answer with letters."""
    learned = opinion_sft.Params(steps=40, batch_size=2, trained_layers=1)
    base = build(learned, inputs={"base": lively_model, "data": list(data.values())})
    opinion_sft.run(base)
    params = opinion_grpo.Params(steps=STEPS, batch_size=2, group_size=16, trained_layers=1)
    made = build(params, inputs={"base": base.out, "data": list(data.values())})
    opinion_grpo.run(made)
    follows(made.out, within=5e-2, match=[-1.7152, -2.0037, -0.622, -2.2057, -1.7359])


def follows(files: Path, within: float = 1e-3, **curves: list[float]) -> None:
    """Compares curves step by step."""
    made = polars.read_parquet(files / "curves.parquet")
    for name, expected in curves.items():
        found = made[name].to_list()
        assert found == pytest.approx(expected, abs=within), (
            f"{name}: {[round(v, 4) for v in found]}"
        )
