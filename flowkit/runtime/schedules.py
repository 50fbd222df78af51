"""When a schedule is due: pure arithmetic over times, no clock and no store.

Three rules of this file:

1. ``every`` counts from the epoch: its times are whole multiples of it. Every
   process agrees on them without a word, and a restart shifts none.
2. ``cron`` is read in its time zone, as Debian's cron does at clock changes. With
   plain numbers for minute and hour, a local time that comes twice fires at its
   first coming, one that is left out fires right after the gap. With a ``*`` in
   minute or hour the job goes by real time: each real minute that fits.
3. Times are seconds since the epoch; an interval of them is open on the left.
"""

from __future__ import annotations

from datetime import UTC, datetime, timezone
from math import floor, inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta, tzinfo

    from flowkit.core.definition import Missed, Schedule

__all__ = ["MOST_MISSED", "ON_TIME", "due_between", "next_after", "zone_of"]

MOST_MISSED = 100
"""Most runs that ``missed="all"`` begins at a time; older times are let go."""
ON_TIME = 60.0
"""Seconds for which a time is not missed yet, for ``missed="skip"``."""
_WEEK = 7 * 86_400  # no zone changes its offset and back within one


def zone_of(name: str) -> tzinfo:
    """The time zone of that IANA name."""
    if name == "UTC":  # needs no database
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def next_after(schedule: Schedule, at: float) -> float:
    """The first time of a schedule after ``at``; infinite if there is none."""
    if schedule.cron:
        return _cron_after(schedule, at)
    count = floor(at / schedule.every)
    while count * schedule.every <= at:
        count += 1
    return count * schedule.every


def due_between(
    schedule: Schedule, last: float, now: float, missed: Missed | None = None
) -> list[float]:
    """The times after ``last`` up to ``now`` for which runs are to begin now.

    Args:
        schedule: whose times.
        last: the latest time that was fired.
        now: the time it is.
        missed: overrides the schedule's own policy. ``latest``: the latest time
            alone; ``all``: each, the latest :data:`MOST_MISSED` of them, oldest
            first; ``skip``: the latest, if it is no older than :data:`ON_TIME`.
    """
    policy = missed or schedule.missed
    if policy == "skip":
        last = max(last, now - ON_TIME)
    return _latest(schedule, last, now, MOST_MISSED if policy == "all" else 1)


def _latest(schedule: Schedule, last: float, now: float, most: int) -> list[float]:
    """The latest times of an interval, oldest first.

    Looks back over spans that double, so that a year of downtime costs no more
    than the times it gives.
    """
    span = (schedule.every or 60.0) * most
    while True:
        since = max(last, now - span)
        found = list(_between(schedule, since, now))
        if len(found) >= most or since == last:
            return found[-most:]
        span *= 2


def _between(schedule: Schedule, since: float, until: float) -> Iterator[float]:
    at = next_after(schedule, since)
    while at <= until:
        yield at
        at = next_after(schedule, at)


def _cron_after(schedule: Schedule, at: float) -> float:
    from cronsim import CronSim

    zone = zone_of(schedule.tz)
    minute, hour = schedule.cron.split()[:2]
    # Cron times are whole seconds; rounding up could step over one.
    second = floor(at)
    if zone is not UTC and (minute.startswith("*") or hour.startswith("*")):
        return _by_real_time(schedule.cron, zone, second)
    for found in CronSim(schedule.cron, datetime.fromtimestamp(second, zone)):
        # In the hour that comes twice cronsim gives times of its first coming.
        if found.timestamp() > at:
            return found.timestamp()
    return inf


def _by_real_time(cron: str, zone: tzinfo, at: int) -> float:
    """The next time of a job with a ``*``, from one change of the clocks to the next.

    cronsim is asked with a fixed offset: with a zone it steps over some minutes
    where clocks change by half an hour (Australia/Lord_Howe).
    """
    from cronsim import CronSim

    while True:
        fixed = timezone(_offset(zone, at + 1))
        found = next(CronSim(cron, datetime.fromtimestamp(at, fixed)), None)
        if found is None:
            return inf
        change = _change(zone, at + 1, int(found.timestamp()))
        if change is None:
            return found.timestamp()
        at = change - 1


def _offset(zone: tzinfo, at: int) -> timedelta:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    assert offset is not None  # noqa: S101 - an aware time has one
    return offset


def _change(zone: tzinfo, first: int, until: int) -> int | None:
    """The first second after ``first`` up to ``until`` with another offset, or None."""
    offset = _offset(zone, first)
    low = first
    while low < until:
        high = min(low + _WEEK, until)
        if _offset(zone, high) == offset:
            low = high
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(zone, middle) == offset:
                low = middle
            else:
                high = middle
        return high
    return None
