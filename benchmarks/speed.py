"""Prints every speed that the project claims: `make bench`, or `python -m benchmarks.speed`.

Machines are noisy: each figure is the median of several runs, beside a plain yardstick of the same
moment. With `--train` the overhead of `chorus make` is measured on the real training (minutes).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from registry.artifact import write_atomically
from registry.graph import Graph, load_graph
from registry.starter import shipped_profiles
from registry.store import pipeline_path, record, stage_of, sync

CHORUS = (sys.executable, "-P", "-m", "registry.cli")
COMMUNITIES, DATASETS = 250, 4


def seconds(action: Callable[[], object], runs: int = 5) -> float:
    """Median wall seconds of an action, after one run to warm up."""
    action()
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def add_groups(root: Path, count: int) -> None:
    """Copies one shipped profile under so many ids."""
    for number in range(count):
        target = root / "value_profiles" / f"group-{number:03d}"
        shutil.copytree(shipped_profiles() / "age-22-34", target)
        profile = target / "profile.yaml"
        profile.write_text(profile.read_text().replace("id: age-22-34", f"id: {target.name}"))


def command(folder: Path, *arguments: str) -> Callable[[], object]:
    """A command that is run in a folder, its output dropped."""
    return lambda: subprocess.run(arguments, cwd=folder, check=True, capture_output=True)


def line(name: str, value: float, limit: str, beside: str) -> None:
    """Prints one figure."""
    print(f"{name:<58} {value:7.3f} s   {limit:<22} {beside}", flush=True)


def measure_help(folder: Path) -> None:
    """`chorus --help` beside an interpreter that does nothing."""
    plain = seconds(command(folder, sys.executable, "-c", "pass"), 9)
    found = seconds(command(folder, *CHORUS, "--help"), 9)
    line("chorus --help", found, "(claim: under 0.3)", f"an empty interpreter: {plain:.3f} s")


def measure_status(folder: Path) -> None:
    """`chorus status` on a demo with everything current, beside `dvc status`."""
    subprocess.run([*CHORUS, "demo", "demo", "--size", "tiny"], cwd=folder, check=True,
                   capture_output=True)  # fmt: skip
    demo = folder / "demo"
    found = seconds(command(demo, *CHORUS, "status"))
    dvc = seconds(command(demo, sys.executable, "-m", "dvc", "status"), 3)
    line(
        "chorus status, everything current", found, "(claim: under 1.5)", f"dvc status: {dvc:.3f} s"
    )


def large_project(folder: Path) -> Graph:
    """A project of 1,000 fanned-out nodes, every artifact in place."""
    root = folder / "large"
    for kind in ("datasets", "models", "evaluations", "instruments"):
        (root / "registry" / kind).mkdir(parents=True)
    package = Path(__file__).resolve().parents[1] / "registry"
    shutil.copy(package / "datasets" / "questionnaire.yaml", root / "registry" / "datasets")
    shutil.copytree(package / "instruments", root / "registry" / "instruments", dirs_exist_ok=True)
    declared = (package / "datasets" / "opinion-items.yaml").read_text()
    for number in range(DATASETS):
        name = f"opinion-items-{number}"
        text = declared.replace("name: opinion-items", f"name: {name}")
        (root / "registry" / "datasets" / f"{name}.yaml").write_text(text)
    add_groups(root, COMMUNITIES)
    (root / ".gitignore").write_text("/data/\n/.chorus/\n")
    for git in (["init", "-q"], ["config", "user.email", "b@chorus.invalid"],
                ["config", "user.name", "b"]):  # fmt: skip
        subprocess.run(["git", *git], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    graph = load_graph(root)
    sync(graph)
    first = next(n for n in graph.nodes.values() if n.community)
    subprocess.run([*CHORUS, "make", first.id, "--upstream"], cwd=root, check=True,
                   capture_output=True)  # fmt: skip
    made = root / first.path
    for node in graph.nodes.values():
        if node.community and node.id != first.id:
            shutil.copytree(made, root / node.path)
            marker = root / node.path / "files" / "node.txt"
            marker.write_text(node.id)
    return graph


def measure_record(folder: Path) -> None:
    """Recording one artifact among 1,000, beside the same with one pipeline file for all."""
    graph = large_project(folder)
    root, nodes = graph.project.root, list(graph.nodes.values())
    record(graph, nodes)
    node = next(n for n in nodes if n.community == "group-123")
    marker = root / node.path / "files" / "node.txt"

    def touch() -> None:
        marker.write_text(str(time.time_ns()))

    def split() -> None:
        touch()
        record(graph, [node])

    found = seconds(split)
    single = _single_lock(folder, graph)
    with contextlib.chdir(single):
        name = f"{node.name}-{node.community}"
        commit = command(single, sys.executable, "-m", "dvc", "commit", "-f", "-q", name)

        def whole() -> None:
            (single / node.path / "files" / "node.txt").write_text(str(time.time_ns()))
            commit()

        one_file = seconds(whole, 1)
    line(
        "recording one artifact in a project of 1,000 nodes",
        found,
        "(claim: under 0.7)",
        f"dvc commit, one lock for all: {one_file:.3f} s ({one_file / found:.0f} times)",
    )


def _single_lock(folder: Path, graph: Graph) -> Path:
    """The same project with all stages in one pipeline file, as one would write it by hand."""
    import yaml

    single = folder / "single"
    shutil.copytree(graph.project.root, single, symlinks=True)
    stages, locks = {}, {}
    for node in graph.nodes.values():
        stage = stage_of(graph, node)
        stage.pop("wdir", None)
        name = f"{node.name}-{node.community}" if node.community else node.name
        stages[name] = stage
        lock = single / pipeline_path(node.community).replace("dvc.yaml", "dvc.lock")
        locks[name] = yaml.load(lock.read_bytes(), Loader=yaml.CSafeLoader)["stages"][node.name]
    shutil.rmtree(single / "registry" / "pipelines")
    write_atomically(single / "dvc.yaml", yaml.safe_dump({"stages": stages}).encode())
    content = yaml.safe_dump({"schema": "2.0", "stages": locks}).encode()
    write_atomically(single / "dvc.lock", content)
    return single


def measure_make(folder: Path, *, train: bool) -> None:
    """What `chorus make` adds to the method's own process: hashing, checks, swap, record."""
    size = "default" if train else "tiny"
    project = folder / f"make-{size}"
    init = [*CHORUS, "init", str(project), "--communities", "age-22-34", "--size", size]
    subprocess.run(init, check=True, capture_output=True)
    node = "community-sft@age-22-34"
    up = [*CHORUS, "make", "opinion-items@age-22-34", "option-probabilities-base", "--upstream"]
    subprocess.run(up, cwd=project, check=True, capture_output=True)
    started = time.perf_counter()
    subprocess.run([*CHORUS, "make", node], cwd=project, check=True, capture_output=True)
    wall = time.perf_counter() - started
    runs = sorted((project / ".chorus" / "runs" / node).glob("*.json"))
    method = json.loads(runs[-1].read_text())["method_seconds"]
    over = wall - method
    line(
        f"overhead of chorus make {node} ({size})",
        over,
        "(claim: under 5, 3 %)",
        f"{over / method:.1%} of the training script's {method:.1f} s",
    )


def main() -> None:
    """Measures everything in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--train", action="store_true", help="measure on the real training, too")
    arguments = parser.parse_args()
    os.environ["DVC_NO_ANALYTICS"] = "1"
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as name:
        folder = Path(name)
        measure_help(folder)
        measure_status(folder)
        measure_record(folder)
        measure_make(folder, train=False)
        if arguments.train:
            measure_make(folder, train=True)


if __name__ == "__main__":
    main()
