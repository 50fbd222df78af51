"""A run as a tentative call sees it: one of several, of which one will count.

What such a call emits and measures is kept with the call. Verbs that move the run at
once, or wait for something, are refused: there is no taking them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["ALLOWED", "TentativeRun", "keep_said"]

ALLOWED = frozenset(
    {"attempt", "emit", "heartbeat", "idempotency_key", "metric", "while_"}
)


class TentativeRun:
    """A run as one of several calls of a step sees it.

    Attributes:
        emitted: as of a run, by this call alone.
        metered: the same.
    """

    def __init__(self, run: Run, firing: Firing) -> None:
        self._run: Run = run
        self._firing: Firing = firing
        self.emitted: dict[int, list[tuple[str, Any]]] | None = None
        self.metered: dict[int, dict[str, float]] | None = None

    @property
    def whole(self) -> Run:
        """The run itself."""
        return self._run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def bars(self, verb: str) -> None:
        """Refuse a verb that could not be taken back.

        Raises:
            RunError: it is such a one.
        """
        if verb in ALLOWED:
            return
        step = self._firing.node.step
        name = f"{self._run.net.definition.name}.{step.name}"
        msg = (
            f"{name} has hedge=, so it may be called twice at once, and self.{verb} "
            f"would count twice. Use it in a step of its own, before or after. "
            f"({step.place})"
        )
        raise RunError(msg)


def keep_said(
    run: Any,
    number: int,
    emitted: list[tuple[str, Any]] | None,
    metered: dict[str, float] | None,
) -> None:
    """Have what a call emitted and measured be said by its firing."""
    if emitted:
        if run.emitted is None:
            run.emitted = {}
        run.emitted.setdefault(number, []).extend(emitted)
    if metered:
        if run.metered is None:
            run.metered = {}
        found = run.metered.setdefault(number, {})
        for name, figure in metered.items():
            found[name] = found.get(name, 0) + figure
