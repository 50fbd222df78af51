"""Log records that say which run, step and attempt they come from."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from flowkit.runtime import signals
from flowkit.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LogFields", "log_fields"]


class _Place(NamedTuple):
    flow: str
    run: str
    step: str
    firing: int
    attempt: int


_place: ContextVar[_Place | None] = ContextVar("flowkit_place", default=None)


class LogFields(logging.Filter):
    """Gives each record ``flow``, ``run``, ``step``, ``firing`` and ``attempt``.

    They are ``""`` and 0 outside of steps, but for flowkit's own lines about a run.
    Works until :meth:`stop`; ``with`` stops at
    the end of the block.
    """

    def __init__(self, handlers: Iterable[logging.Handler]) -> None:
        super().__init__()
        self._handlers = [*handlers]
        for handler in self._handlers:
            handler.addFilter(self)
        signals.step_started.connect(self._started)

    def stop(self) -> None:
        """Leave records as they are from now on."""
        signals.step_started.disconnect(self._started)
        for handler in self._handlers:
            handler.removeFilter(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; every record passes."""
        found = _place.get() or _named(record)
        for name, value in found._asdict().items():
            if not hasattr(record, name):  # what the call gave as extra= stays
                setattr(record, name, value)
        return True

    def _started(
        self, sender: Any, run: Run, step: str, firing: int, attempt: int, **more: Any
    ) -> None:
        place = _Place(sender.__qualname__, run.id, step, firing, attempt)
        about = run.marking.live.get(firing)
        if about is None or about.node.name != step:  # called by a function
            _place.set(place)
            return
        try:
            run.context.run(_place.set, place)
        except RuntimeError:  # it is entered just now, in another thread
            return


def _named(record: logging.LogRecord) -> _Place:
    """The run that a line outside of steps, such as the bus's, is about."""
    if record.name == "flowkit" and isinstance(record.args, tuple):
        for each in record.args:
            if isinstance(each, Run):
                return _Place(type(each.flow).__qualname__, each.id, "", 0, 0)
    return _Place("", "", "", 0, 0)


def log_fields(*handlers: logging.Handler) -> LogFields:
    """Have log records say where they come from, whoever writes them.

    A format may then hold ``%(flow)s %(run)s %(step)s %(firing)s %(attempt)s``.

    Args:
        handlers: whose records; those of the root logger if none are given.
    """
    return LogFields(handlers or logging.getLogger().handlers)
