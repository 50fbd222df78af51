"""What stands around steps and on them: groups, regions, locks, turns, policies."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from flowkit.core.scopes import grouped, scopes_of
from flowkit.plot.model import Group, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowkit.core.definition import Definition, Each, Region, Step

__all__ = ["boxes", "marks"]

_FAILURES = {
    "finish": "the others end before a failure counts",
    "collect": "failures are among the results",
}


def boxes(definition: Definition) -> Iterator[Group]:
    """A box for each group that a step fans out to, and for each region."""
    scopes = scopes_of(definition) if grouped(definition) else {}
    for step in definition.steps:
        if step.each is not None:
            inside = tuple(name for name, scope in scopes.items() if step.name in scope)
            yield _fan(step, step.each, inside)
    regions: dict[Region, list[str]] = defaultdict(list)
    for step in definition.steps:
        if step.region is not None:
            regions[step.region].append(step.name)
    for region, names in regions.items():
        lock = (_lock(region.mutex, region.name),) if region.mutex else ()
        yield Group(region.name, tuple(names), "region", "a region", lock)


def _fan(step: Step, each: Each, inside: tuple[str, ...]) -> Group:
    """The box around what runs once for each item."""
    found = []
    if each.limit:
        found.append(Mark("limit", f"at most {each.limit} at once", str(each.limit)))
    if each.batch:
        found.append(Mark("several", f"{each.batch} items each", str(each.batch)))
    if each.failures != "fail_fast" or each.max_failures is not None:
        tip = _FAILURES.get(each.failures, "a failure cancels the others")
        borne = each.max_failures
        text = "" if borne is None else f"{borne:.0%}" if borne < 1 else f"{borne:g}"
        more = f"; up to {text} are borne" if text else ""
        found.append(Mark("breaker", tip + more, text))
    name = f"{each.times} times" if each.times else f"for each of {step.trigger}"
    return Group(name, inside, "each", "once for each item", tuple(found))


def _lock(mutex: str, shown: str) -> Mark:
    text = "" if mutex == shown else mutex
    return Mark("lock", f"only one at a time holds {mutex!r}", text)


def marks(step: Step) -> tuple[Mark, ...]:
    """The marks of a step: its lock, its time, its turns, its flow, its policies."""
    found = []
    if step.mutex:
        found.append(_lock(step.mutex, ""))
    if step.during is not None:
        opened, closed = step.during
        found.append(Mark("gate", f"starts only between {opened} and {closed}"))
    if step.test == "while":
        found.append(Mark("loop", "repeated while its test holds", "while"))
    elif step.test == "until":
        found.append(Mark("loop", "repeated until its test holds", "until"))
    if step.flow:
        name = step.flow.replace(":", ".").rpartition(".")[2]
        found.append(Mark("flow", f"runs {name}", name))
    found.extend(_policies(step))
    return tuple(found)


_POLICIES = {
    "retry": "retry",
    "timeout": "timeout",
    "total_timeout": "timeout",
    "idle_timeout": "timeout",
    "rate": "limit",
    "bulkhead": "limit",
    "breaker": "breaker",
    "cache": "cache",
    "hedge": "hedge",
    "isolate": "isolate",
    "fallback": "fallback",
    "undo": "undo",
}
_SHORT = frozenset({"timeout", "total_timeout", "idle_timeout"})


def _policies(step: Step) -> Iterator[Mark]:
    """A mark for each policy that a reader of the picture may have to reckon with."""
    for name, text in step.policies:
        icon = _POLICIES.get(name)
        if icon is not None:
            short = text.partition(" ")[0] if name == "retry" else ""
            short = text.partition(",")[0] if name in _SHORT else short
            yield Mark(icon, f"{name}: {text}", short)
