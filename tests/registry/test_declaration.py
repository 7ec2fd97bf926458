"""A wrong declaration is refused before anything is made, with every reason at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.declaration import FOLDERS, Dataset, Declaration
from registry.errors import ExitCode, ProblemsError, UsageError
from registry.project import find_root, load_project
from registry.strict_yaml import parse, typed

ROOT = Path(__file__).parents[2]

WHOLE = """\
name: questionnaire
description: Every question of one survey, in every wording.
method: questionnaire
inputs: {}
params: {instrument: registry/instruments/civic-2020.yaml}
contract: []
licence: CC-BY-4.0
"""


def read_as(model: type[Declaration], text: str) -> tuple[Declaration | None, str]:
    """The declaration, or everything wrong with it as a reader sees it."""
    document, problems = parse(text.encode(), "file.yaml")
    assert document is not None, problems
    declaration, problems = typed(model, document)
    return declaration, str(ProblemsError(problems)) if problems else ""


def changed(old: str, new: str) -> str:
    assert WHOLE.count(old) == 1
    return WHOLE.replace(old, new)


def test_a_declaration_has_defaults_for_what_may_be_left_out():
    declaration, problems = read_as(Dataset, WHOLE)
    assert problems == ""
    assert declaration is not None
    assert declaration.each is None
    assert declaration.communities is None
    assert declaration.seed == 0
    assert declaration.resources.model_dump() == {
        "gpus": 0,
        "memory": "4GiB",
        "threads": 1,
        "processes": 1,
    }


def test_every_shipped_declaration_is_whole():
    declared = load_project(ROOT).declarations
    assert {d.declaration.kind for d in declared.values()} == {"dataset", "model", "evaluation"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_gives_the_kind(folder):
    assert FOLDERS[folder].kind == folder.removesuffix("s")


class TestKeys:
    @pytest.mark.parametrize(
        ("line", "place", "mend"),
        [
            ("licens: x", "8:1: has the unknown key 'licens'", "did you mean 'licence'?"),
            ("resources: {gpu: 1}", "8:13: has the unknown key 'gpu'", "did you mean 'gpus'?"),
            ("zzzz: x", "8:1: has the unknown key 'zzzz'", "known keys: communities, contract,"),
        ],
    )
    def test_that_are_unknown_are_refused_with_a_hint(self, line, place, mend):
        problems = read_as(Dataset, WHOLE + line + "\n")[1]
        assert f"file.yaml:{place}" in problems
        assert f"mend: {mend}" in problems

    def test_of_an_expectation_have_hints_too(self):
        text = changed(
            "contract: []",
            "contract:\n  - expect: expect_column_values_to_be_unique\n    table: items.parquet\n"
            "    colum: row_id\n    reason: Rows keep their identity.",
        )
        problems = read_as(Dataset, text)[1]
        assert "file.yaml:9:5: has the unknown key 'colum'" in problems
        assert "did you mean 'column'?" in problems

    @pytest.mark.parametrize(
        "key", ["name", "description", "method", "inputs", "params", "licence"]
    )
    def test_that_are_missing_are_named(self, key):
        line = next(line for line in WHOLE.splitlines() if line.startswith(f"{key}:"))
        problems = read_as(Dataset, changed(line + "\n", ""))[1]
        assert f"lacks the key '{key}'" in problems
        assert f"mend: add `{key}:`" in problems

    def test_a_file_that_is_no_mapping_is_refused(self):
        assert "file.yaml:1:1: the file: must be a group of keys" in read_as(Dataset, "- a")[1]


class TestValues:
    @pytest.mark.parametrize(
        "name",
        ["ab", "Abc", "a_b_c", "-abc", "abc-", "a--b", "a/b", "../x", "a b", "é-é-é", "x" * 49],
    )
    def test_bad_slugs_are_refused(self, name):
        problems = read_as(Dataset, changed("name: questionnaire", f"name: {name}"))[1]
        assert "file.yaml:1:1: name: use 3 to 48 small letters, digits and" in problems

    @pytest.mark.parametrize("name", ["abc", "a-b", "age-22-34", "012", "x" * 48])
    def test_good_slugs_are_names(self, name):
        declaration, _ = read_as(Dataset, changed("name: questionnaire", f"name: {name}"))
        assert declaration is not None
        assert declaration.name == name

    @pytest.mark.parametrize(
        "memory", ["4GB", "4 GiB", "0GiB", "04GiB", "4.5GiB", "GiB", "-1GiB", "4"]
    )
    def test_bad_memory_is_refused(self, memory):
        problems = read_as(Dataset, WHOLE + f"resources: {{memory: {memory}}}\n")[1]
        assert "resources.memory: write memory as a whole number of MiB or GiB" in problems

    @pytest.mark.parametrize("memory", ["1MiB", "512MiB", "4GiB", "128GiB"])
    def test_good_memory_is_kept(self, memory):
        declaration, _ = read_as(Dataset, WHOLE + f"resources: {{memory: {memory}}}\n")
        assert declaration is not None
        assert declaration.resources.memory == memory

    @pytest.mark.parametrize(
        "line",
        ["seed: -1", "seed: 4294967296", "seed: 0.5", "seed: none", "resources: {threads: 0}",
         "resources: {gpus: -1}", "communities: age-22-34", "communities: [Age]", "each: group"],
    )  # fmt: skip
    def test_that_cannot_be_are_refused(self, line):
        problems = read_as(Dataset, WHOLE + line + "\n")[1]
        assert problems.startswith("file.yaml:8:")
        assert problems.endswith("1 thing to fix")

    def test_that_are_none_of_the_allowed_words_have_a_hint(self):
        problems = read_as(Dataset, WHOLE + "each: comunity\n")[1]
        assert "file.yaml:8:1: each cannot be 'comunity'" in problems
        assert "mend: did you mean 'community'?" in problems


@pytest.fixture
def root(tmp_path):
    """A project that is whole: the questionnaire, and the shipped profiles."""
    shutil.copytree(ROOT / "value_profiles", tmp_path / "value_profiles")
    shutil.copytree(ROOT / "registry/instruments", tmp_path / "registry/instruments")
    declare(tmp_path, "datasets/questionnaire", WHOLE)
    return tmp_path


def declare(root: Path, name: str, text: str) -> None:
    path = root / "registry" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def wrong(root: Path) -> ProblemsError:
    with pytest.raises(ProblemsError) as caught:
        load_project(root)
    assert caught.value.exit_code == ExitCode.USAGE == 2
    return caught.value


MODEL = """\
name: my-model
description: A model that these tests declare.
method: opinion-sft
inputs: {base: my-base, data: questionnaire}
params:
  steps: 10
  lerning_rate: 0.1
  batch_size: none
contract: []
licence: CC-BY-4.0
"""


class TestWholeProject:
    def test_is_loaded_with_typed_parameters(self, root):
        project = load_project(root)
        assert set(project.declarations) == {"questionnaire"}
        params = project.declarations["questionnaire"].params
        assert params.model_dump() == {
            "instrument": "registry/instruments/civic-2020.yaml",
            "held_out_share": 0.25,
            "mixed": False,
        }

    def test_folders_group_declarations_and_mean_nothing(self, root):
        declare(
            root, "datasets/survey/of-2020/another", WHOLE.replace("questionnaire", "another", 1)
        )
        declared = load_project(root).declarations["another"]
        assert declared.document.path == "registry/datasets/survey/of-2020/another.yaml"

    def test_a_name_is_taken_whatever_its_folder(self, root):
        declare(root, "datasets/survey/questionnaire", WHOLE)
        assert "declares 'questionnaire', which registry/datasets/" in str(wrong(root))

    def test_is_found_from_inside(self, root):
        assert find_root(root / "value_profiles" / "age-22-34") == root

    def test_is_not_found_elsewhere(self, tmp_path):
        with pytest.raises(UsageError, match="no Chorus project here"):
            find_root(tmp_path)


EVERY_PROBLEM = """\
registry/datasets/other.yaml:3:1: no installed package offers the method 'questionaire'
registry/evaluations/scores.yaml:3:1: the method 'questionnaire' makes a dataset, \
and this declares an evaluation
registry/models/my-model.yaml:7:3: has the unknown key 'lerning_rate'
registry/models/my-model.yaml:8:3: batch_size: must be a whole number (found 'none')
value_profiles/age-22-34/profile.yaml:3:1: revision: must be 1 or more \
(found '0')"""

WRONG_PARAMETERS = """\
registry/models/my-model.yaml:7:3: has the unknown key 'lerning_rate'
  7 |   lerning_rate: 0.1
        ^
  mend: did you mean 'learning_rate'?

registry/models/my-model.yaml:8:3: batch_size: must be a whole number (found 'none')
  8 |   batch_size: none
        ^
  mend: Prompts a step.

2 things to fix"""


class TestEveryProblemAtOnce:
    def test_names_every_file_with_line_and_column(self, root):
        declare(root, "models/my-model", MODEL)
        declare(root, "datasets/other", changed("method: questionnaire", "method: questionaire"))
        declare(root, "evaluations/scores", changed("name: questionnaire", "name: scores"))
        profile = root / "value_profiles/age-22-34/profile.yaml"
        profile.write_text(profile.read_text().replace("revision: 1", "revision: 0", 1))
        error = wrong(root)
        heads = "\n".join(str(problem).split("\n")[0] for problem in error.problems)
        assert heads == EVERY_PROBLEM
        assert str(error).endswith("5 things to fix")

    def test_shows_the_line_of_a_wrong_parameter(self, root):
        declare(root, "models/my-model", MODEL)
        assert str(wrong(root)) == WRONG_PARAMETERS

    def test_hints_at_the_method_that_was_meant(self, root):
        declare(root, "datasets/other", changed("method: questionnaire", "method: questionaire"))
        (problem,) = wrong(root).problems
        assert problem.mend == "did you mean 'questionnaire'?"

    def test_lists_the_methods_where_none_is_near(self, root):
        declare(root, "datasets/other", changed("method: questionnaire", "method: zzzz"))
        (problem,) = wrong(root).problems
        assert problem.mend.startswith("known methods: ")
        assert "opinion-sft" in problem.mend

    def test_says_where_a_declaration_of_another_kind_belongs(self, root):
        declare(root, "models/questionnaire", WHOLE)
        (problem,) = wrong(root).problems
        assert str(problem.place) == "registry/models/questionnaire.yaml:3:1"
        assert problem.mend == "move the file to registry/datasets, or choose another method"

    def test_covers_files_that_are_not_yaml_at_all(self, root):
        declare(root, "datasets/broken", "name: [\n")
        declare(root, "models/empty", "")
        problems = wrong(root).problems
        assert [problem.place.path for problem in problems] == [
            "registry/datasets/broken.yaml",
            "registry/models/empty.yaml",
        ]


class TestFiles:
    def test_are_named_like_what_they_declare(self, root):
        declare(root, "datasets/other", WHOLE.replace("name: questionnaire", "name: another"))
        (problem,) = wrong(root).problems
        assert str(problem.place) == "registry/datasets/other.yaml:1:1"
        assert problem.what == "is named 'another' in the file other.yaml"

    def test_declare_a_name_once(self, root):
        twin = MODEL.replace("my-model", "questionnaire")
        twin = twin.replace("  lerning_rate: 0.1\n  batch_size: none\n", "")
        declare(root, "models/questionnaire", twin)
        (problem,) = wrong(root).problems
        assert str(problem.place) == "registry/models/questionnaire.yaml:1:1"
        assert problem.what == (
            "declares 'questionnaire', which registry/datasets/questionnaire.yaml declares too"
        )

    @pytest.mark.parametrize("name", ["notes.md", "dvc.lock", "other.yml"])
    def test_of_another_kind_are_refused(self, root, name):
        (root / "registry/datasets" / name).write_text(WHOLE)
        (problem,) = wrong(root).problems
        assert str(problem.place) == f"registry/datasets/{name}"
        assert problem.what == "is not a declaration"

    def test_beside_the_profiles_are_refused(self, root):
        (root / "value_profiles/dvc.yaml").write_text("stages: {}\n")
        (problem,) = wrong(root).problems
        assert str(problem.place) == "value_profiles/dvc.yaml"
        assert problem.what == "is not a profile folder"
