"""What the tests of the patterns share."""

from __future__ import annotations

import pytest

from flowkit.runtime.clock import ManualClock, use_clock
from tests.patterns.stage import Stage


@pytest.fixture
def stage(monkeypatch):
    """A time that moves by itself when nothing else does, and a tape."""
    made = Stage(monkeypatch)
    yield made
    made.close()


@pytest.fixture
def clock():
    """The engine's time, moved by hand."""
    manual = ManualClock(1_000_000.0)
    before = use_clock(manual)
    yield manual
    use_clock(before)
