"""A method's code digest changes with what it does, and with nothing else."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint

import pytest

from registry import method as method_module
from registry.errors import UsageError
from registry.method import (
    CodeMemory,
    Method,
    Role,
    SourcePath,
    code_memory,
    code_of,
    load_method,
    method_names,
)
from registry.typed import Frozen

MODULE = '''\
"""A method of these tests."""

import math
from . import near
from shop.far import LIMIT
from registry.method import Method
from registry.typed import Frozen


class Params(Frozen):
    """Its parameters."""

    steps: int = 10
    """How many steps."""


def run(context, scale=2.0):
    """Makes nothing."""
    # a comment
    text = "a text"
    for step in range(3):
        if step > 1:
            near.move(step, scale)
    return [math.pi, LIMIT, text, None, b"x", 1, {"a": -1}]


method = Method(name="shop-own", kind="dataset", description="own", params=Params, run=run)
'''


class Shop:
    """A package of its own, whose methods are offered to Chorus."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder / "shop"
        self.folder.mkdir()
        self.write("__init__", "")
        self.write("own", MODULE)
        self.write("near", "def move(step, scale):\n    return step * scale\n")
        self.write("far", "LIMIT = 5\n")
        self.write("unused", "RATE = 1\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(method_module, "_entry_points", lambda: self.points)
        self.points = {"shop-own": EntryPoint("shop-own", "shop.own:method", "chorus.methods")}

    def write(self, module, text):
        (self.folder / f"{module}.py").write_text(text)

    def edit(self, module, old, new):
        path = self.folder / f"{module}.py"
        text = path.read_text()
        assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def digest(self):
        forget()
        return code_of("shop-own").digest


def forget():
    """What a new process knows: nothing."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "shop"]:
        del sys.modules[name]
    vars(code_memory).update(vars(CodeMemory()))
    for cached in (load_method, code_of, method_module._module_path, method_module._sha256):
        cached.cache_clear()


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Shop(tmp_path, monkeypatch)
    forget()


class TestCodeDigestIgnores:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("    # a comment\n", ""),
            ("    # a comment\n", "    # another comment\n"),
            ('    """Makes nothing."""\n', ""),
            ('"""Makes nothing."""', '"""Makes\n    less.\n    """'),
            ('    """How many steps."""\n', ""),
            ('"""A method of these tests."""\n', ""),
            ("\n\ndef run", "\n\n\n\n\ndef run"),
            ("context, scale=2.0", "context,\n    scale = 2.0,\n"),
            ('text = "a text"', "text = ('a ' 'text')"),
            ('text = "a text"', "text = (\n        'a text'\n    )"),
            ("scale=2.0", "scale=2.00"),
            ('text = "a text"', 'text = u"a text"'),
        ],
    )
    def test_comments_docstrings_and_formatting(self, shop, old, new):
        before = shop.digest()
        shop.edit("own", old, new)
        assert shop.digest() == before

    def test_modules_that_it_does_not_import(self, shop):
        before = shop.digest()
        shop.edit("unused", "1", "2")
        assert shop.digest() == before

    def test_comments_in_modules_that_it_imports(self, shop):
        before = shop.digest()
        shop.edit("near", "def move", '"""Near."""\n\n\n# moves\ndef move')
        assert shop.digest() == before

    def test_where_the_package_lies(self, shop, tmp_path, monkeypatch):
        before = shop.digest()
        shop.folder.parent.joinpath("other").mkdir()
        shop.folder.rename(tmp_path / "other" / "shop")
        monkeypatch.syspath_prepend(tmp_path / "other")
        assert shop.digest() == before


class TestCodeDigestChanges:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("range(3)", "range(4)"),
            ("step > 1", "step >= 1"),
            ("scale=2.0", "scale=2.5"),
            ("scale=2.0", "scale=2"),
            ("steps: int = 10", "steps: int = 11"),
            ('"a text"', '"a  text"'),
            ('"a text"', 'b"a text"'),
            ("None", "True"),
            ("None", "..."),
            ("text, None", "None, text"),
            ('{"a": -1}', '{"a": 1}'),
            ('{"a": -1}', '{**{"a": -1}}'),
            ("near.move(step, scale)", "near.move(scale, step)"),
            ("near.move(step, scale)", "near.move(step, scale=scale)"),
            ('description="own"', 'description="mine"'),
            ("    return [math", "    [math"),
        ],
    )
    def test_with_what_the_method_does(self, shop, old, new):
        before = shop.digest()
        shop.edit("own", old, new)
        assert shop.digest() != before

    @pytest.mark.parametrize(
        ("module", "old", "new"),
        [
            ("near", "step * scale", "step + scale"),
            ("far", "5", "6"),
            ("__init__", "", "import random\n\nrandom.seed(1)\n"),
        ],
    )
    def test_with_a_module_of_its_package(self, shop, module, old, new):
        before = shop.digest()
        (shop.folder / f"{module}.py").write_text(
            (shop.folder / f"{module}.py").read_text().replace(old, new)
        )
        assert shop.digest() != before

    @pytest.mark.parametrize(
        "line",
        ["import shop.unused", "from shop import unused", "from . import unused",
         "from .unused import RATE", "from shop.unused import RATE as rate"],
    )  # fmt: skip
    def test_with_a_module_that_is_imported_in_a_function(self, shop, line):
        shop.edit("near", "    return", f"    {line}\n    return")
        before = shop.digest()
        shop.edit("unused", "1", "2")
        assert shop.digest() != before

    def test_with_a_module_two_imports_away(self, shop):
        shop.edit("far", "LIMIT = 5", "from shop.unused import RATE\n\nLIMIT = RATE")
        before = shop.digest()
        shop.edit("unused", "1", "2")
        assert shop.digest() != before

    @pytest.mark.parametrize("module", ["deep/__init__", "deep/leaf", "deep/other"])
    def test_with_every_module_that_an_import_runs(self, shop, module):
        (shop.folder / "deep").mkdir()
        shop.write("deep/__init__", "from .other import RATE\n")
        shop.write("deep/leaf", "LIMIT = 1\n")
        shop.write("deep/other", "RATE = 1\n")
        shop.edit("near", "    return", "    import shop.deep.leaf\n    return")
        before = shop.digest()
        shop.write(module, (shop.folder / f"{module}.py").read_text() + "MORE = 1\n")
        assert shop.digest() != before

    def test_with_code_that_moves_between_modules(self, shop):
        before = shop.digest()
        near, far = ((shop.folder / f"{name}.py").read_text() for name in ("near", "far"))
        shop.write("near", far)
        shop.write("far", near + "LIMIT = 5\n")
        assert shop.digest() != before


def test_modules_that_import_each_other_are_followed_once(shop):
    shop.edit("far", "LIMIT = 5", "import shop.own\n\nLIMIT = 5")
    assert len(shop.digest()) == 64


def test_importing_a_module_that_is_not_there_is_left_to_python(shop):
    shop.edit("near", "    return", "    import shop.absent\n    return")
    assert len(shop.digest()) == 64


def test_a_long_process_sees_an_edit_once_it_forgets(shop):
    before = shop.digest()
    shop.edit("far", "5", "600")
    assert code_of("shop-own").digest == before
    method_module.forget_code()
    assert code_of("shop-own").digest != before


class TestWhatAProjectRemembersOfCode:
    def test_what_was_parsed_once_is_not_parsed_by_the_next_command(self, shop, tmp_path, parsed):
        first = shop.digest()
        assert parsed
        code_memory.keep(tmp_path)
        parsed.clear()
        forget()
        code_memory.recall(tmp_path)
        assert code_of("shop-own").digest == first
        assert not parsed

    def test_an_edit_is_parsed_and_what_is_no_longer_run_is_dropped(self, shop, tmp_path, parsed):
        shop.digest()
        code_memory.keep(tmp_path)
        before = set(json.loads((tmp_path / CodeMemory.PLACE).read_bytes())["sources"])
        shop.edit("far", "5", "600")
        parsed.clear()
        forget()
        code_memory.recall(tmp_path)
        code_of("shop-own")
        assert len(parsed) == 1
        code_memory.keep(tmp_path)
        after = set(json.loads((tmp_path / CodeMemory.PLACE).read_bytes())["sources"])
        assert (len(before - after), len(after - before)) == (1, 1)

    @pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"by": "0"}', b'{"sources": {"a": 1}}'])
    def test_a_memory_that_cannot_be_read_is_written_anew(self, shop, tmp_path, kept):
        first = shop.digest()
        (tmp_path / CodeMemory.PLACE).parent.mkdir(exist_ok=True)
        (tmp_path / CodeMemory.PLACE).write_bytes(kept)
        forget()
        code_memory.recall(tmp_path)
        assert code_of("shop-own").digest == first
        code_memory.keep(tmp_path)
        assert json.loads((tmp_path / CodeMemory.PLACE).read_bytes())["sources"]

    def test_a_proof_parses_whatever_a_memory_says(self, shop, tmp_path):
        first = shop.digest()
        code_memory.keep(tmp_path)
        place = tmp_path / CodeMemory.PLACE
        memory = json.loads(place.read_bytes())
        for source in memory["sources"].values():
            source[0] = "0" * 64
        place.write_text(json.dumps(memory))
        forget()
        code_memory.recall(tmp_path)
        assert code_of("shop-own").digest != first
        assert code_of("shop-own", anew=True).digest == first


@pytest.fixture
def parsed(monkeypatch):
    """What was parsed, in order."""
    found = []
    parse = method_module._parsed
    monkeypatch.setattr(method_module, "_parsed", lambda text: found.append(text) or parse(text))
    return found


class TestLookup:
    def test_offers_the_methods_of_this_package(self):
        names = method_names()
        assert names == sorted(names)
        assert {"questionnaire", "opinion-items", "opinion-sft", "pluralism"} <= set(names)

    @pytest.mark.parametrize("name", ["questionnaire", "opinion-items", "opinion-sft", "pluralism"])
    def test_loads_each_under_its_own_name(self, name):
        assert load_method(name).name == name

    def test_says_which_distribution_offered_a_method(self):
        code = code_of("questionnaire")
        assert code.distribution == "chorus-registry"
        assert code.version
        assert len(code.digest) == 64

    def test_hints_at_the_name_that_was_meant(self):
        with pytest.raises(UsageError, match="no installed package offers the method") as caught:
            load_method("opinion-stf")
        assert caught.value.mend == "did you mean 'opinion-sft'?"

    def test_lists_all_names_where_none_is_near(self):
        with pytest.raises(UsageError) as caught:
            load_method("zzzz")
        assert caught.value.mend == "known methods: " + ", ".join(method_names())

    def test_refuses_an_entry_point_that_is_no_method(self, shop):
        forget()
        shop.points["shop-wrong"] = EntryPoint("shop-wrong", "shop.far:LIMIT", "chorus.methods")
        with pytest.raises(UsageError, match=r"the entry point shop\.far:LIMIT is no Method"):
            load_method("shop-wrong")


class Packaged(Frozen):
    path: SourcePath
    name: str = "name"


class Params(Frozen):
    instrument: SourcePath
    title: str = "not/a/path"
    packaged: Packaged | None = None


def a_method(**changes):
    given = {"name": "mine", "kind": "dataset", "description": "mine", "params": Params}
    return Method(run=lambda _context: None, **{**given, **changes})


class TestWhatAMethodMayRead:
    @pytest.mark.parametrize("kind", ["dataset", "model"])
    def test_evaluation_tables_are_for_evaluations_only(self, kind):
        with pytest.raises(UsageError, match="which only evaluations may read") as caught:
            a_method(kind=kind, reads=("opinions.csv", "evaluation/opinions.csv"), use="train-sft")
        assert caught.value.where == "method mine"

    def test_an_evaluation_reads_both(self):
        tables = ("opinions.csv", "evaluation/opinions.csv")
        assert a_method(kind="evaluation", reads=tables, use="evaluate").reads == tables

    def test_reading_profiles_needs_a_use(self):
        for given in ({"reads": ("opinions.csv",)}, {"profile_fields": ("languages",)}):
            with pytest.raises(UsageError, match="reads profiles but names no use"):
                a_method(**given)

    def test_no_shipped_training_method_reads_an_evaluation_table(self):
        for name in method_names():
            method = load_method(name)
            if method.kind != "evaluation":
                assert not [t for t in method.reads if t.startswith("evaluation/")], name

    def test_source_paths_are_those_that_the_parameters_mark(self):
        nested = Params(instrument="b.yaml", packaged=Packaged(path="a/model"))
        assert a_method().source_paths(nested) == ("a/model", "b.yaml")
        assert a_method().source_paths(Params(instrument="b.yaml")) == ("b.yaml",)

    def test_a_role_takes_one_artifact_and_is_needed_unless_it_says_otherwise(self):
        role = Role("dataset", "rows")
        assert not role.many
        assert not role.optional
