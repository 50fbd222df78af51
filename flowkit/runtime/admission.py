"""How runs come in: the admission of a flow class, and each run's place there.

A place is asked for before a run begins, so that a refusal leaves nothing behind; it
is waited for where the run is moved, and given back when nobody moves it any more.
A run that goes on stands in line once more, ahead of those that begin, and is never
refused: it was taken on before.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.admission import Admission, admission_of
from flowkit.core.durations import shown
from flowkit.errors import AdmissionError, AdmissionFullError, ShedError, StoreError
from flowkit.runtime import signals
from flowkit.runtime.clock import now, wait_until
from flowkit.runtime.noting import note_down
from flowkit.runtime.places import LATEST, SOONEST, places_of
from flowkit.runtime.shared import storeless
from flowkit.runtime.timing import overdue

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.places import PlacesState
    from flowkit.journal.base import Store
    from flowkit.runtime.places import Places
    from flowkit.runtime.run import Run

__all__ = ["Door", "Place", "Stay", "door_of"]

_above: ContextVar[Stay | None] = ContextVar("flowkit_admitted", default=None)
"""The run that this code is of, if it was admitted: what it begins goes with it."""


class Place(NamedTuple):
    """What was taken for a run: a place, or one in the line.

    Attributes:
        store: where it is, None for this process.
        key: its own.
        inside: whether it is a place.
        ahead: how many are before it in the line.
    """

    store: Store | None
    key: str
    inside: bool
    ahead: int = 0


class Door:
    """The admission of one flow class.

    Attributes:
        value: what was declared.
        flow: name of the class.
        places: its places, maybe shared.
    """

    __slots__ = ("flow", "places", "value")

    def __init__(self, flow: str, place: str, value: Admission) -> None:
        self.flow: str = flow
        self.value: Admission = value
        self.places: Places = places_of(value, place)

    def reserve(
        self, store: Store | None, until: float | None, *, refuses: bool = True
    ) -> Place:
        """A place for a run that is about to begin, or one in the line.

        Args:
            store: of the run.
            until: its deadline.
            refuses: False for one that somebody has accepted already.

        Raises:
            AdmissionFullError: the line is full.
            ShedError: its deadline comes before its turn.
            RunError: the places are in the store, and the run is not.
        """
        store = self.where(store)
        places = self.places
        key = places.key(store)
        entered = places.enter(store, key, until=until, first=not refuses)
        if entered == "inside":
            return Place(store, key, inside=True)
        state = places.state(store)
        if entered == "waits":
            return Place(store, key, inside=False, ahead=state.ahead(key) or 0)
        error: AdmissionError
        error = self._full(state) if entered == "full" else self._late(state, until)
        raise error

    def where(self, store: Store | None) -> Store | None:
        """Where the places of a run are that is kept in that store.

        Raises:
            RunError: they are in the store, and the run is not.
        """
        if not self.places.polls:
            return None
        if store is None:
            raise storeless(self.flow, self.value, self.places.name)
        return store

    def tell_refused(
        self, cls: type, error: AdmissionError, run: Run | None = None
    ) -> None:
        """Tell observers of a run that was refused; None: it was not even made."""
        signals.log().warning("%s", str(error))  # the error itself holds the run
        if signals.run_rejected.receivers:
            signals.tell(signals.run_rejected, cls, run=run, error=error)

    def _full(self, state: PlacesState) -> AdmissionError:
        wait = round(state.wait(), 3) or None
        later = "later" if wait is None else f"in about {shown(wait)}"
        text = (
            f"{self.flow} takes no run on now: {len(state.inside)} are at work and "
            f"{state.waiting} wait, and its admission allows {self.value}. Begin it "
            f"again {later}, or allow a longer queue."
        )
        return AdmissionFullError(text, flow=self.flow, retry_after=wait)

    def _late(self, state: PlacesState, until: float | None) -> AdmissionError:
        wait = round(state.wait(), 3)
        left = shown(round(max(0.0, (until or 0.0) - now()), 3))
        text = (
            f"{self.flow} does not take this run on: its turn would come in about "
            f"{shown(wait)}, and it has to be over in {left}. Begin it again when less "
            f"is to do, give it more time (deadline=), or let more runs be at work."
        )
        return ShedError(text, flow=self.flow, retry_after=wait)


def door_of(flow: str, place: str, value: Any, parent: Door | None) -> Door | None:
    """The admission of a class: its own, or what its parent class says, anew.

    Raises:
        ValueError: it means nothing, or another one has its name.
    """
    if value is not None:
        return Door(flow, place, admission_of(value))
    return None if parent is None else Door(flow, place, parent.value)


class Stay:
    """One run, and its place.

    Attributes:
        door: of its class.
        aside: told when it waits on a bus, and when no more.
        alone: nobody awaits it, though it is begun within another run.
    """

    __slots__ = ("_begun", "_free", "_place", "_since", "alone", "aside", "door")

    def __init__(self, door: Door) -> None:
        self.door: Door = door
        self.aside: Callable[[bool], None] | None = None
        self.alone: bool = False
        self._place: Place | None = None
        self._since: float = 0.0
        self._free = False
        self._begun = False

    def __del__(self) -> None:
        # A run that was taken on and then left behind; its place is given back by
        # whoever asks next, since no lock may be waited for here.
        place = getattr(self, "_place", None)
        if place is not None:
            self.door.places.owed.append((place.store, place.key))

    def on_bus(self, aside: Callable[[bool], None]) -> None:
        """A bus moves the run: it awaits nobody, and nobody awaits it."""
        self.alone, self.aside = True, aside

    def begins(
        self, run: Run, inherited: float | None = None, *, refuses: bool = True
    ) -> None:
        """Have a place, or one in the line, for a run that is about to begin.

        Args:
            run: not begun yet.
            inherited: deadline of who begins it.
            refuses: as for :meth:`Door.reserve`.

        Raises:
            AdmissionError: it is refused.
            RunError: the places are in the store, and the run is not.
        """
        if self._place is not None or self._goes_along():
            return
        times = [] if inherited is None else [inherited]
        if run.limit is not None:
            times.append(now() + run.limit)
        store = None if run.journal is None else run.journal.store
        try:
            place = self.door.reserve(store, min(times, default=None), refuses=refuses)
        except AdmissionError as error:
            self._refuse(run, error)
            raise
        self.take(run, place)

    def _goes_along(self) -> bool:
        """Whether a run with a place awaits this one: it may not wait for others."""
        above = _above.get()
        if above is not None and above._place is not None and not self.alone:
            self._free = True
        return self._free

    def take(self, run: Run, place: Place) -> None:
        """What was reserved is this run's."""
        self._place, self._since = place, now()
        run.context.run(_above.set, self)
        if not place.inside and signals.run_queued.receivers:
            run.tell(signals.run_queued, ahead=place.ahead)

    def _refuse(self, run: Run, error: AdmissionError) -> None:
        if run.journal is not None:
            run.journal.forget()
        run.over = run.told = True
        run.marking.status = "failed"
        run.failures.append(error)
        self.door.tell_refused(type(run.flow), error, run)

    def leave(self) -> None:
        """Nobody moves the run: its place is free, or its place in the line."""
        self.alone, self.aside = False, None
        self.pause()

    def pause(self) -> None:
        """Nothing moves until something outside happens: the same for so long."""
        place, self._place = self._place, None
        self._free = False
        if place is not None:
            self.door.places.leave(place.store, place.key)

    def enters(self, run: Run) -> bool:
        """Whether a run may go on at once; else it stands in line.

        Raises:
            RunError: the places are in the store, and the run is not.
        """
        if not run.over and self._place is None and not self._goes_along():
            store = None if run.journal is None else run.journal.store
            self.take(run, self.door.reserve(store, None, refuses=False))
        return self._free or self._place is None or self._place.inside

    async def turn(self, run: Run) -> None:
        """Wait until a run may go on, or is over; on its event loop."""
        if run.over:
            return
        try:
            if not self.enters(run):
                aside = self.aside or _stays
                aside(True)  # noqa: FBT003 - one switch
                try:
                    await self._wait(run)
                finally:
                    aside(False)  # noqa: FBT003 - the same
        except StoreError as error:
            run.halt(error)
        if run.until is not None and run.until <= now():
            overdue(run)
        self._begun = True

    async def _wait(self, run: Run) -> None:
        import anyio  # a loop runs, so it is there

        from flowkit.runtime.loops import loop_caller

        place, places = self._place, self.door.places
        assert place is not None  # noqa: S101 - asked before
        soon, hurry, pause = loop_caller(), run.hurry, SOONEST
        try:
            while True:
                come = anyio.Event()
                places.waiters[place.key] = run.hurry = partial(soon, come.set)
                run.take_pending()
                if run.held and run.settle is not None:
                    await run.settle()
                if run.over:
                    return
                if places.is_inside(place.store, place.key):
                    break
                await wait_until(places.next_look(place.key, pause), come, soon)
                pause = min(2 * pause, LATEST)
        finally:
            places.waits_no_more(place.key)
            run.hurry = hurry
        self._place = place._replace(inside=True)
        self._admitted(run)

    def _admitted(self, run: Run) -> None:
        waited = now() - self._since
        name = self.door.places.name
        said = {"limit": "admission", "name": name, "what": "waited", "seconds": waited}
        note_down(run, None, "limit", said)
        if signals.run_admitted.receivers:
            run.tell(signals.run_admitted, waited=waited)

    def shed(self, run: Run) -> ShedError | None:
        """The error of a run whose deadline came before its turn; else None."""
        if self._begun or len(run.records) > 1 or run.limit is None:
            return None
        if any(firing.attempt > 1 for firing in run.marking.live.values()):
            return None  # it had begun in a process that is gone
        flow = self.door.flow
        text = (
            f"{flow} was not begun in time: its deadline, {shown(run.limit)} after it "
            f"was taken on, came before its turn. Nothing of it has run: begin it "
            f"again when less is to do, or give it more time (deadline=)."
        )
        error = ShedError(text, flow=flow)
        self.door.tell_refused(type(run.flow), error, run)
        return error


def _stays(waiting: bool) -> None:  # noqa: FBT001 - as a bus has it
    """Nobody else moves in where a run waits."""
