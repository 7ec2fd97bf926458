"""Import of a million survey rows beside pandas: `python -m benchmarks.profile_import`.

Both count, for every group, half, question and code, people, weights and squared weights of the
same CSV file. Each runs in a process of its own, so that its peak of memory is its own too.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS, QUESTIONS = 1_000_000, 20
BINS = (18, 35, 50, 65)
CLAIM = 5.0


def write_survey(path: Path) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "id": np.arange(ROWS),
        "age": random.integers(18, 90, ROWS),
        "weight": random.random(ROWS).round(4) + 0.5,
    }
    columns |= {f"Q{n}": random.integers(1, 6, ROWS) for n in range(QUESTIONS)}
    pl.DataFrame(columns).write_csv(path)


def codebook() -> Any:
    from registry.intake.codebook import Codebook

    options = {str(code): f"option {code}" for code in range(1, 6)}
    return Codebook.model_validate(
        {
            "schema_version": 1,
            "instrument": "benchmark",
            "title": "A million people",
            "publisher": "nobody",
            "citation": "Made up for a benchmark.",
            "url": "https://example.org",
            "licence": "CC0-1.0",
            "language": "en",
            "fielded": {"start": "2024-01-01", "end": "2024-01-02"},
            "population": "Nobody at all, these are random numbers.",
            "questions": {
                f"Q{n}": {"text": f"Question {n}?", "options": options} for n in range(QUESTIONS)
            },
        }
    )


def ours(path: Path) -> list[int]:
    from registry.intake.survey import Columns, read_survey

    found = read_survey(path, codebook(), Columns("age", "weight", "id"), BINS)
    return [group.learning["Q0"].n for group in found.groups]


def naive(path: Path) -> list[int]:
    import pandas

    frame = pandas.read_csv(path)
    frame["group"] = pandas.cut(frame["age"], [*BINS, 999], right=False, labels=False)
    frame["learned"] = [
        hashlib.sha256(f"half:0:{one}".encode()).hexdigest() < "8" for one in frame["id"]
    ]
    frame["square"] = frame["weight"] ** 2
    counted = {}
    for n in range(QUESTIONS):
        by = frame.groupby(["group", "learned", f"Q{n}"])
        counted[n] = by.agg(n=("id", "size"), w=("weight", "sum"), s=("square", "sum"))
    found = counted[0]["n"].groupby(["group", "learned"]).sum()
    return [int(found[group, True]) for group in range(len(BINS))]


def measured(name: str, path: Path) -> dict[str, Any]:
    """Seconds, peak memory and result of one way, in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.profile_import", name, str(path))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child(name: str, path: Path) -> None:
    started = time.perf_counter()
    found = {"ours": ours, "naive": naive}[name](path)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": peak, "people": found}))


def main() -> None:
    if len(sys.argv) > 1:
        child(sys.argv[1], Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "survey.csv"
        write_survey(path)
        print(f"{ROWS:,} rows, {QUESTIONS} questions, {path.stat().st_size / 2**20:.0f} MiB of CSV")
        found = {name: min((measured(name, path) for _ in range(3)), key=lambda one: one["seconds"])
                 for name in ("ours", "naive")}  # fmt: skip
    if found["ours"]["people"] != found["naive"]["people"]:
        raise SystemExit("the two ways disagree")
    for name, words in (("ours", f"import (claim: under {CLAIM:g} s)"), ("naive", "pandas")):
        print(f"{words:<30} {found[name]['seconds']:6.2f} s {found[name]['mebibytes']:8.0f} MiB")
    ratio = found["naive"]["seconds"] / found["ours"]["seconds"]
    print(f"pandas takes {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
