"""Steps that a function flow calls, with another body."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from flowkit.core.validate import closest
from flowkit.runtime.called import Called, Inside, here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.define.compiler import Compiled

__all__ = ["called_step", "inside_now", "replaced_called"]

BODY = "body"
MADE_IN = "flowkit.functions"


def called_step(compiled: Compiled, step: Any) -> Called | None:
    """What ``@step`` said of a step of a function flow; None if the flow is none.

    By its name it is found where the function can see it: among the names of its
    module and around it. From elsewhere it is given as the function itself.

    Raises:
        ValueError: the function sees no such step.
    """
    body: Any = compiled.functions.get(BODY)
    if getattr(body, "__module__", None) != MADE_IN or step == BODY:
        return None
    function = body.__wrapped__
    if isinstance(marked := getattr(step, "__flowkit_step__", None), Called):
        return marked
    if not isinstance(step, str):
        return None
    seen = {each.name: each for each in _seen(function)}
    if step not in seen:
        guess = closest(step, frozenset(seen))
        hint = f"Did you mean {guess!r}?" if guess else "Give the step itself."
        name = compiled.definition.name
        msg = f"{name} sees no step {step!r} in its module. {hint}"
        raise ValueError(msg)
    return seen[step]


def _seen(function: Any) -> Iterator[Called]:
    around = [cell.cell_contents for cell in function.__closure__ or () if _full(cell)]
    for each in [*function.__globals__.values(), *around]:
        marked = getattr(each, "__flowkit_step__", None)
        if isinstance(marked, Called):
            yield marked


def _full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - to know whether there are any
    except ValueError:
        return False
    return True


def inside_now() -> Inside | None:
    """The called step that runs here."""
    place = here()
    return place if isinstance(place, Inside) else None


@contextmanager
def replaced_called(
    step: Called, cls: type[Any], only: Any, body: Callable[..., Any]
) -> Iterator[None]:
    """Within the block a called step has another body in the runs of a flow.

    Args:
        step: which.
        cls: the class behind the flow.
        only: the one flow object that is meant; None for all.
        body: called with what runs the step's own body, the flow, and its arguments.
    """
    own = step.function

    def original(_flow: Any, *given: Any, **named: Any) -> Any:
        return own(*given, **named)

    @wraps(own)
    def plain(*given: Any, **named: Any) -> Any:
        inside = inside_now()
        flow: Any = None if inside is None else inside.branch.flow
        if not isinstance(flow, cls):
            return own(*given, **named)
        if only is not None and flow._flowkit.origin is not only:
            return own(*given, **named)
        return body(original, flow, *given, **named)

    @wraps(own)
    async def awaited(*given: Any, **named: Any) -> Any:
        result = plain(*given, **named)
        return await result if hasattr(result, "__await__") else result

    step.function = awaited if step.is_async else plain
    try:
        yield
    finally:
        step.function = own
