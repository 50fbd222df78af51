"""Runs looked at one after another; only figures of them stay in memory."""

from __future__ import annotations

import itertools
import re
from array import array
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from flowkit.core.records import EventReceived
from flowkit.observe.figures import Failure, Spread
from flowkit.observe.path import critical_path, waited
from flowkit.observe.reads import Taken
from flowkit.runtime.executions import Teller
from flowkit.runtime.folding import rewound
from flowkit.runtime.story import Story, read_loosely

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow
    from flowkit.observe.path import Leg
    from flowkit.runtime.execution_info import Execution

__all__ = [
    "Gathered",
    "Pair",
    "Repeats",
    "StepFigures",
    "failures_of",
    "pattern",
    "spread",
]

MOST_KEYS = 10_000
"""Inputs of a step that are remembered, to see them again."""
MOST_KINDS = 200
"""Kinds of failures of a step that are told apart."""
MOST_SHOWN = 5

_LOOSE = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+(?:\.\d+)?")


def pattern(text: str) -> str:
    """The first line of an error without what differs from one to the next."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return _LOOSE.sub(lambda found: "'..'" if found[0][0] in "'\"" else "#", line)


def spread(values: Sequence[float]) -> Spread | None:
    """How values are spread, None if there are none."""
    count = len(values)
    if not count:
        return None
    ranked = sorted(values)
    mean = sum(ranked) / count
    variance = sum((each - mean) ** 2 for each in ranked) / count
    median, p95 = ranked[(count + 1) // 2 - 1], ranked[(count * 95 + 99) // 100 - 1]
    return Spread(count, mean, variance**0.5, median, p95, ranked[-1])


class Failures:
    """Failures that look the same, counted."""

    def __init__(self) -> None:
        self._found: dict[str, Failure] = {}

    def add(self, text: str, run: str, count: int = 1) -> None:
        """One kind more, or once more; the newest run is handed in first."""
        kind = pattern(text)
        known = self._found.get(kind)
        if known is None:
            if len(self._found) >= MOST_KINDS:
                return
            known = Failure(kind, 0, text.strip().splitlines()[0][:200], run)
        self._found[kind] = Failure(kind, known.count + count, known.example, known.run)

    def told(self) -> tuple[Failure, ...]:
        """The most frequent ones first."""
        ranked = sorted(self._found.values(), key=lambda each: -each.count)
        return tuple(ranked[:MOST_SHOWN])


class Repeats:
    """Whether a step gave the same for the same inputs, and how often.

    Attributes:
        differs: it gave something else once, or failed and did not.
        useful: it gave something: what only acts outside is not there to be kept.
        times: how many executions repeated an earlier one.
        seen: how many there were.
        saved: seconds of those that repeated, on the critical path.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}
        self.differs: bool = False
        self.useful: bool = False
        self.times: int = 0
        self.seen: int = 0
        self.saved: float = 0.0

    def add(self, inputs: Any, result: Any, worked: float) -> None:
        """One execution more; ``worked`` of it lay on the critical path."""
        key, given = _digest(inputs), _digest(result)
        self.seen += 1
        before = self._known.get(key)
        if before is None:
            if len(self._known) < MOST_KEYS:
                self._known[key] = given
        elif before != given:
            self.differs = True
        else:
            self.times += 1
            self.saved += worked


def _digest(value: Any) -> bytes:
    return blake2b(repr(value).encode("utf-8", "replace"), digest_size=16).digest()


class StepFigures:
    """What is kept of the executions of a step."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.again: int = 0
        self.lasted: array[float] = array("d")
        self.worked: array[float] = array("d")
        self.path: array[float] = array("d")
        self.failures: Failures = Failures()
        self.metrics: dict[str, array[float]] = {}
        self.repeats: Repeats = Repeats()
        self.asks: bool = False
        self.broken: int = 0
        self.breakers: list[str] = []


class Pair:
    """A step and another one that only it triggers, one after the other."""

    def __init__(self) -> None:
        self.times: int = 0
        self.gain: float = 0.0
        self.wrote: set[str] = set()
        self.writes: set[str] = set()
        self.handed: bool = False


class Gathered:
    """What the runs of a flow have told so far.

    Attributes:
        steps: by name.
        pairs: steps that followed each other alone, by both names.
        waits: seconds waited on the critical path, by step and what for.
        runs: how many were looked at.
        total: seconds that they took together.
    """

    def __init__(
        self,
        store: Store,
        taken: Mapping[str, Taken],
        targets: Mapping[str, float],
    ) -> None:
        self._store = store
        self._taken = taken
        self._targets = targets
        self.steps: dict[str, StepFigures] = {}
        self.pairs: dict[tuple[str, str], Pair] = {}
        self.waits: dict[tuple[str, str], array[float]] = {}
        self.runs: int = 0
        self.total: float = 0.0

    def take(self, row: RunRow) -> None:
        """Look at one run that is over."""
        entries = self._store.entries(row.id)
        if not entries:
            return
        executions, payloads = _told(self._store, row, entries)
        counted = [each for each in executions if not each.undone]
        legs = critical_path(counted, row.created)
        self.runs += 1
        self.total += max(0.0, entries[-1].at - row.created)
        for each in counted:
            if each.ended is not None:
                self._count(each, row.id)
        self._follow(legs)
        works = {leg.execution.firing: leg.worked for leg in legs}
        by_firing = {each.firing: each for each in counted if each.position is None}
        for each in counted:
            if each.outcome in {"done", "failed"} and each.position is None:
                self._compare(each, by_firing, payloads, works.get(each.firing, 0.0))

    def _count(self, each: Execution, run: str) -> None:
        found = self.steps.setdefault(each.step, StepFigures())
        found.outcomes[each.outcome] += 1
        found.again += each.attempt > 1
        lasted = each.duration or 0.0
        if each.outcome != "cancelled":
            found.lasted.append(lasted)
            found.worked.append(max(0.0, lasted - sum(waited(each).values())))
        if each.error is not None:
            found.failures.add(f"{type(each.error).__name__}: {each.error}", run)
        for name, figure in each.metrics.items():
            found.metrics.setdefault(name, array("d")).append(figure)
        found.asks = found.asks or bool(each.questions)
        if lasted > self._targets.get(each.step, float("inf")):
            found.broken += 1
            if len(found.breakers) < MOST_SHOWN and run not in found.breakers:
                found.breakers.append(run)

    def _follow(self, legs: Sequence[Leg]) -> None:
        for leg in legs:
            step = leg.execution.step
            self.steps[step].path.append(leg.worked)
            if leg.gap:
                place = step, leg.behind
                self.waits.setdefault(place, array("d")).append(leg.gap)
            for what, lasted in leg.waits.items():
                self.waits.setdefault((step, what), array("d")).append(lasted)
        for first, second in itertools.pairwise(legs):
            self._pair(first, second)

    def _pair(self, first: Leg, second: Leg) -> None:
        """Whether the second one came after the first, and after it alone."""
        before, after = first.execution, second.execution
        causes = [(cause.name, cause.firing) for cause in after.causes]
        if causes != [(before.step, before.firing)] or before.step == after.step:
            return
        pair = self.pairs.setdefault((before.step, after.step), Pair())
        pair.times += 1
        pair.gain += min(first.worked, second.worked)
        pair.wrote.update(before.changed)
        pair.writes.update(after.changed)
        pair.handed = pair.handed or before.output is not None

    def _compare(
        self,
        each: Execution,
        by_firing: Mapping[int, Execution],
        payloads: Mapping[str, Any],
        worked: float,
    ) -> None:
        taken = self._taken.get(each.step, Taken())
        inputs: list[Any] = []
        if taken.payload is not False:
            for cause in each.causes:
                giver = by_firing.get(cause.firing)
                given = payloads.get(cause.name) if giver is None else giver.output
                inputs.append((cause.name, given))
        before = {k: v for k, v in (each.before or {}).items() if k != "id"}
        if taken.fields is not None:
            before = {k: v for k, v in before.items() if k in taken.fields}
        changed = {name: (each.after or {}).get(name) for name in each.changed}
        result = each.outcome, each.output, each.labels, sorted(changed.items())
        repeats = self.steps[each.step].repeats
        repeats.useful = repeats.useful or each.output is not None or bool(changed)
        repeats.add((inputs, sorted(before.items())), result, worked)


def _told(
    store: Store, row: RunRow, entries: list[Entry]
) -> tuple[list[Execution], dict[str, Any]]:
    """The executions of a run, and the latest payload of each event."""
    story = Story(store, row, entries)
    teller = Teller(story)
    payloads: dict[str, Any] = {}
    for index, entry in enumerate(entries):
        if entry.kind == "note:rewind":
            to, anew = rewound(entry)
            story.fold(entries[: index + 1])
            teller.rewind(entry, to, anew)
            continue
        found = read_loosely(entry)
        if isinstance(found.record, EventReceived):
            payloads[found.record.name] = found.record.payload
        elif entry.kind == "start":
            payloads[""] = found.more.get("i")
        teller.take(found, entry.at)
    return teller.told(), payloads


def failures_of(found: Iterable[tuple[str, str, int]]) -> tuple[Failure, ...]:
    """Failures by kind, of texts with the id of a run and a count."""
    kinds = Failures()
    for text, run, count in found:
        kinds.add(text, run, count)
    return kinds.told()
