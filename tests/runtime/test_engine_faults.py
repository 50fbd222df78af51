"""An error of the engine itself, in whichever thread, is the outcome of its run."""

from __future__ import annotations

import pytest

from flowkit import Flow, listen, start
from flowkit.core import machine
from flowkit.core.records import StepFinished
from flowkit.journal.memory import MemoryStore
from flowkit.runtime import durable, run

pytestmark = pytest.mark.anyio


class Plain(Flow[dict]):
    """Synchronous steps: on a loop they share a worker thread, which commits."""

    @start()
    def one(self):
        return 1

    @listen(one)
    def two(self):
        return 2

    @listen(two)
    def three(self):
        return 3


class Waits(Flow[dict]):
    """The same with coroutines."""

    @start()
    async def one(self):
        return 1

    @listen(one)
    async def two(self):
        return 2

    @listen(two)
    async def three(self):
        return 3


@pytest.fixture
def fault(monkeypatch):
    """What the second step's record leads to, once its firing is over."""
    error = RuntimeError("the engine broke")
    real = machine.decide

    def decide(net, marking, record):
        commands = real(net, marking, record)
        if type(record) is StepFinished and record.output == 2:
            raise error
        return commands

    for module in (durable, run):
        monkeypatch.setattr(module, "decide", decide)
    return error


def told(stopped, fault, caplog):
    """It is in the run, in the log, and names the run."""
    assert stopped.failures == [fault]
    assert stopped.failure is fault
    assert stopped.over
    (note,) = fault.__notes__
    assert note.startswith(
        f"flowkit: this stopped <Run of {type(stopped.flow).__name__}: "
    )
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.exc_info[1] is fault


@pytest.mark.parametrize("store", [None, MemoryStore])
@pytest.mark.parametrize("flow", [Plain, Waits])
async def test_a_fault_in_a_commit_is_raised(fault, caplog, flow, store):
    """Its firing is done already, and yet it does not vanish with it."""
    made = flow(store=store and store())
    with pytest.raises(RuntimeError, match="the engine broke"):
        await made.kickoff_async()
    told(made.run, fault, caplog)


@pytest.mark.parametrize("flow", [Plain, Waits])
def test_a_fault_in_blocking_code_is_raised(fault, caplog, flow):
    """By a kickoff, and by a start's handle."""
    made = flow()
    with pytest.raises(RuntimeError, match="the engine broke"):
        made.kickoff()
    told(made.run, fault, caplog)


@pytest.mark.parametrize("flow", [Plain, Waits])
def test_a_fault_in_a_started_run_is_its_outcome(fault, flow):
    """The thread has ended, and who waits is told."""
    with pytest.raises(RuntimeError, match="the engine broke"):
        flow().start().wait(20)
