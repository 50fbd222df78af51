"""Synchronous steps in a worker thread."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from flowkit.runtime import signals
from flowkit.runtime.failing import abandoned, fence
from flowkit.runtime.loops import forget_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["DONE", "Stretch"]


class _Done:
    """The stretch has committed everything itself."""


DONE = _Done()


class Stretch:
    """Synchronous steps that follow each other alone share one thread hop.

    The lock makes a commit in the thread exclude a move on the loop: once the loop
    has work beside this stretch, the thread commits nothing, and after
    :meth:`give_up` nothing of it counts.

    Attributes:
        alone: the thread may commit, because nothing else moves the run.
        commits: it does so now: what is raised is not the step's.
        firing: the step that runs now.
    """

    __slots__ = (
        "alone",
        "commits",
        "context",
        "firing",
        "lock",
        "run",
        "scope",
        "thread",
    )

    def __init__(self, run: Run, firing: Firing, scope: Any) -> None:
        self.run: Run = run
        self.firing: Firing = firing
        self.scope: Any = scope
        self.context: Context = run.context.copy()
        self.context.run(forget_loop)
        self.lock: threading.Lock = threading.Lock()
        self.alone: bool = False
        self.commits: bool = False
        self.thread: int | None = None

    def go(self, body: Callable[[], Any]) -> Any:
        """Run the step, and the next ones while they are alone, in this thread.

        Gives the last one's output to be committed on the loop, or ``DONE``.
        """
        self.thread = threading.get_ident()
        output = self.context.copy().run(body)
        while self.alone and not hasattr(output, "__await__"):
            with self.lock:
                if self._is_beside():
                    break
                self.commits = True
                self.run.finish(self.firing, output)
                self.commits = False
                following = self._next()
            if following is None:
                return DONE
            output = self.context.copy().run(following)
        return output

    def _is_beside(self) -> bool:
        return not self.alone or bool(self.run.pending)

    def _next(self) -> Callable[[], Any] | None:
        run = self.run
        if len(run.ready) != 1 or len(run.marking.live) != 1 or run.pending:
            return None
        call = run.calls[run.ready[0].node.index]
        if call.looped:
            return None
        del run.scopes[self.firing.id]
        self.firing = firing = run.ready.popleft()
        run.scopes[firing.id] = self.scope
        target, arguments, keywords = run.open(firing)
        if signals.step_started.receivers:  # who may have set something for the step
            self.context = run.context.copy()
            self.context.run(forget_loop)
        return functools.partial(call.function, target, *arguments, **keywords)

    def give_up(self) -> None:
        """The waiter was cancelled: nothing of this thread counts any more."""
        with self.lock:
            self.alone = False
            fence(self.run, self.firing, self.thread)

    def late(self, value: Any, error: BaseException | None) -> None:
        """The step ended after it was given up."""
        abandoned(self.run, self.firing, value, error, self.thread)
