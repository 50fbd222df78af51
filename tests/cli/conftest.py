"""A project for each test."""

from __future__ import annotations

import pytest

from tests.cli.command import made_project


@pytest.fixture
def project(tmp_path):
    """A folder with flows and a pyproject.toml that names them."""
    return made_project(tmp_path)
