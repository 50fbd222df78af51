"""Reading a run together with the runs that its steps have called, as one stream.

Each run numbers its own frames, the same ones for every reader. In the stream of its
caller the frames of a called run stand between the start and the end of the step that
called it, in their own order; ``namespace`` and ``parent_id`` tell whose they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.errors import InputError
from flowkit.runtime.children import called_rows, place_of
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.presence import presence_in
from flowkit.runtime.reading import Frames, Reader, number
from flowkit.runtime.watching import StreamedRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from flowkit.journal.base import Store
    from flowkit.runtime.frames import StreamFrame
    from flowkit.runtime.run import Run

__all__ = ["NestedReader", "places", "reader_of", "stream"]

_STEP_ENDS = frozenset(
    f"method_execution_{how}" for how in ("finished", "failed", "cancelled")
)
_RUN_ENDS = frozenset(
    f"flow_{how}"
    for how in ("finished", "failed", "cancelled", "compensated", "expired")
)


def places(after: Any) -> Any:
    """Where to begin, as it was given: a number, or one for each run by its id.

    Raises:
        InputError: it is neither.
    """
    if isinstance(after, Mapping):
        for run, each in after.items():
            if type(run) is not str:
                msg = (
                    f"after={after!r} has the key {run!r}. Give the `positions` of the "
                    f"stream that was read: the number of the last frame by run id."
                )
                raise InputError(msg)
            number(each)
        return dict(after)
    return number(after)


def reader_of(
    run: Run | None,
    store: Store | None = None,
    id: str = "",
    after: Any = 0,
    *,
    nested: bool = True,
) -> Reader | NestedReader:
    """A reader of a run, with the runs that it calls or without them."""
    known = id or (run.id if run is not None else "")
    if nested:
        return NestedReader(run, store, known, after)
    own = after.get(known, 0) if isinstance(after, dict) else after
    return Reader(run, store, id, own)


class NestedReader:
    """One reader of one run and of all that it calls, each at a place of its own.

    Attributes:
        after: number of the run's frame that was read last.
        begun: the frames in which the steps at work were started, by firing.
        calls: readers of the runs that they have called, by firing.
    """

    def __init__(
        self,
        run: Run | None,
        store: Store | None,
        id: str,
        after: int | Mapping[str, int] = 0,
    ) -> None:
        self._positions = after if isinstance(after, Mapping) else {id: after}
        self.after: int = self._positions.get(id, 0)
        self.begun: dict[int, StreamFrame] = {}
        self.calls: dict[int, list[NestedReader]] = {}
        self._run = run
        self._id = id
        if store is None and run is not None and run.journal is not None:
            store = run.journal.store
        self._store = store
        self._own = Reader(run, store, id)
        self._known: set[str] = set()
        self._looked = False
        self._fresh = True
        self._here: deque[StreamFrame] = deque()

    @property
    def over(self) -> bool:
        """Whether the run is over and all of it was taken."""
        return not self._here and self._own.over

    @property
    def remote(self) -> bool:
        """Whether taking more may take long."""
        return self._own.remote

    def more(self) -> list[StreamFrame]:
        """What has come since the last time; a batch of it, if that is much."""
        if self._here:
            found = [*self._here]
            self._here.clear()
            return found
        while own := self._own.more():
            self._look_for_calls(own)
            for readers in self.calls.values():
                for reader in readers:
                    reader._fresh = True
            found = [each for frame in own for each in self._around(frame)]
            if found:
                return found
        self._look_for_calls(())
        told: list[StreamFrame] = []
        for firing, readers in self.calls.items():
            for reader in [*readers]:
                found = reader.more()
                told += self._placed(firing, found)
                if not found and reader.over:
                    readers.remove(reader)
        return told

    def _around(self, frame: StreamFrame) -> Iterable[StreamFrame]:
        """A frame of the run itself, and those of called runs that come before it."""
        kind, firing = frame.type, frame.data.get("firing", 0)
        told = frame.seq > self.after
        if kind == "method_execution_started":
            self.begun[firing] = frame
        elif kind in _RUN_ENDS:
            for each in [*self.calls]:
                yield from self._rest(each, told=told)
        elif kind in _STEP_ENDS and self._is_own(frame, firing):
            yield from self._rest(firing, told=told)
            self.begun.pop(firing, None)
        elif told:
            yield from self._until(frame)
        if told:
            yield frame

    def _is_own(self, frame: StreamFrame, firing: int) -> bool:
        """Whether it is about the firing's own step, and none that it calls."""
        begun = self.begun.get(firing)
        return begun is None or begun.data["step"] == frame.data["step"]

    def _until(self, frame: StreamFrame) -> Iterable[StreamFrame]:
        """What called runs have told by then; all of one whose end is told now."""
        ended = frame.type == "method_execution_resumed"
        for firing, readers in self.calls.items():
            for reader in readers:
                if ended and firing == frame.data["firing"] and reader._own.over:
                    yield from self._placed(firing, reader.rest())
                else:
                    found = reader.until(frame.timestamp)
                    yield from self._placed(firing, found)

    def _rest(self, firing: int, *, told: bool) -> Iterable[StreamFrame]:
        """All that the calls of a step that is over have told; then they are done."""
        for reader in self.calls.pop(firing, ()):
            if told:
                yield from self._placed(firing, reader.rest())

    def until(self, time: datetime) -> list[StreamFrame]:
        """What was told up to a time, as far as that was known a moment ago."""
        found: list[StreamFrame] = []
        while True:
            if not self._here and self._fresh:
                more = self.more()
                self._fresh = bool(more)
                self._here.extend(more)
            if not self._here or self._here[0].timestamp > time:
                return found
            found.append(self._here.popleft())

    def rest(self) -> list[StreamFrame]:
        """All that is there."""
        found: list[StreamFrame] = []
        while more := self.more():
            found += more
        return found

    def _placed(
        self, firing: int, found: Iterable[StreamFrame]
    ) -> Iterable[StreamFrame]:
        """Frames of a called run, as they stand in its caller's stream."""
        above = self.begun.get(firing)
        if above is None:
            return found
        return [
            replace(
                frame,
                namespace=(*above.namespace, *frame.namespace),
                parent_id=frame.parent_id or above.id,
            )
            for frame in found
        ]

    def _look_for_calls(self, own: Iterable[StreamFrame]) -> None:
        """Readers for the runs that were called since the last time."""
        run, store = self._run, self._own.store
        here = isinstance(run, StreamedRun)
        for firing, id, child in [*getattr(run, "joined", ())]:
            if id not in self._known and (child is not None or store is not None):
                kept = store if child is None else None
                self._add(firing, NestedReader(child, kept, id, self._positions))
        if store is None or (here and self._looked) or not (own or self.begun):
            return
        self._looked = True
        for row in called_rows(store, self._id):
            if row.id not in self._known:
                reader = NestedReader(None, store, row.id, self._positions)
                self._add(place_of(row)[0], reader)

    def _add(self, firing: int, reader: NestedReader) -> None:
        self._known.add(reader._id)
        self.calls.setdefault(firing, []).append(reader)


def stream(
    run: str | Run,
    *,
    after: int | Mapping[str, int] = 0,
    follow: bool = True,
    nested: bool = True,
    store: Any = None,
) -> Frames:
    """The frames of a run: those that are there, then those that come.

    Of a stored run in any process, also one that is over or whose class is not
    there. Iterate it with ``for`` or ``async for``; it ends with the run. An
    error of the run is told by a frame, and not raised.

    Args:
        run: its id or the beginning of it, or its handle.
        after: ``seq`` of the run's last frame that was read; 0 begins with the first.
            Or ``positions`` of the stream that was read, where called runs were read,
            too: by a number alone, those that were under way are read again.
        follow: wait for what comes; False ends with what is there.
        nested: read the runs that its steps call, too, each within its step.
        store: the default one if None.

    Raises:
        NotFoundError: no such run.
        InputError: ``after`` is no number, nor numbers by run id.
        StoreError: records that cannot be read.
    """
    begin = places(after)
    if isinstance(run, str):
        known = run
    elif run.journal is None:
        reader = reader_of(run, after=begin, nested=nested)
        return Frames(reader, run, run.id, begin, follow=follow)
    else:
        known = run.journal.row.id
        store = run.journal.store if store is None else store
    place = store_of(store)
    id = row_of(place, known).id
    moved = presence_in(place).moving.get(id)
    reader = reader_of(moved, place, id, begin, nested=nested)
    return Frames(reader, moved, id, begin, follow=follow)
