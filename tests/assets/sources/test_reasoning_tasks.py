"""Tasks with answers that a verifier checks, split by generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError

from assets.rows import read_rows, row_schema
from assets.sources import reasoning_tasks
from assets.sources.reasoning_tasks import HELD_OUT, Params
from assets.sources.verifiers import REFUSED, task_names, verify
from registry.errors import UsageError

if TYPE_CHECKING:
    from tests.assets.conftest import Build

FOLDER = Path(__file__).resolve().parents[3] / "registry" / "datasets" / "diversity"


def params(*generators: dict[str, Any], **others: Any) -> Params:
    return Params.model_validate({"generators": generators, **others})


def made(build: Build, given: Params, seed: int = 0) -> list[dict[str, Any]]:
    context = build(given, seed=seed)
    reasoning_tasks.run(context)
    return read_rows(context.out / "rows.parquet").to_dicts()


def declared(name: str) -> Params:
    return Params.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["params"])


def test_every_row_can_be_checked_again(build: Build) -> None:
    rows = made(build, params({"name": "gcd", "rows": 5}, {"name": "chain_sum", "rows": 5}))
    assert len(rows) == 10
    for row in rows:
        assert verify(row["task"], row["entry"], row["completion"])
        assert row["answer"] == row["completion"]
        assert row["source"] == f"reasoning-gym:{row['task']}"
        assert set(row_schema()) <= set(row)
    assert len({row["row_id"] for row in rows}) == 10


def test_a_seed_gives_the_same_rows_and_another_gives_others(build: Build) -> None:
    given = params({"name": "chain_sum", "rows": 8})
    assert made(build, given) == made(build, given)
    assert made(build, given) != made(build, given, seed=1)
    fixed = params({"name": "chain_sum", "rows": 8, "seed": 5})
    assert made(build, fixed) == made(build, fixed, seed=1)


def test_a_generator_added_changes_no_other_rows(build: Build) -> None:
    alone = made(build, params({"name": "gcd", "rows": 5}))
    both = made(build, params({"name": "chain_sum", "rows": 5}, {"name": "gcd", "rows": 5}))
    assert both[5:] == alone


def test_levels_are_difficulties(build: Build) -> None:
    rows = made(build, params({"name": "chain_sum", "rows": 10, "levels": [1, 6]}))
    lengths = {
        level: max(len(row["prompt"]) for row in rows if row["difficulty"] == level)
        for level in (1.0, 6.0)
    }
    assert lengths[6.0] > lengths[1.0]


def test_settings_win_over_levels(build: Build) -> None:
    given = {"name": "chain_sum", "rows": 4, "settings": {"min_terms": "5", "max_terms": "5"}}
    assert all(row["prompt"].count("+") + row["prompt"].count(" - ") == 4
               for row in made(build, params(given)))  # fmt: skip


def test_a_question_that_comes_twice_is_left_out(build: Build) -> None:
    context = build(params({"name": "count_bits", "rows": 40, "levels": [1],
                            "settings": {"min_n": 1, "max_n": 12}},
                           side="held-out"))  # fmt: skip
    reasoning_tasks.run(context)
    rows = read_rows(context.out / "rows.parquet")
    rejected = read_rows(context.out / "rejected.parquet")
    assert len(set(rows["prompt"])) == len(rows) <= 12
    assert set(rejected["reason"]) == {"the question came before"}
    assert set(rejected["caused_by"]) <= set(rows["row_id"])


def test_long_prompts_are_left_out_with_the_reason(build: Build) -> None:
    given = params({"name": "gcd", "rows": 3}, {"name": "maze", "rows": 2}, longest_prompt=120)
    context = build(given)
    reasoning_tasks.run(context)
    assert set(read_rows(context.out / "rows.parquet")["task"]) == {"gcd"}
    reasons = set(read_rows(context.out / "rejected.parquet")["reason"])
    assert reasons == {"the prompt is longer than 120 characters"}


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"name": "chain_sums"}, "no generator 'chain_sums'"),
        ({"name": "gcd", "settings": {"min_number": "3"}}, "takes no setting 'min_number'"),
        ({"name": "gcd", "settings": {"min_numbers": "nine"}}, "cannot be set up"),
        ({"name": "gcd", "settings": {"min_numbers": "-4"}}, "cannot be set up"),
        ({"name": "gcd", "levels": [99]}, "has no level 99; its highest is"),
        ({"name": "acre", "levels": [2]}, "has no level 2; its highest is 1"),
    ],
    ids=["generator", "setting", "type", "range", "level", "no curriculum"],
)
def test_what_a_generator_does_not_take_is_an_error(
    build: Build, generator: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        made(build, params(generator))


def test_a_wrong_setting_names_those_that_are_known(build: Build) -> None:
    with pytest.raises(UsageError) as caught:
        made(build, params({"name": "gcd", "settings": {"zzz": "3"}}))
    assert "min_numbers" in caught.value.mend


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"generators": [{"name": "gsm_symbolic"}]}, "test questions of GSM8K"),
        ({"generators": [{"name": "codeio"}]}, "code that a language model wrote"),
        ({"generators": [{"name": "lcm"}]}, "lcm is held out"),
        ({"generators": [{"name": "gcd"}], "side": "held-out"}, "gcd is not held out"),
        ({"generators": [{"name": "gcd"}, {"name": "gcd"}]}, "named twice"),
        ({"generators": [{"name": "gcd", "settings": {"size": "3"}}]}, "`size` is no setting"),
        ({"generators": [{"name": "gcd", "rows": 0}]}, "greater than or equal to 1"),
        ({"generators": []}, "at least 1"),
    ],
)
def test_wrong_parameters_are_refused_when_they_are_read(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Params.model_validate(given)


def test_the_declared_sides_share_no_generator() -> None:
    train, held_out = declared("reasoning-tasks"), declared("reasoning-tasks-held-out")
    names = [{generator.name for generator in side.generators} for side in (train, held_out)]
    assert not names[0] & names[1]
    assert (train.side, held_out.side) == ("train", "held-out")


def test_held_out_generators_exist() -> None:
    assert set(HELD_OUT) <= set(task_names())
    assert not set(HELD_OUT) & set(REFUSED)
