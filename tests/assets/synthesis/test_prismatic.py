"""The whole method on tiny models and a server: files, numbers, and a stop in the middle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assets.rows import read_rows, write_rows
from assets.sources.reasoning_tasks import task_schema
from assets.synthesis import prismatic
from assets.synthesis.candidates import candidate_schema
from assets.synthesis.embedding import PrismaticGradients
from assets.synthesis.endpoint import Endpoint
from assets.synthesis.prismatic import EndpointParams
from assets.synthesis.teachers import Request
from registry.context import Context
from registry.errors import MethodError
from tests.assets.synthesis.scripted import good_line, task_rows
from tests.assets.synthesis.server import Server, serve

if TYPE_CHECKING:
    from tests.assets.conftest import Build

TABLES = ("rows.parquet", "rejected.parquet", "rounds.parquet", "kept.parquet", "outcomes.parquet")


@pytest.fixture(scope="module")
def pool(build: Build) -> Path:
    folder = build(PrismaticGradients()).out
    rows = task_rows("gcd", "chain_sum", rows=8)
    rows[3]["completion"] = " "
    write_rows(folder / "rows.parquet", rows, task_schema())
    return folder


def context_of(build: Build, pool: Path, proxy: Path, server: Server, **given: Any) -> Context:
    server.reply = lambda prompt, body: good_line(Request("x", prompt, body["seed"]))
    params = EndpointParams(
        endpoint=Endpoint(base_url=server.url, model="asked", retries=0, concurrency=1),
        gradients=PrismaticGradients(dimensions=64, dtype="float32"),
        **{"rounds": 2, "requests": 6, "cluster_share": 0.3, **given},
    )
    return build(params, inputs={"rows": pool, "proxy": proxy}, events=io.StringIO())


@pytest.fixture(scope="module")
def made(build: Build, pool: Path, small_model: Path) -> Context:
    with serve() as server:
        context = context_of(build, pool, small_model, server)
        prismatic.run(context)
    return context


def test_the_dataset_holds_the_pool_and_what_each_round_kept(made: Context) -> None:
    rows = read_rows(made.out / "rows.parquet")
    rounds = read_rows(made.out / "rounds.parquet")
    assert rows.columns == list(candidate_schema())
    assert rows["row_id"].n_unique() == rows.height
    first = rows.filter(rows["round"] == 0)
    assert first.height == 15
    assert rounds["round"].to_list() == [1, 2]
    for number, kept in rounds.select("round", "kept").rows():
        assert rows.filter(rows["round"] == number).height == kept
    rejected = read_rows(made.out / "rejected.parquet")
    assert rejected.filter(rejected["reason"] == "empty completion").height == 1
    assert rows.height + rejected.height == 16 + rounds["candidates"].sum()
    ids = set(rows["row_id"])
    for parents in rows.filter(rows["round"] == 2)["parents"].to_list():
        assert set(parents) <= ids


def test_the_numbers_of_each_round_are_there_to_see(made: Context) -> None:
    rounds = read_rows(made.out / "rounds.parquet").to_dicts()
    for one in rounds:
        assert one["candidates"] >= one["verified"] >= one["kept"]
        assert sum(one["sizes"]) == one["pool"]
        assert one["clusters"] == len(one["sizes"])
        assert 1 <= one["g_vendi"] <= one["pool"] + one["kept"]
    assert (made.out / "rounds.png").read_bytes().startswith(b"\x89PNG")
    headline = json.loads((made.out / "headline.json").read_text())
    assert next(iter(headline)) == "verified yield"
    events = [json.loads(line) for line in made.events.getvalue().splitlines()]
    assert [e["g_vendi"] for e in events if "g_vendi" in e] == [r["g_vendi"] for r in rounds]
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert done[-1] == events[-1]["total"]
    kept = read_rows(made.out / "kept.parquet")
    by_source = kept.filter(kept["kind"] == "source")
    assert by_source["before"].sum() == sum(one["verified"] for one in rounds)
    assert by_source["after"].sum() == sum(one["kept"] for one in rounds)


@pytest.mark.parametrize("stop_after", [3, 8])
def test_a_run_that_is_stopped_within_a_round_goes_on_to_the_same_bytes(
    build: Build, pool: Path, small_model: Path, made: Context, stop_after: int
) -> None:
    with serve() as server:
        context = context_of(build, pool, small_model, server)
        server.statuses = [0] * stop_after + [503]
        with pytest.raises(MethodError, match="answers so far are kept"):
            prismatic.run(context)
        asked = len(server.seen)
        prismatic.run(context)
        assert len(server.seen) <= asked + 12 - stop_after
    for name in TABLES:
        assert (context.out / name).read_bytes() == (made.out / name).read_bytes()


def test_the_pool_can_be_left_out(build: Build, pool: Path, small_model: Path) -> None:
    with serve() as server:
        context = context_of(build, pool, small_model, server, rounds=1, include_pool=False)
        prismatic.run(context)
    assert set(read_rows(context.out / "rows.parquet")["round"]) <= {1}
