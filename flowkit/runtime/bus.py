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

from flowkit.errors import InputError, RunError
from flowkit.runtime import signals
from flowkit.runtime.addressing import odd, takes, unknown
from flowkit.runtime.calls import validated
from flowkit.runtime.handlers import Handler
from flowkit.runtime.kinds import known
from flowkit.runtime.local_post import LocalPost
from flowkit.runtime.loops import in_running_loop, loop_caller
from flowkit.runtime.receipt import LOST, Receipt, Rejection
from flowkit.runtime.work import Workshop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from flowkit.journal.rows import Dead
    from flowkit.journal.writer import Ticket
    from flowkit.runtime.post import Post
    from flowkit.runtime.run import Run

__all__ = ["EventBus"]

F = TypeVar("F", bound="Callable[..., Any]")


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
        self._shop = Workshop(backend, limit)
        self._local = LocalPost(self, self._shop, keep)
        self._flows: list[type] = []
        self._handlers: dict[str, list[Handler]] = {}
        self._models: dict[str, Any] = {}
        self._post: Post | None = None
        self._shop.let_go = self._local.let_go
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
        """All events that were refused or failed, oldest first; needs a store."""
        return [] if self._post is None else self._post.dead.listed()

    def requeue(self, number: int) -> Receipt:
        """Send a dead letter once more, and take it out if somebody could take it.

        The letter of one subscriber goes to that one alone: the others have had the
        event. It is taken out last: if the process dies before that, it is there
        still, and the event counts once however often it is sent again.

        Raises:
            NotFoundError: it is not there.
            RunError: the bus has no store, or not the letter's subscriber.
            StoreError: its payload cannot be read.
        """
        if self._post is None:
            msg = "This bus has no store, and so no dead letters: EventBus(store=..)."
            raise RunError(msg)
        from flowkit.journal.codec import decode  # loaded already, with the store

        dead = self._post.dead
        letter = dead.found(number)
        if letter.subscriber and not any(
            self._subscribers(letter.name, letter.subscriber)
        ):
            msg = (
                f"Dead letter {number} of event {letter.name!r} is for "
                f"{letter.subscriber}, which this bus does not have. Give it to "
                f"bus.register() or bus.on() and requeue the letter again: it stays."
            )
            raise RunError(msg)
        payload = decode(letter.payload)
        receipt = Receipt(letter.name, letter.key, f"dead letter {number}")
        receipt.only = letter.subscriber
        self._send(receipt, payload)
        if receipt.status not in {"full", "shed", "dropped"}:  # nobody has it: it stays
            dead.drop(number)
        return receipt

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

            store, begin = None, self._local.begin_scheduled
            if self._post is not None:
                store, begin = self._post.store, self._post.begin_scheduled
            scheduler = Scheduler([flow], store)
            self._shop.tend(partial(run_schedules, scheduler, begin))

    def declare(self, name: str, model: Any) -> None:
        """Validate the payload of every event of this name against a type."""
        self._models[name] = model

    def on(self, name: str, handler: F | None = None) -> Any:
        """Call a function, plain or async, for every event of this name.

        As a decorator or with the function given. Its first parameter gets the
        payload, validated against the parameter's type; it may have none.
        """

        def add(function: F) -> F:
            handlers = self._handlers.setdefault(name, [])
            taken = {each.subscriber for each in handlers}
            handlers.append(Handler(name, function, taken))
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
        return self._send(Receipt(name, None if key is None else str(key), id), payload)

    def _send(self, receipt: Receipt, payload: Any) -> Receipt:
        if self._post is None:
            with self._local.lock:
                self._accept(receipt, payload)
        else:
            ticket, owners = self._hand_in(receipt, payload)
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
        receipt = Receipt(name, None if key is None else str(key), id)
        ticket, owners = self._hand_in(receipt, payload)
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
        return self._local.open.runs()

    @property
    def kept(self) -> int:
        """Events kept for a later wait."""
        if self._post is not None:
            kept = self._post.store.kept()
            return sum(not each.subscriber.startswith("handler:") for each in kept)
        return self._local.inbox.kept()

    def close(self) -> None:
        """Finish what is open and end the background thread; blocks."""
        self._shop.close()
        self._unregister()

    def _unregister(self) -> None:
        if self._post is not None:
            self._post.dead.close()
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

    def _accept(self, receipt: Receipt, payload: Any) -> Receipt:
        """Without a store: check an event and hand it to the runs and handlers."""
        fault = odd(receipt.name, receipt.id)
        if fault:
            return receipt.refuse("invalid", fault)
        if receipt.id is not None and not self._local.inbox.is_new(receipt.id):
            receipt.status = "duplicate"
            return receipt
        valid, payload = self._validated(receipt, payload)
        if not valid:
            return receipt
        name = receipt.name
        handlers = self._handlers.get(name, [])
        flows = [flow for flow in self._flows if self._concerns(flow, name)]
        if not handlers and not flows:
            reason = unknown(self._flows, self._handlers, name)
            return receipt.refuse("unknown", reason)
        return self._local.deliver(receipt, payload, flows, handlers)

    def _hand_in(
        self, receipt: Receipt, payload: Any
    ) -> tuple[Ticket | None, list[Any]]:
        """With a store: check an event and hand it to the store's writer."""
        assert self._post is not None  # noqa: S101 - only with a store
        name = receipt.name
        if receipt.id is not None:
            receipt.id = str(receipt.id)
        fault = odd(name, receipt.id)
        if fault:
            receipt.refuse("invalid", fault)
            return None, []
        valid, payload = self._validated(receipt, payload)
        if not valid:
            return None, []
        flows, handlers = self._subscribers(name, receipt.only)
        if not handlers and not flows:
            receipt.refuse("unknown", unknown(self._flows, self._handlers, name))
            return None, []
        found, owners = self._post.deliveries(receipt, payload, flows, handlers)
        if not found:
            reason = "; ".join(receipt.refusals)
            if receipt.status == "accepted":
                receipt.refuse("invalid" if reason else "dropped", reason or LOST)
            return None, []
        return self._post.accept(receipt, found), owners

    def _validated(self, receipt: Receipt, payload: Any) -> tuple[bool, Any]:
        """Whether an event's payload fits its declared type, and what it is then."""
        place = f"Event {receipt.name!r}"
        try:
            return True, validated(payload, self._models.get(receipt.name), place)
        except InputError as error:
            receipt.refuse("invalid", str(error))
        except Exception as error:  # noqa: BLE001 - a validator of the model raised
            reason = f"{place} could not be validated: {error!r}"
            receipt.refuse("invalid", reason)
        return False, None

    def _subscribers(self, name: str, only: str) -> tuple[list[type], list[Handler]]:
        """Who gets such an event: all that name it, or the one of that name."""
        handlers = self._handlers.get(name, [])
        flows = [flow for flow in self._flows if self._concerns(flow, name)]
        if only:
            from flowkit.runtime.durable import flow_name  # loaded already: a store's

            handlers = [each for each in handlers if each.subscriber == only]
            flows = [flow for flow in flows if flow_name(flow) == only]
        return flows, handlers

    def _concerns(self, flow: type, name: str) -> bool:
        """Whether a flow's graph or the body of a step names such an event."""
        return takes(flow, name) or name in known[flow].waited_names

    def _conclude(self, receipt: Receipt, payload: Any) -> None:
        """Say who refused it although others took it, or that nobody could."""
        if receipt.status == "duplicate":
            return
        for who, reason in zip(receipt.refusers, receipt.refusals, strict=True):
            gone = Rejection(receipt.name, receipt.id, "invalid", reason)
            self.report(gone, payload, receipt.key, who)
        if not receipt.taken:
            receipt.refuse("dropped", LOST)

    def takes_on(self, run: Run | None, run_id: str, store: Any) -> bool:
        """Have a waiting run look at its inbox here, if it is kept where we are."""
        if self._post is not None:
            if self._post.store is store:
                self._post.wake(run_id)
            return self._post.store is store
        if run is None or store is not None:
            return False
        with self._local.lock:
            self._local.schedule(run)
        return True

    def watch(self, run: Run) -> None:
        """A run waits or is over: what was kept for it is handed to it."""
        self._local.watch(run)

    def asked(self, run: Run) -> None:
        """A step of a run in memory waits: what was kept for it is handed to it."""
        self._local.asked(run)

    def _reject(self, receipt: Receipt, payload: Any) -> None:
        name, id_ = receipt.name, receipt.id
        gone = Rejection(name, id_, receipt.status, receipt.reason)
        self.report(gone, payload, receipt.key, receipt.only)

    def report(
        self, gone: Rejection, payload: Any, key: str | None, subscriber: str = ""
    ) -> None:
        """Note an event that was refused, by one subscriber or by all; tell of it."""
        self.rejected.append(gone)
        if self._post is not None and gone.status in {"unknown", "invalid"}:
            self._post.dead.refused(gone, payload, key, subscriber)
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
