"""Handlers of outside events: plain or async functions, reported when they raise."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from flowkit.runtime import signals
from flowkit.runtime.calls import payload_type
from flowkit.runtime.threads import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Container

__all__ = ["Handler"]


class Handler:
    """A function that is called for each event of a name.

    Attributes:
        subscriber: its name in a store; handlers of one title are numbered.
    """

    __slots__ = ("bare", "function", "name", "subscriber", "title", "type")

    def __init__(
        self, name: str, function: Callable[..., Any], taken: Container[str] = ()
    ) -> None:
        self.name: str = name
        self.function: Callable[..., Any] = function
        self.title: str = getattr(function, "__qualname__", repr(function))
        self.subscriber: str = f"handler:{self.title}"
        number = 1
        while self.subscriber in taken:
            number += 1
            self.subscriber = f"handler:{self.title}#{number}"
        self.bare: bool = not inspect.signature(function).parameters
        self.type: Any | None = (
            None if self.bare else payload_type(_hinted(function), method=False)
        )

    def __str__(self) -> str:
        return f"the handler {self.title} of {self.name!r}"

    async def call(self, bus: Any, payload: Any) -> BaseException | None:
        """Call it; what it raises is reported, given back and goes no further."""
        arguments = () if self.bare else (payload,)
        try:
            if inspect.iscoroutinefunction(self.function):
                await self.function(*arguments)
            else:
                made = await pool.run(lambda: self.function(*arguments), _ignored)
                if inspect.isawaitable(made):  # an object with an async __call__
                    await made
        except (Exception, SystemExit) as error:  # noqa: BLE001 - nor the bus with it
            signals.log().error("%s raised %r", self, error, exc_info=error)
            if signals.handler_failed.receivers:
                signals.tell(
                    signals.handler_failed,
                    bus,
                    name=self.name,
                    handler=self.title,
                    error=error,
                )
            return error
        return None


def _hinted(function: Any) -> Any:
    """Where the annotations are: of an object that is called, at its method."""
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__.__get__(function)


def _ignored(value: Any, error: BaseException | None) -> None:
    """The bus was closed while the handler ran; nobody waits for its result."""
