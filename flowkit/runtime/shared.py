"""Limits by name: their states in this process, or in a run's store.

A limit with a name is one for all who give it, else it belongs to one place.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flowkit.core.limits import Breaker, BreakerState, Rate, RateState
from flowkit.errors import RunError
from flowkit.journal.codec import decode, encode
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.runtime.run import Run

__all__ = ["SharedLimit", "cell_of", "forget_all", "share", "shared_rate", "storeless"]

StateT = TypeVar("StateT", RateState, BreakerState)
_STATES: dict[type, Any] = {Rate: RateState, Breaker: BreakerState}


class SharedLimit(Generic[StateT]):
    """A limit and its state, under a lock.

    Attributes:
        plain: it is of this process, and a call's time does not matter.
    """

    __slots__ = ("implied", "lock", "name", "plain", "state", "value")

    def __init__(self, value: Any, name: str, *, implied: bool = False) -> None:
        self.name: str = name
        self.declare(value, implied=implied)
        self.lock: threading.Lock = threading.Lock()

    def declare(self, value: Any, *, implied: bool = False) -> None:
        """Begin anew as this limit says."""
        self.value: Any = value
        self.implied: bool = implied
        self.state: StateT = _STATES[type(value)](value)
        slow = getattr(value, "slow", None)
        self.plain: bool = value.shared == "process" and slow is None

    def through(self, run: Run, step: str, act: Callable[[StateT, float], Any]) -> Any:
        """What ``act`` gives of the state in the run's store, which it may change.

        It is told the time anew whenever another one was quicker: a state is not
        asked about a time before its last change.

        Raises:
            RunError: the run has no store.
        """
        if run.journal is None:
            raise storeless(step, self.value, self.name)
        store = run.journal.store
        cell = cell_of(self.value, self.name)
        while True:
            text = store.cell(cell)
            state = _STATES[type(self.value)](self.value)
            if text is not None:
                state.restore(decode(text))
            found = act(state, now())
            new = encode(state.saved(), self.name)
            if new == text or store.swap(cell, text, new):
                return found


def cell_of(value: Any, name: str) -> str:
    """Where in a store the state of a limit stands."""
    return f"limit:{type(value).__name__}:{name}"


def storeless(who: str, value: Any, name: str) -> RunError:
    """The error of a limit that is in the store, in a run that is not."""
    return RunError(
        f"{who} shares its {type(value).__name__} {name!r} through the store, and this "
        f"run has none. Give the flow a store."
    )


_shared: dict[tuple[type, str], Any] = {}
_declaring = threading.Lock()


def forget_all() -> None:
    """Forget the state of every limit of this process; what is in a store stays."""
    _shared.clear()


def share(
    value: Any, place: str, make: Callable[..., Any], *, implied: bool = False
) -> Any:
    """The one state of a limit, by its name or else by the place that declares it.

    Args:
        value: the limit.
        place: names who declares it in this process.
        make: of the value, its name and ``implied``.
        implied: it is not declared here but only named.

    Raises:
        ValueError: two different limits of one kind and name.
    """
    kind = type(value)
    key = kind, value.name or place
    with _declaring:
        found = _shared.get(key)
        if found is None or not value.name:  # a class that is defined again
            found = _shared[key] = make(value, key[1], implied=implied)
        elif not implied and found.value != value:
            if not found.implied:
                msg = (
                    f"{place} declares the {kind.__name__} {value.name!r} as {value}, "
                    f"and elsewhere it is {found.value}. Make one value and give it to "
                    f"both."
                )
                raise ValueError(msg)
            found.declare(value)
        return found


def shared_rate(rate: Rate, place: str) -> bool:
    """Take a turn now, if there is one."""
    found = _shared.get((Rate, rate.name or place)) or share(rate, place, SharedLimit)
    with found.lock:
        at = now()
        if found.state.left(at) > 0:
            return False
        found.state.take(at)
        return True
