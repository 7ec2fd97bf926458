"""A toy project with a release, made once and copied for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Folder, trust_a_new_key

NODE, TAG = "count@age-22-34", "count/age-22-34@v1.0.0"


@pytest.fixture(scope="session")
def _released_template(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("released"))
    folder.chorus("make", NODE, "--upstream")
    signed = trust_a_new_key(folder)
    folder.run("git", "add", "--all")
    folder.run("git", "commit", "--quiet", "--message", "made")
    toy = ("--override", "A toy: it counts, and answers nobody.", "--by", "maintainer:7")
    folder.chorus("release", NODE, "--version", "1.0.0", *toy, *signed)
    return folder


@pytest.fixture
def released_toy(_released_template: Folder, tmp_path: Path) -> Folder:
    """A project whose model of one group is made, recorded, committed and released."""
    return _released_template.copied(tmp_path)
