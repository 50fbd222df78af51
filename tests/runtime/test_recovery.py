"""What stands in for a failed step, what a failure does to its run, what is undone."""

from __future__ import annotations

import contextlib

import pytest

from flowkit import (
    DefinitionError,
    Flow,
    Policy,
    Retry,
    TryAgain,
    and_,
    listen,
    router,
    runs,
    start,
    tasks,
)
from flowkit.runtime.resumption import resume, resume_async
from tests.runtime.stored import MemoryStore, crashed, flow_named


def failing(fallback, *, is_async=False, error=OSError, **more):
    """A flow whose step fails for good, with what stands in for it."""

    class Fails(Flow):
        def cached(self, got):
            return f"cached {got}"

        def told(self, error):
            return f"{type(error).__name__} {error}"

        @start()
        def begin(self):
            return "order"

        if is_async:

            @listen(begin, fallback=fallback(locals()), **more)
            async def fetch(self, got):
                raise error("gone")

        else:

            @listen(begin, fallback=fallback(locals()), **more)
            def fetch(self, got):
                raise error("gone")

        @listen(fetch)
        def use(self, profile):
            return profile

    return Fails


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("fallback", "result"),
    [
        (lambda _: "nothing", "nothing"),
        (lambda _: 0, 0),
        (lambda own: own["cached"], "cached order"),
        (lambda own: own["told"], "OSError gone"),
        (lambda _: {KeyError: "key", OSError: "os"}, "os"),
        (lambda own: {OSError: own["cached"]}, "cached order"),
        (lambda _: [{KeyError: "key"}, "last"], "last"),
    ],
)
def test_a_fallback_stands_in_for_a_step(fallback, result, is_async) -> None:
    """A value or a method, by the error if it says so; listeners are given it."""
    flow = failing(fallback, is_async=is_async)()
    assert flow.kickoff() == result
    assert flow.run.degraded == ("fetch",)
    assert (flow.run.status, flow.run.failures) == ("completed", [])


def test_an_async_fallback_of_an_async_step_may_wait() -> None:
    """It is a body as any other."""

    class Waits(Flow):
        async def waits(self, error):
            await self.sleep(0)
            return f"waited {error}"

        @start(fallback=waits)
        async def fetch(self):
            raise OSError("gone")

    assert Waits().kickoff() == "waited gone"


def test_an_error_that_no_fallback_takes_fails_the_step() -> None:
    """As if there were none."""
    flow = failing(lambda _: {KeyError: "key"})()
    with pytest.raises(OSError, match="gone"):
        flow.kickoff()
    assert flow.run.degraded == ()


def test_fallbacks_are_tried_one_after_another() -> None:
    """Retries first, then the same step under another policy, then the next."""
    seen = []

    class Chain(Flow):
        def cached(self, error):
            seen.append(f"cached {error}")
            raise KeyError("empty")

        def default(self, error):
            seen.append(f"default {error}")
            return "default"

        @start(
            retry=Retry(2, first=0),
            fallback=[Policy(retry=Retry(3, first=0)), cached, default],
        )
        def fetch(self):
            seen.append(f"attempt {self.attempt}")
            raise OSError(self.attempt)

    flow = Chain()
    assert flow.kickoff() == "default"
    assert seen == [
        *(f"attempt {number}" for number in range(1, 6)),
        "cached 5",
        "default 'empty'",
    ]
    assert [record.why for record in flow.run.records[1:-1]] == [
        "retry",
        "fallback",
        "retry",
        "retry",
        "fallback",
        "fallback",
    ]


def test_a_chain_that_fails_to_its_end_fails_with_the_last_error() -> None:
    """Each failure before it is in the records."""

    class Chain(Flow):
        def cached(self):
            raise KeyError("empty")

        @start(fallback=[cached])
        def fetch(self):
            raise OSError("gone")

    with pytest.raises(KeyError, match="empty"):
        Chain().kickoff()


def test_a_subclass_may_replace_a_fallback() -> None:
    """A method is found by its name, as steps are."""

    class Base(Flow):
        def cached(self):
            return "base"

        @start(fallback=cached)
        def fetch(self):
            raise OSError

    class Sub(Base):
        def cached(self):
            return "sub"

    assert Sub().kickoff() == "sub"


async def test_every_prefix_of_a_chain_goes_on() -> None:
    """Wherever a crash cuts it off, the same fallback is at work."""
    flow = flow_named(failing(lambda own: [own["told"]], retry=Retry(3, first=0)))
    store = MemoryStore("memory:test")
    run = flow(store=store)
    assert await run.kickoff_async() == "OSError gone"
    (_, fetch, _) = runs.history(run.run.id, store=store)
    assert fetch.degraded
    assert [each.why for each in fetch.deferrals] == ["retry", "retry", "fallback"]
    for seq in range(1, store.run(run.run.id).seq):
        copy = crashed(store, run.run.id, seq, f"copy {seq}")
        assert await resume_async(copy, store=store) == "OSError gone"


@pytest.mark.parametrize(
    ("fallback", "text"),
    [
        ([], "fallback takes a value or a chain of them, not an empty one."),
        (
            {"x": 1},
            (
                "fallback takes a dictionary by exception classes, not {'x': 1}. For a "
                "dictionary as the value give a method that returns it."
            ),
        ),
    ],
)
def test_a_fallback_that_means_nothing_cannot_be_made(fallback, text) -> None:
    """The error says the cure."""
    with pytest.raises(ValueError) as caught:
        Policy(fallback=fallback)
    assert str(caught.value) == text


def branches(mode):
    """A flow with two branches that fail and one that does not."""

    class Branches(Flow, on_error=mode):
        @start()
        def begin(self):
            return None

        @listen(begin)
        async def one(self):
            raise OSError("one")

        @listen(begin)
        async def two(self):
            await self.sleep(0)
            raise KeyError("two")

        @listen(begin)
        async def well(self):
            await self.sleep(0)
            return "well"

        @listen(well)
        def end(self):
            return "end"

        @listen(and_(one, two))
        def never(self):
            return "never"

    return Branches


def test_a_branch_that_fails_ends_alone() -> None:
    """`continue`: the others go on, the failures stand in the handle."""
    flow = branches("continue")()
    assert flow.kickoff() == "end"
    assert flow.run.status == "completed"
    assert [str(each) for each in flow.run.failures] == ["one", "'two'"]
    assert flow.run.outcome() == "end"


@pytest.mark.parametrize("store", [None, "memory"])
def test_all_failures_are_collected(store) -> None:
    """`collect`: the run fails at its end, with all of them as a group."""
    cls = branches("collect")
    flow = cls() if store is None else cls(store=MemoryStore("memory:test"))
    with pytest.raises(ExceptionGroup) as caught:
        flow.kickoff()
    assert caught.value.message == "2 steps of Branches failed"
    assert [str(each) for each in caught.value.exceptions] == ["one", "'two'"]
    assert flow.run.status == "failed"
    assert "end" in [output for output in flow.method_outputs if output]


def test_a_collecting_flow_without_failures_is_completed() -> None:
    """It gives its result as any other."""

    class Well(Flow, on_error="collect"):
        @start()
        def go(self):
            return 1

    flow = Well()
    assert flow.kickoff() == 1
    assert flow.run.status == "completed"


def test_a_method_hears_every_failure_that_nobody_listens_to() -> None:
    """It is given the error; a step with a listener of its own is not its business."""
    heard = []

    class Handled(Flow, on_error="mend"):
        @start()
        def one(self):
            raise OSError("one")

        @start()
        def two(self):
            raise KeyError("two")

        @listen(two.failed)
        def own(self, error):
            heard.append("own")

        def mend(self, error):
            heard.append(str(error))
            return "mended"

        @listen(mend)
        def after(self, got):
            return f"after {got}"

    assert Handled().kickoff() == "after mended"
    assert sorted(heard) == ["one", "own"]


def test_a_handler_that_fails_ends_the_run() -> None:
    """It does not hear itself."""

    class Worse(Flow, on_error="mend"):
        @start()
        def one(self):
            raise OSError("one")

        def mend(self, error):
            raise KeyError("worse")

    with pytest.raises(KeyError, match="worse"):
        Worse().kickoff()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "colect",
            (
                "class Odd has on_error='colect', which is no method. Did you mean "
                "'collect'?"
            ),
        ),
        (
            "whatever",
            (
                "class Odd has on_error='whatever', which is no method. Give 'collect', "
                "'compensate', 'continue', 'fail_fast', or name a method."
            ),
        ),
    ],
)
def test_an_unknown_mode_is_a_fault_of_the_class(name, text) -> None:
    """With a guess, or all there are."""
    with pytest.raises(DefinitionError) as caught:

        class Odd(Flow, on_error=name):
            @start()
            def go(self):
                return None

    assert str(caught.value) == text


def test_a_plain_step_has_no_async_fallback() -> None:
    """Its verbs could not wait."""
    with pytest.raises(DefinitionError) as caught:

        class Odd(Flow):
            async def waits(self):
                return None

            @start(fallback={OSError: waits})
            def go(self):
                return None

    assert str(caught.value).startswith(
        "Odd.go is a plain method, and its fallback waits is async. Make the step "
        "async, or the fallback plain. (test_recovery.py:"
    )


def trips(mode="compensate", store=None, **more):
    """A flow of three bookings that can be undone; the last one fails."""
    log = []

    class Trip(Flow, on_error=mode, **more):
        def cancel_flight(self, flight):
            log.append(f"undo {flight}")

        @start(undo=cancel_flight)
        def flight(self):
            return "flight"

        @listen(flight, undo="cancel_hotel")
        def hotel(self):
            return "hotel"

        async def cancel_hotel(self, hotel):
            await self.sleep(0)
            log.append(f"undo {hotel}")

        @listen(hotel, undo=cancel_flight)
        def car(self):
            raise OSError("no car")

    Trip.log = log
    return Trip


@pytest.mark.parametrize("store", [None, "memory"])
def test_a_failed_run_is_undone_newest_first(store) -> None:
    """The step that failed did nothing, so nothing of it is undone."""
    cls = trips()
    flow = cls() if store is None else cls(store=MemoryStore("memory:test"))
    with pytest.raises(OSError, match="no car"):
        flow.kickoff()
    assert cls.log == ["undo hotel", "undo flight"]
    assert flow.run.status == "compensated"
    assert flow.run.not_undone == []


def test_a_run_that_ends_well_undoes_nothing() -> None:
    """Nor does one that fails fast."""
    cls = trips("fail_fast")
    with pytest.raises(OSError, match="no car"):
        cls().kickoff()
    assert cls.log == []


def test_a_step_asks_for_compensation() -> None:
    """Nothing after the call runs; the run is compensated, and no error."""
    log = []

    class Asks(Flow):
        def undo(self, made):
            log.append(made)

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one, undo=undo)
        def two(self):
            return "two"

        @listen(two)
        def judge(self):
            self.compensate("not wanted")
            log.append("never")

        @listen(judge)
        def after(self):
            log.append("never")

    flow = Asks()
    assert flow.kickoff() is None
    assert log == ["two", "one"]
    assert (flow.run.status, flow.run.reason) == ("compensated", "not wanted")


def test_what_runs_beside_a_failure_is_cancelled_and_not_undone() -> None:
    """Undoing begins with what was finished by then."""
    log = []

    class Beside(Flow, on_error="compensate"):
        def undo(self, made):
            log.append(made)

        @start(undo=undo)
        async def done(self):
            return "done"

        @listen(done, undo=undo)
        async def slow(self):
            await self.sleep(60)

        @listen(done)
        async def fails(self):
            await self.sleep(0)
            raise OSError("fails")

        @listen(undo)
        def never(self):
            log.append("never")

    flow = Beside()
    with pytest.raises(OSError, match="fails"):
        flow.kickoff()
    assert log == ["done"]


def test_an_undo_step_is_tried_again() -> None:
    """Under the policy of the class; every turn of a loop is undone by itself."""
    log = []

    class Tries(Flow, on_error="compensate", defaults=Policy(retry=Retry(3, first=0))):
        def undo(self, made):
            log.append((made, self.attempt))
            if self.attempt < 3:
                raise OSError("not yet")

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one, retry=1)
        def fails(self):
            raise KeyError("x")

    flow = Tries()
    with pytest.raises(KeyError):
        flow.kickoff()
    assert log == [("one", 1), ("one", 2), ("one", 3)]
    assert flow.run.status == "compensated"


def stuck(log):
    """A flow of two steps, of which the second cannot be undone while it is broken."""

    class Stuck(Flow, on_error="compensate"):
        broken = True

        def undo(self, made):
            log.append(made)
            if made == "two" and type(self).broken:
                raise OSError("stuck")

        @start(undo=undo)
        def one(self):
            return "one"

        @listen(one, undo=undo)
        def two(self):
            return "two"

        @listen(two)
        def fails(self):
            raise KeyError("x")

    return Stuck


def test_what_could_not_be_undone_is_named() -> None:
    """The others are undone all the same; the run has failed."""
    log = []
    flow = stuck(log)()
    with pytest.raises(KeyError) as caught:
        flow.kickoff()
    assert log == ["two", "one"]
    assert (flow.run.status, flow.run.not_undone) == ("failed", ["two"])
    assert caught.value.__notes__[1] == (
        "flowkit: Stuck.two could not be undone: its undo step has failed. Undo it by "
        "hand, or mend the step and resume the run."
    )


def test_a_loop_is_undone_turn_by_turn() -> None:
    """Each firing once, with what it returned."""
    log = []

    class Loops(Flow):
        def undo(self, turn):
            log.append(turn)

        @start("again", undo=undo)
        def turn(self):
            self.state["n"] = self.state.get("n", 0) + 1
            return self.state["n"]

        @router(turn, emit=["again", "enough"])
        def judge(self):
            return "again" if self.state["n"] < 3 else "enough"

        @listen("enough")
        def end(self):
            self.compensate()

    Loops().kickoff()
    assert log == [3, 2, 1]


async def test_every_prefix_of_a_compensation_goes_on() -> None:
    """Wherever a crash cuts it off, what was undone is not undone again."""
    cls = flow_named(trips())
    store = MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(OSError, match="no car"):
        await flow.kickoff_async()
    assert runs.get(flow.run.id, store=store).status == "compensated"
    entries = store.entries(flow.run.id)
    for seq in range(1, len(entries)):
        cls.log.clear()
        copy = crashed(store, flow.run.id, seq, f"copy {seq}")
        with pytest.raises(OSError, match="no car"):
            await resume_async(copy, store=store)
        done = {each.step for each in entries[:seq] if each.kind == "done"}
        wanted = [
            f"undo {name}"
            for name in ("hotel", "flight")
            if f"cancel_{name}" not in done
        ]
        assert cls.log == wanted
        assert runs.get(copy, store=store).status == "compensated"


def test_a_compensated_run_is_over() -> None:
    """Resumed, it gives what ended it once more."""
    cls = flow_named(trips(), "Over")
    store = MemoryStore("memory:test")
    flow = cls(store=store)
    with pytest.raises(OSError, match="no car"):
        flow.kickoff()
    with pytest.raises(OSError, match="no car"):
        resume(flow.run.id, store=store)
    assert cls.log == ["undo hotel", "undo flight"]


def test_an_undo_that_is_no_method_is_a_fault() -> None:
    """With a guess."""
    with pytest.raises(DefinitionError) as caught:

        class Odd(Flow):
            def cancel(self, made):
                return None

            @start(undo="cansel")
            def go(self):
                return None

    assert str(caught.value).startswith(
        "Odd.go has undo='cansel', which is no method. Did you mean 'cancel'? "
        "(test_recovery.py:"
    )


def test_a_collecting_run_begins_all_its_failures_again() -> None:
    """What went well is not run again; the group is gone when they end well."""
    seen = []

    class Collects(Flow, on_error="collect"):
        broken = True

        @start()
        def one(self):
            return self.tried("one")

        @start()
        def two(self):
            return self.tried("two")

        @start()
        def well(self):
            seen.append("well")
            return "well"

        @listen(and_(one, two, well))
        def all_of_them(self):
            return "all"

        def tried(self, name):
            seen.append((name, self.attempt))
            if type(self).broken:
                raise OSError(name)
            return name

    flow_named(Collects)
    store = MemoryStore("memory:test")
    flow = Collects(store=store)
    with pytest.raises(ExceptionGroup):
        flow.kickoff()
    with pytest.raises(ExceptionGroup):
        resume(flow.run.id, store=store)
    Collects.broken = False
    assert resume(flow.run.id, store=store) == "all"
    assert sorted(map(str, seen)) == sorted(
        ["well", *(str((name, each)) for name in ("one", "two") for each in (1, 2, 3))]
    )
    assert runs.get(flow.run.id, store=store).status == "completed"
    assert resume(flow.run.id, store=store) == "all"


def test_what_could_not_be_undone_is_undone_by_a_resume() -> None:
    """That alone; then the run is compensated."""
    log = []
    undoes = flow_named(stuck(log))
    store = MemoryStore("memory:test")
    flow = undoes(store=store)
    with pytest.raises(KeyError):
        flow.kickoff()
    assert runs.get(flow.run.id, store=store).status == "failed"
    undoes.broken = False
    with pytest.raises(KeyError):
        resume(flow.run.id, store=store)
    assert log == ["two", "one", "two"]
    assert runs.get(flow.run.id, store=store).status == "compensated"


def test_a_step_that_ends_its_process_is_poisoned() -> None:
    """After as many starts as it may have; its fallback stands in."""

    class Kills(Flow):
        @start(max_starts=2)
        def go(self):
            return f"start {self.attempt}"

    class Instead(Flow):
        @start(max_starts=2, fallback="instead")
        def go(self):
            return "go"

    store = MemoryStore("memory:test")
    run = flow_named(Kills)(store=store)
    run.kickoff()
    copy = crashed(store, run.run.id, 1, "copy")
    stored = store.entries(copy)
    assert resume(copy, store=store) == "start 2"
    twice = crashed(store, copy, len(stored) + 1, "twice")
    assert store.entries(twice)[-1].kind == "note:again"
    from flowkit.errors import PoisonedStepError

    with pytest.raises(PoisonedStepError) as caught:
        resume(twice, store=store)
    assert str(caught.value).startswith(
        "Kills.go was started 2 times, and its process ended each time before it did. "
        "Find out what it does to the process (memory, a crash in C), then resume the "
        "run. (test_recovery.py:"
    )
    assert resume(twice, store=store) == "start 3"
    run = flow_named(Instead)(store=store)
    run.kickoff()
    copy = crashed(store, run.run.id, 1, "third")
    resume(copy, store=store)
    twice = crashed(store, copy, 2, "fourth")
    assert resume(twice, store=store) == "instead"


async def test_the_fallback_that_was_chosen_stays_chosen() -> None:
    """A restart may not know the error's class any more; the record says which."""

    class Local(Exception):
        """Cannot be found again by its name."""

    class Chooses(Flow):
        @start(
            fallback=[
                {KeyError: "key", Local: Policy(retry=1), OSError: "os"},
                {Local: "local"},
            ]
        )
        def fetch(self):
            raise Local("gone")

    flow_named(Chooses)
    store = MemoryStore("memory:test")
    flow = Chooses(store=store)
    assert await flow.kickoff_async() == "local"
    for seq in range(1, store.run(flow.run.id).seq):
        copy = crashed(store, flow.run.id, seq, f"copy {seq}")
        assert await resume_async(copy, store=store) == "local"


class Desk(Flow, evict_after=0):
    """A step that asks a person what to do about its failure."""

    seen = []

    async def ask_the_desk(self, error):
        answer = await self.ask_async(str(error), options=["retry", "skip", "abort"])
        Desk.seen.append(answer)
        if answer == "retry":
            raise TryAgain
        if answer == "abort":
            raise error
        return "skipped"

    @start(retry=Retry(2, first=0), fallback=ask_the_desk)
    async def load(self):
        Desk.seen.append(self.attempt)
        raise OSError(f"failed {self.attempt}")


flow_named(Desk)


def test_a_person_says_what_becomes_of_a_failure() -> None:
    """Retry asks anew if it fails again; skip and abort end it."""
    Desk.seen.clear()
    found = []
    for last in ("skip", "abort"):
        store = MemoryStore("memory:test")
        run = Desk(store=store).kickoff()
        for answer in ("retry", "retry", last):
            (task,) = tasks.list(store=store)
            failing = contextlib.suppress(OSError) if answer == "abort" else None
            with failing or contextlib.nullcontext():
                tasks.answer(task.token, answer, store=store)
        info = runs.get(run.id, store=store)
        found.append((info.status, info.result, info.error))
    assert found == [
        ("completed", "skipped", ""),
        ("failed", None, "OSError: failed 8"),
    ]
    answers = [each for each in Desk.seen if isinstance(each, str)]
    assert answers == ["retry", "retry", "skip", "retry", "retry", "abort"]
    assert len([each for each in Desk.seen if isinstance(each, int)]) == 12


def test_a_step_that_raises_try_again_itself_has_failed() -> None:
    """It is for fallbacks; a loop of attempts has a bound."""

    class Own(Flow):
        @start(fallback={OSError: "os"})
        def go(self):
            raise TryAgain

    with pytest.raises(TryAgain):
        Own().kickoff()
