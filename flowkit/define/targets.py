"""Service levels: how long a run, or an execution of a step, should take at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowkit.core.durations import seconds
from flowkit.core.validate import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RUN", "targets_of"]

RUN = "run"
"""Stands for the run as a whole, among the names of steps."""


def targets_of(
    sla: Any, where: str, steps: Iterable[str] | None = None
) -> dict[str, float]:
    """Targets in seconds by the name of the step; ``"run"`` is the run's own.

    Args:
        sla: one length of time for the run, or several by name.
        where: begins the error's text.
        steps: names that there are; None if that is not known.

    Raises:
        ValueError: a step that does not exist, or no length of time.
    """
    if not isinstance(sla, Mapping):
        return {RUN: seconds(sla, f"{where}: sla")}
    names = None if steps is None else frozenset({RUN, *steps})
    for name in sla:
        if names is not None and name not in names:
            guess = closest(str(name), names)
            hint = f" Did you mean {guess!r}?" if guess else ""
            msg = (
                f"{where}: sla names {name!r}, which is no step.{hint} Name steps, or "
                f"'run' for the run as a whole."
            )
            raise ValueError(msg)
    return {
        name: seconds(each, f"{where}: sla[{name!r}]") for name, each in sla.items()
    }
