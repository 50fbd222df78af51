"""Steps that run in a process of their own: ``isolate="process"``.

What the step is handed, its state and the attributes of its flow go there as pickles;
what it returns, has changed, emitted and measured comes back, and is committed as that
of a step beside others is. Each call has a new process.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.core.limits import Bulkhead
from flowkit.core.records import StepIsolated
from flowkit.errors import RunError, StepCrashedError, UnsendableError
from flowkit.runtime import signals
from flowkit.runtime.call_changes import CallChanges, apply_to, changes_in
from flowkit.runtime.clock import now
from flowkit.runtime.tentative import keep_said

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.core.net import Node
    from flowkit.core.policies import Policy
    from flowkit.runtime.processes import Child
    from flowkit.runtime.run import Run
    from flowkit.runtime.state import Changes

__all__ = ["bounded", "isolated"]

FEWEST = 4
PLACES = Bulkhead(max(FEWEST, os.cpu_count() or 1), name="flowkit processes")
"""How many such processes there are at once, where a step says nothing itself."""


def bounded(policy: Policy) -> Policy:
    """The policy of an isolated step, with a bulkhead in any case."""
    return policy if policy.bulkhead is not None else replace(policy, bulkhead=PLACES)


def isolated(node: Node, name: str, *, is_async: bool) -> Callable[..., Any]:
    """A function that has a step run in a process of its own.

    Args:
        node: of the step.
        name: as ``Orders.charge``.
        is_async: whether the step is.
    """

    async def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        return await _Isolated(flow, node, name).go(arguments, keywords)

    def plain(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        return call(flow, *arguments, **keywords)

    return call if is_async else plain


class _Isolated:
    """One call of a step in another process."""

    def __init__(self, flow: Any, node: Node, name: str) -> None:
        scope = flow._flowkit
        self.flow: Any = flow
        self.run: Run = scope.run
        self.firing: Firing = scope.firing
        self.changes: Changes = changes_in(scope)
        self.step: Any = node.step
        self.name: str = name

    async def go(self, arguments: Any, keywords: Any) -> Any:
        """What the step returns there.

        Raises:
            StepCrashedError: its process ended before it did.
            UnsendableError: something cannot go there, or come back.
            BaseException: what the step raises.
        """
        from flowkit.runtime.processes import Child
        from flowkit.runtime.spawn_guard import PREFIX  # multiprocessing, once needed

        child = Child(PREFIX + self.name, self._packed(arguments, keywords), self._beat)
        try:
            await child.begun.wait()
            if child.pid is not None:
                self._note(child.pid)
            await child.over.wait()
        except BaseException:
            await child.stop()
            self._say_where(child)
            raise
        if child.fault is not None:
            raise child.fault
        return self._came_of(child)

    def _note(self, pid: int) -> None:
        run, firing = self.run, self.firing
        if run.over or firing.id not in run.marking.live:
            return
        run.apply(StepIsolated(now(), firing.id, pid))
        if run.hurry is not None:
            run.hurry()  # have it written
        if signals.step_isolated.receivers:
            step, attempt = firing.node.name, firing.attempt
            run.tell(
                signals.step_isolated,
                step=step,
                firing=firing.id,
                attempt=attempt,
                pid=pid,
            )

    def _beat(self) -> None:
        watch = self.run.watches.get(self.firing.id)
        if watch is not None:
            watch.beat = now()

    def _say_where(self, child: Child) -> None:
        """Tell in a timeout where the step was."""
        watch = self.run.watches.get(self.firing.id)
        found = _own_frames(child.trace)
        if watch is not None and watch.error is not None and found:
            watch.error.add_note(f"flowkit: {self.name} was here then:\n{found}")

    def _packed(self, arguments: Any, keywords: Any) -> bytes:
        cls = type(self.flow)
        self._check_class(cls)
        attributes, missing = _attributes_of(self.flow)
        changes, firing = self.changes, self.firing
        names = self.run.calls[firing.node.index].names
        handed = []
        for number, value in enumerate(arguments):
            known = number < len(names)
            where = f"the argument {names[number]!r}" if known else "an argument"
            handed.append((where, self._written(where, value)))
        fields = {
            field: self._written(f"state.{field}", value)
            for field, value in dict.items(changes.raw)
        }
        found = {
            "module": cls.__module__,
            "class": cls.__qualname__,
            "step": firing.node.name,
            "run": self.run.id,
            "firing": firing.id,
            "attempt": firing.attempt,
            "turn": firing.turn,
            "backend": _backend(),
            "arguments": handed,
            "keywords": {
                name: self._written(f"the argument {name!r}", value)
                for name, value in keywords.items()
            },
            "shell": self._shell(changes),
            "fields": fields,
            "attributes": attributes,
            "missing": missing,
        }
        return pickle.dumps(found)

    def _check_class(self, cls: type) -> None:
        """See that another process can find the class.

        Raises:
            RunError: it cannot.
        """
        module = sys.modules.get(cls.__module__)
        found: Any = module
        for part in cls.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not cls:
            why = f"its module {cls.__module__} has no {cls.__qualname__} that is it"
        elif cls.__module__ == "__main__" and not _has_file(module):
            why = "it was defined in an interactive session"
        else:
            return
        msg = (
            f"{self.name} runs in a process of its own, which cannot find its class: "
            f"{why}. Define the class at the top of a module that can be imported. "
            f"({self.step.place})"
        )
        raise RunError(msg)

    def _shell(self, changes: Changes) -> bytes:
        """The state without its fields."""
        state = changes.state
        if isinstance(state, dict):
            return pickle.dumps({})
        from flowkit.runtime import models  # loaded already, with the state

        return self._written("the state's class", models.shell(state))

    def _written(self, where: str, value: Any) -> bytes:
        try:
            return pickle.dumps(value)
        except Exception as error:  # noqa: BLE001 - what a value's class raises
            raise self._unsendable(
                "there", where, f"{type(error).__name__}: {error}"
            ) from None

    def _read(self, where: str, text: bytes) -> Any:
        try:
            return pickle.loads(text)  # noqa: S301 - from a child of this process
        except Exception as error:  # noqa: BLE001 - the same
            raise self._unsendable(
                "back", where, f"{type(error).__name__}: {error}"
            ) from None

    def _unsendable(self, way: str, where: str, reason: str) -> UnsendableError:
        going = "go there" if way == "there" else "come back from there"
        cure = (
            "Hand over what it can be made from, such as text, numbers or a dataclass "
            "at the top of a module"
        )
        return UnsendableError(
            f"{self.name} runs in a process of its own, and {where} cannot {going} "
            f"({reason}). {cure}. ({self.step.place})",
            step=self.name,
            where=where,
        )

    def _came_of(self, child: Child) -> Any:
        answer = child.answer
        if answer is None or answer[0] == "ended":
            raise self._crashed(child)
        kind, *said = answer
        if kind == "done":
            return self._done(*said)
        if kind == "refused":
            raise self._unsendable(*said)
        raise self._failed(*said)

    def _done(
        self, output: bytes, fields: Any, extra: Any, said: Any, metered: Any
    ) -> Any:
        read = {
            name: None
            if each is None
            else (each[0], self._read(f"state.{name}", each[1]))
            for name, each in fields.items()
        }
        more = None if extra is None else self._read("the state's extra fields", extra)
        emitted = []
        for name, text in said:
            payload = self._read(f"what it emits as {name!r}", text)
            if self.run.journal is not None:
                payload = self.run.journal.checked(payload)
            emitted.append((name, payload))
        result = self._read("its result", output)
        apply_to(self.changes, CallChanges(read, more))
        keep_said(self.run, self.firing.id, emitted, metered)
        return result

    def _failed(self, text: str, trace: str, waits: float | None) -> BaseException:
        from flowkit.journal.codec import decode  # only a failure needs it

        error: BaseException = decode(text)
        error.add_note(f"flowkit: in the process of {self.name}:\n{trace}")
        if waits is not None and getattr(error, "retry_after", None) is None:
            error.retry_after = waits  # type: ignore[attr-defined]  # as asked_wait reads
        return error

    def _crashed(self, child: Child) -> StepCrashedError:
        exitcode = child.exitcode or 0
        how, cure, signal = _told(exitcode, child)
        error = StepCrashedError(
            f"{self.name} did not end well: its process {how}. {cure}. "
            f"({self.step.place})",
            step=self.name,
            exitcode=exitcode,
            signal=signal,
        )
        found = _own_frames(child.trace)
        if found:
            error.add_note(f"flowkit: {self.name} was here then:\n{found}")
        return error


def _told(exitcode: int, child: Child) -> tuple[str, str, str]:
    """How a process has ended, what to do, and by which signal."""
    if child.answer is not None:
        return "was told to end (SIGTERM) from outside", _OUTSIDE, "SIGTERM"
    if exitcode >= 0:
        if not child.ready:
            cure = (
                "What it has printed tells why. It imports the module of the class: in "
                "a script, what begins runs stands under if __name__ == '__main__'"
            )
            return f"exited with code {exitcode} while it loaded", cure, ""
        cure = "Return from the step, or raise an error, instead of ending its process"
        return f"exited with code {exitcode} before the step returned", cure, ""
    from signal import Signals  # only where one came

    try:
        name = Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    cure = _CURES.get(name, _OUTSIDE)
    return f"was ended by {name} (signal {-exitcode})", cure, name


_OUTSIDE = "Find out who ends it; retry= tries it again"
_CRASH = "It crashed in C code: the note tells where, retry= tries it again"
_CURES = {
    "SIGSEGV": _CRASH,
    "SIGBUS": _CRASH,
    "SIGABRT": _CRASH,
    "SIGFPE": _CRASH,
    "SIGILL": _CRASH,
    "SIGKILL": "Often it took more memory than there is: give it less to do at once",
}


def _own_frames(trace: str) -> str:
    """A dump of faulthandler, as far as it is the step's own."""
    lines: list[str] = []
    for line in trace.splitlines():
        if _STEP in line:
            break
        if _PROCESS in line:  # it was printing
            lines.clear()
            continue
        if line.startswith("  File ") and not any(each in line for each in _LOOPS):
            lines.append(line)
    return "\n".join(lines)


_LOOPS = [f"{os.sep}{name}{os.sep}" for name in ("asyncio", "anyio", "trio")]
_LOOPS.append("selectors.py")
_STEP = os.path.join("flowkit", "runtime", "isolated_step.py")  # noqa: PTH118 - a part
_PROCESS = os.path.join("flowkit", "runtime", "isolated_process.py")  # noqa: PTH118


def _attributes_of(flow: Any) -> tuple[dict[str, bytes], dict[str, str]]:
    """What the flow object holds beside its state, and what of it does not go."""
    found: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for name, value in flow.__dict__.items():
        try:
            found[name] = pickle.dumps(value)
        except Exception as error:  # noqa: BLE001 - the user's values
            missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def _has_file(module: Any) -> bool:
    return (
        getattr(module, "__spec__", None) is not None
        or getattr(module, "__file__", None) is not None
    )


def _backend() -> str:
    from flowkit.runtime.loops import on_trio

    return "trio" if on_trio() else "asyncio"
