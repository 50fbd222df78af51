"""What a run was, told from wherever its records are: a store, or its own memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.errors import RunError
from flowkit.journal.entries import Read
from flowkit.runtime.clock import now
from flowkit.runtime.durable import flow_name
from flowkit.runtime.executions import Teller, executions
from flowkit.runtime.kinds import known
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.nesting import told
from flowkit.runtime.story import Story

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.commands import Command
    from flowkit.core.net import Net
    from flowkit.runtime.execution_info import Execution
    from flowkit.runtime.run import Run

__all__ = ["Recall", "Recalled", "history", "recall", "recalled"]

OVER = frozenset({"completed", "failed", "cancelled", "compensated", "expired"})


class Recall:
    """Records of a run in memory, folded one after another.

    Attributes:
        net: the graph's tables.
        marking: where the run stands after the latest record.
        fields: None: such a run keeps no states of the past.
        attempts: empty, for the same reason.
    """

    fields: dict[str, Any] | None = None

    def __init__(self, run: Run) -> None:
        self.net: Net = run.net
        self.marking: Marking = (
            run.first() if run.first else Marking(len(run.net.nodes))
        )
        self.attempts: dict[int, int] = {}

    def take(self, found: Read) -> Sequence[Command]:
        """One record more; what was decided on it."""
        record: Any = found.record
        return decide(self.net, self.marking, record)

    @property
    def at_work(self) -> list[int]:
        """Firings that run or wait: not those in line or at a gate."""
        behind = self.marking.held_back
        return [number for number in self.marking.live if number not in behind]


def history(
    run: str | Run, store: Any = None, *, nested: bool = False
) -> list[Execution]:
    """Every execution of a step in a run, in the order of their records.

    What is still open comes last. What a rewind or the retry of a failed run took
    back is there too, marked ``undone``. The flow's class need not be there; a value
    whose class is gone is shown as it was stored.

    Args:
        run: its id or the beginning of it, or its handle. A run without a store has
            no state before and after an execution.
        store: the default one if None.
        nested: tell the story of each stored run that a step called, too, on all
            levels.

    Raises:
        RunError: no such run.
        StoreError: records that cannot be read.
    """
    if not isinstance(run, str):
        if run.journal is None:
            return recall(run)[0]
        store = run.journal.store if store is None else store
        run = run.id
    place = store_of(store)
    return told(place, row_of(place, run), nested=nested)


def recall(run: Run) -> tuple[list[Execution], Recall]:
    """The executions of a run in memory, and where it stands after them."""
    story = Recall(run)
    teller = Teller(story)
    for seq, record in enumerate([*run.records], 1):
        changed: dict[str, Any] = dict.fromkeys(getattr(record, "changed", ()), ())
        teller.take(Read(seq, record, changed, {}), record.at)
    return teller.told(), story


@dataclass(frozen=True, slots=True)
class Recalled:
    """All that is known of a run, for pictures and reports.

    Attributes:
        id: unique.
        name: of its flow.
        status: ``running waiting completed failed cancelled compensated expired``.
        began: seconds since the epoch.
        ended: the same, None while it goes on.
        error: one line, if it failed.
        executions: those of its steps that count, open ones last.
        net: its graph's tables.
        marking: where it stands.
        cls: its class, if this program has it.
    """

    id: str
    name: str
    status: str
    began: float
    ended: float | None
    error: str
    executions: tuple[Execution, ...]
    net: Net
    marking: Marking
    cls: type | None


def recalled(run: str | Run | None, store: Any = None) -> Recalled:
    """What is known of a run.

    Args:
        run: its id or the beginning of it, or its handle; None has no run to tell.
        store: the default one if None.

    Raises:
        RunError: no such run.
        StoreError: records that cannot be read.
    """
    if run is None:
        msg = "There is no run to tell: this flow object was never kicked off."
        raise RunError(msg)
    if isinstance(run, str):
        return _stored(run, store)
    if run.journal is not None:
        return _stored(run.id, run.journal.store if store is None else store)
    every, story = recall(run)
    records = run.records
    failure = run.failure
    return Recalled(
        run.id,
        run.net.definition.name,
        run.status,
        records[0].at if records else now(),
        records[-1].at if run.status in OVER else None,
        "" if failure is None else f"{type(failure).__name__}: {failure}",
        tuple(every),
        story.net,
        story.marking,
        type(run.flow),
    )


def _stored(id: str, store: Any) -> Recalled:
    place = store_of(store)
    row = row_of(place, id)
    entries = place.entries(row.id)
    story = Story(place, row, entries)
    every = executions(story, entries)
    return Recalled(
        row.id,
        story.net.definition.name,
        row.status,
        row.created,
        entries[-1].at if row.status in OVER and entries else None,
        row.error,
        tuple(each for each in every if not each.undone),
        story.net,
        story.marking,
        next((cls for cls in known if flow_name(cls) == row.flow), None),
    )
