"""What a step measures: kept until it ends, and recorded with its end."""

from __future__ import annotations

from math import isfinite
from typing import Any

from flowkit.runtime.positions import step_of

__all__ = ["add", "metric"]


def metric(flow: Any, name: Any, value: Any) -> None:
    """Add to what the step that runs on this object has measured.

    Raises:
        RunError: no step runs on it.
        ValueError: no name, or no finite number.
    """
    run, firing = step_of(flow, "metric")
    metered = run.metered or {}
    where = f"{type(flow).__name__}.metric"
    add(metered.setdefault(firing.id, {}), where, name, value)
    run.metered = metered


def add(found: dict[str, float], verb: str, name: Any, value: Any) -> None:
    """Add to figures by name.

    Raises:
        ValueError: no name, or no finite number.
    """
    if type(name) is not str or not name:
        msg = f"{verb} takes a name, such as 'tokens', not {name!r:.40}."
        raise ValueError(msg)
    number = isinstance(value, int | float) and type(value) is not bool
    if not number or not isfinite(value):
        msg = f"{verb}({name!r}, ..) takes a finite number, not {value!r:.40}."
        raise ValueError(msg)
    figure = int(value) if isinstance(value, int) else float(value)
    found[name] = found.get(name, 0) + figure
