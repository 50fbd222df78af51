"""Coroutines of steps, driven in a context of their own."""

from __future__ import annotations

from types import coroutine as generator_coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextvars import Context

__all__ = ["contextual", "resumed"]


async def contextual(body: Any, context: Context) -> Any:
    """The result of an awaitable that has not begun."""
    if not hasattr(body, "send"):
        return await body
    try:
        first = context.run(body.send, None)
    except StopIteration as end:
        return end.value
    return await resumed(body, context, first)


@generator_coroutine
def resumed(
    body: Coroutine[Any, Any, Any], context: Context, first: Any
) -> Generator[Any, Any, Any]:
    """Drive a started coroutine to its end, in its own context (PEP 380)."""
    enter, send, throw = context.run, body.send, body.throw
    waits_for = first
    try:
        while True:
            try:
                value = yield waits_for
            except GeneratorExit:
                body.close()
                raise
            except BaseException as error:  # noqa: BLE001 - handed to the step
                try:
                    waits_for = enter(throw, error)
                except StopIteration as end:
                    return end.value
            else:
                try:
                    waits_for = enter(send, value)
                except StopIteration as end:
                    return end.value
    finally:
        # A Ctrl-C between two lines here would leave the step's scopes open.
        if getattr(body, "cr_frame", None) is not None:
            enter(body.close)
