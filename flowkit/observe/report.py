"""Insights as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.plot.lengths import length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.observe.figures import (
        Breaches,
        Failure,
        FlowInsights,
        Insights,
        Spread,
        StepInsights,
    )

__all__ = ["report", "table"]

HEAD = ("step", "ended", "failed", "median", "95 %", "mean", "deviation", "of the time")


def report(found: Insights) -> str:
    """All of it as lines."""
    if not found.flows:
        return f"no runs in {found.store}"
    return "\n\n".join("\n".join(_flow(each)) for each in found.flows)


def _flow(flow: FlowInsights) -> Iterator[str]:
    count = sum(flow.runs.values())
    by_status = ", ".join(f"{count} {status}" for status, count in flow.runs.items())
    yield f"{flow.flow}: {_times(count, 'run')}, {by_status}"
    if flow.success is not None:
        yield f"  succeed: {flow.success:.1%}"
    if flow.lasted is not None:
        yield f"  completed ones took {_took(flow.lasted)}"
    if flow.sla is not None:
        yield f"  service level {_kept(flow.sla, 'run')}"
    for failure in flow.failures:
        yield f"  failed: {_failure(failure)}"
    if not flow.steps:
        return
    yield ""
    yield f"  steps, in the newest {_times(flow.looked_at, 'run')} at rest"
    for line in table([HEAD, *map(_row, flow.steps)]):
        yield f"    {line}"
    for step in flow.steps:
        yield from _more(step)
    if flow.findings:
        yield ""
        yield "  what would make them shorter, at most, a run"
        for number, each in enumerate(flow.findings, 1):
            gain = f"{length(each.gain)} ({each.share:.0%})" if each.gain else "nothing"
            yield f"    {number}. {each.kind}, {gain}: {each.text}"


def _row(step: StepInsights) -> tuple[str, ...]:
    worked = step.worked
    told = (
        ("",) * 4
        if worked is None
        else tuple(
            length(each)
            for each in (worked.median, worked.p95, worked.mean, worked.deviation)
        )
    )
    ended, failed = str(step.executions), str(step.failed) if step.failed else ""
    return (step.step, ended, failed, *told, f"{step.share:.0%}")


def _more(step: StepInsights) -> Iterator[str]:
    if step.sla is not None:
        yield f"    {step.step}: service level {_kept(step.sla, 'execution')}"
    if step.again:
        yield f"    {step.step}: {step.again} were started more than once"
    for failure in step.failures:
        yield f"    {step.step} failed: {_failure(failure)}"
    for name, figure in step.metrics.items():
        yield (
            f"    {step.step}: {name} {step.totals[name]:g} in all, {figure.mean:g} on "
            f"the mean, {figure.p95:g} at 95 %"
        )


def _took(spread: Spread) -> str:
    return (
        f"{length(spread.median)} on the median, {length(spread.p95)} at 95 %, "
        f"{length(spread.longest)} at most"
    )


def _kept(sla: Breaches, what: str) -> str:
    share = f" ({sla.broken / sla.checked:.1%})" if sla.checked else ""
    text = (
        f"{length(sla.level)}: {sla.broken} of {_times(sla.checked, what)} took "
        f"longer{share}"
    )
    if sla.open:
        text += f", {sla.open} that go on have, too"
    if sla.runs:
        text += f", the newest in run {sla.runs[0]}"
    return text


def _failure(failure: Failure) -> str:
    return f"{failure.count} with {failure.text}, the newest in run {failure.run}"


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [
            each.rjust(width) for each, width in zip(others, widths[1:], strict=True)
        ]
        yield "  ".join(cells).rstrip()
