"""The same on a store: kill it whenever you like, start it again, it goes on.

``python -m examples.customer_events.durable FILE --store sqlite:///events.db``

The file is the outside world: after a restart its lines are sent again from the last
place that was noted, and each event counts once by its id. What was accepted, and
every run, is in the store.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.customer_events.app import SAMPLE, note_feedback
from examples.customer_events.reading import LineError, parsed
from examples.customer_events.replay import recording
from flowkit import EventBus, runs
from flowkit.journal.urls import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.journal.base import Store

BETWEEN_NOTES = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Send what is left of a file, wait for the work, and count."""
    parser = argparse.ArgumentParser(prog="python -m examples.customer_events.durable")
    parser.add_argument("file", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--store", default="sqlite:///events.db")
    arguments = parser.parse_args(argv)
    store = open_store(arguments.store)
    send(arguments.file, store)
    print(summary(store))
    return 0


def send(path: Path, store: Store) -> None:
    """Send the lines that were not sent yet, and wait until nothing is to be done."""
    source, lines = recording(path)
    noted = store.cell(path.name)
    bus = EventBus(store=store)
    bus.on("feedback_given", note_feedback)
    bus.register(*source.flows)
    at_work: set[str | None] = set()
    with bus:
        for number, line in lines:
            if number <= int(noted or 0):
                continue
            try:
                message = source.message(parsed(line), path.name, number)
            except LineError as error:
                print(f"line {number}: {error}", file=sys.stderr)
                continue
            if message.key in at_work:  # as a queue with partitions has it
                bus.drain()
                at_work.clear()
            at_work.add(message.key)
            bus.send(message.name, message.payload, key=message.key, id=message.id)
            if number % BETWEEN_NOTES == 0:
                bus.drain()
                store.swap(path.name, noted, str(number))
                noted = str(number)
        bus.drain()


def summary(store: Store) -> str:
    """What the store holds: runs by flow and status, and the tickets' states."""
    found = runs.list(limit=1_000_000, store=store)
    lines = [
        f"{flow.rpartition(':')[2]:10} {status:10} {count:6,}"
        for (flow, status), count in sorted(
            Counter((run.flow, run.status) for run in found).items()
        )
    ]
    states = [_state(run, store) for run in found if run.flow.endswith(":Ticket")]
    if states:
        closed = sum(bool(state.get("closed")) for state in states)
        taken = [line for state in states for line in state["lines"]]
        lines.append(f"closed     {closed:,} of {len(states):,} runs, by their states")
        lines.append(f"events     {len(taken):,}, {len(taken) - len(set(taken))} twice")
    return "\n".join(lines)


def _state(run: Any, store: Store) -> dict[str, Any]:
    return runs.state_at(run.id, run.records, store=store)


if __name__ == "__main__":
    sys.exit(main())
