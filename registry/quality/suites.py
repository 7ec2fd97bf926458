"""The same contract in Great Expectations: suites, and its own verdicts on the same Parquet.

A suite holds what both can check and what only Great Expectations can; rules that look beyond
their table stay with the gate. Values of sets are given in the column's own type, and a bare
minimum on a column with decimals gets infinity as its maximum, since DuckDB holds NaN to be the
greatest number. With that, verdicts and counts are equal (`tests/registry/quality/test_suites.py`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import digest_of
from registry.expectation import Expectation, arguments
from registry.quality.figures import unheld
from registry.quality.sql import FLOATS, TRUSTS_STATISTICS, columns_of, literal, of_type, parquet
from registry.quality.verdict import EXAMPLES, ONLY_GREAT_EXPECTATIONS, Verdict, broken

if TYPE_CHECKING:
    import duckdb

_SEVERITY = {"error": "critical", "warning": "warning"}
RESULTS = {"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES}
_PLACE = "place in the contract"
_CANNOT = "Great Expectations cannot check it"
_BETWEEN = "expect_column_values_to_be_between"


def suite_digest(contract: Sequence[Expectation]) -> str:
    """SHA-256 of a contract, which is what its suites are made from."""
    return digest_of([given.model_dump(mode="json", exclude_none=True) for given in contract])


def shared(contract: Sequence[Expectation]) -> list[Expectation]:
    """The expectations that Great Expectations can check."""
    return [given for given in contract if given.checker != "gate"]


@dataclass(frozen=True)
class Batch:
    """One table as Great Expectations sees it."""

    context: Any
    asset: Any
    definition: Any
    connection: duckdb.DuckDBPyConnection
    types: dict[str, str]

    def suite(self, name: str, contract: Sequence[Expectation]) -> tuple[Any, dict[int, str]]:
        """The suite of a contract's expectations about this table, and what cannot be asked."""
        from great_expectations import ExpectationSuite

        suite = ExpectationSuite(name=name, meta={"sha256": suite_digest(contract)})
        refused = {}
        for place, given in enumerate(contract):
            try:
                suite.expectations.append(self._translated(given, place))
            except ValueError as error:  # pydantic's own are ValueErrors too
                refused[place] = _first_line(error)
        return suite, refused

    def _translated(self, given: Expectation, place: int) -> Any:
        """An expectation as Great Expectations' own object."""
        from great_expectations.expectations.registry import get_expectation_impl

        made = get_expectation_impl(given.expect)
        return made(
            **dict(self._arguments(given)),
            notes=given.reason,
            severity=_SEVERITY[given.severity],
            meta={_PLACE: place},
        )

    def _arguments(self, given: Expectation) -> Iterator[tuple[str, Any]]:
        kind = self.types.get(str(given.column), "VARCHAR")
        for name, value in arguments(given).items():
            match name:
                case "value_set":
                    if said := unheld(self.connection, given, kind):
                        raise ValueError(said)
                    fits = of_type(self.connection, kind, value)
                    yield name, [self._one(kind, text) for text in fits]
                case "value_pairs_set":
                    kinds = [
                        self.types.get(str(c), "VARCHAR") for c in (given.column_A, given.column_B)
                    ]
                    yield (
                        name,
                        [
                            tuple(self._one(k, text) for k, text in zip(kinds, pair, strict=True))
                            for pair in value
                        ],
                    )
                case "partition_object":
                    values = [self._one(kind, text) for text in value["values"]]
                    yield name, {"values": values, "weights": value["weights"]}
                case "min_value" | "max_value" if float(value).is_integer():
                    yield name, int(value)
                case _:
                    yield name, value
        if given.expect == _BETWEEN and given.max_value is None and kind in FLOATS:
            yield "max_value", math.inf

    def _one(self, kind: str, text: str) -> Any:
        found = self.connection.execute(f"select try_cast({literal(text)} as {kind})").fetchone()
        return text if found is None or found[0] is None else found[0]


def context() -> Any:
    """Great Expectations without its telemetry, its progress bars and its log."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations

        found: Any = great_expectations.get_context(mode="ephemeral")
        found.variables.progress_bars = {"globally": False}
        return found


@contextlib.contextmanager
def opened(path: Path, into: Any, name: str) -> Iterator[Batch]:
    """One Parquet file as a batch of a Great Expectations context; a view of it, not a copy."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="chorus-quality-") as folder:
        views = Path(folder) / "views.duckdb"
        source = parquet(path.resolve())
        with duckdb.connect(str(views)) as made:
            made.execute(f"create view rows as select * from {source}")
        with warnings.catch_warnings(), duckdb.connect() as connection:
            warnings.simplefilter("ignore")
            from registry.quality.gx_duckdb import buffer_results

            config = {"disabled_optimizers": TRUSTS_STATISTICS}
            found = into.data_sources.add_sql(
                name,
                connection_string=f"duckdb:///{views}",
                create_temp_table=False,
                kwargs={"connect_args": {"config": config}},
            )
            engines = [found.get_engine(), found.get_execution_engine().engine]
            for engine in engines:
                buffer_results(engine)
            asset = found.add_table_asset(path.name, table_name="rows")
            definition = asset.add_batch_definition_whole_table("all rows")
            try:
                yield Batch(into, asset, definition, connection, columns_of(connection, source))
            finally:
                for engine in engines:
                    engine.dispose()


def validated(path: Path, contract: Sequence[Expectation]) -> list[Verdict]:
    """Great Expectations' own verdict on each of these expectations about one table."""
    with opened(path, context(), "parquet") as batch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite, refused = batch.suite(path.name, contract)
        results = batch.definition.get_batch().validate(suite, result_format=RESULTS).results
    return verdicts_of(contract, results, refused)


def verdicts_of(
    contract: Sequence[Expectation], results: Sequence[Any], refused: Mapping[int, str]
) -> list[Verdict]:
    """One verdict for each expectation, from results in whichever order they come."""
    found = {
        place: broken(contract[place], f"{_CANNOT}: {said}") for place, said in refused.items()
    }
    for result in results:
        place = result.expectation_config.meta[_PLACE]
        found[place] = verdict_of(contract[place], result)
    return [found[place] for place in range(len(contract))]


def verdict_of(given: Expectation, result: Any) -> Verdict:
    """What Great Expectations found, in our words and counts."""
    found = result.result or {}
    raised = result.exception_info or {}
    said = raised if "raised_exception" in raised else next(iter(raised.values()), {})
    if said.get("raised_exception"):
        return broken(given, f"{_CANNOT}: {_first_line(said['exception_message'])}")
    counts = [found[name] for name in _counted(given) if found.get(name) is not None]
    unexpected = sum(counts) if counts else int(not result.success)
    only = given.checker == "great expectations"
    seen = found.get("observed_value")
    seen = seen.get("values", seen) if isinstance(seen, dict) else seen
    detail = f"found {seen}" if seen is not None and not isinstance(seen, dict) else ""
    if only:
        detail = ", ".join(filter(None, [detail, ONLY_GREAT_EXPECTATIONS]))
    rows = tuple(str(value)[:60] for value in found.get("partial_unexpected_list") or ())
    return Verdict(given, bool(result.success), unexpected, detail, examples=rows if only else ())


def _counted(given: Expectation) -> tuple[str, ...]:
    """Which of its counts say how much is wrong."""
    if given.expect == "expect_column_distinct_values_to_contain_set":
        return ("missing_count",)
    if given.expect == "expect_column_distinct_values_to_equal_set":
        return ("unexpected_count", "missing_count")
    return ("unexpected_count",)


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
