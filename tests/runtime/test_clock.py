from __future__ import annotations

import pytest

from flowkit import Flow, listen, start
from flowkit.runtime.clock import ManualClock, current_clock, now, use_clock


@pytest.fixture
def clock():
    """A clock moved by hand, put back after the test."""
    manual = ManualClock(1000.0)
    before = use_clock(manual)
    yield manual
    use_clock(before)


def test_a_manual_clock_stands_still_until_it_is_moved(clock):
    """Forwards only."""
    assert current_clock() is clock
    assert now() == now() == 1000.0
    clock.advance(5)
    assert now() == 1005.0
    with pytest.raises(ValueError) as caught:
        clock.advance(-1)
    assert str(caught.value) == (
        "A clock moves forward; -1 seconds would move it back."
    )
    assert now() == 1005.0


def test_every_time_of_a_run_comes_from_the_clock(clock):
    """Records and the run's id."""

    class Two(Flow):
        @start()
        def one(self):
            clock.advance(1)

        @listen(one)
        def two(self):
            clock.advance(1)

    flow = Two()
    flow.kickoff()
    assert [record.at for record in flow.run.records] == [1000.0, 1001.0, 1002.0]
    assert flow.run.history == [
        ("one", "finished", 1001.0),
        ("two", "finished", 1002.0),
    ]


def test_the_system_clock_is_the_default():
    """use_clock(None) goes back to it."""
    before = use_clock(None)
    assert now() > 1_600_000_000
    use_clock(before)
