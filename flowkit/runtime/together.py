"""``together``: parts of a function side by side, each a branch of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from flowkit.runtime.called import Branch, here
from flowkit.runtime.exits import Stop

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
            _close(each)
        msg = f"together(limit=..) takes a count of at least 1, not {limit!r}."
        raise ValueError(msg)
    branch = here()
    if type(branch) is not Branch:
        return _together(parts, limit, None, 0)
    try:
        position = branch.claim("together")
    except BaseException:
        for each in parts:
            _close(each)
        raise
    return _together(parts, limit, branch, position)


async def _together(
    parts: Sequence[Awaitable[Any]],
    limit: int | None,
    branch: Branch | None,
    position: int,
) -> tuple[Any, ...]:
    import anyio  # a loop runs, so it is there

    work = _Parts(branch, position)
    places = None if limit is None else anyio.Semaphore(limit)
    try:
        async with anyio.create_task_group() as work.group:
            for index, part in enumerate(parts, 1):
                if places is not None:  # here, so that they begin in order
                    await places.acquire()
                work.group.start_soon(work.one, index, part, places)
    except BaseExceptionGroup as error:
        ends = error.subgroup((Stop, KeyboardInterrupt, SystemExit))
        if ends is not None:  # it ends the run or the process, not this call
            raise _single(ends) from None
        raise
    finally:
        for part in parts:
            _close(part)
    if work.failures:
        raise work.failure()
    return tuple(work.results[index] for index in range(1, len(parts) + 1))


class _Parts:
    """What becomes of the parts of one ``together``."""

    def __init__(self, branch: Branch | None, position: int) -> None:
        self.branch = branch
        self.position = position
        self.group: Any = None
        self.results: dict[int, Any] = {}
        self.failures: list[Exception] = []

    async def one(self, index: int, part: Awaitable[Any], places: Any) -> None:
        branch = self.branch
        inner = None if branch is None else branch.inner(self.position, index)
        try:
            self.results[index] = await part
            if inner is not None and inner.failed:
                inner.flush()
        except Exception as error:  # noqa: BLE001 - the first comes out in the end
            self.failures.append(error)
            self.group.cancel_scope.cancel()
        finally:
            if branch is not None and inner is not None and inner.failed:
                branch.failed += inner.failed
            if places is not None:
                places.release()

    def failure(self) -> Exception:
        """The first, with what else failed in its notes."""
        first, *others = self.failures
        for other in others:
            first.add_note(
                f"flowkit: meanwhile another part failed: "
                f"{type(other).__name__}: {other}"
            )
        return first


def _single(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _close(part: Any) -> None:
    """End a coroutine that was never begun; one that ran has ended already."""
    close = getattr(part, "close", None)
    if close is not None:
        close()
