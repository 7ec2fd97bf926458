"""`make ui`: opens the Dagster UI on a project, its instance inside the project's own state."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

from registry.artifact import write_atomically
from registry.errors import ChorusError
from registry.project import find_root


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
        report(load_graph(root), instance)
    return env


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
