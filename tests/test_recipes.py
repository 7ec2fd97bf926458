"""The shipped recipes: their order, their sizes, and both of them from end to end at tiny size."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.graph import Graph, build_graph
from registry.override import overrides_of
from registry.project import Declared, load_project
from tests.conftest import ROOT, Folder, _environment

R1, LLAMA3 = "deepseek-r1-small", "llama3-post-training"
COOP = "example-tidewater-coop"
SHARED = (
    "community-examples", "community-preferences", "easy-tasks-held-out", "held-out-examples",
    "held-out-preferences", "open-prompts",
)  # fmt: skip
"""What the recipes are made from, and share with everything else."""
SHIPPED = [(recipe, name) for recipe, names in overrides_of(ROOT).items() for name in names]


def declared(overrides: dict[str, str] | None = None) -> dict[str, Declared]:
    return dict(load_project(ROOT, overrides or {}).declarations)


def inputs(one: Declared) -> list[str]:
    given = one.declaration.inputs.values()
    return [n for names in given for n in ([names] if isinstance(names, str) else names)]


def starts_from(known: dict[str, Declared], name: str) -> list[str]:
    """The models whose weights a model has: its base, that one's base, and so on."""
    found = []
    while "base" in known[name].declaration.inputs:
        name = str(known[name].declaration.inputs["base"])
        found.append(name)
    return found


def above(known: dict[str, Declared], name: str) -> set[str]:
    """Everything that a declaration is made from."""
    return {name}.union(*(above(known, one) for one in inputs(known[name])))


class TestOrder:
    def test_the_stages_of_r1_are_its_papers(self):
        known = declared()
        methods = {name: one.method.name for name, one in known.items() if one.recipe == R1}
        chain = ("r1-cold-start", "r1-reasoner", "r1-traces", "r1-restart", "r1-final")
        assert [methods[name] for name in chain] == [
            "sft", "community-grpo", "community-rejection-sampling", "sft", "community-grpo",
        ]  # fmt: skip
        for before, after in itertools.pairwise(chain):
            assert before in inputs(known[after])

    def test_stage_three_starts_from_the_base_and_learns_what_stage_two_wrote(self):
        known = declared()
        assert starts_from(known, "r1-restart") == ["r1-base"]
        assert starts_from(known, "r1-reasoner") == ["r1-cold-start", "r1-base"]
        assert starts_from(known, "r1-final") == ["r1-restart", "r1-base"]
        reinforced = {n for n, one in known.items() if one.method.name.endswith("grpo")}
        assert not reinforced & set(starts_from(known, "r1-restart"))
        assert "r1-reasoner" in above(known, "r1-restart")

    def test_stage_two_pays_for_what_the_paper_does_in_the_profiles_languages(self):
        rewards: Any = declared()["r1-reasoner"].params
        assert [term.kind for term in rewards.rewards] == ["accuracy", "format", "language"]
        assert rewards.rewards[2].languages == ()
        final: Any = declared()["r1-final"].params
        paid = {term.kind: term.on for term in final.rewards}
        assert paid["preference"] == "prompts"

    def test_each_round_has_every_step_and_starts_from_the_average_before(self):
        known = declared()
        steps = {
            "llama3-reward-{}": "reward-model",
            "llama3-samples-{}": "community-rejection-sampling",
            "llama3-sft-{}": "sft",
            "llama3-dpo-{}": "dpo",
            "llama3-averaged-{}": "average",
        }
        for number in (1, 2):
            names = [step.format(number) for step in steps]
            assert [known[name].method.name for name in names] == list(steps.values())
            reward, samples, sft, dpo, averaged = names
            assert known[samples].declaration.inputs["reward"] == reward
            assert samples in inputs(known[sft])
            assert known[dpo].declaration.inputs["base"] == sft
            assert dpo in inputs(known[averaged])
        assert known["llama3-sft-1"].declaration.inputs["base"] == "llama3-base"
        assert known["llama3-sft-2"].declaration.inputs["base"] == "llama3-averaged-1"
        assert known["llama3-samples-2"].declaration.inputs["model"] == "llama3-averaged-1"

    def test_reward_models_learn_from_all_pairs_so_far_and_dpo_from_the_latest(self):
        known = declared()
        first, second = "community-examples", "llama3-pairs-2"
        pairs = {n: known[n].declaration.inputs["data"] for n in known if n.startswith("llama3-")
                 and known[n].method.name in ("dpo", "reward-model")}  # fmt: skip
        assert pairs == {
            "llama3-reward-1": first, "llama3-reward-2": (first, second),
            "llama3-dpo-1": first, "llama3-dpo-1-cautious": first,
            "llama3-dpo-2": second, "llama3-dpo-2-cautious": second,
        }  # fmt: skip

    def test_no_stage_learns_from_what_it_is_measured_on(self):
        known = declared()
        assert not {"easy-tasks-held-out"} & above(known, "r1-final")
        assert not {"held-out-preferences", "held-out-examples"} & above(known, "llama3-averaged-2")

    def test_what_is_shared_is_made_once(self):
        known = declared()
        shared = {n for n in known if known[n].recipe and not known[n].declaration.each}
        assert shared == {
            "r1-base", "r1-base-accuracy", "r1-cold-rows", "r1-cold-start", "r1-cold-tasks",
            "r1-tasks", "llama3-base",
        }  # fmt: skip

    def test_the_demo_makes_none_of_it(self):
        from registry.cli.demo import MAIN_JOB

        graph: Graph = build_graph(load_project(ROOT, {}))
        job = graph.upstream([graph.node(name) for name in MAIN_JOB])
        assert not [node.id for node in job if node.declared.recipe]


FAMILIES: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256,
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "hidden_act": "silu",
        "rope_theta": 500000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    },
    "qwen2.5-1.5b": {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936,
        "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-06, "hidden_act": "silu",
        "rope_theta": 1000000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    },
}  # fmt: skip
"""The configurations that these models are published with."""
WEIGHTS = {"llama-3.2-1b": 1_235_814_400, "qwen2.5-1.5b": 1_543_714_304}
"""The numbers of weights that their cards say."""


class TestSizes:
    def test_both_recipes_come_in_every_size(self):
        names = sorted((*FAMILIES, "tiny"))
        assert overrides_of(ROOT) == {R1: names, LLAMA3: names}

    @pytest.mark.parametrize(("recipe", "name"), SHIPPED)
    def test_every_shipped_override_fits_its_recipe(self, recipe: str, name: str):
        project = load_project(ROOT, {recipe: name})
        build_graph(project)
        changed = [d for d in project.declarations.values() if d.overridden]
        assert changed
        assert {d.recipe for d in changed} == {recipe}

    @pytest.mark.parametrize("recipe", [R1, LLAMA3])
    @pytest.mark.parametrize("name", FAMILIES)
    def test_one_file_gives_the_model_and_its_sizes_to_every_training(self, recipe, name):
        known = declared({recipe: name})
        trained = [
            one for one in known.values()
            if one.recipe == recipe and "steps" in type(one.params).model_fields
        ]  # fmt: skip
        assert trained
        for one in trained:
            assert one.overridden is not None, one.name
            params: Any = one.params
            assert params.adapter_rank == 0, one.name
            assert params.gradient_checkpointing, one.name
            assert one.declaration.resources.gpus == 1
        sampled = [one for one in known.values() if hasattr(one.params, "samples")]
        longest = max(one.params.sampling.max_new_tokens for one in sampled if one.recipe == recipe)
        assert longest < FAMILIES[name]["max_position_embeddings"]

    @pytest.mark.parametrize("recipe", [R1, LLAMA3])
    @pytest.mark.parametrize("name", FAMILIES)
    def test_the_base_is_a_snapshot_in_a_folder_whose_configuration_loads(
        self, recipe: str, name: str, tmp_path: Path
    ):
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        prefix = "r1" if recipe == R1 else "llama3"
        base = declared({recipe: name})[f"{prefix}-base"]
        params: Any = base.params
        assert base.method.name == "local-model"
        assert params.packaged is None
        assert base.method.source_paths(params) == (f"models/{name}",)
        folder = tmp_path / params.folder
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(FAMILIES[name]))
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        assert model.num_parameters() == WEIGHTS[name]
        assert {p.device.type for p in model.parameters()} == {"meta"}

    @pytest.mark.parametrize("name", FAMILIES)
    def test_a_snapshot_that_is_not_there_is_named_with_the_overrides_line(self, small, name):
        small.chorus("recipe", "use", R1, name)
        said = small.chorus("make", "r1-base", expect=None).err
        assert f"the source 'models/{name}' is missing" in said
        assert f"registry/overrides/{R1}/{name}.yaml" in said


@pytest.fixture(scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project of its own with both recipes for a made-up community, and nothing else."""
    parent = Folder(tmp_path_factory.mktemp("recipes"), _environment())
    root = parent.root / "project"
    parent.chorus("init", "project", "--size", "tiny", "--communities", f"age-22-34,{COOP}",
                  expect=None)  # fmt: skip
    for kind in ("datasets", "models", "evaluations"):
        for path in (root / "registry" / kind).rglob("*.yaml"):
            if "recipes" not in path.parts and path.stem not in SHARED:
                path.unlink()
                continue
            fanned = f"each: community\ncommunities: [{COOP}]\n"
            path.write_text(path.read_text().replace("each: community\n", fanned))
    folder = Folder(root, parent.env)
    folder.chorus("sync")
    return folder


@pytest.fixture
def small(_small: Folder, tmp_path: Path) -> Folder:
    return _small.copied(tmp_path)


def test_a_tiny_project_runs_the_recipes_at_tiny_size(small: Folder):
    found = small.chorus("recipe", "list", "--json").json["recipes"]
    assert {one["recipe"]: one["override"] for one in found} == dict.fromkeys((R1, LLAMA3), "tiny")
    assert small.chorus("show", "r1-base", "--json").json["method"] == "random-model"


def manifests(folder: Folder) -> Iterator[dict[str, Any]]:
    for path in sorted((folder.root / "data").rglob("manifest.json")):
        yield json.loads(path.read_bytes())


def of(folder: Folder, name: str) -> dict[str, Any]:
    return next(one for one in manifests(folder) if one["node"].partition("@")[0] == name)


def given(manifest: dict[str, Any], role: str) -> list[str]:
    return [one["node"].partition("@")[0] for one in manifest["inputs"] if one["role"] == role]


@pytest.fixture(scope="module")
def made(_small: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Both recipes, made whole; the first one is killed in its second stage and goes on."""
    folder = _small.copied(tmp_path_factory.mktemp("made"))
    killed_in(folder, "r1-reasoner")
    for goals in (("r1-accuracy", "r1-base-accuracy"), ("llama3-averaged-2",)):
        folder.run(*folder.command("make", *goals, "--upstream"), timeout=1500)
    return folder


@pytest.mark.slow
class TestRun:
    def test_every_stage_is_made_and_current(self, made: Folder):
        project = load_project(made.root)
        recipes = {d.name for d in project.declarations.values() if d.recipe}
        states = {n.partition("@")[0]: state for n, state in made.states().items()}
        assert {n for n in recipes if states[n] != "current"} == {"llama3-reward-accuracy"}

    def test_the_lineage_of_both_ends_is_verified(self, made: Folder):
        for name in ("r1-final", "llama3-averaged-2"):
            done = made.chorus("lineage", "verify", f"{name}@{COOP}")
            assert done.out.startswith("verified")

    def test_the_record_of_stage_three_says_that_it_began_with_the_base(self, made: Folder):
        restart, base, reasoner = (of(made, f"r1-{n}") for n in ("restart", "base", "reasoner"))
        (start,) = (one for one in restart["inputs"] if one["role"] == "base")
        assert start["node"] == "r1-base"
        assert start["content"] == base["content"]
        assert reasoner["content"] not in {one["content"] for one in restart["inputs"]}
        assert sorted(given(restart, "data")) == ["community-examples", "r1-traces"]
        assert given(of(made, "r1-traces"), "model") == ["r1-reasoner"]

    def test_only_right_answers_with_a_thought_were_kept(self, made: Folder):
        import polars

        rows = polars.read_parquet(made.root / f"data/r1-traces/{COOP}/files/rows.parquet")
        assert len(rows)
        assert set(rows["score"]) == {1.0}
        assert rows["completion"].str.starts_with("<think>").all()

    def test_round_two_went_on_from_round_one(self, made: Folder):
        averaged = of(made, "llama3-averaged-1")
        for name, role in (("llama3-sft-2", "base"), ("llama3-samples-2", "model")):
            (start,) = (one for one in of(made, name)["inputs"] if one["role"] == role)
            assert start["node"] == f"llama3-averaged-1@{COOP}"
            assert start["content"] == averaged["content"]
        assert sorted(given(of(made, "llama3-reward-2"), "data")) == [
            "community-examples", "llama3-pairs-2",
        ]  # fmt: skip

    def test_the_killed_stage_went_on(self, made: Folder):
        runs = made.chorus("runs", f"r1-reasoner@{COOP}", "--json").json["runs"]
        assert len(runs) > 1
        assert [run["outcome"] for run in runs].count("made") == 1

    def test_nothing_is_made_again(self, made: Folder):
        before = made.snapshot()
        made.chorus("make", "r1-accuracy", "llama3-averaged-2", "--upstream")
        assert made.snapshot() == before

    def test_another_size_makes_all_of_one_recipe_stale_and_none_of_the_other(self, made: Folder):
        made.chorus("recipe", "use", R1, "llama-3.2-1b")
        try:
            states = {n.partition("@")[0]: state for n, state in made.states().items()}
            assert states["r1-cold-start"] == states["r1-final"] == "stale"
            assert states["llama3-averaged-2"] == "current"
            reasons = made.reasons(f"r1-restart@{COOP}")
            assert any("the override deepseek-r1-small/llama-3.2-1b" in why for why in reasons)
        finally:
            made.chorus("recipe", "use", R1, "tiny")
        assert set(made.states().values()) <= {"current", "missing"}


def killed_in(folder: Folder, name: str) -> None:
    """Starts a recipe, and kills it once a stage has a checkpoint to go on from."""
    process = folder.start("make", f"{name}@{COOP}", "--upstream")
    deadline = time.monotonic() + 600
    while not list((folder.root / "data" / name).rglob("checkpoint-*/whole")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.communicate()
