"""Time stands still in the tests of drawings, until a step moves it."""

from __future__ import annotations

import pytest

from flowkit.runtime.clock import ManualClock, use_clock


@pytest.fixture(autouse=True)
def clock():
    """A clock that tests and steps move."""
    made = ManualClock(1_772_366_400.0)
    before = use_clock(made)
    yield made
    use_clock(before)
