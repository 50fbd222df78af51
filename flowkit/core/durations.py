"""Lengths of time as people write them: ``90``, ``"90s"``, ``"1h30m"``, ``"14d"``."""

from __future__ import annotations

from typing import Any

__all__ = ["seconds", "shown", "some_seconds"]

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}


def seconds(value: Any, what: str) -> float:
    """A length of time in seconds.

    Args:
        value: a number of seconds, text with units (``w d h m s ms``), or a
            ``timedelta``.
        what: begins the error's text.

    Raises:
        ValueError: it is none, or below zero.
    """
    found = _seconds(value)
    if found is None or not 0 <= found < float("inf"):
        msg = (
            f"{what} takes a length of time, not {value!r}. Write seconds, or text "
            f"such as '90s', '1h30m' or '14d'."
        )
        raise ValueError(msg)
    return found


def some_seconds(value: Any, what: str) -> float:
    """As :func:`seconds`, of a length of time above zero.

    Raises:
        ValueError: it is none, or zero.
    """
    found = seconds(value, what)
    if not found:
        msg = f"{what} takes a length of time above zero, not {value!r}."
        raise ValueError(msg)
    return found


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    total = getattr(value, "total_seconds", None)
    return None if total is None else float(total())


def _read(text: str) -> float | None:
    import re  # only for text, once a definition

    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms]?)\s*", text)
    if not parts or re.sub(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms]?)\s*", "", text).strip():
        return None
    if len(parts) > 1 and not all(unit for _, unit in parts):
        return None
    return float(sum(float(number) * _UNITS[unit or "s"] for number, unit in parts))


def shown(value: float) -> str:
    """Seconds as short text: ``1h30m``."""
    left, text = value, ""
    for unit in ("d", "h", "m"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            text += f"{count:.0f}{unit}"
    if left or not text:
        text += f"{left:g}s"
    return text
