"""Lengths of time as people read them: rounded, with at most two units."""

from __future__ import annotations

__all__ = ["length"]

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def length(seconds: float) -> str:
    """A length of time in short: ``0.4 ms``, ``12 ms``, ``1.2 s``, ``3 min 5 s``."""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:  # noqa: PLR2004 - what rounds to 100 ms is a tenth of a second
        return f"{seconds * 1000:.2g} ms"
    if seconds < 59.95:  # noqa: PLR2004 - what rounds to a minute is one
        said = f"{seconds:.2f}" if seconds < 0.9995 else f"{seconds:.1f}"  # noqa: PLR2004 - the same of a second
        return said.rstrip("0").rstrip(".") + " s"
    exact = 1 if seconds < 3_570 else 60 if seconds < 84_600 else 3_600  # noqa: PLR2004 - the last of two units
    left = round(seconds / exact) * exact
    told: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or told:
            told.append(f"{count} {unit}" if count else "")
        if len(told) == 2:  # noqa: PLR2004 - two units are enough
            break
    return " ".join(each for each in told if each)
