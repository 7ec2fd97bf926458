"""The declarations in docs/experiments are what a project takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry.graph import build_graph
from registry.project import load_project
from registry.starter import init_project
from registry.store import pipeline_files

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(
    path.parent.name for path in (ROOT / "docs" / "experiments").glob("*/registry")
)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_declarations_have_nodes_beside_those_that_are_shipped(tmp_path, name):
    folder = ROOT / "docs" / "experiments" / name / "registry"
    init_project(tmp_path / "project", None, "default")
    shutil.copytree(folder, tmp_path / "project" / "registry", dirs_exist_ok=True)
    graph = build_graph(load_project(tmp_path / "project"))
    declared = {path.stem for path in folder.glob("*/*.yaml") if path.parent.name != "codebooks"}
    assert declared
    assert declared <= {node.name for node in graph.nodes.values()}
    assert pipeline_files(graph)


@pytest.mark.slow
def test_the_parties_project_is_set_up_by_its_script(tmp_path):
    answers = ROOT.parent / "shared" / "data" / "nonvoters538" / "nonvoters_data.csv.gz"
    if not answers.exists():
        pytest.skip("the survey's file is not here")
    script = ROOT / "docs" / "experiments" / "parties" / "set-up.sh"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(script), str(tmp_path / "project"), str(answers)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
    names = {node.name for node in build_graph(load_project(tmp_path / "project")).nodes.values()}
    communities = {path.name for path in (tmp_path / "project" / "value_profiles").iterdir()}
    assert communities == {
        f"party-{name}" for name in ("democrat", "independent", "none", "republican")
    }
    assert {"faithful", "faithful-own"} <= names
