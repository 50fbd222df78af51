"""Where a run stands, as its row in the store says it: what changes with a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Fault
from flowkit.core.records import RunAborted, RunCancelled, RunStopped
from flowkit.journal.codec import encode, keyed, to_plain, write
from flowkit.journal.rows import TRANSIENT, Wait, is_over
from flowkit.runtime.changes import raw_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.net import Node
    from flowkit.core.records import Record
    from flowkit.journal.entries import Note
    from flowkit.journal.rows import RunRow
    from flowkit.runtime.run import Run

__all__ = ["Standing", "state_id_of"]


class Standing:
    """What was last written of a run beside its records.

    Attributes:
        status: of the run.
        due: when it must be looked at next, or None.
        waits: what it takes from outside.
        state_id: the state's own id.
        renamed: a step has changed that id.
    """

    __slots__ = ("due", "renamed", "state_id", "status", "waits")

    def __init__(self, row: RunRow, waits: tuple[Wait, ...] = ()) -> None:
        self.status: str = row.status
        self.due: float | None = row.due
        self.waits: tuple[Wait, ...] = waits
        self.state_id: str = row.state_id
        self.renamed: bool = False

    def changes(
        self,
        run: Run,
        record: Record | Note | None,
        commands: Sequence[Command] = (),
    ) -> dict[str, Any]:
        """What is to be said of the run with this record, and was not said yet.

        Args:
            run: that has decided on it.
            record: the newest.
            commands: what was decided, and is not carried out yet.
        """
        changes: dict[str, Any] = {}
        marking = run.marking
        if marking.status != self.status:
            self.status = changes["status"] = marking.status
            if is_over(marking.status):
                changes.update(_ending(run, record, commands))
                return changes
        timed = run.lifetime or run.until is not None
        if marking.timers or marking.asked or self.due is not None or timed:
            due = run.due
            if due != self.due:
                self.due = changes["due"] = due
        if run.net.events or marking.asked or self.waits:
            waits = tuple(_awaited(run))
            if waits != self.waits:
                self.waits = changes["waits"] = waits
        if self.renamed:
            self.state_id = changes["state_id"] = state_id_of(run)
            self.renamed = False
        return changes

    def anew(self, run: Run) -> dict[str, Any]:
        """All that the row says of where the run stands."""
        self.status = run.marking.status
        self.due = run.due
        self.waits = tuple(_awaited(run))
        self.state_id = state_id_of(run)
        return {
            "status": self.status,
            "due": self.due,
            "waits": self.waits,
            "state_id": self.state_id,
            "error": "",
            "result": "",
            "state": "",
        }


def state_id_of(run: Run) -> str:
    """The state's own id as it is now, "" without one."""
    return str(dict.get(raw_fields(run.box.live), "id", ""))


def _ending(
    run: Run, record: Record | Note | None, commands: Sequence[Command]
) -> dict[str, Any]:
    error = ""
    ahead = [*(each.commands for each in run.held), commands]
    faults = [each.error for some in ahead for each in some if type(each) is Fault]
    if (failure := run.failed_with([*run.failures, *faults])) is not None:
        error = f"{type(failure).__name__}: {failure}"
    elif isinstance(record, RunAborted | RunCancelled):
        error = record.reason
    elif run.marking.status == "compensated":
        error = run.reason
    fields = {
        name: to_plain(value, f"state.{name}")
        for name, value in run.box.committed().items()
    }
    state: dict[str, Any] = {"s": keyed(fields)}
    if run.box.extra:
        state["x"] = to_plain(run.box.extra, "state")
    result = record.result if type(record) is RunStopped else run.last
    return {
        "error": error[:2000],
        "result": encode(result, "the result"),
        "state": write(state),
    }


def _awaited(run: Run) -> Iterator[Wait]:
    """What the run takes from outside: for its listeners and its steps."""
    from flowkit.runtime.answers import shown_of
    from flowkit.runtime.correlation import key_in
    from flowkit.runtime.kinds import known

    kind = known[type(run.flow)]
    for node, leaf in run.net.events:
        if leaf.transient and node.serial and _busy(run, node):
            continue
        key = run.key or key_in(kind, leaf, run.box.live)
        yield Wait(leaf.name, key, node.name, data=TRANSIENT if leaf.transient else "")
    for questions in run.marking.asked.values():
        for asked in questions.values():
            detail = asked.detail or {}
            place = f"{asked.firing}:{asked.position}"
            for name in detail.get("names", ()):
                data = TRANSIENT if "transient" in detail else ""
                yield Wait(name, detail.get("key"), place, data=data)
            if "token" in detail:
                data = encode(shown_of(asked), "the question")
                yield Wait(asked.verb, None, place, "person", detail["token"], data)


def _busy(run: Run, node: Node) -> bool:
    """Whether a listener that handles one event at a time has one."""
    return any(each.node is node for each in run.marking.live.values())
