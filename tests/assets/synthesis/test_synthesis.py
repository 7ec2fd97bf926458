"""The method as a whole: what it writes, from a model and from a server, and after a kill."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assets.rows import read_rows, write_rows
from assets.sources.reasoning_tasks import task_schema
from assets.synthesis import synthesis
from assets.synthesis.candidates import candidate_schema
from assets.synthesis.endpoint import Endpoint
from assets.synthesis.free_form import FreeFormParams
from assets.synthesis.synthesis import EndpointParams, Params
from assets.synthesis.teachers import Request
from registry.context import Context
from registry.errors import MethodError
from tests.assets.synthesis.scripted import good_line, task_rows
from tests.assets.synthesis.server import Server, serve

if TYPE_CHECKING:
    from tests.assets.conftest import Build


@pytest.fixture(scope="module")
def pool(build: Build) -> Path:
    folder = build(Params()).out
    write_rows(folder / "rows.parquet", task_rows("gcd", "chain_sum"), task_schema())
    return folder


def proposing(server: Server) -> None:
    """The server proposes well, badly and, at times, the same again."""

    def reply(prompt: str, body: dict[str, Any]) -> str:
        if body["seed"] % 3 == 0:
            return " 1, 2, 3"
        return good_line(Request("x", prompt, body["seed"]))

    server.reply = reply


def made(build: Build, pool: Path, server: Server, **params: Any) -> Context:
    endpoint = Endpoint(base_url=server.url, model="asked", retries=0)
    given = EndpointParams(endpoint=endpoint, requests=20, **params)
    context = build(given, inputs={"rows": pool}, events=io.StringIO())
    synthesis.run(context)
    return context


def test_the_verified_yield_comes_first_and_every_candidate_is_accounted_for(
    build: Build, pool: Path
) -> None:
    with serve() as server:
        proposing(server)
        context = made(build, pool, server)
    rows = read_rows(context.out / "rows.parquet")
    rejected = read_rows(context.out / "rejected.parquet")
    assert rows.columns == list(candidate_schema())
    assert rejected.columns == [*candidate_schema(), "reason", "score", "caused_by"]
    assert rows.height + rejected.height == 20
    assert "the line is no JSON" in set(rejected["reason"])
    headline = json.loads((context.out / "headline.json").read_text())
    assert next(iter(headline)) == "verified yield"
    assert headline["verified yield"] == rows.height / 20
    outcomes = read_rows(context.out / "outcomes.parquet")
    assert outcomes["candidates"].sum() == 20
    assert (context.out / "outcomes.png").read_bytes().startswith(b"\x89PNG")
    assert set(rows["served_by"]) == {"said-1 fp-7"}
    ids = {row["row_id"] for row in task_rows("gcd", "chain_sum")}
    assert all(set(parents) <= ids and parents for parents in rows["parents"].to_list())
    told = json.loads((context.out / "teacher.json").read_text())
    assert told["checked_by"] == "the generator's verifier"


def test_a_question_that_came_before_is_left_out_with_the_row_that_asked_it(
    build: Build, pool: Path
) -> None:
    same = ' 3, "max_terms": 3}}'
    with serve() as server:
        server.reply = lambda prompt, _: ' 1}, "opening": "Go."}' if '"gcd"' in prompt else same
        context = made(build, pool, server, write="free-form",
                       free_form=FreeFormParams(problems=1, solutions=1))  # fmt: skip
        rejected = read_rows(context.out / "rejected.parquet")
        assert set(rejected["reason"]) == {"no problem stands between the marks"}
        text = "<problem>How many legs have three spiders together?</problem>"
        server.reply = lambda prompt, _: "<answer>24</answer>" if "Solve" in prompt else text
        context = made(build, pool, server, write="free-form",
                       free_form=FreeFormParams(problems=1, solutions=3))  # fmt: skip
    (row,) = read_rows(context.out / "rows.parquet").to_dicts()
    assert (row["answer"], row["votes"], row["agreement"]) == ("24", 3, 1.0)
    rejected = read_rows(context.out / "rejected.parquet").to_dicts()
    assert len(rejected) == 19
    assert {(r["reason"], r["caused_by"]) for r in rejected} == {
        ("its question came before", row["row_id"])
    }


def test_a_stopped_run_goes_on_to_the_same_rows(build: Build, pool: Path) -> None:
    with serve() as server:
        proposing(server)
        whole = made(build, pool, server)
        endpoint = Endpoint(base_url=server.url, model="asked", retries=0, concurrency=1)
        context = build(EndpointParams(endpoint=endpoint, requests=20), inputs={"rows": pool})
        server.statuses = [0] * 7 + [503]
        with pytest.raises(MethodError, match="answers so far are kept"):
            synthesis.run(context)
        server.seen.clear()
        synthesis.run(context)
        assert len(server.seen) < 20
    for name in ("rows.parquet", "rejected.parquet", "headline.json", "outcomes.parquet"):
        assert (context.out / name).read_bytes() == (whole.out / name).read_bytes()


def test_a_model_without_language_yields_nothing_and_says_so(
    build: Build, pool: Path, small_model: Path
) -> None:
    given = {"rows": pool, "teacher": small_model}
    for write in ("proposals", "free-form"):
        params = Params(requests=3, batch_size=2, write=write, dtype="float32")
        short = params.free_form.writing.model_copy(update={"max_new_tokens": 8})
        params = params.model_copy(
            update={"free_form": params.free_form.model_copy(update={"writing": short})}
        )
        context = build(params, inputs=given)
        synthesis.run(context)
        assert read_rows(context.out / "rows.parquet").height == 0
        assert json.loads((context.out / "headline.json").read_text())["verified yield"] == 0
        assert read_rows(context.out / "rejected.parquet").height == (
            3 if write == "proposals" else 6
        )


def test_a_pool_that_cannot_be_shown_is_an_error(build: Build, small_model: Path) -> None:
    for rows, said in (
        ([], "has no rows to show"),
        ([*task_rows("gcd", rows=1)] * 2, "two rows have the same row_id"),
    ):
        folder = build(Params()).out
        write_rows(folder / "rows.parquet", rows, task_schema())
        context = build(Params(), inputs={"rows": folder, "teacher": small_model})
        with pytest.raises(MethodError, match=said):
            synthesis.run(context)
