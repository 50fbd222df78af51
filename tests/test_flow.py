from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from flowkit import (
    Flow,
    FlowkitWarning,
    RunError,
    and_,
    event,
    listen,
    or_,
    router,
    start,
)


class Greet(Flow):
    @start()
    def begin(self):
        return "hello"

    @listen(begin)
    async def add(self, begin):
        return f"{begin} world"


def test_kickoff_gives_the_last_completed_output():
    """method_outputs holds all of them, in a new list at each access."""
    flow = Greet()
    assert flow.method_outputs == []
    assert flow.run is None
    assert repr(flow) == "<Greet: not started>"
    assert flow.kickoff() == "hello world"
    assert flow.method_outputs == ["hello", "hello world"]
    assert flow.method_outputs is not flow.method_outputs
    assert repr(flow) == "<Greet: completed>"
    assert flow.run.result == "hello world"
    assert [each[:2] for each in flow.run.history] == [
        ("begin", "finished"),
        ("add", "finished"),
    ]


async def test_the_three_kickoffs_agree():
    """kickoff, kickoff_async and akickoff, by position and keyword."""
    assert Greet().kickoff({"a": 1}) == "hello world"
    assert await Greet().kickoff_async(inputs={"a": 1}) == "hello world"
    assert await Greet().akickoff({"a": 1}) == "hello world"


def test_kickoffs_are_ordinary_functions():
    """Users wrap and replace them; the signature is CrewAI's."""
    for name in ("kickoff", "kickoff_async", "akickoff"):
        function = inspect.getattr_static(Flow, name)
        assert inspect.isfunction(function)
        given = inspect.signature(function).parameters.values()
        assert [each.name for each in given if each.kind is not each.KEYWORD_ONLY] == [
            "self", "inputs", "input_files", "from_checkpoint", "restore_from_state_id",
        ]  # fmt: skip
    assert not asyncio.iscoroutinefunction(Flow.kickoff)
    assert asyncio.iscoroutinefunction(Flow.kickoff_async)


def test_a_replaced_kickoff_async_is_what_kickoff_calls():
    """Found by normal attribute look-up."""

    class Wrapped(Greet):
        async def kickoff_async(self, inputs=None, *args, **kwargs):
            return "wrapped", await super().kickoff_async(inputs)

    assert Wrapped().kickoff() == ("wrapped", "hello world")


async def test_a_replaced_kickoff_async_within_a_loop():
    """The same where a loop runs."""

    class Wrapped(Greet):
        async def kickoff_async(self, inputs=None, *args, **kwargs):
            return "wrapped", await super().kickoff_async(inputs)

    assert Wrapped().kickoff() == ("wrapped", "hello world")
    assert await Wrapped().akickoff() == ("wrapped", "hello world")


def test_an_unknown_keyword_is_one_sentence():
    """What is unknown, a guess, what it takes."""
    with pytest.raises(TypeError) as caught:
        Greet(initial_sate={})  # codespell:ignore
    assert str(caught.value) == (
        "Greet() takes no keyword 'initial_sate'. Did you mean 'initial_state'? Values "
        "for a run go to kickoff(inputs); it takes initial_state, input_provider, "
        "max_method_calls, name, persistence, store, stream."
    )


def test_ignored_keywords_warn():
    """Four keywords of CrewAI have no effect, and say so."""
    for key in ("tracing", "memory", "checkpoint", "defer_trace_finalization"):
        with pytest.warns(FlowkitWarning) as caught:
            Greet(**{key: True})
        assert [str(each.message) for each in caught] == [
            f"Greet({key}=..) has no effect in flowkit."
        ]
        assert caught[0].filename == __file__


def test_options_are_keywords_or_attributes():
    """Constructor, class attribute or assigned on the instance."""

    class Named(Greet):
        name = "mine"
        max_method_calls = 7

    assert Greet().name is None
    assert Named().name == "mine"
    assert Named(name="given").name == "given"
    assert Named().max_method_calls == 7
    assert Named(max_method_calls=3).max_method_calls == 3


class Loop(Flow):
    @start()
    async def begin(self):
        self.state["turns"] = 0

    @router(or_(begin, "again"))
    async def turn(self):
        self.state["turns"] += 1
        return "again"


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("how", ["default", "keyword", "assigned", "class"])
async def test_a_loop_without_end_is_one_sentence(how, blocking):
    """A RecursionError with the circle, the bound and the cures."""
    most = 100 if how == "default" else 5
    flow = Loop(max_method_calls=5) if how == "keyword" else Loop()
    if how == "assigned":
        flow.max_method_calls = 5
    if how == "class":

        class Bounded(Loop, max_firings=5):
            pass

        flow = Bounded()
    with pytest.raises(RecursionError) as caught:
        if blocking:
            flow.kickoff()
        else:
            await flow.kickoff_async()
    name = type(flow).__name__
    line = Loop.turn.__code__.co_firstlineno
    assert str(caught.value) == (
        f"{name}.turn would fire more than {most} times in one run, in the circle turn "
        f"-> turn. Give the loop an exit, or raise the bound with max_firings= on the "
        f"step or max_method_calls on the flow. (test_flow.py:{line})"
    )
    assert flow.run.status == "failed"
    assert flow.state["turns"] == most


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "input_files",
            "kickoff(input_files=..): steps take no files apart. Give what a step "
            "needs, a path or its content, in inputs.",
        ),
        (
            "from_checkpoint",
            "kickoff(from_checkpoint=..): a stored run goes on by kickoff(id=..), and "
            "begins again where another stood by runs.fork(..). Leave it out.",
        ),
    ],
)
async def test_arguments_without_meaning_are_refused(name, text):
    """None is as not given; anything else is one sentence."""
    assert Greet().kickoff(**{name: None}) == "hello world"
    for call in (Greet().kickoff, Greet().kickoff_async):
        with pytest.raises(RunError) as caught:
            await call(**{name: "x"})
        assert str(caught.value) == text


def test_subclasses_have_their_own_init_and_attributes():
    """Any parameters, any attribute, underscored or not."""

    class Service(Flow):
        iteration: int = 0
        limit = 3

        def __init__(self, client, *, retries=2):
            super().__init__()
            self.client = client
            self._retries = retries
            self.state["made"] = True

        @start()
        def begin(self):
            self.iteration += 1
            return self.client, self._retries, self.iteration, self.state["made"]

    flow = Service("client", retries=5)
    assert flow.kickoff() == ("client", 5, 1, True)
    assert flow.kickoff() == ("client", 5, 2, True)
    assert flow.iteration == 2
    assert Service.iteration == 0


def test_a_flow_without_super_init_says_so():
    """One sentence instead of an AttributeError from the inside."""

    class Forgot(Flow):
        def __init__(self):
            self.ready = True

        @start()
        def begin(self):
            pass

    for act in (lambda: Forgot().state, lambda: Forgot().kickoff()):
        with pytest.raises(RunError) as caught:
            act()
        assert "super().__init__()" in str(caught.value)


def test_inherited_steps_and_overrides():
    """An override keeps its wiring; a mixin adds steps."""

    class Mixin:
        @start()
        def also(self):
            return "also"

    class Child(Greet, Mixin):
        def begin(self):
            return "hi"

        @listen(and_("add", "also"))
        def both(self, add, also):
            return add, also

    assert Child().kickoff() == ("hi world", "also")


async def test_flows_are_equal_by_identity():
    """A facade in a parallel step equals its flow, and hashes alike."""

    class Beside(Flow):
        @start()
        async def one(self):
            return self == origin, hash(self) == hash(origin), {self: 1}[origin]

        @start()
        async def two(self):
            return self == Beside()

    origin = Beside()
    await origin.kickoff_async()
    assert origin.method_outputs == [(True, True, 1), False]


def test_start_gives_the_handle_at_once():
    """The run goes on in a thread of its own; wait() gives its outcome."""
    go = threading.Event()

    class Waits(Flow):
        @start()
        def begin(self):
            assert go.wait(50)
            if self.state.get("fail"):
                raise ValueError("no")
            return variable.get()

    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")
    flow = Waits()
    run = flow.start()
    assert flow.run is run
    assert run.status == "running"
    with pytest.raises(RunError):
        flow.kickoff()
    with pytest.raises(TimeoutError):
        run.wait(0.001)
    go.set()
    assert run.wait(50) == "mine"
    assert run.wait() == "mine"
    failing = Waits().start({"fail": 1})
    with pytest.raises(ValueError, match="no"):
        failing.wait(50)


async def test_start_within_a_loop_can_be_cancelled():
    """cancel() from the outside joins the async steps."""
    seen = threading.Event()
    ended = []

    class Sleeps(Flow):
        @start()
        async def begin(self):
            try:
                seen.set()
                await anyio.sleep_forever()
            finally:
                ended.append(1)

    run = Sleeps().start()
    assert await anyio.to_thread.run_sync(seen.wait, 5)
    run.cancel("enough")
    assert await anyio.to_thread.run_sync(run.wait, 5) is None
    assert (run.status, run.reason, ended) == ("cancelled", "enough", [1])


class Order(BaseModel):
    number: int = 0


def test_a_waiting_run_is_given_up_by_a_new_kickoff():
    """The same object begins a new run; the waiting one is cancelled."""

    class Waits(Flow[Order]):
        @start()
        def begin(self):
            self.state.number += 1

        @listen(event("go"))
        def on_go(self, payload: Order):
            return payload.number

    flow = Waits()
    first = flow.kickoff()
    second = flow.kickoff()
    assert (first.status, second.status) == ("cancelled", "waiting")
    assert not first.awaits
    assert flow.send("go", {"number": "3"}) is True
    assert flow.run.result == 3
    assert flow.send("unknown") is False
    with pytest.raises(ValueError) as caught:
        flow.send("go", {"number": "x"})
    assert str(caught.value) == (
        "The payload for Waits.on_go does not fit Order: number: Input should be a "
        "valid integer, unable to parse string as an integer, got 'x'"
    )
    assert flow.run.status == "waiting"


async def test_stuck_joins_are_told():
    """A join that can never fire is named with what came and what is missing."""

    class Stuck(Flow):
        @start()
        async def begin(self):
            pass

        @router(begin, emit=["left", "right"])
        async def route(self):
            return "left"

        @listen(and_("left", "right"))
        async def both(self):
            raise AssertionError

    flow = Stuck()
    await flow.kickoff_async()
    line = Stuck.both.__code__.co_firstlineno
    assert flow.run.stuck == [
        (
            f"Stuck.both is stuck on and_(left, right): left came; right cannot come any "
            f"more (router route chose 'left'). (test_flow.py:{line})"
        )
    ]


def test_plain_values_of_any_kind_are_outputs():
    """None, exceptions, classes and functions are handed on as they are."""
    for value in (None, ValueError("kept"), int, len, [1], {"a": 1}, b"x", ...):

        class Gives(Flow):
            @start()
            def begin(self, value: Any = value):
                return value

            @listen(begin)
            def take(self, begin):
                return begin

        assert Gives().kickoff() is value
