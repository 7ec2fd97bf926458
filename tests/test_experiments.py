"""The declarations in docs/experiments are what a project takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.graph import build_graph
from registry.project import load_project
from registry.starter import init_project
from registry.store import pipeline_files

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.name for path in (ROOT / "docs" / "experiments").iterdir())


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
