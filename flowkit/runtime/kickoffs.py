"""How a flow object begins a run: blocking, awaited, streamed, in a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError
from flowkit.runtime.descriptors import shown
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
            AdmissionError: the flow takes no more runs on now (``admission=``).
            Exception: whatever a step raised, as it is, with a note of step,
                attempt and run.
        """
        from flowkit.runtime.opened import (  # the engine, with the first run
            Said,
            kickoff,
            kickoff_of_its_own,
        )

        if input_files is not None or from_checkpoint is not None:
            refuse(input_files, from_checkpoint)
        restore = restore_from_state_id
        if _streams(self):
            from flowkit.runtime.streaming import given  # only who streams

            return self.stream_events(inputs, **given(restore, id, tags, created_by))
        if type(self).kickoff_async is not Kickoffs.kickoff_async:
            return kickoff_of_its_own(self, inputs, id, restore)
        return kickoff(self, inputs, Said(id, restore, tags, created_by))

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
        from flowkit.runtime.opened import Said, opened, reopened  # with the first run
        from flowkit.runtime.runner import drive  # anyio, once a loop is needed

        if input_files is not None or from_checkpoint is not None:
            refuse(input_files, from_checkpoint)
        restore = restore_from_state_id
        if _streams(self):
            from flowkit.runtime import streaming  # only who streams

            keywords = streaming.given(restore, id, tags, created_by)
            go = partial(Kickoffs.kickoff_async, self, inputs, **keywords)
            return streaming.async_session(self, go)
        said = Said(id, restore, tags, created_by)
        run = opened(self, inputs, said, blocking=False)
        await drive(run)
        while run.lost and (again := reopened(run, inputs, said, blocking=False)):
            run = again
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

    if TYPE_CHECKING:
        # A class or an object may say ``stream = True``, which calls nothing then.
        stream: Streaming | Any
    else:

        @shown
        def stream(self) -> Streaming:
            """``flow.stream(inputs)``: a kickoff as frames, for ``async for``.

            ::

                async for frame in flow.stream({"topic": "tea"}):
                    print(frame.seq, frame.type, frame.data)

            Gives an :class:`~flowkit.AsyncStreamSession`. ``after=`` goes on behind a
            frame of a stored run that ``id=`` or ``inputs["id"]`` name,
            ``nested=False`` leaves out the runs that its steps call; the other
            keywords are those of :meth:`kickoff`. Other readers, at any time:
            ``runs.stream``.

            A true value of this name, given to the class, the constructor or the
            object, has kickoff stream instead.
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
        after: int | Mapping[str, int] = 0,
        nested: bool = True,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> AsyncStreamSession:
        """The same as ``flow.stream(inputs)``, by CrewAI's name; not awaited."""
        from flowkit.runtime import streaming  # only who streams

        refuse(input_files, from_checkpoint)
        said = streaming.given(restore_from_state_id, id, tags, created_by)
        go = partial(self.kickoff_async, inputs, **said)
        return streaming.async_session(self, go, after, nested=nested)

    def stream_events(
        self,
        inputs: Mapping[str, Any] | None = None,
        input_files: Any = None,
        from_checkpoint: Any = None,
        restore_from_state_id: Any = None,
        *,
        after: int | Mapping[str, int] = 0,
        nested: bool = True,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> StreamSession:
        """As :meth:`astream`, for blocking code: ``for frame in ..``.

        The run goes on in a thread of its own, and its synchronous steps in worker
        threads, so that closing the session cancels it at once.
        """
        from flowkit.runtime import streaming  # only who streams

        refuse(input_files, from_checkpoint)
        said = streaming.given(restore_from_state_id, id, tags, created_by)
        go = partial(self.kickoff_async, inputs, **said)
        backend = known[type(self)].backend
        return streaming.session(self, go, backend, after, nested=nested)

    def start(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        tags: Iterable[str] = (),
        created_by: str = "",
    ) -> Run:
        """Begin a run in a thread of its own; gives its handle once it has begun.

        A kickoff that nobody waits for: kept in the flow's store, if it has one.
        The thread is a daemon: it keeps no process alive, and a process that ends
        before warns of it. ``run.wait()`` gives the result, ``run.cancel()`` ends it.
        A failure is logged, and warned of at the end if nobody has waited.

        Args:
            inputs: as :meth:`kickoff` takes them, and the others, too.
            id: of the run, with a store.
            tags: short words to find a new run by, with a store.
            created_by: whoever begins it, with a store.

        Raises:
            InputError: inputs that do not fit, all faults named.
            AdmissionError: the flow takes no more runs on now (``admission=``).
        """
        from flowkit.runtime.opened import Said, start  # the engine

        return start(self, inputs, Said(id, None, tags, created_by))


def _streams(flow: Any) -> bool:
    """Whether a kickoff is to give frames, and nobody reads or has called it yet."""
    streams = flow.__dict__.get("stream", type(flow).stream) is True
    return streams and "call" not in flow._flowkit.options


def refuse(files: Any, checkpoint: Any) -> None:
    """What CrewAI's kickoff takes and this one has another way for.

    Raises:
        RunError: it is given.
    """
    if files is not None:
        msg = (
            "kickoff(input_files=..): steps take no files apart. Give what a step "
            "needs, a path or its content, in inputs."
        )
        raise RunError(msg)
    if checkpoint is not None:
        msg = (
            "kickoff(from_checkpoint=..): a stored run goes on by kickoff(id=..), and "
            "begins again where another stood by runs.fork(..). Leave it out."
        )
        raise RunError(msg)
