"""Declarations and communities become nodes: fan-out, gathering, and what is refused."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.errors import ProblemsError, UsageError
from registry.graph import Edge, Graph, build_graph
from registry.project import load_project

ROOT = Path(__file__).parents[2]
AGES = ("age-22-34", "age-35-49", "age-50-64", "age-65-plus")


class Folder:
    """A project of the real methods and the shipped profiles, in which tests declare things."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "value_profiles", root / "value_profiles")
        (root / "registry").mkdir()

    def declare(self, name: str, method: str, **given: Any) -> None:
        folder = FOLDER[method]
        declaration = {
            "name": name,
            "description": "Declared for these tests.",
            "method": method,
            "inputs": {},
            "params": PARAMS.get(method, {}),
            "contract": [],
            "licence": "CC-BY-4.0",
            **given,
        }
        path = self.root / "registry" / folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(declaration, sort_keys=False))

    def happen(self, community: str, event: str) -> None:
        path = self.root / "value_profiles" / community / "events" / f"0002-{event}.yaml"
        path.write_text(
            f'event: {event}\nrevision: 1\n"on": "2026-11-24"\nby: [someone]\n'
            "reason: It happened in these tests.\n"
        )

    def graph(self) -> Graph:
        return build_graph(load_project(self.root))

    def wrong(self) -> list[str]:
        """The first line and the mend of every problem of the graph."""
        project = load_project(self.root)
        with pytest.raises(ProblemsError) as caught:
            build_graph(project)
        return [f"{p.place}: {p.what} -> {p.mend}" for p in caught.value.problems]


FOLDER = {
    "questionnaire": "datasets",
    "opinion-items": "datasets",
    "reasoning-tasks": "datasets",
    "rejection-sampling": "datasets",
    "random-model": "models",
    "average": "models",
    "dpo": "models",
    "grpo": "models",
    "opinion-sft": "models",
    "reward-model": "models",
    "sft": "models",
    "reward-accuracy": "evaluations",
    "option-probabilities": "evaluations",
    "pluralism": "evaluations",
}
PARAMS = {"questionnaire": {"instrument": "registry/instruments/civic-2020.yaml"}}


@pytest.fixture
def bare(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def folder(bare):
    """Questionnaire and base model, and for each community its items, model and evaluation."""
    bare.declare("questionnaire", "questionnaire")
    bare.declare("base", "random-model")
    items = {"questionnaire": "questionnaire"}
    bare.declare("items", "opinion-items", each="community", inputs=items)
    own = {"base": "base", "data": "items"}
    bare.declare("own", "opinion-sft", each="community", inputs=own)
    scored = {"model": "own", "questionnaire": "questionnaire"}
    bare.declare("scores", "option-probabilities", each="community", inputs=scored)
    return bare


def inputs(graph: Graph, node: str) -> list[str]:
    return [f"{edge.role}: {edge.node}" for edge in graph.node(node).edges]


class TestShippedProject:
    def test_has_a_node_for_each_community_and_one_for_all(self):
        graph = build_graph(load_project(ROOT))
        for node in ("community-rl", "community-sft", "opinion-items"):
            assert {f"{node}@{community}" for community in AGES} <= set(graph.nodes)
        assert {"pluralism", "pooled-sft", "questionnaire", "smollm2-135m"} <= set(graph.nodes)
        for node in graph.nodes.values():
            assert (node.declaration.each is not None) == (node.community is not None)

    def test_leaves_the_made_up_community_out(self):
        graph = build_graph(load_project(ROOT))
        assert {node.community for node in graph.nodes.values()} == {None, *AGES}

    def test_trains_each_community_on_its_own_rows_and_the_pooled_model_on_all(self):
        graph = build_graph(load_project(ROOT))
        assert inputs(graph, "community-sft@age-50-64") == [
            "base: smollm2-135m",
            "data: opinion-items@age-50-64",
        ]
        assert inputs(graph, "pooled-sft") == [
            "base: smollm2-135m",
            *(f"data: opinion-items@{community}" for community in AGES),
        ]


class TestFanOut:
    def test_makes_one_node_for_each_community(self, folder):
        graph = folder.graph()
        assert [n.id for n in graph.nodes.values() if n.name == "own"] == [f"own@{a}" for a in AGES]
        assert graph.node("own@age-22-34").path == "data/own/age-22-34"
        assert graph.node("base").path == "data/base"

    def test_takes_the_same_communitys_node_or_else_the_single_one(self, folder):
        graph = folder.graph()
        for age in AGES:
            assert graph.node(f"own@{age}").edges == (Edge("base", "base"),
                                                      Edge("data", f"items@{age}"))  # fmt: skip

    def test_reads_its_own_profile_only(self, folder):
        graph = folder.graph()
        assert graph.node("items@age-35-49").reads == ("age-35-49",)
        assert graph.node("own@age-35-49").reads == ()
        assert graph.node("questionnaire").reads == ()

    def test_takes_a_community_that_is_named_instead_of_its_own(self, folder):
        given = {"base": "base", "data": ["items", "items@age-65-plus"]}
        folder.declare("other", "opinion-sft", each="community", inputs=given,
                       communities=["age-22-34"])  # fmt: skip
        assert inputs(folder.graph(), "other@age-22-34") == [
            "base: base",
            "data: items@age-22-34",
            "data: items@age-65-plus",
        ]

    def test_narrows_to_the_communities_that_are_named(self, folder):
        chosen = ["age-65-plus", "age-22-34"]
        given = {"base": "base", "data": "items"}
        folder.declare("few", "opinion-sft", each="community", inputs=given, communities=chosen)
        few = [node.id for node in folder.graph().nodes.values() if node.name == "few"]
        assert few == ["few@age-22-34", "few@age-65-plus"]

    def test_refuses_an_input_that_is_narrower(self, folder):
        given = {"questionnaire": "questionnaire"}
        folder.declare("items", "opinion-items", each="community", inputs=given,
                       communities=["age-22-34", "age-35-49", "age-50-64"])  # fmt: skip
        assert folder.wrong() == [
            (
                "registry/models/own.yaml:6:3: 'items' has no node for age-65-plus -> "
                "widen its `communities`, or narrow this one"
            )
        ]


class TestGathering:
    def test_takes_every_community_sorted_by_id(self, folder):
        folder.declare("pooled", "opinion-sft", inputs={"base": "base", "data": "items"})
        graph = folder.graph()
        gathered = [f"data: items@{age}" for age in AGES]
        assert inputs(graph, "pooled") == ["base: base", *gathered]
        assert graph.node("pooled").community is None

    def test_keeps_the_order_of_a_list_and_sorts_inside_it(self, folder):
        answers = ["scores", "base-scores"]
        given = {"model": "base", "questionnaire": "questionnaire"}
        folder.declare("base-scores", "option-probabilities", inputs=given)
        given = {"answers": answers, "questionnaire": "questionnaire"}
        folder.declare("summary", "pluralism", inputs=given)
        graph = folder.graph()
        assert inputs(graph, "summary") == [
            *(f"answers: scores@{age}" for age in AGES),
            "answers: base-scores",
            "questionnaire: questionnaire",
        ]
        assert graph.node("summary").reads == AGES

    def test_narrows_to_the_communities_that_are_named(self, folder):
        given = {"base": "base", "data": "items"}
        folder.declare("two", "opinion-sft", inputs=given, communities=["age-65-plus", "age-35-49"])
        assert inputs(folder.graph(), "two")[1:] == ["data: items@age-35-49",
                                                     "data: items@age-65-plus"]  # fmt: skip

    def test_narrows_what_it_reads_too(self, folder):
        given = {"answers": "scores", "questionnaire": "questionnaire"}
        folder.declare("summary", "pluralism", inputs=given, communities=["age-50-64"])
        graph = folder.graph()
        assert graph.node("summary").reads == ("age-50-64",)
        assert set(graph.permissions(graph.node("summary"))) == {"age-50-64"}

    def test_picks_the_one_that_is_named(self, folder):
        given = {"model": "own@age-50-64", "questionnaire": "questionnaire"}
        folder.declare("one", "option-probabilities", inputs=given)
        assert inputs(folder.graph(), "one")[0] == "model: own@age-50-64"

    @pytest.mark.parametrize("communities", [AGES, AGES[:2]])
    def test_into_a_role_that_takes_one_is_refused(self, folder, communities):
        given = {"model": "own", "questionnaire": "questionnaire"}
        folder.declare("all-scores", "option-probabilities", inputs=given,
                       communities=list(communities))  # fmt: skip
        assert folder.wrong() == [
            (
                "registry/evaluations/all-scores.yaml:5:3: 'own' is one artifact a community, and "
                "'model' takes one -> write `own@age-22-34`, or add `each: community` to this "
                "declaration"
            )
        ]

    def test_of_nothing_is_refused(self, folder):
        folder.declare("none", "opinion-sft", inputs={"base": "base", "data": "items"},
                       communities=[])  # fmt: skip
        assert folder.wrong() == [
            (
                "registry/models/none.yaml:6:3: 'items' has no node for any community -> "
                "widen its `communities`, or narrow this one"
            )
        ]


class TestWaiting:
    """A project whose communities hold none of what some declarations take still works."""

    @pytest.fixture
    def without_opinions(self, folder):
        for age in AGES:
            shutil.rmtree(folder.root / "value_profiles" / age)
        folder.declare("pooled", "opinion-sft", inputs={"base": "base", "data": "items"})
        given = {"model": "pooled", "questionnaire": "questionnaire"}
        folder.declare("pooled-scores", "option-probabilities", inputs=given)
        return folder

    def test_what_nobody_holds_leaves_no_node_and_says_so(self, without_opinions):
        graph = without_opinions.graph()
        assert {"base", "questionnaire"} <= set(graph.nodes)
        assert not {"pooled", "pooled-scores"} & set(graph.nodes)
        assert set(graph.waiting) == {"items", "own", "scores", "pooled", "pooled-scores"}
        assert set(graph.waiting.values()) == {"a community with opinions.csv"}

    def test_asking_for_it_says_what_it_needs(self, without_opinions):
        with pytest.raises(UsageError, match="pooled has no node yet") as caught:
            without_opinions.graph().node("pooled")
        assert caught.value.why == "it needs a community with opinions.csv"

    def test_nothing_waits_where_communities_hold_it(self, folder):
        assert folder.graph().waiting == {}


def outputs(root: Path) -> list[str]:
    """The nodes or the problems of a project, as processes with different hash seeds see them."""
    code = (
        "from registry.graph import build_graph; "
        "from registry.project import load_project; "
        "from registry.errors import ProblemsError\n"
        "try: print(*build_graph(load_project()).nodes, end='')\n"
        "except ProblemsError as error: print(error)"
    )
    return [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]


def model(folder: Folder, **given: Any) -> None:
    folder.declare("wrong", "opinion-sft", **given)


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            (
                {"base": "bases", "data": "items"},
                "5:3: names the unknown input 'bases' -> did you mean 'base'?",
            ),
            (
                {"base": "base", "data": ["items", "zzzz"]},
                "8:5: names the unknown input 'zzzz' -> see `chorus list`",
            ),
            (
                {"base": "base", "data": "items@age-22-35"},
                "6:3: names the unknown community 'age-22-35' -> did you mean 'age-22-34'?",
            ),
            (
                {"base": "base", "data": "items@zzzz"},
                f"6:3: names the unknown community 'zzzz' -> communities here: {', '.join(AGES)}",
            ),
            (
                {"base": "base@age-22-34", "data": "items"},
                "5:3: 'base' does not fan out, so 'base@age-22-34' names nothing -> write 'base'",
            ),
            (
                {"base": "base@", "data": "items"},
                "5:3: names the unknown input 'base@' -> did you mean 'base'?",
            ),
            (
                {"base": "items@age-22-34", "data": "items"},
                "5:3: 'items@age-22-34' is a dataset; 'base' takes a model -> name a model",
            ),
            (
                {"base": "base", "data": "scores"},
                "6:3: 'scores' is an evaluation; 'data' takes a dataset -> name a dataset",
            ),
            (
                {"base": "base", "data": "items", "extra": "items"},
                "7:3: the method 'opinion-sft' takes no input 'extra' -> it takes: base, data",
            ),
            (
                {"base": "base"},
                (
                    "4:1: lacks the input 'data' of the method 'opinion-sft' -> add "
                    "`data: <name of a dataset>` (prompts with shares, of one or more communities)"
                ),
            ),
            (
                {"base": "base", "data": []},
                (
                    "4:1: lacks the input 'data' of the method 'opinion-sft' -> add "
                    "`data: <name of a dataset>` (prompts with shares, of one or more communities)"
                ),
            ),
            (
                {"base": ["base", "base"], "data": "items"},
                "5:3: names 2 inputs, and 'base' takes one -> keep one of them",
            ),
            (
                {"base": "base", "data": ["items", "items@age-22-34"]},
                "8:5: gives 'items@age-22-34' to 'data' twice -> name it once",
            ),
        ],
    )
    def test_of_inputs_name_their_place(self, folder, given, problem):
        model(folder, inputs=given)
        assert folder.wrong() == [f"registry/models/wrong.yaml:{problem}"]

    def test_of_communities_name_their_place(self, folder):
        communities = ["age-22-34", "age-22-35"]
        model(folder, inputs={"base": "base", "data": "items"}, communities=communities)
        assert folder.wrong() == [
            (
                "registry/models/wrong.yaml:12:3: names the unknown community 'age-22-35' -> "
                "did you mean 'age-22-34'?"
            )
        ]

    def test_come_all_at_once(self, folder):
        model(folder, inputs={"base": "bas", "daata": "items"})
        folder.declare("items", "opinion-items", each="community", inputs={})
        assert [line.partition(" ")[0] for line in folder.wrong()] == [
            "registry/datasets/items.yaml:4:1:",
            "registry/models/wrong.yaml:4:1:",
            "registry/models/wrong.yaml:5:3:",
            "registry/models/wrong.yaml:6:3:",
        ]

    def test_an_input_outside_what_the_other_is_narrowed_to(self, folder):
        given = {"questionnaire": "questionnaire"}
        folder.declare("few", "opinion-items", each="community", inputs=given,
                       communities=["age-22-34"])  # fmt: skip
        model(folder, inputs={"base": "base", "data": "few@age-65-plus"})
        assert folder.wrong() == [
            (
                "registry/models/wrong.yaml:6:3: 'few' has no node for 'age-65-plus' -> "
                "communities here: age-22-34"
            )
        ]


class TestForms:
    """A chain in the wrong order is refused before its first stage is made."""

    @pytest.fixture
    def chain(self, bare):
        bare.declare("base", "random-model")
        bare.declare("rows", "reasoning-tasks", params={"generators": [{"name": "gcd"}]})
        bare.declare("scorer", "reward-model", inputs={"base": "base", "data": "rows"})
        return bare

    REWARDS = ({"kind": "preference"},)

    @pytest.mark.parametrize(
        ("method", "inputs", "line", "role", "gives", "takes"),
        [
            ("sft", {"base": "scorer", "data": "rows"}, 5, "base", "reward", "language"),
            ("dpo", {"base": "scorer", "data": "rows"}, 5, "base", "reward", "language"),
            (
                "grpo", {"base": "base", "tasks": "rows", "reward": "base"},
                7, "reward", "language", "reward",
            ),
            (
                "rejection-sampling", {"prompts": "rows", "model": "scorer"},
                6, "model", "reward", "language",
            ),
            (
                "reward-accuracy", {"model": "base", "pairs": "rows"},
                5, "model", "language", "reward",
            ),
        ],
    )  # fmt: skip
    def test_that_do_not_fit_name_node_cause_and_mend(
        self, chain, method, inputs, line, role, gives, takes
    ):
        params = {"rewards": [dict(one) for one in self.REWARDS]} if method == "grpo" else {}
        chain.declare("wrong", method, inputs=inputs, params=params)
        (problem,) = chain.wrong()
        path = f"registry/{FOLDER[method]}/wrong.yaml"
        said = f"{inputs[role]!r} is a {gives} model; {role!r} takes a {takes} model ("
        assert problem.startswith(f"{path}:{line}:3: {said}")
        assert problem.endswith(f") -> name a {takes} model")

    def test_a_reward_model_may_go_on_from_either(self, chain):
        chain.declare("further", "reward-model", inputs={"base": "scorer", "data": "rows"})
        assert "further" in chain.graph().nodes

    def test_what_an_average_makes_depends_on_what_it_is_given(self, chain):
        chain.declare("mean", "average", inputs={"models": ["base", "scorer"]})
        chain.declare("later", "sft", inputs={"base": "mean", "data": "rows"})
        assert "later" in chain.graph().nodes


class TestCycles:
    def test_of_one_declaration_are_refused(self, folder):
        folder.declare("loop", "opinion-sft", inputs={"base": "loop", "data": "items"})
        assert folder.wrong() == [
            (
                "registry/models/loop.yaml:5:3: is made from itself: loop <- loop -> "
                "remove one of these inputs"
            )
        ]

    def test_of_several_are_refused_with_the_way_round(self, folder):
        for name, base in (("first", "second"), ("second", "third"), ("third", "first@age-22-34")):
            folder.declare(name, "opinion-sft", each="community",
                           inputs={"data": "items", "base": base})  # fmt: skip
        (problem,) = folder.wrong()
        assert problem.startswith("registry/models/")
        place, _, way = problem.partition(": is made from itself: ")
        assert place.endswith(".yaml:6:3")
        names = way.partition(" -> ")[0].split(" <- ")
        assert names[0] == names[-1]
        made_from = {("first", "second"), ("second", "third"), ("third", "first")}
        assert set(itertools.pairwise(names)) == made_from

    def test_are_named_the_same_in_every_process(self, bare):
        bare.declare("all-loops", "opinion-sft",
                     inputs={"base": "loop-a", "data": ["loop-a", "loop-c", "loop-e"]})  # fmt: skip
        for name, base in ("ab", "ba", "cd", "dc", "ee"):
            given = {"base": f"loop-{base}", "data": f"loop-{base}"}
            bare.declare(f"loop-{name}", "opinion-sft", inputs=given)
        assert len(set(outputs(bare.root))) == 1


class TestOrder:
    def test_has_inputs_first(self, folder):
        graph = folder.graph()
        seen: set[str] = set()
        for node in graph.nodes.values():
            assert {edge.node for edge in node.edges} <= seen
            seen.add(node.id)

    def test_is_the_same_in_every_process(self, folder):
        assert set(outputs(folder.root)) == {" ".join(folder.graph().nodes)}

    def test_of_what_a_node_is_made_from_has_inputs_first(self, folder):
        graph = folder.graph()
        assert [n.id for n in graph.upstream([graph.node("scores@age-50-64")])] == [
            "questionnaire", "base", "items@age-50-64", "own@age-50-64", "scores@age-50-64",
        ]  # fmt: skip

    def test_of_what_is_chosen_is_the_graphs(self, folder):
        chosen = folder.graph().select(["scores@age-22-34", "items", "base"])
        assert [node.id for node in chosen] == [
            "base", *(f"items@{age}" for age in AGES), "scores@age-22-34",
        ]  # fmt: skip


class TestNames:
    @pytest.mark.parametrize(
        ("name", "mend"),
        [
            ("own", "name one of own@age-22-34, own@age-35-49, own@age-50-64, own@age-65-plus"),
            ("own@age-22-35", "did you mean 'own@age-22-34'?"),
            ("own@zzzzzzzzzzzzzzzzzz", f"communities here: {', '.join(AGES)}"),
            ("bsae", "did you mean 'base'?"),
            ("zzzz", "see `chorus list`"),
        ],
    )
    def test_of_no_node_have_a_hint(self, folder, name, mend):
        with pytest.raises(UsageError, match=f"no node is called '{name}'") as caught:
            folder.graph().node(name)
        assert caught.value.mend == mend


class TestPermissions:
    def test_are_needed_where_a_profile_is_read(self, folder):
        graph = folder.graph()
        assert graph.permissions(graph.node("items@age-22-34")) == {"age-22-34": "train-sft"}

    def test_are_inherited_through_inputs_with_the_nodes_own_use(self, folder):
        graph = folder.graph()
        assert graph.permissions(graph.node("own@age-22-34")) == {"age-22-34": "train-sft"}
        assert graph.permissions(graph.node("scores@age-22-34")) == {"age-22-34": "evaluate"}

    def test_are_those_of_every_community_gathered(self, folder):
        folder.declare("pooled", "opinion-sft", inputs={"base": "base", "data": "items"})
        given = {"model": "pooled", "questionnaire": "questionnaire"}
        folder.declare("pooled-scores", "option-probabilities", inputs=given)
        graph = folder.graph()
        assert graph.permissions(graph.node("pooled")) == dict.fromkeys(AGES, "train-sft")
        assert graph.permissions(graph.node("pooled-scores")) == dict.fromkeys(AGES, "evaluate")

    def test_are_not_needed_for_what_rests_on_no_profile(self, folder):
        graph = folder.graph()
        for name in ("questionnaire", "base"):
            assert graph.permissions(graph.node(name)) == {}

    def test_reach_a_model_that_starts_from_anothers(self, folder):
        given = {"base": "own@age-65-plus", "data": "items@age-22-34"}
        folder.declare("mixed", "opinion-sft", inputs=given)
        graph = folder.graph()
        assert graph.permissions(graph.node("mixed")) == {
            "age-22-34": "train-sft",
            "age-65-plus": "train-sft",
        }


class TestSuspension:
    @pytest.mark.parametrize("event", ["suspended", "withdrawn"])
    def test_drops_the_nodes_of_that_community_and_its_part_in_gathering(self, folder, event):
        folder.declare("pooled", "opinion-sft", inputs={"base": "base", "data": "items"})
        folder.happen("age-35-49", event)
        graph = folder.graph()
        assert not [node_id for node_id in graph.nodes if node_id.endswith("@age-35-49")]
        assert "data: items@age-35-49" not in inputs(graph, "pooled")
        assert "age-35-49" not in graph.permissions(graph.node("pooled"))

    def test_leaves_a_narrowed_declaration_its_other_communities(self, folder):
        given = {"base": "base", "data": "items"}
        folder.declare("two", "opinion-sft", inputs=given, communities=["age-22-34", "age-35-49"])
        folder.happen("age-35-49", "suspended")
        assert inputs(folder.graph(), "two") == ["base: base", "data: items@age-22-34"]

    def test_is_named_where_a_declaration_picks_that_community(self, folder):
        folder.declare("one", "opinion-sft", inputs={"base": "base", "data": "items@age-35-49"})
        folder.happen("age-35-49", "suspended")
        (problem,) = folder.wrong()
        assert problem.startswith(
            "registry/models/one.yaml:6:3: 'items' has no node for 'age-35-49', which is suspended"
        )

    def test_of_everyone_leaves_what_is_for_no_one(self, folder):
        for age in AGES:
            folder.happen(age, "suspended")
        assert list(folder.graph().nodes) == ["questionnaire", "base"]


def test_a_long_chain_is_resolved_in_no_time(folder):
    """Each stage has two inputs of the stage before: asked anew, that would be 2**30 questions."""
    base = "base"
    for number in range(30):
        given = {"base": base, "data": "items"}
        folder.declare(f"link-{number}", "opinion-sft", each="community", inputs=given)
        twin = f"twin-{number}"
        folder.declare(twin, "opinion-sft", each="community", inputs=given)
        base = f"mean-{number}"
        models = {"models": [f"link-{number}", twin]}
        folder.declare(base, "average", each="community", inputs=models)
    assert f"{base}@{AGES[0]}" in folder.graph().nodes


COMPARES = {
    "expect": "expect_column_values_to_be_in_other_table", "table": "items.parquet",
    "column": "item", "other_table": "items.parquet", "other_column": "item",
    "reason": "It matters to these tests.",
}  # fmt: skip


class TestContracts:
    def declare(self, folder: Folder, other: str) -> None:
        folder.declare("questions", "questionnaire")
        folder.declare(
            "items",
            "opinion-items",
            each="community",
            inputs={"questionnaire": "questions"},
            contract=[{**COMPARES, "other": other}],
        )

    def test_compare_with_what_it_is_made_from(self, folder):
        self.declare(folder, "questions")
        assert folder.graph().nodes

    @pytest.mark.parametrize(
        ("other", "mend"),
        [("question", "did you mean 'questions'?"), ("zz", "it is made from: questions")],
    )
    def test_refuse_anything_else_with_its_place(self, folder, other, mend):
        self.declare(folder, other)
        with pytest.raises(ProblemsError, match="which it is not made from") as caught:
            folder.graph()
        assert f"compares with {other!r}" in str(caught.value)
        assert mend in str(caught.value)
        assert re.search(r"items\.yaml:\d+:\d+: compares", str(caught.value))
