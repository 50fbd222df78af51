"""Reading a run's stream: from its records, wherever they are, as they come.

A reader pulls a batch of records when it is asked for a frame, so that a slow one
keeps nothing back but itself. It waits for a run of its own process until that
rings, and looks for what another process writes every :data:`POLL` seconds.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from flowkit.errors import InputError
from flowkit.journal.entries import Read
from flowkit.journal.rows import is_over
from flowkit.runtime.folding import rewound
from flowkit.runtime.frames import Narrator
from flowkit.runtime.recall import Recall
from flowkit.runtime.story import Story, read_loosely
from flowkit.runtime.watching import Bell, LoopBell, StreamedRun, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.base import Store
    from flowkit.runtime.frames import StreamFrame
    from flowkit.runtime.run import Run

__all__ = ["BATCH", "Frames", "Reader", "number"]

BATCH = 200
"""Most records that a reader takes at once."""

POLL = 0.2
"""Seconds after which a reader looks again for what another process has written."""


class _Kept:
    """The records of a run in memory."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._narrator = Narrator(Recall(run), run.id)
        self._records = self._items = 0

    @property
    def over(self) -> bool:
        run = self._run
        read = self._records >= len(run.records) and self._items >= len(run.items)
        return run.told and read

    @property
    def remote(self) -> bool:
        return False

    def more(self) -> list[StreamFrame]:
        run, told = self._run, list[Any]()
        # In this order: an item that is there by now stands before later records.
        if isinstance(run, StreamedRun) and not run.told:
            last = run.shown
        else:
            last = len(run.records)
        items = run.items
        while len(told) < BATCH:
            index, at = self._records, self._items
            if at < len(items) and items[at][0] <= index:
                note = items[at][1]
                told += self._narrator.take(Read(0, note, {}, {}))
                self._items += 1
            elif index < last:
                told += self._narrator.take(self._read(index))
                self._records += 1
            else:
                break
        return told

    def _read(self, index: int) -> Read:
        record: Any = self._run.records[index]
        changed = getattr(record, "changed", ())
        values = getattr(self._run, "values", {}).get(index)
        more: dict[str, Any] = {"i": self._run.inputs} if index == 0 else {}
        if values is not None:
            more["values"] = values
        return Read(index + 1, record, dict.fromkeys(changed, ()), more)


class _Stored:
    """The records of a run in a store."""

    def __init__(self, store: Store, id: str) -> None:
        self.store, self._id = store, id
        self._narrator: Narrator | None = None
        self._seq = 0

    @property
    def over(self) -> bool:
        row = self.store.run(self._id)
        return row is not None and is_over(row.status) and row.seq <= self._seq

    @property
    def remote(self) -> bool:
        return self.store.remote

    def more(self) -> list[StreamFrame]:
        if self._narrator is None:
            row = self.store.run(self._id)
            if row is None or not row.seq:
                return []
            # All of them, once: only they tell which graph the first was made under.
            known = self.store.entries(self._id)
            story = Story(self.store, row, known)
            self._narrator = Narrator(story, self._id)
        told: list[StreamFrame] = []
        for entry in self.store.entries(self._id, self._seq, BATCH):
            if entry.kind == "note:rewind":
                told += self._back(entry, self._narrator)
            else:
                told += self._narrator.take(read_loosely(entry))
            self._seq = entry.seq
        return told

    def _back(self, entry: Any, narrator: Narrator) -> list[StreamFrame]:
        row = self.store.run(self._id)
        if row is None:
            return []
        entries = self.store.entries(self._id)
        before = [each for each in entries if each.seq <= entry.seq]
        story = Story(self.store, row, entries).fold(before)
        return narrator.again(story, rewound(entry)[0])


class Reader:
    """One reader of one run, at a place of its own.

    Attributes:
        seq: number of the latest frame it has taken.
    """

    def __init__(
        self, run: Run | None, store: Store | None = None, id: str = "", after: int = 0
    ) -> None:
        self.seq: int = number(after)
        self._run = run
        self._source: _Kept | _Stored
        if store is not None:
            self._source = _Stored(store, id)
        elif run is not None and run.journal is not None:
            self._source = _Stored(run.journal.store, run.journal.row.id)
        else:
            assert run is not None  # noqa: S101 - one of both is given
            self._source = _Kept(run)

    def more(self) -> list[StreamFrame]:
        """What has come since the last time; a batch of it, if that is much."""
        if (
            self._run is not None
            and self._run.journal is None
            and isinstance(self._source, _Stored)
        ):
            self._source = _Kept(self._run)  # its position could not be stored
        while told := self._source.more():
            fresh = [frame for frame in told if frame.seq > self.seq]
            if fresh:
                self.seq = fresh[-1].seq
                return fresh
        return []

    @property
    def store(self) -> Store | None:
        """Where the run is stored; None of one in memory."""
        source = self._source
        return source.store if isinstance(source, _Stored) else None

    @property
    def over(self) -> bool:
        """Whether the run is over and all of it was taken."""
        return self._source.over

    @property
    def remote(self) -> bool:
        """Whether taking more may take long."""
        return self._source.remote


def number(after: Any) -> int:
    """The number of a frame, as it was given.

    Raises:
        InputError: it is none.
    """
    if type(after) is not int or after < 0:
        msg = (
            f"after={after!r} is no number of a frame. Give the `seq` of the last "
            f"frame that was read, or 0 for all of them."
        )
        raise InputError(msg)
    return after


class Frames:
    """A run's frames as they come: ``for frame in ..`` or ``async for frame in ..``.

    Reading changes nothing in the run and never holds it back: whatever is not read
    yet lies in its records. Any number of readers, each at its own place.
    """

    def __init__(
        self, reader: Any, run: Run | None, id: str, after: Any, *, follow: bool
    ) -> None:
        self._reader, self._run, self._follow = reader, run, follow
        self._id = id
        self._positions: dict[str, int] = (
            dict(after) if isinstance(after, dict) else {id: after}
        )
        self._here: deque[StreamFrame] = deque()
        self._bell: Any = None
        self._leave: Callable[[], None] | None = None
        self._closed = False

    @property
    def seq(self) -> int:
        """Number of the run's own latest frame given, or ``after``."""
        return self._positions.get(self._id, 0)

    @property
    def positions(self) -> dict[str, int]:
        """Numbers of the latest frames given, by run id, for another ``after=``."""
        return dict(self._positions)

    def _give(self) -> StreamFrame:
        frame = self._here.popleft()
        self._positions[frame.run_id] = frame.seq
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamFrame:
        bell = self._begin(Bell)
        while not self._here:
            if self._closed or not self._take():
                self.close()
                raise StopIteration
            if not self._here:
                bell.wait(POLL)
        return self._give()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamFrame:
        import anyio  # a loop runs, so it is there

        bell = self._begin(LoopBell)
        while not self._here:
            if self._closed:
                raise StopAsyncIteration
            if self._reader.remote:
                going = await anyio.to_thread.run_sync(self._take)
            else:
                going = self._take()
            if not going:
                self.close()
                raise StopAsyncIteration
            if not self._here:
                await bell.wait(POLL)
        return self._give()

    def close(self) -> None:
        """Read no further. The run goes on."""
        self._closed = True
        self._here.clear()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def _begin(self, kind: Any) -> Any:
        if type(self._bell) is not kind:
            self._bell = kind()
            if self._leave is not None:
                self._leave()
            if self._run is not None and not self._closed:
                self._leave = watch(self._run, self._bell.ring)
        return self._bell

    def _take(self) -> bool:
        """Take what is there; whether there may be more later."""
        found = self._reader.more()
        self._here.extend(found)
        return bool(found) or (self._follow and not self._reader.over)
