"""The exception patterns of Russell et al. (2006) on one flow of two steps.

A cause (failure, deadline, resource missing, outside trigger, constraint broken), what
becomes of the work item (retry, force fail, force complete, skip), of the case
(continue, remove) and what recovery there is (none, roll back, compensate).
"""

from __future__ import annotations

from itertools import product

import anyio
import pytest
from pydantic import BaseModel, Field

from flowkit import Breaker, Flow, Retry, StateError, listen, start
from flowkit.errors import BreakerOpenError, StepTimeoutError


class Withdrawn(Exception):
    """Somebody outside does not want it any more."""


CAUSES = {
    "failure": OSError,
    "deadline": StepTimeoutError,
    "resource": BreakerOpenError,
    "trigger": Withdrawn,
    "constraint": StateError,
}
ITEMS = ("retry", "fail", "complete", "skip")
CASES = ("continue", "remove")
RECOVERIES = ("none", "rollback", "compensate")


class Stock(BaseModel):
    """What the second step changes, within its bounds."""

    left: int = Field(default=5, ge=0)
    note: str = ""


def closed_for_now(name):
    """A breaker that has just opened, and lets a trial through after a second."""
    breaker = Breaker(1, open_for=1, name=f"grid {name} {object()}")

    class Opens(Flow):
        @start(breaker=breaker)
        def call(self):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Opens().kickoff()
    return breaker


def grid(cause, item, case, recovery, log):
    """Two steps, the second in trouble of one kind, handled in one way."""
    policies = {"timeout": 5}
    if item == "retry":
        every = (*CAUSES.values(), OSError)
        policies["retry"] = Retry(2, on=every, first=1, factor=1, jitter="none")
    if item == "complete":
        policies["fallback"] = "completed by force"
    if cause == "resource":
        policies["breaker"] = closed_for_now(f"{item} {case} {recovery}")

    class Grid(
        Flow[Stock], on_error="compensate" if recovery == "compensate" else "fail_fast"
    ):
        def undo(self, made):
            log.append(f"undo {made}")

        def skipped(self):
            return None

        if item == "skip":
            policies["fallback"] = skipped

        @start(undo=undo)
        async def reserve(self):
            return "reserved"

        @listen(reserve, **policies)
        async def charge(self):
            log.append(f"attempt {self.attempt}")
            self.state.note = "charging"
            if item == "retry" and self.attempt > 1:
                return "charged"
            if cause == "failure":
                raise OSError("gone")
            if cause == "deadline":
                await anyio.sleep_forever()
            if cause == "trigger":
                raise Withdrawn
            self.state.left = -1
            return "charged"

        @listen(charge)
        def after(self, got):
            return f"after {got}"

        if case == "continue" and item == "fail":

            @listen(charge.failed)
            def instead(self, error):
                if recovery == "compensate":
                    self.compensate()
                return f"instead {type(error).__name__}"

    return Grid


@pytest.mark.parametrize(
    ("cause", "item", "case", "recovery"),
    list(product(CAUSES, ITEMS, CASES, RECOVERIES)),
)
async def test_a_cell_of_the_grid(clock, cause, item, case, recovery) -> None:
    """What ran, what the state holds, how the run ended."""
    log, outcomes = [], []
    cls = grid(cause, item, case, recovery, log)
    flow = cls()

    async def go():
        try:
            outcomes.append(await flow.kickoff_async())
        except Exception as error:
            outcomes.append(type(error))

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        for _ in range(8):
            await settle()
            clock.advance(1)
    assert outcomes == [expected(cause, item, case, recovery)]
    undone = item == "fail" and recovery == "compensate"
    failed = item == "fail" and case == "remove"
    assert flow.run.status == (
        "compensated" if undone else "failed" if failed else "completed"
    )
    assert ("undo reserved" in log) == undone
    assert flow.state.left == 5
    assert flow.state.note == ("charging" if item == "retry" else "")
    assert flow.run.degraded == (("charge",) if item in {"complete", "skip"} else ())
    tries = [each for each in log if each.startswith("attempt")]
    called = cause != "resource"
    assert len(tries) == called + (item == "retry")


async def settle():
    """Let everything go on that can."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


def expected(cause, item, case, recovery):
    """What the run gives."""
    error = CAUSES[cause]
    if item == "retry":
        return "after charged"
    if item == "complete":
        return "after completed by force"
    if item == "skip":
        return "after None"
    if case == "continue":
        return None if recovery == "compensate" else f"instead {error.__name__}"
    return error
