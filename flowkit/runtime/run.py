"""One run in this process: its records, its commits, and the handle users hold.

The order of every move is fixed: decide, append, act, signal. What moves the run,
a worker on an event loop or a plain loop in the caller's thread, is in
:mod:`flowkit.runtime.runner` and :mod:`flowkit.runtime.blocking`; both use the
verbs here and nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from flowkit.core.commands import (
    Answer,
    Arm,
    Cancel,
    End,
    Fault,
    Firing,
    Judge,
    Report,
    Wait,
)
from flowkit.core.machine import decide
from flowkit.core.marking import DEFERRED, Marking
from flowkit.core.records import (
    CallEnded,
    EventReceived,
    GroupJudged,
    RunAborted,
    RunCancelled,
    RunCompensated,
    RunExpired,
    RunOverdue,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    StepFinished,
    StepTurned,
    TimerFired,
)
from flowkit.errors import (
    RouteError,
    RunawayError,
    RunExistsError,
    StepTimeoutError,
)
from flowkit.runtime import signals
from flowkit.runtime.calls import Again, Reviewed, labels_of, undeclared
from flowkit.runtime.clock import now
from flowkit.runtime.ids import run_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.marking import Timer
    from flowkit.core.net import Net, Node
    from flowkit.core.records import Record
    from flowkit.define.compiler import Compiled
    from flowkit.runtime.calls import Call
    from flowkit.runtime.people import HumanFeedbackPending
    from flowkit.runtime.persisting import Keeper
    from flowkit.runtime.progress import Progress
    from flowkit.runtime.scope import Scope
    from flowkit.runtime.state import Changes, StateBox
    from flowkit.runtime.timing import Alarm, Watch

__all__ = ["Abort", "Evicted", "Run", "Stop", "depth"]

MOST_NESTED = 50
_lock = threading.Lock()
T = TypeVar("T")
depth: ContextVar[int] = ContextVar("flowkit_depth", default=0)
_until: ContextVar[float | None] = ContextVar("flowkit_until", default=None)


class Stop(BaseException):
    """Raised by ``self.stop()``: nothing after it runs. Never caught by accident."""


class Abort(Stop):
    """Raised by ``self.abort()``."""


class Evicted(Stop):
    """Raised in a step that has waited long: it starts again with its answers."""


class _Lazy(Generic[T]):
    """An attribute that is made when it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, run: None, owner: type) -> Self: ...

    @overload
    def __get__(self, run: object, owner: type) -> T: ...

    def __get__(self, run: object | None, owner: type) -> Self | T:
        if run is None:
            return self
        made = run.__dict__[self.name] = self.make()
        return made

    if TYPE_CHECKING:  # an instance's own attribute hides it

        def __set__(self, run: object, value: T) -> None: ...


class Run:
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
        journal: keeps it in a store; None for a run in memory.
        held: moves that are decided and not durable yet.
        answers: what a step's questions were answered, by firing and position.
        parked: who waits in memory for an answer.
        underway: steps that another one has called and that run now, by firing and
            position; whether their beginning is recorded.
        claim: gives a question its position, if a function counts them itself.
        gone: a function that waits gives its place in memory up: it calls no more.
        watches: attempts whose time is limited, by firing.
        lookout: looks after them.
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

    lock = _lock
    """Held while somebody begins or ceases to move a run: never for long."""

    on_wait: ClassVar[list[Callable[[Run], None]]] = []
    """Told, run by run, that all that is left to do is to wait: for tests."""

    # What most runs never change is not set in each of them.
    key: str | None = None
    first: Callable[[], Marking] | None = None
    over: bool = False
    active: bool = False
    home: int | None = None
    told: bool = False
    last: Any = None
    reason: str = ""
    interrupt: BaseException | None = None
    cut: tuple[Firing, ...] = ()
    hurry: Callable[[], None] | None = None
    keeper: Keeper | None = None
    saved: int = 0
    journal: Any = None
    held: Any = ()  # a journal gives a run one of its own
    settle: Callable[[], Awaitable[None]] | None = None
    patience: float = 60.0
    limit: float | None = None
    until: float | None = None
    lifetime: float | None = None
    resting: bool = False
    claim: Callable[[str], int] | None = None
    gone: bool = False
    at_rest: Callable[[bool], None] | None = None
    lost: BaseException | None = None
    caller: Any = None
    children: Any = None
    withdrawn: bool = False
    level: int | None = None
    above: Run | None = None
    mention: Callable[[Firing, str, dict[str, Any]], None] | None = None
    emitted: dict[int, list[tuple[str, Any]]] | None = None
    metered: dict[int, dict[str, float]] | None = None
    traceparent: str = ""
    alarm: Callable[[], None] | None = None
    lookout: Alarm | None = None
    _group: BaseExceptionGroup[BaseException] | None = None
    _id: str | None = None

    stuck: _Lazy[list[str]] = _Lazy(list)
    not_undone: _Lazy[list[str]] = _Lazy(list)
    scopes: _Lazy[dict[int, Any]] = _Lazy(dict)
    watchers: _Lazy[list[Callable[[Run], None]]] = _Lazy(list)
    pauses: _Lazy[dict[int, HumanFeedbackPending]] = _Lazy(dict)
    asked: _Lazy[dict[int, int]] = _Lazy(dict)
    answers: _Lazy[dict[tuple[int, int], Any]] = _Lazy(dict)
    parked: _Lazy[dict[tuple[int, int], Callable[[Any], None]]] = _Lazy(dict)
    acting: _Lazy[dict[tuple[int, str], int]] = _Lazy(dict)
    acted: _Lazy[dict[int, list[bool]]] = _Lazy(dict)
    yielded: _Lazy[dict[int, int]] = _Lazy(dict)
    rooms: _Lazy[dict[int, Callable[[], bool]]] = _Lazy(dict)
    questions: _Lazy[dict[tuple[int, int], StepAsked | CallEnded]] = _Lazy(dict)
    underway: _Lazy[dict[tuple[int, int], list[Any]]] = _Lazy(dict)
    watches: _Lazy[dict[int, Watch]] = _Lazy(dict)
    begun: _Lazy[dict[int, float]] = _Lazy(dict)
    given_up: _Lazy[set[int]] = _Lazy(set)
    starts: _Lazy[dict[int, int]] = _Lazy(dict)
    items: _Lazy[list[tuple[int, Any]]] = _Lazy(list)

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
        nested = depth.get()
        if nested >= MOST_NESTED:
            raise RunawayError(_too_deep(self.net.definition.name))
        self.context: Context = copy_context()
        self.context.run(depth.set, nested + 1)

    def __repr__(self) -> str:
        name = self.net.definition.name
        return f"<Run of {name}: {self.status}, {len(self.records)} records>"

    @property
    def id(self) -> str:
        """36 characters, a UUID in version 7; made when first asked for."""
        if self._id is None:
            self._id = run_id(now())
        return self._id

    @property
    def status(self) -> str:
        """``running waiting completed failed cancelled compensated expired``."""
        return self.marking.status

    @property
    def result(self) -> Any:
        """The last completed output, or what ``stop`` was given."""
        return self.last

    @property
    def state(self) -> Any:
        """The flow's state."""
        return self.box.live

    @property
    def outputs(self) -> list[Any]:
        """Outputs of the finished steps in the order they ended, as a new list."""
        return [
            record.output for record in self.records if type(record) is StepFinished
        ]

    @property
    def history(self) -> list[tuple[str, str, float]]:
        """``(step, outcome, time)`` of every step that ended, in order."""
        names = self._names
        return [
            (names[record.firing], _OUTCOMES[type(record)], record.at)
            if not isinstance(record, CallEnded)
            else (record.step, "failed" if record.error else "finished", record.at)
            for record in self.records
            if isinstance(record, StepFinished | StepFailed | CallEnded)
            and not getattr(record, "cancelled", False)
        ]

    @property
    def progress(self) -> list[Progress]:
        """How far each open group is, outermost first."""
        from flowkit.runtime.progress import progress_of  # asked rarely

        return progress_of(self.marking)

    @property
    def _names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        replay = self.first() if self.first else Marking(len(self.net.nodes))
        names.update((firing.id, firing.node.name) for firing in replay.live.values())
        for record in self.records:
            commands = decide(self.net, replay, record)
            for command in commands:
                if type(command) is Firing:
                    names[command.id] = command.node.name
            for firing in replay.live.values():
                names[firing.id] = firing.node.name
        return names

    @property
    def awaits(self) -> tuple[str, ...]:
        """Names of the events a waiting run waits for."""
        from flowkit.core.ending import awaited  # asked rarely

        if self.status != "waiting":
            return ()
        names = list(awaited(self.net, self.marking))
        for asked in self._open_questions():
            names += (asked.detail or {}).get("names", ())
        return tuple(dict.fromkeys(names))

    def _open_questions(self) -> list[StepAsked]:
        asked = list(self.marking.asked.values())
        return [each for questions in asked for each in list(questions.values())]

    def wants(self, name: str, key: str | None) -> bool:
        """Whether a step waits for an event of this name and key."""
        return any(_fits(asked, name, key) for asked in self._open_questions())

    def begin(
        self,
        event: str | None,
        payloads: dict[str, Any] | None,
        step: str | None = None,
    ) -> None:
        """Record the start and make the first steps ready; ``step`` has a schedule."""
        if signals.run_begins.receivers:
            self.tell(signals.run_begins)
        inherited = _until.get()
        if self.limit is not None or inherited is not None:
            self.over_by(self.limit, inherited)
        self.apply(RunStarted(now(), event, payloads, step))
        if signals.run_started.receivers:
            self.tell(signals.run_started, inputs=self.inputs)

    def over_by(self, limit: float | None, inherited: float | None) -> None:
        """Set when the run must be over; what it calls must be over then, too."""
        own = None if limit is None else now() + limit
        times = [each for each in (own, inherited) if each is not None]
        self.until = min(times, default=None)
        self.context.run(_until.set, self.until)

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
            if type(command) is Firing:
                self._make_ready(command)
            else:
                _ACTS[type(command)](self, command)
        if "rooms" in self.__dict__:
            self._make_room()

    def act_folded(self, commands: Sequence[Command]) -> None:
        """What of the commands counts when records are folded: how it ended."""
        for command in commands:
            if type(command) is Fault:
                self.failures.append(command.error)
            elif type(command) is Report and command.kind == "stuck":
                self.stuck.append(command.text)
            elif type(command) is Report and command.kind == "not undone":
                self.not_undone.append(command.step)
            elif type(command) is Report and command.kind == "undone":
                self.not_undone.remove(command.step)
            elif type(command) is Answer and command.position != DEFERRED:
                self.answers[command.firing.id, command.position] = command.value
            elif type(command) is End:
                self.over = self.told = True

    def _make_ready(self, firing: Firing) -> None:
        if self.resting:
            self.rest(resting=False)
        if len(self.marking.live) > 1:
            firing.driver = self.box.beside()
        self.ready.append(firing)

    def _make_room(self) -> None:
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
            self._tell_step(signals.step_started, firing)
        call = self.calls[firing.node.index]
        if call.none and not call.wants_trigger:
            return target, (), {}
        arguments, keywords = call.arguments(firing, self.inputs)
        return target, arguments, keywords

    def finish(  # noqa: C901, PLR0911, PLR0912, PLR0915 - the hot path
        self, firing: Firing, output: Any
    ) -> None:
        """Commit a firing that ended well; its result counts from here on."""
        node = firing.node
        if firing.id not in self.marking.live:
            self._late(firing, output, None)
            return
        labels: tuple[str, ...] = ()
        payload, given, again = None, output, False
        if type(output) is Reviewed:
            output, labels, payload = output
        elif type(output) is Again:
            (output,), again = output, True
        journal = self.journal
        if journal is not None:
            try:
                output = journal.checked(output)
            except Exception as error:  # noqa: BLE001 - it cannot be stored
                if not journal.lenient:
                    self.fail(firing, _told(error, self, node))
                    return
                journal.abandon(self, error)
                journal = None
        if node.router and payload is None:
            labels = labels_of(output)
        if labels:
            fault = undeclared(self.net, node, labels)
            if fault:
                self.fail(firing, RouteError(fault))
                return
        changes = firing.driver
        changed: tuple[str, ...] = ()
        if changes.before or changes.view or changes.extra is not None:
            try:
                changed = self.box.commit(changes, node.name)
            except Exception as error:  # noqa: BLE001 - conflict or lost type
                if journal is not None and journal.lenient and hasattr(error, "where"):
                    journal.abandon(self, error)
                    self.finish(firing, given)  # with its review, if it has one
                    return
                self.fail(firing, _told(error, self, node))
                return
        if not changes.view:
            changes.since = -1
        if self.keeper is not None or payload is not None:
            try:
                self._keep(firing, payload)
            except Exception as error:  # noqa: BLE001 - the persistence is the user's
                self.fail(firing, error)
                return
        if again or self.emitted is not None:
            emitted = tuple((self.emitted or {}).pop(firing.id, ()))
            if again:
                self._turn(firing, output, changed, emitted)
                return
        else:
            emitted = ()
        self.last = output
        if self.children is not None:
            self.children.end(firing)
        record = StepFinished(
            now(), firing.id, output, labels, changed, payload, emitted
        )
        if self.metered is not None:
            record = record._replace(metrics=self.measured(firing.id))
        if journal is not None:
            journal.move(self, record, firing)
            return
        self.records.append(record)
        for command in decide(self.net, self.marking, record):
            if type(command) is Firing:
                self._make_ready(command)
            else:
                _ACTS[type(command)](self, command)
        if firing.lane and "rooms" in self.__dict__:
            self._make_room()
        if (
            signals.step_finished.receivers
            or (changed and signals.state_changed.receivers)
            or (labels and signals.routed.receivers)
        ):
            self.tell_finished(firing, output, labels, changed, record.metrics)

    def _turn(
        self, firing: Firing, output: Any, changed: tuple[str, ...], emitted: Any
    ) -> None:
        """Commit a turn of a repeated step; the next one starts on what is there."""
        self._forget(firing)
        measured = self.measured(firing.id)
        self.apply(StepTurned(now(), firing.id, output, changed, emitted, measured))

    def measured(self, number: int) -> tuple[tuple[str, float], ...]:
        """What the body of a firing measured, for its record; then it is forgotten."""
        return tuple((self.metered or {}).pop(number, {}).items())

    def _forget(self, firing: Firing) -> None:
        """A body is over: what was kept for it is of no use to another."""
        number = firing.id
        firing.driver = None
        self.asked.pop(number, None)
        self.acted.pop(number, None)
        self.acting.pop((number, "act"), None)
        self.yielded.pop(number, None)
        self.begun.pop(number, None)
        for known in (self.answers, self.questions):
            for place in [place for place in known if place[0] == number]:
                del known[place]

    def _keep(self, firing: Firing, review: Any) -> None:
        """Save the state if it is to be saved, and note what a person said."""
        if self.keeper is not None:
            self.keeper.save(self.box, firing.node.name)
        if review is not None:
            self.root.options.setdefault("reviews", []).append(review)
            self.pauses.pop(firing.id, None)

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
            self._tell_step(signals.state_changed, firing, changed=changed, state=state)
        if signals.step_finished.receivers:
            said = {"output": output, "metrics": dict(metrics)}
            self._tell_step(signals.step_finished, firing, **said)
        if labels and signals.routed.receivers:
            self._tell_step(signals.routed, firing, labels=labels)

    def fail(self, firing: Firing, error: BaseException) -> None:
        """Record a firing that raised; the state is as before it."""
        if hasattr(error, "callback_info") and firing.id in self.marking.live:
            from flowkit.runtime import feedback  # only flows that pause

            if feedback.paused(self, firing, error):
                return
        self._note(firing, error)
        if firing.id not in self.marking.live:
            self._late(firing, None, error)
            return
        self.pauses.pop(firing.id, None)
        if self.compiled.policies:
            from flowkit.runtime.recovery import recovers  # only who has policies

            if recovers(self, firing, error):
                return
        self.take_back(firing)
        late = isinstance(error, StepTimeoutError)
        if self.is_unheard(firing, late):
            self.failures.append(error)
        if self.children is not None:
            self.children.end(firing)
        metrics = self.measured(firing.id)
        self.apply(StepFailed(now(), firing.id, error, late, metrics))
        if signals.step_failed.receivers:
            said = {"error": error, "metrics": dict(metrics)}
            self._tell_step(signals.step_failed, firing, **said)

    def take_back(self, firing: Firing) -> None:
        """Forget what an attempt that has failed did to the state, and emitted."""
        if firing.driver is not None:
            self.discard(firing.driver)
            if not firing.driver.view:
                firing.driver.since = -1
        if self.emitted is not None:
            self.emitted.pop(firing.id, None)

    def is_unheard(self, firing: Firing, late: bool) -> bool:  # noqa: FBT001
        """Whether a failure is the run's own: nobody listens, no group takes it."""
        if self.marking.undoing is not None:
            return True
        if self.marking.is_undo(firing.id):
            return False  # who has asked for it is told
        return not (firing.lane or firing.node.hears(late=late))

    def discard(self, changes: Changes) -> None:
        """Forget what a step did to the state, a wholly new one included."""
        self.box.discard(changes)
        if not changes.view:
            self.root.state = self.box.live

    def _note(self, firing: Firing, error: BaseException) -> None:
        name = f"{self.net.definition.name}.{firing.node.name}"
        note = f"flowkit: step {name}, attempt {firing.attempt}, run {self.id}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)

    def _late(self, firing: Firing, output: Any, error: BaseException | None) -> None:
        """A result after its firing was cancelled: reported, never counted."""
        if firing.driver is not None:
            self.discard(firing.driver)
        name = f"{self.net.definition.name}.{firing.node.name}"
        if error is None:
            text = "%s ended after it was cancelled; its result %.60r does not count"
            signals.log().info(text, name, output)
            return
        signals.log().error("%s failed after it was cancelled", name, exc_info=error)
        if self.failures and not isinstance(error, Stop):
            self.failures.append(error)

    def fence(self, firing: Firing, thread: int | None) -> None:
        """Give a step up that goes on in a thread: it keeps a state of its own."""
        if thread is not None:
            self.given_up.add(thread)
        changes, firing.driver = firing.driver, None
        if changes is None:
            return
        alone = not changes.view
        self.box.give_up(changes)
        if alone:
            self.root.state = self.box.live
            if thread is not None:
                self.root.set_apart(thread, changes, firing)

    def abandoned(
        self,
        firing: Firing,
        value: Any,
        error: BaseException | None,
        thread: int | None = None,
    ) -> None:
        """A thread that was given up has ended after all."""
        self.root.let_back(thread)
        if thread is not None:
            self.given_up.discard(thread)
        if hasattr(value, "__await__") and hasattr(value, "close"):
            value.close()
        if not isinstance(error, Stop):
            self._late(firing, value, error)

    def _elsewhere(self, verb: Callable[[], None]) -> bool:
        """Have the thread that moves this run do it, if that is another one."""
        if self.home is None or self.home == threading.get_ident():
            return False
        self._post(verb)
        return True

    def stop(self, firing: Firing | None, result: Any) -> None:
        """End the run well; what the asking step changed is committed."""
        if self._elsewhere(lambda: self._stop_late(firing, result)):
            return
        if firing is None or firing.id not in self.marking.live:
            return
        changed = self.box.commit(firing.driver, firing.node.name)
        if self.keeper is not None:
            self.keeper.save(self.box, firing.node.name)
        self.last = result
        metrics = self.measured(firing.id)
        self.apply(RunStopped(now(), firing.id, result, changed, metrics))

    def _stop_late(self, firing: Firing | None, result: Any) -> None:
        try:
            self.stop(firing, result)
        except Exception as error:  # noqa: BLE001 - conflict or lost type
            if firing is not None:
                self.fail(firing, error)

    def abort(self, firing: Firing | None, reason: str) -> None:
        """End the run as unsuccessful."""
        if self._elsewhere(lambda: self.abort(firing, reason)):
            return
        if firing is not None and firing.id not in self.marking.live:
            return
        if firing is not None and firing.driver is not None:
            self.discard(firing.driver)
        self.reason = reason
        number = None if firing is None else firing.id
        self.apply(RunAborted(now(), number, reason))

    def compensate(self, firing: Firing | None, reason: str) -> None:
        """End the run and undo what its steps have done."""
        if self._elsewhere(lambda: self.compensate(firing, reason)):
            return
        if firing is not None and firing.id not in self.marking.live:
            return
        if firing is not None and firing.driver is not None:
            self.discard(firing.driver)
        self.reason = reason
        number = None if firing is None else firing.id
        self.apply(RunCompensated(now(), number, reason))

    def interrupted(self, error: BaseException) -> None:
        """Ctrl-C or an exit: the run ends as cancelled, the error goes on."""
        self.interrupt = error
        self.reason = type(error).__name__
        self.cut_off(self.reason)
        self.note_interrupt(error)

    def cut_off(self, reason: str) -> None:
        """The process ends this run's work: cancelled, or kept for a later one."""
        self.reason = reason
        if self.journal is None:
            self.apply(RunCancelled(now(), reason))
        elif self.withdrawn:
            self.apply(RunCancelled(now(), reason))
            self.journal.wait(self)
        else:
            self.journal.suspend(self)

    def halt(self, error: BaseException | None) -> None:
        """Go no further in this process; what is stored stays as it is."""
        self.lost = self.lost or error
        self.over = True
        self.ready.clear()
        self._cancel(Cancel(tuple(self.marking.live.values())))
        for wake in list(self.parked.values()):  # they see that the run is over
            wake(None)

    def note_interrupt(self, error: BaseException) -> None:
        """Tell in the error itself which steps it ended."""
        name = self.net.definition.name
        steps = [
            f"{name}.{firing.node.name} ({firing.node.step.place})"
            for firing in self.cut
        ]
        what = type(error).__name__
        at_work = " and ".join(steps) or "no step"
        be = "were" if len(steps) > 1 else "was"
        error.add_note(
            f"flowkit: {what} while {at_work} {be} running; "
            f"run {self.id} is {self._left}."
        )

    @property
    def _left(self) -> str:
        if self.journal is None or not self.lost_or_kept:
            return self.status
        return f"kept; flowkit.resume({self.id!r}) goes on with it"

    @property
    def lost_or_kept(self) -> bool:
        """Whether this process stopped and the stored run did not."""
        return self.over and self.status in {"running", "waiting"}

    def take_pending(self) -> None:
        """Apply what came from outside while a step ran."""
        if self.journal is not None and self.pending:
            self.journal.acquire(self)
        while self.pending and not self.over:
            each = self.pending.popleft()
            if callable(each):
                each()
            else:
                wanted: Record | None = each
                if self.marking.asked and type(each) is EventReceived:
                    wanted = self._wanted(each)
                if wanted is None or self._set_aside(wanted):
                    continue
                self.apply(wanted)

    def _set_aside(self, record: Record) -> bool:
        return self.journal is not None and self.journal.sets_aside(self, record)

    def _wanted(self, event: EventReceived) -> Record | None:
        """An event as the answer of the step that has waited for it longest.

        None if it was an answer to a review, which has ended its step.
        """
        for asked in self._open_questions():
            if _fits(asked, event.name, event.key) and not _too_early(asked, event):
                if asked.verb == "feedback":
                    from flowkit.runtime.reviewed import answered  # only who pauses

                    answered(self, asked, event)
                    return None
                answer = [asked.verb, event.name, event.payload]
                record = StepAnswered(event.at, asked.firing, asked.position, answer)
                if self.journal is not None:
                    self.journal.instead(event, record)
                return record
        return event

    def cancel(self, reason: str = "cancelled from outside") -> None:
        """Cancel the run: running steps are cancelled and joined, nothing more runs.

        From any thread. A run that is over stays as it is.
        """
        self.reason = reason
        self._post(RunCancelled(now(), reason))

    def _post(self, record: Record | Callable[[], None]) -> None:
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

    def event(
        self,
        name: str,
        payload: Any,
        key: str | None,
        id: str | None,
        shares: dict[str, Any] | None = None,
    ) -> None:
        """Queue an outside event; whoever drives the run takes it in order."""
        self.pending.append(EventReceived(now(), name, payload, key, id, shares))

    def settle_end(self) -> None:
        """When nothing runs any more: give the state back and tell the outcome."""
        if self.over:
            self._finished()
            return
        if self.status == "waiting":
            if self.journal is not None:
                self.journal.leave(self)
            self._release()
            if self.pauses:
                from flowkit.runtime import feedback  # loaded with the pause

                feedback.settle(self)
            for watcher in self.watchers:
                watcher(self)
            if signals.run_waiting.receivers:
                self.tell(signals.run_waiting, events=self.awaits)

    def _release(self) -> None:
        """Between steps the state is the user's own object."""
        if self.root.run is self:
            self.box.release()
            self.root.state = self.box.live
            self.root.firing = None

    def _finished(self) -> None:
        if self.told:
            return
        self.told = True
        self._release()
        if self.journal is not None:
            self.journal.leave(self)
        if len(self.failures) > 1 and self.failure is self.failures[0]:
            self._gather_failures()
        for watcher in self.watchers:
            watcher(self)
        self.watchers.clear()
        self._tell_end()

    def _tell_end(self) -> None:
        if isinstance(self.lost, RunExistsError):
            return  # it met another at its begin, and never was a run
        if self.lost is not None:
            if signals.run_failed.receivers:
                self.tell(signals.run_failed, error=self.lost)
        elif (failure := self.failure) is not None:
            if signals.run_failed.receivers:
                self.tell(signals.run_failed, error=failure)
        elif signals.run_finished.receivers:
            self.tell(signals.run_finished, status=self.status, result=self.last)

    @property
    def failure(self) -> BaseException | None:
        """What the run has failed with, None if it has not.

        The first failure, or all of them as a group where ``on_error="collect"``
        asks for that. A run that went on in spite of failures has none.
        """
        if not self.failures or self.status == "completed":
            return None
        if self.net.definition.on_error == "collect" and self.status == "failed":
            known = () if self._group is None else self._group.exceptions
            if self._group is None or len(known) != len(self.failures):
                count, name = len(self.failures), self.net.definition.name
                said = "a step" if count == 1 else f"{count} steps"
                self._group = BaseExceptionGroup(
                    f"{said} of {name} failed", self.failures
                )
            return self._group
        return self.failures[0]

    @property
    def degraded(self) -> tuple[str, ...]:
        """Steps whose result is a fallback's, in the order they failed."""
        names = self._names
        ended = {each.firing for each in self.records if isinstance(each, StepFinished)}
        found = [
            names[number]
            for number, each in self.marking.deferred.items()
            if each.stage and number in ended
        ]
        called = (each for each in self.records if isinstance(each, CallEnded))
        found += [each.step for each in called if each.stage]
        return tuple(found)

    def _gather_failures(self) -> None:
        first, *others = self.failures
        for other in others:
            first.add_note(
                f"flowkit: meanwhile another branch failed: "
                f"{type(other).__name__}: {other}"
            )

    def wait(self, timeout: float | None = None) -> Any:
        """Block until the run is over or waits; gives its outcome.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            TimeoutError: the run is still going on.
            Exception: whatever a step raised, as it is.
        """
        settled = threading.Event()
        self.watchers.append(lambda _: settled.set())
        going = (self.active or not self.told) and self.status != "waiting"
        if going and not settled.wait(timeout):
            msg = f"{self!r} was still going on after {timeout} seconds."
            raise TimeoutError(msg)
        return self.outcome()

    def outcome(self) -> Any:
        """The result; raises what ended the run.

        A waiting run gives itself, or what its latest pause was raised with.
        """
        if self.interrupt is not None:
            raise self.interrupt
        if self.lost is not None:
            raise self.lost
        if self.failures and (failure := self.failure) is not None:
            raise failure
        if self.status == "waiting":
            if self.marking.asked:
                from flowkit.runtime import feedback  # only flows that wait for people

                return next(reversed(feedback.pauses_of(self).values()), self)
            return self
        return self.last if self.status == "completed" else None

    def _cancel(self, command: Cancel) -> None:
        self.cut = tuple(each for each in command.firings if each.driver is not None)
        if self.children is not None and not self.lost_or_kept:
            self.children.withdraw(command.firings)
        for firing in command.firings:
            self.pauses.pop(firing.id, None)
            scope = self.scopes.get(firing.id)
            if firing.driver is not None and scope is None:
                self.discard(firing.driver)
            if scope is not None:
                scope.cancel()
            if signals.step_cancelled.receivers:
                self._tell_step(signals.step_cancelled, firing)
        self._make_room()

    def _judge(self, command: Judge) -> None:
        """Ask the predicate of a gather; that it is content is a record."""
        from flowkit.core.groups import gathers  # loaded with the first group

        if not gathers(self.marking, command.group, command.gather):
            return
        until = self.compiled.until[self.net.gathers[command.gather].leaf.until]
        error: Exception | None = None
        try:
            if not until(command.results, command.total):
                return
        except Exception as fault:  # noqa: BLE001 - the user's own: it ends the run
            error = fault
        self.apply(GroupJudged(now(), command.group, command.gather, error))

    def _fault(self, command: Fault) -> None:
        self.failures.append(command.error)

    def _report(self, command: Report) -> None:
        if command.kind == "stuck":
            self.stuck.append(command.text)
            signals.log().warning("%s", command.text)
            if signals.stuck.receivers:
                self.tell(signals.stuck, step=command.step, reason=command.text)
        elif command.kind == "missed":
            signals.log().warning("%s", command.text)
        elif command.kind == "undone":
            self.not_undone.remove(command.step)
            signals.log().info("%s", command.text)
        elif command.kind == "not undone":
            self.not_undone.append(command.step)
            signals.log().error("%s", command.text)
            if self.failures:
                self.failures[0].add_note(f"flowkit: {command.text}")
        else:
            signals.log().info("%s", command.text)

    def _waits(self, _: Wait) -> None:
        for told in self.on_wait:
            told(self)

    def _end(self, _: End) -> None:
        self.over = True

    def ask(self, firing: Firing, position: int, verb: str, detail: Any) -> None:
        """Record that a step waits for something outside."""
        if self.calls[firing.node.index].timed:
            from flowkit.runtime.timing import with_end  # only who has a time

            detail = with_end(self, firing, verb, detail)
        record = StepAsked(now(), firing.id, position, verb, detail)
        self.questions[firing.id, position] = record
        self.apply(record)

    def called(self, record: CallEnded) -> None:
        """Keep what a called step gave, for when the step that called starts again."""
        place = record.firing, record.position
        self.questions[place] = self.answers[place] = record

    def rest(self, resting: bool = True) -> None:  # noqa: FBT001, FBT002 - one switch
        """Nothing moves here until something outside happens, or it moves again."""
        if self.at_rest is None:
            return
        with _lock:
            if resting == self.resting:
                return
            self.resting = resting
        self.at_rest(resting)

    def post(self, verb: Callable[[], None]) -> None:
        """Have the thread that moves this run do something soon."""
        self._post(verb)

    def answer(self, firing: int, position: int, value: Any) -> None:
        """Record what a waiting step is answered; it goes on, or starts again."""
        self.apply(StepAnswered(now(), firing, position, value))

    def _answer(self, command: Answer) -> None:
        place = command.firing.id, command.position
        self.answers[place] = command.value
        self.rest(resting=False)
        parked = self.parked.pop(place, None)
        if parked is not None:
            parked(command.value)
        elif command.firing.id not in self.asked and command.firing not in self.ready:
            self.ready.append(self.again(command.firing))  # not in memory

    def again(self, firing: Firing) -> Firing:
        """A firing that starts from its top, on the state as committed now."""
        self._anew(firing)
        firing.driver = None
        if len(self.marking.live) > 1:
            firing.driver = self.box.beside()
        return firing

    def _anew(self, firing: Firing) -> None:
        """The body of a firing starts from its top: its questions are counted anew."""
        self.asked.pop(firing.id, None)
        self.acting.pop((firing.id, "act"), None)
        for said in (self.emitted, self.metered):
            if said is not None:
                said.pop(firing.id, None)

    def stays(self, due: float) -> bool:
        """Whether to wait for a time in memory: if it is near, or nobody else could."""
        return self.journal is None or due - now() <= self.patience

    def evicted(self, firing: Firing) -> None:
        """A step that waits gave its place in memory up; it starts again later."""
        if self.journal is not None:
            self.journal.drop(firing.id)
        self._anew(firing)
        if firing.driver is not None:
            self.discard(firing.driver)
            firing.driver = None
        for place in [place for place in self.parked if place[0] == firing.id]:
            del self.parked[place]
        if self.over or firing.id not in self.marking.live:
            return
        if firing.id not in self.marking.asked:  # all was answered meanwhile
            self.ready.append(self.again(firing))

    def restart(self, firings: Sequence[int]) -> None:
        """After a restart: make ready what was neither done nor waiting."""
        for number in firings:
            firing = self.marking.live.get(number)
            if firing is not None:
                self.ready.append(self.again(firing))
        if self.marking.lanes is not None:
            from flowkit.core.groups import unjudged  # only flows with groups

            for command in unjudged(self.marking):
                self._judge(command)

    def expire(self, at: float) -> None:
        """Answer and fire whatever was due by then; what came before it, first."""
        due = self.due
        if self.journal is not None and self.marking.asked and due is not None:
            self.journal.collect(self, until=due)
            self.take_pending()
        self.ring(at)
        for asked in self._open_questions():
            due = (asked.detail or {}).get("due")
            if "end" in (asked.detail or {}):
                from flowkit.runtime.timing import ends  # only who has a time

                if ends(self, asked, at):
                    continue
            if due is not None and due <= at:
                self.answer(asked.firing, asked.position, asked.detail.get("late"))
        if self.until is not None and self.until <= at:
            self.overdue()
        end = self.expires
        if end is not None and end <= at and self.marking.status == "waiting":
            self.reason = "its lifetime is over"
            self.apply(RunExpired(at))

    def overdue(self) -> None:
        """Its deadline has come: it fails, if it is not over."""
        from flowkit.runtime.timing import too_late  # only who has a deadline

        if self.over or self.marking.undoing is not None:
            return
        error = too_late(self)
        self.until = None  # undoing takes the time it takes
        self.context.run(_until.set, None)
        self.failures.append(error)
        self.apply(RunOverdue(now(), error))

    @property
    def timers(self) -> list[Timer]:
        """Times of the graph that have not come."""
        return [*self.marking.timers.values()]

    def ring(self, at: float) -> None:
        """Fire the graph's timers that were due by then."""
        for number, timer in list(self.marking.timers.items()):
            if timer.due <= at and not self.over:
                self.apply(TimerFired(at, number))

    def _armed(self, _: Arm) -> None:
        if self.alarm is not None:
            self.alarm()

    @property
    def expires(self) -> float | None:
        """When a stored run that waits is over, however it stands."""
        if self.lifetime is None or self.journal is None or not self.records:
            return None
        began: float = max(self.records[0].at, self.journal.born)
        return began + self.lifetime

    @property
    def ticks(self) -> bool:
        """Whether a time of its own moves it, not only its end."""
        return bool(self.marking.timers) or any(
            (asked.detail or {}).get("due") is not None or "end" in (asked.detail or {})
            for asked in self._open_questions()
        )

    @property
    def due(self) -> float | None:
        """When this run must be looked at next, None if only something else can."""
        times = [timer.due for timer in self.marking.timers.values()]
        for asked in self._open_questions():
            detail = asked.detail or {}
            due = detail.get("due")
            if due is not None:
                times.append(due)
            if "end" in detail:
                times.append(detail["end"][0])
        ends = (self.expires, self.until)
        times += [end for end in ends if end is not None]
        return min(times, default=None)

    def tell(self, signal: Any, **arguments: Any) -> None:
        """Send a signal about this run."""
        signals.tell(signal, type(self.flow), run=self, **arguments)

    def _tell_step(self, signal: Any, firing: Firing, **arguments: Any) -> None:
        step, attempt = firing.node.name, firing.attempt
        self.tell(signal, step=step, firing=firing.id, attempt=attempt, **arguments)


_ACTS: dict[type, Callable[[Run, Any], None]] = {
    Cancel: Run._cancel,
    Fault: Run._fault,
    Report: Run._report,
    Wait: Run._waits,
    Arm: Run._armed,
    Answer: Run._answer,
    Judge: Run._judge,
    End: Run._end,
}
_OUTCOMES = {StepFinished: "finished", StepFailed: "failed"}


def _told(error: Exception, run: Run, node: Node) -> Exception:
    """An error about a value, telling which step left it."""
    at: Callable[[str], Exception] | None = getattr(error, "at", None)
    return error if at is None else at(f"{run.net.definition.name}.{node.name}")


def _fits(asked: StepAsked, name: str, key: str | None) -> bool:
    detail = asked.detail or {}
    return name in detail.get("names", ()) and detail.get("key") == key


def _too_early(asked: StepAsked, event: EventReceived) -> bool:
    """Whether a question is only about what comes after it, and this came before."""
    return "transient" in (asked.detail or {}) and event.at < asked.at


def _too_deep(name: str) -> str:
    return (
        f"{name} was kicked off inside itself or other flows more than {MOST_NESTED} "
        f"levels deep. Give the recursion an end: a step that does not kick off again."
    )
