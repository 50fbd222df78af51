"""Places that steps or runs share, and the line before them.

In this process, or in a store for all processes on it. There a place belongs to the
process that took it, as its runs do: it is free again as soon as that process is known
to be gone (:mod:`flowkit.runtime.presence`), and who waits looks now and then, since
nobody tells one process what another one gives back.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from flowkit.core.places import Entered, PlacesState
from flowkit.errors import StoreError
from flowkit.journal.codec import decode, encode
from flowkit.runtime import signals
from flowkit.runtime.clock import block_until, now, wait_until
from flowkit.runtime.presence import presence_in
from flowkit.runtime.shared import cell_of, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowkit.journal.base import Store

__all__ = ["Places", "StoredPlaces", "places_of"]

SOONEST = 0.02
LATEST = 0.5
"""Seconds after which the first to wait for a store's places looks again: doubling."""
OTHERS = 5.0
"""The same for those behind him, whom he wakes if they have a place."""
_numbers = count()


class Places:
    """Places in this process.

    Attributes:
        value: how many there are, and how many may wait.
        name: of them.
        waiters: how to wake who waits here, by key.
        owed: what is given back with the next change.
    """

    polls: bool = False
    """Whether who waits must look for himself."""

    def __init__(self, value: Any, name: str, *, implied: bool = False) -> None:
        self.value: Any = value
        self.name: str = name
        self.implied: bool = implied
        self.waiters: dict[str, Callable[[], object]] = {}
        self.owed: deque[tuple[Store | None, str]] = deque()
        self._state = PlacesState(value)
        self._lock = threading.Lock()

    def key(self, store: Store | None) -> str:  # noqa: ARG002 - as its subclass
        """A new key for one who comes."""
        return f"/{next(_numbers)}"

    def enter(
        self,
        store: Store | None,  # noqa: ARG002 - the same
        key: str,
        *,
        until: float | None = None,
        first: bool = False,
    ) -> Entered:
        """As :meth:`PlacesState.enter`, now."""
        if self.owed:
            self._repay()
        with self._lock:
            return self._state.enter(key, now(), until=until, first=first)

    def slip_in(self) -> bool:
        """Take a free place of this process without a key; whether there was one."""
        if self.owed:
            self._repay()
        with self._lock:
            return self._state.slip_in()

    def slip_out(self) -> None:
        """Give such a place back."""
        with self._lock:
            if not self._state.slip_out():
                return
            given = self._state.hand_on(now())
        self._wake(None, given)

    def leave(self, store: Store | None, key: str) -> None:
        """A place, or one in the line, is not needed any more; never raises."""
        if self.owed:
            self._repay()
        with self._lock:
            given = self._state.leave(key, now())
        if given:
            self._wake(store, given)

    def is_inside(self, store: Store | None, key: str) -> bool:  # noqa: ARG002 - the same
        """Whether one who waited has a place now."""
        with self._lock:
            return key in self._state.inside

    def state(self, store: Store | None) -> PlacesState:  # noqa: ARG002 - the same
        """Who is inside and who waits, to be read only."""
        return self._state

    def _repay(self) -> None:
        """Give back what runs had that were left behind."""
        with suppress(IndexError):
            while True:
                store, key = self.owed.popleft()
                with self._lock:
                    given = self._state.leave(key, now())
                self._wake(store, given)

    def _wake(self, store: Store | None, keys: Iterable[str]) -> None:
        for key in keys:
            wake = self.waiters.pop(key, None)
            if wake is None:  # he looks before he waits, or is of another process
                continue
            try:
                wake()
            except RuntimeError:  # his loop is gone, and his place goes on
                self.leave(store, key)

    def next_look(self, key: str, pause: float) -> float | None:
        """When one who waits looks for himself; None if he will be told."""
        if not self.polls:
            return None
        return now() + (pause if next(iter(self.waiters), key) == key else OTHERS)

    def waits_no_more(self, key: str) -> None:
        """One who waited is gone, with a place or without; the next one looks."""
        self.waiters.pop(key, None)
        if self.polls and (following := next(iter([*self.waiters.values()]), None)):
            with suppress(RuntimeError):  # his loop is gone
                following()

    async def wait(self, store: Store | None, key: str) -> None:
        """Wait in the line until there is a place; given up, it is left."""
        import anyio  # a loop runs, so it is there

        from flowkit.runtime.loops import loop_caller

        soon, pause = loop_caller(), SOONEST
        try:
            while True:
                come = anyio.Event()
                self.waiters[key] = partial(soon, come.set)
                if self.is_inside(store, key):
                    return
                await wait_until(self.next_look(key, pause), come, soon)
                pause = min(2 * pause, LATEST)
        except BaseException:
            self.leave(store, key)
            raise
        finally:
            self.waits_no_more(key)

    def block(self, store: Store | None, key: str, wanted: Callable[[], bool]) -> bool:
        """The same in a thread; whether the place is wanted still."""
        pause = SOONEST
        try:
            while True:
                come = threading.Event()
                self.waiters[key] = come.set
                if self.is_inside(store, key):
                    break
                block_until(self.next_look(key, pause), come)
                if not wanted():
                    break
                pause = min(2 * pause, LATEST)
        except BaseException:
            self.leave(store, key)
            raise
        finally:
            self.waits_no_more(key)
        if wanted():
            return True
        self.leave(store, key)
        return False


class StoredPlaces(Places):
    """Places in a store, one state for all processes on it."""

    polls = True

    def slip_in(self) -> bool:
        """None of them is of this process alone."""
        return False

    def key(self, store: Store | None) -> str:
        """A new key for one who comes, in the name of this process."""
        assert store is not None  # noqa: S101 - asked before
        return f"{presence_in(store).ensure()}/{next(_numbers)}"

    def enter(
        self,
        store: Store | None,
        key: str,
        *,
        until: float | None = None,
        first: bool = False,
    ) -> Entered:
        """As in a process; what processes hold that are gone counts no more."""

        def come(state: PlacesState) -> tuple[Entered, Iterable[str]]:
            given = [] if state.free else _without_the_gone(store, state)
            return state.enter(key, now(), until=until, first=first), given

        entered: Entered = self._change(store, come)
        return entered

    def leave(self, store: Store | None, key: str) -> None:
        """The same; if the store fails, it is given back with the next change."""
        try:
            self._change(store, lambda state: (None, state.leave(key, now())))
        except StoreError as error:
            signals.log().warning(
                "a place of %r was not given back yet: %s", self.name, error
            )
            self.owed.append((store, key))

    def is_inside(self, store: Store | None, key: str) -> bool:
        """The same. One whom others took for gone stands in line once more."""

        def look(state: PlacesState) -> tuple[bool, Iterable[str]]:
            given = _without_the_gone(store, state)
            given += [each for each in [*self.waiters] if each in state.inside]
            if key not in state.inside and state.ahead(key) is None:
                state.enter(key, now(), first=True)
            return key in state.inside, [each for each in given if each != key]

        return bool(self._change(store, look))

    def state(self, store: Store | None) -> PlacesState:
        """The same, as it is in the store."""
        assert store is not None  # noqa: S101 - asked before
        return self._read(store.cell(cell_of(self.value, self.name)))

    def _read(self, text: str | None) -> PlacesState:
        state = PlacesState(self.value)
        if text is not None:
            state.restore(decode(text))
        return state

    def _change(self, store: Store | None, change: Any) -> Any:
        assert store is not None  # noqa: S101 - asked before
        cell = cell_of(self.value, self.name)
        owed = [each for each in [*self.owed] if each[0] is store]
        while True:
            text = store.cell(cell)
            state, given = self._read(text), []
            for _, key in owed:
                given += state.leave(key, now())
            found, more = change(state)
            new = encode(state.saved(), self.name)
            if new == text or store.swap(cell, text, new):
                break
        for each in owed:
            with suppress(ValueError):  # another thread has given it back, too
                self.owed.remove(each)
        self._wake(store, [*given, *more])
        return found


def _without_the_gone(store: Any, state: PlacesState) -> list[str]:
    """Take out what processes hold that are gone; who has a place through that."""
    presence = presence_in(store)
    if state.owners() <= {presence.id}:
        return state.drop(lambda _: True, now())
    presence.gone()
    at = now()
    alive = {each.id for each in store.owners() if each.until > at}
    alive.add(presence.id)
    return state.drop(alive.__contains__, at)


def places_of(value: Any, place: str) -> Places:
    """The places of a bulkhead or an admission.

    Raises:
        ValueError: two different ones of one name.
    """
    kind = StoredPlaces if value.shared == "store" else Places
    found: Places = share(value, place, kind)
    return found
