"""Steps that cannot be called twice at once, or in a process of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.definition import Step
from flowkit.core.policies import Policy
from flowkit.core.validate import Fault

if TYPE_CHECKING:
    from flowkit.define.compiler import Builder
    from flowkit.define.marks import Mark

__all__ = ["check_isolation"]

_YIELDS = 0x20 | 0x200


def check_isolation(
    builder: Builder, name: str, mark: Mark, policy: Policy, place: tuple[str, int]
) -> None:
    """Note a step whose policy calls it twice at once, or elsewhere, and that can't be.

    Args:
        builder: of the class.
        name: of the step.
        mark: of its decorators.
        policy: what holds for it, with ``hedge`` or ``isolate``.
        place: file and line.
    """
    for option, of_it in (
        ("hedge", policy.hedge),
        ("isolate", policy.isolate),
    ):
        why = "" if of_it is None else _why(builder, name, mark, option)
        if why:
            where = Step(name, file=place[0], line=place[1]).place
            text = f"{builder.cls.__name__}.{name} has {option}= and {why} ({where})"
            builder.faults.append(Fault("error", name, text))
    for stage in policy.stages:
        for option in ("hedge", "isolate"):
            value = stage.value
            if isinstance(value, Policy) and getattr(value, option):
                where = Step(name, file=place[0], line=place[1]).place
                text = (
                    f"{builder.cls.__name__}.{name} has a fallback that says "
                    f"{option}=, which holds for a step as a whole. Say it on the "
                    f"step. ({where})"
                )
                builder.faults.append(Fault("error", name, text))


def _why(builder: Builder, name: str, mark: Mark, option: str) -> str:
    """What stands against it, and the cure; nothing if nothing does."""
    function = builder.functions[name]
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    cure = f"Give {option}= to a step of its own."
    if code is not None and code.co_flags & _YIELDS:
        return f"yields its items: each of them counts at once. {cure}"
    if mark.flow is not None:
        return f"runs a flow, whose own steps do the work. {cure}"
    if mark.review is not None:
        return f"is reviewed by a person, who is asked here and once. {cure}"
    if option == "isolate" and "<locals>" in builder.cls.__qualname__:
        return (
            f"its class stands within a function ({builder.cls.__qualname__}), where "
            f"its process could not find it. Define the class at the top of a module."
        )
    return ""
