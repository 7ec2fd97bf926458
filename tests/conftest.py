"""Shared fixtures: quick projects with toy methods, and one real project with a tiny model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from filelock import FileLock

# The same examples in every run: a change is never refused for an example drawn by chance.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

ROOT = Path(__file__).resolve().parents[1]
CHORUS = (sys.executable, "-P", "-m", "registry.cli")

WORDS = """\
name: words
description: Some words, the same for every community.
method: toy-words
inputs: {}
params: {letter: a, rows: 5}
contract:
  - expect: expect_column_values_to_be_unique
    table: words.parquet
    column: id
    reason: Every row is numbered once.
licence: CC0-1.0
"""
LETTERS = """\
name: letters
description: Some letters, for each community its own.
method: toy-words
each: community
inputs: {}
params: {letter: b, rows: 3}
contract: []
licence: CC0-1.0
"""
COUNT = """\
name: count
description: Counts the words and letters, and the people of one community.
method: toy-count
each: community
inputs:
  words: [words, letters]
params: {scale: 1}
contract: []
licence: CC0-1.0
"""
TOTAL = """\
name: total
description: Counts the letters of every community at once.
method: toy-count
inputs:
  words: letters
params: {}
contract: []
licence: CC0-1.0
"""
RANDOM = """\
name: random
description: A model that knows no language.
method: random-model
inputs: {}
params: {hidden_size: 32, layers: 2}
contract: []
licence: CC0-1.0
"""
PARROT = """\
name: parrot
description: The same model for each community.
method: toy-parrot
each: community
inputs: {base: random}
params: {}
contract: []
licence: CC0-1.0
"""
PARROT_TESTS = """\
name: parrot-tests
description: Puts each community's own tests to its model.
method: community-tests
each: community
inputs: {model: parrot}
params: {}
contract: []
licence: CC0-1.0
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Folder:
    """A project on disk, driven through the command line as its users do."""

    root: Path
    env: Mapping[str, str] = field(repr=False)

    def copied(self, to: Path) -> Folder:
        """The project in another folder, with all that lies beside it."""
        shutil.copytree(self.root.parent, to, symlinks=True, dirs_exist_ok=True)
        return Folder(to / self.root.name, self.env)

    def chorus(self, *arguments: str, expect: int | None = 0, **env: str) -> Done:
        """Runs `chorus`; fails the test where it ends otherwise than expected."""
        return self.run(*self.command(*arguments), expect=expect, **env)

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The command line of `chorus` in this interpreter."""
        return (*CHORUS, *arguments)

    def dvc(self, *arguments: str, expect: int | None = 0, **env: str) -> Done:
        """Runs `dvc`."""
        return self.run(sys.executable, "-m", "dvc", *arguments, expect=expect, **env)

    def run(self, *command: str, expect: int | None = 0, timeout: float = 300, **env: str) -> Done:
        """Runs any program in the project."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert expect is None or done.returncode == expect, f"{command}\n{done.stdout}{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `chorus` without waiting for it."""
        return subprocess.Popen(
            [*CHORUS, *arguments],
            cwd=self.root,
            env=dict(self.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self) -> dict[str, str]:
        """The state of every node."""
        return {n["node"]: n["state"] for n in self.chorus("status", "--json").json["nodes"]}

    def reasons(self, node: str) -> list[str]:
        """Why a node is where it stands."""
        nodes = self.chorus("status", "--json").json["nodes"]
        return next(n["reasons"] for n in nodes if n["node"] == node)

    def declare(self, folder: str, text: str) -> Path:
        """Writes a declaration."""
        name = text.split("\n", 1)[0].removeprefix("name: ")
        path = self.root / "registry" / folder / f"{name}.yaml"
        path.write_text(text)
        return path

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces text in a file of the project."""
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))

    def snapshot(self) -> dict[str, bytes]:
        """The bytes of every artifact and every lock."""
        files = [p for p in (self.root / "data").rglob("*") if p.is_file()]
        found = {p.relative_to(self.root).as_posix(): p.read_bytes() for p in sorted(files)}
        for lock in self.root.rglob("dvc.lock"):
            # Entries stand in the order in which they were recorded, which says nothing.
            entries = yaml.safe_load(lock.read_bytes())["stages"]
            for name, entry in entries.items():
                found[f"{lock.relative_to(self.root)}: {name}"] = yaml.safe_dump(entry).encode()
        return found


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts background jobs with Ctrl-C ignored, and children inherit that; undo it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _environment(*pythonpath: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DVC", "GIT_", "CHORUS"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    if pythonpath:
        env["PYTHONPATH"] = os.pathsep.join(str(p) for p in pythonpath)
    env["GIT_CONFIG_GLOBAL"] = os.devnull
    env["DVC_NO_ANALYTICS"] = "1"
    return env


@pytest.fixture(scope="session")
def toy_methods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny separate package with methods, installed into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "toy"
    shutil.copytree(ROOT / "tests" / "packages" / "toy", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(source)], check=True)
    return target


def trust_a_new_key(folder: Folder) -> tuple[str, str]:
    """Makes a key beside a project, which trusts it; returns the option that signs with it."""
    key = str(folder.root.parent / "key.pem")
    folder.chorus("key", "new", key, "--no-passphrase")
    folder.chorus("key", "trust", f"{key}.pub", "--name", "amina")
    return "--sign-with", key


@pytest.fixture(scope="session")
def _toy_template(tmp_path_factory: pytest.TempPathFactory, toy_methods: Path) -> Folder:
    root = tmp_path_factory.mktemp("toy") / "project"
    for folder in ("datasets", "models", "evaluations"):
        (root / "registry" / folder).mkdir(parents=True)
    for community in ("age-22-34", "age-65-plus"):
        shutil.copytree(ROOT / "value_profiles" / community, root / "value_profiles" / community)
    for name in ("gitignore", "dvcignore"):
        shutil.copy(ROOT / "registry" / "templates" / name, root / f".{name}")
    folder = Folder(root, _environment(toy_methods))
    folder.declare("datasets", WORDS)
    folder.declare("datasets", LETTERS)
    folder.declare("models", COUNT)
    folder.declare("models", TOTAL)
    folder.run("git", "init", "--quiet", "--initial-branch=main")
    folder.run("git", "config", "user.email", "test@chorus.invalid")
    folder.run("git", "config", "user.name", "Test")
    folder.dvc("init", "--quiet")
    folder.dvc("config", "core.analytics", "false")
    folder.chorus("sync")
    return folder


@pytest.fixture
def toy(_toy_template: Folder, tmp_path: Path) -> Folder:
    """A project with quick methods of another package; nothing is made yet."""
    return _toy_template.copied(tmp_path)


@pytest.fixture(scope="session")
def _talking_template(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("talking"))
    root = folder.root
    for name in ("models/count", "models/total", "datasets/words", "datasets/letters"):
        (root / "registry" / f"{name}.yaml").unlink()
    folder.declare("models", RANDOM)
    folder.declare("models", PARROT)
    folder.declare("evaluations", PARROT_TESTS)
    (root / "registry" / "instruments").mkdir()
    shutil.copy(ROOT / "registry/instruments/civic-2020.yaml", root / "registry/instruments")
    folder.chorus("sync")
    folder.chorus("make", "parrot@age-22-34", "--upstream")
    return folder


@pytest.fixture
def talking(_talking_template: Folder, tmp_path: Path) -> Folder:
    """A project in which a random model of one group is made, and no test stands yet."""
    return _talking_template.copied(tmp_path)


@pytest.fixture(scope="session")
def _tiny_template(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Made once, whichever of the test processes needs it first."""
    base = tmp_path_factory.getbasetemp()
    where = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    where.mkdir(exist_ok=True)
    parent = Folder(where, _environment())
    with FileLock(where / ".lock"):
        if not (where / ".made").exists():
            parent.chorus("demo", "project", "--size", "tiny")
            (where / ".made").touch()
    return Folder(where / "project", parent.env)


@pytest.fixture
def tiny(_tiny_template: Folder, tmp_path: Path) -> Folder:
    """The demo with a tiny random model, everything made and recorded."""
    return _tiny_template.copied(tmp_path)


def children_of(parent: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def main_job(folder: Folder) -> dict[str, str]:
    """What the demo makes: each node, and the name of its stage in DVC."""
    from registry.cli.demo import MAIN_JOB
    from registry.graph import load_graph
    from registry.store import pipeline_path

    graph = load_graph(folder.root)
    job = graph.upstream([graph.node(name) for name in MAIN_JOB])
    return {node.id: f"{pipeline_path(node.community)}:{node.name}" for node in job}
