"""The story of a run, an execution of a step at a time; needs no flow class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Cancel
from flowkit.core.records import (
    RunAborted,
    RunCompensated,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepHit,
)
from flowkit.journal.entries import Note
from flowkit.runtime.folding import rewound
from flowkit.runtime.history import shown_time
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.restore import EXTRA
from flowkit.runtime.story import Story, flat, read_loosely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowkit.journal.rows import Entry

__all__ = ["DeferralInfo", "Execution", "QuestionInfo", "executions", "history"]

OPEN = frozenset({"running", "waiting"})


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
    """

    why: str
    error: BaseException | None
    at: float
    due: float


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
        hit: its result is a cached one.
        undone: a rewind took it back: it does not count any more.
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
    hit: bool = False
    undone: bool = False

    @property
    def degraded(self) -> bool:
        """Whether a fallback stands in for the step."""
        return any(each.why == "fallback" for each in self.deferrals)

    @property
    def duration(self) -> float | None:
        """Seconds from ready to ended, waiting included; None while it is open."""
        return None if self.ended is None else self.ended - self.started

    def __repr__(self) -> str:
        told = [f"{self.step} ({self.firing})", self.outcome]
        if self.attempt > 1:
            told.append(f"attempt {self.attempt}")
        if self.duration is not None:
            told.append(f"{self.duration:g}s")
        if self.error is not None:
            told.append(f"{type(self.error).__name__}: {self.error}")
        if self.changed:
            told.append(f"changed {' '.join(self.changed)}")
        if self.undone:
            told.append("undone")
        return f"<Execution {', '.join(told)}, at {shown_time(self.started)}>"


def history(run_id: str, store: Any = None) -> list[Execution]:
    """Every execution of a step in a run, in the order of their records.

    What is still open comes last. What a rewind or the retry of a failed run took
    back is there too, marked ``undone``. The flow's class need not be there; a value
    whose class is gone is shown as it was stored.

    Args:
        run_id: of the run, or the beginning of it.
        store: the default one if None.

    Raises:
        RunError: no such run.
        StoreError: records that cannot be read.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    entries = place.entries(row.id)
    return executions(Story(place, row, entries), entries)


def executions(story: Story, entries: list[Entry]) -> list[Execution]:
    """The same of records at hand."""
    teller = _Teller(story)
    for index, entry in enumerate(entries):
        if entry.kind == "note:rewind":
            teller.rewind(entry, entries[: index + 1])
        else:
            teller.take(entry)
    return teller.told()


class _Teller:
    def __init__(self, story: Story) -> None:
        self.story = story
        self.ended: list[Execution] = []
        self.open: dict[int, Execution] = {}

    def take(self, entry: Entry) -> None:
        story = self.story
        before = story.fields
        found = read_loosely(entry)
        record: Any = found.record
        commands = story.take(found)
        if isinstance(record, Note):
            if record.kind == "again":
                self._again(record)
            return
        about = self.open.get(getattr(record, "firing", None) or 0)
        tell = _TOLD.get(type(record))
        if about is not None and tell is not None:
            tell(about, record)
            if about.outcome not in OPEN:
                self._end(about, entry, before, found.delta)
        for command in commands:
            if type(command) is Cancel:
                for firing in command.firings:
                    self._cancel(firing.id, entry)
        self._begin(entry.at)

    def _begin(self, at: float) -> None:
        marking = self.story.marking
        for number in self.story.at_work:
            if number not in self.open:
                step = marking.live[number].node.name
                again = self.story.attempts.get(number, 1) - 1
                attempt = marking.live[number].attempt + again
                self.open[number] = Execution(step, number, at, attempt)
        for number, each in self.open.items():
            each.outcome = "waiting" if number in marking.asked else "running"

    def _end(
        self, each: Execution, entry: Entry, before: dict[str, Any], delta: Any
    ) -> None:
        del self.open[each.firing]
        each.ended, each.seq = entry.at, entry.seq
        each.before, each.after = flat(before), flat(self.story.fields)
        each.changed = tuple(_changed(delta, before, self.story.fields))
        self.ended.append(each)

    def _cancel(self, number: int, entry: Entry) -> None:
        each = self.open.get(number)
        if each is not None:
            each.outcome = "cancelled"
            self._end(each, entry, self.story.fields, {})

    def _again(self, note: Note) -> None:
        for number in note.data or ():
            each = self.open.get(number)
            if each is not None:
                each.attempt, each.started = each.attempt + 1, note.at

    def rewind(self, entry: Entry, entries: list[Entry]) -> None:
        to, anew = rewound(entry)
        self.story.fold(entries)
        for each in self.ended:
            each.undone = each.undone or (each.seq or 0) > to
        kept = self.story.marking.live
        for number, each in list(self.open.items()):
            if number not in kept or number in anew:
                each.undone, each.outcome = True, "cancelled"
                self._end(each, entry, self.story.fields, {})
        self._begin(entry.at)

    def told(self) -> list[Execution]:
        for each in self.open.values():
            each.before = flat(self.story.fields)
        return [*self.ended, *self.open.values()]


def _changed(delta: Any, before: Any, after: Any) -> Iterable[str]:
    for name in delta:
        if name != EXTRA:
            yield name
            continue
        was, now = before.get(EXTRA, {}), after.get(EXTRA, {})
        yield from (key for key in {**was, **now} if was.get(key) != now.get(key))


def _done(each: Execution, record: StepFinished) -> None:
    each.outcome, each.output, each.labels = "done", record.output, record.labels


def _stopped(each: Execution, record: RunStopped) -> None:
    each.outcome, each.output = "done", record.result


def _failed(each: Execution, record: StepFailed) -> None:
    each.outcome, each.error = "failed", record.error


def _aborted(each: Execution, record: RunAborted | RunCompensated) -> None:
    each.outcome = "cancelled"


def _deferred(each: Execution, record: StepDeferred) -> None:
    wait = DeferralInfo(record.why, record.error, record.at, record.due)
    each.deferrals.append(wait)
    if record.error is not None:
        each.attempt += 1


def _hit(each: Execution, record: StepHit) -> None:
    each.hit = True


def _asked(each: Execution, record: StepAsked) -> None:
    question = QuestionInfo(record.position, record.verb, record.detail, record.at)
    each.questions.append(question)


def _answered(each: Execution, record: StepAnswered) -> None:
    for question in each.questions:
        if question.position == record.position:
            question.answer, question.answered = record.answer, record.at


_TOLD: dict[type, Callable[[Execution, Any], None]] = {
    StepFinished: _done,
    StepFailed: _failed,
    StepDeferred: _deferred,
    StepHit: _hit,
    RunStopped: _stopped,
    RunAborted: _aborted,
    RunCompensated: _aborted,
    StepAsked: _asked,
    StepAnswered: _answered,
}
