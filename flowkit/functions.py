"""Function flows: straight code whose steps are remembered.

::

    from flowkit.functions import flow, step

    @step
    async def fetch(url: str) -> str: ...

    @flow
    async def digest(urls: list[str]) -> str:
        pages = [await fetch(url) for url in urls]
        return " ".join(pages)

    digest.kickoff(urls=["https://example.org"])

A function flow is a flow of one step, the function, on the same engine. Each step it
calls is recorded by its position; a function that starts again, after a crash or a
long wait, is given what it has done and goes on behind it. Between its steps it has to
come to the same calls again: times, chance and reading belong into steps.
"""

from __future__ import annotations

import functools
from types import new_class
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    overload,
)

from flowkit.define.decorators import start
from flowkit.errors import RunError
from flowkit.flow import Flow
from flowkit.runtime import calling, metering
from flowkit.runtime.arguments import Arguments
from flowkit.runtime.called import Branch, Called, Inside, claim_here, here
from flowkit.runtime.clock import now
from flowkit.runtime.positions import shown_position
from flowkit.runtime.together import together
from flowkit.runtime.values import snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from flowkit.core.definition import Definition
    from flowkit.define.policies import PolicyOptions
    from flowkit.runtime.run import Run

__all__ = [
    "FunctionFlow",
    "ask",
    "attempt",
    "call",
    "current",
    "flow",
    "heartbeat",
    "idempotency_key",
    "metric",
    "sleep",
    "step",
    "together",
    "wait_any",
    "wait_for",
]

P = ParamSpec("P")
R = TypeVar("R")
BODY = "body"
"""The one step of a function flow: the function itself."""
_COROUTINE = 0x80


@overload
def step(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    thread: Literal[False] = False,
    **policies: Unpack[PolicyOptions],
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
@overload
def step(
    *,
    name: str | None = None,
    thread: Literal[True],
    **policies: Unpack[PolicyOptions],
) -> Callable[[Callable[P, R]], Callable[P, Awaitable[R]]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    thread: bool = False,
    **policies: Unpack[PolicyOptions],
) -> Any:
    """Mark a function as a step that function flows call.

    Called by the function of a flow, what it gives is recorded, and a function that
    starts again is given that instead. Called anywhere else, in another step as well,
    it is the function it was.

    An async step is awaited. A synchronous one gives its value at once, and holds the
    event loop up meanwhile, as any function does.

    Args:
        function: plain or async, or a method.
        name: shown for it and compared when a flow starts again; the function's own
            by default.
        thread: run a synchronous function in a worker thread; it is awaited then.
        policies: what :class:`~flowkit.Policy` takes, for a step that is awaited:
            ``retry``, ``timeout``, ``total_timeout``, ``idle_timeout``, ``rate``,
            ``bulkhead``, ``breaker``, ``cache`` and ``fallback``. Failed attempts and
            the waits between them are records: a function that starts again goes on
            where they stood. They hold within a flow, not where the function is
            called as it was.

    Raises:
        TypeError: what is decorated is no function, or an async one with ``thread``;
            a policy that called steps do not have.
        ValueError: a policy's value that means nothing.
    """
    if function is None:
        return functools.partial(_step, name=name, thread=thread, policies=policies)
    return _step(function, name=None, thread=False, policies={})


def _step(
    function: Any, *, name: str | None, thread: bool, policies: Mapping[str, Any]
) -> Any:
    code = getattr(function, "__code__", None)
    if code is None:
        msg = f"@step decorates a function, not {function!r}."
        raise TypeError(msg)
    is_async = bool(code.co_flags & _COROUTINE)
    called = Called(
        function, name or function.__name__, is_async=is_async, thread=thread
    )
    if thread and is_async:
        msg = (
            f"@step(thread=True) is for synchronous functions, and {called.name} is "
            f"async: leave thread out. ({called.place})"
        )
        raise TypeError(msg)
    if policies:
        from flowkit.define.policies import called_policy  # only who has policies

        awaited = is_async or thread
        called.policy = called_policy(policies, function, called.name, awaited=awaited)
        called.tried = _tried
    outside = functools.partial(_in_thread, function) if thread else function

    @functools.wraps(function)
    def stepped(*args: Any, **keywords: Any) -> Any:
        place = here()
        if type(place) is Branch:
            return place.call(called, args, keywords)
        return outside(*args, **keywords)

    stepped.__flowkit_step__ = called  # type: ignore[attr-defined]  # for tools
    return stepped


def _tried(*call: Any) -> Any:
    from flowkit.runtime.trying import tried  # only who has policies

    return tried(*call)


async def _in_thread(function: Any, *args: Any, **keywords: Any) -> Any:
    from anyio.to_thread import run_sync  # a loop runs, so it is there

    return await run_sync(functools.partial(function, *args, **keywords))


@overload
def flow(function: Callable[P, Coroutine[Any, Any, R]], /) -> FunctionFlow[P, R]: ...
@overload
def flow(
    *, name: str | None = None, **keywords: Any
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], FunctionFlow[P, R]]: ...
def flow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    **keywords: Any,
) -> Any:
    """Make a flow of an async function.

    Args:
        function: its parameters are the flow's inputs, validated by their annotations;
            what it returns is the run's result.
        name: of the flow; the function's own by default.
        keywords: the class keywords of :class:`~flowkit.Flow`: ``store``, ``version``,
            ``evict_after``, ``lifetime``, ``backend``, ``retention`` and the like.

    Raises:
        TypeError: the function is not async, or takes what no input can be.
    """
    if function is None:
        return functools.partial(_flow, name=name, keywords=keywords)
    return _flow(function, name=None, keywords={})


def _flow(
    function: Any, *, name: str | None, keywords: dict[str, Any]
) -> FunctionFlow[Any, Any]:
    code = getattr(function, "__code__", None)
    if code is None:
        msg = f"@flow decorates an async function, not {function!r}."
        raise TypeError(msg)
    name = name or function.__name__
    place = Called(function, name, is_async=True, thread=False).place
    if not code.co_flags & _COROUTINE:
        msg = (
            f"@flow decorates an async function, and {name} is none: write `async def "
            f"{function.__name__}`. The steps it calls may be synchronous. ({place})"
        )
        raise TypeError(msg)
    arguments = Arguments(function, name, place)
    body = _body(function, arguments)

    def fill(namespace: dict[str, Any]) -> None:
        namespace[BODY] = start()(body)
        namespace["__module__"] = function.__module__
        namespace["__qualname__"] = function.__qualname__
        namespace["__doc__"] = function.__doc__

    cls = new_class(name, (Flow,), keywords, fill)
    return FunctionFlow(function, cls, arguments, {})


def _body(function: Any, arguments: Arguments) -> Any:
    import inspect  # as arguments do

    async def body(self: Any) -> Any:
        scope = self._flowkit
        run, firing = scope.run, scope.firing
        run.claim, run.gone = claim_here, False
        branch = Branch(self, run, firing)
        given = {
            name: snapshot(self.state[name])
            for name in arguments.signature.parameters
            if name in self.state
        }
        result = await arguments.call(given)
        if branch.failed:
            branch.flush()
        return result

    body.__wrapped__ = function  # type: ignore[attr-defined]  # its place and source
    body.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    body.__doc__ = function.__doc__
    return body


class FunctionFlow(Generic[P, R]):
    """A flow made of a function by :func:`flow`.

    Attributes:
        flow_class: the :class:`~flowkit.Flow` subclass behind it, for whatever takes
            one, such as ``EventBus.register`` and ``older=``.
    """

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        flow_class: type[Flow[Any]],
        arguments: Arguments,
        options: dict[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self.flow_class: type[Flow[Any]] = flow_class
        self.arguments: Arguments = arguments
        self._options: dict[str, Any] = options

    def __repr__(self) -> str:
        return f"<FunctionFlow {self.arguments.name} ({self.arguments.place})>"

    @property
    def __flowkit_class__(self) -> type[Flow[Any]]:
        return self.flow_class

    def __call__(self, *args: P.args, **keywords: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run it and give its result, to be awaited.

        Within the function of another flow it is a run of its own, kept with that one
        (:func:`call`); anywhere else the same as :meth:`kickoff_async`.
        """
        inputs = self.arguments.bound(args, keywords)
        place = here()
        if type(place) is Branch:
            return _awaited(calling.call(place.flow, self.flow_class, inputs))
        made, said = self._made()
        return made.kickoff_async(inputs, **said)

    def kickoff(self, *args: P.args, **keywords: P.kwargs) -> Any:
        """Run it to its end and give what it returns; blocks.

        Arguments as the function takes them.

        Returns:
            What the function returns; the :class:`~flowkit.Run` if it waits for
            something outside.

        Raises:
            InputError: arguments that do not fit, all of them named.
            Exception: whatever the function raised, with a note of step and run.
        """
        inputs = self.arguments.bound(args, keywords)
        made, said = self._made()
        return made.kickoff(inputs, **said)

    async def kickoff_async(self, *args: P.args, **keywords: P.kwargs) -> Any:
        """As :meth:`kickoff`, awaited, on asyncio or trio."""
        inputs = self.arguments.bound(args, keywords)
        made, said = self._made()
        return await made.kickoff_async(inputs, **said)

    def start(self, *args: P.args, **keywords: P.kwargs) -> Run:
        """Begin a run in a thread of its own; gives its handle at once.

        As ``Flow.start``.
        """
        inputs = self.arguments.bound(args, keywords)
        made, said = self._made()
        return made.start(inputs, **said)

    def with_options(
        self,
        *,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
        store: Any = None,
    ) -> FunctionFlow[P, R]:
        """The same flow, whose next kickoffs say more of their run.

        Args:
            id: of the run, with a store: the same id and arguments mean the same run,
                which goes on, or gives its outcome once more.
            tags: short words to find it by.
            created_by: whoever begins it.
            store: where it is kept: a URL or a store.
        """
        given = {"id": id, "tags": tags, "created_by": created_by, "store": store}
        options = {**self._options, **{k: v for k, v in given.items() if v}}
        function: Any = self.__wrapped__  # type: ignore[attr-defined]  # update_wrapper
        return FunctionFlow(function, self.flow_class, self.arguments, options)

    def resume_all(self, store: Any = None) -> list[Run]:
        """Go on with every stored run of it that can; blocks.

        As ``Flow.resume_all``.
        """
        return self.flow_class.resume_all(store or self._options.get("store"))

    async def resume_all_async(self, store: Any = None) -> list[Run]:
        """As :meth:`resume_all`, awaited."""
        place = store or self._options.get("store")
        return await self.flow_class.resume_all_async(place)

    def definition(self) -> Definition:
        """Its graph as plain data: one step, the function."""
        return self.flow_class.definition()

    def plot(self, filename: str | Path = "flow.html", *, show: bool = False) -> str:
        """Draw it into exactly this file, as ``Flow.plot``."""
        return self.flow_class.plot(filename, show)

    def _made(self) -> tuple[Flow[Any], dict[str, Any]]:
        said = dict(self._options)
        store = said.pop("store", None)
        cls = self.flow_class
        return (cls() if store is None else cls(store=store)), said


async def _awaited(asking: Any) -> Any:
    return await asking


def current() -> Flow[Any]:
    """The flow object that the function or step at hand runs on.

    For what has no function of its own here, such as ``current().transaction()``.

    Raises:
        RunError: no function flow runs here.
    """
    place = here()
    if place is None:
        msg = (
            "No function of a flow runs here. Call this in the function that @flow "
            "decorates, or in a step it calls."
        )
        raise RunError(msg)
    branch = place.branch if isinstance(place, Inside) else place
    found: Flow[Any] = branch.flow
    return found


def idempotency_key() -> str:
    """One text for all attempts of the step at hand, for calls to services outside.

    Hand it to a service that drops what it has done before. In the function itself
    it is the run's.

    Raises:
        RunError: no function flow runs here.
    """
    key: str = current().idempotency_key
    place = here()
    if isinstance(place, Inside):
        return f"{key}:{shown_position(place.position)}"
    return key


def attempt() -> int:
    """Which try of the step at hand runs, from 1; of the function itself its own.

    Raises:
        RunError: no function flow runs here.
    """
    flow, place = current(), here()
    if isinstance(place, Inside) and place.attempt:
        return place.attempt
    return flow.attempt


def heartbeat() -> None:
    """Say that the step at hand is alive, for its ``idle_timeout``.

    Raises:
        RunError: no function flow runs here.
    """
    flow, place = current(), here()
    if isinstance(place, Inside):
        place.beat = now()
    else:
        flow.heartbeat()


def metric(name: str, value: float) -> None:
    """Add to what the step at hand has measured; in the function, to its own.

    As ``Flow.metric``: figures of one name add up, those of all its attempts count,
    and they are told by ``runs.history`` and the insights.

    Raises:
        RunError: no function flow runs here.
        ValueError: no name, or no finite number.
    """
    flow, place = current(), here()
    if isinstance(place, Inside):
        if place.metrics is None:
            place.metrics = {}
        metering.add(place.metrics, "metric", name, value)
    else:
        flow.metric(name, value)


def sleep(delay: float | str) -> Any:
    """Wait so long, in the function of a flow; to be awaited.

    As ``Flow.sleep``.
    """
    return current().sleep(delay)


def wait_for(name: str, *, key: Any = None, timeout: float | str | None = None) -> Any:
    """Wait for an outside event and get its payload; to be awaited.

    As ``Flow.wait_for``.
    """
    return current().wait_for(name, key=key, timeout=timeout)


def wait_any(*names: str, key: Any = None, timeout: float | str | None = None) -> Any:
    """As :func:`wait_for`, for the first of several; gives ``(name, payload)``."""
    return current().wait_any(*names, key=key, timeout=timeout)


def ask(message: str, **options: Any) -> Any:
    """Ask people and wait for the answer; to be awaited.

    Takes what ``Flow.ask_async`` takes.
    """
    return current().ask_async(message, **options)


def call(other: Any, inputs: Mapping[str, Any] | None = None) -> Any:
    """Run another flow and get its result, answered once; to be awaited.

    As ``Flow.call``.

    Args:
        other: a flow class, an object of one, or a function flow.
        inputs: as for its kickoff; those of a function flow by name.
    """
    return current().call(other, inputs)
