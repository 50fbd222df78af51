"""Function flows: what users of ``flowkit.functions`` see, in memory and in a store."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

import flowkit
from flowkit import Flow, FlowkitWarning, InputError, RunError, runs, signals, start
from flowkit.functions import (
    FunctionFlow,
    call,
    current,
    flow,
    idempotency_key,
    sleep,
    step,
    together,
    wait_for,
)
from flowkit.runtime.opening import class_of, store_for
from tests.runtime.stored import MemoryStore

calls: list[str] = []


@pytest.fixture(autouse=True)
def _forget():
    calls.clear()


@pytest.fixture(params=["none", "memory", "sqlite"])
def options(request, tmp_path):
    """Where runs are kept: nowhere, in memory, in a file."""
    if request.param == "none":
        return {}
    if request.param == "memory":
        return {"store": MemoryStore("memory:functions")}
    return {"store": f"sqlite:///{tmp_path}/runs.db"}


@step
async def fetch(url: str) -> str:
    calls.append(url)
    await anyio.lowlevel.checkpoint()
    return f"a page of {url}"


@step
def words(page: str) -> int:
    calls.append("words")
    return len(page.split())


@step(thread=True)
def render(page: str) -> str:
    calls.append(threading.current_thread().name)
    return page.upper()


@flow
async def digest(urls: list[str], limit: int = 10) -> str:
    """Read pages and count their words."""
    pages = [await fetch(url) for url in urls]
    return f"{sum(words(page) for page in pages)} of {limit}"


async def test_steps_run_in_order_and_give_their_values(options) -> None:
    """Async ones are awaited, synchronous ones give their value at once."""
    made = digest.with_options(**options)
    assert await made.kickoff_async(["a", "b"]) == "8 of 10"
    assert calls == ["a", "b", "words", "words"]


def test_kickoff_blocks_and_takes_arguments_as_the_function(options) -> None:
    """By position or by name."""
    made = digest.with_options(**options)
    assert made.kickoff(["a"], limit=2) == "4 of 2"
    assert made.kickoff(urls=["a"]) == "4 of 10"


async def test_a_call_of_a_flow_outside_of_any_is_a_kickoff() -> None:
    """What it gives is the result."""
    assert await digest(["a"]) == "4 of 10"


def test_start_gives_the_handle_at_once() -> None:
    """It runs in a thread."""
    run = digest.start(["a"])
    assert run.wait(50) == "4 of 10"
    assert [name for name, _, _ in run.history] == ["fetch", "words", "body"]


def test_start_refuses_an_id_without_a_store() -> None:
    """Rather than to forget it."""
    with pytest.raises(RunError) as caught:
        digest.with_options(id="x").start(["a"])
    assert str(caught.value) == (
        "digest.start(id=..) needs a store to find the run again. Give the flow one: "
        "digest(store='sqlite:///app.db')."
    )


def test_start_keeps_its_run_where_the_flow_keeps_them(tmp_path) -> None:
    """With its id and tags; a second start of the id gives the same outcome."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    stored = digest.with_options(id="x", tags=["nightly"], store=store)
    assert stored.start(["a"]).wait(10) == "4 of 10"
    assert [(row.id, row.status, row.tags) for row in runs.list(store=store)] == [
        ("x", "completed", ("nightly",))
    ]
    assert stored.start(["a"]).wait(10) == "4 of 10"
    assert len(runs.list(store=store)) == 1


async def test_a_step_outside_of_a_flow_is_a_plain_call() -> None:
    """Plain, async or in a thread."""
    assert await fetch("a") == "a page of a"
    assert words("a b") == 2
    assert await render("a") == "A"


async def test_a_step_in_a_step_is_a_plain_call(options) -> None:
    """The outer one is what is recorded."""

    @step
    async def both(url: str) -> int:
        return words(await fetch(url))

    @flow(**options)
    async def nested() -> int:
        return await both("a")

    made = nested.flow_class()
    assert await made.kickoff_async() == 4
    assert [name for name, _, _ in made.run.history] == ["both", "body"]


async def test_a_step_of_a_class_flow_calls_steps_plainly() -> None:
    """Also within a function flow: what it calls is no part of that one."""

    class Reads(Flow):
        @start()
        async def read(self):
            return await fetch("a")

    @flow
    async def outer() -> str:
        return await Reads().kickoff_async()

    made = outer.flow_class()
    assert await made.kickoff_async() == "a page of a"
    assert [name for name, _, _ in made.run.history] == ["body"]


async def test_a_step_in_a_thread_is_awaited(options) -> None:
    """It holds up nobody."""

    @flow(**options)
    async def drawn() -> str:
        return await render("a")

    assert await drawn.kickoff_async() == "A"
    assert calls[0].startswith("flowkit-")


async def test_methods_are_steps_too(options) -> None:
    """With their object."""

    class Client:
        def __init__(self, base):
            self.base = base

        @step
        async def get(self, path):
            return f"{self.base}/{path}"

    @flow(**options)
    async def reads() -> str:
        return await Client("here").get("a")

    assert await reads.kickoff_async() == "here/a"


async def _two(url: str) -> int:
    return words(await fetch(url))


async def test_together_gives_results_in_the_order_written(options) -> None:
    """Calls and coroutines alike, and they do run at the same time."""
    inside = 0
    most = 0

    @step
    async def work(number: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        inside -= 1
        return number

    @flow(**options)
    async def wide() -> tuple:
        return await together(*[work(n) for n in range(5)], _two("a"))

    assert await wide.kickoff_async() == (0, 1, 2, 3, 4, 4)
    assert most == 5


async def test_together_keeps_its_limit() -> None:
    """No more than so many at a time."""
    inside = 0
    most = 0

    @step
    async def work(number: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        inside -= 1
        return number

    @flow
    async def wide() -> tuple:
        return await together(*[work(n) for n in range(7)], limit=3)

    assert await wide.kickoff_async() == tuple(range(7))
    assert most == 3


async def test_together_refuses_a_limit_below_one() -> None:
    """And leaves no coroutine behind."""

    @flow
    async def wide() -> tuple:
        return await together(fetch("a"), limit=0)

    with pytest.raises(ValueError, match=re.escape("limit=..) takes a count of")):
        await wide.kickoff_async()


async def test_together_outside_of_a_flow_is_plain_concurrency() -> None:
    """The same helper in a script."""
    assert await together(fetch("a"), _two("b")) == ("a page of a", 4)


async def test_the_first_failure_in_together_cancels_the_others(options) -> None:
    """It comes out as itself."""
    ended = []

    @step
    async def hangs() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("hangs")

    @step
    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        raise KeyError("gone")

    @flow(**options)
    async def wide() -> None:
        await together(hangs(), fails())

    with pytest.raises(KeyError, match="gone"):
        await wide.kickoff_async()
    assert ended == ["hangs"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_gather_takes_calls_of_steps(options) -> None:
    """Their positions are those of the calls."""

    @flow(**options)
    async def wide() -> list:
        first = asyncio.create_task(fetch("a"))
        return [*await asyncio.gather(fetch("b"), fetch("c")), await first]

    made = wide.flow_class()
    found = await made.kickoff_async()
    assert found == ["a page of b", "a page of c", "a page of a"]


async def test_a_task_group_takes_steps() -> None:
    """It calls them where it is told to start them."""

    @flow
    async def wide() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fetch, "a")
            group.start_soon(fetch, "b")

    made = wide.flow_class()
    await made.kickoff_async()
    assert [name for name, _, _ in made.run.history] == ["fetch", "fetch", "body"]


async def test_a_step_called_in_a_task_of_its_own_is_refused() -> None:
    """Its position would depend on which task is quicker."""

    @flow
    async def astray() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_two, "a")

    line = astray.arguments.place
    with pytest.raises(ExceptionGroup) as caught:
        await astray.kickoff_async()
    assert str(caught.value.exceptions[0]) == (
        "astray calls fetch(..) in a task or thread that is not its own: its position "
        "would depend on which is quicker. Call it in the function and await it "
        f"elsewhere, or run the parts by flowkit.functions.together(..). ({line})"
    )


async def test_a_step_called_in_a_thread_is_refused() -> None:
    """The same there."""

    @flow
    async def astray() -> None:
        await anyio.to_thread.run_sync(words, "a")

    with pytest.raises(RunError, match="in a task or thread that is not its own"):
        await astray.kickoff_async()


class Refused(Exception):
    """A step's own."""


@step
async def charge(amount: int) -> str:
    calls.append(f"charge {amount}")
    if amount > 10:
        raise Refused(f"{amount} is too much")
    return "charged"


@flow
async def pay(amount: int) -> str:
    try:
        return await charge(amount)
    except Refused:
        return await charge(10)


async def test_a_failure_reaches_the_function_as_itself(options) -> None:
    """So that it can go another way."""
    assert await pay.with_options(**options).kickoff_async(20) == "charged"
    assert calls == ["charge 20", "charge 10"]


async def test_an_unhandled_failure_ends_the_run(options) -> None:
    """With notes of the step and of the function."""

    @flow(**options)
    async def strict() -> None:
        await charge(20)

    made = strict.flow_class()
    with pytest.raises(Refused) as caught:
        await made.kickoff_async()
    assert caught.value.__notes__ == [
        f"flowkit: step strict.charge, attempt 1, run {made.run.id}",
        f"flowkit: step strict.body, attempt 1, run {made.run.id}",
    ]
    assert made.run.status == "failed"


def test_a_result_that_cannot_be_stored_fails_its_step() -> None:
    """It is named."""

    @step
    async def lock():
        return threading.Lock()

    @flow(store=MemoryStore("memory:lock"))
    async def holds() -> None:
        await lock()

    with pytest.raises(flowkit.UnstorableError, match=r"^holds\.lock left the output"):
        holds.kickoff()


class Order(BaseModel):
    id: int
    total: float


@dataclass
class Shop:
    name: str


@flow
async def ship(order: Order, shop: Shop, /, *, express: bool = False) -> str:
    return f"{order.total} {shop.name} {express}"


def test_arguments_are_validated_by_their_annotations(options) -> None:
    """As the inputs of other flows are."""
    made = ship.with_options(**options)
    given = {"id": "7", "total": "1.5"}
    assert made.kickoff(given, {"name": "here"}, express="yes") == "1.5 here True"
    assert made.kickoff(Order(id=1, total=2), Shop("x")) == "2.0 x False"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"urls": 3, "limit": "x"},
            (
                "digest(..) does not take these arguments: urls: Input should be a "
                "valid list, got 3; limit: Input should be a valid integer, unable to "
                "parse string as an integer, got 'x'."
            ),
        ),
        (
            {"ulrs": []},
            (
                "digest(urls: list[str], limit: int = 10): it has no argument "
                "'ulrs'. Did you mean 'urls'?"
            ),
        ),
        (
            {},
            (
                "digest(urls: list[str], limit: int = 10): missing a required "
                "argument: 'urls'."
            ),
        ),
    ],
)
def test_wrong_arguments_are_refused_at_kickoff(given, text) -> None:
    """Before anything runs, all faults named."""
    with pytest.raises(InputError) as caught:
        digest.kickoff(**given)
    assert str(caught.value) == f"{text} ({digest.arguments.place})"
    assert calls == []


def test_an_annotation_that_cannot_be_resolved_validates_nothing() -> None:
    """The function decides."""

    @flow
    async def loose(value: Unknown) -> int:  # noqa: F821
        return value

    assert loose.kickoff("x") == "x"


def _place(function):
    code = function.__code__
    return f"test_functions.py:{code.co_firstlineno}"


def test_a_synchronous_function_is_no_flow() -> None:
    """It says how to make it one."""

    def plain() -> None: ...

    with pytest.raises(TypeError) as caught:
        flow(plain)
    assert str(caught.value) == (
        "@flow decorates an async function, and plain is none: write `async def "
        f"plain`. The steps it calls may be synchronous. ({_place(plain)})"
    )


def test_arguments_without_a_name_make_no_flow() -> None:
    """They are kept by name."""

    async def stars(*urls: str) -> None: ...

    with pytest.raises(TypeError) as caught:
        flow(stars)
    assert str(caught.value) == (
        "stars(*urls) cannot be a flow: its arguments are kept by name. Name each, or "
        f"take a list or dictionary. ({_place(stars)})"
    )


def test_an_argument_named_id_makes_no_flow() -> None:
    """That is the state's."""

    async def order(id: str) -> None: ...

    with pytest.raises(TypeError) as caught:
        flow(order)
    assert str(caught.value) == (
        "order(id) cannot be a flow: `id` is the id of a flow's state. Name it after "
        f"what it identifies, such as order_id. ({_place(order)})"
    )


def test_an_async_step_takes_no_thread() -> None:
    """It needs none."""

    async def late() -> None: ...

    with pytest.raises(TypeError) as caught:
        step(thread=True)(late)
    assert str(caught.value) == (
        "@step(thread=True) is for synchronous functions, and late is async: leave "
        f"thread out. ({_place(late)})"
    )


@pytest.mark.parametrize("decorator", [step, flow])
def test_what_is_no_function_is_refused(decorator) -> None:
    """A class, for one."""
    with pytest.raises(TypeError, match="not <class 'int'>"):
        decorator(int)


def test_an_unknown_keyword_of_a_flow_is_refused() -> None:
    """As one of a class is."""

    async def body() -> None: ...

    with pytest.raises(
        TypeError, match="takes no keyword 'sotre'. Did you mean 'store'"
    ):
        flow(sotre="x")(body)  # codespell:ignore


@flow
async def approved() -> str:
    before = await fetch("a")
    said = await wait_for("approved", key="7")
    return f"{before}: {said} {await fetch('b')}"


async def test_a_function_waits_for_an_event(options) -> None:
    """What it did before is not done again."""
    if options:
        options = {"store": store_for(options["store"])}
    made = approved.flow_class(**options)
    async with anyio.create_task_group() as group:
        group.start_soon(made.kickoff_async)
        while made.run is None or made.run.status != "waiting":
            await anyio.lowlevel.checkpoint()
        assert made.run.awaits == ("approved",)
        made.send("approved", "yes", key="7")
    assert made.run.result == "a page of a: yes a page of b"
    assert calls == ["a", "b"]


async def test_a_called_step_waits_for_nothing() -> None:
    """The function does."""

    @step
    async def waits() -> None:
        await wait_for("x")

    @flow
    async def outer() -> None:
        await waits()

    with pytest.raises(RunError) as caught:
        await outer.kickoff_async()
    place = waits.__flowkit_step__.place
    assert str(caught.value) == (
        "waits is a step that outer calls, and a step waits for nothing outside. Call "
        f"wait_for(..) in the function of the flow. ({place})"
    )


async def test_a_verb_outside_of_a_flow_is_refused() -> None:
    """It says where it belongs."""
    with pytest.raises(RunError) as caught:
        await sleep(1)
    assert str(caught.value) == (
        "No function of a flow runs here. Call this in the function that @flow "
        "decorates, or in a step it calls."
    )


async def test_a_verb_that_is_not_awaited_warns() -> None:
    """As in a method."""

    @flow
    async def hasty() -> None:
        wait_for("x")

    with pytest.warns(FlowkitWarning, match="did not wait"):
        await hasty.kickoff_async()


async def test_a_step_that_is_not_awaited_warns() -> None:
    """By its own name."""

    @flow
    async def hasty() -> None:
        fetch("a")

    with pytest.warns(RuntimeWarning, match="coroutine 'fetch' was never awaited"):
        await hasty.kickoff_async()
    assert calls == []


async def test_a_flow_called_in_a_flow_is_a_run_of_its_own(options) -> None:
    """Kept with the caller's, by name or by a call of it."""

    @flow(**options)
    async def outer() -> list:
        return [await digest(["a"]), await call(digest, {"urls": ["b"], "limit": "2"})]

    made = outer.flow_class()
    assert await made.kickoff_async() == ["4 of 10", "4 of 2"]
    if options:
        found = runs.list(flow=digest, store=options["store"])
        assert [each.parent for each in found] == [made.run.id] * 2


async def test_a_class_flow_calls_a_function_flow(options) -> None:
    """Its arguments are validated here, too."""

    class Outer(Flow):
        @start()
        async def begin(self):
            return await self.call(digest, {"urls": ["a"], "limit": "3"})

    assert await Outer(**options).kickoff_async() == "4 of 3"


async def test_each_call_has_an_idempotency_key_of_its_own(options) -> None:
    """The function has the run's."""

    @step
    async def key() -> str:
        assert current().attempt == 1
        return idempotency_key()

    async def inner() -> str:
        return await key()

    @flow(**options)
    async def keys() -> list:
        return [idempotency_key(), await key(), await key(), *await together(inner())]

    made = keys.flow_class()
    found = await made.kickoff_async()
    run = made.run.id
    assert found == [f"{run}:1", f"{run}:1:1", f"{run}:1:2", f"{run}:1:3.1.1"]


async def test_signals_tell_of_called_steps() -> None:
    """Start and end, as of other steps."""
    told = []

    def hear(name):
        def listener(_, step, **more):
            told.append((name, step))

        return listener

    heard = {
        "started": signals.step_started,
        "finished": signals.step_finished,
        "failed": signals.step_failed,
    }
    kept = [hear(name) for name in heard]
    for listener, signal in zip(kept, heard.values(), strict=True):
        signal.connect(listener)
    try:
        await pay.kickoff_async(20)
    finally:
        for listener, signal in zip(kept, heard.values(), strict=True):
            signal.disconnect(listener)
    assert told == [
        ("started", "body"),
        ("started", "charge"),
        ("failed", "charge"),
        ("started", "charge"),
        ("finished", "charge"),
        ("finished", "body"),
    ]


def test_history_shows_each_called_step() -> None:
    """Its name, outcome, result and how long it took."""
    store = MemoryStore("memory:history")
    pay.with_options(store=store, id="r").kickoff(20)
    told = [
        (each.step, each.position, each.outcome, each.output)
        for each in runs.history("r", store=store)
    ]
    assert told == [
        ("charge", "1", "failed", None),
        ("charge", "2", "done", "charged"),
        ("body", None, "done", "charged"),
    ]
    assert all(each.duration >= 0 for each in runs.history("r", store=store))


def test_a_function_flow_looks_like_its_function() -> None:
    """Name, docstring, place, one step."""
    assert isinstance(digest, FunctionFlow)
    assert digest.__name__ == "digest"
    assert digest.__doc__ == "Read pages and count their words."
    assert repr(digest) == f"<FunctionFlow digest ({digest.arguments.place})>"
    (only,) = digest.definition().steps
    assert (only.name, only.doc, only.place) == (
        "body",
        digest.__doc__,
        digest.arguments.place,
    )


def test_a_function_flow_is_plotted(tmp_path) -> None:
    """As other flows are."""
    path = tmp_path / "digest.mmd"
    assert digest.plot(path) == str(path)
    assert "body" in path.read_text()


def test_a_flow_with_a_name_has_that_name() -> None:
    """In errors and definitions."""

    @flow(name="Monthly digest")
    async def monthly() -> None: ...

    assert monthly.definition().name == "Monthly digest"


def test_the_same_id_is_the_same_run() -> None:
    """It gives its outcome once more."""
    made = digest.with_options(store=MemoryStore("memory:id"), id="x", tags=["t"])
    assert made.kickoff(["a"]) == made.kickoff(["a"])
    assert calls == ["a", "words"]
    with pytest.raises(InputError, match="begun with other inputs"):
        made.kickoff(["b"])


async def test_a_cancelled_run_cancels_its_step(options) -> None:
    """It is joined, and nothing of it is recorded."""
    begun = anyio.Event()
    ended = []

    @step
    async def hangs() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("hangs")

    @flow(**options)
    async def endless() -> None:
        await together(hangs(), hangs())

    made = endless.flow_class()
    async with anyio.create_task_group() as group:
        group.start_soon(made.kickoff_async)
        await begun.wait()
        made.run.cancel("enough")
    assert made.run.status == "cancelled"
    assert ended == ["hangs", "hangs"]
    assert made.run.history == []


def test_a_stored_name_leads_to_the_function(monkeypatch) -> None:
    """Its module is imported, as that of a class: no flow is known by that name."""
    monkeypatch.setattr("flowkit.runtime.opening.flow_name", lambda _: "another")
    assert class_of(f"{__name__}:digest") is digest.flow_class
