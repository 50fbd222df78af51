"""What insights are made of, as plain data. Times and durations are in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = [
    "Breaches",
    "Failure",
    "Finding",
    "FindingKind",
    "FlowInsights",
    "Insights",
    "Spread",
    "StepInsights",
]

FindingKind = Literal["bottleneck", "uneven", "parallel", "cache", "idle"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure is spread. Percentiles are by nearest rank.

    Attributes:
        count: of values.
        mean: their mean.
        deviation: their standard deviation; its square is the variance.
        median: the least value that half of them do not exceed.
        p95: the least value that 95 in 100 do not exceed.
        longest: the greatest one.
    """

    count: int
    mean: float
    deviation: float
    median: float
    p95: float
    longest: float

    @property
    def variance(self) -> float:
        """The square of the deviation."""
        return self.deviation**2


@dataclass(frozen=True, slots=True)
class Failure:
    """Failures that look the same: numbers and quoted text in them may differ.

    Attributes:
        text: type and first line of the error, with ``#`` for numbers and ``'..'``
            for quoted text.
        count: how many there were.
        example: the text of one of them as it was.
        run: id of the newest run that had one.
    """

    text: str
    count: int
    example: str
    run: str


@dataclass(frozen=True, slots=True)
class Breaches:
    """How a service level was kept.

    Attributes:
        level: seconds.
        checked: how many ended and were looked at.
        broken: how many of these took longer.
        open: runs that are not over and have taken longer already; 0 for steps.
        runs: ids of the newest runs that broke it, a few.
    """

    level: float
    checked: int
    broken: int
    open: int = 0
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would make runs shorter.

    Attributes:
        kind: ``bottleneck``, ``uneven``, ``parallel``, ``cache`` or ``idle``.
        steps: whom it is about.
        gain: seconds by which the runs that were looked at would have been shorter,
            on the average of all of them, counting only what lay on their critical
            path. What it supposes is in ``text``. At most: once one way is shorter,
            another one may be the longest.
        share: ``gain`` as a part of the mean duration of these runs.
        text: what was seen and what would help.
        seen: the figures behind it.
    """

    kind: FindingKind
    steps: tuple[str, ...]
    gain: float
    share: float
    text: str
    seen: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepInsights:
    """What the executions of a step tell, in the runs that were looked at.

    Attributes:
        step: its name.
        executions: how many have ended.
        failed: how many of them failed.
        cancelled: how many were cancelled.
        success: done ones among those that were not cancelled, from 0 to 1; None
            if there are none.
        again: how many were started more than once.
        lasted: from ready to ended, waiting included.
        worked: the same without what it waited for others.
        on_path: seconds of work on the critical path, on the average of all runs.
        share: that as a part of the mean duration of a run.
        failures: the most frequent first.
        metrics: what it measured by ``self.metric``, by name.
        totals: the sums of these.
        sla: how its service level was kept, if it has one.
    """

    step: str
    executions: int
    failed: int
    cancelled: int
    success: float | None
    again: int
    lasted: Spread | None
    worked: Spread | None
    on_path: float
    share: float
    failures: tuple[Failure, ...]
    metrics: dict[str, Spread]
    totals: dict[str, float]
    sla: Breaches | None


@dataclass(frozen=True, slots=True)
class FlowInsights:
    """What the runs of a flow tell.

    Attributes:
        flow: the class, ``package.module:Class``.
        runs: how many there are, by status.
        success: completed ones among those that completed, failed or expired or were
            compensated, from 0 to 1; None if there are none. A cancelled run counts
            neither way.
        lasted: of the completed ones, from begin to end.
        failures: what runs ended with, the most frequent first.
        sla: how the run's service level was kept, if it has one.
        looked_at: how many runs, the newest that are over or wait, are behind what
            follows; of one that waits, what it took so far.
        steps: of these, those that take most of the time first.
        findings: what would make them shorter, the greatest gain first.
    """

    flow: str
    runs: dict[str, int]
    success: float | None
    lasted: Spread | None
    failures: tuple[Failure, ...]
    sla: Breaches | None
    looked_at: int
    steps: tuple[StepInsights, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Insights:
    """What stored runs tell; ``str`` of it is a report, :meth:`to_dict` plain data.

    Attributes:
        store: its URL, without a password.
        at: when it was asked, seconds since the epoch.
        flows: one for each flow with runs, by name.
    """

    store: str
    at: float
    flows: tuple[FlowInsights, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries, lists, numbers and text, as JSON takes it."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def __str__(self) -> str:
        from flowkit.observe.report import report

        return report(self)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        told = {key: _plain(each) for key, each in value.items()}
        if "deviation" in told and "p95" in told and "longest" in told:
            told["variance"] = told["deviation"] ** 2
        return told
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
