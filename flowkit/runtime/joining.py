"""What is awaited side by side: ``self.join([..])``, ``together(..)`` in functions."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from flowkit.runtime.exits import Evicted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

__all__ = ["close", "joined", "side_by_side"]


def joined(flow: Any, awaitables: Iterable[Any]) -> Any:
    """In an async step something to await, in a synchronous one the results."""
    from flowkit.runtime.positions import step_of

    run, firing = step_of(flow, "join")
    found = [*awaitables]
    is_async = run.calls[firing.node.index].is_async
    return side_by_side(found) if is_async else found


async def side_by_side(
    parts: Sequence[Awaitable[Any]],
    limit: int | None = None,
    within: Callable[[int, Awaitable[Any]], Awaitable[Any]] | None = None,
) -> list[Any]:
    """The results of what is awaited side by side, in the order given.

    The first failure cancels the others, waits until they have ended, and is raised
    as it is, with what else failed in its notes. Whoever waits for so long that its
    step gives its place up does so when the others have ended or wait as long.

    Args:
        parts: what is awaited; those that never begin are closed.
        limit: most of them at a time; they begin in order.
        within: awaits a part in its stead, given its number from 1, in its task.
    """
    import anyio  # a loop runs, so it is there

    awaited = within or _plain
    results: list[Any] = [None] * len(parts)
    failures: list[BaseException] = []
    evicted: list[Evicted] = []
    places = None if limit is None else anyio.Semaphore(limit)

    async def one(index: int, part: Awaitable[Any]) -> None:
        try:
            results[index] = await awaited(index + 1, part)
        except Evicted as gone:
            evicted.append(gone)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised below, as it is
            failures.append(error)
            group.cancel_scope.cancel()
        finally:
            if places is not None:
                places.release()

    try:
        async with anyio.create_task_group() as group:
            for index, part in enumerate(parts):
                if places is not None:  # here, so that they begin in order
                    await places.acquire()
                group.start_soon(one, index, part)
    finally:
        for part in parts:
            close(part)
    if failures or evicted:
        raise _first(failures or [evicted[0]])
    return results


async def _plain(_index: int, part: Awaitable[Any]) -> Any:
    return await part


def _first(failures: list[BaseException]) -> BaseException:
    """The one to raise, with the others in its notes.

    What ends the run or the process goes before what a part has raised.
    """
    first, *others = sorted(failures, key=lambda each: isinstance(each, Exception))
    for other in others:
        first.add_note(
            f"flowkit: meanwhile another part failed: {type(other).__name__}: {other}"
        )
    return first


def close(part: Any) -> None:
    """End a coroutine that was never begun; one that ran has ended already."""
    if isinstance(part, Coroutine):
        part.close()
