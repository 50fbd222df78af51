"""What an adapter makes of a line."""

from __future__ import annotations

from typing import Any, NamedTuple


class Message(NamedTuple):
    """One event, as :meth:`flowkit.EventBus.send` takes it."""

    name: str
    payload: Any
    key: str | None
    id: str | None = None
