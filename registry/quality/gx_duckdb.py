"""What Great Expectations lacks for DuckDB. Importing it registers three metrics with it.

Great Expectations 1.24 reads DuckDB through duckdb-engine, and knows no regular expressions there.
Its way of counting repeated combinations drops rows with a null in the combination; the way that
it takes for MySQL keeps them, and DuckDB can go that way too.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.metrics import ColumnValuesMatchRegex, CompoundColumnsUnique
from great_expectations.expectations.metrics.column_map_metrics.column_values_not_match_regex import (  # noqa: E501
    ColumnValuesNotMatchRegex,
)
from great_expectations.expectations.metrics.map_metric_provider import column_condition_partial
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (  # noqa: E501
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_function_partial import (  # noqa: E501
    multicolumn_function_partial,
)
from sqlalchemy import column as named
from sqlalchemy import event, func, select
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy


def _quiet_exit() -> None:
    """Hides what DuckDB's binding reports while the interpreter ends.

    Great Expectations keeps SQLAlchemy's engines to the end, and the binding calls that a leak.
    """
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


atexit.register(_quiet_exit)


class MatchRegex(ColumnValuesMatchRegex):  # type: ignore[misc]
    """Texts in which a pattern is found, as RE2 reads it."""

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805
        return func.regexp_matches(column, regex)


class NotMatchRegex(ColumnValuesNotMatchRegex):  # type: ignore[misc]
    """Texts in which a pattern is not found."""

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805
        return func.regexp_matches(column, regex).is_(False)


class CompoundUnique(CompoundColumnsUnique):  # type: ignore[misc]
    """Combinations of columns that stand once; nulls count as a value of their own."""

    @multicolumn_function_partial(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy_function(self, column_list: Any, **given: Any) -> Any:  # noqa: ARG002
        times = func.count().over(partition_by=[named(one) for one in given["_column_names"]])
        columns: list[Any] = [named(one) for one in given["_table_columns"]]
        rows = select(*columns, times.label("_num_rows")).select_from(given["_table"])
        return rows.alias("rows_with_counts")

    @multicolumn_condition_partial(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy_condition(cls, column_list: Any, **given: Any) -> Any:  # noqa: ARG002, N805
        counted, _, _ = given["_metrics"]["compound_columns.count.map"]
        return counted.c._num_rows < 2  # noqa: PLR2004, SLF001 - the label above


def buffer_results(engine: Any) -> None:
    """Reads each result at once: duckdb-engine's cursors do not outlive the next statement."""

    @event.listens_for(engine, "after_cursor_execute")
    def _buffer(
        _connection: Any, cursor: Any, _sql: str, _given: Any, context: Any, _many: bool
    ) -> None:
        if cursor.description is not None:
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                cursor, initial_buffer=cursor.fetchall()
            )
