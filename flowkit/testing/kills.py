"""Kill a run at a record and resume it; check that nothing is lost or done twice."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowkit.core.records import CallEnded
from flowkit.journal.codec import decode_loosely
from flowkit.journal.queries import Query
from flowkit.runtime import desk, signals
from flowkit.runtime.children import called_rows
from flowkit.runtime.folding import effective
from flowkit.runtime.inbox import drive_on
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import class_for, load, made
from flowkit.runtime.presence import presence_in
from flowkit.runtime.story import read_loosely
from flowkit.testing.paths import path_of
from flowkit.testing.script import begun, made_of, playing
from flowkit.testing.stores import KilledError, KillingStore, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowkit.journal.rows import Entry
    from flowkit.runtime.run import Run
    from flowkit.testing.script import Answers, Arrives, Script, TimePasses

__all__ = ["Survived", "kill_and_resume", "survives_kills"]


@dataclass(slots=True)
class Survived:
    """A run that was killed and resumed.

    Attributes:
        run: its handle, after the resume.
        killed: where: ``after charge`` or ``before record 3 (charge)``.
        starts: how often each step's body was begun, in both lives.
        path: the steps in the order they ended, in both lives.
    """

    run: Run
    killed: str
    starts: Counter[str] = field(default_factory=Counter)
    path: list[str] = field(default_factory=list)

    @property
    def result(self) -> Any:
        """The run's outcome; raises what ended it."""
        return self.run.outcome()


def kill_and_resume(
    flow: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    after: Any = None,
    before: Any = None,
    outside: Iterable[Arrives | Answers | TimePasses] = (),
    begins: Arrives | None = None,
) -> Survived:
    """Run a flow, kill it at a step, resume it, and check that no step ran twice.

    The kill is that of a process: what is stored stays, what is in memory is gone.
    The run is resumed on a new flow object, from a store in memory.

    Args:
        flow: a flow class, a function flow, or a function that makes a flow object.
        inputs: as for ``kickoff``.
        after: the step whose record is the last one that is kept.
        before: the step whose body has run and whose record is lost; it runs again.
        outside: what comes from outside, as for :func:`play`.
        begins: the event that begins the run, instead of a kickoff.

    Raises:
        AssertionError: the run never came there, or a step that had ended ran again.
        ValueError: neither ``after`` nor ``before``, or both.
    """
    if (after is None) == (before is None):
        msg = "kill_and_resume takes the step to be killed at: after= or before=."
        raise ValueError(msg)
    step = after if before is None else before
    name = step if isinstance(step, str) else step.__name__
    store = KillingStore(
        lambda at, entry: not at and _ends(entry, name), before=before is not None
    )
    where = f"{'after' if before is None else 'before'} {name}"
    return _killed(flow, inputs, store, where, outside, begins)


def survives_kills(
    flow: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    outside: Iterable[Arrives | Answers | TimePasses] = (),
    begins: Arrives | None = None,
    ignore: Iterable[str] = (),
) -> int:
    """Kill a run before and after each record; compare it with a whole one.

    Status, result and state must be the same, and no step that had ended may run
    again. The same with the runs that it calls. The flow must be one that gives the
    same twice: stub what is not.

    Args:
        flow: as for :func:`kill_and_resume`.
        inputs: as for ``kickoff``.
        outside: what comes from outside, as for :func:`play`.
        begins: the event that begins the run, instead of a kickoff.
        ignore: fields of the state that differ from run to run.

    Returns:
        How often it was killed.

    Raises:
        AssertionError: a kill changed something; it says which, and what.
    """
    script = tuple(outside)
    store = KillingStore(None)
    with playing(script, None) as playing_script:
        whole = _begun(flow, inputs, begins, store)
        _play_on(playing_script, whole)
    expected = _left_by(store, whole, ignore)
    kills = 0
    for row in store.runs(Query(limit=1_000))[::-1]:
        at = place(row.id)
        of = f" of {row.flow.rpartition(':')[2]}" if at else ""
        for entry in store.entries(row.id):
            for before in (True, False):
                killing = KillingStore(_numbered(at, entry.seq), before=before)
                where = f"{'before' if before else 'after'} record {entry.seq}"
                where += f" ({entry.step or entry.kind}){of}"
                survived = _killed(flow, inputs, killing, where, script, begins)
                found = _left_by(killing, survived.run, ignore)
                if found != expected:
                    raise AssertionError(_changed(whole, where, expected, found))
                kills += 1
    return kills


def _numbered(at: str, seq: int) -> Callable[[str, Entry], bool]:
    return lambda where, entry: where == at and entry.seq == seq


def _begun(flow: Any, inputs: Any, begins: Arrives | None, store: KillingStore) -> Run:
    target = made_of(flow)
    target._flowkit.options["store"] = store
    return begun(target, inputs, begins)


def _play_on(script: Script, run: Run) -> None:
    script.play_on(run)
    script.check(run)


def _killed(  # noqa: PLR0917 - what both verbs share
    flow: Any,
    inputs: Any,
    store: KillingStore,
    where: str,
    outside: Iterable[Arrives | Answers | TimePasses],
    begins: Arrives | None,
) -> Survived:
    with playing(outside, None) as script, _starts() as starts:
        run = _begun(flow, inputs, begins, store)
        script.play_on(run)
        if script.fault is not None and not isinstance(script.fault, KilledError):
            raise script.fault
        script.fault = None
        name = type(run.flow).__name__
        if store.killed is None:
            msg = f"{name} was to be killed {where}, and took the path {_path(run)}."
            raise AssertionError(msg)
        stored = store.run(run.id)
        _forget(store)
        store.revive()
        ended = {
            (place(row.id), entry.step, entry.firing)
            for row in store.runs(Query(limit=1_000))
            for entry in effective(store.entries(row.id))
            if entry.kind in {"done", "fail"} and entry.firing is not None
        }
        first = Counter(starts)
        if stored is None:
            run = _begun(flow, inputs, begins, store)
        else:
            run = _resumed(flow, store, run.id, script)
        _play_on(script, run)
    again = {each for each, times in starts.items() if times > first[each]}
    twice = sorted(f"{each[1]} (firing {each[2]})" for each in again if each in ended)
    if twice and stored is not None:
        msg = f"{name} was killed {where}; resumed, it ran {', '.join(twice)} again."
        raise AssertionError(msg)
    begins_of: Counter[str] = Counter()
    for (_, step, _), times in starts.items():
        begins_of[step] += times
    return Survived(run, where, begins_of, path_of(run))


def _ends(entry: Entry, step: str) -> bool:
    """Whether a record says that a step has ended, one that a function calls too."""
    if entry.kind == "call":
        record = read_loosely(entry).record
        return isinstance(record, CallEnded) and record.step == step
    return entry.step == step and entry.kind in {"done", "fail", "stop"}


def _forget(store: KillingStore) -> None:
    """A process that is gone answers nobody."""
    for each in desk.places():
        journal = None if each.run is None else each.run.journal
        if journal is not None and journal.store is store:
            desk.take(each.token)


def _resumed(flow: Any, store: KillingStore, run_id: str, script: Script) -> Run:
    """Go on with a run, and with those it had called when it was killed."""
    run = _loaded(flow, store, run_id)
    _go_on(run, script)
    if run.status == "waiting" and _resumed_calls(store, run_id, script):
        if run.over:  # it was let go, so that those it has called could go on
            run = _loaded(flow, store, run_id)
        run.journal.acquire(run)
        run.journal.collect(run)
        _go_on(run, script)
    return run


def _resumed_calls(store: KillingStore, run_id: str, script: Script) -> bool:
    """Go on with the runs that a run has called; whether there are any."""
    called = [each.id for each in called_rows(store, run_id, ("running", "waiting"))]
    for each in called:
        row = store.run(each)
        assert row is not None  # noqa: S101 - nobody deletes it
        _resumed(lambda row=row: made(class_for(row)), store, each, script)
    return bool(called)


def _loaded(flow: Any, store: KillingStore, run_id: str) -> Run:
    row = store.run(run_id)
    assert row is not None  # noqa: S101 - it was read before
    presence_in(store).moving.pop(run_id, None)  # a thread left behind moves nothing
    return load(made_of(flow), store, row)


def _go_on(run: Run, script: Script) -> None:
    if run.over:
        return
    if not run.ready and not run.pending and run.status == "waiting":
        script.next(run)  # nothing is decided that could tell it
    try:
        drive_on(run, known[type(run.flow)].backend)
    except Exception as error:
        if error not in run.failures:
            raise


@contextmanager
def _starts() -> Iterator[Counter[tuple[str, str, int]]]:
    """Counts begun bodies by the run's place, step and firing."""
    found: Counter[tuple[str, str, int]] = Counter()

    def note(sender: Any, run: Run, step: str, firing: int, **_: Any) -> None:
        found[place(run.id), step, firing] += 1

    signals.step_started.connect(note, weak=False)
    try:
        yield found
    finally:
        signals.step_started.disconnect(note)


def _path(run: Run) -> str:
    return ", ".join(path_of(run)) or "of no step"


def _left_by(store: KillingStore, run: Run, ignore: Iterable[str]) -> dict[str, Any]:
    """Status, result and state of a run, as stored."""
    row = store.run(run.id)
    if row is None:
        return {"status": "not stored"}
    found: dict[str, Any] = {"status": row.status, "error": row.error}
    found["result"] = decode_loosely(row.result) if row.result else None
    state = decode_loosely(row.state)["s"] if row.state else run.box.committed()
    left = {"id", *ignore}
    found |= {
        f"state.{name}": value
        for name, value in dict(state).items()
        if name not in left
    }
    return found


def _changed(
    whole: Run, where: str, expected: dict[str, Any], found: dict[str, Any]
) -> str:
    lines = [f"{type(whole.flow).__name__} killed {where} and resumed is another one:"]
    for name in sorted({*expected, *found}):
        one, other = expected.get(name, "-"), found.get(name, "-")
        if one != other:
            lines.append(f"  {name} is {other!r}, and {one!r} if nobody kills it")
    return "\n".join(lines)
