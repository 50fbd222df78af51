"""Who is told when a store that was there is brought to a newer schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["heard", "upgraded"]

heard: Final[list[Callable[[str], None]]] = []
"""Called with one sentence, besides the log."""


def upgraded(what: str, before: int, after: int) -> None:
    """Tell of it, in the log ``flowkit`` (info) and to whoever has asked."""
    import logging  # a store is upgraded once

    text = (
        f"{what} was brought from schema {before} to {after}: a flowkit that knows "
        f"only {before} cannot use it any more."
    )
    logging.getLogger("flowkit").info(text)
    for hear in heard:
        hear(text)
