"""What a store is asked about its runs, and the figures it gives of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Failing", "Figures", "Query", "figured"]


class Query(NamedTuple):
    """Which runs to list; what is not given does not restrict.

    Attributes:
        since: created at that time or later.
        until: created before that time.
        text: found in id, key, state id, tags or error, letters of either case.
        limit: most rows, newest first.
        before: only runs created before this row's id (for pages).
    """

    flow: str | None = None
    status: Sequence[str] = ()
    key: str | None = None
    state_id: str | None = None
    tag: str | None = None
    since: float | None = None
    until: float | None = None
    text: str = ""
    parent: str | None = None
    limit: int = 100
    before: str | None = None


class Figures(NamedTuple):
    """How many runs of a flow have a status, and how long they took.

    A run's duration is from its beginning to the latest change of its status.

    Attributes:
        flow: name of the class.
        status: of the runs.
        runs: how many.
        oldest: when the first of them began.
        mean: of their durations, in seconds.
        deviation: the standard deviation, of all of them and not of a sample.
        median: the least duration that half of them did not exceed.
        p95: the least duration that 95 in 100 of them did not exceed.
        longest: the longest one.
        over: how many took longer than the target; 0 without one.
    """

    flow: str
    status: str
    runs: int
    oldest: float
    mean: float
    deviation: float
    median: float
    p95: float
    longest: float
    over: int


def figured(  # noqa: PLR0917 - a row, column for column
    flow: str,
    status: str,
    runs: int,
    oldest: float,
    mean: float,
    squares: float,
    median: float,
    p95: float,
    longest: float,
    over: int,
) -> Figures:
    """Figures of what a database reckons; ``squares`` is the mean of the squares."""
    deviation = max(0.0, squares - mean * mean) ** 0.5
    return Figures(
        flow, status, runs, oldest, mean, deviation, median, p95, longest, over
    )


class Failing(NamedTuple):
    """Runs that ended with the same error.

    Attributes:
        flow: name of the class.
        error: one line, its first 200 characters.
        runs: how many.
        latest: id of the newest of them.
    """

    flow: str
    error: str
    runs: int
    latest: str
