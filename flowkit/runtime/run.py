"""One run in this process: its records and its commits.

The order of every move is fixed: decide, append, act, signal. What moves the run,
a worker on an event loop or a plain loop in the caller's thread, is in
:mod:`flowkit.runtime.runner` and :mod:`flowkit.runtime.blocking`; both use the
verbs here and those beside them: what fails (:mod:`~flowkit.runtime.failing`), starts
again (:mod:`~flowkit.runtime.restarts`), is due (:mod:`~flowkit.runtime.dues`) or ends
early (:mod:`~flowkit.runtime.endings`).
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from flowkit.core.commands import Cancel, Firing
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.records import (
    CallEnded,
    EventReceived,
    RunCancelled,
    RunStarted,
    StepAnswered,
    StepFinished,
)
from flowkit.errors import RouteError
from flowkit.runtime import inherited, signals, trail
from flowkit.runtime.calls import Again, Reviewed, labels_of, undeclared
from flowkit.runtime.clock import now
from flowkit.runtime.descriptors import lazy
from flowkit.runtime.failing import failed, late, note, unkept
from flowkit.runtime.handle import Handle
from flowkit.runtime.orders import ORDERS, cancel
from flowkit.runtime.settling import finished, rested

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import Context

    from flowkit.core.commands import Command
    from flowkit.core.net import Net
    from flowkit.core.records import Record, StepAsked
    from flowkit.define.compiler import Compiled
    from flowkit.runtime.calls import Call
    from flowkit.runtime.persisting import Keeper
    from flowkit.runtime.scope import Scope
    from flowkit.runtime.state import StateBox
    from flowkit.runtime.timing import Alarm, Watch

__all__ = ["Run"]

_NOTHING: tuple[
    tuple[str, ...], tuple[str, ...], tuple[tuple[str, Any], ...], Any, bool
] = (), (), (), None, False
_new = tuple.__new__  # for a record of every step: half of what its class costs


class Run(Handle):
    """One execution of a flow.

    Attributes:
        flow: the flow object it runs on.
        key: correlation key, if an event began it with one.
        inputs: what it was kicked off with.
        keeper: saves states, None if nothing of this flow is persisted.
        pauses: what waits for a person, by firing.
        saved: how many records were there when a pause was saved last.
        first: makes the marking before the first record, None for an empty one.
        failures: exceptions of failed steps that ended the run, first one first.
        stuck: one sentence for each join that could not fire.
        not_undone: steps that a compensation could not undo.
        records: what happened, in order.
        admission: its place among the runs of its flow, None if any number may run.
        journal: keeps it in a store; None for a run in memory.
        held: moves that are decided and not durable yet.
        answers: what a step's questions were answered, by firing and position.
        parked: who waits in memory for an answer.
        underway: steps that another one has called and that run now, by firing and
            position; whether their beginning is recorded.
        claim: gives a question its position, if a function counts them itself.
        bars: refuses a verb where the step is called twice at once, or elsewhere.
        gone: a function that waits gives its place in memory up: it calls no more.
        watches: attempts whose time is limited, by firing.
        lookout: looks after them.
        questions: what a step's body has asked, by the same.
        asked: how many questions a body in memory has asked, by firing.
        scopes: what cancels an async step at work, by firing.
        hurry: has whoever moves the run look at it at once; None if nobody can.
        settle: waits until all held moves are durable; None where nothing has to.
        home: the thread that moves the run in a plain loop, None elsewhere.
        resting: told to be at rest.
        lost: why its records could not be written any more.
        reason: what was said where it was ended early.
        begun: when the first attempt of such a firing began.
        starts: how often a firing that is not done was started in vain.
        given_up: threads whose step does not count any more.
        patience: seconds that a step may wait in memory.
        limit: seconds it may take.
        until: when it must be over, None if it may take as long as it likes.
        lifetime: seconds after which a stored run that waits is over.
        at_rest: told when all that goes on here is waiting, and when no more.
        caller: who waits for the end of this called run, if nobody awaits it here.
        children: the runs that steps at work have called, None if none has.
        withdrawn: this called run is cancelled because its caller gave it up.
        level: how many calls lie above this run, None if nobody has counted.
        above: the run that called this one, if it is in memory.
        emitted: what running steps have emitted, by firing.
        metered: what running steps have measured, by firing and name.
        traceparent: where its trace goes on, if it is traced; stored with it.
        acting: how many verbs of a kind the body of a firing has used so far.
        acted: what the recorded verbs of a firing came to.
        yielded: how many items of a firing are recorded.
        alarm: told when a timer is set while steps run.
        rooms: what wakes a held step if its group has room, by its firing; says
            whether it did.
        mention: tells the readers what is no record; None if there are none.
        items: what steps of a run in memory told its readers, each with the number of
            records there were.
    """

    lock: ClassVar[threading.Lock] = threading.Lock()
    """Held while somebody begins or ceases to move a run: never for long."""

    on_wait: ClassVar[list[Callable[[Run], None]]] = []
    """Told, run by run, that all that is left to do is to wait: for tests."""

    # What most runs never change is not set in each of them, unless each step asks
    # for it: Python finds what only the class has three times as slowly.
    key: str | None = None
    lost: BaseException | None = None
    home: int | None = None
    reason: str = ""
    cut: tuple[Firing, ...] = ()
    hurry: Callable[[], None] | None = None
    saved: int = 0
    settle: Callable[[], Awaitable[None]] | None = None
    limit: float | None = None
    claim: Callable[[str], int] | None = None
    bars: Callable[[str], None] | None = None
    gone: bool = False
    at_rest: Callable[[bool], None] | None = None
    caller: Any = None
    withdrawn: bool = False
    level: int | None = None
    above: Run | None = None
    mention: Callable[[Firing, str, dict[str, Any]], None] | None = None
    traceparent: str = ""
    alarm: Callable[[], None] | None = None
    lookout: Alarm | None = None

    stuck: lazy[list[str]] = lazy(list)
    not_undone: lazy[list[str]] = lazy(list)
    scopes: lazy[dict[int, Any]] = lazy(dict)
    parked: lazy[dict[tuple[int, int], Callable[[Any], None]]] = lazy(dict)
    acting: lazy[dict[tuple[int, str], int]] = lazy(dict)
    acted: lazy[dict[int, list[bool]]] = lazy(dict)
    yielded: lazy[dict[int, int]] = lazy(dict)
    rooms: lazy[dict[int, Callable[[], bool]]] = lazy(dict)
    questions: lazy[dict[tuple[int, int], StepAsked | CallEnded]] = lazy(dict)
    underway: lazy[dict[tuple[int, int], list[Any]]] = lazy(dict)
    watches: lazy[dict[int, Watch]] = lazy(dict)
    begun: lazy[dict[int, float]] = lazy(dict)
    given_up: lazy[set[int]] = lazy(set)
    starts: lazy[dict[int, int]] = lazy(dict)
    items: lazy[list[tuple[int, Any]]] = lazy(list)

    def __init__(
        self,
        flow: Any,
        root: Scope,
        compiled: Compiled,
        calls: Sequence[Call],
        inputs: dict[str, Any] | None = None,
    ) -> None:
        self.flow = flow
        self.root = root
        self.box: StateBox = root.box
        self.compiled = compiled
        self.net: Net = compiled.net
        self.calls = calls
        self.inputs = inputs
        self.marking: Marking = Marking(len(self.net.nodes))
        self.records: list[Record] = []
        self.failures: list[BaseException] = []
        self.ready: deque[Firing] = deque()
        self.pending: deque[Record | Callable[[], None]] = deque()
        self.journal: Any = None
        self.over: bool = False
        self.resting: bool = False
        self.held: Any = ()  # a journal gives a run one of its own
        self.keeper: Keeper | None = None
        self.lifetime: float | None = None
        self.children: Any = None
        self.emitted: dict[int, list[tuple[str, Any]]] | None = None
        self.metered: dict[int, dict[str, float]] | None = None
        self.asked: dict[int, int] = {}
        self.answers: dict[tuple[int, int], Any] = {}
        self.context: Context = inherited.context_of(self.net.definition.name)

    def begin(
        self,
        event: str | None,
        payloads: dict[str, Any] | None,
        step: str | None = None,
    ) -> None:
        """Record the start and make the first steps ready; ``step`` has a schedule."""
        if self.admission is not None:  # first: a refusal leaves nothing behind
            self.admission.begins(self, inherited.until.get(), refuses=step is None)
        if signals.run_begins.receivers:
            self.tell(signals.run_begins)
        if self.limit is not None or inherited.until.get() is not None:
            inherited.over_by(self, self.limit)
        try:
            self.apply(RunStarted(now(), event, payloads, step))
        except BaseException:
            if self.admission is not None:
                self.admission.leave()
            raise
        if signals.run_started.receivers:
            self.tell(signals.run_started, inputs=self.inputs)

    def apply(self, record: Record) -> None:
        """Decide on a record, keep it, and carry out what follows."""
        if self.journal is not None:
            self.journal.move(self, record)
            return
        self.records.append(record)
        self.act(decide(self.net, self.marking, record))

    def act(self, commands: Sequence[Command]) -> None:
        """Carry out what was decided."""
        for command in commands:
            if type(command) is not Firing:
                ORDERS[type(command)](self, command)
                continue
            if self.resting:
                self.rest(resting=False)
            if len(self.marking.live) > 1:
                command.driver = self.box.beside()
            self.ready.append(command)
        if "rooms" in self.__dict__:
            self.make_room()

    def make_room(self) -> None:
        """Have steps that feed a group go on if it takes more, or is no more."""
        for number, look in list(self.rooms.items()):
            if look():
                self.rooms.pop(number, None)

    def open(self, firing: Firing) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The object a step is called on, and its arguments."""
        changes = firing.driver
        if changes is None:
            root = self.root
            root.firing = firing
            firing.driver = self.box.alone()
            target = self.flow
        else:
            target = self.root.beside(firing, changes)
        if signals.step_started.receivers:
            self.tell_step(signals.step_started, firing)
        call = self.calls[firing.node.index]
        if call.none and not call.wants_trigger:
            return target, (), {}
        arguments, keywords = call.arguments(firing, self.inputs)
        return target, arguments, keywords

    def finish(  # noqa: C901, PLR0911, PLR0912 - the hot path
        self, firing: Firing, output: Any
    ) -> None:
        """Commit a firing that ended well; its result counts from here on."""
        if firing.id not in self.marking.live:
            late(self, firing, output, None)
            return
        node, changes, journal, given = firing.node, firing.driver, self.journal, output
        labels, changed, emitted, payload, again = _NOTHING
        if type(output) is Reviewed:
            output, labels, payload = output
        elif type(output) is Again:
            (output,), again = output, True
        if journal is not None and type(output) not in journal.fixed:
            try:
                output = journal.checked(output)
            except Exception as error:  # noqa: BLE001 - it cannot be stored
                unkept(self, firing, given, error, lenient=journal.lenient)
                return
        if node.router and payload is None:
            labels = labels_of(output)
        if labels and (fault := undeclared(self.net, node, labels)):
            self.fail(firing, RouteError(fault))
            return
        if changes.before or changes.view or changes.extra is not None:
            try:
                changed = self.box.commit(changes, node.name)
            except Exception as error:  # noqa: BLE001 - conflict or lost type
                lenient = journal is not None and journal.lenient
                lenient = lenient and hasattr(error, "where")
                unkept(self, firing, given, error, lenient=lenient)
                return
        if not changes.view:
            changes.since = -1
        if self.keeper is not None or payload is not None:
            from flowkit.runtime.commits import kept  # only who persists, or reviews

            if not kept(self, firing, payload):
                return
        if self.emitted is not None:
            emitted = tuple(self.emitted.pop(firing.id, ()))
        if again:
            from flowkit.runtime.commits import turn  # only who repeats

            turn(self, firing, output, changed, emitted)
            return
        self.last = output
        if self.children is not None:
            self.children.end(firing)
        metrics = () if self.metered is None else self.measured(firing.id)
        about = now(), firing.id, output, labels, changed, payload, emitted, metrics
        done = _new(StepFinished, about)
        if journal is not None:
            journal.finished(self, done, firing)
            return
        self.records.append(done)
        self.act(decide(self.net, self.marking, done))
        if signals.step_finished.receivers or (
            (changed and signals.state_changed.receivers)
            or (labels and signals.routed.receivers)
        ):
            self.tell_finished(firing, output, labels, changed, metrics)

    def measured(self, number: int) -> tuple[tuple[str, float], ...]:
        """What the body of a firing measured, for its record; then it is forgotten."""
        return tuple((self.metered or {}).pop(number, {}).items())

    def fail(self, firing: Firing, error: BaseException) -> None:
        """Record a firing that raised; the state is as before it."""
        if hasattr(error, "callback_info") and firing.id in self.marking.live:
            from flowkit.runtime import feedback  # only flows that pause

            if feedback.paused(self, firing, error):
                return
        note(self, firing, error)
        if firing.id not in self.marking.live:
            late(self, firing, None, error)
            return
        self.pauses.pop(firing.id, None)
        if self.compiled.policies:
            from flowkit.runtime.recovery import recovers  # only who has policies

            if recovers(self, firing, error):
                return
        failed(self, firing, error)

    def tell_finished(
        self,
        firing: Firing,
        output: Any,
        labels: tuple[str, ...],
        changed: tuple[str, ...],
        metrics: tuple[tuple[str, float], ...] = (),
    ) -> None:
        """Tell observers of a step that ended well, after its record is kept."""
        if changed and signals.state_changed.receivers:
            state = self.box.live
            self.tell_step(signals.state_changed, firing, changed=changed, state=state)
        if signals.step_finished.receivers:
            said = {"output": output, "metrics": dict(metrics)}
            self.tell_step(signals.step_finished, firing, **said)
        if labels and signals.routed.receivers:
            self.tell_step(signals.routed, firing, labels=labels)

    def halt(self, error: BaseException | None) -> None:
        """Go no further in this process; what is stored stays as it is."""
        self.lost = self.lost or error
        self.over = True
        self.ready.clear()
        cancel(self, Cancel(tuple(self.marking.live.values())))
        for wake in list(self.parked.values()):  # they see that the run is over
            wake(None)

    def take_pending(self) -> None:
        """Apply what came from outside while a step ran."""
        journal = self.journal
        if journal is not None and self.pending:
            journal.acquire(self)
        while self.pending and not self.over:
            each = self.pending.popleft()
            if callable(each):
                each()
                continue
            record: Record | None = each
            if self.marking.asked and type(each) is EventReceived:
                from flowkit.runtime.expected import wanted  # a step waits for events

                record = wanted(self, each)
            if record is not None and self._set_aside(record):
                continue
            if type(each) is EventReceived:
                trail.take(self, each, record)
            elif record is not None:
                self.apply(record)

    def _set_aside(self, record: Record) -> bool:
        return self.journal is not None and self.journal.sets_aside(self, record)

    def cancel(self, reason: str = "cancelled from outside") -> None:
        """Cancel the run: running steps are cancelled and joined, nothing more runs.

        From any thread. A run that is over stays as it is.
        """
        self.reason = reason
        self.post(RunCancelled(now(), reason))

    def post(self, record: Record | Callable[[], None]) -> None:
        """Have the thread that moves this run apply or do something soon."""
        self.pending.append(record)
        hurry = self.hurry
        if hurry is not None:
            hurry()
        elif not self.active:
            self.take_pending()
            if self.held:
                self.journal.wait(self)
            self.settle_end()
            if self.caller is not None and self.over:
                self.caller.tell_blocking(self)

    def event(  # noqa: PLR0917 - an envelope, part for part
        self,
        name: str,
        payload: Any,
        key: str | None,
        id: str | None,
        shares: dict[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Queue an outside event; whoever drives the run takes it in order."""
        trace = trail.here() if traceparent is None else traceparent
        self.pending.append(EventReceived(now(), name, payload, key, id, shares, trace))

    def settle_end(self) -> None:
        """When nothing runs any more: give the state back and tell the outcome."""
        if self.admission is not None:
            self.admission.leave()
        if self.over:
            finished(self)
        elif self.status == "waiting":
            rested(self)

    def called(self, record: CallEnded) -> None:
        """Keep what a called step gave, for when the step that called starts again."""
        place = record.firing, record.position
        self.questions[place] = self.answers[place] = record

    def answer(self, firing: int, position: int, value: Any) -> None:
        """Record what a waiting step is answered; it goes on, or starts again."""
        self.apply(StepAnswered(now(), firing, position, value))

    def rest(self, resting: bool = True) -> None:  # noqa: FBT001, FBT002 - one switch
        """Nothing moves here until something outside happens, or it moves again."""
        if self.at_rest is None:
            return
        with self.lock:
            if resting == self.resting:
                return
            self.resting = resting
        self.at_rest(resting)

    def tell(self, signal: Any, **arguments: Any) -> None:
        """Send a signal about this run."""
        signals.tell(signal, type(self.flow), run=self, **arguments)

    def tell_step(self, signal: Any, firing: Firing, **arguments: Any) -> None:
        """Send a signal about a step of this run."""
        step, attempt = firing.node.name, firing.attempt
        self.tell(signal, step=step, firing=firing.id, attempt=attempt, **arguments)
