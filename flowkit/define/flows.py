"""Steps that are flows: what ``flow=`` on a decorator leaves.

``@listen(order, flow=Charge)`` decorates a method that makes the called flow's
inputs; ``charge = listen(order, flow=Charge)`` has none, and hands on what came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.define.conditions import FailedSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate

    from flowkit.define.decorators import P, R_co, S_contra
    from flowkit.define.marks import StepMethod

__all__ = ["FlowStep", "checked_flow", "named_flow"]


class FlowStep:
    """A step without a body that runs another flow, and the decorator of one with.

    Attributes:
        failed: the source of its failures, as of every step.
        timeout: that of its ends for want of time.
        cancelled: that of its cancellations.
        place: file and line where it was written.
    """

    def __init__(
        self, decorate: Callable[[Any], Any], mark: Any, place: tuple[str, int]
    ) -> None:
        self.__flowkit__ = mark
        self.__name__: str = ""
        self.__qualname__: str = ""
        self.__doc__ = None
        self.failed: FailedSource = FailedSource(self)
        self.timeout: FailedSource = FailedSource(self, "timeout")
        self.cancelled: FailedSource = FailedSource(self, "cancelled")
        self.place: tuple[str, int] = place
        self._decorate = decorate

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = name
        self.__qualname__ = f"{owner.__qualname__}.{name}"

    def __call__(
        self, function: Callable[Concatenate[S_contra, P], R_co]
    ) -> StepMethod[S_contra, P, R_co]:
        """Decorate a method: what it returns are the called flow's inputs."""
        return self._decorate(function)  # type: ignore[no-any-return]  # as given


def checked_flow(flow: Any, decorator: str) -> Any:
    """A flow class, or the name of one that is not there yet.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(flow, str) and flow:
        return flow
    if isinstance(flow, type) and hasattr(flow, "kickoff_async"):
        return flow
    msg = (
        f"@{decorator}(.., flow=..) takes a Flow class, or the name of one as text, "
        f"not {flow!r}."
    )
    raise ValueError(msg)


def named_flow(flow: Any, owner: type) -> str:
    """How the flow of a step is named in its definition: ``package.module:Class``.

    A name without a module is of the owner's own: itself, or another class there.
    """
    if isinstance(flow, type):
        return f"{flow.__module__}:{flow.__qualname__}"
    if ":" in flow:
        return str(flow)
    name = owner.__qualname__ if flow == owner.__name__ else flow
    return f"{owner.__module__}:{name}"
