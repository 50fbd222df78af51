"""``self.join([..])``: what a step awaits, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.exits import Evicted

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["join", "joined"]


def joined(flow: Any, awaitables: Iterable[Any]) -> Any:
    """In an async step something to await, in a synchronous one the results."""
    from flowkit.runtime.positions import step_of

    run, firing = step_of(flow, "join")
    found = [*awaitables]
    return join(found) if run.calls[firing.node.index].is_async else found


async def join(awaitables: Iterable[Any]) -> list[Any]:
    """The results of awaitables that run side by side, in the order given.

    The first failure cancels the others, waits until they have ended, and is raised
    as it is. Whoever waits for so long that its step gives its place up does so when
    the others have ended or wait as long.
    """
    import anyio  # a loop runs, so it is there

    found = [*awaitables]
    results: list[Any] = [None] * len(found)
    failures: list[BaseException] = []
    evicted: list[Evicted] = []

    async def work(index: int, awaitable: Any) -> None:
        try:
            results[index] = await awaitable
        except Evicted as gone:
            evicted.append(gone)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised below, as it is
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index, awaitable in enumerate(found):
            group.start_soon(work, index, awaitable)
    if failures:
        raise failures[0]
    if evicted:
        raise evicted[0]
    return results
