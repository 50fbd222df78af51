"""What to type next: the commands that a run's standing calls for."""

from __future__ import annotations

from typing import Any

from flowkit import runs, tasks
from flowkit.cli import output
from flowkit.errors import NotFoundError
from flowkit.journal.urls import default_url, open_store

__all__ = ["again", "is_kept", "run_fields", "waits_of"]

NAMELESS = ("answer:", "run:", "timer:")
"""How events begin that no person sends."""


def _place(store: Any) -> str:
    """The URL of a store, opened or not, without a password."""
    return str((open_store(store) if isinstance(store, str) else store).url)


def is_kept(store: Any) -> bool:
    """Whether runs in it outlive this process."""
    return not _place(store).startswith("memory:")


def again(words: str, store: Any) -> str:
    """``flowkit`` with these words, and the store if it would not be found."""
    place, default = _place(store), default_url()
    if default.startswith("postgres"):
        from flowkit.journal.postgres.address import parse

        default = parse(default).url  # without its password, too
    more = "" if place == default else f" --store {place}"
    return f"flowkit {words}{more}"


def run_fields(run: runs.RunInfo) -> dict[str, Any]:
    """A run as JSON has it: without the tokens, which let their holder answer."""
    waits = [
        {"name": each.name, "key": each.key, "place": each.place, "since": each.since}
        for each in run.waits
        if each.kind == "event" and not each.name.startswith(NAMELESS)
    ]
    asks = [
        {"place": each.place, "since": each.since}
        for each in run.waits
        if each.kind == "person"
    ]
    fields = {name: getattr(run, name) for name in run.__slots__}
    return {**fields, "waits": waits, "asks": asks}


def waits_of(id: str, store: Any) -> list[str]:
    """What a run waits for, and the command that gives it, a line each."""
    try:
        found = runs.get(id, store)
    except NotFoundError:  # its position was given up, so that it is not stored
        return []
    lines = []
    for wait in found.waits:
        if wait.kind == "event" and not wait.name.startswith(NAMELESS):
            key = "" if wait.key is None else f" --key {wait.key}"
            command = again(f"send {wait.name}{key}", store)
            lines.append(f"waits for the event {wait.name!r}: {command}")
    for task in tasks.list(run=found.id, store=store):
        verb = "answer" if task.proposal is None else "approve"
        command = again(f"{verb} {found.id}", store)
        lines.append(f"asks {task.message!r}: {command}")
    if found.due is not None:
        command = again(f"resume {found.id}", store)
        lines.append(f"waits until {output.when(found.due)}, then: {command}")
    return lines
