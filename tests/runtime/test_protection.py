"""Steps behind limits: rates that defer, bulkheads that queue, breakers that refuse."""

from __future__ import annotations

import threading

import anyio
import pytest

from flowkit import (
    Breaker,
    Bulkhead,
    Flow,
    Policy,
    Rate,
    Retry,
    listen,
    or_,
    router,
    runs,
    signals,
    start,
)
from flowkit.core.limits import RateState
from flowkit.errors import BreakerOpenError, BulkheadFullError, RateLimitedError
from flowkit.journal.codec import decode, encode
from flowkit.runtime import shared
from flowkit.runtime.clock import now
from flowkit.runtime.protection import Gate
from flowkit.runtime.resumption import resume
from tests.runtime.stored import MemoryStore, flow_named
from tests.runtime.ticking import ticks


def calling(fails, **policies):
    """A flow class whose step fails as long as ``fails`` holds something."""

    class Calls(Flow):
        @start(**policies)
        async def call(self):
            if fails:
                raise OSError(fails[0])
            return "called"

    return Calls


async def test_a_breaker_opens_and_closes(clock) -> None:
    """Open it calls nothing; a good trial closes it. Each change is told."""
    fails, told = ["down"], []
    cls = calling(fails, breaker=Breaker(2, open_for=30))

    def hear(sender, run, **said):
        told.append(said["status"])

    with signals.breaker_changed.connected_to(hear, sender=cls):
        for _ in range(2):
            with pytest.raises(OSError, match="down"):
                await cls().kickoff_async()
        fails.clear()
        with pytest.raises(BreakerOpenError) as caught:
            await cls().kickoff_async()
        assert caught.value.retry_after == 30
        assert str(caught.value).startswith("Calls.call was not called: the breaker ")
        assert str(caught.value).endswith(
            " is open, as what it calls was broken. It is tried again in 30s; a "
            "fallback= or retry= bridges the time."
        )
        clock.advance(30)
        assert await cls().kickoff_async() == "called"
    assert told == ["open", "half_open", "closed"]


async def test_only_the_trials_pass_a_half_open_breaker(clock) -> None:
    """Of ten runs at once, one; the others are refused."""
    release = anyio.Event()
    inside = []

    class Calls(Flow):
        broken = True

        @start(breaker=Breaker(1, open_for=10))
        async def call(self):
            if type(self).broken:
                raise OSError("down")
            inside.append(1)
            await release.wait()
            return "called"

    with pytest.raises(OSError, match="down"):
        await Calls().kickoff_async()
    Calls.broken = False
    clock.advance(10)
    outcomes = []

    async def go():
        try:
            outcomes.append(await Calls().kickoff_async())
        except BreakerOpenError as error:
            outcomes.append(type(error))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(go)
        await ticks(clock, 0, times=3)
        assert (len(inside), outcomes) == (1, [BreakerOpenError] * 9)
        release.set()
    assert outcomes[-1] == "called"


async def test_a_cancelled_call_says_nothing_about_the_other_side(clock) -> None:
    """It neither opens a breaker nor keeps its trial's permit."""

    class Hangs(Flow):
        hangs = True

        @start(breaker=Breaker(1))
        async def call(self):
            if type(self).hangs:
                await anyio.sleep_forever()
            return "called"

    flow = Hangs()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 1)
        flow.run.cancel()
    Hangs.hangs = False
    assert await Hangs().kickoff_async() == "called"


async def test_a_timeout_counts_against_a_breaker(clock) -> None:
    """Though the step is ended by cancelling it."""

    class Hangs(Flow):
        @start(timeout=5, breaker=Breaker(1))
        async def call(self):
            await anyio.sleep_forever()

        @listen(call.failed)
        def why(self, error):
            return type(error).__name__

    outcomes = []
    async with anyio.create_task_group() as group:

        async def go():
            outcomes.append(await Hangs().kickoff_async())

        group.start_soon(go)
        await ticks(clock, 1, times=7)
    assert outcomes == ["StepTimeoutError"]
    assert await Hangs().kickoff_async() == "BreakerOpenError"


def test_slow_calls_and_chosen_errors_count(clock) -> None:
    """By the breaker's own words; another error is an answer, too."""

    class Slow(Flow):
        @start(breaker=Breaker(1, slow=5))
        def call(self):
            clock.advance(6)
            return "slow"

    assert Slow().kickoff() == "slow"
    with pytest.raises(BreakerOpenError):
        Slow().kickoff()

    class Chooses(Flow):
        @start(breaker=Breaker(1, on=ConnectionError))
        def call(self):
            raise KeyError("not found")

    for _ in range(3):
        with pytest.raises(KeyError):
            Chooses().kickoff()


async def test_a_retry_waits_until_the_breaker_lets_through(clock) -> None:
    """It is told how long that is."""
    fails = ["down"]
    cls = calling(
        fails, breaker=Breaker(1, open_for=30), retry=Retry(3, first=1, jitter="none")
    )
    outcomes = []
    async with anyio.create_task_group() as group:

        async def go():
            outcomes.append((await cls().kickoff_async(), now()))

        group.start_soon(go)
        await ticks(clock, 0)
        fails.clear()
        await ticks(clock, 1, times=40)
    assert outcomes == [("called", 1_030)]


def test_a_named_breaker_is_shared(clock) -> None:
    """By value or by name; what one step learns, the other knows."""

    class Shares(Flow):
        @start(breaker=Breaker(1, name="shared"))
        def call(self):
            raise OSError("down")

    class Knows(Flow):
        @start(breaker="shared", fallback="instead")
        def call(self):
            return "called"

    assert Knows().kickoff() == "called"
    with pytest.raises(OSError, match="down"):
        Shares().kickoff()
    assert Knows().kickoff() == "instead"


def test_two_breakers_of_one_name_are_refused() -> None:
    """Else one of them would not be what was written."""
    calling([], breaker=Breaker(2, name="twice"))
    with pytest.raises(ValueError) as caught:
        calling([], breaker=Breaker(3, name="twice"))
    assert str(caught.value).endswith(
        ".<locals>.Calls.call declares the Breaker 'twice' as 3 failures in 1m, open "
        "for 30s (twice), and elsewhere it is 2 failures in 1m, open for 30s (twice). "
        "Make one value and give it to both."
    )


async def test_ten_calls_keep_within_a_bulkhead(clock) -> None:
    """Three at a time, in the order they came, none lost."""
    inside, most, order = [], [], []

    class Calls(Flow[dict]):
        @start(bulkhead=3)
        async def call(self):
            order.append(self.state["n"])
            inside.append(1)
            most.append(len(inside))
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            inside.pop()

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(Calls().kickoff_async, {"n": number})
    assert (max(most), len(most), inside) == (3, 10, [])
    assert sorted(order) == list(range(10))


async def test_a_full_line_refuses(clock) -> None:
    """One inside, one in line, the third is told at once."""
    release = anyio.Event()

    class Calls(Flow):
        @start(bulkhead=Bulkhead(1, queue=1))
        async def call(self):
            await release.wait()
            return "called"

    outcomes = []

    async def go():
        outcomes.append(await Calls().kickoff_async())

    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(go)
            await ticks(clock, 0)
        with pytest.raises(BulkheadFullError, match="allows 1 at once, 1 in line, and"):
            await Calls().kickoff_async()
        release.set()
    assert outcomes == ["called", "called"]


async def test_who_is_cancelled_in_line_gives_way(clock) -> None:
    """The next one has the place; a place that came just then is handed on."""
    release = anyio.Event()
    done = []

    class Calls(Flow[dict]):
        @start(bulkhead=1)
        async def call(self):
            await release.wait()
            done.append(self.state["n"])

    flows = [Calls() for _ in range(4)]
    async with anyio.create_task_group() as group:
        for number, flow in enumerate(flows):
            group.start_soon(flow.kickoff_async, {"n": number})
            await ticks(clock, 0)
        flows[1].run.cancel()
        await ticks(clock, 0)
        release.set()
        flows[2].run.cancel()
    assert done == [0, 3]


def test_threads_keep_within_a_bulkhead() -> None:
    """Synchronous steps of blocking kickoffs in several threads."""
    inside, most = [], []
    lock = threading.Lock()

    class Calls(Flow):
        @start(bulkhead=2)
        def call(self):
            with lock:
                inside.append(1)
                most.append(len(inside))
            threading.Event().wait(0.005)
            with lock:
                inside.pop()

    threads = [threading.Thread(target=Calls().kickoff) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (max(most), len(most)) == (2, 8)


async def test_a_rate_defers_what_comes_too_early(clock) -> None:
    """Each at its turn, as a record; the wait is no attempt."""
    begun = []

    class Calls(Flow):
        @start(rate=Rate(1, per=10))
        async def call(self):
            begun.append((now() - 1_000, self.attempt))

    flows = [Calls() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for flow in flows:
            group.start_soon(flow.kickoff_async)
        await ticks(clock, 1, times=25)
    assert begun == [(0, 1), (10, 1), (20, 1)]
    whys = sorted(
        (each.why, each.due - 1_000)
        for flow in flows
        for each in flow.run.records
        if hasattr(each, "why")
    )
    assert whys == [("rate", 10), ("rate", 20)]


class Slowly(Flow):
    """A step that may begin once an hour."""

    @start(rate=Rate(1, per="1h"))
    def call(self):
        return now()


flow_named(Slowly)


def test_a_far_turn_is_a_row_and_survives_a_restart(clock) -> None:
    """It is kept, not asked for again."""
    store = MemoryStore("memory:test")
    first, second = Slowly(store=store), Slowly(store=store)
    assert first.kickoff() == 1_000
    waiting = second.kickoff()
    assert runs.get(waiting.id, store=store).due == 4_600
    clock.advance(3_600)
    assert resume(waiting.id, store=store) == 4_600
    (call,) = runs.history(waiting.id, store=store)
    assert [(each.why, each.error) for each in call.deferrals] == [("rate", None)]


async def test_a_turn_too_far_away_is_refused(clock) -> None:
    """With how long it would have been."""
    cls = calling([], rate=Rate(1, per=10, most_wait=5))
    await cls().kickoff_async()
    with pytest.raises(RateLimitedError) as caught:
        await cls().kickoff_async()
    assert str(caught.value) == (
        "Calls.call would have to wait 10s for its turn, and its rate allows 1 in 10s, "
        "wait at most 5s. Call it less often, or allow a longer most_wait."
    )
    assert caught.value.retry_after == 10


def test_a_budget_bounds_the_retries_of_all(clock) -> None:
    """Three runs share two retries; the first attempts are always made."""
    tries = []

    class Calls(Flow):
        @start(retry=Retry(5, first=0, budget=Rate(2, per=60, name="budget")))
        def call(self):
            tries.append(1)
            raise OSError("down")

    for made in (3, 4, 5):
        with pytest.raises(OSError, match="down") as caught:
            Calls().kickoff()
        assert len(tries) == made
    assert caught.value.__notes__[-1] == (
        "flowkit: given up as its budget of retries, 2 in 1m (budget), is used up"
    )


def test_a_fallback_needs_no_permit(clock) -> None:
    """It stands in when the breaker refuses; the step under another policy asks it."""

    class Falls(Flow):
        def cached(self, error):
            return type(error).__name__

        @start(breaker=Breaker(1), fallback=[Policy(retry=1), cached])
        def call(self):
            raise OSError("down")

    assert Falls().kickoff() == "BreakerOpenError"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"rate": 5}, "rate takes a Rate, not 5. Write rate=Rate(100, per='1m')."),
        (
            {"bulkhead": 0},
            (
                "bulkhead takes a Bulkhead, not 0. Write bulkhead=5, or Bulkhead(5, "
                "queue=50)."
            ),
        ),
        (
            {"breaker": 3},
            (
                "breaker takes a Breaker, not 3. Write breaker='crm', or Breaker(5, "
                "name='crm')."
            ),
        ),
    ],
)
def test_a_limit_of_another_kind_is_refused(given, text) -> None:
    """With the form that is meant."""
    with pytest.raises(ValueError) as caught:
        Policy(**given)
    assert str(caught.value) == text


def other_process() -> None:
    """Forget all that this process shares; what is in a store stays."""
    shared.forget_all()


async def test_a_long_loop_under_a_rate_keeps_no_turn_that_is_over(clock) -> None:
    """What deferred a step is forgotten when it ends, well or not or cancelled."""
    turns = []

    class Loops(Flow):
        @start(rate=Rate(1, per=1))
        async def begin(self):
            return 0

        @listen(or_("begin", "again"), rate=Rate(1, per=1))
        async def turn(self):
            turns.append(now())
            if len(turns) % 3 == 0:
                raise OSError("third")

        @router(or_(turn, turn.failed))
        def onward(self):
            return "again" if len(turns) < 9 else "done"

    flow = Loops()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        while flow.run is None or flow.run.status != "completed":
            await ticks(clock, 1)
            assert flow.run is None or len(flow.run.marking.deferred) <= 1
    assert len(turns) == 9
    assert flow.run.marking.deferred == {}
    assert flow.run.degraded == ()


def test_a_breaker_in_the_store_is_open_for_every_process(clock, tmp_path) -> None:
    """And one of them closes it for all."""
    url = f"sqlite:///{tmp_path}/shared.db"
    breaker = Breaker(2, open_for=30, name="everywhere", shared="store")
    fails = ["down"]

    def made():
        other_process()
        return calling(fails, breaker=breaker)

    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            made()(store=url).kickoff()
    fails.clear()
    with pytest.raises(BreakerOpenError):
        made()(store=url).kickoff()
    clock.advance(30)
    assert made()(store=url).kickoff() == "called"
    assert made()(store=url).kickoff() == "called"


def test_a_rate_in_the_store_is_one_for_all(clock) -> None:
    """Each process takes the turn after the last one's."""
    store = MemoryStore("memory:test")
    dues = []
    for _ in range(3):
        other_process()
        cls = calling([], rate=Rate(1, per="1h", name="everywhere", shared="store"))
        run = cls(store=store).kickoff()
        dues.append(None if run == "called" else run.due)
    assert dues == [None, 4_600, 8_200]


@pytest.mark.parametrize("quicker", [1, 3])
def test_who_loses_the_race_for_a_turn_asks_for_it_at_that_time(clock, quicker) -> None:
    """Not at the time before it lost, at which another one's turn is still to come."""

    class Contended(MemoryStore):
        def swap(self, name, old, new):
            if name == "limit:Rate:contended" and len(taken) < quicker:
                taken.append(name)
                clock.advance(0.25)
                other.restore(decode(self.cell(name) or "[null]"))
                other.take(now())
                assert super().swap(name, old, encode(other.saved(), name))
            return super().swap(name, old, new)

    taken = []
    rate = Rate(4, per="1h", most_wait=0, name="contended", shared="store")
    other = RateState(rate)
    cls = calling([], rate=rate)
    store = Contended("memory:test")
    assert cls(store=store).kickoff() == "called"
    for _ in range(3 - quicker):
        assert cls(store=store).kickoff() == "called"
    with pytest.raises(RateLimitedError):
        cls(store=store).kickoff()


def test_no_more_threads_begin_than_a_stored_rate_allows(tmp_path) -> None:
    """Whoever loses the race for a turn takes the next one."""
    url = f"sqlite:///{tmp_path}/race.db"

    class Races(Flow, store=url):
        @start(rate=Rate(5, per="1h", most_wait=0, name="race", shared="store"))
        def call(self):
            return "called"

        @listen(call.failed)
        def refused(self, error):
            return type(error).__name__

    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(Races().kickoff()))
        for _ in range(12)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["RateLimitedError"] * 7 + ["called"] * 5


def test_only_a_closed_breaker_gives_a_permit_without_being_asked() -> None:
    """Open or half-open it must be asked, as one in the store or one that is slow."""
    gate = Gate("Calls.call", "here", Policy(breaker=Breaker(1, open_for=30)))
    state = gate.breaker.state
    before = gate.closed()
    assert before is not None
    state.leave(before[0], 0.0, well=False)
    assert (state.status, gate.closed()) == ("open", None)
    trial = state.enter(30.0)
    assert (state.status, gate.closed()) == ("half_open", None)
    state.leave(trial, 30.0, well=True)
    assert gate.closed() is not None
    state.leave(before[0], 30.0, well=False)  # it began before all that
    assert state.status == "closed"
    for more in ({"slow": 1}, {"name": "far", "shared": "store"}):
        asked = Gate("Calls.call", "there", Policy(breaker=Breaker(**more)))
        assert asked.closed() is None


def test_a_limit_in_the_store_needs_one() -> None:
    """A run in memory has none, and says so rather than to be alone."""
    from flowkit import RunError

    cls = calling([], rate=Rate(1, name="nowhere", shared="store"))
    with pytest.raises(RunError) as caught:
        cls().kickoff()
    assert str(caught.value) == (
        "Calls.call shares its Rate 'nowhere' through the store, and this run has "
        "none. Give the flow a store."
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"shared": "store"},
            "Rate(shared='store') needs a name: other processes know it by that.",
        ),
        (
            {"shared": "all", "name": "x"},
            "Rate(shared=..) is 'process' or 'store', not 'all'.",
        ),
    ],
)
def test_what_is_shared_has_a_name(given, text) -> None:
    """Else nobody could share it."""
    with pytest.raises(ValueError) as caught:
        Rate(1, **given)
    assert str(caught.value) == text


def noted(run, store):
    """What limits decided in a run, as its history tells it."""
    return [
        (each.step, limit.limit, limit.name, limit.what, limit.seconds)
        for each in runs.history(run.id, store=store)
        for limit in each.limits
    ]


@pytest.mark.parametrize("kind", ["async", "sync", "threads"])
async def test_what_a_breaker_comes_to_is_in_the_journal(clock, kind) -> None:
    """Behind the run's records so far, and before the end of the step that did it."""
    fails = ["down"]
    store = MemoryStore("memory:test")
    policies = {"breaker": Breaker(1, open_for=30, name=f"noted {kind}")}
    if kind == "async":
        cls = calling(fails, **policies)
    else:

        class Calls(Flow):
            @start(**policies)
            def call(self):
                if fails:
                    raise OSError(fails[0])
                return "called"

        cls = Calls

    async def go(flow):
        if kind == "sync":
            return flow.kickoff()
        return await flow.kickoff_async()

    opens, closes = cls(store=store), cls(store=store)
    with pytest.raises(OSError, match="down"):
        await go(opens)
    fails.clear()
    clock.advance(30)
    assert await go(closes) == "called"
    name = f"noted {kind}"
    assert noted(opens.run, store) == [("call", "breaker", name, "open", 0.0)]
    assert noted(closes.run, store) == [
        ("call", "breaker", name, "half_open", 0.0),
        ("call", "breaker", name, "closed", 0.0),
    ]
    kinds = [each.kind for each in store.entries(closes.run.id)]
    assert kinds == ["start", "note:limit", "note:limit", "done"]
    entry = store.entries(closes.run.id)[1]
    assert (entry.step, entry.firing) == ("call", 1)


async def test_a_wait_for_a_bulkhead_is_told_and_noted(clock) -> None:
    """Only where there is one."""
    store = MemoryStore("memory:test")
    release = anyio.Event()
    told = []

    class Calls(Flow):
        @start(bulkhead=Bulkhead(1, name="noted"))
        async def call(self):
            await release.wait()

    def hear(sender, run, **said):
        told.append(said)

    first, second = Calls(store=store), Calls(store=store)
    with (
        signals.step_queued.connected_to(hear, sender=Calls),
        signals.step_admitted.connected_to(hear, sender=Calls),
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(first.kickoff_async)
            await ticks(clock, 0)
            group.start_soon(second.kickoff_async)
            await ticks(clock, 2, times=2)
            release.set()
    assert noted(first.run, store) == []
    assert noted(second.run, store) == [("call", "bulkhead", "noted", "waited", 4.0)]
    said = {"step": "call", "firing": 1, "attempt": 1}
    said |= {"limit": "bulkhead", "name": "noted"}
    assert told == [said, {**said, "waited": 4.0}]


async def test_the_history_on_the_command_line_tells_of_limits(clock, capsys) -> None:
    """Each in a few words, behind what came of the step."""
    from flowkit.cli.show import came_of

    store = MemoryStore("memory:test")
    rate = Rate(1, per=10)

    class Calls(Flow):
        broken = True

        @start(rate=rate, breaker=Breaker(1, open_for=5, name="crm"))
        async def call(self):
            if type(self).broken:
                raise OSError("down")
            return "called"

    flow = Calls(store=store)
    with pytest.raises(OSError, match="down"):
        await Calls(store=store).kickoff_async()
    Calls.broken = False
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await ticks(clock, 5, times=3)
    (call,) = runs.history(flow.run.id, store=store)
    assert came_of(call) == (
        "called; waited 10.0s for its rate; breaker 'crm' half-open; breaker 'crm' "
        "closed"
    )
