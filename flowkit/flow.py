"""``Flow``: a definition, a runner and a state behind ``kickoff``.

The one place where they meet. A subclass is compiled once, at class creation;
an instance holds the state and the latest run.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Self,
    TypeVar,
    cast,
    get_args,
    get_origin,
    overload,
)

from flowkit.core.durations import seconds
from flowkit.define.compiler import compile_class
from flowkit.define.versions import migrations_of
from flowkit.errors import FlowkitWarning, RunError, RunExistsError
from flowkit.runtime import initial
from flowkit.runtime.blocking import drive_blocking, in_thread, run_async, spawn
from flowkit.runtime.launch import (
    Kind,
    kickoff_payloads,
    known,
    new_run,
    no_scope,
    store_of,
)
from flowkit.runtime.loops import in_running_loop, on_trio
from flowkit.runtime.run import Abort, Run, Stop
from flowkit.runtime.scope import Scope
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from flowkit.core.definition import Definition
    from flowkit.core.marking import Firing
    from flowkit.core.policies import Policy
    from flowkit.journal.rows import RunRow
    from flowkit.runtime.people import HumanFeedbackResult, PendingFeedbackContext
    from flowkit.runtime.sessions import AsyncStreamSession, StreamSession
    from flowkit.runtime.streaming import Streaming

__all__ = ["Flow"]

StateT = TypeVar("StateT")
ShownT = TypeVar("ShownT")
_OPTIONS = frozenset(
    {
        "initial_state",
        "input_provider",
        "max_method_calls",
        "name",
        "persistence",
        "store",
        "stream",
    }
)
_TIMES = ("evict_after", "lifetime", "deadline")
_CLASS_OPTIONS = frozenset(
    {
        "backend",
        "deadline",
        "defaults",
        "evict_after",
        "lifetime",
        "max_depth",
        "max_firings",
        "older",
        "on_conflict",
        "on_error",
        "renamed",
        "retention",
        "sla",
        "store",
        "strict",
        "version",
    }
)
_IGNORED = frozenset(
    {
        "suppress_flow_events",
        "tracing",
        "checkpoint",
        "memory",
        "defer_trace_finalization",
    }
)


class _shown(Generic[ShownT]):  # noqa: N801 - a decorator, as property is
    """A property that gives way to a plain attribute of the same name."""

    def __init__(self, read: Callable[[Any], ShownT]) -> None:
        self.read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, flow: None, owner: type) -> Self: ...

    @overload
    def __get__(self, flow: object, owner: type) -> ShownT: ...

    def __get__(self, flow: object | None, owner: type) -> Self | ShownT:
        return self if flow is None else self.read(flow)


if TYPE_CHECKING:
    _either = classmethod  # what it looks like to those who call it
else:

    class _either(classmethod):  # noqa: N801 - a decorator, as classmethod is
        """A class method that an object calls on itself."""

        def __get__(self, flow: Any, owner: Any = None) -> Any:
            return self.__func__.__get__(owner if flow is None else flow)


class Flow(Generic[StateT]):
    """A flow: subclass it, decorate methods, call :meth:`kickoff`.

    ``Flow[Model]`` types the state with a pydantic model, ``Flow[dict]`` (or plain
    ``Flow``) leaves it free-form. Options of a class are keywords of the class
    statement: ``class Order(Flow[State], strict=True)``.

    Class keywords:
        strict: warnings about the graph and stuck joins are errors.
        on_conflict: ``"last"`` lets the later of two parallel writes win; by
            default they are a :class:`~flowkit.errors.StateConflictError`.
        backend: the event loop of a blocking kickoff, ``"asyncio"`` or ``"trio"``.
        max_firings: most firings of a listener in one run, 100 by default.
        max_depth: most calls that may lie above a run of this class (:meth:`call`),
            50 by default: the end of a recursion that has none.
        store: where its runs are kept: a URL such as ``"sqlite:///app.db"``, or a
            store; None keeps them in memory, unless ``FLOWKIT_STORE`` is set.
        lifetime: how long after its start a stored run that still waits ends as
            ``expired`` (``"30d"``); by default it waits for ever.
        evict_after: how long a step may wait in memory (``"60s"``); then it gives
            its place up and starts again, with its answers, when one is there.
        version: of the flow, as its author names it; each run keeps the one that
            began it.
        renamed: steps that have another name now, ``{"old": "new"}``: stored runs
            that stand at the old one go on at the new one.
        older: classes that finish the runs of their own ``version``.
        retention: how long ended runs are kept, a :class:`~flowkit.Retention`.
        defaults: the :class:`~flowkit.Policy` of each step that does not say
            otherwise.
        deadline: how long a run may take, waiting included (``"15m"``); then it fails
            with a ``DeadlineError``. Flows that its steps kick off or call must be
            over by then, too.
        on_error: what a failure that nobody listens to does: ``"fail_fast"`` ends
            the run, ``"continue"`` the branch alone, ``"collect"`` too, and the run
            fails at its end with all failures as an ExceptionGroup;
            ``"compensate"`` undoes what was done (``undo=``); or the name of a
            method, which is given the error.
        sla: how long a run should take at most (``"2m"``), or several by the
            step's name: ``{"run": "2m", "charge": "5s"}``. Nothing is stopped by
            them: :func:`flowkit.observe.insights` tells which were broken.

    Args:
        initial_state: a model class, a model instance or a dictionary; overrides
            the type parameter.
        name: shown for this flow; None by default.
        max_method_calls: as ``max_firings``, for this instance.
        persistence: a :class:`~flowkit.FlowPersistence` to load from and to save to;
            it comes before those of ``@persist``.
        input_provider: whom :meth:`ask` asks.
        store: as the class keyword, for this instance.
        stream: True has ``kickoff`` give a :class:`~flowkit.StreamSession`, and
            ``kickoff_async`` an :class:`~flowkit.AsyncStreamSession`; also as an
            attribute, from the next kickoff on.

    Raises:
        DefinitionError: at class creation, all faults of the class at once.
        TypeError: an unknown keyword.
    """

    __slots__ = ("__dict__", "__weakref__", "_flowkit")

    _flowkit: Scope

    initial_state: Any = None
    name: Any = None
    max_method_calls: Any = 100
    persistence: Any = None
    input_provider: Any = None

    def __init_subclass__(
        cls,
        *,
        strict: bool | None = None,
        on_conflict: str | None = None,
        backend: str | None = None,
        max_firings: int | None = None,
        max_depth: int | None = None,
        store: Any = None,
        evict_after: float | str | None = None,
        lifetime: float | str | None = None,
        version: str | None = None,
        renamed: Mapping[str, str] | None = None,
        older: Iterable[type] = (),
        retention: Any = None,
        defaults: Policy | None = None,
        on_error: str | None = None,
        deadline: float | str | None = None,
        sla: Any = None,
        **keywords: Any,
    ) -> None:
        _check_options(cls, super().__init_subclass__, keywords)
        parents = [known[base] for base in cls.__mro__[1:] if base in known]
        parent = parents[0] if parents else None
        if strict is None:
            strict = parent is not None and parent.compiled.definition.strict
        conflict = on_conflict or (parent.on_conflict if parent else "error")
        loop = backend or (parent.backend if parent else "asyncio")
        _one_of("on_conflict", conflict, "error", "last")
        _one_of("backend", loop, "asyncio", "trio")
        if max_firings is not None:
            cls.max_method_calls = max_firings
        most = cls.max_method_calls
        most = most if isinstance(most, int) else 100
        policy = parent.defaults if parent else None
        if defaults is not None:
            from flowkit.define.policies import default_policy  # only who has them

            policy = default_policy(cls, defaults, policy)
        on_error = on_error or (parent.on_error if parent else "fail_fast")
        compiled = compile_class(
            cls, max_firings=most, strict=strict, defaults=policy, on_error=on_error
        )
        place = f"{cls.__module__}:{cls.__qualname__}"
        kind = known[cls] = Kind(compiled, conflict, loop, _state_type(cls), place)
        kind.store = store if store is not None or parent is None else parent.store
        times = (evict_after, lifetime, deadline)
        for name, given in zip(_TIMES, times, strict=True):
            if given is not None:
                setattr(kind, name, seconds(given, f"class {cls.__name__}"))
            elif parent is not None:
                setattr(kind, name, getattr(parent, name))
        own = cls.__dict__.get("version") if version is None else version
        kind.version = str(own) if isinstance(own, str | int) else ""
        kind.renamed, kind.older = dict(renamed or {}), _older(cls, older)
        kind.max_depth = max_depth or (parent.max_depth if parent else 50)
        kind.migrations = migrations_of(cls)
        kind.retention = retention or (parent and parent.retention)
        kind.defaults, kind.on_error = policy, on_error
        if sla is not None:
            from flowkit.define.targets import targets_of  # only who has targets

            names = compiled.definition.names
            kind.sla = targets_of(sla, f"class {cls.__name__}", sorted(names))
        elif parent is not None:
            kind.sla = parent.sla

    def __init__(self, **keywords: Any) -> None:
        cls = type(self)
        kind = known.get(cls)
        if kind is None:
            msg = "Flow itself has no steps. Subclass it and decorate methods."
            raise TypeError(msg)
        if keywords:
            _check_keywords(cls, keywords)
            self.__dict__.update(
                (key, value)
                for key, value in keywords.items()
                if key in _OPTIONS and key != "store"
            )
        own = keywords.get("initial_state") if keywords else None
        own = cls.initial_state if own is None else own
        given = kind.declared if own is None else initial.declared(own, kind.state)
        box = initial.box(given, cls.__name__)
        box.last = kind.on_conflict == "last"
        self._flowkit = Scope(self, box, _facade)
        saved = getattr(cls, "__flowkit_saved__", None)
        if saved is not None:
            from flowkit.runtime.persisting import adopt_class_backend

            adopt_class_backend(self, saved)
        if "store" in keywords:
            self._flowkit.options["store"] = keywords["store"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flow):
            return NotImplemented
        return bool(self._flowkit.origin is other._flowkit.origin)

    def __hash__(self) -> int:
        return id(self._flowkit.origin)

    def __repr__(self) -> str:
        run = self._flowkit.run
        state = "not started" if run is None else run.status
        return f"<{type(self).__name__}: {state}>"

    @property
    def state(self) -> StateT:
        """The state. Assign it as a whole, or its fields."""
        try:
            scope = self._flowkit
        except AttributeError:
            raise RunError(no_scope(type(self))) from None
        return cast("StateT", scope.state)

    @state.setter
    def state(self, value: Any) -> None:
        try:
            scope = self._flowkit
        except AttributeError:
            raise RunError(no_scope(type(self))) from None
        scope.assign(initial.replacement(scope.box, value, type(self).__name__))

    @_shown
    def flow_id(self) -> str:
        """The state's id."""
        return initial.state_id(self._flowkit.state)

    @_shown
    def run(self) -> Run | None:
        """The handle of the latest run, None before the first kickoff."""
        return self._flowkit.run

    def heartbeat(self) -> None:
        """Say that the step that runs is alive, for its ``idle_timeout``.

        Quick and safe to call from any thread. A step without that limit may call
        it, too: one whose attempt was given up meanwhile ends here.

        Raises:
            StepTimeoutError: this attempt was given up.
            RunError: no step of this object runs.
        """
        from flowkit.runtime.verbs import heartbeat  # only who gives them

        heartbeat(self)

    @_shown
    def method_outputs(self) -> list[Any]:
        """Outputs of the finished steps in the order they ended, as a new list."""
        run = self._flowkit.run
        return [] if run is None else run.outputs

    @_shown
    def last_human_feedback(self) -> HumanFeedbackResult | None:
        """What a person said last to this flow object, or None."""
        from flowkit.runtime.resuming import reviews  # only who asks people pays

        said = reviews(self)
        return said[-1] if said else None

    @_shown
    def human_feedback_history(self) -> list[HumanFeedbackResult]:
        """What people said to this flow object, in order."""
        from flowkit.runtime.resuming import reviews  # only who asks people pays

        return reviews(self)

    @_shown
    def pending_feedback(self) -> PendingFeedbackContext | None:
        """What the latest pause waits for, or None."""
        from flowkit.runtime.resuming import pending_context  # the same

        return pending_context(self)

    def kickoff(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> Any:
        """Run the flow to its end and give the last completed output; blocks.

        Also inside a running event loop, where a thread runs it meanwhile.

        Args:
            inputs: merged into the state; ``inputs["id"]`` sets the state's id, and
                what was saved under it is loaded first. A start that waits for an
                event is given them as its payload.
            input_files: no step takes files; must be None.
            from_checkpoint: needs a store; must be None.
            restore_from_state_id: begin with a copy of the state saved under this
                id, under ``inputs["id"]`` or a new id.
            id: of the run, with a store: the same id and inputs mean the same run,
                which goes on, or gives its outcome once more.
            tags: short words to find a new run by, with a store.
            created_by: whoever begins it, with a store.

        Returns:
            The output of the step that ended last, what ``stop`` was given, None if
            nothing ran, the :class:`~flowkit.Run` if it waits for an event, or the
            :class:`~flowkit.HumanFeedbackPending` of its latest pause.

        Raises:
            InputError: inputs that do not fit, all faults named.
            Exception: whatever a step raised, as it is, with a note of step,
                attempt and run.
        """
        _refuse(input_files, from_checkpoint)
        restore = restore_from_state_id
        cls = type(self)
        if self.__dict__.get("stream", cls.stream) is True and _unread(self):
            from flowkit.runtime.streaming import given  # only who streams

            return self.stream_events(inputs, **given(restore, id, tags, created_by))
        backend = "trio" if on_trio() else known[cls].backend
        if cls.kickoff_async is not Flow.kickoff_async:
            options: dict[str, Any] = {} if id is None else {"id": id}
            if restore is not None:
                options["restore_from_state_id"] = restore
            own = partial(self.kickoff_async, **options) if options else None
            return _blocking(
                own or self.kickoff_async, inputs, backend=backend, flow=self
            )
        said = _said(id, restore_from_state_id, tags, created_by)
        if in_running_loop():
            return in_thread(
                lambda: _kickoff(self, inputs, backend, said), lambda: _interrupt(self)
            )
        return _kickoff(self, inputs, backend, said)

    async def kickoff_async(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> Any:
        """As :meth:`kickoff`, awaited, on asyncio or trio.

        Synchronous steps run in worker threads. Cancelling it cancels the run; one
        with a store is left where it is, to be resumed.
        """
        from flowkit.runtime.runner import drive  # anyio, once a loop is needed

        _refuse(input_files, from_checkpoint)
        said = _said(id, restore_from_state_id, tags, created_by)
        if self.__dict__.get("stream", type(self).stream) is True and _unread(self):
            from flowkit.runtime import streaming  # only who streams

            keywords = streaming.given(restore_from_state_id, id, tags, created_by)
            go = partial(Flow.kickoff_async, self, inputs, **keywords)
            return streaming.async_session(self, go)
        run = _opened(self, inputs, said, blocking=False)
        await drive(run)
        while run.lost is not None and (met := _met(run)) is not None:
            run = _opened(self, inputs, said, blocking=False, met=met)
            await drive(run)
        return run.outcome()

    async def akickoff(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        id: str | None = None,
    ) -> Any:
        """The same as :meth:`kickoff_async`."""
        return await self.kickoff_async(
            inputs, input_files, from_checkpoint, restore_from_state_id, id=id
        )

    @_shown
    def stream(self) -> Streaming:
        """``flow.stream(inputs)``: a kickoff as frames, for ``async for``.

        ::

            async for frame in flow.stream({"topic": "tea"}):
                print(frame.seq, frame.type, frame.data)

        Gives an :class:`~flowkit.AsyncStreamSession`. ``after=`` goes on behind a
        frame of a stored run that ``id=`` or ``inputs["id"]`` name; the other keywords
        are those of :meth:`kickoff`. Other readers, at any time: ``runs.stream``.

        A true value of this name, given to the class, the constructor or the object,
        has kickoff stream instead.
        """
        from flowkit.runtime.streaming import Streaming  # only who streams

        return Streaming(self)

    def astream(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        after: int = 0,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> AsyncStreamSession:
        """The same as ``flow.stream(inputs)``, by CrewAI's name; not awaited."""
        from flowkit.runtime import streaming  # only who streams

        _refuse(input_files, from_checkpoint)
        said = streaming.given(restore_from_state_id, id, tags, created_by)
        go = partial(self.kickoff_async, inputs, **said)
        return streaming.async_session(self, go, after)

    def stream_events(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        after: int = 0,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> StreamSession:
        """As :meth:`astream`, for blocking code: ``for frame in ..``.

        The run goes on in a thread of its own, and its synchronous steps in worker
        threads, so that closing the session cancels it at once.
        """
        from flowkit.runtime import streaming  # only who streams

        _refuse(input_files, from_checkpoint)
        said = streaming.given(restore_from_state_id, id, tags, created_by)
        go = partial(self.kickoff_async, inputs, **said)
        return streaming.session(self, go, known[type(self)].backend, after)

    def start(self, inputs: Mapping[str, Any] | None = None) -> Run:
        """Begin a run in a thread of its own; gives its handle at once.

        The thread is a daemon: it keeps no process alive. ``run.wait()`` gives the
        result, ``run.cancel()`` ends it.

        Raises:
            InputError: inputs that do not fit, all faults named.
        """
        run = new_run(self, inputs)
        payloads = kickoff_payloads(self, run)
        backend = known[type(self)].backend
        run.active = True

        def work() -> None:
            run.begin(None, payloads)
            drive_blocking(run, backend)

        spawn(work)
        return run

    def send(self, event: str, payload: Any = None, *, key: str | None = None) -> bool:
        """Hand an outside event to this flow's run.

        A waiting run goes on in the caller's thread until it waits again or is
        over; a running one takes it when it can.

        Returns:
            Whether the run takes the event; False if it is over or nothing listens.

        Raises:
            InputError: the payload does not fit the listener's parameter.
            Exception: whatever a step raised, as it is.
        """
        from flowkit.runtime.inbox import send_to  # only who sends pays

        run = self._flowkit.run
        if run is None:
            return False
        return send_to(run, event, payload, key, known[type(self)].backend)

    def sleep(self, delay: float | str) -> Any:
        """Within a step: wait so long; ``await`` it in an async step.

        With a store the time survives the process, and a long wait holds neither
        memory nor thread: the step starts again once it is over and goes on here.

        Args:
            delay: seconds, or text such as ``"90s"``, ``"1h30m"``, ``"14d"``.
        """
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.sleep(self, delay)

    def wait_for(
        self,
        name: str,
        *,
        key: Any = None,
        timeout: float | str | None = None,
        transient: bool = False,
    ) -> Any:
        """Within a step: wait for an outside event and get its payload.

        ``await`` it in an async step. An event that came before is found.

        Args:
            name: of the event.
            key: only an event with this key; without one, only events without.
            timeout: as :meth:`sleep` takes it.
            transient: only an event that comes from now on, as of a heartbeat.

        Raises:
            TimeoutError: it did not come in time.
        """
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.wait_for(self, (name,), key, timeout, transient, several=False)

    def wait_any(
        self,
        *names: str,
        key: Any = None,
        timeout: float | str | None = None,
        transient: bool = False,
    ) -> Any:
        """As :meth:`wait_for`, for the first of several; gives ``(name, payload)``."""
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.wait_for(self, names, key, timeout, transient, several=True)

    def call(self, flow: Any, inputs: Mapping[str, Any] | None = None) -> Any:
        """Within a step: run another flow and get its result, answered once.

        ``await`` it in an async step. The called run has a state of its own and ends
        with its own ``stop``; it is cancelled with the step that called it. While it
        waits, the caller waits. With a store it is kept there, too: a caller that
        starts again goes on with it, or is given its outcome.

        Args:
            flow: a flow class (this one, too), an object of one, or the name of one,
                ``package.module:Class``.
            inputs: as for :meth:`kickoff`.

        Raises:
            CallError: the called run was cancelled, or its lifetime is over.
            RunawayError: more calls lie above it than its class's ``max_depth``.
            Exception: whatever the called run failed with, as it is.
        """
        from flowkit.runtime import calling  # only steps that call

        return calling.call(self, flow, inputs)

    def join(self, awaitables: Iterable[Any]) -> Any:
        """Within a step: wait for several calls at once; their results in order.

        ``await self.join([self.call(A), self.call(B)])`` runs them side by side. The
        first failure cancels the others and is raised as it is. In a synchronous
        step calls block, one after the other, and this gives their results.

        Args:
            awaitables: calls, other questions (:meth:`wait_for`, :meth:`sleep`) or
                whatever can be awaited.
        """
        from flowkit.runtime import joining  # only steps that join

        return joining.joined(self, awaitables)

    def emit(self, name: str, payload: Any = None) -> None:
        """Within a step: send an event to the listeners of this run.

        It is delivered when the step ends well, in one commit with its result; the
        listeners of ``"name"`` and of ``event("name")`` get it, one firing each time.

        Args:
            name: of the event; no step's.
            payload: what the listeners are handed.

        Raises:
            RunError: the step did not declare the name in ``emits=``.
        """
        from flowkit.runtime import acts  # only steps that emit

        acts.emit(self, name, payload)

    def emit_item(self, item: Any, channel: str = "custom") -> None:
        """Within a step: tell those who read the run's stream something, at once.

        Such as progress, or the tokens of an answer on the channel ``llm``. With a
        store the item is written into the journal and told once it is durable, so
        that a reader anywhere gets it, in the same place, also later. It counts
        whatever becomes of the step: a step that starts again tells its items again,
        with another ``attempt``.

        Args:
            item: with a store, a value that can be stored.
            channel: where readers find it; ``flow`` is the run's own.

        Raises:
            UnstorableError: it cannot be stored.
            ValueError: no name of a channel.
        """
        from flowkit.runtime import items  # only steps that tell

        items.emit_item(self, item, channel)

    def metric(self, name: str, value: float) -> None:
        """Within a step: measure something, such as the tokens a call has cost.

        It is recorded with the end of the step, once: a step that is interrupted and
        starts again begins to measure anew. Figures of one name add up. They are in
        the run's history (:class:`~flowkit.runs.Execution`), in
        :mod:`flowkit.observe` and, where runs are traced, in OpenTelemetry.

        Args:
            name: of what is measured, such as ``"tokens"``.
            value: a finite number.

        Raises:
            RunError: no step of this object runs.
            ValueError: no name, or no finite number.
        """
        from flowkit.runtime import metering  # only steps that measure

        metering.metric(self, name, value)

    def spawn(self, step: Any, item: Any) -> bool:
        """Within a step: add an instance to the group of ``each(..)``.

        Counts at once, and once: a step that starts again does not add it twice.

        Args:
            step: the step that listens to ``each(..)``, or its name.
            item: what the new instance is handed.

        Returns:
            Whether there is a group that still takes instances.
        """
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "spawn", step, item)

    def seal(self, step: Any) -> bool:
        """Within a step: let no more instances be added to the group of a step."""
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "seal", step)

    def complete(self, step: Any, value: Any = None) -> bool:
        """Within a step: go on as if another one, or its group, were done.

        Of a step that listens to ``each(..)`` the instances that still run are
        cancelled, no more start, and its gather fires with the results that are
        there. Of any other step the live firings are cancelled, and their listeners
        get ``value`` as if it had ended well.

        Returns:
            Whether there was anything of it at work.
        """
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "complete", step, value)

    def cancel(self, target: Any = None) -> bool:
        """Cancel a step, a region, a group, or the whole run.

        Within a step: everything of a step, a :class:`~flowkit.Region`, or, for a step
        that listens to ``each(..)``, its whole group: what runs is cancelled and
        joined, what is ready or parked is removed. What was committed stays, and so
        does the step that asks. From outside, without a target: this object's run.

        Returns:
            Whether there was anything of it at work.
        """
        from flowkit.runtime import acts  # only who cancels

        scope = self._flowkit
        if target is None and scope.firing is None and scope.run is not None:
            over = scope.run.over
            scope.run.cancel()
            return not over
        return acts.act(self, "cancel", target)

    def transaction(self) -> Any:
        """Within a step, with a PostgreSQL store: a connection to its database.

        ``with self.transaction() as conn:`` gives a psycopg connection, ``async
        with`` in an async step an async one. What the step writes there is committed
        together with the step's own record when the step has ended; a step that
        raises takes it back. One a step; ``search_path`` is your own.

        Raises:
            RunError: the store is another one, or the step has a transaction already.
            StoreError: there is no connection.
        """
        from flowkit.runtime.transaction import transaction  # psycopg

        return transaction(self)

    @_shown
    def idempotency_key(self) -> str:
        """Within a step: one text for all attempts of this firing, for outside calls.

        Hand it to a service that drops what it has done before.
        """
        from flowkit.runtime import verbs  # only steps that ask

        return verbs.idempotency_key(self)

    @_shown
    def attempt(self) -> int:
        """Within a step: which try of this firing runs, from 1."""
        from flowkit.runtime import verbs  # only steps that ask

        return verbs.attempt_of(self)

    def stop(self, result: Any = None) -> None:
        """Within a step: end the run well, with this result; the rest is cancelled.

        Raises at the call; nothing after it runs.
        """
        run, firing = _running(self, "stop")
        run.stop(firing, result)
        raise Stop

    def abort(self, reason: str = "") -> None:
        """Within a step: end the run as ``cancelled``; the rest is cancelled.

        Raises at the call; nothing after it runs.
        """
        run, firing = _running(self, "abort")
        run.abort(firing, reason)
        raise Abort

    def compensate(self, reason: str = "", *, scope: Any = None) -> Any:
        """Within a step: undo what steps have done, of the whole run or of a scope.

        The ``undo=`` methods of finished steps run, the newest first, once each.
        Without a scope that ends the run: everything else is cancelled, this step
        included, and the run is ``compensated``. Raises at the call then; nothing
        after it runs.

        With a scope the run goes on. The step waits for the undo steps, each a step of
        the run that is recorded, tried again and resumed as any other; to be awaited
        in an async step. Within an instance of ``each(..)`` it is about that instance,
        else about all of them.

        Args:
            reason: why, for people.
            scope: a step, a :class:`~flowkit.Region`, or a list of them.

        Returns:
            With a scope: names of the steps that are undone, the newest first.

        Raises:
            CompensationError: something could not be undone; all that could is.
            RunError: a scope that is not there, or holds no step with ``undo=``.
        """
        if scope is not None:
            from flowkit.runtime import compensating  # only who has scopes

            return compensating.compensate(self, scope, reason)
        run, firing = _running(self, "compensate")
        run.compensate(firing, reason)
        raise Abort

    def ask(
        self,
        message: str,
        timeout: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str | None:
        """Ask a person; blocks the calling thread, also in an async step.

        With a persistence the state is saved first, as the step sees it.

        Args:
            message: the question.
            timeout: seconds to wait for the answer; None waits as long as it takes.
            metadata: handed to the provider.

        Returns:
            The answer; None if there is none in time, or the provider fails, which
            is logged.
        """
        from flowkit.runtime.asking import ask  # only who asks people pays

        return ask(self, message, timeout, metadata)

    def ask_async(
        self,
        message: str,
        *,
        answer: Any = None,
        options: Sequence[Any] | None = None,
        timeout: float | str | None = None,
        default: Any = MISSING,
        role: str | Sequence[Any] | None = None,
        four_eyes: bool = False,
        requested_by: str | None = None,
        proposal: Any = MISSING,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Within a step: open a task for people and wait for the answer.

        ``await`` it in an async step. People answer by ``flowkit.tasks``, in any
        process that has the store; a bad answer is refused there and saves nothing.
        With a store the task survives the process, and a long wait holds neither
        memory nor thread: the step starts again once answered and goes on here.

        Args:
            message: the question. It must be the same when the step starts again.
            answer: the type of the answer: a pydantic model, a dataclass, an Enum, a
                Literal, a built-in type. With a store it has a name at module level.
            options: the answer is one of these.
            timeout: as :meth:`sleep` takes it; counted from the question.
            default: the answer if nobody answers in time; for a proposal
                ``"approved"``, ``"rejected"`` or a :class:`Decision`.
            role: who is to answer. ``[("agent", "4h"), ("manager", "1d")]`` asks the
                next one, in a task of its own, when the time of one is over.
            four_eyes: somebody else than ``requested_by`` answers, and says who.
            requested_by: whose request it is; with ``four_eyes`` else the state's or
                the flow's ``requested_by``.
            proposal: what is to be approved, rejected or edited.
            metadata: shown with the task.

        Returns:
            The answer; with ``proposal`` a :class:`Decision`.

        Raises:
            TimeoutError: nobody answered in time, and there is no default. A step
                that listens to ``<step>.failed`` is the fallback.
            ValueError: arguments that do not go together.
        """
        from flowkit.runtime.questions import ask_async  # only who asks people pays

        return ask_async(
            self,
            message,
            answer=answer,
            options=options,
            timeout=timeout,
            default=default,
            role=role,
            four_eyes=four_eyes,
            requested_by=requested_by,
            proposal=proposal,
            metadata=metadata,
        )

    @classmethod
    def from_pending(
        cls,
        flow_id: str,
        persistence: Any = None,
        *,
        method: str | None = None,
        **keywords: Any,
    ) -> Self:
        """A flow object that waits where a stored pause stands.

        Args:
            flow_id: the state's id, ``context.flow_id``.
            persistence: where it is stored; the flow's own or the default if None.
            method: the step whose pause is meant, where several are open; the latest
                if None.
            keywords: for the constructor.

        Raises:
            ValueError: nothing is stored under that id, or its step is gone.
        """
        from flowkit.runtime.resuming import from_pending  # only who pauses pays

        made: Self = from_pending(cls, flow_id, persistence, method, keywords)
        return made

    def resume(self, feedback: str = "") -> Any:
        """Answer the latest pause and run on; gives what a kickoff gives. Blocks.

        The paused step is not run again.

        Args:
            feedback: the answer; empty means the default outcome.

        Raises:
            ValueError: nothing waits for feedback.
            FeedbackError: the answer means no outcome; the pause stays open.
            RuntimeError: in a running event loop; await :meth:`resume_async` there.
        """
        from flowkit.runtime.resuming import resume  # only who pauses pays

        return resume(self, feedback)

    async def resume_async(self, feedback: str = "") -> Any:
        """As :meth:`resume`, awaited."""
        from flowkit.runtime.resuming import resume_async  # only who pauses pays

        return await resume_async(self, feedback)

    @classmethod
    def resume_all(cls, store: Any = None) -> list[Run]:
        """Go on with every stored run of this class that can; blocks.

        Those that were interrupted, are due, or have an event waiting for them, side
        by side. Runs that another living process moves are left to it. One that
        cannot go on is logged as an error and keeps its place.

        Args:
            store: as the class keyword; that one if None.

        Returns:
            Their handles, oldest first: each has ended, or waits again.
        """
        from flowkit.runtime.resumption import resume_every

        return resume_every(cls, store)

    @classmethod
    async def resume_all_async(cls, store: Any = None) -> list[Run]:
        """As :meth:`resume_all`, awaited."""
        from flowkit.runtime.resumption import resume_every_async

        return await resume_every_async(cls, store)

    @classmethod
    def definition(cls) -> Definition:
        """The graph of this class, as plain data."""
        return known[cls].compiled.definition

    @_either
    def plot(
        cls,  # noqa: N805 - of a class or an object
        filename: str | Path = "flow.html",
        show: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
        *,
        expand: bool | Iterable[str] = False,
    ) -> str:
        """Draw the graph into exactly this file; of an object, its latest run over it.

        Args:
            filename: its suffix chooses the format:
                ``.html .svg .png .mmd .dot .json``.
            show: open the picture in a browser, too.
            expand: show steps that run flows from inside: True for all, or their
                names, ``{"charge", "charge/refund"}`` with those of inner flows.

        Returns:
            The path as given, as text.

        Raises:
            ValueError: an unknown suffix, or a step that runs no flow.
            FileNotFoundError: the folder of ``filename`` does not exist.
            MissingExtraError: ``.svg`` or ``.png`` without the extra ``plot``.
        """
        from flowkit.picture import plot_flow  # pictures load when drawn

        return plot_flow(cls, filename, show=show, expand=expand)

    def _repr_svg_(self) -> str:
        from flowkit.picture import svg_of  # a notebook asks

        return svg_of(self)


def _facade(origin: Any, scope: Scope) -> Any:
    """An object of the flow's class that shares its attributes, not its scope."""
    other = object.__new__(type(origin))
    other.__dict__ = origin.__dict__
    other._flowkit = scope
    return other


def _kickoff(
    flow: Any, inputs: Mapping[str, Any] | None, backend: str, said: dict[str, Any]
) -> Any:
    run = _opened(flow, inputs, said, blocking=True)
    drive_blocking(run, backend)
    while run.lost is not None and (met := _met(run)) is not None:
        run = _opened(flow, inputs, said, blocking=True, met=met)
        drive_blocking(run, backend)
    return run.outcome()


def _met(run: Run) -> RunRow | None:
    """The run that another process began in the same moment, in the way of this."""
    return run.lost.row if isinstance(run.lost, RunExistsError) else None


def _unread(flow: Any) -> bool:
    """Whether nobody reads this kickoff already, or has called it."""
    return "call" not in flow._flowkit.options


def _said(
    id: str | None, restore: Any, tags: Iterable[str], created_by: str
) -> dict[str, Any]:
    """What a kickoff says of its run beside the inputs."""
    return {"id": id, "restore": restore, "tags": tags, "created_by": created_by}


def _opened(
    flow: Any,
    inputs: Mapping[str, Any] | None,
    said: dict[str, Any],
    *,
    blocking: bool,
    met: RunRow | None = None,
) -> Run:
    """The run of a kickoff, begun; with a store it may be one that goes on."""
    store, lenient = store_of(flow)
    call = flow._flowkit.options.get("call")
    if store is None:
        if said["id"] is not None:
            msg = (
                f"{type(flow).__name__}.kickoff(id=..) needs a store to find the run "
                f"again. Give the flow one: {type(flow).__name__}(store='sqlite:///"
                f"app.db')."
            )
            raise RunError(msg)
        run = new_run(flow, inputs, said["restore"])
        if call is not None:
            call.adopt(run)
        run.begin(None, kickoff_payloads(flow, run))
        return run
    from flowkit.runtime.opening import begun_or_resumed, store_for

    if call is not None:
        said = {**said, **call.said}
    run, fresh = begun_or_resumed(flow, inputs, store_for(store), met=met, **said)
    flow._flowkit.run = run
    if call is not None:
        call.adopt(run)
    if run.journal is not None:
        run.journal.blocking = blocking
        run.journal.lenient = lenient
    if fresh:
        run.begin(None, kickoff_payloads(flow, run))
    return run


def _interrupt(flow: Any) -> None:
    run = flow._flowkit.run
    if run is not None:
        run.cancel("KeyboardInterrupt")


def _blocking(function: Any, *arguments: Any, backend: str, flow: Any) -> Any:
    if in_running_loop():
        return in_thread(
            lambda: run_async(function, *arguments, backend=backend),
            lambda: _interrupt(flow),
        )
    return run_async(function, *arguments, backend=backend)


def _running(flow: Any, verb: str) -> tuple[Run, Firing]:
    scope = flow._flowkit
    if scope.run is None or scope.firing is None:
        msg = f"{type(flow).__name__}.{verb}() ends a run from within a step of it."
        raise RunError(msg)
    return scope.run, scope.firing


def _state_type(cls: type) -> Any:
    """The type parameter of ``Flow[..]``, from the nearest class that gives one."""
    for base in cls.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, Flow):
                for argument in get_args(generic):
                    if not isinstance(argument, TypeVar):
                        return argument
    return None


def _check_options(cls: type, base: Callable[..., None], keywords: Any) -> None:
    """Hand class keywords that are not ours to a mixin, if it takes them."""
    try:
        base(**keywords)
    except TypeError:
        if not keywords:
            raise
        from flowkit.core.validate import closest  # only an error needs it

        key = next(iter(keywords))
        guess = closest(key, _CLASS_OPTIONS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"class {cls.__name__} takes no keyword {key!r}.{hint} It takes "
            f"{', '.join(sorted(_CLASS_OPTIONS))}."
        )
        raise TypeError(msg) from None


def _check_keywords(cls: type, keywords: dict[str, Any]) -> None:
    unknown = [key for key in keywords if key not in _OPTIONS | _IGNORED]
    if unknown:
        from flowkit.core.validate import closest  # only an error needs it

        guess = closest(unknown[0], _OPTIONS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"{cls.__name__}() takes no keyword {unknown[0]!r}.{hint} Values for a "
            f"run go to kickoff(inputs); it takes {', '.join(sorted(_OPTIONS))}."
        )
        raise TypeError(msg)
    for key in keywords:
        if key in _IGNORED:
            text = f"{cls.__name__}({key}=..) has no effect in flowkit."
            warnings.warn(text, FlowkitWarning, stacklevel=3)


def _older(cls: type, older: Iterable[type]) -> tuple[type, ...]:
    """The classes that finish runs of former versions, each with one of its own."""
    classes = tuple(older)
    for each in classes:
        if each not in known or not known[each].version:
            msg = (
                f"class {cls.__name__}(older=..) takes flow classes with a version of "
                f"their own, and {each!r} is none. Keep the old class under another "
                f"name: class {cls.__name__}1(Flow, version='1')."
            )
            raise ValueError(msg)
    return classes


def _one_of(option: str, value: str, *choices: str) -> None:
    if value not in choices:
        msg = f"{option}={value!r}: use {' or '.join(map(repr, choices))}."
        raise ValueError(msg)


def _refuse(files: Any, checkpoint: Any) -> None:
    given = {"input_files": files, "from_checkpoint": checkpoint}
    for name, value in given.items():
        if value is not None:
            msg = (
                f"kickoff({name}=..) needs a store, and this version keeps runs in "
                f"memory only. Leave it out."
            )
            raise RunError(msg)
