"""The path of a run: which steps ended, in which order; compared readably."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from flowkit.core.machine import decide
from flowkit.core.marking import Firing, Marking
from flowkit.core.records import CallEnded, RunStopped, StepFailed, StepFinished
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["any_order", "assert_path", "path_of"]


class AnyOrder(tuple[str, ...]):
    """Steps of a path that may end in any order."""

    __slots__ = ()


def any_order(*steps: str) -> AnyOrder:
    """Part of a path: these steps, in whichever order they ended.

    Args:
        steps: names; one that is there twice ended twice.
    """
    return AnyOrder(steps)


def path_of(run: Any, *, store: Any = None) -> list[str]:
    """The steps of a run in the order they ended; one that failed as ``step.failed``.

    Those that the function of a function flow calls are among them; the function
    itself is ``body``.

    Args:
        run: a :class:`~flowkit.Run`, a flow object, or the id of a stored run.
        store: where a run of that id is kept; the default store if None.

    Raises:
        NotFoundError: no such run.
    """
    return [name for name, _ in _ended(run, store)]


def assert_path(run: Any, *steps: Any, store: Any = None) -> None:
    """Check that a run took this path and no other.

    ::

        assert_path(run, "receive", any_order("stock", "credit"), "charge.failed")

    Args:
        run: as for :func:`path_of`.
        steps: names, or methods, in the order they ended. ``step.failed`` stands for
            one that failed, :func:`any_order` (or a set) for steps that ran side by
            side.
        store: where a run of that id is kept.

    Raises:
        AssertionError: another path; it shows both, line by line.
    """
    __tracebackhide__ = True
    ended = _ended(run, store)
    expected = [_part(each) for each in steps]
    shown = _grouped([name for name, _ in ended], expected)
    if shown == [_shown(part) for part in expected]:
        return
    raise AssertionError(_difference(_title(run), expected, shown, dict(_said(ended))))


def _part(step: Any) -> str | AnyOrder:
    if isinstance(step, str):
        return step
    if isinstance(step, AnyOrder):
        return AnyOrder(str(_part(each)) for each in step)
    if isinstance(step, set | frozenset):
        return AnyOrder(sorted(str(_part(each)) for each in step))
    name: str = getattr(step, "__name__", repr(step))
    return name


def _shown(part: str | AnyOrder) -> str:
    if isinstance(part, AnyOrder):
        return f"any_order({', '.join(sorted(part))})"
    return part


def _grouped(names: Sequence[str], expected: Sequence[str | AnyOrder]) -> list[str]:
    """The path, its steps put together where the expected ones are, and fit."""
    found: list[str] = []
    at = 0
    parts = list(expected)
    while at < len(names):
        part = parts[len(found)] if len(found) < len(parts) else ""
        size = len(part) if isinstance(part, AnyOrder) else 1
        taken = names[at : at + size]
        if isinstance(part, AnyOrder) and Counter(taken) == Counter(part):
            found.append(_shown(part))
            at += size
        else:
            found.append(names[at])
            at += 1
    return found


def _difference(
    title: str,
    expected: Sequence[str | AnyOrder],
    took: Sequence[str],
    said: dict[str, str],
) -> str:
    wanted = [_shown(part) for part in expected]
    lines = [f"{title} took another path (- expected, + taken):"]
    matcher = SequenceMatcher(None, wanted, took, autojunk=False)
    for what, low, high, first, last in matcher.get_opcodes():
        if what == "equal":
            lines += [f"    {name}" for name in wanted[low:high]]
            continue
        lines += [f"  - {name}" for name in wanted[low:high]]
        lines += [f"  + {name}{said.get(name, '')}" for name in took[first:last]]
    if not took:
        lines.append("  no step has ended")
    return "\n".join(lines)


def _said(ended: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, more in ended:
        if more:
            yield name, f"  ({more})"


def _title(run: Any) -> str:
    if isinstance(run, str):
        return f"Run {run}"
    if isinstance(run, Run):
        return run.net.definition.name
    return type(run).__name__


def _ended(run: Any, store: Any) -> list[tuple[str, str]]:
    """Name, and what it chose or raised, of every firing that ended."""
    if isinstance(run, str):
        return _ended_in_store(run, store)
    if not isinstance(run, Run):
        run = run._flowkit.run
        if run is None:
            return []
    names: dict[int, str] = {}
    marking = run.first() if run.first else Marking(len(run.net.nodes))
    names.update((firing.id, firing.node.name) for firing in marking.live.values())
    ended = []
    for record in run.records:
        for command in decide(run.net, marking, record):
            if type(command) is Firing:
                names[command.id] = command.node.name
        names.update((firing.id, firing.node.name) for firing in marking.live.values())
        ended += _end(record, names)
    return ended


def _end(record: Any, names: dict[int, str]) -> list[tuple[str, str]]:
    """What a record says has ended: one step or none."""
    if type(record) is StepFinished:
        return [(names[record.firing], _chose(record.labels))]
    if type(record) is RunStopped and record.firing is not None:
        return [(names[record.firing], "")]
    if type(record) is StepFailed:
        return [(f"{names[record.firing]}.failed", _raised(record.error))]
    if type(record) is CallEnded and not record.cancelled:
        failed = ".failed" if record.error is not None else ""
        return [(f"{record.step}{failed}", _raised(record.error))]
    return []


def _ended_in_store(run_id: str, store: Any) -> list[tuple[str, str]]:
    from flowkit.runs import history

    told = [each for each in history(run_id, store) if each.seq and not each.undone]
    told.sort(key=lambda each: each.seq or 0)
    return [
        (each.step, _chose(each.labels))
        if each.outcome == "done"
        else (f"{each.step}.failed", _raised(each.error))
        for each in told
        if each.outcome in {"done", "failed"}
    ]


def _chose(labels: Sequence[str]) -> str:
    return f"chose {', '.join(map(repr, labels))}" if labels else ""


def _raised(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"
