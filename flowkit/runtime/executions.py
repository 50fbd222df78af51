"""The story of a run, an execution of a step at a time; needs no flow class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Cancel
from flowkit.core.records import (
    CallEnded,
    EventReceived,
    RunAborted,
    RunCompensated,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepHedged,
    StepHit,
    StepIsolated,
    StepTurned,
)
from flowkit.journal.entries import Note
from flowkit.runtime.execution_info import (
    Cause,
    DeferralInfo,
    Execution,
    LimitInfo,
    QuestionInfo,
)
from flowkit.runtime.folding import rewound
from flowkit.runtime.positions import RETRY, shown_position
from flowkit.runtime.restore import EXTRA
from flowkit.runtime.story import flat, read_loosely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowkit.core.marking import Firing
    from flowkit.journal.entries import Read
    from flowkit.journal.rows import Entry
    from flowkit.runtime.recall import Recall
    from flowkit.runtime.story import Story

__all__ = ["Teller", "executions"]

OPEN = frozenset({"running", "waiting"})


def executions(story: Story, entries: list[Entry]) -> list[Execution]:
    """Every execution that records tell of, in their order; open ones last."""
    teller = Teller(story)
    for index, entry in enumerate(entries):
        if entry.kind == "note:rewind":
            to, anew = rewound(entry)
            story.fold(entries[: index + 1])
            teller.rewind(entry, to, anew)
        else:
            teller.take(read_loosely(entry), entry.at)
    return teller.told()


class Teller:
    """Makes executions of records, one after another.

    Attributes:
        story: folds them.
        ended: executions that have ended, in the order they did.
        open: the others, by firing.
    """

    def __init__(self, story: Story | Recall) -> None:
        self.story = story
        self.ended: list[Execution] = []
        self.open: dict[int, Execution] = {}
        self._causes: dict[int, tuple[Cause, ...]] = {}

    def take(self, found: Read, at: float) -> None:
        """Tell one record more."""
        story = self.story
        before = story.fields
        record: Any = found.record
        commands = story.take(found)
        if isinstance(record, Note):
            self._noted(record)
            return
        if isinstance(record, CallEnded):
            self._called(record, found.seq, before)
        about = self.open.get(getattr(record, "firing", None) or 0)
        tell = _TOLD.get(type(record))
        if about is not None and tell is not None:
            tell(about, record)
            for name, figure in getattr(record, "metrics", ()):
                about.metrics[name] = about.metrics.get(name, 0) + figure
            if about.outcome not in OPEN:
                changed = _changed(found.delta, before, story.fields)
                self._end(about, at, found.seq, before, changed)
        for command in commands:
            if type(command) is Cancel:
                for firing in command.firings:
                    self._cancel(firing.id, at, found.seq)
        self._note_causes(about, record)
        self._begin(at)

    def _note_causes(self, about: Execution | None, record: Any) -> None:
        outside = record.name if type(record) is EventReceived else None
        for number, firing in self.story.marking.live.items():
            if number not in self._causes:
                self._causes[number] = self._causes_of(firing, about, outside)

    def _begin(self, at: float) -> None:
        marking = self.story.marking
        for number in self.story.at_work:
            if number not in self.open:
                step = marking.live[number].node.name
                again = self.story.attempts.get(number, 1) - 1
                attempt = marking.live[number].attempt + again
                told = self.open[number] = Execution(step, number, at, attempt)
                if number not in self._causes:  # it was there before the first record
                    self._causes[number] = self._causes_of(marking.live[number])
                told.causes = self._causes[number]
        for number, each in self.open.items():
            waits = number in marking.asked and number not in marking.busy
            each.outcome = "waiting" if waits else "running"

    def _called(
        self, record: CallEnded, seq: int, fields: dict[str, Any] | None
    ) -> None:
        state = None if fields is None else flat(fields)
        outcome = "cancelled" if record.cancelled else "done"
        told = Execution(
            record.step,
            record.firing,
            record.began,
            self.story.attempts.get(record.firing, 1),
            outcome if record.error is None else "failed",
            record.at,
            seq,
            record.output,
            error=record.error,
            before=state,
            after=state,
            position=shown_position(record.position),
            hit=record.hit,
        )
        _tried(told, record, self.open.get(record.firing))
        self.ended.append(told)

    def _causes_of(
        self, firing: Firing, giver: Execution | None = None, outside: str | None = None
    ) -> tuple[Cause, ...]:
        """What a firing that was just made consumed.

        A place in a line may come free through another execution than the one that
        gave what is consumed; that is then the latest one to have given it.
        """
        if firing.tokens is not None:
            return tuple(Cause(t.name, max(0, t.source)) for t in firing.tokens)
        name = firing.name or ""
        if not name or name == outside:
            return (Cause(name),)
        if giver is None or not _gives(giver, name):
            latest = (each for each in reversed(self.ended) if not each.undone)
            giver = next((each for each in latest if _gives(each, name)), None)
        return (Cause(name, giver.firing if giver else 0),)

    def _end(
        self,
        each: Execution,
        at: float,
        seq: int,
        before: dict[str, Any] | None,
        changed: Iterable[str] = (),
    ) -> None:
        del self.open[each.firing]
        each.ended, each.seq = at, seq
        after = self.story.fields
        if before is not None and after is not None:
            each.before, each.after = flat(before), flat(after)
        each.changed = tuple(changed)
        self.ended.append(each)

    def _cancel(self, number: int, at: float, seq: int) -> None:
        each = self.open.get(number)
        if each is not None:
            each.outcome = "cancelled"
            self._end(each, at, seq, self.story.fields)

    def _noted(self, note: Note) -> None:
        if note.kind == "again":
            self._again(note)
        elif note.kind == "limit":
            self._limited(note)

    def _again(self, note: Note) -> None:
        for number in note.data or ():
            each = self.open.get(number)
            if each is not None:
                each.attempt, each.started = each.attempt + 1, note.at

    def _limited(self, note: Note) -> None:
        """A limit of a step has decided, or one of the run: that holds for all."""
        said = dict(note.data)
        about = said.pop("firing")
        told = LimitInfo(at=note.at, **said)
        for number, each in self.open.items():
            if about in {number, None}:
                each.limits.append(told)

    def rewind(self, entry: Entry, to: int, anew: Sequence[int]) -> None:
        """Everything after record ``to`` is taken back; ``anew`` starts once more."""
        for each in self.ended:
            called = each.position is not None and each.firing in anew
            each.undone = each.undone or (each.seq or 0) > to or called
        kept = self.story.marking.live
        for number, each in list(self.open.items()):
            if number not in kept or number in anew:
                each.undone, each.outcome = True, "cancelled"
                self._end(each, entry.at, entry.seq, self.story.fields)
        self._begin(entry.at)

    def told(self) -> list[Execution]:
        """All of them, open ones last."""
        fields = self.story.fields
        for each in self.open.values():
            each.before = None if fields is None else flat(fields)
        return [*self.ended, *self.open.values()]


def _tried(told: Execution, record: CallEnded, caller: Execution | None) -> None:
    """The attempts of a called step, which its caller waited for as for answers."""
    measured = [dict(record.metrics)]
    for asked in () if caller is None else caller.questions:
        if asked.verb == RETRY and asked.detail["call"] == record.position:
            said = asked.detail
            metrics = dict(map(tuple, said["metrics"]))
            told.deferrals.append(
                DeferralInfo(
                    said["why"], said["error"], asked.asked, said["due"], metrics
                )
            )
            told.attempt = said["attempt"]
            measured.append(metrics)
    for each in measured:
        for name, figure in each.items():
            told.metrics[name] = told.metrics.get(name, 0) + figure


def _gives(each: Execution, name: str) -> bool:
    """Whether what an execution left has that name."""
    return name in (
        each.step,
        *each.labels,
        f"{each.step}.failed",
        f"{each.step}.cancelled",
    )


def _changed(delta: Any, before: Any, after: Any) -> Iterable[str]:
    for name in delta or ():
        if name != EXTRA:
            yield name
            continue
        was, now = before.get(EXTRA, {}), after.get(EXTRA, {})
        yield from (key for key in {**was, **now} if was.get(key) != now.get(key))


def _done(each: Execution, record: StepFinished) -> None:
    each.outcome, each.output, each.labels = "done", record.output, record.labels


def _turned(each: Execution, record: StepTurned) -> None:
    """It goes on with another turn; what one measured counts."""
    each.turns += 1


def _stopped(each: Execution, record: RunStopped) -> None:
    each.outcome, each.output = "done", record.result


def _failed(each: Execution, record: StepFailed) -> None:
    each.outcome, each.error = "failed", record.error


def _aborted(each: Execution, record: RunAborted | RunCompensated) -> None:
    each.outcome = "cancelled"


def _deferred(each: Execution, record: StepDeferred) -> None:
    wait = DeferralInfo(
        record.why, record.error, record.at, record.due, dict(record.metrics)
    )
    each.deferrals.append(wait)
    if record.error is not None:
        each.attempt += 1


def _hit(each: Execution, record: StepHit) -> None:
    each.hit = True


def _hedged(each: Execution, record: StepHedged) -> None:
    if record.won:
        each.winner = record.call
    else:
        each.hedges.append(record.at)


def _isolated(each: Execution, record: StepIsolated) -> None:
    each.pids.append(record.pid)


def _asked(each: Execution, record: StepAsked) -> None:
    if any(asked.position == record.position for asked in each.questions):
        return  # it waits for it again
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
    StepHedged: _hedged,
    StepIsolated: _isolated,
    StepTurned: _turned,
    RunStopped: _stopped,
    RunAborted: _aborted,
    RunCompensated: _aborted,
    StepAsked: _asked,
    StepAnswered: _answered,
}
