from __future__ import annotations

import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint

from flowkit.runtime.threads import Threads


def never(value, error):
    """No call of these tests is given up."""
    raise AssertionError


async def test_a_call_gives_its_value_or_raises():
    """In a daemon thread that carries the project's name."""
    threads = Threads(most=1, idle=0.01)
    thread = await threads.run(threading.current_thread, never)
    assert thread.daemon
    assert thread.name.startswith("flowkit")
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, never)


async def test_no_more_calls_at_a_time_than_allowed():
    """Further calls wait their turn, first come first served."""
    threads = Threads(most=2, idle=0.01)
    order, at_work, most = [], 0, 0
    lock = threading.Lock()

    def work(number):
        nonlocal at_work, most
        with lock:
            order.append(number)
            at_work += 1
            most = max(most, at_work)
        with lock:
            at_work -= 1

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(threads.run, lambda number=number: work(number), never)
    assert sorted(order) == list(range(20))
    assert most <= 2


async def test_a_call_that_was_given_up_is_told_once():
    """Its value goes to ``late``, and only there."""
    threads = Threads(most=1, idle=0.01)
    going, release, told = threading.Event(), threading.Event(), threading.Event()
    late = []

    def work():
        going.set()
        release.wait(50)
        return "late"

    def tell(value, error):
        late.append((value, error))
        told.set()

    async with anyio.create_task_group() as group:
        group.start_soon(threads.run, work, tell)
        while not going.is_set():
            await checkpoint()
        group.cancel_scope.cancel()
    assert late == []
    release.set()
    assert told.wait(50)
    assert late == [("late", None)]
    assert await threads.run(lambda: "next", never) == "next"


async def test_a_call_that_was_given_up_before_it_began_never_runs():
    """It is withdrawn from the line."""
    threads = Threads(most=1, idle=0.01)
    going, release = threading.Event(), threading.Event()
    ran = []

    def first():
        going.set()
        release.wait(50)

    async with anyio.create_task_group() as group:
        group.start_soon(threads.run, first, never)
        while not going.is_set():
            await checkpoint()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await threads.run(lambda: ran.append(1), never)
        release.set()
    assert await threads.run(lambda: "next", never) == "next"
    assert ran == []
