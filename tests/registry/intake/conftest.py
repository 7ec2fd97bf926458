"""Codebooks of made-up sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.intake.material import ABOUT, CODEBOOK, write_yaml


@pytest.fixture
def codebook(tmp_path: Path) -> Path:
    return write_yaml(tmp_path / "codebook.yaml", CODEBOOK)


@pytest.fixture
def about(tmp_path: Path) -> Path:
    return write_yaml(tmp_path / "about.yaml", ABOUT)
