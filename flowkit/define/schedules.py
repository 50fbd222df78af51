"""``@start(every=..)`` and ``@start(cron=..)``: what an author wrote, checked.

Loaded only for a flow that has a schedule; cronsim only for one with ``cron=``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.definition import Schedule
from flowkit.core.durations import seconds
from flowkit.core.validate import closest
from flowkit.errors import MissingExtraError

if TYPE_CHECKING:
    from datetime import timedelta

    from flowkit.core.definition import Missed

__all__ = ["schedule_of"]

FIELDS = 5
_FORM = (
    "Write five fields, minute, hour, day of month, month and day of week, such as "
    "'0 6 * * 1-5'."
)


def schedule_of(
    every: float | str | timedelta | None,
    cron: str | None,
    tz: str | None,
    missed: Missed | None,
    condition: Any,
) -> Schedule:
    """The schedule of a start, as plain data.

    Args:
        every: as the author gave it, like the next three; None if not given.
        cron: see above.
        tz: see above.
        missed: see above.
        condition: another one the start was given; there must be none.

    Raises:
        ValueError: it is no schedule, or not the only condition.
        MissingExtraError: cron text, and cronsim is not installed.
    """
    given = {"every": every, "cron": cron, "tz": tz, "missed": missed}
    shown = ", ".join(f"{k}={v!r}" for k, v in given.items() if v is not None)
    what = f"Invalid schedule: @start({shown})"
    if condition is not None:
        shown = getattr(condition, "__name__", None) or repr(condition)
        msg = (
            f"{what} has the condition {shown}, too. A run begins by one of them: give "
            f"the other one to a step of its own."
        )
        raise ValueError(msg)
    if (every is None) == (cron is None):
        cure = "says no times. Add every=.. or cron=.."
        if every is not None:
            cure = "says its times twice. Give one of every= and cron=, or two steps."
        raise ValueError(f"{what} {cure}")
    if missed not in {None, "latest", "all", "skip"}:
        raise ValueError(f"{what}: missed is 'latest', 'all' or 'skip'.")
    zone = "UTC" if tz is None else _zone(tz, what)
    policy: Missed = "latest" if missed is None else missed
    if cron is not None:
        return Schedule(cron=_cron(cron, what), tz=zone, missed=policy)
    length = seconds(every, f"{what}: every")
    if length < 1:
        raise ValueError(f"{what}: every takes at least one second.")
    return Schedule(every=length, tz=zone, missed=policy)


def _zone(name: Any, what: str) -> str:
    """The name of a time zone that is there."""
    from zoneinfo import ZoneInfo, available_timezones

    if isinstance(name, str) and name:
        try:
            if name != "UTC":  # is known without a database, which Windows lacks
                ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # the latter two for "../x", "Europe"
            pass
        else:
            return name
    known = available_timezones()
    text = str(name).replace(" ", "_")
    near = [each for each in sorted(known) if each.lower().endswith(f"/{text.lower()}")]
    guess = near[0] if near else closest(text, frozenset(known))
    hint = (
        f"Did you mean {guess!r}?" if guess else "Give an IANA name: 'Europe/Berlin'."
    )
    if not known:
        hint = "This system knows no time zones: pip install tzdata."
    raise ValueError(f"{what}: there is no time zone {name!r}. {hint}")


def _cron(text: Any, what: str) -> str:
    """Cron text in its plain form, read once to see that it can be."""
    if not isinstance(text, str):
        raise ValueError(f"{what}: cron takes text. {_FORM}")
    fields = text.split()
    if len(fields) != FIELDS:
        also = " For seconds, write every='10s'." if len(fields) > FIELDS else ""
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise ValueError(f"{what}: the cron text has {count}. {_FORM}{also}")
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise MissingExtraError("@start(cron=..)", "cron") from error
    from datetime import UTC, datetime

    plain = " ".join(fields)
    try:
        times = CronSim(plain, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        fault = str(error)[:1].lower() + str(error)[1:]
        raise ValueError(f"{what}: {fault}. {_FORM}") from None
    if next(times, None) is None:
        raise ValueError(f"{what}: no date ever fits the cron text. {_FORM}")
    return plain
