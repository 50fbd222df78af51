"""From a kickoff, or an id, to a stored run: a new one, or one that goes on."""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowkit.core.records import RunCancelled
from flowkit.errors import InputError, RunError
from flowkit.journal.codec import (
    UnstorableError,
    aliased,
    decode,
    decode_loosely,
    encode,
    widen_by,
)
from flowkit.journal.entries import read
from flowkit.journal.rows import RunRow, is_over
from flowkit.runtime.children import Children, failed_calls
from flowkit.runtime.claims import claim
from flowkit.runtime.clock import now
from flowkit.runtime.dues import expire
from flowkit.runtime.durable import Journal, flow_name
from flowkit.runtime.folding import effective, go_on, refold, requeue
from flowkit.runtime.giving_up import give_up
from flowkit.runtime.ids import next_id, run_id
from flowkit.runtime.kinds import known
from flowkit.runtime.launch import new_run
from flowkit.runtime.notes import jot
from flowkit.runtime.positions import RETRY
from flowkit.runtime.presence import presence_in
from flowkit.runtime.restore import EXTRA, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry
    from flowkit.runtime.run import Run

__all__ = [
    "begun_or_resumed",
    "cancel_row",
    "class_for",
    "class_of",
    "empty_run",
    "factories",
    "load",
    "made",
    "store_for",
    "widen",
]

factories: dict[type, Callable[[], Any]] = {}
"""How a flow object is made for a stored run, where it needs more than its class."""


def store_for(url: Any) -> Store:
    """A store object as it is, or the one of a URL (None: the default one)."""
    from flowkit.journal.urls import open_store

    if url is None or isinstance(url, str):
        return open_store(url)
    store: Store = url
    return store


def begun_or_resumed(
    flow: Any,
    inputs: Mapping[str, Any] | None,
    store: Store,
    *,
    id: str | None = None,
    restore: Any = None,
    met: RunRow | None = None,
    created_by: str = "",
    parent: str | None = None,
    tags: Iterable[str] = (),
) -> tuple[Run, bool]:
    """The run of a kickoff, and whether it is new and must be begun.

    ``id`` is the idempotency key: a run of that id goes on, or gives its outcome.
    ``inputs["id"]`` is the state's: what stopped in the middle goes on, what ended
    gives its state to a new run, what is unknown begins one under that id. Its Begin
    is refused (:class:`~flowkit.errors.RunExistsError`) if another process begins
    the same run, or one of that state, in the same moment.

    Args:
        met: the run that such a refusal has named: it goes on, as if it had been
            there before.

    Raises:
        InputError: the id was used with other inputs.
        RunError: another process moves that run.
    """
    widen()
    name = flow_name(type(flow))
    digest = _digest(inputs)
    if id is not None:
        row = store.run(id)
        if row is not None:
            _same_kickoff(row, name, digest)
            return load(_fitting(flow, row), store, row), False
    state_id = inputs.get("id") if inputs and restore is None else None
    if state_id is not None:
        row = _still_live(store, met) or store.by_state(name, str(state_id))
        if row is not None and row.status in {"running", "waiting", "failed"}:
            return load(_fitting(flow, row), store, row), False
        if row is not None and row.state and getattr(flow, "persistence", None) is None:
            _lay_under(flow, row)  # else what a persisted step saved last
        # Of two that begin on what this run left, one is refused, also if the other
        # has ended already: a state that is out of date is never gone on with.
        follows = next_id(name, str(state_id), "" if row is None else row.id)
        if met is None or met.id != follows:  # else that run has left the state
            id = id or follows
    run = new_run(flow, inputs, restore)
    row = RunRow(
        id or run_id(now()),
        name,
        "",
        inputs=digest,
        version=known[type(flow)].version,
        created_by=created_by,
        parent=parent,
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
    )
    journal = Journal(store, row)
    journal.alone = state_id is not None
    journal.attach(run)
    return run, True


def _still_live(store: Store, met: RunRow | None) -> RunRow | None:
    """The run that was in the way of another one of its state, if it still is."""
    row = None if met is None else store.run(met.id)
    return None if row is None or is_over(row.status) else row


def _fitting(flow: Any, row: RunRow) -> Any:
    """The flow object, or one of the class that is kept for that run's version."""
    cls = type(flow)
    older = [each for each in known[cls].older if known[each].version == row.version]
    return made(older[0]) if older else flow


def _digest(inputs: Mapping[str, Any] | None) -> str:
    given = {key: value for key, value in (inputs or {}).items() if key != "id"}
    try:
        text = encode(dict(sorted(given.items())), "the inputs")
    except UnstorableError:  # refused when the run begins, if it really is stored
        return ""
    return sha256(text.encode("ascii")).hexdigest()[:16]


def _same_kickoff(row: RunRow, name: str, digest: str) -> None:
    if row.flow != name:
        msg = f"Run {row.id!r} is one of {row.flow}, not of {name}. Give another id."
        raise InputError(msg)
    if row.inputs != digest:
        msg = (
            f"Run {row.id!r} of {row.flow} was begun with other inputs. The same id "
            f"means the same kickoff: give these inputs an id of their own."
        )
        raise InputError(msg)


def _lay_under(flow: Any, row: RunRow) -> None:
    """Bring the state that an ended run left into a flow object."""
    found = decode(row.state)
    fields = dict(found["s"])
    if "x" in found:
        fields[EXTRA] = found["x"]
    scope = flow._flowkit
    restored(scope.box, fields)
    scope.state = scope.box.live


def load(flow: Any, store: Store, row: RunRow, *, force: bool = False) -> Run:
    """A stored run on a flow object, claimed and ready to be driven.

    A run that failed goes on at the step that failed, one that went on in spite of
    failures at all of them. One that is over is given as it ended. What cannot go on
    is left as it was, for whoever can.

    Raises:
        RunError: another process moves it, or the class lacks where it stands.
        StoreError: its records cannot be read.
    """
    widen()
    run = empty_run(flow)
    over = row.status not in {"running", "waiting", "failed"}
    hold = None
    if not over:
        row, hold = claim(store, row.id, force=force)
    journal = Journal(store, row)
    journal.hold = hold
    journal.attach(run)
    run.children = Children(run, cancel_row)
    if not over and row.parent is not None:
        from flowkit.runtime.callers import found_caller  # only called runs

        found_caller(run)
    try:
        refold(run, journal)
        if run.over and row.status == "failed":
            _again(run, journal)
        if not (run.over or run.ready):
            go_on(run, journal)
        elif row.status in {"running", "waiting"}:
            journal.ended(run)
    except BaseException:
        give_up(journal)
        raise
    if run.over:
        give_up(journal)
        return run
    if run.marking.asked:
        from flowkit.runtime.desk import found  # only who waits

        found(run)
    if run.caller is not None and run.caller.over:
        from flowkit.runtime.callers import orphaned  # only called runs

        orphaned(run)
    expire(run, now())
    journal.post(run, store.letters(row.id))
    return run


def cancel_row(
    store: Store, row: RunRow, reason: str, *, called_off: bool = False
) -> None:
    """Cancel a stored run, wherever it is moved; ``called_off`` by its caller."""
    moved = presence_in(store).moving.get(row.id)
    if moved is not None and moved.active:
        moved.withdrawn = moved.withdrawn or called_off
        moved.cancel(reason)
        return
    run = load(made(class_for(row)), store, row, force=True)
    if not run.over:
        if called_off:
            run.caller = None
        run.journal.blocking = True
        run.reason = reason
        run.apply(RunCancelled(now(), reason))
    run.settle_end()
    if run.caller is not None:
        run.caller.tell_blocking(run)


def empty_run(flow: Any) -> Run:
    """A run of a flow object whose state comes from records, not from inputs."""
    box = flow._flowkit.box
    lacks, box.incomplete = box.incomplete, False
    try:
        return new_run(flow, None)
    finally:
        box.incomplete = lacks


def _again(run: Run, journal: Journal) -> None:
    """Have a run that has failed stand where it goes on."""
    marking = run.marking
    if marking.dead or marking.not_undone or marking.lost_groups:
        requeue(run, journal)
    else:
        refold(run, journal, _retried(journal))


def _retried(journal: Journal) -> list[Entry]:
    """The records of a failed run, what ended it taken back: that step starts again."""
    entries = journal.store.entries(journal.row.id)
    facts = [each for each in effective(entries) if not each.kind.startswith("note:")]
    journal.seq = entries[-1].seq
    if facts and facts[-1].kind in {"done", "fail", "timer", "overdue"}:
        data: Any = facts[-1].seq - 1
        redo = failed_calls(facts)
        if redo:
            data = {"to": data, "redo": redo}
        entries.append(jot(journal, "rewind", data))
        failed = facts[-1].firing
        tried = any(each.firing == failed and _is_try(each) for each in facts)
        again = any(each.kind == "note:again" for each in entries)
        if failed is not None and (tried or again):
            entries.append(jot(journal, "fresh", failed))
    return entries


def _is_try(entry: Entry) -> bool:
    """Whether a record tells of a failed attempt, of a step or of one it called."""
    if entry.kind != "ask":
        return entry.kind == "defer"
    record: Any = read(entry, decode_loosely).record
    return bool(record.verb == RETRY)


def class_of(name: str) -> type:
    """The flow class of a stored name.

    Raises:
        RunError: it is not there, or is no flow.
    """
    for cls in reversed(known):  # a notebook may define it again
        if flow_name(cls) == name:
            return cls
    found: Any = aliased(name)
    module, _, path = name.partition(":")
    try:
        if found is None:
            found = import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
            found = getattr(found, "__flowkit_class__", found)  # of a function
    except (ImportError, AttributeError):
        found = None
    if not isinstance(found, type) or found not in known:
        from flowkit.core.validate import closest

        guess = closest(name, frozenset(map(flow_name, known)))
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"The flow class {name!r} of a stored run is not there.{hint} Import or "
            f"define it under this name before its runs are resumed, or tell its new "
            f"place: flowkit.journal.codec.alias({name!r}, TheClass)."
        )
        raise RunError(msg)
    return found


def class_for(row: RunRow) -> type:
    """The class that moves a stored run: one kept for its version, else the present.

    Raises:
        RunError: it is not there, or is no flow.
    """
    cls = class_of(row.flow)
    for older in known[cls].older:
        if known[older].version == row.version:
            return older
    return cls


def made(cls: type, store: Any = None) -> Any:
    """A flow object for a stored run; ``store`` is where its new ones are kept.

    Raises:
        RunError: the class cannot be made without arguments, and has no factory.
    """
    factory = factories.get(cls, cls)
    try:
        flow = factory()
    except TypeError as error:
        msg = (
            f"{cls.__name__} could not be made to resume a run: {error}. Register how: "
            f"flowkit.factory({cls.__name__}, lambda: {cls.__name__}(..))."
        )
        raise RunError(msg) from error
    if store is not None:
        flow._flowkit.options["store"] = store
    return flow


_widened: list[bool] = []


def widen() -> None:
    """Let stored states be read whose model has gained an id."""
    if not _widened:
        from flowkit.runtime.models import with_id

        widen_by(with_id)
        _widened.append(True)
