"""When a step that takes long is called a second time beside the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowkit.core.durations import shown, some_seconds

__all__ = ["Hedge"]

FEWEST = 2


@dataclass(frozen=True, slots=True)
class Hedge:
    """A further call of a step beside one that has not answered yet.

    After ``after`` the step is called once more, beside the first call; the first one
    that ends well gives the result, and the others are cancelled and awaited. An
    attempt fails when all calls that have begun have failed. Only what the winner did
    to the state counts, and what it emitted. For steps that may be called twice: their
    calls share one :attr:`~flowkit.Flow.idempotency_key`.

    Attributes:
        after: how long a call may take before the next one begins, seconds or text
            such as ``"500ms"``.
        most: most calls of an attempt, the first one included.

    Raises:
        ValueError: a value that means nothing, by name.

    Source: "The Tail at Scale", Dean and Barroso, Communications of the ACM, 2013.
    """

    after: Any
    most: int = FEWEST

    def __post_init__(self) -> None:
        after = some_seconds(self.after, "Hedge(after=..)")
        object.__setattr__(self, "after", after)
        if type(self.most) is not int or self.most < FEWEST:
            msg = (
                f"Hedge(most=..) takes a count of calls from {FEWEST}, the first one "
                f"included, not {self.most!r}."
            )
            raise ValueError(msg)

    def __str__(self) -> str:
        told = f"after {shown(self.after)}"
        return told if self.most == FEWEST else f"{told}, {self.most} calls at most"
