"""Steps that are called once more beside a call that takes long: ``hedge=``."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest
from pydantic import BaseModel

from flowkit import (
    Breaker,
    Bulkhead,
    Flow,
    Hedge,
    Policy,
    Rate,
    Retry,
    each,
    gather,
    listen,
    runs,
    signals,
    start,
)
from flowkit.core.records import StepHedged
from flowkit.errors import DefinitionError, RunError, StepTimeoutError
from flowkit.runtime.cached import forget_all
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.resumption import resume_async
from tests.runtime.stored import MemoryStore, crashed, flow_named


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


async def settle():
    """Let everything that can go on do so."""
    for _ in range(30):
        await anyio.lowlevel.checkpoint()


class Service:
    """What steps call: each call waits until it is told how to end."""

    def __init__(self):
        self.calls = []
        self.cancelled = []

    async def ask(self):
        """Wait for the answer to this call; an exception is raised."""
        answer = anyio.Event()
        self.calls.append([answer, None])
        number = len(self.calls)
        try:
            await answer.wait()
        except BaseException:
            self.cancelled.append(number)
            raise
        found = self.calls[number - 1][1]
        if isinstance(found, Exception):
            raise found
        return number, found

    def answer(self, number, value):
        """End a call, counted from 1."""
        self.calls[number - 1][1] = value
        self.calls[number - 1][0].set()


def asking(service, **policies):
    """A flow class with one step that asks the service."""

    class Asks(Flow):
        @start(**policies)
        async def ask(self):
            self.state["by"] = len(service.calls) + 1
            number, value = await service.ask()
            self.state["said"] = value
            self.emit("heard", number)
            self.metric("calls", number)
            return value

        @listen("heard")
        def hear(self, number):
            self.state["heard"] = number

    return Asks


async def test_the_second_call_wins_and_the_first_is_cancelled(clock) -> None:
    """State, events and metrics are the winner's alone; each decision is recorded."""
    service, told, flow = Service(), [], None
    cls = asking(service, hedge=Hedge("500ms"))

    def hear(sender, run, **said):
        told.append((said["step"], said["call"], said["won"], said["attempt"]))

    with signals.step_hedged.connected_to(hear, sender=cls):
        async with anyio.create_task_group() as group:
            flow = cls()
            group.start_soon(flow.kickoff_async)
            await settle()
            clock.advance(0.4)
            await settle()
            assert len(service.calls) == 1
            clock.advance(0.1)
            await settle()
            assert len(service.calls) == 2
            clock.advance(100)
            await settle()
            assert len(service.calls) == 2  # two at most, unless it says more
            service.answer(2, "second")
    assert service.cancelled == [1]
    assert flow.run.status == "completed"
    assert flow.state["by"] == 2
    assert flow.state["said"] == "second"
    assert flow.state["heard"] == 2
    assert told == [("ask", 2, False, 1), ("ask", 2, True, 1)]
    hedges = [each for each in flow.run.records if isinstance(each, StepHedged)]
    assert hedges == [StepHedged(1_000.5, 1, 2), StepHedged(1_100.5, 1, 2, True)]
    finished = next(each for each in flow.run.records if hasattr(each, "metrics"))
    assert finished.metrics == (("calls", 2),)


async def test_the_first_call_may_win_after_all(clock) -> None:
    """What the second did to the state is forgotten."""
    service = Service()
    flow = asking(service, hedge=Hedge(1))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        service.answer(1, "first")
    assert service.cancelled == [2]
    assert (flow.state["by"], flow.state["said"]) == (1, "first")
    assert flow.run.records[2] == StepHedged(1_001.0, 1, 1, True)


async def test_a_quick_call_is_the_only_one(clock) -> None:
    """Then there is no record of hedging."""
    service = Service()
    flow = asking(service, hedge=Hedge(1))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        service.answer(1, "first")
    assert len(service.calls) == 1
    assert not any(isinstance(each, StepHedged) for each in flow.run.records)


async def test_further_calls_begin_one_after_another(clock) -> None:
    """Each of them when the one before has had its time."""
    service = Service()
    flow = asking(service, hedge=Hedge(1, most=4))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        for count in (2, 3, 4, 4):
            clock.advance(1)
            await settle()
            assert len(service.calls) == count
        service.answer(3, "third")
    assert sorted(service.cancelled) == [1, 2, 4]
    assert flow.state["by"] == 3


async def test_only_the_failure_of_all_counts(clock) -> None:
    """One that fails is no loss while another is under way."""
    service = Service()
    flow = asking(service, hedge=Hedge(1))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        service.answer(1, OSError("away"))
        await settle()
        assert flow.run.status == "running"
        service.answer(2, "second")
    assert flow.state["said"] == "second"


async def test_the_first_failure_comes_out_with_the_others_in_its_notes(clock) -> None:
    """All have failed: so has the attempt, and nothing of them is left."""
    service = Service()
    flow = asking(service, hedge=Hedge(1))()
    errors = []

    async def go():
        with pytest.raises(OSError, match="first") as caught:
            await flow.kickoff_async()
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await settle()
        clock.advance(1)
        await settle()
        service.answer(2, KeyError("second"))
        await settle()
        service.answer(1, OSError("first"))
    assert errors[0].__notes__[0] == (
        "flowkit: call 2, begun beside it, failed, too: KeyError: 'second'"
    )
    assert set(flow.state) == {"id"}


async def test_a_call_that_fails_alone_fails_the_attempt(clock) -> None:
    """Hedging is for what is slow; for what fails there is ``retry=``."""
    service = Service()
    flow = asking(service, hedge=Hedge(5), retry=Retry(2, first=0))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        service.answer(1, OSError("away"))
        await settle()
        assert len(service.calls) == 2
        clock.advance(5)
        await settle()
        assert len(service.calls) == 3  # each attempt is hedged
        service.answer(3, "third")
    assert service.cancelled == [2]
    assert flow.state["said"] == "third"


async def test_a_timeout_ends_all_calls(clock) -> None:
    """It is the attempt's."""
    service = Service()
    flow = asking(service, hedge=Hedge(1), timeout=3)()

    async def go():
        with pytest.raises(StepTimeoutError):
            await flow.kickoff_async()

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await settle()
        clock.advance(1)
        await settle()
        assert len(service.calls) == 2
        clock.advance(2)
        await settle()
    assert sorted(service.cancelled) == [1, 2]
    assert set(flow.state) == {"id"}


async def test_cancelling_the_run_ends_all_calls(clock) -> None:
    """None of them is left behind."""
    service = Service()
    flow = asking(service, hedge=Hedge(1))()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        flow.run.cancel()
    assert sorted(service.cancelled) == [1, 2]
    assert flow.run.status == "cancelled"


async def test_a_further_call_takes_a_turn_and_a_place_of_its_own(clock) -> None:
    """Without a turn in the rate it waits for another time; it stands in line."""
    service = Service()
    policies = {"rate": Rate(1, per=10), "bulkhead": Bulkhead(2)}
    flow = asking(service, hedge=Hedge(1, most=3), **policies)()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        for _ in range(9):
            clock.advance(1)
            await settle()
            assert len(service.calls) == 1
        clock.advance(1)
        await settle()
        assert len(service.calls) == 2
        clock.advance(10)
        await settle()
        assert len(service.calls) == 2  # the third has no place
        service.answer(2, "second")
    assert flow.state["said"] == "second"


async def test_losers_say_nothing_to_the_breaker(clock) -> None:
    """A call that is cancelled speaks neither for nor against what it calls."""
    service = Service()
    cls = asking(service, hedge=Hedge(1), breaker=Breaker(1, open_for=10))
    for answers in (("a", 1), ("b", 3)):
        async with anyio.create_task_group() as group:
            group.start_soon(cls().kickoff_async)
            await settle()
            clock.advance(1)
            await settle()
            service.answer(answers[1], answers[0])
    assert service.cancelled == [2, 4]


async def test_a_hedged_result_is_cached_once(clock) -> None:
    """A hit makes no call at all."""
    service, cached = Service(), []
    forget_all()

    class Asks(Flow):
        @start(hedge=Hedge(1), cache="1h")
        async def ask(self):
            return (await service.ask())[1]

    async def go():
        cached.append(await Asks().kickoff_async())

    for _ in range(2):
        async with anyio.create_task_group() as group:
            group.start_soon(go)
            await settle()
            clock.advance(1)
            await settle()
            if not cached:
                service.answer(2, "known")
    assert cached == ["known", "known"]
    assert len(service.calls) == 2


async def test_a_plain_step_is_hedged_in_threads(clock, caplog) -> None:
    """The loser's thread is given up: what it does later counts for nothing."""
    release, begun, numbers = threading.Event(), threading.Event(), []
    done = threading.Event()

    class Plain(Flow):
        @start(hedge=Hedge(1))
        def ask(self):
            numbers.append(1)
            number = len(numbers)
            self.state["list"] = self.state.get("list", [])
            self.state["list"].append(number)
            begun.set()
            if number == 1:
                release.wait()
                self.state["list"].append("late")
                try:
                    self.heartbeat()
                finally:
                    done.set()
            return number

    flow = Plain()
    with caplog.at_level(logging.INFO, "flowkit"):
        async with anyio.create_task_group() as group:
            group.start_soon(flow.kickoff_async)
            await anyio.to_thread.run_sync(begun.wait)
            await settle()
            clock.advance(1)
        assert flow.state["list"] == [2]
        release.set()
        await anyio.to_thread.run_sync(done.wait)
    assert flow.state["list"] == [2]
    assert flow.run.result == 2


async def test_calls_see_the_state_of_the_step_that_runs_beside_others(clock) -> None:
    """What others commit meanwhile is joined with what the winner did."""
    service = Service()

    class Total(BaseModel):
        names: list[str] = []
        by: int = 0

    class Beside(Flow[Total]):
        @start()
        async def begin(self):
            self.state.names.append("begin")

        @listen(begin, hedge=Hedge(1))
        async def slow(self):
            self.state.names.append("slow")
            self.state.by = len(service.calls) + 1
            await service.ask()

        @listen(begin)
        async def quick(self):
            self.state.names.append("quick")

    flow = Beside()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        assert [each[0] for each in flow.run.history] == ["begin", "quick"]
        clock.advance(1)
        await settle()
        service.answer(2, "x")
    assert flow.state.names == ["begin", "quick", "slow"]
    assert flow.state.by == 2


async def test_instances_and_defaults_are_hedged(clock) -> None:
    """A policy is a policy: on ``each``, and for a whole class."""
    service = Service()

    class Fan(Flow, defaults=Policy(hedge=Hedge(1))):
        @start()
        async def items(self):
            return [1, 2]

        @listen(each(items))
        async def ask(self, item):
            return item, (await service.ask())[1]

        @listen(gather(ask))
        async def all(self, found):
            return found

    flow = Fan()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        assert len(service.calls) == 4
        for number in (3, 4):
            service.answer(number, "again")
    assert sorted(flow.run.result) == [(1, "again"), (2, "again")]


async def test_a_repeated_step_is_hedged_turn_by_turn(clock) -> None:
    """Its test sees what the winner of the turn did; plain steps as well."""
    turns = []

    class Turns(Flow):
        @start()
        def begin(self):
            pass

        @listen(begin, hedge=Hedge(1), until=lambda state: state["n"] >= 2)
        def go(self):
            turns.append(1)
            self.state["n"] = self.state.get("n", 0) + 1

    flow = Turns()
    await flow.kickoff_async()
    assert (flow.state["n"], len(turns)) == (2, 2)


@pytest.mark.parametrize(
    "verb",
    ["sleep", "wait_for", "ask", "ask_async", "spawn", "stop", "abort", "emit_item"],
)
async def test_verbs_that_would_count_twice_are_refused(clock, verb) -> None:
    """The sentence names step, verb and cure."""

    class Waits(Flow):
        @start(hedge=Hedge(1))
        async def wait(self):
            getattr(self, verb)(*(["wait", 1] if verb == "spawn" else ["1s"]))

    with pytest.raises(RunError) as caught:
        await Waits().kickoff_async()
    assert str(caught.value).partition(" (")[0] == (
        f"Waits.wait has hedge=, so it may be called twice at once, and self.{verb} "
        f"would count twice. Use it in a step of its own, before or after."
    )


async def test_calls_share_their_key_and_attempt(clock) -> None:
    """So that what they call can tell that it is one."""
    service, keys = Service(), []

    class Keyed(Flow):
        @start(hedge=Hedge(1))
        async def ask(self):
            keys.append((self.idempotency_key, self.attempt))
            self.heartbeat()
            return (await service.ask())[1]

    async with anyio.create_task_group() as group:
        group.start_soon(Keyed().kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        service.answer(1, "x")
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_a_stored_run_tells_of_its_calls(clock) -> None:
    """Who began when, and who won; cut off in between, the step begins anew."""
    service = Service()
    cls = flow_named(asking(service, hedge=Hedge(1)), "StoredAsks")
    store = MemoryStore()
    flow = cls(store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await settle()
        clock.advance(1)
        await settle()
        service.answer(2, "second")
    told = runs.history(flow.run.id, store=store)
    assert (told[0].hedges, told[0].winner, told[0].attempt) == ([1_001.0], 2, 1)
    cut = crashed(store, flow.run.id, 2, "cut")
    async with anyio.create_task_group() as group:
        group.start_soon(_resumed, cut, store)
        await settle()
        assert len(service.calls) == 3
        service.answer(3, "third")
    told = runs.history(cut, store=store)
    assert (told[0].hedges, told[0].winner) == ([1_001.0], None)
    assert told[0].output == "third"


async def _resumed(run, store):
    await resume_async(run, store=store)


def test_steps_that_cannot_be_hedged_are_refused_at_once() -> None:
    """Each with the reason, all at once."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start(hedge=1)
            def items(self):
                yield 1

            @listen(items, flow=asking(Service()), hedge=1)
            def call(self):
                return {}

            @listen(items, fallback=[Policy(hedge=1)])
            def after(self):
                pass

    texts = [fault.rpartition(" (")[0] for fault in caught.value.faults]
    assert texts == [
        "Bad.items has hedge= and yields its items: each of them counts at once. Give "
        "hedge= to a step of its own.",
        "Bad.call has hedge= and runs a flow, whose own steps do the work. Give hedge= "
        "to a step of its own.",
        "Bad.after has a fallback that says hedge=, which holds for a step as a whole. "
        "Say it on the step.",
    ]
