"""Prints how long a profile's front door takes at scale: `python -m benchmarks.profiles`.

`check` on 1,000 questions and 10,000 examples, and `withdraw --dry-run` over 10,000 recorded
artifacts, beside an empty interpreter and beside reading the same files plainly.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.speed import CHORUS, seconds
from registry.profile_tables import OPINIONS
from registry.starter import init_project

QUESTIONS, EXAMPLES, ARTIFACTS = 1_000, 10_000, 10_000
EXAMPLE = "example-tidewater-coop"


def large_profile(folder: Path) -> None:
    """Grows a profile to many questions and examples."""
    lines = (folder / "examples.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    with (folder / "examples.jsonl").open("w") as stream:
        for number in range(EXAMPLES):
            row = rows[number % len(rows)] | {"id": f"example-{number}"}
            stream.write(json.dumps(row) + "\n")
    for name in ("opinions.csv", "evaluation/opinions.csv"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(OPINIONS.columns)
            for item in range(QUESTIONS):
                for place, (option, count) in enumerate((("Yes", 60), ("No", 40)), 1):
                    row = (f"q{item}", option, place, count, count / 100, 100, 100.0, "")
                    writer.writerow(row)
    text = (folder / "profile.yaml").read_text()
    (folder / "profile.yaml").write_text(
        text
        + "opinions:\n  instrument: made-up\n  weighting: none\n"
        + '  fielded: {start: "2026-01-01", end: "2026-01-02"}\n'
    )


def read_plainly(folder: Path) -> None:
    """The same files with the standard library, nothing checked."""
    for line in (folder / "examples.jsonl").read_text().splitlines():
        json.loads(line)
    for name in ("opinions.csv", "evaluation/opinions.csv"):
        with (folder / name).open(newline="") as stream:
            list(csv.DictReader(stream))


def many_artifacts(root: Path, community: str) -> None:
    """Writes manifests of artifacts that rest on one profile."""
    entry = {"id": community, "use": "train-sft", "permission": "licence", "consent": "0" * 64,
             "tables": {}, "fields": {}}  # fmt: skip
    for number in range(ARTIFACTS):
        folder = root / "data" / f"made-{number // 100}" / f"part-{number % 100}"
        folder.mkdir(parents=True)
        manifest = {"node": f"made-{number // 100}@part-{number % 100}", "kind": "dataset",
                    "content": f"{number:064x}", "rows": {"rows.parquet": 7},
                    "profiles": [entry]}  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "project"
        init_project(root, ["age-22-34", EXAMPLE], "tiny")
        folder = root / "proposals" / EXAMPLE
        shutil.copytree(root / "value_profiles" / EXAMPLE, folder)
        shutil.rmtree(folder / "events")
        large_profile(folder)
        many_artifacts(root, "age-22-34")

        def chorus(*arguments: str) -> float:
            def run() -> None:
                subprocess.run([*CHORUS, *arguments], cwd=root, capture_output=True, check=True)

            return seconds(run, runs=3)

        empty = seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
        plain = seconds(lambda: read_plainly(folder))
        check = chorus("profile", "check", str(folder.relative_to(root)))
        dry = chorus("profile", "withdraw", "age-22-34", "--dry-run")
        print(f"empty interpreter                                     {empty:6.2f} s")
        print(f"check: {QUESTIONS:,} questions, {EXAMPLES:,} examples              {check:6.2f} s")
        print(f"  the same files read plainly, nothing checked        {plain:6.2f} s")
        print(f"withdraw --dry-run over {ARTIFACTS:,} artifacts            {dry:6.2f} s")


if __name__ == "__main__":
    main()
