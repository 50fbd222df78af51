"""What the decorators of a method said: its mark, until the class is compiled."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

from flowkit.define.conditions import FailedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowkit.core.definition import Schedule
    from flowkit.core.policies import Policy

__all__ = [
    "Mark",
    "Review",
    "Saved",
    "StepMethod",
    "is_step",
    "labels_in",
    "mark_for",
    "mark_of",
    "unapplied",
]

if TYPE_CHECKING:
    S_contra = TypeVar("S_contra", contravariant=True)
    P = ParamSpec("P")
    R_co = TypeVar("R_co", covariant=True)

    class StepMethod(Protocol[S_contra, P, R_co]):
        """A decorated method: called as before, and a source for conditions."""

        __name__: str
        failed: FailedSource
        timeout: FailedSource
        cancelled: FailedSource

        def __call__(
            self, flow: S_contra, /, *args: P.args, **kwargs: P.kwargs
        ) -> R_co:
            """Run the body alone; nothing is triggered."""
            ...

        @overload
        def __get__(
            self, flow: None, owner: Any = ..., /
        ) -> StepMethod[S_contra, P, R_co]: ...
        @overload
        def __get__(self, flow: object, owner: Any = ..., /) -> Callable[P, R_co]: ...
else:  # a generic protocol costs a millisecond at import, and nobody calls it

    class StepMethod:
        """A decorated method: called as before, and a source for conditions."""


class Review(NamedTuple):
    """What ``@human_feedback`` said; its docstring explains each."""

    message: str
    emit: tuple[str, ...] = ()
    llm: Any = None
    default: str | None = None
    metadata: Mapping[str, Any] | None = None
    provider: Any = None


class Saved(NamedTuple):
    """What ``@persist`` said: where to, None for the flow's or the default."""

    backend: Any = None
    verbose: bool = False


class Mark:
    """What the decorators of one method said."""

    __slots__ = (
        "conditional",
        "emit",
        "flow",
        "has_emit",
        "max_firings",
        "options",
        "policy",
        "review",
        "router",
        "saved",
        "schedule",
        "start",
        "triggers",
    )

    def __init__(self) -> None:
        self.start: bool = False
        self.conditional: bool = False
        self.router: bool = False
        self.triggers: list[Any] = []
        self.emit: tuple[str, ...] = ()
        self.has_emit: bool = False
        self.max_firings: int | None = None
        self.schedule: Schedule | None = None
        self.policy: Policy | None = None
        self.review: Review | None = None
        self.saved: Saved | None = None
        self.flow: Any = None
        self.options: dict[str, Any] = {}


def mark_of(function: Any) -> Mark | None:
    """The mark of a decorated method, else None."""
    mark = getattr(function, "__flowkit__", None)
    return mark if isinstance(mark, Mark) else None


def is_step(function: Any) -> bool:
    """Whether a method is decorated as a step, not only as reviewed or saved."""
    mark = mark_of(function)
    return mark is not None and (mark.start or mark.router or bool(mark.triggers))


def mark_for(function: Any, decorator: str) -> Mark:
    """The mark of a method that is being decorated, made if it has none.

    Raises:
        ValueError: what is decorated is no method.
    """
    if not callable(function) or isinstance(function, type):
        msg = f"@{decorator} decorates a method, not {function!r}."
        raise ValueError(msg)
    mark = mark_of(function)
    if mark is None:
        mark = Mark()
        function.__flowkit__ = mark
        function.failed = FailedSource(function)
        function.timeout = FailedSource(function, "timeout")
        function.cancelled = FailedSource(function, "cancelled")
    return mark


def unapplied(value: Any) -> tuple[str, Any] | None:
    """The decorator and its condition, if a value is one that decorates nothing.

    That is what ``@listen`` without parentheses leaves in a class.
    """
    found = getattr(value, "__flowkit_unapplied__", None)
    return found if isinstance(found, tuple) else None


def labels_in(emit: Sequence[object] | None) -> tuple[str, ...]:
    """What ``emit=`` says, as text; Enum members by value.

    Raises:
        ValueError: it is no list of labels.
    """
    if emit is None:
        return ()
    if isinstance(emit, str):
        msg = f"emit takes a list of labels, not the text {emit!r}. Write [{emit!r}]."
        raise ValueError(msg)
    try:
        labels = [getattr(label, "value", label) for label in emit]
    except TypeError:
        msg = f"emit takes a list of labels, not {emit!r}."
        raise ValueError(msg) from None
    for label in labels:
        if label is None or label == "":
            msg = f"emit takes labels, and {label!r} is none: it chooses nothing."
            raise ValueError(msg)
    return tuple(dict.fromkeys(map(str, labels)))
