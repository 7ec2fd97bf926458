"""The gate beside one hand-written DuckDB query, and beside Great Expectations on pandas.

    python -m benchmarks.gate

Ten expectations over made-up rows in one Parquet file. The hand-written query asks for the same ten
figures in one statement, with DuckDB as it comes. Great Expectations reads the same rows from a
pandas frame that lies in memory already. Each way runs in a process of its own, so that its peak
memory is its own; the gate runs at a tenth of the rows too, to show how memory grows.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from registry.expectation import Expectation
from registry.quality import check

GATE, PANDAS = 1.3, 5.0
"""Claims: at most so many times the hand-written query; so many times as fast as pandas."""
TABLE = "rows.parquet"
_AT_ONCE = 1_000_000


def contract() -> list[Expectation]:
    """The ten expectations; the rows meet all but three of them."""
    asked: list[dict[str, Any]] = [
        {"expect": "expect_column_values_to_not_be_null", "column": "row_id"},
        {"expect": "expect_column_values_to_be_unique", "column": "row_id"},
        {"expect": "expect_column_values_to_be_in_set", "column": "community",
         "value_set": ["age-18-34", "age-35-64", "age-65-plus"]},
        {"expect": "expect_column_values_to_be_between", "column": "score", "min_value": 0,
         "max_value": 1},
        {"expect": "expect_column_values_to_be_between", "column": "n", "min_value": 50,
         "mostly": 0.9},
        {"expect": "expect_column_value_lengths_to_be_between", "column": "prompt",
         "min_value": 10, "max_value": 400},
        {"expect": "expect_column_values_to_match_regex", "column": "prompt", "regex": "[?]$"},
        {"expect": "expect_column_mean_to_be_between", "column": "score", "min_value": 0.4,
         "max_value": 0.6},
        {"expect": "expect_column_max_to_be_between", "column": "n", "max_value": 1000},
        {"expect": "expect_table_row_count_to_be_between", "min_value": 1000},
    ]  # fmt: skip
    shared = {"table": TABLE, "reason": "It is measured.", "severity": "warning"}
    return [Expectation.model_validate(shared | one) for one in asked]


BY_HAND = """
select
  count(*) filter (where row_id is null),
  count(row_id) - count(distinct row_id),
  count(*) filter (where community not in ('age-18-34', 'age-35-64', 'age-65-plus')),
  count(*) filter (where score < 0 or score > 1),
  count(*) filter (where n < 50), count(n),
  count(*) filter (where length(prompt) < 10 or length(prompt) > 400),
  count(*) filter (where not regexp_matches(prompt, '\\?$')),
  avg(score), max(n), count(*)
from read_parquet('{path}')
"""


def write(path: Path, rows: int) -> None:
    """Rows of which some break what is asked; ids are unique."""
    import duckdb

    groups = "['age-18-34', 'age-35-64', 'age-65-plus']"
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select md5(i::varchar)[:16] as row_id, {groups}[1 + i % 3] as community, "
            "(hash(i) % 10000) / 10000 as score, 40 + (hash(i + 1) % 900) as n, "
            "'Question ' || i || ': how far do you agree with view ' || (hash(i) % 977) || "
            "case when i % 1000 = 0 then '' else '?' end as prompt "
            f"from range({rows}) t(i)) to '{path}' (format parquet, compression zstd)"
        )


def gate(folder: Path) -> list[bool]:
    """Our way."""
    return [verdict.success for verdict in check(folder, contract())]


def by_hand(folder: Path) -> tuple[Any, ...]:
    """The query that a person would write."""
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(BY_HAND.format(path=folder / TABLE)).fetchone()
    return found or ()


def on_pandas(folder: Path) -> tuple[list[bool], float]:
    """Great Expectations over a frame in memory; reading the frame does not count."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import great_expectations
    import pandas
    from great_expectations.expectations.registry import get_expectation_impl

    from registry.expectation import arguments

    frame = pandas.read_parquet(folder / TABLE)
    context: Any = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = great_expectations.ExpectationSuite(
        name="rows",
        expectations=[
            get_expectation_impl(given.expect)(**arguments(given), meta={"place": place})
            for place, given in enumerate(contract())
        ],
    )
    started = time.perf_counter()
    found = batch.validate(suite, result_format="SUMMARY").results
    seconds = time.perf_counter() - started
    ordered = sorted(found, key=lambda one: one.expectation_config.meta["place"])
    return [bool(one.success) for one in ordered], seconds


def _child(way: str, folder: Path, rounds: int) -> None:
    """Runs one way and prints its seconds and its peak memory."""
    seconds, verdicts = [], None
    for _ in range(rounds):
        started = time.perf_counter()
        if way == "pandas":
            verdicts, taken = on_pandas(folder)
        else:
            verdicts = gate(folder) if way == "gate" else by_hand(folder)
            taken = time.perf_counter() - started
        seconds.append(taken)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds), "peak": peak,
                      "verdicts": verdicts}, default=str))  # fmt: skip


def _measure(way: str, folder: Path, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gate", "--way", way, "--folder", str(folder),
               "--rounds", str(rounds)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:  # out of memory, say
        return {"seconds": float("nan"), "peak": float("nan"), "verdicts": None}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measures every way, and prints them side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--pandas-rows", type=int, default=4_000_000, help="rows of that pair")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        _child(given.way, given.folder, given.rounds)
        return
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as name:
        folders = {}
        for rows in sorted({given.rows, given.pandas_rows}):
            folders[rows] = Path(name) / str(rows)
            folders[rows].mkdir()
            write(folders[rows] / TABLE, rows)
        few, many = folders[given.pandas_rows], folders[given.rows]
        small = {way: _measure(way, few, given.rounds) for way in ("by hand", "gate")}
        small["pandas"] = _measure("pandas", few, given.rounds)
        large = {way: _measure(way, many, given.rounds) for way in ("by hand", "gate")}
    for rows, found in ((given.pandas_rows, small), (given.rows, large)):
        print(f"{rows:,} rows x {len(contract())} expectations:")
        for way, one in found.items():
            print(f"  {way:<8} {one['seconds']:8.2f} s   peak {one['peak']:8,.0f} MiB")
    ratio = large["gate"]["seconds"] / large["by hand"]["seconds"]
    times = small["pandas"]["seconds"] / small["gate"]["seconds"]
    same = small["pandas"]["verdicts"] == small["gate"]["verdicts"]
    print(f"the gate takes {ratio:.2f} times the hand-written query (claim: at most {GATE})")
    print(f"Great Expectations on pandas takes {times:.1f} times the gate (claim: at least "
          f"{PANDAS:.0f}), with {'the same' if same else 'OTHER'} verdicts")  # fmt: skip


if __name__ == "__main__":
    main()
