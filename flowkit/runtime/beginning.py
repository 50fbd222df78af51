"""The first move of a stored run: its row, its first record and its definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.journal.codec import keyed, to_plain
from flowkit.journal.graphs import graph_hash, graph_text
from flowkit.journal.rows import Begin
from flowkit.runtime.changes import raw_fields

if TYPE_CHECKING:
    from flowkit.journal.rows import Entry
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["begin_of", "beginning"]


def beginning(run: Run) -> dict[str, Any]:
    """What the first record says beside itself: state, inputs, end, trace.

    Raises:
        UnstorableError: a value that cannot be stored.
    """
    fields = {
        name: to_plain(value, f"state.{name}")
        for name, value in dict.items(raw_fields(run.box.live))
    }
    more: dict[str, Any] = {"s": keyed(fields)}
    extra = run.box.extra
    if extra:
        more["x"] = to_plain(extra, "state")
    if run.until is not None:
        more["t"] = run.until
    if run.inputs:
        more["i"] = to_plain(run.inputs, "the inputs")
    if run.traceparent:
        more["w"] = run.traceparent
    return more


def begin_of(journal: Journal, run: Run, entry: Entry) -> Begin:
    """The move that creates the run; the journal's row becomes what it writes."""
    definition, standing = run.net.definition, journal.standing
    standing.anew(run)
    journal.row = row = journal.row._replace(
        state_id=standing.state_id,
        status="waiting" if standing.status == "waiting" else "running",
        key=run.key,
        graph=graph_hash(definition),
        created=entry.at,
        updated=entry.at,
        due=standing.due,
        owner=journal.presence.ensure(),
    )
    known = row.graph in journal.writer.graphs
    text = "" if known else graph_text(definition)
    return Begin(row, (entry,), standing.waits, text, journal.alone)
