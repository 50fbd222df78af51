"""What a run tells those who read it: frames, made of its records.

One record makes some frames, always the same ones, so that a frame's number is the
same for every reader, now or later, from memory or from a store. What steps tell
beside their records (:func:`flowkit.runtime.items.emit_item`) stands among them, in
the place where it was told.

============================== ============================================ ========
type                           ``data`` beside ``step``, ``firing``, ``attempt``
============================== ============================================ ========
``flow_started``               ``flow``, ``run_id``, ``inputs``, ``event``
``method_execution_started``   nothing
``method_execution_finished``  ``output``, ``labels``, ``changed``
``method_execution_failed``    ``error``
``method_execution_deferred``  ``why``, ``error``, ``due``: it begins again then
``method_execution_cancelled`` nothing
``method_execution_paused``    ``verb``, ``detail``: what it waits for
``method_execution_resumed``   ``answer``
``method_turn_finished``       ``output``, ``changed``: a repeated step goes on
``method_item_yielded``        ``item``: a step that yields into a group
``item``                       ``item``; on the channel that the step named
``event_received``             ``name``, ``payload``, ``key``
``flow_paused``                ``events``: the names it waits for
``flow_resumed``               nothing
``flow_rewound``               ``to``: number of the record it goes on after
``flow_finished``              ``result``
``flow_failed``                ``error``
``flow_cancelled``             ``reason``
``flow_compensated``           ``reason``
``flow_expired``               nothing
``flow_input_requested``       ``message``, ``metadata``
``flow_input_received``        ``message``, ``response``
``human_feedback_requested``   ``message``, ``output``, ``emit``
``human_feedback_received``    ``feedback``, ``outcome``
============================== ============================================ ========

``changed`` holds the new values of the state's fields that a step has changed, and
``removed`` the names of those that are gone. A run in memory keeps these values only
while somebody reads it; of what it changed before there are the names, ``unknown``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowkit.core.commands import Cancel, Fault
from flowkit.core.records import (
    CallEnded,
    EventReceived,
    RunAborted,
    RunCancelled,
    RunCompensated,
    RunExpired,
    RunOverdue,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepTurned,
    StepYielded,
)
from flowkit.journal.entries import Note
from flowkit.runtime.restore import EXTRA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowkit.journal.entries import Read

__all__ = ["Narrator", "StreamFrame"]


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One thing that happened in a run, for those who read its stream.

    Attributes:
        id: unique: the run's id and the frame's number.
        seq: its number among the frames of its own run, from 1 without a gap; a reader
            that was given it goes on behind it with ``after=seq``.
        type: what happened, such as ``method_execution_finished``.
        channel: ``flow`` for the run and its steps; what a step tells by
            :meth:`~flowkit.Flow.emit_item` stands on the channel it named.
        namespace: the flow's name, and the step's; of a called run behind those of its
            caller.
        timestamp: when, in UTC.
        parent_id: the frame in which this one's step was started, of a step's start
            that of the run, of a called run's first that of the step; else None.
        previous_id: the frame before it; None for the first.
        data: what belongs to it, by its type.
    """

    id: str
    seq: int
    type: str
    channel: str
    namespace: tuple[str, ...]
    timestamp: datetime
    parent_id: str | None = None
    previous_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id of the run it belongs to: in a caller's stream also called ones."""
        return self.id.rpartition(":")[0]

    @property
    def item(self) -> Any:
        """What the step told, of a frame that carries an item; else None."""
        return self.data.get("item")

    def to_dict(self) -> dict[str, Any]:
        """Everything as values that JSON has; what it has not is text."""
        from pydantic_core import to_jsonable_python  # only who sends it on

        told: dict[str, Any] = to_jsonable_python(
            {name: getattr(self, name) for name in self.__slots__}, fallback=_shown
        )
        return told


def _shown(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value)


class Narrator:
    """Makes frames of a run's records, one record after another.

    Attributes:
        story: folds them; see :class:`~flowkit.runtime.story.Story`.
        seq: number of the latest frame.
    """

    def __init__(self, story: Any, run_id: str) -> None:
        self.story: Any = story
        self.seq: int = 0
        self._run = run_id
        self._previous: str | None = None
        self._root: str | None = None
        self._begun: dict[int, str] = {}
        self._reviewed: set[int] = set()
        self._status = "running"
        self._last: Any = None
        self._reason = ""
        self._error: BaseException | None = None
        self._told: list[StreamFrame] = []
        self._at = 0.0

    def take(self, found: Read) -> list[StreamFrame]:
        """The frames of one record more."""
        self._told, record = [], found.record
        self._at = record.at
        if isinstance(record, Note):
            self._note(record, found)
        else:
            self._fact(record, found)
        return self._told

    def _note(self, note: Note, found: Read) -> None:
        if note.kind != "item":  # else nothing for a story
            self.story.take(found)
        told = _NOTES.get(note.kind)
        if told is not None:
            told(self, note)

    def _fact(self, record: Any, found: Read) -> None:
        number = getattr(record, "firing", None) or 0
        firing = self.story.marking.live.get(number)
        step = "" if firing is None else firing.node.name
        commands = self.story.take(found)
        tell = _RECORDS.get(type(record))
        if tell is not None:
            tell(self, record, step, found)
        failed = type(record) is StepFailed and not self._handled(record, firing)
        if failed or type(record) is RunOverdue:
            self._error = self._error or record.error
        elif type(record) is RunCompensated:
            self._reason = record.reason
        for command in commands:
            if type(command) is Cancel:
                self._cut(command)
            elif type(command) is Fault:
                self._error = self._error or command.error
        if type(record) in _ENDING:
            self._begun.pop(number, None)
        self._begin()
        self._look()

    def _cut(self, command: Cancel) -> None:
        for each in command.firings:
            if each.id in self._begun:
                self._step("cancelled", each.node.name, each.id)
                del self._begun[each.id]

    def again(self, story: Any, to: int) -> list[StreamFrame]:
        """The run was taken back: go on with what ``story`` says of it."""
        self._told, self.story = [], story
        self._error, self._status = None, "running"
        self._frame("flow_rewound", {"to": to})
        at_work = story.at_work
        self._begun = {n: self._begun.get(n) or self._root or "" for n in at_work}
        return self._told

    def _handled(self, record: StepFailed, firing: Any) -> bool:
        if firing is None:
            return True
        return bool(firing.node.hears(late=record.late) or firing.lane)

    def _begin(self) -> None:
        live = self.story.marking.live
        for number in self.story.at_work:
            if number not in self._begun:
                self._start(number, live[number].node.name)

    def _start(self, number: int, step: str) -> None:
        frame = self._step("started", step, number, parent=self._root)
        self._begun[number] = frame.id

    def _look(self) -> None:
        """Tell that the run waits, goes on or is over, if that is new."""
        status = self.story.marking.status
        if status == self._status:
            return
        before, self._status = self._status, status
        if status == "waiting":
            from flowkit.core.ending import awaited  # only who waits

            marking = self.story.marking
            names = [*awaited(self.story.net, marking)]
            for questions in marking.asked.values():
                for asked in questions.values():
                    names += (asked.detail or {}).get("names", ())
            self._frame("flow_paused", {"events": tuple(dict.fromkeys(names))})
        elif status == "running":
            self._frame("flow_resumed", {})
        elif before in {"running", "waiting"}:
            self._frame(*self._end(status))

    def _end(self, status: str) -> tuple[str, dict[str, Any]]:
        if status == "completed":
            return "flow_finished", {"result": self._last}
        if status == "failed":
            return "flow_failed", {"error": self._error}
        if status == "expired":
            return "flow_expired", {}
        if status == "compensated":
            return "flow_compensated", {"reason": self._reason}
        return "flow_cancelled", {"reason": self._reason}

    def _step(
        self,
        what: str,
        step: str,
        number: int,
        data: Mapping[str, Any] | None = None,
        *,
        kind: str = "",
        channel: str = "flow",
        parent: str | None = None,
        attempt: int = 0,
    ) -> StreamFrame:
        about = {
            "step": step,
            "firing": number,
            "attempt": attempt or self.story.attempts.get(number, 1),
        }
        above = parent or self._begun.get(number) or self._root
        kind = kind or f"method_execution_{what}"
        return self._frame(kind, about | dict(data or {}), step, channel, above)

    def _frame(
        self,
        kind: str,
        data: dict[str, Any],
        step: str = "",
        channel: str = "flow",
        parent: str | None = None,
    ) -> StreamFrame:
        self.seq += 1
        name = self.story.net.definition.name
        frame = StreamFrame(
            f"{self._run}:{self.seq}",
            self.seq,
            kind,
            channel,
            (name, step) if step else (name,),
            datetime.fromtimestamp(self._at, UTC),
            parent or self._root,
            self._previous,
            data,
        )
        self._previous = frame.id
        self._told.append(frame)
        return frame

    def _changes(self, found: Read) -> dict[str, Any]:
        """The state's fields that a record changed, as they are after it."""
        if not found.delta:
            return {"changed": {}}
        fields = self.story.fields
        if fields is None:  # of a run in memory: kept beside it, if it was read then
            values = found.more.get("values")
            if values is None:
                return {"changed": {}, "unknown": [*found.delta]}
        else:
            from flowkit.runtime.story import flat  # only who reads a store

            values = flat(fields)
        changed = {name: values[name] for name in found.delta if name in values}
        told: dict[str, Any] = {"changed": changed}
        removed = [name for name in found.delta if name not in values | {EXTRA: 0}]
        if removed:
            told["removed"] = removed
        return told

    def _started(self, record: RunStarted, _step: str, found: Read) -> None:
        name = self.story.net.definition.name
        data = {
            "flow": name,
            "run_id": self._run,
            "inputs": dict(found.more.get("i") or {}),
            "event": record.event,
        }
        self._root = self._frame("flow_started", data).id

    def _finished(self, record: StepFinished, step: str, found: Read) -> None:
        self._last = record.output
        if record.payload is not None and hasattr(record.payload, "feedback"):
            said = record.payload
            data = {"feedback": said.feedback, "outcome": said.outcome}
            kind = "human_feedback_received"
            self._step("", step, record.firing, data, kind=kind)
        data = {"output": record.output, "labels": record.labels}
        self._step("finished", step, record.firing, data | self._changes(found))

    def _stopped(self, record: RunStopped, step: str, found: Read) -> None:
        self._last = record.result
        data = {"output": record.result, "labels": (), **self._changes(found)}
        if step:
            self._step("finished", step, record.firing or 0, data)

    def _aborted(self, record: RunAborted, step: str, _found: Read) -> None:
        self._reason = record.reason
        if step:
            self._step("cancelled", step, record.firing or 0)

    def _cancelled(self, record: RunCancelled, _step: str, _found: Read) -> None:
        self._reason = record.reason

    def _failed(self, record: StepFailed, step: str, _found: Read) -> None:
        self._step("failed", step, record.firing, {"error": record.error})

    def _deferred(self, record: StepDeferred, step: str, _found: Read) -> None:
        data = {"why": record.why, "error": record.error, "due": record.due}
        self._step("deferred", step, record.firing, data)

    def _turned(self, record: StepTurned, step: str, found: Read) -> None:
        data = {"output": record.output, **self._changes(found)}
        self._step("", step, record.firing, data, kind="method_turn_finished")

    def _yielded(self, record: StepYielded, step: str, _found: Read) -> None:
        data = {"item": record.item}
        self._step("", step, record.firing, data, kind="method_item_yielded")

    def _asked(self, record: StepAsked, step: str, found: Read) -> None:
        detail: Any = record.detail
        if record.verb == "feedback" and record.firing not in self._reviewed:
            told = {
                "message": detail.get("message"),
                "output": detail.get("method_output"),
                "emit": detail.get("emit"),
            }
            kind = "human_feedback_requested"
            self._step("", step, record.firing, told, kind=kind)
        data = {"verb": record.verb, "detail": _public(detail), **self._changes(found)}
        self._step("paused", step, record.firing, data)

    def _answered(self, record: StepAnswered, step: str, _found: Read) -> None:
        self._step("resumed", step, record.firing, {"answer": record.answer})

    def _came(self, record: EventReceived, _step: str, _found: Read) -> None:
        data = {"name": record.name, "payload": record.payload, "key": record.key}
        self._frame("event_received", data)

    def _called(self, record: CallEnded, _step: str, _found: Read) -> None:
        began = datetime.fromtimestamp(record.began, UTC)
        data: dict[str, Any] = {"output": record.output, "began": began}
        what = "cancelled" if record.cancelled else "finished"
        if record.error is not None:
            what, data = "failed", {"error": record.error, "began": began}
        self._step(what, record.step, record.firing, data)

    def _more(self, note: Note) -> None:
        """A restart: what was interrupted starts once more."""
        live = self.story.marking.live
        for number in note.data or ():
            if number in live:
                self._start(number, live[number].node.name)

    def _item(self, note: Note) -> None:
        told = note.data
        number, step, attempt = told["firing"], told["step"], told["attempt"]
        channel, kind = told["channel"], told["type"]
        if kind == "human_feedback_requested":
            self._reviewed.add(number)
        data = told["data"]
        self._step("", step, number, data, kind=kind, channel=channel, attempt=attempt)


def _public(detail: Any) -> Any:
    """What was asked, without the secret by which it is answered."""
    if not isinstance(detail, dict):
        return detail
    return {key: value for key, value in detail.items() if key != "token"}


_RECORDS: dict[type, Callable[[Narrator, Any, str, Read], None]] = {
    RunStarted: Narrator._started,
    StepFinished: Narrator._finished,
    StepFailed: Narrator._failed,
    StepDeferred: Narrator._deferred,
    StepTurned: Narrator._turned,
    StepYielded: Narrator._yielded,
    StepAsked: Narrator._asked,
    StepAnswered: Narrator._answered,
    EventReceived: Narrator._came,
    CallEnded: Narrator._called,
    RunStopped: Narrator._stopped,
    RunAborted: Narrator._aborted,
    RunCancelled: Narrator._cancelled,
}
_ENDING = frozenset({StepFinished, StepFailed, RunStopped, RunAborted, RunExpired})
_NOTES: dict[str, Callable[[Narrator, Note], None]] = {
    "again": Narrator._more,
    "item": Narrator._item,
}
