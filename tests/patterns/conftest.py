"""What the tests of the patterns share."""

from __future__ import annotations

import pytest

from tests.patterns.stage import Stage


@pytest.fixture
def stage(monkeypatch):
    """A time that moves by itself when nothing else does, and a tape."""
    made = Stage(monkeypatch)
    yield made
    made.close()
