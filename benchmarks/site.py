"""Prints how long the reviewer's pages take: `python -m benchmarks.site`.

1,000 recorded artifacts of 250 groups: the whole site from nothing, the same where nothing changed,
and where one dataset and the model made from it did. Beside an interpreter that does nothing.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from benchmarks.speed import CHORUS, add_groups, seconds
from registry.artifact import (
    ArtifactPath,
    Hasher,
    InputEntry,
    Manifest,
    MethodEntry,
    ProfileEntry,
    content_digest,
    digest_of,
)
from registry.declaration import FOLDERS
from registry.graph import Graph, Node, load_graph
from registry.method import code_of
from registry.results import Result, Results
from registry.row_counts import count_rows
from registry.store import lock_path, md5, sync

GROUPS = 250
NAMES = ("opinion-items", "community-sft", "option-probabilities-community", "community-rl")
ROWS = 200


def many_artifacts(root: Path) -> Graph:
    """A project of four recorded artifacts for each group, each with files of its kind."""
    package = Path(__file__).resolve().parents[1] / "registry"
    for kind in (*FOLDERS, "instruments"):
        (root / "registry" / kind).mkdir(parents=True)
    shutil.copytree(package / "instruments", root / "registry" / "instruments", dirs_exist_ok=True)
    for name in (*NAMES, "questionnaire", "smollm2-135m"):
        (source,) = package.glob(f"*/{name}.yaml")
        shutil.copy(source, root / "registry" / source.parent.name)
    add_groups(root, GROUPS)
    (root / ".gitignore").write_text("/data/\n/.chorus/\n/site/\n")
    for git in (["init", "-q"], ["config", "user.email", "b@chorus.invalid"],
                ["config", "user.name", "b"]):  # fmt: skip
        subprocess.run(["git", *git], cwd=root, check=True)
    graph = load_graph(root)
    sync(graph)
    for node in graph.nodes.values():
        make(graph, node, 0)
    record(graph)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", "commit", "-qm", "made"], cwd=root, check=True)
    return graph


def make(graph: Graph, node: Node, turn: int) -> None:
    """Writes an artifact as its method would, without training anything."""
    artifact = graph.artifact(node)
    artifact.files.mkdir(parents=True, exist_ok=True)
    if node.declaration.kind == "dataset":
        rows = [
            {"row_id": f"{n:016x}", "item": f"Q{n}", "question": f"{node.id}, {turn}: how often?"}
            for n in range(ROWS)
        ]
        pl.DataFrame(rows).write_parquet(artifact.files / "items.parquet")
        left = [{"row_id": f"{n:x}", "reason": "held out", "caused_by": ""} for n in range(20)]
        pl.DataFrame(left).write_parquet(artifact.files / "rejected.parquet")
    elif node.declaration.kind == "model":
        (artifact.files / "model.safetensors").write_bytes(f"{node.id} {turn}".encode() * 2000)
        (artifact.files / "config.json").write_text(json.dumps({"node": node.id}))
    else:
        about = node.edges[0].node
        one = Result(about=about, community=node.community or "", slice="asked", value=0.1,
                     metric="total variation", lower_is_better=True, low=0.05, high=0.15,
                     items=31, people=600, beside={"uniform": 0.3})  # fmt: skip
        Results(results=(one,)).write(artifact.files)
    artifact.manifest.write_bytes(_manifest(graph, node, artifact).to_bytes())


def _manifest(graph: Graph, node: Node, artifact: ArtifactPath) -> Manifest:
    files = Hasher(None).tree(artifact.files)
    code = code_of(node.declared.method.name)
    profiles = []
    for community, use in graph.permissions(node).items():
        profile = graph.project.profiles[community]
        data = profile.document.data
        tables = node.declared.method.reads if community in node.reads else ()
        profiles.append(
            ProfileEntry(
                id=community,
                use=use,
                permission=profile.profile.permission,
                fields={},
                consent=digest_of([data["permission"], data["consent"]]),
                tables={name: Hasher(None).file(profile.table(name)) for name in tables},
            )
        )
    inputs = [
        InputEntry(role=edge.role, node=edge.node, content=found.content)
        for edge in node.edges
        if (found := graph.artifact(edge.node).read_manifest())
    ]
    return Manifest(
        node=node.id, kind=node.declaration.kind, licence=node.declaration.licence, params={},
        method=MethodEntry(name=node.declared.method.name, code=code.digest,
                           distribution=code.distribution, version=code.version),
        seed=0, threads=1, device="cpu", dtype=None, libraries={}, inputs=tuple(inputs),
        profiles=tuple(profiles), sources=(), checks=(), rows=count_rows(artifact.files, files),
        files=files, content=content_digest(files),
    )  # fmt: skip


def record(graph: Graph) -> None:
    """Writes the locks as DVC would."""
    locks: dict[str, dict[str, object]] = {}
    for node in graph.nodes.values():
        raw = graph.artifact(node).manifest.read_bytes()
        out = {"path": f"{node.path}/manifest.json", "md5": md5(raw), "size": len(raw)}
        entry = {"cmd": f"chorus make {node.id}", "outs": [out]}
        locks.setdefault(lock_path(node.community), {})[node.name] = entry
    for path, stages in locks.items():
        text = yaml.safe_dump({"schema": "2.0", "stages": stages})
        (graph.project.root / path).write_text(text)


class Turn(NamedTuple):
    """One build."""

    wall: float
    processor: float
    said: dict[str, int]

    def line(self, what: str, claim: str = "") -> None:
        """Prints it: wall seconds, and processor seconds, which other work slows less."""
        files = f"{self.said['written']:,} files written"
        print(f"{what:<46}{self.wall:6.2f} s ({self.processor:.2f} s)  {claim:<18} {files}")


def build(root: Path) -> Turn:
    """Builds the site once, as its user does."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*CHORUS, "site", "build", "site", "--json"], cwd=root, check=True,
                          capture_output=True)  # fmt: skip
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Turn(wall, processor, json.loads(done.stdout))


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "project"
        graph = many_artifacts(root)
        empty = seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
        print("wall seconds (processor seconds)")
        print(f"{'an interpreter that does nothing':<46}{empty:6.2f} s")
        build(root).line("1,002 artifacts, from nothing", "claim: under 20")
        build(root).line("the same, nothing changed")
        for node in ("opinion-items@group-100", "community-sft@group-100"):
            make(graph, graph.nodes[node], 1)
        record(graph)
        build(root).line("the same, one dataset and its model changed", "claim: under 2")


if __name__ == "__main__":
    main()
