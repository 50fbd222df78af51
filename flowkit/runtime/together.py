"""``together``: parts of a function side by side, each a branch of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flowkit.runtime.called import Branch, here
from flowkit.runtime.joining import close, side_by_side

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

__all__ = ["together"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def together(
    first: Awaitable[A], second: Awaitable[B], /, *, limit: int | None = None
) -> Awaitable[tuple[A, B]]: ...
@overload
def together(
    first: Awaitable[A],
    second: Awaitable[B],
    third: Awaitable[C],
    /,
    *,
    limit: int | None = None,
) -> Awaitable[tuple[A, B, C]]: ...
@overload
def together(
    first: Awaitable[A],
    second: Awaitable[B],
    third: Awaitable[C],
    fourth: Awaitable[D],
    /,
    *,
    limit: int | None = None,
) -> Awaitable[tuple[A, B, C, D]]: ...
@overload
def together(
    *parts: Awaitable[A], limit: int | None = None
) -> Awaitable[tuple[A, ...]]: ...
def together(*parts: Awaitable[Any], limit: int | None = None) -> Any:
    """Await several things side by side; gives their results in the order written.

    Each is a call of a step, a verb such as ``wait_for``, or a coroutine that calls
    steps in turn: those count for themselves, so that it does not matter which is
    quicker. In a function flow use it instead of task groups, wherever the parts call
    steps; outside of one it does the same without a record.

    The first that fails cancels the others and comes out as it is, with what else
    failed in its notes.

    Args:
        parts: what is awaited.
        limit: most of them at a time; all by default.

    Raises:
        ValueError: a limit below 1.
    """
    if limit is not None and limit < 1:
        for each in parts:
            close(each)
        msg = f"together(limit=..) takes a count of at least 1, not {limit!r}."
        raise ValueError(msg)
    branch = here()
    if type(branch) is not Branch:
        return _together(parts, limit, None, 0)
    try:
        position = branch.claim("together")
    except BaseException:
        for each in parts:
            close(each)
        raise
    return _together(parts, limit, branch, position)


async def _together(
    parts: Sequence[Awaitable[Any]],
    limit: int | None,
    branch: Branch | None,
    position: int,
) -> tuple[Any, ...]:
    within = None if branch is None else partial(_within, branch, position)
    return tuple(await side_by_side(parts, limit, within))


async def _within(
    branch: Branch, position: int, index: int, part: Awaitable[Any]
) -> Any:
    """What a part gives, awaited in a branch of its own."""
    inner = branch.inner(position, index)
    try:
        result = await part
        inner.flush()
    finally:
        branch.failed += inner.failed
    return result
