"""A regression test cut from a stored run, as Python source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flowkit.core.marking import Firing
from flowkit.core.records import (
    CallEnded,
    EventReceived,
    RunAborted,
    RunCancelled,
    RunExpired,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    StepFinished,
    TimerFired,
)
from flowkit.errors import InputError
from flowkit.journal.codec import decode_loosely, encode
from flowkit.journal.entries import Note
from flowkit.runtime.folding import effective
from flowkit.runtime.history import shown_time
from flowkit.runtime.lookup import row_of, store_of
from flowkit.runtime.people import HumanFeedbackResult
from flowkit.runtime.positions import RETRY
from flowkit.runtime.story import Story, flat, read_loosely
from flowkit.testing.source import call, indented, literal, text, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowkit.journal.rows import RunRow

__all__ = ["testcase"]

TOGETHER = 1.0
"""Seconds: two times that lie so near each other pass at once in a test."""


class Ended(NamedTuple):
    """A firing that ended, as the test must see it.

    Attributes:
        firing: its number; of a step that a function calls its position.
        step: its name.
        born: number of the record since which it could end.
        seq: number of its own record.
        result: what it gave, or the exception.
        failed: whether it raised.
        changed: the state's fields it changed, as they were after it.
    """

    firing: int
    step: str
    born: int
    seq: int
    result: Any
    failed: bool
    changed: dict[str, Any]


def testcase(
    run_id: str,
    *,
    store: Any = None,  # noqa: PT028 - no test, for all its name
    stubs: Iterable[str] | Literal["all"] = (),  # noqa: PT028 - the same
    name: str | None = None,  # noqa: PT028 - the same
) -> str:
    """The source of a test that plays a stored run again and compares the two.

    The test gives the flow what came from outside: inputs, events, people's answers
    and times, in their order; it checks the path, the status and the result. Steps do
    their own work in it, except for those in ``stubs``, which give what they gave
    then: name those that call something outside.

    Args:
        run_id: of the run, or the beginning of it.
        store: the default one if None.
        stubs: names of steps, or ``"all"``.
        name: of the test function; made of flow and id if None.

    Returns:
        A module with one test function, for pytest.

    Raises:
        NotFoundError: no such run.
        InputError: the run still moves, or was cancelled from outside; or a stub is
            no step of it.
    """
    place = store_of(store)
    row = row_of(place, run_id)
    if row.status == "running":
        msg = f"Run {row.id!r} is running: cut a test once it is over, or waits."
        raise InputError(msg)
    tale = _Tale(Story(place, row, place.entries(row.id)))
    for entry in effective(place.entries(row.id)):
        tale.take(entry.seq, read_loosely(entry))
    if tale.cancelled:
        msg = (
            f"Run {row.id!r} was cancelled from outside, which no test can repeat: cut "
            f"one of a run that ended by itself, or waits."
        )
        raise InputError(msg)
    known = {node.name for node in tale.story.net.nodes} | tale.called
    if stubs == "all" and tale.called:
        known.discard("body")  # it calls them, and waits
    chosen = known if stubs == "all" else set(stubs)
    unknown = sorted(chosen - known)
    if unknown:
        msg = f"Run {row.id!r} has no step {unknown[0]!r} to stub."
        raise InputError(msg)
    return _Writer(row, tale, chosen, name).source()


class Item(NamedTuple):
    """What came from outside: its kind, what was given, for which step if for one."""

    kind: str
    given: dict[str, Any]
    step: str | None = None


testcase.__test__ = False  # type: ignore[attr-defined]  # pytest: it is no test


class _Tale:
    """What of a run's records a test must repeat, and what it must find."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.begin: RunStarted | None = None
        self.inputs: Any = None
        self.outside: list[Item] = []
        self.ended: list[Ended] = []
        self.cancelled = False
        self.called: set[str] = set()
        self._names: dict[int, str] = {}
        self._born: dict[int, int] = {}
        self._asked: dict[tuple[int, int], StepAsked] = {}
        self._passed = float("-inf")
        self._calls: list[tuple[float, int]] = []

    def take(self, seq: int, found: Any) -> None:
        record = found.record
        due = None
        if type(record) is TimerFired:
            timer = self.story.marking.timers.get(record.timer)
            due = None if timer is None else timer.due
        before = self.story.fields
        commands = self.story.take(found)
        if isinstance(record, Note):
            return
        self._note(seq, record, found, due)
        after = self.story.fields
        if type(record) in {StepFinished, StepFailed, RunStopped} and record.firing:
            self._end(seq, record, before, after)
        elif type(record) is CallEnded and not record.cancelled:
            self._call(seq, record)
        for command in commands:
            if type(command) is Firing:
                self._names[command.id] = command.node.name
        for number, firing in self.story.marking.live.items():
            self._names[number] = firing.node.name
            self._born.setdefault(number, seq)

    def _note(self, seq: int, record: Any, found: Any, due: float | None) -> None:
        if type(record) is RunStarted:
            self.begin, self.inputs = record, found.more.get("i")
        elif type(record) is StepAnswered:
            self._born[record.firing] = seq
            self._answered(record)
        elif type(record) in {TimerFired, RunExpired}:
            self._time(due)
        elif type(record) is RunCancelled or (
            type(record) is RunAborted and record.firing is None
        ):
            self.cancelled = True
        elif type(record) is EventReceived:
            self._came(record.name, record.payload, record.key)
        elif type(record) is StepAsked:
            self._asked[record.firing, record.position] = record
        elif type(record) is StepFinished:
            said = record.payload
            if isinstance(said, HumanFeedbackResult):
                given = {"step": self._names[record.firing], "value": said.feedback}
                self.outside.append(Item("Answers", given))

    def _came(
        self, name: str, payload: Any, key: str | None, step: str | None = None
    ) -> None:
        given = {"name": name, "payload": payload}
        if key is not None:
            given["key"] = key
        self.outside.append(Item("Arrives", given, step))

    def _answered(self, record: StepAnswered) -> None:
        asked = self._asked[record.firing, record.position]
        detail = asked.detail or {}
        answer, step = record.answer, self._names[record.firing]
        if asked.verb == "call":
            return
        if asked.verb == RETRY and "mark" in detail:  # of a step that it calls
            step = detail["mark"][0]
        if answer is None or isinstance(answer, dict):
            self._time(detail.get("due"), step)
        elif asked.verb == "ask":
            said = self._said(record.firing, answer[2])
            self.outside.append(Item("Answers", said, step))
        else:
            self._came(answer[1], answer[2], detail.get("key"), step)

    def _said(self, firing: int, said: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {"step": self._names[firing]}
        verdict = said.get("verdict")
        if verdict is None or verdict == "edited":
            told["value"] = said.get("value")
        if verdict is not None:
            verbs = {"approved": "approve", "rejected": "reject", "edited": "edit"}
            told["verb"] = verbs[verdict]
        more = {"by": said.get("by"), "comment": said.get("comment")}
        return told | {name: value for name, value in more.items() if value}

    def _time(self, due: float | None, step: str | None = None) -> None:
        """Time passed; two times near each other pass at once in a test."""
        at = self._passed + 2 * TOGETHER if due is None else due
        if at - self._passed > TOGETHER:
            self.outside.append(Item("TimePasses", {}, step))
        self._passed = max(at, self._passed) if due is not None else self._passed

    def _end(self, seq: int, record: Any, before: Any, after: Any) -> None:
        failed = type(record) is StepFailed
        result = record.error if failed else getattr(record, "output", None)
        if type(record) is RunStopped:
            result = record.result
        was, now = flat(before), flat(after)
        changed = {
            name: value
            for name, value in now.items()
            if name not in was or (was[name] is not value and was[name] != value)
        }
        number = record.firing
        step, born = self._names[number], self._born[number]
        if self._calls:  # those it has called have ended before it
            born = max(born, self._calls[-1][1])
        self.ended.append(Ended(number, step, born, seq, result, failed, changed))

    def _call(self, seq: int, record: CallEnded) -> None:
        """A step that a function has called; others may have run beside it."""
        failed = record.error is not None
        before = (number for at, number in self._calls if at <= record.began)
        self._calls.append((record.at, seq))
        self.called.add(record.step)
        self.ended.append(
            Ended(
                record.position,
                record.step,
                max(before, default=0),
                seq,
                record.error if failed else record.output,
                failed,
                {},
            )
        )

    def path(self) -> list[list[str]]:
        """Groups of steps: within one, any order could have been."""
        groups: list[list[str]] = []
        last = len(self.ended) - 1
        group: list[str] = []
        for at, each in enumerate(self.ended):
            group.append(f"{each.step}.failed" if each.failed else each.step)
            later = self.ended[at + 1 :]
            if at == last or all(other.born >= each.seq for other in later):
                groups.append(group)
                group = []
        return groups


class _Writer:
    """Writes the module."""

    def __init__(
        self, row: RunRow, tale: _Tale, stubs: set[str], name: str | None
    ) -> None:
        self.row = row
        self.tale = tale
        self.module, _, path = row.flow.partition(":")
        self.path = path
        self.top = path.partition(".")[0]
        self.stubs = [
            step
            for step in dict.fromkeys(each.step for each in tale.ended)
            if step in stubs
        ]
        self.name = name or _test_name(path, row.id)
        self.used = {"assert_path", "play"}

    def source(self) -> str:
        """The whole module."""
        body = self._body()
        names = sorted(self.used, key=lambda name: (not name[0].isupper(), name))
        head = [
            f'"""Cut from run {self.row.id} of {self.path}."""',
            "",
            f"# begun {shown_time(self.row.created)}",
            *wrapped("from flowkit.testing import ", names, "(", ")"),
            "",
            f"from {self.module} import {self.top}",
            "",
            "",
            f"def {self.name}():",
        ]
        return "\n".join([*head, *indented(body, 1), ""])

    def _body(self) -> list[str]:
        stubs = [self._stub(step) for step in self.stubs]
        if len(stubs) == 1:
            stubs[0][0] = f"with {stubs[0][0]}"
            lines = [*stubs[0][:-1], f"{stubs[0][-1]}:"]
        elif stubs:
            lines = ["with ("]
            for stub in stubs:
                lines += indented([*stub[:-1], f"{stub[-1]},"], 1)
            lines.append("):")
        else:
            lines = []
        lines += indented(self._play(), 1 if stubs else 0)
        path = [self._group(group) for group in self.tale.path()]
        lines += call("assert_path", ["run", *path])
        lines.append(f"assert run.status == {text(self.row.status)}")
        return lines + self._outcome()

    def _group(self, group: Sequence[str]) -> str:
        if len(group) == 1:
            return text(group[0])
        self.used.add("any_order")
        return f"any_order({', '.join(map(text, sorted(group)))})"

    def _outcome(self) -> list[str]:
        failures = [each for each in self.tale.ended if each.failed]
        if self.row.status == "completed":
            return [f"assert run.result == {self._value(read_result(self.row))}"]
        if self.row.status != "failed":
            return []
        if not failures:
            return ["assert run.failures"]
        found = failures[-1].result
        return [
            f"assert type(run.failures[0]).__name__ == {text(type(found).__name__)}",
            f"assert str(run.failures[0]) == {text(str(found))}",
        ]

    def _play(self) -> list[str]:
        begin = self.tale.begin
        arguments = [self.path]
        if begin is not None and begin.event is not None:
            payload = next(iter((begin.payloads or {}).values()), None)
            given = {"name": begin.event, "payload": payload}
            if self.row.key is not None:
                given["key"] = self.row.key
            arguments.append(f"begins={self._item('Arrives', given)}")
        elif self.tale.inputs:
            arguments.append(self._value(self.tale.inputs))
        items = [
            self._item(item.kind, item.given)
            for item in self.tale.outside
            if item.step not in self.stubs
        ]
        if items:
            arguments.append(
                "\n".join(wrapped("outside=", items, "[", "]", always=True))
            )
        arguments.append(f"at={self.row.created!r}")
        return call("run = play", arguments)

    def _item(self, kind: str, given: dict[str, Any]) -> str:
        self.used.add(kind)
        values = {name: self._value(value) for name, value in given.items()}
        if values.get("payload") == "None":
            del values["payload"]
        plain = {"name", "payload", "step"} if kind == "Arrives" else {"step", "value"}
        shown = [
            value if name in plain else f"{name}={value}"
            for name, value in values.items()
        ]
        return f"{kind}({', '.join(shown)})"

    def _stub(self, step: str) -> list[str]:
        self.used.add("stub")
        ended = [each for each in self.tale.ended if each.step == step]
        ended.sort(key=lambda each: each.firing)
        results = "\n".join(
            wrapped(
                "in_turn=", [self._gave(each) for each in ended], "[", "]", always=True
            )
        )
        return call("stub", [self.path, text(step), results])

    def _gave(self, each: Ended) -> str:
        value = self._value(each.result)
        if not each.changed:
            return value
        self.used.add("Gives")
        return f"Gives({value}, state={self._value(each.changed)})"

    def _value(self, value: Any) -> str:
        """A value as source; what has no literal as its stored text."""
        shown = literal(value)
        if shown is not None:
            return shown
        self.used.add("recorded")
        return f"recorded({encode(value, 'a value of the run')!r})"


def read_result(row: RunRow) -> Any:
    """The outcome of a stored run."""
    return decode_loosely(row.result) if row.result else None


def _test_name(path: str, run_id: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", path.rpartition(".")[2]).lower()
    short = run_id[-8:] if len(run_id) == 36 else run_id  # noqa: PLR2004 - a UUID
    return f"test_{words}_{re.sub(r'[^0-9a-zA-Z]+', '_', short).strip('_').lower()}"
