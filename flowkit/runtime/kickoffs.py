"""How a flow object begins a run: blocking, awaited, streamed, in a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError, RunExistsError
from flowkit.runtime.blocking import drive_blocking, in_thread, run_async, spawn
from flowkit.runtime.descriptors import shown
from flowkit.runtime.launch import kickoff_payloads, known, new_run, store_of
from flowkit.runtime.loops import in_running_loop, on_trio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowkit.journal.rows import RunRow
    from flowkit.runtime.run import Run
    from flowkit.runtime.scope import Scope
    from flowkit.runtime.sessions import AsyncStreamSession, StreamSession
    from flowkit.runtime.streaming import Streaming

__all__ = ["Kickoffs"]


class Kickoffs:
    """The verbs that begin a run of a flow object."""

    __slots__ = ()

    if TYPE_CHECKING:
        _flowkit: Scope

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
        if cls.kickoff_async is not Kickoffs.kickoff_async:
            options: dict[str, Any] = {} if id is None else {"id": id}
            if restore is not None:
                options["restore_from_state_id"] = restore
            own = partial(self.kickoff_async, **options) if options else None
            return _blocking(self, own or self.kickoff_async, inputs, backend)
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
            go = partial(Kickoffs.kickoff_async, self, inputs, **keywords)
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

    @shown
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


def _blocking(flow: Any, kickoff: Any, inputs: Any, backend: str) -> Any:
    """A kickoff that a subclass has made its own, run to its end."""
    if in_running_loop():
        return in_thread(
            lambda: run_async(kickoff, inputs, backend=backend),
            lambda: _interrupt(flow),
        )
    return run_async(kickoff, inputs, backend=backend)


def _refuse(files: Any, checkpoint: Any) -> None:
    given = {"input_files": files, "from_checkpoint": checkpoint}
    for name, value in given.items():
        if value is not None:
            msg = (
                f"kickoff({name}=..) needs a store, and this version keeps runs in "
                f"memory only. Leave it out."
            )
            raise RunError(msg)
