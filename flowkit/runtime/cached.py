"""Results of steps kept for later: looked up, computed once at a time, bounded.

A result is kept as text in the store of the run, in one of ``entries`` cells that its
key chooses, so that the store does not grow; or in this process, where the oldest
makes room.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flowkit.core.caching import Cache, Key, source_of_code
from flowkit.journal.codec import UnreadableError, UnstorableError, decode, encode
from flowkit.runtime import signals
from flowkit.runtime.calls import parameters_of
from flowkit.runtime.clock import now
from flowkit.runtime.values import MISSING, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.marking import Firing
    from flowkit.journal.base import Store
    from flowkit.runtime.run import Run

__all__ = ["Hit", "Shelf", "cached", "forget_all"]


class Hit(Exception):  # noqa: N818 - no error: nothing need be called
    """An attempt that need not be made, because its result is known."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value


class _Kept:
    """The results of one name in this process."""

    __slots__ = ("flights", "lock", "texts")

    def __init__(self) -> None:
        self.texts: OrderedDict[str, tuple[str, float | None]] = OrderedDict()
        self.flights: dict[str, list[Callable[[], object]]] = {}
        self.lock: threading.Lock = threading.Lock()


_kept: dict[str, _Kept] = {}


def forget_all() -> None:
    """Forget every result kept in this process."""
    _kept.clear()


class Shelf:
    """Where the results of one step are kept, and what they are found by."""

    __slots__ = ("_names", "_source", "cache", "function", "name", "step")

    def __init__(
        self,
        step: str,
        place: str,
        cache: Cache,
        function: Callable[..., Any],
        names: list[str] | None = None,
    ) -> None:
        self.step: str = step
        self.name: str = cache.name or place
        self.cache: Cache = cache
        self.function: Callable[..., Any] = function
        self._names: list[str] = names or parameters_of(function)[0]
        self._source: list[Any] | None = None

    @property
    def kept(self) -> _Kept:
        """What this process keeps of it."""
        found = _kept.get(self.name)
        return _kept.setdefault(self.name, _Kept()) if found is None else found

    def key(self, flow: Any, arguments: Any, keywords: Any) -> str:
        """64 hex digits that name a result.

        Raises:
            UnstorableError: an input that cannot be written.
        """
        key = self.cache.key
        if not isinstance(key, Key):
            return _digest(key(flow, *arguments, **keywords))
        parts: list[Any] = []
        if key.inputs:
            given = dict(zip(self._names, arguments, strict=False)) | keywords
            parts.append(
                sorted((k, v) for k, v in given.items() if k not in key.without)
            )
            parts.append(list(arguments[len(self._names) :]))
        if key.source:
            if self._source is None:
                self._source = source_of_code(_code(self.function))
            parts.append(self._source)
        return _digest(parts)

    def look(self, run: Run, key: str) -> Any:
        """The result kept under a key; MISSING if there is none that counts."""
        at = now()
        if run.journal is not None:
            found, expires, text = self._cell(run.journal.store, key)
            if found != key:
                return MISSING
        else:
            kept = self.kept
            with kept.lock:
                entry = kept.texts.get(key)
                if entry is None:
                    return MISSING
                kept.texts.move_to_end(key)
            text, expires = entry
        if expires is not None and expires <= at:
            return MISSING
        try:
            return decode(text)
        except UnreadableError:  # its class has gone since
            return MISSING

    def keep(self, run: Run, key: str, value: Any) -> None:
        """Keep a result; one that cannot be written is not, and the log says so."""
        try:
            text = encode(value, f"the result of {self.step}")
        except UnstorableError as error:
            signals.log().warning("%s is not cached: %s", self.step, error)
            return
        expires = None if self.cache.ttl is None else now() + self.cache.ttl
        if run.journal is not None:
            store = run.journal.store
            place = self._place(key)
            new = encode([key, expires, text], "a cached result")
            store.swap(place, store.cell(place), new)
            return
        kept = self.kept
        with kept.lock:
            kept.texts[key] = text, expires
            kept.texts.move_to_end(key)
            while len(kept.texts) > self.cache.entries:
                kept.texts.popitem(last=False)

    def _place(self, key: str) -> str:
        return f"cache:{self.name}:{int(key[:12], 16) % self.cache.entries}"

    def _cell(self, store: Store, key: str) -> tuple[str, float | None, str]:
        text = store.cell(self._place(key))
        if text is None:
            return "", None, ""
        found, expires, value = decode(text)
        return found, expires, value

    def enters(self, key: str, wake: Callable[[], object]) -> bool:
        """Whether to make the call now; else ``wake`` is called when it is made."""
        kept = self.kept
        with kept.lock:
            waiting = kept.flights.get(key)
            if waiting is None:
                kept.flights[key] = []
                return True
            waiting.append(wake)
            return False

    def leave(self, key: str) -> None:
        """The call is made, well or not; who waited for it looks again."""
        kept = self.kept
        with kept.lock:
            waiting = kept.flights.pop(key, [])
        for wake in waiting:
            try:
                wake()
            except RuntimeError:  # its loop is gone
                continue

    def done(self, run: Run, firing: Firing, key: str, value: Any) -> None:
        """Keep a result, unless the step has changed the state, too."""
        changed = _changed(firing.driver)
        if changed:
            signals.log().warning(
                "%s is not cached: it has changed the state (%s), which a result from "
                "the cache would not. Return what later steps need, or take cache= "
                "away.",
                self.step,
                ", ".join(changed),
            )
            return
        self.keep(run, key, value)


def _changed(changes: Any) -> list[str]:
    if changes is None:
        return []
    found = [] if changes.extra is None else ["extra fields"]
    for field, was in changes.before.items():
        base = was if changes.base is None else changes.base.get(field, was)
        if not same(base, dict.get(changes.raw, field, MISSING)):
            found.append(field)
    return found


def _digest(value: Any) -> str:
    return sha256(encode(value, "the key of a cached step").encode()).hexdigest()


def _code(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function.__code__


def cached(function: Callable[..., Any], shelf: Shelf, *, is_async: bool) -> Any:
    """The function of a step that looks for its result first."""
    return _awaited(function, shelf) if is_async else _called(function, shelf)


def _called(function: Callable[..., Any], shelf: Shelf) -> Callable[..., Any]:
    def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        key = shelf.key(flow, arguments, keywords)
        while True:
            known = shelf.look(run, key)
            if known is not MISSING:
                raise Hit(known)
            come = threading.Event()
            if shelf.enters(key, come.set):
                break
            come.wait()
            if threading.get_ident() in run.given_up:
                return None
        awaited = False
        try:
            output = function(flow, *arguments, **keywords)
            awaited = hasattr(output, "__await__")
            if awaited:
                return _finished(output, shelf, run, firing, key)
            shelf.done(run, firing, key, output)
            return output
        finally:
            if not awaited:
                shelf.leave(key)

    return call


def _awaited(function: Callable[..., Any], shelf: Shelf) -> Callable[..., Any]:
    async def call(flow: Any, *arguments: Any, **keywords: Any) -> Any:
        scope = flow._flowkit
        run, firing = scope.run, scope.firing
        key = shelf.key(flow, arguments, keywords)
        while True:
            known = shelf.look(run, key)
            if known is not MISSING:
                raise Hit(known)
            if await _entered(shelf, key):
                break
        return await _finished(
            function(flow, *arguments, **keywords), shelf, run, firing, key
        )

    return call


async def _entered(shelf: Shelf, key: str) -> bool:
    import anyio  # a loop runs, so it is there

    from flowkit.runtime.loops import loop_caller

    come, soon = anyio.Event(), loop_caller()
    if shelf.enters(key, lambda: soon(come.set)):
        return True
    await come.wait()
    return False


async def _finished(body: Any, shelf: Shelf, run: Run, firing: Firing, key: str) -> Any:
    try:
        output = await body
        shelf.done(run, firing, key, output)
    finally:
        shelf.leave(key)
    return output
