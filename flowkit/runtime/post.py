"""The durable half of an event bus: what is accepted is in a store, and stays there.

One transaction takes an event in: its id, and a letter for each subscriber, handed
to the run that waits for it, to a run begun by it, or kept. Whoever is there then
drives those runs; after a crash the next process finds them. A run that waits is
let go; the latest ones stay warm, so that their next event needs no reading.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from flowkit.errors import (
    AdmissionError,
    FlowkitError,
    InputError,
    RunError,
    StoreError,
)
from flowkit.journal.codec import encode
from flowkit.journal.rows import Accept, Delivery, Fate, Hold, RunRow
from flowkit.journal.writer import writer_of
from flowkit.runtime import signals
from flowkit.runtime.calls import validated
from flowkit.runtime.children import stirring
from flowkit.runtime.clock import now, wait_until
from flowkit.runtime.correlation import carried_key, only_transient
from flowkit.runtime.dead_letters import DeadLetters
from flowkit.runtime.dues import expire
from flowkit.runtime.durable import Journal, flow_name
from flowkit.runtime.endings import cut_off
from flowkit.runtime.handled import Handled
from flowkit.runtime.ids import random_id, run_id
from flowkit.runtime.inbox import fitting
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import new_run, payload_for, required
from flowkit.runtime.loops import loop_caller
from flowkit.runtime.opening import class_for, load, made
from flowkit.runtime.presence import presence_in
from flowkit.runtime.receipt import Rejection, status_of
from flowkit.runtime.scheduler import stored_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Accepted
    from flowkit.journal.writer import Ticket, Writer
    from flowkit.runtime.receipt import Receipt
    from flowkit.runtime.run import Run
    from flowkit.runtime.work import Workshop

__all__ = ["Post"]

POLL = 5.0
"""Seconds after which a bus looks for runs that others left, if nothing tells it."""
FORGET = 3600.0
WARM = 1_000


def _unbegun(taken: Any) -> None:
    """A run that was made for an event which another run has taken."""
    journal = getattr(taken, "journal", None)
    if journal is not None:
        journal.forget()
        if taken.admission is not None:
            taken.admission.leave()


class Post:
    """Takes events into a store and drives the runs they concern."""

    def __init__(
        self, bus: Any, store: Store, shop: Workshop, *, keep: int, keep_ids: float
    ) -> None:
        self.store = store
        self.writer: Writer = writer_of(store)
        self._bus = bus
        self._shop = shop
        self._keep = keep
        self._keep_ids = keep_ids
        self._lock = threading.Lock()
        self._live: dict[str, Run] = {}
        self._warm: OrderedDict[str, Run] = OrderedDict()
        self._waking: set[str] = set()
        self._woken: Any = None
        self._soon: Any = None
        self._deaf: Callable[[], None] | None = None
        self._listens = False
        self._forgot = 0.0
        self.dead: DeadLetters = DeadLetters(bus, store, self.writer)
        self._handled = Handled(bus, store, self.dead, self._put)

    def deliveries(
        self, receipt: Receipt, payload: Any, flows: Iterable[type], handlers: Any
    ) -> tuple[list[Delivery], list[Any]]:
        """What each subscriber is handed, and whose it is."""
        found: list[Delivery] = []
        owners: list[Any] = []
        for flow in flows:
            try:
                delivery, run = self._for_flow(flow, receipt, payload)
            except InputError as error:
                receipt.refused(flow_name(flow), str(error))
            except AdmissionError as error:
                self._refused(receipt, error, owners)
                return [], []
            except Exception as error:  # noqa: BLE001 - one class must not stop the bus
                text = f"{flow.__name__} could not take it: {error!r}"
                receipt.refused(flow_name(flow), text)
            else:
                found.append(delivery)
                owners.append((flow, run))
        for handler in handlers:
            try:
                taken = validated(payload, handler.type, f"The payload for {handler}")
                text = encode(taken, f"the payload for {handler}")
            except Exception as error:  # noqa: BLE001 - nor must one handler
                receipt.refused(handler.subscriber, str(error))
            else:
                found.append(Delivery(handler.subscriber, text, handler=True))
                owners.append((handler, taken))
        return found, owners

    def _refused(
        self, receipt: Receipt, error: AdmissionError, owners: Iterable[Any]
    ) -> None:
        """A flow takes no run on: nobody takes the event, so it may be sent again."""
        for _, taken in owners:
            _unbegun(taken)
        if receipt.id is not None and self.store.seen(receipt.id):
            receipt.status = "duplicate"
        else:
            receipt.refuse(status_of(error), str(error))

    def _for_flow(
        self, flow: type, receipt: Receipt, payload: Any
    ) -> tuple[Delivery, Run | None]:
        kind, name = known[flow], receipt.name
        key = receipt.key or carried_key(kind, name, payload)
        subscriber = flow_name(flow)
        starts = kind.compiled.net.event_starts(name)
        run = begin = None
        if starts:
            payloads = {node.name: payload_for(flow, node, payload) for node in starts}
            try:
                begin, run = self._begin(flow, receipt, payload, payloads, key)
            except AdmissionError as error:
                if not self._waits(flow, name, key):
                    kind.admission.tell_refused(flow, error)
                    raise
        else:
            edges = kind.compiled.net.by_event.get(name, ())
            nodes = [edge.node for edge in edges if not edge.node.step.begins_on_event]
            fitting(flow, nodes, name, payload)
        text = encode(payload, f"the payload of {name!r}")
        keep = not starts and not only_transient(kind, name)
        return Delivery(subscriber, text, begin, keep, key=key), run

    def _waits(self, flow: type, name: str, key: str | None) -> bool:
        """Whether a stored run of a flow waits for such an event."""
        found = self.store.waits(name=name, key=key)
        return any(
            each.flow == flow_name(flow) and each.wait.key == key for each in found
        )

    def _begin(
        self,
        flow: type,
        receipt: Receipt,
        payload: Any,
        payloads: dict[str, Any],
        key: str | None,
    ) -> tuple[Any, Run]:
        target = made(flow)
        run = new_run(target, required(target, payload))
        if run.admission is not None:
            from flowkit.runtime.reserving import place_for  # only who bounds its runs

            run.admission.take(run, place_for(flow, self.store))
        row = RunRow(
            run_id(now()),
            flow_name(flow),
            "",
            key=key,
            version=str(getattr(flow, "version", "") or ""),
            created_by=f"event {receipt.name}",
        )
        journal = Journal(self.store, row)
        journal.attach(run)
        start = partial(run.begin, receipt.name, payloads)
        return journal.prepared(start), run

    def accept(self, receipt: Receipt, deliveries: list[Delivery]) -> Ticket:
        """Hand the event in; the ticket's outcome is :class:`Accepted`."""
        id = receipt.id
        if id is None and getattr(self.store, "remote", False):
            id = random_id()  # so that it can be repeated
        trace = receipt.traceparent or None
        move = Accept(receipt.name, receipt.key, id, now(), tuple(deliveries), trace)
        return self.writer.submit(move)

    def accepted(self, receipt: Receipt, outcome: Accepted, owners: list[Any]) -> None:
        """The event is in the store: tell who has it, and set them to work."""
        if outcome.repeated:
            self._repeated(receipt, owners)
            return
        if outcome.duplicate:
            receipt.status = "duplicate"
            for _, taken in owners:
                _unbegun(taken)
            return
        for fate, (owner, taken) in zip(outcome.fates, owners, strict=True):
            if fate.how == "handler" and fate.letter is not None:
                receipt.handlers.append(owner.title)
                self._handled.take(owner, taken, fate.letter)
            elif fate.how == "begun":
                self._set_off(receipt, taken, fate)
                continue
            elif fate.how == "run":
                receipt.run_ids.append(fate.run or "")
                self.wake(fate.run or "")
            elif fate.how == "kept":
                receipt.kept = True
            _unbegun(taken)

    def _repeated(self, receipt: Receipt, owners: list[Any]) -> None:
        """What became of an event whose first commit was not answered."""
        for owner, taken in owners:
            row = self.store.run(taken.id) if hasattr(taken, "journal") else None
            if row is not None:
                fate = Fate("begun", row.id, None, Hold(row.n, row.fence))
                self._set_off(receipt, taken, fate)
                continue
            _unbegun(taken)
            if isinstance(owner, type):
                receipt.kept = True  # or in the inbox of a run, which is found
            else:
                receipt.handlers.append(owner.title)
        self._handled.look_again()
        if self._woken is not None and self._soon is not None:
            self._soon(self._woken.set)

    def _set_off(self, receipt: Receipt, run: Run, fate: Fate) -> None:
        receipt.runs.append(run)
        receipt.run_ids.append(run.id)
        self._live[run.id] = run
        assert fate.hold is not None  # noqa: S101 - a begun run is held
        self._put(partial(self._begun, run, fate.hold))

    def _put(self, job: Callable[[], Awaitable[None]]) -> None:
        """Have a job done; a store that fails under it ends no other one."""

        async def guarded() -> None:
            try:
                await job()
            except StoreError as error:
                signals.log().error("the bus had to leave off: %s", error)

        self._shop.put(guarded)

    async def _begun(self, run: Run, hold: Hold) -> None:
        assert run.journal is not None  # noqa: S101 - begun in a store
        run.journal.began(run, hold)
        try:
            run.journal.collect(run)
        except StoreError as error:  # what came already is found at the next look
            signals.log().error("the inbox of %r was not read: %s", run, error)
        await self._drive(run)

    def begin_scheduled(
        self, flow: type, step: str, time: datetime, run_id: str
    ) -> None:
        """Begin a run by a schedule; blocks until it is stored.

        Raises:
            RunExistsError: it was begun before, here or elsewhere.
        """
        run, hold = stored_run(flow, step, time, run_id, self.store)
        self._live[run.id] = run
        self._put(partial(self._begun, run, hold))

    def wake(self, run: str) -> None:
        """Have a run look at its inbox and its times, here and soon."""
        with self._lock:
            live = self._live.get(run)
            if live is not None and live.journal is not None:
                live.pending.append(partial(live.journal.collect, live))
        if live is not None:
            live.rest(resting=False)
            hurry = live.hurry
            if hurry is not None:
                hurry()
            return
        moved = presence_in(self.store).moving.get(run)
        if moved is not None and moved.active:  # by a kickoff, or as a called run
            moved.rest(resting=False)
            moved.post(partial(moved.journal.collect, moved))
            return
        if run not in self._waking:
            self._waking.add(run)
            self._put(partial(self._wake, run))

    async def _wake(self, run_id: str) -> None:
        try:
            run = self._taken_up(run_id)
        except RunError as error:  # somebody else moves it, or its class is gone
            signals.log().info("run %s was not woken: %s", run_id, error)
            return
        except FlowkitError as error:
            signals.log().error("run %s could not be woken: %s", run_id, error)
            return
        finally:
            self._waking.discard(run_id)
        await self._drive(run)

    def _taken_up(self, run_id: str) -> Run:
        with self._lock:
            run = self._warm.pop(run_id, None)
        if run is not None and run.journal is not None and run.journal.released:
            run.journal.acquire(run)
            if run.children is not None:
                run.children.stir()
            expire(run, now())
        else:
            row = self.store.run(run_id)
            if row is None:
                msg = f"There is no run {run_id!r} in {self.store.url}."
                raise RunError(msg)
            run = load(made(class_for(row)), self.store, row)
        self._live[run_id] = run
        return run

    async def _drive(self, run: Run) -> None:
        from flowkit.runtime.runner import drive

        run.at_rest = self._shop.rests
        try:
            while True:
                if run.admission is not None:
                    run.admission.on_bus(self._shop.aside)
                await drive(run)
                with self._lock:  # else a letter could come to nobody
                    if run.over or not run.pending:
                        self._let_go(run)
                        break
        except FlowkitError as error:
            signals.log().error("%r stopped: %s", run, error, exc_info=error)
        finally:
            with self._lock:
                self._live.pop(run.id, None)
        if run.lost is not None:
            signals.log().error("%r stopped here: %s", run, run.lost)
        elif (failure := run.failure) is not None:
            signals.log().error("%r failed", run, exc_info=failure)
        elif not run.over and self.store.letters(run.id):
            self.wake(run.id)  # one came while it was let go

    def _let_go(self, run: Run) -> None:
        self._live.pop(run.id, None)
        if not run.over and run.lost is None:
            self._warm[run.id] = run
            if len(self._warm) > WARM:
                self._warm.popitem(last=False)

    async def patrol(self) -> None:
        """Go on with runs that are due, that others left, or that have mail."""
        self._soon = loop_caller()
        try:
            while True:
                self._woken = anyio.Event()
                await wait_until(self._look(), self._woken, self._soon)
        finally:
            if self._deaf is not None:
                self._deaf()

    def let_go(self) -> None:
        """The bus ends: runs that wait here are left to whoever comes next."""
        for run in list(self._live.values()):
            if run.resting:
                run.post(partial(cut_off, run, "the bus was closed"))

    def _names(self) -> list[str]:
        return [flow_name(flow) for flow in self._bus.flows]

    def _look(self) -> float:
        """Look at the store; when to do so next."""
        until = now() + POLL
        try:
            if not self._listens:
                self._deaf = self.store.listen(self._heard)
                self._listens = True
            gone = presence_in(self.store).gone()
            found = self.store.claimable(now(), self._names(), dead=gone)
            for run in [*found, *stirring(self.store, self._names(), gone)]:
                if run not in self._live:
                    self.wake(run)
            # Runs that rest here are ours and so not claimable, though another
            # process may have handed them a letter.
            for live in [each for each in self._live.values() if each.resting]:
                if self.store.letters(live.id):
                    self.wake(live.id)
            self.dead.retry()
            self._handled.finish()
            self._handled.recover()
            self._forget()
            due = self.store.next_due(self._names())
        except StoreError as error:
            signals.log().error("the bus could not look at its store: %s", error)
            return until
        return until if due is None else min(until, max(due, now() + 0.001))

    def _forget(self) -> None:
        at = now()
        if at - self._forgot < FORGET:
            return
        reason = "kept for a later wait that did not come in time"
        dropped = self.store.forget(
            events_before=at - self._keep_ids,
            kept_before=at - self._bus.keep_for,
            most_kept=self._keep,
            at=at,
            reason=reason,
        )
        self._forgot = at
        for letter in dropped:
            gone = Rejection(letter.name, letter.event, "dropped", reason)
            self._bus.report(gone, letter.payload, letter.key)

    def _heard(self, run: str) -> None:
        """From another process, in a thread of the store."""
        if self._soon is not None:
            try:
                self._soon(partial(self.wake, run))
            except RuntimeError:  # the loop is gone
                return

    def open_runs(self) -> list[Run]:
        """Runs that are at work here, oldest first."""
        return list(self._live.values())
