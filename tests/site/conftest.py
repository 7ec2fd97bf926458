"""A project for the form, and a partner who fills it in."""

from __future__ import annotations

import pytest

from tests.site.filled import Visitor


@pytest.fixture
def root(tmp_path):
    """An empty project."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "value_profiles").mkdir()
    return tmp_path


@pytest.fixture
def visitor(root):
    """A partner in front of the empty form."""
    return Visitor(root)
