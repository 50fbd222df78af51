"""What was read and sent, and what became of it: numbers for the summary."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from flowkit.core.definition import leaves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit import Flow, Run
    from flowkit.runtime.receipt import Receipt


class Tally:
    """Counts receipts as they come, and runs as they stand in the end.

    Attributes:
        lines: number of the last line read.
        sent: lines that an event was made of.
        runs: every run that was begun, oldest first.
        kept: events that came before a run waited for them, by name.
        duplicates: lines of events that were counted before.
        rejected: lines by reason, for what was not sent or refused.
        unknown: lines by event name, for events that nobody takes.
        hints: by event name, what the bus says of it.
        handled: events by the handler that took them.
    """

    def __init__(self, flows: Iterable[type[Flow[Any]]]) -> None:
        self.lines = 0
        self.sent = 0
        self.flows = tuple(flows)
        self.accepted: Counter[str] = Counter()
        self.accepted_lines: list[int] = []
        self.kept: Counter[str] = Counter()
        self.duplicates: list[int] = []
        self.rejected: dict[str, list[int]] = defaultdict(list)
        self.unknown: dict[str, list[int]] = defaultdict(list)
        self.hints: dict[str, str] = {}
        self.handled: Counter[str] = Counter()
        self._runs: dict[Run, None] = {}

    @property
    def runs(self) -> list[Run]:
        """Every run that was begun, oldest first."""
        return list(self._runs)

    @property
    def begun(self) -> int:
        """How many runs were begun."""
        return len(self._runs)

    def runs_of(self, flow: type[Flow[Any]]) -> list[Run]:
        """The runs of one flow."""
        return [run for run in self._runs if type(run.flow) is flow]

    def reject(self, line: int, reason: str) -> None:
        """A line that no event could be made of."""
        self.rejected[reason].append(line)

    def receive(self, line: int, receipt: Receipt) -> None:
        """What the bus said of the event of a line."""
        self.sent += 1
        if receipt.status == "duplicate":
            self.duplicates.append(line)
        elif receipt.status == "unknown":
            self.unknown[receipt.name].append(line)
            self.hints[receipt.name] = receipt.reason
        elif receipt.status == "accepted":
            self._accept(line, receipt)
        else:
            self.reject(line, receipt.reason)

    def _accept(self, line: int, receipt: Receipt) -> None:
        self.accepted[receipt.name] += 1
        self.accepted_lines.append(line)
        self.kept[receipt.name] += receipt.kept
        self.handled.update(receipt.handlers)
        self._runs.update(dict.fromkeys(receipt.runs))

    def events_of(self, flow: type[Flow[Any]]) -> int:
        """How many events were accepted for a flow."""
        steps = flow.definition().steps
        found = [leaf for step in steps for leaf in leaves(step.trigger)]
        names = {leaf.name for leaf in found if leaf.kind == "event"}
        return sum(self.accepted[name] for name in names)
