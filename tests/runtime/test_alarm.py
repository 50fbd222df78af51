"""The thread that calls functions at times of the clock."""

from __future__ import annotations

import gc
import threading
import weakref

from flowkit.runtime.alarm import _Alarms
from flowkit.runtime.clock import now


class Holder:
    """What a call is for, such as a run."""

    def __init__(self) -> None:
        self.called = threading.Event()

    def call(self) -> None:
        """It is time."""
        self.called.set()


def test_nothing_is_kept_alive_by_a_call_that_was_made():
    """Until the next time comes, which may be far away."""
    alarms, holder = _Alarms(), Holder()
    called, gone = holder.called, threading.Event()
    weakref.finalize(holder, gone.set)
    alarms.call_at(now(), holder.call)
    assert called.wait(50)
    del holder
    gc.collect()
    assert gone.wait(50)


def test_a_call_that_was_taken_back_is_not_made():
    """The next one is."""
    alarms, early, late = _Alarms(), Holder(), Holder()
    take_back = alarms.call_at(now() + 0.01, early.call)
    take_back()
    alarms.call_at(now() + 0.02, late.call)
    assert late.called.wait(50)
    assert not early.called.is_set()
