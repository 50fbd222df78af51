"""Stored runs under a class that has changed since (section "Versions" of the docs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.net import net_of
from flowkit.core.transfer import transferred
from flowkit.errors import RunError
from flowkit.journal.graphs import graph_hash, graph_text, missing_positions

if TYPE_CHECKING:
    from flowkit.core.definition import Definition
    from flowkit.core.marking import Marking
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["adapt", "positions"]


def positions(
    marking: Marking,
) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """Where a run stands: steps with live firings, and joins with what arrived."""
    live: dict[str, list[int]] = {}
    for firing in marking.live.values():
        live.setdefault(firing.node.name, []).append(firing.id)
    waiting: dict[str, list[str]] = {}
    for each in marking.parked():
        trigger = each.trigger
        arrived = [
            str(leaf)
            for slot in trigger.slots
            if each.held.get(slot.index)
            for leaf in slot.leaves
        ]
        waiting.setdefault(trigger.node.name, []).extend(arrived)
    return live, waiting


def adapt(run: Run, journal: Journal, current: Definition) -> None:
    """Go on with a stored run under the class as it is now.

    Steps that were added and bodies that changed are fine. If a live position is
    gone, the class's ``@migrate`` hook for the run's version may carry it over.

    Raises:
        RunError: what is missing, all of it.
    """
    old = run.net.definition
    live, waiting = positions(run.marking)
    missing = missing_positions(old, live, waiting, current)
    if missing:
        listed = "\n".join(f"  - {each}" for each in missing)
        msg = (
            f"Run {journal.row.id!r} stands where {current.name} has no place any "
            f"more:\n{listed}\nBring the steps back under these names, carry the run "
            f"over with a @migrate hook, or finish it with the version that began it."
        )
        raise RunError(msg)
    new = net_of(current)
    run.marking = transferred(run.marking, run.net, new)
    data: dict[str, Any] = {"from": graph_hash(old), "to": graph_hash(current)}
    run.net = new
    journal.row = journal.row._replace(graph=data["to"])
    journal.note("graph", data, graph=(data["to"], graph_text(current)))
