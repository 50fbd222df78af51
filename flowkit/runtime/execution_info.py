"""What is told of the executions of steps: when, what came of them, what they asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flowkit.runtime.history import shown_time

__all__ = [
    "CalledRun",
    "Cause",
    "DeferralInfo",
    "Execution",
    "LimitInfo",
    "QuestionInfo",
]


@dataclass(slots=True)
class QuestionInfo:
    """What a step asked the outside, and what it was answered.

    Attributes:
        position: counts the questions of one firing from 0.
        verb: what it called: ``sleep``, ``wait_for`` and the like.
        detail: what belongs to the question.
        asked: when.
        answer: None until there is one.
        answered: when, or None.
    """

    position: int
    verb: str
    detail: Any
    asked: float
    answer: Any = None
    answered: float | None = None


@dataclass(slots=True)
class DeferralInfo:
    """Why a step began again, or later: a decision of one of its policies.

    Attributes:
        why: the policy: ``retry``, ``fallback``, ``rate``, or ``again`` where a
            fallback has raised ``TryAgain``.
        error: what the attempt before ended with; None if it had not begun.
        at: when this was decided.
        due: when it begins again.
        metrics: what the attempt had measured, by name.
    """

    why: str
    error: BaseException | None
    at: float
    due: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class LimitInfo:
    """What a limit decided about an execution.

    Attributes:
        limit: ``admission`` of the run, ``bulkhead`` or ``breaker`` of the step.
        name: of the limit.
        what: ``waited`` for a place; a breaker came to ``open``, ``half_open`` or
            ``closed``.
        at: when, after the wait.
        seconds: how long it waited.
    """

    limit: str
    name: str
    what: str
    at: float
    seconds: float = 0.0


@dataclass(slots=True)
class CalledRun:
    """A run that a step called.

    Attributes:
        id: of the run.
        flow: its class, ``package.module:Class``.
        position: of the call among the step's questions.
        status: as of a run.
        started: when it began.
        ended: when it was over; None while it is not.
        executions: its own story, if it was asked for.
    """

    id: str
    flow: str
    position: int
    status: str
    started: float
    ended: float | None = None
    executions: list[Execution] = field(default_factory=list)

    @property
    def duration(self) -> float | None:
        """Seconds from its beginning to its end; None while it is not over."""
        return None if self.ended is None else self.ended - self.started


class Cause(NamedTuple):
    """One thing that triggered an execution.

    Attributes:
        name: of the step, label or event; "" for the run's beginning.
        firing: number of the execution that gave it, 0 for what came from outside.
    """

    name: str
    firing: int = 0


@dataclass(slots=True, repr=False)
class Execution:
    """One execution of a step, as the records tell it.

    Attributes:
        step: its name.
        firing: its number within the run.
        attempt: counts its starts: 2 if a crash or a failure interrupted the first.
        outcome: ``done``, ``failed``, ``cancelled``, ``waiting`` or ``running``.
        started: when it became ready: the time of the record that made it so, or of
            the latest note that it starts once more. Records say when work could
            begin, not when it did.
        ended: the time of its own record, or of the one that cancelled it.
        seq: number of that record; None while it is open.
        output: what it returned.
        labels: what a router chose.
        error: what it raised.
        before: the state's fields as committed just before its record.
        after: the same just after; None while it is open.
        changed: the fields it changed.
        questions: what it asked and was answered, in order.
        deferrals: when and why it was tried again, in order.
        limits: what its limits decided, in order.
        turns: of a step that repeats itself, those that have begun; else 1.
        hit: its result is a cached one.
        hedges: when further calls began beside the first, in order.
        winner: which call gave the result, 1 for the first; None if there was one only.
        pids: of the processes of its own that it ran in, in order.
        undone: a rewind took it back: it does not count any more.
        position: of a step that a function flow called: where among its calls, such
            as ``3``, or ``3.2.1`` for the first call of a branch; else None.
        called: the stored runs that it called, in the order of their calls.
        causes: what triggered it, all that a join consumed.
        metrics: what it measured by ``self.metric``, by name, all its turns and
            attempts together.
    """

    step: str
    firing: int
    started: float
    attempt: int = 1
    outcome: str = "running"
    ended: float | None = None
    seq: int | None = None
    output: Any = None
    labels: tuple[str, ...] = ()
    error: BaseException | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    changed: tuple[str, ...] = ()
    questions: list[QuestionInfo] = field(default_factory=list)
    deferrals: list[DeferralInfo] = field(default_factory=list)
    limits: list[LimitInfo] = field(default_factory=list)
    turns: int = 1
    hit: bool = False
    hedges: list[float] = field(default_factory=list)
    winner: int | None = None
    pids: list[int] = field(default_factory=list)
    undone: bool = False
    position: str | None = None
    called: list[CalledRun] = field(default_factory=list)
    causes: tuple[Cause, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def degraded(self) -> bool:
        """Whether a fallback stands in for the step."""
        stages = [each.why for each in self.deferrals]
        turns = [why for why in stages if why in {"fallback", "again"}]
        return turns[-1:] == ["fallback"]

    @property
    def duration(self) -> float | None:
        """Seconds from ready to ended, waiting included; None while it is open."""
        return None if self.ended is None else self.ended - self.started

    def __repr__(self) -> str:
        told = [f"{self.step} ({self.firing})", self.outcome]
        if self.attempt > 1:
            told.append(f"attempt {self.attempt}")
        if self.turns > 1:
            told.append(f"{self.turns} turns")
        if self.duration is not None:
            told.append(f"{self.duration:g}s")
        if self.error is not None:
            told.append(f"{type(self.error).__name__}: {self.error}")
        if self.changed:
            told.append(f"changed {' '.join(self.changed)}")
        told += [f"{name} {figure:g}" for name, figure in self.metrics.items()]
        if self.undone:
            told.append("undone")
        told += [f"called {each.id} ({each.status})" for each in self.called]
        return f"<Execution {', '.join(told)}, at {shown_time(self.started)}>"
