"""Tracing in a long history, side by side: `python -m benchmarks.lineage [--small]`.

A repository is made whose commits record 100,000 artifacts and 100 releases. The index is built
from nothing, brought up to date after one more commit, and asked what a release was made from and
what was made from a table. Beside it stand DVC's own index of that revision, and MLflow's search
over as many runs as one commit records, where `MLFLOW_PYTHON` names a Python that has it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.speed import seconds
from registry.history import History

CHORUS = (sys.executable, "-P", "-m", "registry.cli")
NODES = ("items", "filtered", "sft", "rl")
"""A chain in each community: each is made from the one before."""
_MLFLOW = """
import json, sys, time, mlflow
mlflow.set_tracking_uri("file:" + sys.argv[1])
from mlflow.tracking import MlflowClient
client, graph = MlflowClient(), json.load(sys.stdin)
experiment = client.create_experiment("lineage")
for node, inputs in graph.items():
    run = client.create_run(experiment, tags={"node": node, "made_from": inputs})
def trace(node):
    (run,) = client.search_runs([experiment], f"tags.node = '{node}'")
    above = run.data.tags["made_from"]
    return [node, *(trace(above) if above else [])]
last = list(graph)[-1]
trace(last)
started = time.perf_counter()
assert len(trace(last)) == 4
print(time.perf_counter() - started)
"""


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def entry(community: str, version: int, place: int) -> str:
    """One stage of a lock as DVC writes it, in its usual length."""
    name, seed = NODES[place], f"{community} {NODES[place]} {version}"
    above = (
        f"data/{NODES[place - 1]}/{community}/files",
        md5(f"{community} {NODES[place - 1]} {version}") + ".dir",
    )
    table = (f"value_profiles/{community}/opinions.csv", md5(community))
    path, digest = above if place else table
    out = f"data/{name}/{community}"
    return f"""\
  {name}:
    cmd: chorus make {name}@{community}
    deps:
    - path: {path}
      hash: md5
      md5: {digest}
      size: 7581
    params:
      registry/code.yaml:
        methods.toy-{name}: {hashlib.sha256(name.encode()).hexdigest()}
      registry/datasets/{name}.yaml:
        contract:
        - expect: expect_column_values_to_be_unique
          table: items.parquet
          column: row_id
          reason: Rows keep their identity, so that lineage can name them.
        inputs: {{}}
        method: toy-{name}
        params:
          steps: {version}
    outs:
    - path: {out}/files
      hash: md5
      md5: {md5(seed)}.dir
      size: 9575
      nfiles: 1
    - path: {out}/manifest.json
      hash: md5
      md5: {md5(seed + " manifest")}
      size: 2114
"""


def manifest(community: str, version: int, place: int) -> str:
    node = f"{NODES[place]}@{community}"
    inputs = [{"role": "data", "node": f"{NODES[place - 1]}@{community}",
               "content": md5(f"{place - 1} {version}")}] if place else []  # fmt: skip
    return json.dumps({"node": node, "content": md5(f"{place} {version}"), "inputs": inputs,
                       "profiles": [], "sources": [], "kind": "model", "rows": {},
                       "method": {"name": f"toy-{NODES[place]}"}})  # fmt: skip


def commits(communities: int, versions: range) -> Iterator[str]:
    """A stream for `git fast-import`: every lock in every commit, and a release in each."""
    for version in versions:
        when = f"b <b@chorus.invalid> {1700000000 + version} +0000"
        yield f"commit refs/heads/main\ncommitter {when}\ndata 1\nx\n"
        if version == versions.start and version:
            yield "from refs/heads/main^0\n"
        yield inline(".dvc/config", "")
        for number in range(communities):
            community = f"group-{number:03d}"
            folder = f"registry/pipelines/{community}"
            entries = [entry(community, version, place) for place in range(len(NODES))]
            yield inline(f"{folder}/dvc.lock", "schema: '2.0'\nstages:\n" + "".join(entries))
            if version == 0:
                yield inline(f"{folder}/dvc.yaml", pipeline(community))
        folder = f"releases/rl/group-000/{version}.0.0"
        for place, name in enumerate(NODES):
            path = f"{folder}/lineage/{name}@group-000.json"
            yield inline(path, manifest("group-000", version, place))
        yield inline(f"{folder}/release.json", json.dumps({"node": "rl@group-000"}))
        yield f"tag rl/group-000@v{version}.0.0\nfrom refs/heads/main\ntagger {when}\ndata 1\nx\n"


def inline(path: str, text: str) -> str:
    return f"M 644 inline {path}\ndata {len(text)}\n{text}\n"


def pipeline(community: str) -> str:
    """The stages that the locks of a community record, as `chorus sync` would write them."""
    stages = {}
    for place, name in enumerate(NODES):
        above = f"data/{NODES[place - 1]}/{community}/files"
        table = f"value_profiles/{community}/opinions.csv"
        out = f"data/{name}/{community}"
        stages[name] = {"cmd": f"chorus make {name}@{community}", "wdir": "../../..",
                        "deps": [above if place else table],
                        "outs": [f"{out}/files", f"{out}/manifest.json"]}  # fmt: skip
    return json.dumps({"stages": stages})


def repository(root: Path, communities: int, versions: int) -> None:
    for folder in ("registry", "value_profiles"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    extend(root, communities, range(versions))


def extend(root: Path, communities: int, versions: range) -> None:
    imported = ["git", "fast-import", "--quiet"]
    with subprocess.Popen(imported, cwd=root, stdin=subprocess.PIPE, text=True) as stream:
        assert stream.stdin is not None
        for part in commits(communities, versions):
            stream.stdin.write(part)
        stream.stdin.close()
        assert stream.wait() == 0


def once(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def say(name: str, value: float, beside: str) -> None:
    print(f"{name:<58} {value:8.3f} s   {beside}", flush=True)


def dvc_trace(root: Path, tag: str) -> str:
    """DVC's own index of that revision, and its graph from one stage up."""
    from dvc.repo import Repo

    wanted = "registry/pipelines/group-000/dvc.yaml:rl"
    started = time.perf_counter()
    with Repo(str(root), rev=tag) as repo:
        (stage,) = [one for one in repo.index.stages if one.addressing.endswith(wanted)]
        found = [stage]
        for one in found:
            found += repo.index.graph.successors(one)
    assert len(found) == len(NODES)
    return f"DVC's index of that revision: {time.perf_counter() - started:.3f} s"


def mlflow_trace(folder: Path, communities: int) -> str:
    python = os.environ.get("MLFLOW_PYTHON")
    if not python:
        return "MLflow: not installed here (MLFLOW_PYTHON)"
    graph = {f"{name}-{number}": f"{NODES[place - 1]}-{number}" if place else ""
             for number in range(communities) for place, name in enumerate(NODES)}  # fmt: skip
    done = subprocess.run(
        [python, "-c", _MLFLOW, str(folder / "mlruns")],
        input=json.dumps(graph),
        text=True,
        capture_output=True,
        check=False,
        env=os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true"},
    )
    if done.returncode:
        return f"MLflow failed: {done.stderr.strip().splitlines()[-1]}"
    return f"MLflow's file store over {len(graph):,} runs: {float(done.stdout.split()[-1]):.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a hundredth of the history")
    communities, versions = (25, 10) if parser.parse_args().small else (250, 100)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "project"
        repository(root, communities, versions)
        tag = f"rl/group-000@v{versions - 1}.0.0"
        built = once(lambda: History(root).close())
        history = History(root)
        say(f"index of {history.count():,} records from nothing", built, "(claim: under 60)")
        node, commit = history.node_of_release(tag) or ("", "")
        number = history.at(commit, node) or 0
        assert len(history.made_from(number)) == len(NODES)
        trace = seconds(lambda: history.made_from(history.at(commit, node) or 0))
        beside = f"{dvc_trace(root, tag)}; {mlflow_trace(Path(scratch), communities)}"
        say("what a release was made from, warm", trace, f"(claim: under 0.3)  {beside}")
        table = "value_profiles/group-007/opinions.csv"
        assert len(history.made_with(history.using(table))) == len(NODES) * versions
        back = seconds(lambda: history.made_with(history.using(table)))
        say(f"the {len(NODES) * versions:,} records ever made from a table, warm", back, "")
        history.close()
        say("opening an index that is up to date", seconds(lambda: History(root).close()), "")
        extend(root, communities, range(versions, versions + 1))
        added = once(lambda: History(root).close())
        say(f"following one commit of {communities * len(NODES):,} new records", added, "")
        asked = [*CHORUS, "lineage", "impact", "--source", table, "--json"]
        run = seconds(lambda: subprocess.run(asked, cwd=root, check=True, capture_output=True), 3)
        say("the same as a command", run, "(claim: under 0.6)")


if __name__ == "__main__":
    main()
