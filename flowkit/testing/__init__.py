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

from flowkit.journal.codec import decode as recorded
from flowkit.testing.buses import RecordingBus, Sent
from flowkit.testing.clocks import jumping_clock, manual_clock
from flowkit.testing.cut import testcase
from flowkit.testing.kills import Survived, kill_and_resume, survives_kills
from flowkit.testing.paths import any_order, assert_path, path_of
from flowkit.testing.script import Answers, Arrives, TimePasses, play
from flowkit.testing.steps import Called, Calls, Gives, fail, stub
from flowkit.testing.stores import memory_store

__all__ = [
    "Answers",
    "Arrives",
    "Called",
    "Calls",
    "Gives",
    "RecordingBus",
    "Sent",
    "Survived",
    "TimePasses",
    "any_order",
    "assert_path",
    "fail",
    "jumping_clock",
    "kill_and_resume",
    "manual_clock",
    "memory_store",
    "path_of",
    "play",
    "recorded",
    "stub",
    "survives_kills",
    "testcase",
]
