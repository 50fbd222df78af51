"""This process as an owner of runs: alive while it says so, known to be gone.

One beat of a store's clock covers every run that the process moves. A process on
the same host that has ended is seen at once, by its number and its start; one on
another host when its time is over.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from flowkit.errors import StoreError
from flowkit.journal.rows import Owner
from flowkit.runtime import signals
from flowkit.runtime.clock import now
from flowkit.runtime.ids import random_id

if TYPE_CHECKING:
    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = ["LEASE", "Presence", "has_ended", "presence_in"]

LEASE = 30.0
"""Seconds after which a process that says nothing counts as gone."""


class Presence:
    """One process in one store.

    Attributes:
        id: what its runs name as their owner.
        moving: the runs it moves just now, by id.
    """

    def __init__(self, store: Store) -> None:
        self.id: str = random_id()
        self.moving: dict[str, Run] = {}
        self._store = ref(store)  # a store that nobody uses any more may go
        self._until = 0.0
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def ensure(self) -> str:
        """Say that this process is alive, if it has not lately; its id."""
        at = now()
        if self._until - at > LEASE / 2:
            return self.id
        with self._lock:
            if self._until - at <= LEASE / 2:
                self._beat(at)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._go_on, name="flowkit-presence", daemon=True
                )
                self._thread.start()
        return self.id

    def _beat(self, at: float) -> None:
        store = self._store()
        if store is None:
            return
        host = f"{_host()}:{_started(self._pid)}"
        store.beat(Owner(self.id, at + LEASE, host, self._pid))
        self._until = at + LEASE

    def _go_on(self) -> None:
        while not self._ended.wait(LEASE / 3):
            with self._lock:
                if not self.moving or self._store() is None:
                    self._thread = None  # the next run starts another
                    return
            try:
                self._beat(now())
            except StoreError as error:
                signals.log().warning("this process could not say it lives: %s", error)

    def retire(self) -> None:
        """This process ends: its runs may be taken over at once."""
        self._ended.set()
        self._until = 0.0
        store = self._store()
        if store is not None:
            store.retire(self.id)

    def gone(self) -> list[str]:
        """Owners on this host whose process has ended; the store forgets them."""
        store = self._store()
        if store is None:
            return []
        found = [
            each.id for each in store.owners() if each.id != self.id and has_ended(each)
        ]
        for id in found:
            store.retire(id)
        return found


def has_ended(owner: Owner) -> bool:
    """Whether an owner is a process of this host that is gone; False if unknown."""
    host, _, started = owner.host.rpartition(":")
    if host != _host() or not owner.pid:
        return False
    return not _alive(owner.pid) or started != _started(owner.pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process, or a system without this question
        return True
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _started(pid: int) -> str:
    """When a process began, in ticks since boot; "" where nobody tells."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004 - proc(5): field 22


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


@cache
def _host() -> str:
    """This machine, this boot, this space of process numbers."""
    parts = [os.uname().nodename if hasattr(os, "uname") else "host"]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "|".join(part.strip() for part in parts)


_presences: WeakKeyDictionary[Store, Presence] = WeakKeyDictionary()
_lock = threading.Lock()


def presence_in(store: Store) -> Presence:
    """This process in a store; made anew after a fork."""
    with _lock:
        found = _presences.get(store)
        if found is None or found._pid != os.getpid():
            found = _presences[store] = Presence(store)
        return found
