"""Steps that other steps name: what undoes them, and what hears their failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.definition import MODES, Definition, Join, Leaf, Step, leaves
from flowkit.core.scopes import scopes_of
from flowkit.core.validate import Fault, closest
from flowkit.define.marks import Mark

if TYPE_CHECKING:
    from flowkit.core.policies import Policy
    from flowkit.define.compiler import Builder

__all__ = ["check_cache", "check_fallbacks", "with_handlers"]


def check_fallbacks(
    builder: Builder, name: str, policy: Policy, place: tuple[str, int]
) -> None:
    """Note fallbacks that could not wait as their step does: async for a plain one."""
    if is_async(builder.functions[name]):
        return
    for value in (each.value for each in policy.stages):
        if is_async(value):
            where = Step(name, file=place[0], line=place[1]).place
            text = (
                f"{builder.cls.__name__}.{name} is a plain method, and its fallback "
                f"{value.__name__} is async. Make the step async, or the fallback "
                f"plain. ({where})"
            )
            builder.faults.append(Fault("error", name, text))


def check_cache(
    builder: Builder, name: str, mark: Mark, place: tuple[str, int]
) -> None:
    """Note a step whose result could not stand in for it."""
    function = builder.functions[name]
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if "test" in mark.options:
        why = "repeats itself: a kept result would be that of one turn"
    elif code is not None and code.co_flags & (0x20 | 0x200):
        why = "yields its items: a kept result would hold none of them"
    else:
        return
    where = Step(name, file=place[0], line=place[1]).place
    text = (
        f"{builder.cls.__name__}.{name} has cache= and {why}. Give the cache to a step "
        f"of its own. ({where})"
    )
    builder.faults.append(Fault("error", name, text))


def with_handlers(
    builder: Builder, steps: tuple[Step, ...], on_error: str
) -> tuple[tuple[Step, ...], str]:
    """The steps with what undoes them, and with the one that hears their failures.

    A method that is no step yet becomes one, which nothing triggers. Faults are
    noted with the builder.

    Returns:
        The steps, and the mode that is left of ``on_error``.
    """
    found = {step.name: step for step in steps}
    for name, target in builder.undoing.items():
        undo = _method(builder, found, target, f"{name} has undo=", found[name])
        if undo is not None:
            found[name] = found[name]._replace(undo=undo)
    if on_error in MODES:
        return tuple(found.values()), on_error
    said = f"class {builder.cls.__name__} has on_error="
    handler = _method(builder, found, on_error, said, None)
    if handler is not None:
        found[handler] = _hearing(found, handler)
    return tuple(found.values()), "fail_fast"


def is_async(function: Any) -> bool:
    """Whether it is an async method."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return bool(code and code.co_flags & 0x80)


def _method(
    builder: Builder,
    found: dict[str, Step],
    target: Any,
    said: str,
    step: Step | None,
) -> str | None:
    """The step of that name, made of a method of the class if there is none yet."""
    name: str = target if isinstance(target, str) else target.__name__
    if name in found:
        return name
    function = getattr(builder.cls, name, None)
    if callable(function):
        mark = Mark()
        mark.start = True  # else it would be told to have no trigger
        found[name] = builder.step(name, function, mark)._replace(start=False)
        return name
    methods = {
        each
        for each in dir(builder.cls)
        if not each.startswith("_") and callable(getattr(builder.cls, each, None))
    }
    modes = set() if step is not None else {*MODES}
    guess = closest(name, frozenset(methods | modes))
    place = "" if step is None else f" ({step.place})"
    cure = "Name a method of this class"
    if step is None:
        cure = f"Give {', '.join(map(repr, sorted(MODES)))}, or name a method"
    hint = f"Did you mean {guess!r}?" if guess else f"{cure}."
    owner = "" if step is None else f"{builder.cls.__name__}."
    text = f"{owner}{said}{name!r}, which is no method. {hint}{place}"
    builder.faults.append(Fault("error", "" if step is None else step.name, text))
    return None


def _hearing(found: dict[str, Step], handler: str) -> Step:
    """The step, triggered by every failure that nobody else listens to.

    One in a group is its group's matter: it comes out as that of who gathers.
    """
    scopes = scopes_of(Definition("", tuple(found.values())))
    step = found[handler]
    heard = {
        leaf.name
        for each in found.values()
        for leaf in leaves(each.trigger)
        if leaf.kind == "failed"
    }
    unheard = [
        Leaf(name, "failed")
        for name in found
        if name not in heard and name != handler and not scopes[name]
    ]
    parts = (*((step.trigger,) if step.trigger else ()), *unheard)
    trigger = parts[0] if len(parts) == 1 else Join("merge", parts)
    return step._replace(trigger=trigger)
