"""``@persist``: a step's state is saved when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from flowkit.define.marks import Saved, mark_for

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["persist"]

TargetT = TypeVar("TargetT", bound="Callable[..., Any]")


@overload
def persist(persistence: type[TargetT], /) -> type[TargetT]: ...
@overload
def persist(persistence: TargetT, /) -> TargetT: ...
@overload
def persist(
    persistence: Any = None,
    verbose: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
) -> Callable[[TargetT], TargetT]: ...
def persist(
    persistence: Any = None,
    verbose: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
) -> Any:
    """Save the state each time a step has ended; of a class: each of its steps.

    Bare or called, on a method or a class. ``kickoff(inputs={"id": ..})`` loads
    what was saved last under that id.

    Args:
        persistence: a :class:`~flowkit.FlowPersistence`; what the flow object was
            given comes first, a method's before its class's, and without any the
            default :class:`~flowkit.SQLiteFlowPersistence` is used.
        verbose: log a line for each save.

    Raises:
        ValueError: the argument is no persistence.
    """
    if _is_backend(persistence):
        return _decorator(Saved(persistence, verbose))
    if persistence is None:
        return _decorator(Saved(None, verbose))
    is_kind = isinstance(persistence, type)
    if (is_kind and not _is_backend(persistence, kind=True)) or (
        not is_kind and hasattr(persistence, "__code__")
    ):
        return _decorator(Saved(None, verbose))(persistence)
    msg = (
        f"@persist takes a FlowPersistence object, not {persistence!r:.80}. Write "
        f"@persist() for the default, or @persist(SQLiteFlowPersistence(path))."
    )
    raise ValueError(msg)


def _is_backend(value: Any, *, kind: bool = False) -> bool:
    if isinstance(value, type) is not kind:
        return False
    return hasattr(value, "save_state") and hasattr(value, "load_state")


def _decorator(saved: Saved) -> Callable[[Any], Any]:
    def decorate(target: Any) -> Any:
        if isinstance(target, type):
            target.__flowkit_saved__ = saved  # type: ignore[attr-defined]  # our mark
        else:
            mark_for(target, "persist").saved = saved
        return target

    return decorate
