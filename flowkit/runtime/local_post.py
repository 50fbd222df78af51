"""The half of an event bus that is in memory: events to runs and handlers, at once.

With a store, :mod:`flowkit.runtime.post` takes its place.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkit.core.records import EventReceived
from flowkit.errors import FlowkitError, InputError
from flowkit.journal.inbox import KeptEvent
from flowkit.journal.kept import MemoryInbox
from flowkit.runtime import signals
from flowkit.runtime.calls import validated
from flowkit.runtime.clock import now
from flowkit.runtime.correlation import (
    OpenRuns,
    carried_key,
    only_transient,
)
from flowkit.runtime.endings import cut_off
from flowkit.runtime.inbox import accepted, fitting, has_room, takes_kept, wants_now
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import new_run, payload_for, required
from flowkit.runtime.receipt import LOST, Receipt, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from flowkit.core.net import Node
    from flowkit.journal.inbox import Inbox
    from flowkit.runtime.bus import EventBus
    from flowkit.runtime.handlers import Handler
    from flowkit.runtime.run import Run
    from flowkit.runtime.work import Workshop

__all__ = ["LocalPost"]


class LocalPost:
    """Hands events to the runs of this process and drives them.

    Attributes:
        inbox: events kept for a later wait.
        open: runs that are not over, by what they wait for.
        lock: one event at a time.
    """

    def __init__(self, bus: EventBus, shop: Workshop, keep: int) -> None:
        self._bus = bus
        self._shop = shop
        self._busy: set[Run] = set()
        self.inbox: Inbox = MemoryInbox(keep)
        self.open: OpenRuns = OpenRuns()
        self.lock: threading.RLock = threading.RLock()

    def deliver(
        self,
        receipt: Receipt,
        payload: Any,
        flows: Iterable[type],
        handlers: Iterable[Handler],
    ) -> Receipt:
        """To every subscriber once; one that refuses it stops no other."""
        flows = [*flows]
        places: dict[type, Any] = {}
        if any(known[flow].admission is not None for flow in flows):
            from flowkit.runtime.reserving import reserved  # only who bounds its runs

            found = reserved(receipt, payload, flows, self._taker)
            if found is None:
                return receipt
            places = found
        for flow in flows:
            self._to_flow(flow, receipt, payload, places.pop(flow, None))
        for handler in handlers:
            self._to_handler(handler, receipt, payload)
        if receipt.refusals and not receipt.taken:
            return receipt.refuse("invalid", "; ".join(receipt.refusals))
        for reason in receipt.refusals:
            gone = Rejection(receipt.name, receipt.id, "invalid", reason)
            self._bus.report(gone, payload, receipt.key)
        if not receipt.taken:
            return receipt.refuse("dropped", LOST)
        if receipt.id is not None:
            self.inbox.remember(receipt.id)
        return receipt

    def _taker(self, flow: type, name: str, key: str | None) -> Run | None:
        """The open run that takes such an event, if there is one."""
        for run in self.open.find(flow, name, key):
            if has_room(run, name, key):
                return run
        return None

    def _to_flow(
        self, flow: type, receipt: Receipt, payload: Any, place: Any = None
    ) -> None:
        kind = known[flow]
        name = receipt.name
        try:
            key = receipt.key or carried_key(kind, name, payload)
            run = self._taker(flow, name, key)
            if run is not None:
                taken, shares = accepted(run, name, payload)
                run.event(name, taken, key, receipt.id, shares, receipt.traceparent)
                receipt.runs.append(run)
                self.schedule(run)
                return
            starts = kind.compiled.net.event_starts(name)
            if starts:
                self._begin(flow, starts, receipt, payload, key, place=place)
                place = None
            elif not (only_transient(kind, name) or self._full(flow, name, key)):
                self._keep(flow, receipt, payload, key)
        except InputError as error:
            receipt.refusals.append(str(error))
        except Exception as error:  # noqa: BLE001 - one class must not stop the bus
            receipt.refusals.append(f"{flow.__name__} could not begin: {error!r}")
        finally:
            if place is not None:
                kind.admission.places.leave(place.store, place.key)

    def _full(self, flow: type, name: str, key: str | None) -> bool:
        """Whether somebody waits for it that takes no more, and nothing kept."""
        found = [e for e in self.open.find(flow, name, key) if e.wants(name, key)]
        return bool(found) and all(wants_now(run, name, key) for run in found)

    def _begin(
        self,
        flow: type,
        starts: list[Node],
        receipt: Receipt,
        payload: Any,
        key: str | None,
        *,
        place: Any,
    ) -> None:
        payloads = {node.name: payload_for(flow, node, payload) for node in starts}
        made = flow()
        run = new_run(made, required(made, payload))
        run.key = key
        if run.admission is not None:
            run.admission.alone = True
            if place is None:  # it was accepted before, by a run that has ended since
                run.admission.begins(run, refuses=False)
            else:
                run.admission.take(run, place)
        receipt.runs.append(run)
        self.schedule(run, lambda: run.begin(receipt.name, payloads))

    def _keep(
        self, flow: type, receipt: Receipt, payload: Any, key: str | None
    ) -> None:
        name = receipt.name
        edges = known[flow].compiled.net.by_event.get(name, ())
        nodes = [edge.node for edge in edges if not edge.node.step.begins_on_event]
        # Now, while the sender can be told: later it would spoil another event.
        fitting(flow, nodes, name, payload)
        trace = receipt.traceparent
        event = KeptEvent(name, payload, key, receipt.id, now(), trace)
        dropped = self.inbox.keep(_subscriber(flow), event)
        receipt.kept = True
        if dropped is not None:
            self._dropped(
                dropped, "kept for a later wait, but newer events needed the room"
            )
        self._expire(now() - self._bus.keep_for)

    def _expire(self, since: float) -> None:
        for each in self.inbox.expire(since):
            self._dropped(each, "kept for a later wait that did not come in time")

    def _dropped(self, event: KeptEvent, reason: str) -> None:
        gone = Rejection(event.name, event.id, "dropped", reason)
        self._bus.report(gone, event.payload, event.key)

    def _to_handler(self, handler: Handler, receipt: Receipt, payload: Any) -> None:
        try:
            taken = validated(payload, handler.type, f"The payload for {handler}")
        except InputError as error:
            receipt.refusals.append(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a validator of its type raised
            reason = f"The payload for {handler} could not be validated: {error!r}"
            receipt.refusals.append(reason)
            return
        receipt.handlers.append(handler.title)

        async def call() -> None:
            await handler.call(self._bus, taken)

        self._shop.put(call)

    def schedule(self, run: Run, begin: Callable[[], None] | None = None) -> None:
        """Have a run driven, beginning with ``begin`` if it has not begun."""
        with run.lock:  # a kickoff that moves it sees the event before it stops
            fresh = run not in self._busy and not run.active
        if fresh:
            self._busy.add(run)  # first: what was kept must not drive it unbegun
        self._index(run)
        if fresh:
            self._shop.put(lambda: self._drive(run, begin))
        elif run.hurry is not None:
            run.rest(resting=False)
            run.hurry()

    async def _drive(self, run: Run, begin: Callable[[], None] | None) -> None:
        from flowkit.runtime.runner import drive

        try:
            run.at_rest = self._shop.rests
            if begin is not None:
                begin()
            while True:
                if run.admission is not None:
                    run.admission.on_bus(self._shop.aside)
                await drive(run)
                with self.lock:
                    if run.over:
                        self._hand_on(run)
                    if not run.pending:
                        self._busy.discard(run)
                        return
        except FlowkitError as error:
            signals.log().error("%r stopped: %s", run, error, exc_info=error)
        finally:
            with self.lock:
                self._busy.discard(run)

    def _hand_on(self, run: Run) -> None:
        """Events that reached a run when it had just ended go to the next one."""
        self.open.drop(run)
        left = [each for each in run.pending if isinstance(each, EventReceived)]
        run.pending.clear()
        for each in left:
            receipt = Receipt(each.name, each.key, each.id)
            receipt.traceparent = each.traceparent
            self._to_flow(type(run.flow), receipt, each.payload)
            for reason in receipt.refusals:
                gone = Rejection(each.name, each.id, "invalid", reason)
                self._bus.report(gone, each.payload, each.key)

    def watch(self, run: Run) -> None:
        """A run waits or is over: what was kept for it is handed to it."""
        with self.lock:
            if run.over:
                self.open.drop(run)
                if (error := run.failure) is not None:
                    signals.log().error("%r failed", run, exc_info=error)
                return
            self._index(run)

    def asked(self, run: Run) -> None:
        """A step of a run that is at work here waits for events in its body."""
        with self.lock:
            if not run.over and self._found(run) and run.hurry is not None:
                run.rest(resting=False)
                run.hurry()

    def let_go(self) -> None:
        """The bus ends: a body that waits here would keep it open for ever."""
        for run in list(self._busy):
            if run.resting and not run.over:
                text = "%s was cancelled: it waited, and the bus was closed"
                signals.log().warning(text, run.net.definition.name)
                run.post(partial(cut_off, run, "the bus was closed"))

    def _index(self, run: Run) -> None:
        if self._found(run) and run not in self._busy and not run.active:
            self._busy.add(run)
            self._shop.put(lambda: self._drive(run, None))

    def _found(self, run: Run) -> bool:
        """Note what a run takes, and hand it what was kept; whether there was some."""
        cls = type(run.flow)
        found = False
        for _, name, key in self.open.put(run, known[cls]):
            since = now() - self._bus.keep_for
            self._expire(since)
            while takes_kept(run, name, key) and (
                event := self.inbox.take(_subscriber(cls), name, key, since)
            ):
                taken, shares = accepted(run, name, event.payload)
                run.event(name, taken, key, event.id, shares, event.traceparent)
                found = True
        return found

    def begin_scheduled(
        self, flow: type, step: str, time: datetime, run_id: str
    ) -> None:
        """Begin a run by a schedule."""
        from flowkit.runtime.scheduler import scheduled_run

        run, begin = scheduled_run(flow, step, time, run_id)
        with self.lock:
            self.schedule(run, begin)


def _subscriber(flow: type) -> str:
    return f"{flow.__module__}.{flow.__qualname__}"
