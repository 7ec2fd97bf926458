"""Starts the child process in which a method runs, and tells how it ended.

Every door starts it in the same way; `registry.child` is its other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from registry import errors
from registry.child import environment
from registry.errors import ChorusError, ExitCode, MethodError
from registry.graph import Graph, Node
from registry.runs import RunFiles
from registry.status import Causes

_CHILDREN: set[subprocess.Popen[bytes]] = set()
"""The methods that run now, for an interrupt to end them."""


def choose_device(node: Node) -> str:
    """`cuda` where the node asks for a GPU and the machine shows one, else `cpu`."""
    wanted = node.declaration.resources.gpus > 0
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "all") not in ("", "-1")
    return "cuda" if wanted and shown and Path("/proc/driver/nvidia/version").exists() else "cpu"


def build_request(
    graph: Graph,
    node: Node,
    causes: Causes,
    device: str,
    out: Path,
    work: Path,
    files: RunFiles,
) -> dict[str, Any]:
    """What the child needs to know, as JSON."""
    method = node.declared.method
    roles: dict[str, list[dict[str, Any]]] = {}
    for edge in node.edges:
        upstream = graph.nodes[edge.node]
        roles.setdefault(edge.role, []).append(
            {
                "name": upstream.name,
                "community": upstream.community,
                "files": str(graph.artifact(upstream).files),
            }
        )
    return {
        "method": method.name,
        "node": node.id,
        "community": node.community,
        "params": causes.params,
        "seed": causes.seed,
        "device": device,
        "threads": causes.threads,
        "network": method.network,
        "out": str(out),
        "work": str(work),
        "root": str(graph.project.root),
        "events": str(files.events),
        "error": str(work / "error.json"),
        "parent": os.getpid(),
        "roles": roles,
        "profiles": [
            {
                "id": profile.id,
                "name": profile.profile.name,
                "folder": str(profile.home),
                "tables": method.reads,
                "fields": {n: profile.document.data.get(n) for n in method.profile_fields},
            }
            for profile in graph.profiles_of(node)
        ],
    }


def run_method(request: Mapping[str, Any], files: RunFiles, lock: IO[str]) -> None:
    """Runs one request in a child that inherits the node's lock; raises what went wrong in it."""
    with files.log.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "registry.child"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(request, os.environ),
            pass_fds=[lock.fileno()],
            cwd=request["root"],
        )
        _CHILDREN.add(child)
        try:
            child.communicate(json.dumps(request).encode())
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            _CHILDREN.discard(child)
    if child.returncode == 0:
        return
    if child.returncode in (ExitCode.INTERRUPTED, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    raise _child_error(request, child.returncode, files)


def stop_children(grace: float = 5.0) -> None:
    """Interrupts every method that runs in a child of this process; kills what does not end."""
    children = list(_CHILDREN)
    for child in children:
        child.send_signal(signal.SIGTERM)
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
            continue
        child.kill()


def _child_error(request: Mapping[str, Any], code: int, files: RunFiles) -> ChorusError:
    try:
        described = json.loads(Path(request["error"]).read_text())
    except (OSError, ValueError):
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        described = {"kind": "MethodError", "what": f"the method {request['method']} {how}"}
    kind = getattr(errors, described.pop("kind"), MethodError)
    if kind is MethodError:
        described.setdefault("why", "the artifact that stood there before is untouched")
        described.setdefault("mend", f"see the log {files.log}")
    described["where"] = described.get("where") or request["node"]
    error: ChorusError = kind(described.pop("what"), **described)
    return error
