"""Starts the child processes in which a method runs, and tells how they ended.

Every door starts them in the same way; `registry.child` is their other side. There is one, unless
the declaration asks for more and the method can be shared: then each has a number, the first writes
the artifact, and when one fails all end. A method that asks for it is started again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from registry import errors
from registry.child import environment
from registry.errors import AgainError, ChorusError, ExitCode, MethodError
from registry.graph import Graph, Node
from registry.ran import Ran
from registry.runs import RunFiles, read_ran
from registry.status import Causes

_CHILDREN: set[subprocess.Popen[bytes]] = set()
"""The methods that run now, for an interrupt to end them."""
_STARTS = 16
"""How often a method may ask to be started, all in all."""
_LOOK_EVERY = 0.2
"""Seconds between looks at whether another of several processes has failed."""
_STOPPED = (ExitCode.INTERRUPTED, -signal.SIGINT, -signal.SIGTERM)
"""How a child ends that was told to."""


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
        "processes": causes.processes,
        "network": method.network,
        "out": str(out),
        "work": str(work),
        "root": str(graph.project.root),
        "events": str(files.events),
        "said": str(files.ran),
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


def run_method(
    request: Mapping[str, Any],
    files: RunFiles,
    lock: IO[str],
    ran: Callable[[Ran], None] = lambda _ran: None,
) -> None:
    """Runs one request in children that inherit the node's lock; raises what went wrong in them.

    Args:
        request: What `build_request` made.
        files: Where the run keeps its log.
        lock: The node's lock, held as long as one child lives.
        ran: Told what the method says that it runs on.
    """
    others = Path(request["work"]).with_name("others")
    for attempt in range(_STARTS):
        shutil.rmtree(others, ignore_errors=True)
        try:
            _run_once(request, others, files, lock, ran)
        except AgainError as error:
            if attempt + 1 == _STARTS:
                raise
            with files.log.open("a") as log:
                log.write(f"{error.what}\n")
            shutil.rmtree(request["out"])
            Path(request["out"]).mkdir()
        else:
            return
        finally:
            shutil.rmtree(others, ignore_errors=True)


def _run_once(
    request: Mapping[str, Any],
    others: Path,
    files: RunFiles,
    lock: IO[str],
    ran: Callable[[Ran], None],
) -> None:
    requests = [_request_of(request, process, others) for process in range(request["processes"])]
    children: list[subprocess.Popen[bytes]] = []
    try:
        for one in requests:
            children.append(_start(one, files.log_of(one["process"]), lock))
            _CHILDREN.add(children[-1])
        failed = _wait(children, files, ran)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
            _CHILDREN.discard(child)
    if not failed:
        return
    if any(child.returncode in _STOPPED for child in failed):
        raise KeyboardInterrupt
    first = min(failed, key=lambda child: _when(requests[children.index(child)]))
    one = requests[children.index(first)]
    raise _child_error(one, first.returncode, files.log_of(one["process"]))


def _request_of(request: Mapping[str, Any], process: int, others: Path) -> dict[str, Any]:
    """The request as one process gets it: only the first writes where the artifact is made."""
    own = {**request, "process": process}
    if request["processes"] > 1:
        others.mkdir(exist_ok=True)
        own["meeting"] = str(others / "meeting")
    if process:
        out = others / str(process)
        out.mkdir()
        error = Path(request["error"]).with_name(f"error-{process}.json")
        own |= {"out": str(out), "events": os.devnull, "error": str(error), "said": None}
    Path(own["error"]).unlink(missing_ok=True)
    return own


def _start(request: Mapping[str, Any], log: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "registry.child"],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(request, os.environ),
            pass_fds=[lock.fileno()],
            cwd=request["root"],
        )
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    # A child that has ended already says why by its status.
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(json.dumps(request).encode())
    return child


def _wait(
    children: Sequence[subprocess.Popen[bytes]], files: RunFiles, ran: Callable[[Ran], None]
) -> list[subprocess.Popen[bytes]]:
    """Waits until all have ended, or one has failed; returns those that had failed by then."""
    running, told = list(children), None
    while running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running[0].wait(_LOOK_EVERY)
        now = read_ran(files)
        if now is not None and now != told:
            ran(now)
            told = now
        if failed := [child for child in running if child.poll()]:
            return failed
        running = [child for child in running if child.poll() is None]
    return []


def _when(request: Mapping[str, Any]) -> float:
    """When a child failed; one that could not say so was killed, and the others noticed."""
    try:
        return Path(request["error"]).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


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


def _child_error(request: Mapping[str, Any], code: int, log: Path) -> ChorusError:
    try:
        described = json.loads(Path(request["error"]).read_text())
    except (OSError, ValueError):
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        described = {"kind": "MethodError", "what": f"the method {request['method']} {how}"}
    kind = getattr(errors, described.pop("kind"), MethodError)
    if kind is MethodError:
        described.setdefault("why", "the artifact that stood there before is untouched")
        described.setdefault("mend", f"see the log {log}")
    described["where"] = described.get("where") or request["node"]
    error: ChorusError = kind(described.pop("what"), **described)
    return error
