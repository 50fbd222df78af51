"""What is wrong with how a class uses the decorators: texts with place and cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.definition import Step
from flowkit.core.validate import closest
from flowkit.define.marks import mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.core.definition import Region
    from flowkit.define.conditions import EachSource

__all__ = [
    "each_among",
    "foreign",
    "no_step",
    "other_mutex",
    "two_beginnings",
    "unapplied_text",
    "without_trigger",
]


def unapplied_text(cls: type, name: str, decorator: str, condition: Any) -> str:
    """A decorator without parentheses, which decorates nothing."""
    code = getattr(condition, "__code__", None)
    spot = (code.co_filename, code.co_firstlineno) if code else ("", 0)
    place = Step(name, file=spot[0], line=spot[1]).place
    cure = "" if decorator == "start" else ".."
    return (
        f"{cls.__name__}.{name} is no step: @{decorator} decorates "
        f"nothing without parentheses here. Write @{decorator}({cure}). "
        f"({place})"
    )


def other_mutex(cls: type, step: Step, region: Region, known: Region) -> str:
    """One region, named with two mutexes."""
    return (
        f"{cls.__name__}.{step.name} stands in a region {region.name!r} "
        f"with another mutex than the one before ({region.mutex or None} and "
        f"{known.mutex or None}). Make one Region(..) and use it for all its "
        f"steps. ({step.place})"
    )


def two_beginnings(cls: type, step: Step) -> str:
    """A start with a schedule and a condition."""
    return (
        f"{cls.__name__}.{step.name} has a schedule ({step.schedule}) and a "
        f"condition. A run begins by one of them: give the other one to a step of "
        f"its own. ({step.place})"
    )


def without_trigger(cls: type, step: Step) -> str:
    """A router that nothing triggers."""
    return (
        f"{cls.__name__}.{step.name} is a router that nothing triggers. Give "
        f"@router(..) a condition, or add @start() or @listen(..). ({step.place})"
    )


def each_among(cls: type, step: Step, source: EachSource) -> str:
    """An ``each`` beside or within another condition."""
    return (
        f"{cls.__name__}.{step.name} has {source!r} and another condition. "
        f"each(..) must be all that a step listens to: put the other one inside "
        f"it, as each(merge(..)). ({step.place})"
    )


def no_step(cls: type, step: Step, name: str, names: Iterable[str]) -> str:
    """A timer after what is no step."""
    guess = closest(name, frozenset(names))
    hint = f"Did you mean {guess!r}?" if guess else "Name a step of this class."
    return (
        f"{cls.__name__}.{step.name} has a timer after {name!r}, which is no "
        f"step. {hint} ({step.place})"
    )


def foreign(cls: type, step: Step, function: Any, ending: str) -> str:
    """A condition that names a method which is no step of the class."""
    name = function.__name__
    owner = getattr(function, "__qualname__", name).replace("<locals>.", "")
    owner = ".".join(owner.split(".")[-2:])
    if getattr(cls, name, function) is None:
        cause = f"which {cls.__name__} takes away with {name} = None"
        cure = "Take this one away too, or listen to something else"
    elif mark_of(function) is None:
        cause = "which is no step: it has no @start, @listen or @router"
        cure = "Decorate it, or listen to a step"
    else:
        cause = f"which is a step of another class than {cls.__name__}"
        cure = "List a step of this class, or inherit from that one"
    return (
        f"{cls.__name__}.{step.name} listens to {owner}{ending}, {cause}. "
        f"{cure}. ({step.place})"
    )
