"""`chorus profile import` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.importing import import_app
from registry.errors import ExitCode, UsageError
from tests.registry.intake.test_percentages import LONG, table
from tests.registry.intake.test_survey import rows, write_csv

RUNNER = CliRunner()
OPTIONS = ["--group", "side", "--weight", "w", "--id", "id"]


def test_a_survey(tmp_path: Path, codebook: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows())
    into = tmp_path / "proposals"
    words = ["survey", str(path), "--codebook", str(codebook), *OPTIONS, "--into", str(into)]
    done = RUNNER.invoke(import_app, words)
    assert done.exit_code == ExitCode.OK
    assert done.output.startswith("usable: ")
    assert f"next:  chorus profile check {into / 'town-2024-east'}" in done.output
    again = RUNNER.invoke(import_app, words)
    assert isinstance(again.exception, UsageError)
    assert "give --replace" in str(again.exception)
    assert RUNNER.invoke(import_app, [*words, "--replace"]).exit_code == ExitCode.OK


def test_json(tmp_path: Path, codebook: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows())
    words = ["survey", str(path), "--codebook", str(codebook), *OPTIONS, "--json",
             "--into", str(tmp_path / "p")]  # fmt: skip
    found = json.loads(RUNNER.invoke(import_app, words).stdout)
    assert found["schema_version"] == 1
    assert found["separation"]["usable"]
    assert found["refused"] == ""
    assert len(found["written"]) == 4


def test_noise_writes_nothing_and_an_override_is_recorded(tmp_path: Path, codebook: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows(gap=0))
    into = tmp_path / "proposals"
    words = ["survey", str(path), "--codebook", str(codebook), *OPTIONS, "--into", str(into)]
    done = RUNNER.invoke(import_app, words)
    assert done.exit_code == ExitCode.CHECKS_FAILED
    assert done.stdout.startswith("not usable: ")
    assert "indistinguishable" in done.output
    assert "nothing was written" in done.output
    assert not into.exists()
    done = RUNNER.invoke(import_app, [*words, "--despite-noise", "a test of the trainers"])
    assert done.exit_code == ExitCode.OK
    assert json.loads((into / "town-2024.import.json").read_text())["overridden"] == (
        "a test of the trainers"
    )


def test_a_table(tmp_path: Path, codebook: Path) -> None:
    words = ["table", str(table(tmp_path, LONG)), "--codebook", str(codebook), "--into",
             str(tmp_path / "proposals"), "--no-held-out"]  # fmt: skip
    assert RUNNER.invoke(import_app, words).exit_code == ExitCode.OK
    assert isinstance(RUNNER.invoke(import_app, words[:-1]).exception, UsageError)


@pytest.mark.parametrize("bins", ["a,b", "18;35"])
def test_bins_are_whole_numbers(tmp_path: Path, codebook: Path, bins: str) -> None:
    words = ["survey", str(tmp_path), "--codebook", str(codebook), *OPTIONS, "--bins", bins]
    assert "write whole numbers" in str(RUNNER.invoke(import_app, words).exception)
