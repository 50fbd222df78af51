"""What would make runs shorter, each with a gain reckoned from the runs themselves.

A gain supposes nothing that was not seen: a slow execution is compared with how
long the quicker ones of its own step took, a repeat with what it cost, two steps one
after the other with the shorter of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.observe.figures import Finding
from flowkit.observe.gathering import spread
from flowkit.observe.reads import Taken
from flowkit.plot.lengths import length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowkit.observe.gathering import Gathered, Pair, StepFigures

__all__ = ["findings"]

LEAST = 0.01
"""Part of a run's mean duration below which a gain is not worth a line."""
LEAST_SEEN = 5
"""Executions below which a spread says nothing."""
LARGE = 0.5
"""Part of a run's time that makes a step its bottleneck, whatever others take."""
LONG_WAIT = 0.1
"""Part of a run's time that is told as waiting, even if no wait could be shorter."""


def findings(gathered: Gathered, taken: Mapping[str, Taken]) -> tuple[Finding, ...]:
    """All that was found, the greatest gain first."""
    if not gathered.runs or not gathered.total:
        return ()
    found = [
        *_slow(gathered),
        *_side_by_side(gathered, taken),
        *_repeated(gathered),
        *_idle(gathered),
    ]
    return tuple(sorted(found, key=lambda each: (-each.gain, each.steps)))


def _finding(
    gathered: Gathered,
    kind: str,
    steps: Sequence[str],
    saved: float,
    text: str,
    **seen: float,
) -> Finding:
    gain = saved / gathered.runs
    share = saved / gathered.total
    return Finding(kind, tuple(steps), gain, share, text, seen)  # type: ignore[arg-type]  # one of its kinds


def _quarter(values: Sequence[float]) -> float:
    """The least value that a quarter of them does not exceed."""
    return sorted(values)[(len(values) + 3) // 4 - 1]


def _slow(gathered: Gathered) -> Iterator[Finding]:
    """Steps that take more than the others do, and those that take now this, now that.

    A bottleneck works longer than the mean of all steps and one standard deviation,
    or takes half of the runs' time.
    """
    steps = {name: each for name, each in gathered.steps.items() if each.worked}
    means = {name: sum(each.worked) / len(each.worked) for name, each in steps.items()}
    over_all = spread(list(means.values()))
    if over_all is None:
        return
    bound = over_all.mean + over_all.deviation
    for name, each in steps.items():
        share = sum(each.path) / gathered.total
        if len(each.worked) < LEAST_SEEN or share < LEAST:
            continue
        if share >= LARGE or (len(steps) > 2 and means[name] > bound):  # noqa: PLR2004 - of two, none stands out
            yield _bottleneck(gathered, name, each, share)
        else:
            found = _uneven(gathered, name, each)
            if found is not None and found.share >= LEAST:
                yield found


def _bottleneck(
    gathered: Gathered, name: str, each: StepFigures, share: float
) -> Finding:
    quick = _quarter(each.worked)
    saved = sum(max(0.0, lasted - quick) for lasted in each.path)
    told = spread(each.worked)
    assert told is not None  # noqa: S101 - it has executions
    text = (
        f"{name} takes {share:.0%} of the time: {length(told.mean)} on the mean, with "
        f"a deviation of {length(told.deviation)}. A quarter of its executions took "
        f"{length(quick)} or less; if all did, this would be gained."
    )
    seen = {"mean": told.mean, "deviation": told.deviation, "quick": quick}
    return _finding(
        gathered, "bottleneck", [name], saved, text, of_the_time=share, **seen
    )


def _uneven(gathered: Gathered, name: str, each: StepFigures) -> Finding | None:
    told = spread(each.worked)
    if told is None or told.deviation <= told.mean:
        return None
    saved = sum(max(0.0, lasted - told.median) for lasted in each.path)
    text = (
        f"{name} takes {length(told.median)} on the median and {length(told.p95)} at "
        f"95 %, with a deviation of {length(told.deviation)}. If no execution took "
        f"longer than the median one, this would be gained."
    )
    seen = {"mean": told.mean, "deviation": told.deviation, "median": told.median}
    return _finding(gathered, "uneven", [name], saved, text, p95=told.p95, **seen)


def _side_by_side(gathered: Gathered, taken: Mapping[str, Taken]) -> Iterator[Finding]:
    for (first, second), pair in gathered.pairs.items():
        if pair.gain / gathered.total < LEAST:
            continue
        if not _apart(pair, taken.get(second, Taken())):
            continue
        text = (
            f"{second} runs after {first} and takes nothing from it: no payload, and "
            f"no field of the state that {first} writes. Side by side, the shorter of "
            f"the two would cost no time. What they do outside the flow is not known "
            f"here: keep them in order if that needs it."
        )
        yield _finding(
            gathered, "parallel", [first, second], pair.gain, text, times=pair.times
        )


def _apart(pair: Pair, taken: Taken) -> bool:
    """Whether no data goes from a step to the next, as far as can be known."""
    if taken.payload is not False and pair.handed:
        return False
    if not pair.wrote:
        return True
    return taken.fields is not None and pair.wrote.isdisjoint(
        taken.fields | pair.writes
    )


def _repeated(gathered: Gathered) -> Iterator[Finding]:
    for name, each in gathered.steps.items():
        repeats = each.repeats
        if repeats.differs or each.asks or not repeats.useful:
            continue
        if repeats.saved / gathered.total < LEAST:
            continue
        share = repeats.times / repeats.seen
        text = (
            f"{name} gave the same output and the same change of the state whenever "
            f"its inputs were the same: {repeats.times} of {repeats.seen} executions "
            f"({share:.0%}) repeated an earlier one. Kept, they would cost no time. "
            f"What it reads outside the flow is not known here."
        )
        yield _finding(
            gathered, "cache", [name], repeats.saved, text, times=repeats.times
        )


def _idle(gathered: Gathered) -> Iterator[Finding]:
    for (name, what), waits in gathered.waits.items():
        quick = _quarter(waits)
        saved = sum(lasted - quick for lasted in waits if lasted > quick)
        share = sum(waits) / gathered.total
        if saved / gathered.total < LEAST and share < LONG_WAIT:
            continue
        told = spread(waits)
        assert told is not None  # noqa: S101 - there are waits
        text = (
            f"{name} waits for {what}: {length(told.mean)} on the mean, {share:.0%} of "
            f"the time. A quarter of the waits took {length(quick)} or less; if all "
            f"did, this would be gained."
        )
        yield _finding(
            gathered, "idle", [name], saved, text, of_the_time=share, mean=told.mean
        )
