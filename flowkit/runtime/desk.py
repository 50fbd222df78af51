"""The open questions of this process: by its token, which run waits for an answer.

A run that is gone takes its questions with it. Whether a question is still open is
the run's to say; a token that is here may be over.
"""

from __future__ import annotations

import threading
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from flowkit.core.records import StepAsked
    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = [
    "Place",
    "answer_name",
    "asked_as",
    "find",
    "found",
    "lock",
    "new_token",
    "opened",
    "places",
    "said_of",
    "stores",
    "take",
]


class Place:
    """Where a token leads.

    Attributes:
        kind: the type of the answer, :data:`MISSING` if only its name is known.
        claimed: by whom, for a run without a store.
    """

    __slots__ = ("_run", "claimed", "kind", "token")

    def __init__(self, run: Run, token: str, kind: Any) -> None:
        self.token: str = token
        self.kind: Any = kind
        self.claimed: str = ""
        self._run: Any = ref(run, lambda _: _places.pop(token, None))

    @property
    def run(self) -> Run | None:
        """The run, None once it is gone."""
        run: Run | None = self._run()
        return run


_places: dict[str, Place] = {}
stores: WeakSet[Store] = WeakSet()
"""Where the questions of this process are kept, besides in it."""
lock: threading.Lock = threading.Lock()


def new_token() -> str:
    """A token nobody guesses."""
    return token_urlsafe(24)


def answer_name(token: str) -> str:
    """The event that is the answer to a question."""
    return f"answer:{token}"


def said_of(token: str) -> dict[str, Any]:
    """What the record of a question says of its answer."""
    return {"token": token, "names": [answer_name(token)], "key": None}


def opened(run: Run, token: str, kind: Any = MISSING) -> None:
    """Note a question."""
    with lock:
        if token not in _places:
            _places[token] = Place(run, token, kind)
    if run.journal is not None:
        stores.add(run.journal.store)


def found(run: Run) -> None:
    """Note the open questions of a run that comes from a store."""
    for questions in list(run.marking.asked.values()):
        for asked in list(questions.values()):
            token = (asked.detail or {}).get("token")
            if token is not None:
                opened(run, token)


def find(token: str) -> Place | None:
    """Where it leads in this process."""
    return _places.get(token)


def take(token: str) -> Place | None:
    """The same, and nobody finds it after that."""
    with lock:
        return _places.pop(token, None)


def places() -> list[Place]:
    """All of them, oldest first."""
    with lock:
        return list(_places.values())


def asked_as(run: Run, token: str) -> StepAsked | None:
    """The open question of a run with that token."""
    for questions in list(run.marking.asked.values()):
        for asked in list(questions.values()):
            if (asked.detail or {}).get("token") == token:
                return asked
    return None
