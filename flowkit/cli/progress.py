"""What happens in a run, as it happens: lines, or a live tree on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from flowkit.cli import output
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["Flowing", "Progress", "Seen", "progress"]


class Seen:
    """One step of a run, however often it fired.

    Attributes:
        status: of its latest firing: ``running done failed cancelled``.
        fired: how many firings began.
        began: of the latest one, by the monotonic clock.
        took: seconds of all that ended, together.
        last: seconds of the one that ended last.
        note: labels it chose, what it raised, or what its policies make of it.
        turns: how often the firing at hand has repeated its body, 0 if it does not.
        firings: when those that run began, by the monotonic clock.
        deferred: firings that are to begin again, or later.
        calls: ids of the runs it called.
    """

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.status: str = "running"
        self.fired: int = 0
        self.began: float = 0.0
        self.took: float = 0.0
        self.last: float = 0.0
        self.note: str = ""
        self.turns: int = 0
        self.firings: dict[int, float] = {}
        self.deferred: set[int] = set()
        self.calls: list[str] = []


class Flowing:
    """One run: its flow, how it stands, its steps in the order they began."""

    def __init__(self, id: str, flow: str) -> None:
        self.id: str = id
        self.flow: str = flow
        self.status: str = "running"
        self.steps: dict[str, Seen] = {}


class Shown(Protocol):
    """Where progress is shown."""

    def told(self, run: Flowing, step: Seen | None, what: str) -> None:
        """Something has happened in a run."""


class Progress:
    """Listens to every run of this process and keeps what they did.

    Attributes:
        runs: by id, the first one first.
        stuck: one sentence for each join that could not fire.
        lock: held while they change.
    """

    def __init__(self, shown: Shown) -> None:
        self.runs: dict[str, Flowing] = {}
        self.stuck: list[str] = []
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self._shown = shown

    def connect(self) -> None:
        """Hear of what happens from now on."""
        for signal, hear in self._ears():
            signal.connect(hear)

    def disconnect(self) -> None:
        """Hear no more."""
        for signal, hear in self._ears():
            signal.disconnect(hear)

    def _ears(self) -> list[tuple[Any, Any]]:
        return [
            (signals.step_started, self._started),
            (signals.step_finished, self._finished),
            (signals.step_failed, self._failed),
            (signals.step_cancelled, self._cancelled),
            (signals.routed, self._routed),
            (signals.step_deferred, self._deferred),
            (signals.step_queued, self._queued),
            (signals.step_admitted, self._admitted),
            (signals.step_hedged, self._hedged),
            (signals.run_waiting, self._waiting),
            (signals.run_finished, self._ended),
            (signals.run_failed, self._ended),
            (signals.stuck, self._stuck),
        ]

    def _run(self, run: Any) -> Flowing:
        found = self.runs.get(run.id)
        if found is None:
            found = self.runs[run.id] = Flowing(run.id, type(run.flow).__name__)
            caller, _, _ = run.id.rpartition(":")
            parent, _, firing = caller.rpartition(":")
            above = self.runs.get(parent)
            if above is not None and firing.isdigit():
                for step in above.steps.values():
                    if int(firing) in step.firings:
                        step.calls.append(run.id)
        return found

    def _step(self, run: Any, name: str) -> tuple[Flowing, Seen]:
        found = self._run(run)
        step = found.steps.get(name)
        if step is None:
            step = found.steps[name] = Seen(name)
        return found, step

    def _started(
        self, _: Any, *, run: Any, step: str, firing: int, attempt: int
    ) -> None:
        with self.lock:
            found, seen = self._step(run, step)
            found.status = seen.status = "running"
            again = firing in seen.firings
            if not again:
                seen.fired += 1
                seen.firings[firing] = time.monotonic()
                seen.turns = int(_repeats(run, step))
            elif seen.turns and firing not in seen.deferred:
                seen.turns += 1
            seen.deferred.discard(firing)
            seen.began = seen.firings[firing]
            words = [f"attempt {attempt}"] if attempt > 1 else []
            words += [f"turn {seen.turns}"] if seen.turns > 1 else []
            seen.note = ", ".join(words)
            self._shown.told(found, seen, "started")

    def _note(self, run: Any, step: str, note: str) -> None:
        """What becomes of a step meanwhile."""
        with self.lock:
            found, seen = self._step(run, step)
            seen.note = note
            self._shown.told(found, seen, "noted")

    def _deferred(
        self,
        _: Any,
        *,
        run: Any,
        step: str,
        firing: int,
        why: str,
        error: Any,
        due: float,
        **_more: Any,
    ) -> None:
        with self.lock:
            self._step(run, step)[1].deferred.add(firing)
        left = due - now()
        wait = output.lasted(left) if left > 0 else ""
        if why == "rate":
            note = f"waits {wait} for its rate" if wait else ""
        else:
            raised = "" if error is None else f": {type(error).__name__}: {error}"
            note = f"again{f' in {wait}' if wait else ''}{raised}"
        if note:
            self._note(run, step, " ".join(note.split()))

    def _queued(
        self, _: Any, *, run: Any, step: str, limit: str, name: str, **_more: Any
    ) -> None:
        self._note(run, step, f"waits for {limit} {name!r}")

    def _admitted(
        self, _: Any, *, run: Any, step: str, limit: str, name: str, **_more: Any
    ) -> None:
        self._note(run, step, f"has its place in {limit} {name!r}")

    def _hedged(
        self, _: Any, *, run: Any, step: str, call: int, won: bool, **_more: Any
    ) -> None:
        self._note(run, step, f"call {call} {'won' if won else 'began'}")

    def _over(self, run: Any, step: str, firing: int, status: str, note: str) -> None:
        with self.lock:
            known = self.runs.get(run.id)
            if status == "cancelled" and (known is None or step not in known.steps):
                return  # it never began
            found, seen = self._step(run, step)
            began = seen.firings.pop(firing, None)
            if began is not None:
                seen.last = time.monotonic() - began
                seen.took += seen.last
            if status == "cancelled" and began is None:
                return
            seen.status = "running" if seen.firings else status
            if not note and status == "done" and seen.turns:
                note = "1 turn" if seen.turns == 1 else f"{seen.turns} turns"
            seen.note = note or seen.note
            self._shown.told(found, seen, status)

    def _finished(
        self, _: Any, *, run: Any, step: str, firing: int, **_more: Any
    ) -> None:
        self._over(run, step, firing, "done", "")

    def _failed(
        self, _: Any, *, run: Any, step: str, firing: int, error: Any, **_more: Any
    ) -> None:
        text = f"{type(error).__name__}: {error}"
        self._over(run, step, firing, "failed", " ".join(text.split()))

    def _cancelled(
        self, _: Any, *, run: Any, step: str, firing: int, **_more: Any
    ) -> None:
        self._over(run, step, firing, "cancelled", "")

    def _routed(
        self, _: Any, *, run: Any, step: str, labels: Any, **_more: Any
    ) -> None:
        with self.lock:
            found, seen = self._step(run, step)
            seen.note = f"-> {', '.join(labels)}"
            self._shown.told(found, seen, "routed")

    def _waiting(self, _: Any, *, run: Any, **_more: Any) -> None:
        with self.lock:
            found = self._run(run)
            found.status = "waiting"
            for seen in found.steps.values():
                if seen.firings:
                    seen.status, seen.firings = "waiting", {}
            self._shown.told(found, None, "waiting")

    def _ended(self, _: Any, *, run: Any, **_more: Any) -> None:
        with self.lock:
            found = self._run(run)
            found.status = run.status
            self._shown.told(found, None, run.status)

    def _stuck(self, _: Any, *, run: Any, step: str, reason: str) -> None:
        with self.lock:
            found, seen = self._step(run, step)
            seen.status, seen.note = "cancelled", "stuck"
            self.stuck.append(reason)
            self._shown.told(found, seen, "stuck")


def _repeats(run: Any, step: str) -> bool:
    kind = known.get(type(run.flow))
    return kind is not None and step in kind.compiled.tests


class Lines:
    """A line on stderr for each step that begins or ends."""

    def told(self, run: Flowing, step: Seen | None, what: str) -> None:
        """Say it."""
        if step is None or what in {"routed", "noted"}:
            if step is not None:
                output.say(f"{run.flow}.{step.name} {step.note}")
            return
        took = f" in {output.lasted(step.last)}" if what == "done" else ""
        told = step.note if what in {"failed", "started"} else ""
        more = f": {told}" if told else ""
        word = output.paint(what, output.STYLES.get(what, "dim"), sys.stderr)
        output.say(f"{run.flow}.{step.name} {word}{took}{more}")


class Silence:
    """Nothing is said."""

    def told(self, run: Flowing, step: Seen | None, what: str) -> None:
        """Nothing."""


QUIET: Final = Silence()


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show what happens within the block, as fits where stderr goes."""
    if quiet:
        yield from _listening(Progress(QUIET))
    elif not sys.stderr.isatty():
        yield from _listening(Progress(Lines()))
    else:
        from flowkit.cli.tree import Tree

        tree = Tree()
        shown = Progress(tree)
        with tree.live(shown):
            yield from _listening(shown)


def _listening(shown: Progress) -> Iterator[Progress]:
    shown.connect()
    try:
        yield shown
    finally:
        shown.disconnect()
