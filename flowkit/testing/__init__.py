"""What tests of flows need; with pytest the fixtures of ``pytest_flowkit``, too.

::

    from flowkit.testing import assert_path, fail, play, stub

    def test_a_declined_card_is_reported():
        with stub(Order, "charge", returns="declined"):
            run = play(Order, {"total": 5})
        assert_path(run, "receive", "charge", "apologise")

Nothing here sleeps, all of it works on asyncio and trio and in plain tests.
"""

from __future__ import annotations

from flowkit.testing.clocks import jumping_clock, manual_clock
from flowkit.testing.paths import any_order, assert_path, path_of
from flowkit.testing.script import Answers, Arrives, TimePasses, play
from flowkit.testing.steps import Called, Calls, fail, stub

__all__ = [
    "Answers",
    "Arrives",
    "Called",
    "Calls",
    "TimePasses",
    "any_order",
    "assert_path",
    "fail",
    "jumping_clock",
    "manual_clock",
    "path_of",
    "play",
    "stub",
]
