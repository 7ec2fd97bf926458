"""An override changes a recipe's declarations, says where each value comes from, and is in Git."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.errors import ProblemsError, UsageError
from registry.override import (
    Overridden,
    Override,
    OverrideFile,
    active_of,
    active_overrides,
    apply,
    chosen_instead,
    recipe_of,
    write_active,
)
from registry.strict_yaml import Document, parse
from tests.conftest import Folder

WORDS = """\
name: tally-words
description: The words that a recipe of these tests counts.
method: toy-words
inputs: {}
params: {letter: a, rows: 5}
contract: []
licence: CC0-1.0
"""
COUNT = """\
name: tally-count
description: How many words there are in all of them.
method: toy-count
inputs:
  words: tally-words
params:
  scale: 1
contract: []
licence: CC0-1.0
communities: [age-22-34]
"""
LARGE = """\
description: More words, for a larger machine.
declarations:
  tally-words:
    params:
      rows: 7
  tally-count:
    params: {scale: 3}
    resources: {threads: 2}
"""


def document(text: str, path: str = "file.yaml") -> Document:
    found, problems = parse(text.encode(), path)
    assert found is not None, problems
    return found


def changed(declared: str, changes: str) -> Document:
    """A declaration called `one` with an override's changes."""
    lines = "".join(f"    {line}\n" for line in changes.splitlines())
    given = document(f"description: Made up for these tests.\ndeclarations:\n  one:\n{lines}", "o")
    content = OverrideFile.model_validate(given.data)
    return apply(document(declared, "d"), Override("recipe", "name", given, content), "one")


class TestApply:
    DECLARED = (
        "method: m\ninputs:\n  a: x\n  b: y\nparams:\n  deep: {one: 1, two: 2}\n  list: [1, 2, 3]\n"
    )

    def test_merges_mappings_key_by_key_and_replaces_lists_whole(self):
        found = changed(self.DECLARED, "inputs: {b: z}\nparams: {deep: {two: 9}, list: [4]}")
        assert found.data["inputs"] == {"a": "x", "b": "z"}
        assert found.data["params"] == {"deep": {"one": "1", "two": "9"}, "list": ["4"]}

    def test_gives_the_parameters_of_another_method_alone(self):
        found = changed(self.DECLARED, "method: new\nparams: {new: 1}")
        assert found.data["method"] == "new"
        assert found.data["params"] == {"new": "1"}
        assert changed(self.DECLARED, "method: new").data["params"] == {}

    def test_leads_to_the_override_for_what_it_changes_and_nowhere_else(self):
        found = changed(self.DECLARED, "params:\n  deep: {two: 9}\n  list: [4]")
        assert str(found.place(("params", "deep", "two"))) == "o:5:14"
        assert str(found.place(("params", "list", 0))) == "o:6:14"
        assert str(found.place(("params", "list", 2))) == "o:6:7"
        assert str(found.place(("params", "deep", "one"))) == "d:6:10"
        assert str(found.place(("inputs", "a"))) == "d:3:3"
        # a rule about several parameters is broken by what was changed
        assert found.place(("params",)).path == "o"

    def test_names_each_value_once(self):
        found = changed(self.DECLARED, "params:\n  deep: {two: 9}\n  list: [{a: 1}, {b: 2}]")
        assert isinstance(found, Overridden)
        assert [key for key, _ in found.changes()] == [
            ("params", "deep", "two"),
            ("params", "list"),
        ]

    def test_leaves_what_it_does_not_name_and_never_alters_what_was_read(self):
        declared = document(self.DECLARED)
        content = OverrideFile.model_validate(
            {"description": "Made up for these tests.", "declarations": {"two": {}}}
        )
        given = document("declarations: {two: {}}", "o")
        assert apply(declared, Override("r", "n", given, content), "one") is declared
        before = document(self.DECLARED).data
        changed(self.DECLARED, "params: {deep: {two: 9}}")
        assert declared.data == before


@pytest.mark.parametrize(
    ("path", "recipe"),
    [
        ("registry/models/recipes/tally/a.yaml", "tally"),
        ("registry/models/recipes/tally/deeper/a.yaml", "tally"),
        ("registry/models/recipes/a.yaml", ""),
        ("registry/models/tally/a.yaml", ""),
        ("registry/models/a.yaml", ""),
    ],
)
def test_a_recipe_is_a_folder_among_the_recipes(path, recipe):
    assert recipe_of(path) == recipe


@pytest.fixture
def tally(toy: Folder) -> Folder:
    for kind, text in (("datasets", WORDS), ("models", COUNT)):
        (toy.root / "registry" / kind / "recipes" / "tally").mkdir(parents=True)
        toy.declare(f"{kind}/recipes/tally", text)
    override(toy, "large", LARGE)
    toy.chorus("sync")
    return toy


def override(folder: Folder, name: str, text: str, recipe: str = "tally") -> Path:
    path = folder.root / "registry" / "overrides" / recipe / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class TestUse:
    def test_what_is_in_force_is_a_file_of_the_project(self, tally: Folder):
        assert tally.chorus("recipe", "list", "--json").json["recipes"] == [
            {
                "recipe": "tally",
                "override": None,
                "overrides": ["large"],
                "declarations": ["tally-words", "tally-count"],
            }
        ]
        done = tally.chorus("recipe", "use", "tally", "large", "--json").json
        assert done["changed"] == ["tally-words", "tally-count"]
        assert "registry/overrides/active.yaml" in done["wrote"]
        assert "registry/code.yaml" in done["wrote"]
        tally.chorus("sync", "--check")
        assert active_of(tally.root)[0] == {"tally": "large"}
        assert "large" in tally.chorus("recipe", "list").out
        status = tally.run("git", "status", "--porcelain", "-uall").out
        assert "registry/overrides/active.yaml" in status

    def test_show_says_which_value_comes_from_where(self, tally: Folder):
        tally.chorus("recipe", "use", "tally", "large")
        shown = tally.chorus("show", "tally-words", "--json").json
        assert shown["params"]["rows"] == 7
        assert shown["params"]["letter"] == "a"
        assert shown["overridden"] == {
            "params.rows": "registry/overrides/tally/large.yaml:5:7",
        }
        assert "registry/overrides/tally/large.yaml:5:7" in tally.chorus("show", "tally-words").out
        assert tally.chorus("show", "words", "--json").json["overridden"] == {}

    def test_the_record_follows_and_both_ways_are_stale_until_made(self, tally: Folder):
        tally.chorus("make", "tally-count", "--upstream")
        assert tally.states()["tally-count"] == "current"
        tally.chorus("recipe", "use", "tally", "large")
        (why, whence) = tally.reasons("tally-words")
        assert why == "params.rows changed from 5 to 7"
        assert whence == (
            "the override tally/large says so (registry/overrides/tally/large.yaml:5:7)"
        )
        assert "resources.threads changed from 1 to 2" in tally.reasons("tally-count")
        tally.chorus("make", "tally-count", "--upstream")
        assert tally.states()["tally-count"] == "current"
        assert "up to date" in tally.dvc("status", "tally-words", "tally-count").out
        tally.chorus("recipe", "use", "tally")
        assert tally.reasons("tally-words") == ["params.rows changed from 7 to 5"]
        assert "changed" in tally.dvc("status", "tally-words").out

    def test_dvc_makes_what_an_override_changes(self, tally: Folder):
        tally.chorus("make", "tally-count", "--upstream")
        tally.chorus("recipe", "use", "tally", "large")
        tally.dvc("repro", "tally-count")
        assert tally.states()["tally-count"] == "current"
        large = tally.root / "registry/overrides/tally/large.yaml"
        large.write_text(LARGE.replace("rows: 7", "rows: 8"))
        assert "registry/code.yaml" in tally.chorus("sync", "--check", expect=1).err
        refused = tally.dvc("repro", "--force", "tally-words", expect=None)
        assert "run `chorus sync`" in refused.err
        tally.chorus("sync")
        assert "changed" in tally.dvc("status", "tally-words").out

    def test_verified_lineage_says_the_value_in_force(self, tally: Folder):
        tally.chorus("recipe", "use", "tally", "large")
        tally.chorus("make", "tally-count", "--upstream")
        assert tally.chorus("lineage", "verify", "tally-count").out.startswith("verified")


class TestRefused:
    def refused(self, folder: Folder, text: str) -> str:
        override(folder, "bad", text)
        before = active_of(folder.root)[0]
        said = folder.chorus("recipe", "use", "tally", "bad", expect=2).err
        assert active_of(folder.root)[0] == before
        folder.chorus("status")
        return said

    def test_a_wrong_value_is_named_with_the_overrides_line(self, tally: Folder):
        tally.chorus("recipe", "use", "tally", "large")
        said = self.refused(tally, LARGE.replace("rows: 7", "rows: many"))
        assert "registry/overrides/tally/bad.yaml:5:7" in said
        assert "rows: many" in said
        assert "1 thing to fix" in said

    def test_every_mistake_is_told_at_once(self, tally: Folder):
        said = self.refused(
            tally,
            LARGE.replace("rows: 7", "rows: many\n      row: 1")
            .replace("scale: 3", "scal: 3")
            .replace("threads: 2", "threads: none"),
        )
        assert "4 things to fix" in said
        assert "did you mean 'rows'?" in said
        assert "did you mean 'scale'?" in said
        assert said.count("registry/overrides/tally/bad.yaml") == 4

    def test_an_input_that_does_not_exist(self, tally: Folder):
        said = self.refused(tally, LARGE + "    inputs: {words: wordz}\n")
        assert "registry/overrides/tally/bad.yaml:9:14" in said
        assert "did you mean 'words'?" in said

    def test_a_declaration_of_another_recipe_or_of_none(self, tally: Folder):
        said = self.refused(tally, LARGE.replace("tally-words", "tally-word"))
        assert "did you mean 'tally-words'?" in said
        said = self.refused(tally, LARGE.replace("tally-words", "words"))
        assert "names 'words', which the recipe 'tally' does not declare" in said

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "is empty"),
            (LARGE.replace("declarations", "declaration"), "unknown key 'declaration'"),
            (LARGE.replace("tally-words", "Tally Words"), "small letters"),
            (LARGE + "    seed: 3\n", "unknown key 'seed'"),
            (LARGE + "    licence: MIT\n", "unknown key 'licence'"),
            (LARGE.replace("7", "&a 7"), "anchor"),
            (LARGE.replace("params:\n      rows: 7", "params: 7"), "params"),
            (LARGE.replace("scale: 3", "scale: 3, scale: 4"), "twice"),
        ],
    )
    def test_what_is_no_override(self, tally: Folder, text: str, reason: str):
        said = self.refused(tally, text)
        assert reason in said
        assert "registry/overrides/tally/bad.yaml" in said

    def test_a_link(self, tally: Folder, tmp_path: Path):
        (tmp_path / "elsewhere.yaml").write_text(LARGE)
        path = tally.root / "registry/overrides/tally/linked.yaml"
        path.symlink_to(tmp_path / "elsewhere.yaml")
        said = tally.chorus("recipe", "use", "tally", "linked", expect=2).err
        assert "not a plain file" in said

    def test_an_unknown_recipe_or_override(self, tally: Folder):
        said = tally.chorus("recipe", "use", "taly", "large", expect=2).err
        assert "did you mean 'tally'?" in said
        said = tally.chorus("recipe", "use", "tally", "larg", expect=2).err
        assert "did you mean 'large'?" in said
        said = tally.chorus("recipe", "use", "tally", "../tally/large", expect=2).err
        assert "has no override" in said
        assert not (tally.root / "registry/overrides/active.yaml").exists()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("active: {tally: huge}\n", "has no override 'huge'"),
            ("active: {tally: ../../x}\n", "has no override '../../x'"),
            ("active: {nobody: large}\n", "no recipe with overrides is called 'nobody'"),
            ("activ: {}\n", "unknown key 'activ'"),
            ("active: [large]\n", "active"),
        ],
    )
    def test_a_wrong_list_of_what_is_in_force(self, tally: Folder, text: str, reason: str):
        (tally.root / "registry/overrides/active.yaml").write_text(text)
        said = tally.chorus("status", expect=2).err
        assert reason in said
        assert "registry/overrides/active.yaml:1" in said

    def test_an_override_that_was_removed_while_in_force(self, tally: Folder):
        tally.chorus("recipe", "use", "tally", "large")
        shutil.rmtree(tally.root / "registry/overrides/tally")
        said = tally.chorus("list", expect=2).err
        assert "registry/overrides/active.yaml:3:3" in said
        assert "recipes here: none" in said


def test_two_writers_lose_nothing(tally: Folder):
    for kind in ("datasets", "models"):
        source = tally.root / "registry" / kind / "recipes" / "tally"
        target = source.with_name("twin")
        target.mkdir()
        for path in source.glob("*.yaml"):
            name = path.name.replace("tally", "twin")
            (target / name).write_text(path.read_text().replace("tally", "twin"))
    override(tally, "large", LARGE.replace("tally", "twin"), "twin")
    both = [tally.start("recipe", "use", name, "large") for name in ("tally", "twin")]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert active_of(tally.root)[0] == {"tally": "large", "twin": "large"}
    tally.chorus("sync", "--check")


def test_what_is_written_reads_back(tmp_path: Path):
    for active in ({}, {"one": "llama-3.2-1b"}, {"two": "a", "one": "b"}):
        write_active(tmp_path, active)
        assert active_of(tmp_path) == (active, active_of(tmp_path)[1], [])


def test_a_name_that_no_override_can_have(tmp_path: Path):
    folder = tmp_path / "registry/overrides/tally"
    folder.mkdir(parents=True)
    (folder / "Not so.yaml").write_text(LARGE)
    _, problems = active_overrides(tmp_path, {"tally": "Not so"})
    assert "cannot be the name of an override" in str(ProblemsError(problems))


def test_choosing_refuses_before_anything_is_read(tmp_path: Path):
    with pytest.raises(UsageError, match="no recipe with overrides"):
        chosen_instead(tmp_path, "tally", "large")
