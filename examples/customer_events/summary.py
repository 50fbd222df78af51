"""The summary: one compact text from the counts and the runs."""

from __future__ import annotations

from collections import Counter
from textwrap import fill
from typing import TYPE_CHECKING, Any

from examples.customer_events.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from examples.customer_events.replay import Replay
    from examples.customer_events.tally import Tally
    from flowkit import Flow, Run

OUTCOMES = ("completed", "waiting", "failed", "cancelled")
MOST_NAMES = 8
MOST_LINES = 24
WIDTH = 88


def summary(replay: Replay, seconds: float, plots: list[str]) -> str:
    """Everything worth knowing about a replay.

    Args:
        seconds: how long it took.
        plots: files that were written.
    """
    parts = [_head(replay, seconds), "", *_table(replay.tally), ""]
    parts += _tickets(replay)
    parts += _events(replay)
    parts += _rejected(replay.tally)
    parts += _failures(replay.tally)
    parts.append(_entry("plots", ", ".join(plots)))
    return "\n".join(parts)


def _head(replay: Replay, seconds: float) -> str:
    tally = replay.tally
    head = f"{replay.path.name} ({replay.source.name}): {tally.lines:,} lines"
    speed = f"{seconds:.2f} s"
    if replay.interrupted:
        return f"{head}, then interrupted, {speed}"
    return f"{head}, {speed}"


def _table(tally: Tally) -> Iterator[str]:
    yield _row("flow", "events", "runs", *OUTCOMES, "steps")
    rows = [_numbers(tally, flow) for flow in tally.flows]
    for flow, numbers in zip(tally.flows, rows, strict=True):
        yield _row(flow.__name__.lower(), *numbers)
    if len(rows) > 1:
        yield _row("all", *map(sum, zip(*rows, strict=True)))


def _numbers(tally: Tally, flow: type[Flow[Any]]) -> list[int]:
    runs = tally.runs_of(flow)
    statuses = Counter(run.status for run in runs)
    steps = sum(len(run.outputs) for run in runs)
    outcomes = [statuses[outcome] for outcome in OUTCOMES]
    return [tally.events_of(flow), len(runs), *outcomes, steps]


def _row(name: str, *cells: str | int) -> str:
    texts = [cell if isinstance(cell, str) else f"{cell:,}" for cell in cells]
    return f"{name:<10}" + "".join(f"{text:>11}" for text in texts)


def _tickets(replay: Replay) -> Iterator[str]:
    """Tickets count from their runs' states, line by line."""
    runs = replay.tally.runs_of(Ticket)
    if not runs:
        return
    states = [run.state for run in runs]
    closed = sum(state.closed for state in states)
    yield _entry("closed", f"{closed:,} of {len(states):,} runs, by their states")
    noted = Counter(line for state in states for line in state.lines)
    sent = replay.tally.accepted_lines
    lost = len(set(sent) - set(noted))
    twice = sum(count > 1 for count in noted.values())
    yield _entry(
        "events",
        f"{sum(noted.values()):,} in the runs' states, "
        f"{_none(lost)} lost, {_none(twice)} twice",
    )
    if not replay.interrupted:
        text = "the end of the recording cancelled the runs that were still open"
        yield _entry("ended", text)


def _none(count: int) -> str:
    return f"{count:,}" if count else "none"


def _events(replay: Replay) -> Iterator[str]:
    tally = replay.tally
    if kept := tally.kept.total():
        left = replay.bus.kept
        names = _counts(tally.kept)
        text = f"{kept:,} ({names}); {kept - left:,} found their run, {left:,} wait"
        yield _entry("kept early", text)
    for handler, count in tally.handled.items():
        yield _entry("handled", f"{count:,} by {handler}")
    if tally.duplicates:
        lines = _lines(tally.duplicates)
        yield _entry("duplicates", f"{len(tally.duplicates):,}, counted once: {lines}")


def _rejected(tally: Tally) -> Iterator[str]:
    unknown = sum(map(len, tally.unknown.values()))
    total = unknown + sum(map(len, tally.rejected.values()))
    if not total:
        yield _entry("rejected", "nothing")
        return
    yield _entry("rejected", f"{total:,} lines")
    for reason, lines in tally.rejected.items():
        yield _item(f"{_short(reason)}: {_lines(lines)}")
    if len(tally.unknown) > MOST_NAMES:
        names = Counter({name: len(lines) for name, lines in tally.unknown.items()})
        yield _item(f"unhandled, no flow takes them: {unknown:,} ({_counts(names)})")
        return
    for name, lines in tally.unknown.items():
        yield _item(f"{_short(tally.hints[name])}: {_lines(lines)}")


def _failures(tally: Tally) -> Iterator[str]:
    failed: dict[str, list[Run]] = {}
    for run in tally.runs:
        for error in run.failures[:1]:
            text = f"{type(run.flow).__name__}, {type(error).__name__}: {error}"
            failed.setdefault(text, []).append(run)
    if failed:
        yield _entry("failed", f"{sum(map(len, failed.values())):,} runs")
    for text, runs in failed.items():
        keys = ", ".join(str(run.key) for run in runs)
        yield _item(f"{_short(text)}: {keys}")


def _entry(name: str, text: str) -> str:
    return fill(f"{name:<12}{text}", WIDTH, subsequent_indent=" " * 12)


def _item(text: str) -> str:
    return fill(f"  {text}", WIDTH, subsequent_indent=" " * 6)


def _short(text: str) -> str:
    """On one line, and no longer than three."""
    text = " ".join(text.split()).removesuffix(".")
    return text if len(text) <= 2 * WIDTH else f"{text[: 2 * WIDTH]}.."


def _counts(names: Counter[str]) -> str:
    order = sorted(+names, key=lambda name: (-names[name], name))
    return ", ".join(f"{name} {names[name]:,}" for name in order)


def _lines(numbers: Iterable[int]) -> str:
    """``line 7``, ``lines 3, 7-9``, the first ones of many."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    texts = ["-".join(map(str, span)) for span in spans]
    more = len(texts) - MOST_LINES
    shown = ", ".join(texts[:MOST_LINES])
    word = "line" if shown.isdigit() else "lines"
    return f"{word} {shown}" + (f" and {more:,} places more" if more > 0 else "")
