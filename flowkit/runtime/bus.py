"""``EventBus``: outside events to flows and handlers.

An event goes to every subscriber once: each registered flow class, each handler.
Within a class, an open run of the same key takes it before a new run is begun;
what no run takes yet is kept for a later one. Whatever is wrong with an event, or
with one subscriber, is reported by name and stops nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from flowkit.core.records import EventReceived
from flowkit.errors import FlowkitError, InputError, RunError
from flowkit.journal.inbox import KeptEvent
from flowkit.journal.kept import MemoryInbox
from flowkit.journal.rows import Letter
from flowkit.runtime import signals
from flowkit.runtime.calls import validated
from flowkit.runtime.clock import now
from flowkit.runtime.correlation import (
    OpenRuns,
    carried_key,
    event_leaves,
    only_transient,
)
from flowkit.runtime.handlers import Handler
from flowkit.runtime.inbox import accepted, fitting, listeners
from flowkit.runtime.launch import known, new_run, payload_for, required
from flowkit.runtime.loops import in_running_loop, loop_caller
from flowkit.runtime.receipt import Receipt, Rejection
from flowkit.runtime.work import Workshop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from typing import Self

    from flowkit.core.net import Node
    from flowkit.journal.inbox import Inbox
    from flowkit.journal.rows import Dead
    from flowkit.journal.writer import Ticket
    from flowkit.runtime.post import Post
    from flowkit.runtime.run import Run

__all__ = ["EventBus"]

F = TypeVar("F", bound="Callable[..., Any]")
_LOST = "It is transient, and no run could take it at once."


class EventBus:
    """Takes events from outside and hands them to flows and handlers.

    Used as it is, it works in a background thread. ``async with bus:`` works in the
    running event loop instead and finishes what is open at the end of the block.

    Args:
        backend: event loop of the background thread, ``"asyncio"`` or ``"trio"``.
        limit: runs and handlers at work at a time.
        keep: most events kept for a later wait; the oldest makes room.
        keep_for: seconds an event is kept.
        store: where events and runs are kept: a URL such as ``"sqlite:///app.db"``,
            or a store. Then an accepted event survives the process, and every bus on
            that store goes on with the runs that wait in it. None keeps them in
            memory, unless ``FLOWKIT_STORE`` is set.
        keep_ids: seconds for which an event's id counts once, with a store.
    """

    def __init__(
        self,
        *,
        backend: str = "asyncio",
        limit: int = 256,
        keep: int = 10_000,
        keep_for: float = 7 * 86_400,
        store: Any = None,
        keep_ids: float = 30 * 86_400,
    ) -> None:
        self.keep_for = keep_for
        self.rejected: deque[Rejection] = deque(maxlen=1_000)
        self._inbox: Inbox = MemoryInbox(keep)
        self._shop = Workshop(backend, limit)
        self._flows: list[type] = []
        self._handlers: dict[str, list[Handler]] = {}
        self._models: dict[str, Any] = {}
        self._open = OpenRuns()
        self._busy: set[Run] = set()
        self._lock = threading.RLock()
        self._post: Post | None = None
        place = store or environ.get("FLOWKIT_STORE")
        if place:
            from flowkit.runtime.opening import store_for
            from flowkit.runtime.post import Post

            opened = store_for(place)
            self._post = Post(self, opened, self._shop, keep=keep, keep_ids=keep_ids)
            self._shop.beside = self._post.patrol
            self._shop.let_go = self._post.let_go

    @property
    def flows(self) -> tuple[type, ...]:
        """The registered flow classes."""
        return tuple(self._flows)

    @property
    def handlers(self) -> dict[str, list[Handler]]:
        """The handlers by the name of their event."""
        return self._handlers

    @property
    def dead(self) -> list[Dead]:
        """Events that were refused or failed, oldest first; needs a store."""
        return [] if self._post is None else self._post.dead(1_000)

    def requeue(self, number: int) -> Receipt:
        """Take a dead letter out and send it once more.

        Raises:
            RunError: it is not there, or the bus has no store.
        """
        if self._post is None:
            msg = "This bus has no store, and so no dead letters: EventBus(store=..)."
            raise RunError(msg)
        return self._post.requeue(number)

    def register(self, *flows: Any) -> None:
        """Let these flow classes begin runs, by events and schedules, and take events.

        Raises:
            TypeError: what is given is no flow class.
        """
        for flow in flows:
            if not isinstance(flow, type) or flow not in known:
                msg = f"EventBus.register takes Flow classes, not {flow!r}."
                raise TypeError(msg)
            if flow not in self._flows:
                self._flows.append(flow)
                known[flow].buses.append(self)
                self._tend_schedules(flow)

    def _tend_schedules(self, flow: type) -> None:
        if any(step.schedule for step in known[flow].compiled.definition.steps):
            from flowkit.runtime.scheduler import Scheduler, run_schedules

            post = self._post
            scheduler = Scheduler([flow], None if post is None else post.store)
            begin = self._begin_scheduled if post is None else post.begin_scheduled
            self._shop.tend(partial(run_schedules, scheduler, begin))

    def _begin_scheduled(
        self, flow: type, step: str, time: datetime, run_id: str
    ) -> None:
        from flowkit.runtime.scheduler import scheduled_run

        run, begin = scheduled_run(flow, step, time, run_id)
        with self._lock:
            self._schedule(run, begin)

    def declare(self, name: str, model: Any) -> None:
        """Validate the payload of every event of this name against a type."""
        self._models[name] = model

    def on(self, name: str, handler: F | None = None) -> Any:
        """Call a function, plain or async, for every event of this name.

        As a decorator or with the function given. Its first parameter gets the
        payload, validated against the parameter's type; it may have none.
        """

        def add(function: F) -> F:
            self._handlers.setdefault(name, []).append(Handler(name, function))
            return function

        return add if handler is None else add(handler)

    def off(self, name: str, handler: Callable[..., Any] | None = None) -> bool:
        """Take a handler away, or all of that name; whether there was one."""
        before = self._handlers.get(name, [])
        left = [
            each for each in before if handler is not None and each.function != handler
        ]
        self._handlers[name] = left
        return len(left) < len(before)

    def send(
        self,
        name: str,
        payload: Any = None,
        *,
        key: str | None = None,
        id: str | None = None,
    ) -> Receipt:
        """Hand in an event; returns once it is accepted, or refused with a reason.

        Never raises for what is wrong with the event: the receipt says it, is false,
        and the signal ``event_rejected`` and a log line tell it. The work itself
        goes on behind; :meth:`drain` waits for it.

        Args:
            name: of the event.
            payload: anything; models are validated where a subscriber declares one.
            key: correlates the event with a run; the oldest open run wins.
            id: counted once, however often it is sent.
        """
        text = None if key is None else str(key)
        if self._post is None:
            with self._lock:
                receipt = self._accept(name, payload, text, id)
        else:
            receipt, ticket, owners = self._hand_in(name, payload, text, id)
            if ticket is not None:
                outcome = self._post.writer.wait(ticket)
                self._post.accepted(receipt, outcome, owners)
                self._conclude(receipt, payload)
        self._tell_of(receipt, payload)
        return receipt

    def _tell_of(self, receipt: Receipt, payload: Any) -> None:
        name, key, id_ = receipt.name, receipt.key, receipt.id
        if receipt.status == "accepted":
            if signals.event_accepted.receivers:
                self._tell(signals.event_accepted, name, payload, key, id_)
        elif receipt.status != "duplicate":
            self._reject(receipt, payload)

    async def send_async(
        self,
        name: str,
        payload: Any = None,
        *,
        key: str | None = None,
        id: str | None = None,
    ) -> Receipt:
        """As :meth:`send`, and lets other tasks run before it returns."""
        from anyio.lowlevel import checkpoint

        if self._post is None:
            receipt = self.send(name, payload, key=key, id=id)
            await checkpoint()
            return receipt
        text = None if key is None else str(key)
        receipt, ticket, owners = self._hand_in(name, payload, text, id)
        if ticket is not None:
            written = anyio.Event()
            self._post.writer.call(ticket, loop_caller(), written.set)
            await written.wait()
            self._post.accepted(receipt, ticket.result(), owners)
            self._conclude(receipt, payload)
        self._tell_of(receipt, payload)
        return receipt

    def drain(self) -> Awaitable[None] | None:
        """Wait for all work at hand: ``await bus.drain()``, or blocking elsewhere."""
        if in_running_loop():
            return self._shop.wait_async()
        self._shop.wait()
        return None

    @property
    def open_runs(self) -> list[Run]:
        """Runs that are not over, oldest first."""
        if self._post is not None:
            return self._post.open_runs()
        return self._open.runs()

    @property
    def kept(self) -> int:
        """Events kept for a later wait."""
        if self._post is not None:
            kept = self._post.store.kept()
            return sum(not each.subscriber.startswith("handler:") for each in kept)
        return self._inbox.kept()

    def close(self) -> None:
        """Finish what is open and end the background thread; blocks."""
        self._shop.close()
        self._unregister()

    def _unregister(self) -> None:
        for flow in self._flows:
            known[flow].buses.remove(self)
        self._flows.clear()

    def serve(self) -> None:
        """Work until interrupted: take up what waits in the store; blocks.

        What a process with a store does that sends nothing itself. Ctrl-C ends it;
        what is open goes on in the next process.
        """
        with self:
            threading.Event().wait()

    def __enter__(self) -> Self:
        if self._post is not None:
            self._shop.begin()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self._shop.enter()
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._shop.leave(*error)
        finally:
            self._unregister()

    def _hand_in(
        self, name: str, payload: Any, key: str | None, id: str | None
    ) -> tuple[Receipt, Ticket | None, list[Any]]:
        """With a store: check an event and hand it to the store's writer."""
        assert self._post is not None  # noqa: S101 - only with a store
        id = None if id is None else str(id)
        receipt = Receipt(name, key, id)
        fault = _odd(name, id)
        if fault:
            return receipt.refuse("invalid", fault), None, []
        try:
            payload = validated(payload, self._models.get(name), f"Event {name!r}")
        except InputError as error:
            return receipt.refuse("invalid", str(error)), None, []
        except Exception as error:  # noqa: BLE001 - a validator of the model raised
            reason = f"Event {name!r} could not be validated: {error!r}"
            return receipt.refuse("invalid", reason), None, []
        handlers = self._handlers.get(name, [])
        flows = [flow for flow in self._flows if self._concerns(flow, name)]
        if not handlers and not flows:
            return receipt.refuse("unknown", self._unknown(name)), None, []
        found, owners = self._post.deliveries(receipt, payload, flows, handlers)
        if not found:
            reason = "; ".join(receipt.refusals)
            receipt.refuse("invalid" if reason else "dropped", reason or _LOST)
            return receipt, None, []
        return receipt, self._post.accept(receipt, found), owners

    def _concerns(self, flow: type, name: str) -> bool:
        """Whether a flow's graph or the body of a step names such an event."""
        return _takes(flow, name) or name in known[flow].waited_names

    def _conclude(self, receipt: Receipt, payload: Any) -> None:
        """Say who refused it although others took it, or that nobody could."""
        if receipt.status == "duplicate":
            return
        for reason in receipt.refusals:
            gone = Rejection(receipt.name, receipt.id, "invalid", reason)
            self.report(gone, payload, receipt.key)
        if not receipt.taken:
            receipt.refuse("dropped", _LOST)

    def _accept(
        self,
        name: str,
        payload: Any,
        key: str | None,
        id: str | None,
    ) -> Receipt:
        receipt = Receipt(name, key, id)
        fault = _odd(name, id)
        if fault:
            return receipt.refuse("invalid", fault)
        if id is not None and not self._inbox.is_new(id):
            receipt.status = "duplicate"
            return receipt
        try:
            payload = validated(payload, self._models.get(name), f"Event {name!r}")
        except InputError as error:
            return receipt.refuse("invalid", str(error))
        except Exception as error:  # noqa: BLE001 - a validator of the model raised
            reason = f"Event {name!r} could not be validated: {error!r}"
            return receipt.refuse("invalid", reason)
        return self._deliver(receipt, payload)

    def _deliver(self, receipt: Receipt, payload: Any) -> Receipt:
        """To every subscriber once; one that refuses it stops no other."""
        name = receipt.name
        handlers = self._handlers.get(name, [])
        flows = [flow for flow in self._flows if _takes(flow, name)]
        if not handlers and not flows:
            return receipt.refuse("unknown", self._unknown(name))
        for flow in flows:
            self._to_flow(flow, receipt, payload)
        for handler in handlers:
            self._to_handler(handler, receipt, payload)
        if receipt.refusals and not receipt.taken:
            return receipt.refuse("invalid", "; ".join(receipt.refusals))
        for reason in receipt.refusals:
            gone = Rejection(name, receipt.id, "invalid", reason)
            self.report(gone, payload, receipt.key)
        if not receipt.taken:
            return receipt.refuse("dropped", _LOST)
        if receipt.id is not None:
            self._inbox.remember(receipt.id)
        return receipt

    def _unknown(self, name: str) -> str:
        from flowkit.core.validate import closest

        names = set(self._handlers)
        for flow in self._flows:
            for begins in (True, False):
                leaves = event_leaves(known[flow], begins=begins)
                names.update(leaf.name for leaf in leaves)
        guess = closest(name, frozenset(names))
        hint = f"Did you mean {guess!r}?" if guess else "Register a flow or a handler."
        return f"No flow and no handler takes the event {name!r}. {hint}"

    def _to_flow(self, flow: type, receipt: Receipt, payload: Any) -> None:
        kind = known[flow]
        name = receipt.name
        try:
            key = receipt.key or carried_key(kind, name, payload)
            for run in self._open.find(flow, name, key):
                if listeners(run, name) and not _lost(run, name):
                    taken, shares = accepted(run, name, payload)
                    trace = receipt.traceparent
                    run.event(name, taken, key, receipt.id, shares, trace)
                    receipt.runs.append(run)
                    self._schedule(run)
                    return
            starts = kind.compiled.net.event_starts(name)
            if starts:
                self._begin(flow, starts, receipt, payload, key)
            elif any(
                leaf.name == name and not leaf.transient
                for leaf in event_leaves(kind, begins=False)
            ):
                self._keep(flow, receipt, payload, key)
        except InputError as error:
            receipt.refusals.append(str(error))
        except Exception as error:  # noqa: BLE001 - one class must not stop the bus
            receipt.refusals.append(f"{flow.__name__} could not begin: {error!r}")

    def _begin(
        self,
        flow: type,
        starts: list[Node],
        receipt: Receipt,
        payload: Any,
        key: str | None,
    ) -> None:
        payloads = {node.name: payload_for(flow, node, payload) for node in starts}
        made = flow()
        run = new_run(made, required(made, payload))
        run.key = key
        receipt.runs.append(run)
        self._schedule(run, lambda: run.begin(receipt.name, payloads))

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
        dropped = self._inbox.keep(_subscriber(flow), event)
        receipt.kept = True
        if dropped is not None:
            reason = "kept for a later wait, but newer events needed the room"
            gone = Rejection(dropped.name, dropped.id, "dropped", reason)
            self.report(gone, dropped.payload, dropped.key)

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
            await handler.call(self, taken)

        self._shop.put(call)

    def _schedule(self, run: Run, begin: Callable[[], None] | None = None) -> None:
        fresh = run not in self._busy
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
                await drive(run)
                with self._lock:
                    if run.over:
                        self._hand_on(run)
                    if not run.pending:
                        self._busy.discard(run)
                        return
        except FlowkitError as error:
            signals.log().error("%r stopped: %s", run, error, exc_info=error)
        finally:
            with self._lock:
                self._busy.discard(run)

    def _hand_on(self, run: Run) -> None:
        """Events that reached a run when it had just ended go to the next one."""
        self._open.drop(run)
        left = [each for each in run.pending if isinstance(each, EventReceived)]
        run.pending.clear()
        for each in left:
            receipt = Receipt(each.name, each.key, each.id)
            receipt.traceparent = each.traceparent
            self._to_flow(type(run.flow), receipt, each.payload)
            for reason in receipt.refusals:
                gone = Rejection(each.name, each.id, "invalid", reason)
                self.report(gone, each.payload, each.key)

    def watch(self, run: Run) -> None:
        """A run waits or is over: what was kept for it is handed to it."""
        with self._lock:
            if run.over:
                self._open.drop(run)
                if (error := run.failure) is not None:
                    signals.log().error("%r failed", run, exc_info=error)
                return
            self._index(run)

    def takes_on(self, run: Run | None, run_id: str, store: Any) -> bool:
        """Have a waiting run look at its inbox here, if it is kept where we are."""
        if self._post is not None:
            if self._post.store is store:
                self._post.wake(run_id)
            return self._post.store is store
        if run is None or store is not None:
            return False
        with self._lock:
            self._schedule(run)
        return True

    def _index(self, run: Run) -> None:
        cls = type(run.flow)
        kind = known[cls]
        found = False
        for _, name, key in self._open.put(run, kind):
            since = now() - self.keep_for
            while event := self._inbox.take(_subscriber(cls), name, key, since):
                taken, shares = accepted(run, name, event.payload)
                run.event(name, taken, key, event.id, shares, event.traceparent)
                found = True
        if found and run not in self._busy:
            self._busy.add(run)
            self._shop.put(lambda: self._drive(run, None))

    def _reject(self, receipt: Receipt, payload: Any) -> None:
        name, id_ = receipt.name, receipt.id
        gone = Rejection(name, id_, receipt.status, receipt.reason)
        self.report(gone, payload, receipt.key)

    def report(self, gone: Rejection, payload: Any, key: str | None) -> None:
        """Note an event that was refused, and tell of it."""
        self.rejected.append(gone)
        if self._post is not None and gone.status in {"unknown", "invalid"}:
            letter = Letter(0, "", gone.name, key, gone.id, payload, 0.0)
            self._post.bury(letter, gone.reason, gone.status)
        signals.log().warning("event %r refused: %s", gone.name, gone.reason)
        if signals.event_rejected.receivers:
            self._tell(
                signals.event_rejected,
                gone.name,
                payload,
                key,
                gone.id,
                reason=gone.reason,
            )

    def _tell(
        self,
        signal: Any,
        name: str,
        payload: Any,
        key: str | None,
        id: str | None,
        **more: Any,
    ) -> None:
        signals.tell(signal, self, name=name, payload=payload, key=key, id=id, **more)


def _subscriber(flow: type) -> str:
    return f"{flow.__module__}.{flow.__qualname__}"


def _odd(name: Any, id: Any) -> str:
    """One sentence on an envelope that can't be one, else ""."""
    if not isinstance(name, str):
        return f"An event's name is text, not {name!r}."
    if id is not None and not isinstance(id, str | int):
        return f"An event's id is text, not {id!r}."
    return ""


def _takes(flow: type, name: str) -> bool:
    kind = known[flow]
    return any(
        leaf.name == name
        for begins in (True, False)
        for leaf in event_leaves(kind, begins=begins)
    )


def _lost(run: Run, name: str) -> bool:
    """Whether every listener of a transient event is busy in this run, or will be."""
    if not only_transient(known[type(run.flow)], name):
        return False
    if any(type(each) is EventReceived and each.name == name for each in run.pending):
        return True
    busy = {firing.node for firing in list(run.marking.live.values())}
    return all(node in busy for node in listeners(run, name))
