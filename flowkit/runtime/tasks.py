"""Tasks: the open questions of flows to people, found, claimed and answered.

A task lives where its run does: in a store, or in this process. Its answer is an
event: with a store it is durable once the call returns, whoever drives the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.errors import NotFoundError, RunError, StoreError
from flowkit.journal.urls import default_url
from flowkit.runtime import desk, signals
from flowkit.runtime.answers import answer_to, shown_of
from flowkit.runtime.durable import flow_name
from flowkit.runtime.opening import class_of, store_for
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Waiting

__all__ = ["Task", "answer", "claim", "get", "listed", "release"]

MOST = 100_000


@dataclass(frozen=True)
class Task:
    """A question of a step to people, as long as it is open.

    Attributes:
        token: names it, and is all that is needed to answer it: keep it secret.
        flow: name of the class, ``package.module:Class``.
        run: id of the run.
        step: that asks.
        message: the question.
        role: who is to answer, None for anybody.
        options: what can be answered, None if that is free.
        schema: JSON schema of the answer, None if it is free.
        proposal: what is to be approved or reviewed, as JSON has it.
        requested_by: whose request it is.
        four_eyes: whether somebody else than that has to answer.
        assigned_to: who has claimed it, None for nobody.
        asked: when, in seconds since the epoch.
        due: when its time is over, None for never.
        metadata: what the step gave with it, as JSON has it.
    """

    token: str
    flow: str
    run: str
    step: str
    message: str
    role: str | None = None
    options: list[Any] | None = None
    schema: dict[str, Any] | None = None
    proposal: Any = None
    requested_by: str | None = None
    four_eyes: bool = False
    assigned_to: str | None = None
    asked: float = 0.0
    due: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Found(NamedTuple):
    """An open task with where it lives: ``store``, or ``held`` in this process."""

    task: Task
    shown: dict[str, Any]
    store: Store | None
    held: desk.Place | None


_TAKEN = ("role", "options", "schema", "proposal", "requested_by", "due")


def _task(
    token: str, flow: str, run: str, shown: dict[str, Any], assigned: str | None
) -> Task:
    return Task(
        token,
        flow,
        run,
        shown["step"],
        shown["message"],
        four_eyes=shown["four_eyes"],
        assigned_to=assigned or None,
        asked=shown["asked"],
        metadata=shown["metadata"] or {},
        **{key: shown.get(key) for key in _TAKEN},
    )


def listed(
    role: str | None = None,
    flow: Any = None,
    run: Any = None,
    store: Any = None,
) -> list[Task]:
    """Open tasks, oldest first."""
    name = None if run is None or isinstance(run, str) else run.id
    wanted = run if name is None else name
    found = [each.task for each in _all(wanted, store)]
    return sorted(
        (
            task
            for task in found
            if role in {None, task.role}
            and wanted in {None, task.run}
            and _is_of(flow, task.flow)
        ),
        key=lambda task: task.asked,
    )


def _is_of(flow: Any, name: str) -> bool:
    if flow is None:
        return True
    asked = flow if isinstance(flow, str) else flow_name(flow)
    return asked in {name, name.partition(":")[2]}


def _all(run: str | None, store: Any) -> Iterator[Found]:
    if store is None:
        for place in desk.places():
            found = _held(place)
            if found is not None:
                yield found
    for each in _stores(store):
        try:
            rows = each.waits(kind="person", run=run, limit=MOST)
        except StoreError as error:
            if store is not None:
                raise
            signals.log().warning("tasks could not look into %s: %s", each.url, error)
            continue
        for row in rows:
            if not each.seen(desk.answer_name(row.wait.token)):
                yield _stored(each, row)


def _held(place: desk.Place) -> Found | None:
    """An open question of a run that only this process has."""
    run = place.run
    if run is None or run.journal is not None:
        return None
    asked = desk.asked_as(run, place.token)
    if asked is None:
        return None
    shown = shown_of(asked)
    name = flow_name(type(run.flow))
    return Found(
        _task(place.token, name, run.id, shown, place.claimed), shown, None, place
    )


def _stored(store: Store, row: Waiting) -> Found:
    token = row.wait.token
    shown = json.loads(row.wait.data)
    assigned = store.cell(_cell(token))
    task = _task(token, row.flow, row.run, shown, assigned)
    return Found(task, shown, store, desk.find(token))


def _cell(token: str) -> str:
    return f"task:{token}"


def _stores(store: Any) -> list[Store]:
    """Where to look: where it is said, else wherever this process knows of."""
    if store is not None:
        return [store_for(store)]
    found = list(desk.stores)
    url = default_url()
    if environ.get("FLOWKIT_STORE") or Path(url.removeprefix("sqlite:///")).exists():
        opened = store_for(url)
        if opened not in found:
            found.append(opened)
    return found


def _open(token: str, store: Any) -> Found:
    """The task of that token.

    Raises:
        NotFoundError: there is none.
        RunError: it is over.
    """
    place = desk.find(token) if store is None else None
    run = None if place is None else place.run
    if place is not None and run is not None and run.journal is None:
        held = _held(place)
        if held is None:
            raise RunError(_over(token))
        return held
    if run is not None and run.journal is not None:
        store = run.journal.store
    stores = _stores(store)
    for each in stores:
        if each.seen(desk.answer_name(token)):
            raise RunError(_over(token))
        for row in each.waits(token=token):
            return _stored(each, row)
    where = " or in ".join(["here", *(each.url for each in stores)])
    msg = (
        f"No task with the token {token!r} is open {where}. It is over (answered, too "
        f"late, or its run was cancelled), or kept in another store: give store=."
    )
    raise NotFoundError(msg)


def _over(token: str) -> str:
    return (
        f"The task {token!r} is over: it was answered before, its time ran out, or its "
        f"run was cancelled. Nothing was saved; tasks.list() shows what is open."
    )


def get(token: str, store: Any = None) -> Task:
    """One open task."""
    return _open(token, store).task


def claim(token: str, by: str, store: Any = None) -> Task:
    """Take a task for somebody."""
    found = _open(token, store)
    _other_eyes(found, by)
    if not _assign(found, (None, "", by), by):
        raise RunError(_claimed(_open(token, store).task, by))
    return _open(token, store).task


def release(token: str, by: str | None = None, store: Any = None) -> Task:
    """Give a claimed task back."""
    found = _open(token, store)
    whose = found.task.assigned_to
    if whose is None:
        return found.task
    if (by is not None and by != whose) or not _assign(found, (whose,), ""):
        raise RunError(_claimed(_open(token, store).task, by))
    return _open(token, store).task


def _assign(found: Found, before: tuple[str | None, ...], by: str) -> bool:
    """Say whose it is, if it still is one of those before."""
    token = found.task.token
    if found.store is None:
        with desk.lock:
            held = found.held
            if held is None or held.claimed not in before:
                return False
            held.claimed = by
        return True
    return any(found.store.swap(_cell(token), each, by) for each in before)


def _claimed(task: Task, by: str | None) -> str:
    return (
        f"The task {task.message!r:.80} of {task.step} is claimed by "
        f"{task.assigned_to!r}, not by {by!r}. Wait until it is released: "
        f"tasks.release(token)."
    )


def _other_eyes(found: Found, by: str | None) -> None:
    """Whether that person may have the task.

    Raises:
        RunError: four eyes are asked for, and these are the same two.
    """
    task = found.task
    if not task.four_eyes:
        return
    name = f"The task {task.message!r:.80} of {task.step}"
    if not by:
        msg = f"{name} needs four eyes: say who answers, by=."
        raise RunError(msg)
    if _folded(by) == _folded(task.requested_by or ""):
        msg = (
            f"{name} needs four eyes: {task.requested_by!r} has requested it, so "
            f"somebody else has to answer."
        )
        raise RunError(msg)


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def answer(
    token: str,
    verb: str,
    value: Any,
    by: str | None,
    comment: str,
    *,
    store: Any,
) -> None:
    """Answer a task: ``verb`` is ``answer``, ``approve``, ``reject`` or ``edit``."""
    from flowkit.runtime.answer_delivery import hand_in

    found = _open(token, store)
    task = found.task
    _other_eyes(found, by)
    if task.assigned_to is not None and task.assigned_to != by:
        raise RunError(_claimed(task, by))
    held = found.held
    said = answer_to(
        found.shown,
        verb,
        value,
        by,
        comment,
        kind=MISSING if held is None else held.kind,
        llm=_reader(task, found.shown),
    )
    if not hand_in(found, said):
        raise RunError(_over(token))


def _reader(task: Task, shown: dict[str, Any]) -> Any:
    """The function that reads feedback, where the flow's class is there."""
    if shown["kind"] != "feedback":
        return None
    from flowkit.runtime.kinds import known

    try:
        review = known[class_of(task.flow)].compiled.reviews.get(task.step)
    except RunError:
        return None
    return None if review is None else review.llm
