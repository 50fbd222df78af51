"""Results that are kept: by what they are found, how long, how many, by whom made."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest

from flowkit import INPUTS, SOURCE, Cache, Flow, Policy, listen, runs, signals, start
from flowkit.core.caching import source_of_code
from flowkit.journal.urls import open_store
from flowkit.runtime.cached import forget_all
from tests.runtime.stored import MemoryStore, crashed, flow_named


@pytest.fixture(autouse=True)
def nothing_kept(clock):
    """Time stands still, and nothing is kept from another test."""
    forget_all()
    yield
    forget_all()


def looking(cache, *, is_async=False, **more):
    """A flow class that looks something up, and the calls it makes."""
    calls = []

    class Looks(Flow[dict]):
        @start()
        def ask(self):
            return self.state["q"]

        if is_async:

            @listen(ask, cache=cache, **more)
            async def look(self, question, debug=False):
                calls.append(question)
                await anyio.lowlevel.checkpoint()
                return {"answer": f"{question}!"}

        else:

            @listen(ask, cache=cache, **more)
            def look(self, question, debug=False):
                calls.append(question)
                return {"answer": f"{question}!"}

        @listen(look)
        def use(self, found):
            return found["answer"]

    Looks.calls = calls
    return Looks


@pytest.mark.parametrize("store", [None, "memory"])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_same_question_is_asked_once(store, is_async) -> None:
    """The next run is given the result; another question is another call."""
    cls = looking("1h", is_async=is_async)
    more = {} if store is None else {"store": MemoryStore("memory:test")}
    asked = [cls(**more).kickoff({"q": q}) for q in ("a", "a", "b", "a")]
    assert asked == ["a!", "a!", "b!", "a!"]
    assert cls.calls == ["a", "b"]


def test_a_result_counts_for_its_time(clock) -> None:
    """And not a tick longer."""
    cls = looking(Cache("1h"))
    cls().kickoff({"q": "a"})
    clock.advance(3_599)
    cls().kickoff({"q": "a"})
    assert cls.calls == ["a"]
    clock.advance(1)
    cls().kickoff({"q": "a"})
    assert cls.calls == ["a", "a"]


def test_a_result_of_a_store_is_found_by_another_process(tmp_path) -> None:
    """It lies in the database, not in memory."""
    url = f"sqlite:///{tmp_path}/kept.db"
    cls = looking("1h")
    assert cls(store=url).kickoff({"q": "a"}) == "a!"
    open_store(url).close()
    forget_all()
    assert cls(store=url).kickoff({"q": "a"}) == "a!"
    assert cls.calls == ["a"]


@pytest.mark.parametrize("store", [None, "memory"])
def test_no_more_is_kept_than_was_said(store) -> None:
    """A new result takes the place of an old one."""
    cls = looking(Cache(entries=1))
    more = {} if store is None else {"store": MemoryStore("memory:test")}
    for question in ("a", "b", "a"):
        cls(**more).kickoff({"q": question})
    assert cls.calls == ["a", "b", "a"]


def test_the_caller_owns_what_it_is_given() -> None:
    """Changing it changes no kept result."""

    class Changes(Flow):
        @start(cache="1h")
        def make(self):
            return [1]

        @listen(make)
        def change(self, made):
            made.append(2)
            return made

    assert Changes().kickoff() == Changes().kickoff() == [1, 2]


def test_a_key_is_composed() -> None:
    """Of inputs without some of them, and of the code."""
    key = INPUTS + SOURCE - "debug"
    assert str(key) == "INPUTS + SOURCE - 'debug'"
    seen = []

    class Debugs(Flow[dict]):
        @start()
        def debug(self):
            return self.state["debug"]

        @start()
        def order(self):
            return 1

        from flowkit import and_

        @listen(and_(debug, order), cache=Cache(key=INPUTS - "debug"))
        def look(self, debug, order):
            seen.append(debug)
            return order

    for debug in (True, False):
        Debugs().kickoff({"debug": debug})
    assert len(seen) == 1


def test_a_function_may_make_the_key() -> None:
    """Of the state, for example; it is given what the step is given."""

    def by_customer(flow, question):
        return flow.state["customer"]

    cls = looking(Cache(key=by_customer))
    for customer, question in (("x", "a"), ("x", "b"), ("y", "a")):
        cls().kickoff({"customer": customer, "q": question})
    assert cls.calls == ["a", "a"]


def test_changed_code_begins_anew() -> None:
    """The same name, another body; a moved line or a comment is no change."""

    def code(text):
        space = {}
        exec(text, space)
        return source_of_code(space["f"].__code__)

    same = code("def f(x):\n    return x in {'b', 'a'}")
    assert same == code("\n\ndef f(x):\n    # moved\n    return x in {'a', 'b'}")
    assert same != code("def f(x):\n    return x in {'a', 'c'}")
    assert same != code("def f(x):\n    return x not in {'a', 'b'}")


async def test_several_calls_at_once_make_one() -> None:
    """The others wait for it; if it fails, the next one tries."""
    release = anyio.Event()
    calls = []

    class Waits(Flow):
        @start(cache="1h")
        async def look(self):
            calls.append(1)
            await release.wait()
            if len(calls) == 1:
                raise OSError("first")
            return "found"

    outcomes = []

    async def go():
        try:
            outcomes.append(await Waits().kickoff_async())
        except OSError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(go)
        for _ in range(30):
            await anyio.lowlevel.checkpoint()
        assert len(calls) == 1
        release.set()
    assert len(calls) == 2
    assert sorted(outcomes) == ["first", *["found"] * 9]


async def test_who_is_cancelled_lets_the_next_one_call() -> None:
    """Nobody waits for ever."""
    calls = []

    class Hangs(Flow):
        @start(cache="1h")
        async def look(self):
            calls.append(1)
            if len(calls) == 1:
                await anyio.sleep_forever()
            return "found"

    first, outcomes = Hangs(), []

    async def go():
        outcomes.append(await Hangs().kickoff_async())

    async with anyio.create_task_group() as group:
        group.start_soon(first.kickoff_async)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        group.start_soon(go)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        first.run.cancel()
    assert outcomes == ["found"]


def test_threads_make_one_call() -> None:
    """In blocking kickoffs side by side."""
    begun, release, calls = threading.Event(), threading.Event(), []

    class Waits(Flow):
        @start(cache="1h")
        def look(self):
            calls.append(1)
            begun.set()
            release.wait(50)
            return "found"

    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(Waits().kickoff()))
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    begun.wait(50)
    release.set()
    for each in threads:
        each.join()
    assert (len(calls), outcomes) == (1, ["found"] * 4)


def test_a_hit_is_told() -> None:
    """By a record, a signal and the history."""
    cls = looking("1h")
    store = MemoryStore("memory:test")
    told = []

    def hear(sender, run, **said):
        told.append(said)

    with signals.cache_hit.connected_to(hear, sender=cls):
        cls(store=store).kickoff({"q": "a"})
        flow = cls(store=store)
        flow.kickoff({"q": "a"})
    assert told == [{"step": "look", "firing": 2, "attempt": 1}]
    assert [each.hit for each in runs.history(flow.run.id, store=store)] == [
        False,
        True,
        False,
    ]


def test_every_prefix_of_a_hit_goes_on() -> None:
    """Wherever a crash cuts it off, it ends alike."""
    from flowkit import resume

    cls = flow_named(looking("1h"))
    store = MemoryStore("memory:test")
    cls(store=store).kickoff({"q": "a"})
    flow = cls(store=store)
    flow.kickoff({"q": "a"})
    for seq in range(1, store.run(flow.run.id).seq):
        copy = crashed(store, flow.run.id, seq, f"copy {seq}")
        assert resume(copy, store=store) == "a!"
    assert cls.calls == ["a"]


def test_a_step_that_changes_the_state_is_not_cached(caplog) -> None:
    """A hit would leave its changes out; the log says so."""
    calls = []

    class Writes(Flow[dict]):
        @start(cache="1h")
        def look(self):
            calls.append(1)
            self.state["seen"] = True
            return "found"

    with caplog.at_level(logging.WARNING, "flowkit"):
        for _ in range(2):
            Writes().kickoff()
    assert len(calls) == 2
    assert caplog.messages[0] == (
        "Writes.look is not cached: it has changed the state (seen), which a result "
        "from the cache would not. Return what later steps need, or take cache= away."
    )


def test_what_cannot_be_stored_is_not_cached(caplog) -> None:
    """The run goes on with it."""

    class Locks(Flow):
        @start(cache="1h")
        def make(self):
            return threading.Lock()

    with caplog.at_level(logging.WARNING, "flowkit"):
        assert Locks().kickoff() is not None
    assert caplog.messages[0].startswith("Locks.make is not cached: the result of ")


def test_a_fallback_is_not_cached() -> None:
    """What stands in once is not what the step gives."""
    calls = []

    class Fails(Flow):
        @start(cache="1h", fallback="instead")
        def look(self):
            calls.append(1)
            raise OSError

    assert [Fails().kickoff() for _ in range(2)] == ["instead"] * 2
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Cache(0), "Cache(ttl=..) takes a length of time above zero, not 0."),
        (
            lambda: Cache(key="x"),
            "Cache(key=..) takes INPUTS, SOURCE, their sum or a function, not 'x'.",
        ),
        (
            lambda: Cache(entries=0),
            "Cache(entries=..) takes a count from 1, not 0.",
        ),
        (
            lambda: Policy(cache="soon"),
            (
                "cache takes a Cache or a length of time, not 'soon'. Write cache='1h', or "
                "cache=Cache('1h', key=INPUTS)."
            ),
        ),
    ],
)
def test_a_cache_that_means_nothing_cannot_be_made(make, text) -> None:
    """The error names it and the cure."""
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


def test_a_cache_tells_itself() -> None:
    """As pictures and people read it."""
    assert str(Cache("1h", name="crm")) == "by INPUTS + SOURCE for 1h (crm)"
