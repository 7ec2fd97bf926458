"""`make ui`: opens the Dagster UI on a project, its instance inside the project's own state."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from registry.artifact import write_atomically
from registry.errors import ChorusError
from registry.project import find_root

if TYPE_CHECKING:
    from dagster import DagsterInstance


def gpus() -> int:
    """How many GPUs the machine shows."""
    found = Path("/proc/driver/nvidia/gpus")
    return len(list(found.iterdir())) if found.is_dir() else 0


def instance_settings() -> dict[str, object]:
    """Runs one at a time without a GPU, else as many as GPUs; no telemetry."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {
            "runs": {"max_concurrent_runs": max(1, gpus())},
            "pools": {"default_limit": max(1, gpus())},
        },
    }


def prepare(root: Path) -> dict[str, str]:
    """Writes the instance's settings and brings it up to date; returns the environment."""
    home = root / ".chorus" / "dagster"
    write_atomically(home / "dagster.yaml", yaml.safe_dump(instance_settings()).encode())
    env = {"DAGSTER_HOME": str(home), "CHORUS_PROJECT": str(root)}
    os.environ.update(env)
    from dagster import DagsterInstance

    from assets.ui.reporting import report
    from registry.graph import load_graph

    with DagsterInstance.get() as instance:
        if _claim(home):
            _end_lost_runs(instance)
        report(load_graph(root), instance)
    return env


def _claim(home: Path) -> bool:
    """Whether no other UI of the project is open; ours holds the claim for as long as it lives."""
    claim = os.open(home / "ui.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(claim, True)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        return False
    return True


def _end_lost_runs(instance: DagsterInstance) -> None:
    """Ends the runs that a killed UI left behind; the queue would wait for them for ever."""
    from dagster import DagsterRunStatus, RunsFilter

    begun = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
    for run in instance.get_runs(RunsFilter(statuses=begun)):
        instance.report_run_failed(run, "The UI that ran it was killed. Launch it again.")


def main() -> int:
    """Becomes `dagster dev` with the arguments given; returns only where it cannot."""
    try:
        root = find_root()
        prepare(root)
    except ChorusError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    os.chdir(root)
    program = [sys.executable, "-m", "dagster", "dev", "-m", "assets.definitions"]
    return os.execv(program[0], [*program, *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
