"""When a schedule is due, compared with counting every minute by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowkit.core.definition import Schedule
from flowkit.runtime.schedules import MOST_MISSED, due_between, next_after

BERLIN, NEW_YORK, LORD_HOWE = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
)
CHANGES = {
    BERLIN: ("2026-03-29T01:00", "2026-10-25T01:00"),
    NEW_YORK: ("2026-03-08T07:00", "2026-11-01T06:00"),
    LORD_HOWE: ("2026-04-04T15:00", "2026-10-03T15:30"),
}
"""When clocks change in 2026, in UTC; Lord Howe by half an hour."""
DAYS = 2


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return (
        datetime.fromisoformat(text)
        .replace(tzinfo=ZoneInfo(zone), fold=fold)
        .timestamp()
    )


def local(times, zone):
    return [
        datetime.fromtimestamp(each, ZoneInfo(zone)).strftime("%d %H:%M %z")
        for each in times
    ]


def several(schedule, since, count):
    found = []
    for _ in range(count):
        since = next_after(schedule, since)
        found.append(since)
    return found


def numbers(field: str, low: int, high: int) -> frozenset[int]:
    """What a cron field means, read without cronsim."""
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = str(low), str(high)
        elif not last:
            last = str(high) if step else first
        found.update(range(int(first), int(last) + 1, int(step or 1)))
    return frozenset(found)


@cache
def fields_of(cron: str) -> tuple[bool, *tuple[frozenset[int], ...]]:
    """What the five fields mean, and whether either of the days is enough."""
    minute, hour, day, month, weekday = cron.split()
    return (
        not (day.startswith("*") or weekday.startswith("*")),
        numbers(minute, 0, 59),
        numbers(hour, 0, 23),
        numbers(day, 1, 31),
        numbers(month, 1, 12),
        frozenset(each % 7 for each in numbers(weekday, 0, 7)),
    )


def fits(when: datetime, cron: str) -> bool:
    either, minutes, hours, days, months, weekdays = fields_of(cron)
    if not (when.minute in minutes and when.hour in hours and when.month in months):
        return False
    found = when.day in days, when.isoweekday() % 7 in weekdays
    return any(found) if either else all(found)


def by_hand(cron: str, zone: ZoneInfo, since: float, until: float) -> list[float]:
    """All times of an interval, minute for minute."""
    minute, hour = cron.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        first = int(since // 60 + 1) * 60
        return [
            float(each)
            for each in range(first, int(until) + 1, 60)
            if fits(datetime.fromtimestamp(each, zone), cron)
        ]
    found = set()
    wall = datetime.fromtimestamp(since, zone).replace(
        tzinfo=None, second=0, microsecond=0
    )
    wall -= timedelta(hours=2)  # so that what a clock skips or repeats is seen
    last = datetime.fromtimestamp(until, zone).replace(tzinfo=None)
    while wall <= last + timedelta(hours=2):
        if fits(wall, cron):
            found.add(shown(wall, zone))
        wall += timedelta(minutes=1)
    return sorted(real for real in found if since < real <= until)


def shown(wall: datetime, zone: ZoneInfo) -> float:
    """When a clock shows a time first, or the next one that there is that day."""
    while True:
        real = wall.replace(tzinfo=zone).timestamp()
        if datetime.fromtimestamp(real, zone).replace(tzinfo=None) == wall:
            return real
        wall += timedelta(minutes=1)


def fields(low, high, narrow):
    one = st.integers(*narrow).map(str)
    span = st.tuples(st.integers(*narrow), st.integers(*narrow)).map(
        lambda ends: f"{min(ends)}-{max(ends)}"
    )
    steps = st.integers(1, high - low).map(lambda step: f"*/{step}")
    return st.one_of(
        st.just("*"),
        steps,
        one,
        span,
        st.lists(st.one_of(one, span), min_size=2, max_size=3).map(",".join),
    )


CRONS = st.tuples(
    fields(0, 59, (0, 59)),
    fields(0, 23, (0, 4)),
    st.sampled_from(["*", "*", "*", "1", "25", "1-15", "*/2"]),
    st.sampled_from(["*", "*", "*", "3,10", "1-11/2"]),
    st.sampled_from(["*", "*", "*", "0", "1-5", "6,7"]),
).map(" ".join)


@given(
    CRONS,
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 1),
    st.integers(-86_400, 6 * 3_600),
)
@example("45 * * * *", LORD_HOWE, 0, -600)
@example("*/20 */3 * * *", LORD_HOWE, 1, -600)
@example("30 2 * * *", BERLIN, 1, 600)
def test_times_are_those_found_by_hand(cron, zone, which, offset):
    """Over a change of the clocks, from any second before or after it."""
    since = at(CHANGES[zone][which]) + offset
    until = since + DAYS * 86_400
    expected = by_hand(cron, ZoneInfo(zone), since, until)[:40]
    schedule = Schedule(cron=cron, tz=zone)
    found, now = [], since
    while len(found) < 40 and (now := next_after(schedule, now)) <= until:
        found.append(now)
    assert local(found, zone) == local(expected, zone)


@given(CRONS, st.sampled_from(sorted(CHANGES)), st.floats(1.7e9, 1.9e9))
def test_the_next_time_is_later_and_nothing_lies_between(cron, zone, now):
    """From anywhere before it, the next time is the same one."""
    schedule = Schedule(cron=cron, tz=zone)
    found = next_after(schedule, now)
    assert found > now
    assert next_after(schedule, (now + found) / 2) == found
    assert next_after(schedule, found - 0.001) == found


@pytest.mark.parametrize(
    ("cron", "since", "expected"),
    [
        ("30 2 * * *", "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("30 2 * * *", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0 * * * *", "2026-10-25T01:30", ["25 02:00 +0200", "25 02:00 +0100"]),
        ("0 * * * *", "2026-03-29T00:30", ["29 01:00 +0100", "29 03:00 +0200"]),
    ],
)
def test_a_daily_job_fires_once_a_day_and_an_hourly_one_each_hour(
    cron, since, expected
):
    """In Berlin 2:30 comes twice in October and not at all in March."""
    found = several(Schedule(cron=cron, tz=BERLIN), at(since, BERLIN), 2)
    assert local(found, BERLIN) == expected


def test_in_the_hour_that_comes_again_a_daily_job_waits_for_tomorrow():
    """It has fired at the first coming; asked in the second, it is not due."""
    again = at("2026-10-25T02:10", BERLIN, fold=1)
    found = several(Schedule(cron="30 2 * * *", tz=BERLIN), again, 1)
    assert local(found, BERLIN) == ["26 02:30 +0100"]


@given(st.floats(1, 1e7), st.floats(0, 4e9))
def test_every_is_a_multiple_since_the_epoch(every, now):
    """So it never drifts, and every process names the same times."""
    schedule = Schedule(every=every)
    found = next_after(schedule, now)
    assert now < found <= now + every * 1.000001
    assert found / every == pytest.approx(round(found / every))
    assert next_after(schedule, found) == pytest.approx(found + every)


def test_every_quarter_is_on_the_quarter():
    """Whenever the process started."""
    found = several(Schedule(every=900.0), at("2026-11-21T15:40:30"), 2)
    assert local(found, "UTC") == ["21 15:45 +0000", "21 16:00 +0000"]


@given(
    st.one_of(
        st.floats(1, 90_000).map(lambda every: Schedule(every=every)),
        CRONS.map(lambda cron: Schedule(cron=cron, tz=BERLIN)),
    ),
    st.floats(1.7e9, 1.8e9),
    st.floats(0, 200_000),
)
def test_what_is_missed_is_the_end_of_all_times(schedule, last, away):
    """``all`` gives the latest hundred, ``latest`` the last one of them."""
    now = last + away
    times = []
    at_ = last
    while (at_ := next_after(schedule, at_)) <= now:
        times.append(at_)
        if len(times) > 2_000:
            return
    assert due_between(schedule, last, now, "all") == times[-MOST_MISSED:]
    assert due_between(schedule, last, now) == times[-1:]
    fresh = [each for each in times[-1:] if each > now - 60]
    assert due_between(schedule, last, now, "skip") == fresh


def test_years_of_downtime_cost_little():
    """A job of every second was away for thirty years: few times are looked at."""
    asked = []

    class Counted(Schedule):
        @property
        def every(self):
            asked.append(1)
            return 1.0

    due = due_between(Counted(every=1.0), 0.0, 9e8 + 0.5, "all")
    assert due == [9e8 - 99 + each for each in range(100)]
    assert len(asked) < 2_000


def test_a_job_once_a_year_is_found_after_years():
    """The span looked at grows until it holds a time."""
    yearly = Schedule(cron="0 0 29 2 *")
    assert due_between(yearly, at("2020-01-01"), at("2027-06-01")) == [at("2024-02-29")]
    assert due_between(yearly, at("2025-01-01"), at("2027-06-01")) == []


@pytest.mark.parametrize("cron", ["0 0 */31 * 1#5", "* 0 */31 * 1#5"])
def test_a_date_that_never_comes_is_infinitely_far(cron):
    """Cronsim gives up after fifty years."""
    assert next_after(Schedule(cron=cron, tz=BERLIN), 0.0) == inf
