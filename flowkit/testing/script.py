"""A run played by a script: what comes from outside, in order, when the run waits."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit import tasks
from flowkit.core.definition import leaves
from flowkit.core.durations import seconds
from flowkit.core.faults import closest
from flowkit.errors import RunError
from flowkit.journal.codec import encode
from flowkit.journal.rows import Accept, Delivery
from flowkit.journal.writer import writer_of
from flowkit.runtime.clock import ManualClock, current_clock, now
from flowkit.runtime.correlation import carried_key
from flowkit.runtime.dues import expire
from flowkit.runtime.durable import flow_name
from flowkit.runtime.inbox import accepted, drive_on, takes
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import new_run, payload_for, required, store_of
from flowkit.runtime.opening import begun_or_resumed, store_for
from flowkit.runtime.people import HumanFeedbackPending
from flowkit.runtime.providers import flow_config
from flowkit.testing.clocks import BEGIN, manual_clock, told_of_waits
from flowkit.testing.paths import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowkit.runtime.people import PendingFeedbackContext
    from flowkit.runtime.run import Run

__all__ = ["Answers", "Arrives", "Script", "TimePasses", "made_of", "play", "playing"]


class Arrives(NamedTuple):
    """An event that arrives while the run waits for it, or that begins the run.

    Attributes:
        name: of the event.
        payload: anything.
        key: correlation key, or None.
    """

    name: str
    payload: Any = None
    key: str | None = None

    def __str__(self) -> str:
        key = "" if self.key is None else f" with the key {self.key!r}"
        return f"the event {self.name!r}{key}"

    def act(self, run: Run) -> bool | None:
        """Hand it in; None if the run does not take it, True if it moves."""
        key = None if self.key is None else str(self.key)
        if run.journal is not None and not run.active:
            run.journal.acquire(run)
        if not takes(run, self.name, key):
            return None
        payload, shares = accepted(run, self.name, self.payload)
        if getattr(run.journal and run.journal.store, "of_one_run", False):
            _post(run, self, key)  # so that no kill loses it
        else:  # this run is meant, not another one that waits for the same
            run.event(self.name, payload, key, None, shares)
        _move(run)
        return True


class Answers(NamedTuple):
    """A person answers the open question of a step.

    Attributes:
        step: the step that asks.
        value: the answer; for a proposal that is edited its new value.
        by: who answers.
        comment: what is said with it.
        verb: ``answer``, or for a proposal ``approve``, ``reject`` or ``edit``.
    """

    step: str
    value: Any = None
    by: str | None = None
    comment: str = ""
    verb: str = "answer"

    def __str__(self) -> str:
        return f"the answer {self.value!r} to {self.step}"

    def act(self, run: Run) -> bool | None:
        """Answer; None if the step asks nobody, True if the run moves."""
        for task in tasks.list(run=run.id, store=run.journal and run.journal.store):
            if task.step.rpartition(".")[2] != self.step:
                continue
            store = run.journal and run.journal.store
            more = {"by": self.by, "comment": self.comment, "store": store}
            if self.verb in {"approve", "reject"}:
                getattr(tasks, self.verb)(task.token, **more)
            else:
                getattr(tasks, self.verb)(task.token, self.value, **more)
            return True
        return None


class TimePasses(NamedTuple):
    """The clock goes on: so far, or to the next time that the run waits for.

    Attributes:
        length: seconds, or text such as ``"14d"``; None to the next time.
    """

    length: float | str | None = None

    def __str__(self) -> str:
        if self.length is None:
            return "the next time it waits for"
        return f"{self.length} of waiting"

    def act(self, run: Run) -> bool | None:
        """Move the clock; None if there is no time to move it to, True if it is due."""
        clock, due = current_clock(), run.due
        if not isinstance(clock, ManualClock) or (due is None and self.length is None):
            return None
        if self.length is None and due is not None:
            clock.advance(max(0.0, due - now()))
        else:
            clock.advance(seconds(self.length, "TimePasses"))
        if due is None or due > now():
            return False
        if not run.active:
            expire(run, now())
            _move(run)
        return True


def _post(run: Run, event: Arrives, key: str | None) -> None:
    """Put an event into the inbox of a run, and have the run look there."""
    store = run.journal.store
    if key is None:
        waits = [each.wait for each in store.waits(run=run.id)]
        key = next((w.key for w in waits if w.name == event.name), None)
    cls = flow_name(type(run.flow))
    share = Delivery(cls, encode(event.payload, str(event)), keep=True)
    writer_of(store).now(Accept(event.name, key, None, now(), (share,)))
    _look_into_inbox(run)


def _look_into_inbox(run: Run) -> None:
    if run.active:
        run.pending.append(lambda: run.journal.collect(run))
    else:
        run.journal.collect(run)


def _move(run: Run) -> None:
    """Have whoever drives a run look at what came, or drive it on."""
    if run.active:
        run.rest(resting=False)
        if run.hurry is not None:
            run.hurry()
    else:
        _drive(run)


def _drive(run: Run) -> None:
    try:
        drive_on(run, known[type(run.flow)].backend)
    except Exception as error:
        if not _is_outcome(run, error):
            raise


def _is_outcome(run: Run | None, error: BaseException) -> bool:
    """Whether an error is how the run ended, which its handle tells as well."""
    return run is not None and (error in run.failures or error is run.lost)


class Script:
    """What comes from outside, in order.

    Attributes:
        left: what has not come yet.
        fault: why something could not come: a payload or an answer that does not fit.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self.left: deque[Any] = deque(items)
        self.fault: Exception | None = None

    def next(self, run: Run) -> None:
        """A run can only wait: let the next thing come, or leave it there.

        One that waits for a flow it has called is not asked as long as that one is.
        """
        if run.context.get(_script) is not self or _called_moves(run) or _moves(run):
            return
        try:
            if self._came(run):
                return
        except Exception as error:  # noqa: BLE001 - raised where it is played
            self.fault = error
            run.halt(error)
            return
        if run.journal is None and run.above is not None:
            return  # it lives in its caller's memory, and is left with it
        if run.marking.asked or run.marking.timers:
            _leave(run)  # else it would wait in memory for a time that never comes

    def _came(self, run: Run) -> bool:
        """Let things come until something moves the run; whether it did."""
        while self.left:
            item = (
                self.left.popleft()
            )  # first: it may drive the run, which asks for more
            taken = item.act(run)
            if taken is None:
                self.left.appendleft(item)
                return False
            if taken:
                return True
        return False

    def play_on(self, run: Run) -> None:
        """Go on while the run waits and something is left to come."""
        while run.status == "waiting" and not run.over and self._came(run):
            pass

    def check(self, run: Run) -> None:
        """Complain of what could not come, or never did.

        Raises:
            AssertionError: the run did not wait for it.
            Exception: what refused it.
        """
        if self.fault is not None:
            raise self.fault
        if self.left:
            stands = f"is {run.status}"
            if run.status == "waiting":
                stands = f"waits for {', '.join(run.awaits) or 'nothing from outside'}"
            msg = (
                f"{type(run.flow).__name__} was to get {self.left[0]}, and {stands}. "
                f"Its path so far: {', '.join(path_of(run)) or 'no step has ended'}."
            )
            raise AssertionError(msg)


class _Pauses:
    """Asks nobody: a review waits for the script."""

    def request_feedback(
        self,
        context: PendingFeedbackContext,
        flow: Any,  # noqa: ARG002 - the protocol's
    ) -> str:
        raise HumanFeedbackPending(context=context)


@contextmanager
def _reviews_pause() -> Iterator[None]:
    before = flow_config.hitl_provider
    if before is None:
        flow_config.hitl_provider = _Pauses()
    try:
        yield
    finally:
        flow_config.hitl_provider = before


_script: ContextVar[Script | None] = ContextVar("flowkit_script", default=None)


def _moves(run: Run) -> bool:
    """Whether something has come already that the run has not looked at."""
    due = run.due
    return bool(run.pending) or run.over or (due is not None and due <= now())


def _called(run: Run) -> list[Run]:
    """The runs that a run has called, of steps at work."""
    if run.children is None:
        return []
    return [child for each in run.children.runs.values() for child in each.values()]


def _called_moves(run: Run) -> bool:
    """Whether a run that this one has called is asked itself, or has just ended."""
    return any(
        not child.lost_or_kept
        if child.over
        else child.active
        and (child.journal is not None or not child.resting or _moves(child))
        for child in _called(run)
    )


def _leave(run: Run) -> None:
    run.halt(None)
    for child in _called(run):
        if child.journal is None:
            _leave(child)


@contextmanager
def playing(outside: Iterable[Any], at: float | None) -> Iterator[Script]:
    """Within the block a script acts on runs begun there, on a manual clock."""
    script = Script(outside)
    with ExitStack() as stack:
        if at is not None or not isinstance(current_clock(), ManualClock):
            stack.enter_context(manual_clock(BEGIN if at is None else at))
        stack.enter_context(told_of_waits(script.next))
        stack.enter_context(_reviews_pause())
        token = _script.set(script)
        try:
            yield script
        finally:
            _script.reset(token)


def play(
    flow: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    outside: Iterable[Arrives | Answers | TimePasses] = (),
    begins: Arrives | None = None,
    at: float | None = None,
) -> Run:
    """Play a run to its end, or until it waits for what the script has not got.

    Each item of the script comes when all that is left to do in the run is to wait;
    then the run goes on. Time stands still but for :class:`TimePasses`. Blocks, also
    within an event loop; the flow's own backend, or the loop's, runs its steps.

    Args:
        flow: a flow class, a flow object, a function flow, or a function that makes
            a flow object.
        inputs: as for ``kickoff``; those of a function flow by name.
        outside: what comes, in order.
        begins: the event that begins the run, instead of a kickoff.
        at: when the clock begins, in seconds since the epoch; that of a manual clock
            in use if None, else 2026-01-01.

    Returns:
        The handle of the run, however it ended: ``run.outcome()`` raises what a step
        raised.

    Raises:
        AssertionError: something of the script never came, as nothing waited for it.
        InputError: inputs or a payload that do not fit.
    """
    made = made_of(flow)
    with playing(outside, at) as script:
        run = begun(made, inputs, begins)
        script.play_on(run)
        script.check(run)
    return run


def made_of(flow: Any) -> Any:
    """A flow object, of a class, of a function that makes one, or the object."""
    flow = getattr(flow, "__flowkit_class__", flow)  # of a function flow
    if hasattr(flow, "_flowkit") and not isinstance(flow, type):
        return flow
    return flow()


def begun(flow: Any, inputs: Any, begins: Arrives | None) -> Run:
    """Begin a run and drive it until it is over or waits."""
    if begins is None:
        _quietly(flow, lambda: flow.kickoff(inputs))
    else:
        _begin_by_event(flow, begins)
    run: Run | None = flow._flowkit.run
    if run is None:
        name = type(flow).__name__
        msg = f"{name}.kickoff() began no run. Let its own kickoff call that of Flow."
        raise RunError(msg)
    return run


def _quietly(flow: Any, work: Callable[[], Any]) -> None:
    try:
        work()
    except Exception as error:
        if not _is_outcome(flow._flowkit.run, error):
            raise


def _no_start(cls: type, begins: Arrives) -> str:
    names = {
        leaf.name
        for node in known[cls].compiled.net.nodes
        if node.step.conditional
        for leaf in leaves(node.step.trigger)
        if leaf.kind == "event"
    }
    guess = closest(begins.name, frozenset(names))
    hint = f" Did you mean {guess!r}?" if guess else ""
    told = ", ".join(map(repr, sorted(names))) or "no event: leave out begins="
    return f"{cls.__name__} has no start on {begins}.{hint} It begins by {told}."


def _begin_by_event(flow: Any, begins: Arrives) -> None:
    cls = type(flow)
    starts = known[cls].compiled.net.event_starts(begins.name)
    if not starts:
        raise RunError(_no_start(cls, begins))
    payloads = {node.name: payload_for(cls, node, begins.payload) for node in starts}
    store, _ = store_of(flow)
    inputs = required(flow, begins.payload)
    if store is None:
        run = new_run(flow, inputs)
    else:
        run, _ = begun_or_resumed(flow, inputs, store_for(store))
        flow._flowkit.run = run
    key = carried_key(known[cls], begins.name, begins.payload)
    run.key = key if begins.key is None else str(begins.key)
    run.begin(begins.name, payloads)
    _drive(run)
