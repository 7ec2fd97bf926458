"""The main job on the embedded model, as `make demo` runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import Folder, _environment, main_job

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    parent = Folder(tmp_path_factory.mktemp("demo"), _environment())
    done = parent.run(*parent.command("demo", "project"), timeout=3000)
    assert "verified: every byte" in done.out
    return Folder(parent.root / "project", parent.env)


def test_each_model_is_nearer_to_its_own_people_than_uniform_and_pooled(demo: Folder) -> None:
    summary = json.loads((demo.root / "data/pluralism/files/summary.json").read_text())
    asked, reworded = (summary["cross_matrix"][p] for p in ("asked", "unseen wording"))
    for community, other in (("age-22-34", "age-65-plus"), ("age-65-plus", "age-22-34")):
        own = asked[f"community-sft@{community}"][community]
        assert own < asked["pooled-sft"][community] < asked["uniform"][community]
        assert own < asked[f"community-sft@{other}"][community]
        assert reworded[f"community-sft@{community}"][community] < reworded["uniform"][community]
    compared = [c for c in summary["own_minus_rivals"] if c["slice"] == "asked"]
    pooled = [c for c in compared if c["other"] == "pooled-sft"]
    assert len(pooled) == 4
    assert all(c["high"] < 0 for c in pooled)


def test_reinforcement_brings_each_model_nearer_and_keeps_it_ahead_of_the_pooled_one(
    demo: Folder,
) -> None:
    summary = json.loads((demo.root / "data/pluralism/files/summary.json").read_text())
    compared = [c for c in summary["own_minus_rivals"] if c["slice"] == "asked"]
    for community in ("age-22-34", "age-65-plus"):
        own = f"community-rl@{community}"
        rivals = (f"community-sft@{community}", "pooled-rl")
        found = [c for c in compared if c["own"] == own and c["other"] in rivals]
        assert len(found) == 2
        assert all(c["high"] < 0 for c in found)


def test_a_release_is_made_verified_and_loads(demo: Folder) -> None:
    (release,) = demo.chorus("releases", "--json").json["releases"]
    assert release["release"] == "community-rl/age-22-34@v1.0.0"
    assert demo.chorus("lineage", "verify", release["release"]).out.startswith("verified")
    own = ("releases/community-rl/age-22-34/1.0.0", "--key", "registry/keys/demo.pem")
    assert demo.chorus("release", "verify", *own).out.startswith("verified")
    assert demo.run("git", "ls-files", ".chorus").out == ""
    script = (
        "import sys, torch\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "ids = tokenizer('Answer with one letter.', return_tensors='pt')\n"
        "assert torch.isfinite(model(**ids).logits).all()\n"
    )
    folder = demo.root / "releases/community-rl/age-22-34/1.0.0"
    demo.run(sys.executable, "-c", script, str(folder), HF_HUB_OFFLINE="1")


def test_everything_is_current_for_chorus_and_for_dvc(demo: Folder) -> None:
    job, states = main_job(demo), demo.states()
    assert {states[node] for node in job} == {"current"}
    assert "Data and pipelines are up to date" in demo.dvc("status", *job.values()).out
    assert demo.run("git", "status", "--porcelain").out == ""


def test_a_model_loads_by_itself_and_prefers_sensible_options(demo: Folder) -> None:
    answered = demo.chorus(
        "ask",
        "community-sft@age-65-plus",
        "How important a part of being a good American is doing jury duty?",
        "--options",
        "Very important",
        "Somewhat important",
        "Not so important",
        "Not at all important",
        "--json",
    ).json
    assert answered["outside"] < 0.2
    assert answered["options"]["Very important"] > answered["options"]["Not at all important"]


def test_weights_are_safetensors_only(demo: Folder) -> None:
    files = [p for p in (demo.root / "data").rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in (".bin", ".pt", ".pkl")]
    assert Path(demo.root / "data/pooled-sft/files/model.safetensors").exists()
