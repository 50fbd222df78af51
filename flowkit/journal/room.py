"""Whether a run takes one event more at a place where its waits are transient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.journal.rows import TRANSIENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowkit.journal.rows import Wait

__all__ = ["room"]


def room(waits: Iterable[tuple[Wait, float]], arrived: Iterable[float]) -> int | None:
    """How many events more the waits of a run at one place take; None for any number.

    Args:
        waits: each with the time since when it is there.
        arrived: when the letters came that lie in its inbox for that place. Those
            that came before a wait do not count for it.
    """
    since = []
    for wait, begun in waits:
        if wait.data != TRANSIENT:
            return None
        since.append(begun)
    came = list(arrived)
    rooms = (
        sum(each >= begun for each in since) - sum(at >= begun for at in came)
        for begun in since
    )
    return max(0, *rooms)
