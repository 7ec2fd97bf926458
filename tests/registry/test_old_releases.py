"""Releases of the past, kept as they were, verify for ever.

`tests/fixtures/repositories/` holds, for each version of what a release is, a Git bundle of a
project and DVC's objects. A new version adds a folder; none is ever made anew.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from registry.cli.lineage import standing, trace_target, walk
from registry.export import write
from registry.export.walked import walked
from registry.ground import Revision
from registry.known import read_known
from registry.release import parse_name, read_statement
from tests.conftest import ROOT
from tests.registry.conftest import NODE, TAG

KEPT = sorted((ROOT / "tests" / "fixtures" / "repositories").iterdir())


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a bare clone; returns the folder with its objects."""
    bare, objects = tmp_path / "bare.git", tmp_path / "objects"
    bundle = str(request.param / "repository.bundle")
    subprocess.run(["git", "clone", "--quiet", "--bare", bundle, str(bare)], check=True)
    shutil.copytree(request.param / "objects", objects)
    monkeypatch.chdir(bare)
    return objects


def test_it_still_verifies(kept: Path) -> None:
    with standing([kept], TAG) as graph:
        result = walk(graph, TAG)
    # Signatures came later: what was made before them is whole, and nobody signed it.
    assert result.verdict in ("verified", "unsigned"), result.hops
    assert {NODE, "words", "letters@age-22-34"} <= {hop.name for hop in result.hops}


@pytest.mark.parametrize("end", [0, -1])
def test_a_byte_in_any_object_still_breaks_it(end: int, kept: Path) -> None:
    manifests = 0
    for path in sorted(path for path in kept.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        damaged = bytearray(raw)
        damaged[end] ^= 1
        path.write_bytes(damaged)
        with standing([kept], TAG) as graph:
            verdict = walk(graph, TAG).verdict
        path.write_bytes(raw)
        # The release keeps manifests of its own: those of the store are not needed.
        manifests += verdict != "broken"
        assert verdict == "broken" or raw.startswith(b"{"), path
    assert manifests == 3


def test_it_can_still_be_traced_and_exported(kept: Path) -> None:
    bare = Path.cwd()
    with standing([kept]) as graph:
        assert trace_target(graph, TAG).name == NODE
    assert set(read_known(bare).releases) == {TAG}
    name = parse_name(TAG)
    assert name is not None
    statement, commit = read_statement(bare, name)
    ground = Revision(bare, commit, name.folder)
    assert set(walked(ground, statement.node, bare).manifests) == set(statement.manifests)
    assert "eventType" in write("openlineage", ground, statement.node, bare)
