"""From a kickoff, or an id, to a stored run: a new one, or one that goes on."""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowkit.errors import InputError, RunError
from flowkit.journal.codec import UnstorableError, decode, encode, widen_by
from flowkit.journal.rows import RunRow
from flowkit.runtime.clock import now
from flowkit.runtime.durable import EXTRA, Journal, claim, flow_name, refold
from flowkit.runtime.ids import next_id, run_id
from flowkit.runtime.launch import known, new_run
from flowkit.runtime.restore import restored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = ["begun_or_resumed", "class_of", "factories", "load", "store_for"]

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
    created_by: str = "",
    parent: str | None = None,
    tags: tuple[str, ...] = (),
) -> tuple[Run, bool]:
    """The run of a kickoff, and whether it is new and must be begun.

    ``id`` is the idempotency key: a run of that id goes on, or gives its outcome.
    ``inputs["id"]`` is the state's: what stopped in the middle goes on, what ended
    gives its state to a new run, what is unknown begins one under that id. Two
    processes that do so at once give their run the same id, so that one is refused.

    Raises:
        InputError: the id was used with other inputs.
        RunError: another process moves that run.
    """
    _widen()
    name = flow_name(type(flow))
    digest = _digest(inputs)
    if id is not None:
        row = store.run(id)
        if row is not None:
            _same_kickoff(row, name, digest)
            return load(flow, store, row), False
    state_id = inputs.get("id") if inputs and restore is None else None
    if state_id is not None:
        row = store.by_state(name, str(state_id))
        if row is not None and row.status in {"running", "waiting", "failed"}:
            return load(flow, store, row), False
        if row is not None and row.state and getattr(flow, "persistence", None) is None:
            _lay_under(flow, row)  # else what a persisted step saved last
        id = id or next_id(name, str(state_id), "" if row is None else row.id)
    run = new_run(flow, inputs, restore)
    row = RunRow(
        id or run_id(now()),
        name,
        "",
        inputs=digest,
        version=str(getattr(type(flow), "version", "") or ""),
        created_by=created_by,
        parent=parent,
        tags=tags,
    )
    Journal(store, row).attach(run)
    return run, True


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


def load(flow: Any, store: Store, row: RunRow) -> Run:
    """A stored run on a flow object, claimed and ready to be driven.

    A run that failed goes on at the step that failed. One that is over is given as
    it ended.

    Raises:
        RunError: another process moves it, or the class lacks where it stands.
        StoreError: its records cannot be read.
    """
    _widen()
    run = new_run(flow, None)
    over = row.status not in {"running", "waiting", "failed"}
    hold = None
    if not over:
        row, hold = claim(store, row.id)
    journal = Journal(store, row)
    journal.hold = hold
    journal.attach(run)
    if row.status == "failed":
        _retry(run, journal)
    refold(run, journal)
    if over or run.over:
        journal.leave(run)
        return run
    if run.marking.asked:
        from flowkit.runtime.desk import found  # only who waits

        found(run)
    _interrupted(run, journal)
    run.restart()
    run.expire(now())
    journal._post(run, store.letters(row.id))
    return run


def _retry(run: Run, journal: Journal) -> None:
    """Take the failure that ended a run back: its step starts once more."""
    entries = journal.store.entries(journal.row.id)
    ended = next((e.seq for e in reversed(entries) if e.kind == "fail"), None)
    if ended is None:
        return
    journal.seq = entries[-1].seq
    journal.note("rewind", ended - 1, status="running", error="")
    journal.row = journal.row._replace(status="running")


def _interrupted(run: Run, journal: Journal) -> None:
    """Note which firings start once more, so that they know their attempt."""
    marking = run.marking
    queued = marking.queued or {}
    behind = {each.id for line in queued.values() for each in line}
    again = [
        number
        for number in marking.live
        if number not in marking.asked and number not in behind
    ]
    if again:
        journal.note("again", again, status=marking.status)
        for number in again:
            marking.live[number].attempt += 1


def class_of(name: str) -> type:
    """The flow class of a stored name.

    Raises:
        RunError: it is not there, or is no flow.
    """
    for cls in known:
        if flow_name(cls) == name:
            return cls
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
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


def made(cls: type) -> Any:
    """A flow object for a stored run.

    Raises:
        RunError: the class cannot be made without arguments, and has no factory.
    """
    factory = factories.get(cls, cls)
    try:
        return factory()
    except TypeError as error:
        msg = (
            f"{cls.__name__} could not be made to resume a run: {error}. Register how: "
            f"flowkit.factory({cls.__name__}, lambda: {cls.__name__}(..))."
        )
        raise RunError(msg) from error


_widened: list[bool] = []


def _widen() -> None:
    if not _widened:
        from flowkit.runtime.models import with_id

        widen_by(with_id)
        _widened.append(True)
