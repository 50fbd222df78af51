"""Which errors are meant: classes of them, or a function that says so."""

from __future__ import annotations

from typing import Any

from flowkit.errors import FlowkitError, RejectedError, StepCrashedError

__all__ = ["Kinds", "is_kind", "kinds_in", "named", "wanted"]

Kinds = type[BaseException] | tuple[type[BaseException], ...]


def kinds_in(on: Any, what: str) -> Any:
    """Exception classes, or a function that chooses, as given.

    Raises:
        ValueError: something else.
    """
    if on is None or is_kind(on):
        return on
    if isinstance(on, list | tuple | set | frozenset):
        given = tuple(on)
        if given and all(map(is_kind, given)):
            return given
    elif callable(on) and not isinstance(on, type):
        return on
    msg = (
        f"{what} takes exception classes or a function of the error, not {on!r}. "
        f"Write on=OSError, on=(OSError, TimeoutError) or on=is_worth_it."
    )
    raise ValueError(msg)


def is_kind(value: Any) -> bool:
    """Whether it is an exception class."""
    return isinstance(value, type) and issubclass(value, BaseException)


def wanted(on: Any, error: BaseException) -> bool:
    """Whether an error is one of those meant; a function is called with it."""
    if on is None:
        mendable = not isinstance(error, FlowkitError) or isinstance(
            error, TimeoutError | RejectedError | StepCrashedError
        )
        return isinstance(error, Exception) and mendable
    if isinstance(on, type | tuple):
        return isinstance(error, on)
    return bool(on(error))


def named(value: Any) -> str:
    """Classes and functions by their names."""
    if isinstance(value, tuple):
        return " or ".join(map(named, value))
    name: str = getattr(value, "__name__", repr(value))
    return name
