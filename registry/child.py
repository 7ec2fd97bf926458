"""The child process in which every door runs a method: `python -P -m registry.child`.

It reads one request from standard input, runs the method, and leaves either files or an error file.
Threads, seed, hash seed, device and offline switches are set by the parent in its environment,
before any library is loaded: thread counts alone change the digests of weights.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.context import Context, Input, ProfileView
from registry.errors import ChorusError, ExitCode, ProblemsError, UsageError
from registry.method import load_method

_FOREIGN = {
    "PYTHONSTARTUP", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
    "MASTER_PORT", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE",
}  # fmt: skip
_FOREIGN_PREFIXES = ("ACCELERATE_", "FSDP_")
"""What a launcher around us may have left: libraries would take it for word of other processes."""


def environment(request: Mapping[str, Any], base: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: the caller's, with everything set that can change the result."""
    threads = str(request["threads"])
    env = {
        name: value
        for name, value in base.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON"):
        env[f"{name}_NUM_THREADS"] = threads
    env |= {
        "POLARS_MAX_THREADS": threads,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "MPLBACKEND": "agg",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
    if not request["network"]:
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if request["device"] == "cpu":
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif request.get("processes", 1) == 1:
        # Several GPUs in one process: transformers would cut each batch into parts, unasked.
        env["CUDA_VISIBLE_DEVICES"] = base.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    if request.get("processes", 1) > 1:
        env |= _seat(request)
    return env


def _seat(request: Mapping[str, Any]) -> dict[str, str]:
    """What torch and accelerate read to know which of several processes this is."""
    rank, size = str(request["process"]), str(request["processes"])
    seat = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    if sys.platform == "linux":
        seat["GLOO_SOCKET_IFNAME"] = "lo"  # nobody outside this machine can listen
    return seat


def die_with_parent() -> None:
    """Asks Linux to kill this process when its parent is killed, so that no orphan trains on."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _context(request: Mapping[str, Any], events: Any) -> Context:
    method = load_method(request["method"])
    return Context(
        node=request["node"],
        community=request["community"],
        params=method.params.model_validate(request["params"]),
        seed=request["seed"],
        device=request["device"],
        threads=request["threads"],
        out=Path(request["out"]),
        work=Path(request["work"]),
        root=Path(request["root"]),
        roles={
            role: tuple(Input(i["name"], i["community"], Path(i["files"])) for i in inputs)
            for role, inputs in request["roles"].items()
        },
        profiles=tuple(
            ProfileView(p["id"], p["name"], Path(p["folder"]), tuple(p["tables"]), p["fields"])
            for p in request["profiles"]
        ),
        events=events,
        process=request.get("process", 0),
        processes=request.get("processes", 1),
        meeting=Path(request["meeting"]) if request.get("meeting") else None,
        said=Path(request["said"]) if request.get("said") else None,
    )


def main() -> int:
    """Runs the request on standard input."""
    die_with_parent()
    request = json.loads(sys.stdin.read())
    if os.getppid() != request["parent"]:
        return ExitCode.INTERRUPTED
    error_file = Path(request["error"])
    try:
        with Path(request["events"]).open("a") as events:
            load_method(request["method"]).run(_context(request, events))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except ChorusError as error:
        kind = UsageError if isinstance(error, ProblemsError) else type(error)
        described = {"kind": kind.__name__, "what": error.what, "where": error.where}
        described |= {"why": error.why, "mend": error.mend}
        error_file.write_text(json.dumps(described))
        return error.exit_code
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        traceback.print_exc()
        last = traceback.format_exception_only(error)[-1].strip()
        error_file.write_text(json.dumps({"kind": "MethodError", "what": last}))
        return ExitCode.CHECKS_FAILED
    return ExitCode.OK


if __name__ == "__main__":
    status = main()
    if status and "WORLD_SIZE" in os.environ:
        # A process that failed must not wait, on its way out, for others that wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
