"""An isolated step in its process: its object, its state, what becomes of it."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from flowkit.core.marking import Firing
from flowkit.errors import RestoredError, RunError
from flowkit.journal.codec import encode
from flowkit.runtime.call_changes import changes_of
from flowkit.runtime.isolated_process import Ended, settle, tell_where, told_of
from flowkit.runtime.recovery import asked_wait
from flowkit.runtime.scope import Scope
from flowkit.runtime.spawn_guard import kind_of
from flowkit.runtime.state import StateBox
from flowkit.runtime.tentative import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IsolatedRun", "main", "work"]

Answer = tuple[Any, ...]


def main(channel: Any, trace: Any) -> None:
    """Do what is asked for over the channel, and say what came of it."""
    said = settle(channel, trace)
    answer = work(channel.recv_bytes(), said)
    sys.stdout.flush()
    sys.stderr.flush()
    said(*answer)


class _Unsendable(Exception):  # noqa: N818 - it is told, not raised, there
    """A value that does not go from one process to the other."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where: str = where
        self.reason: str = f"{type(error).__name__}: {error}"


class IsolatedRun:
    """A run as a step in another process sees it.

    Attributes:
        id: of the run.
        emitted: as of a run.
        metered: as of a run.
    """

    journal = claim = home = mention = None
    over = False
    status = "running"

    def __init__(self, id: str, kind: Any, firing: Firing, said: Any) -> None:
        self.id: str = id
        self.compiled: Any = kind.compiled
        self.net: Any = kind.compiled.net
        self.calls: Any = kind.calls
        self.emitted: dict[int, list[tuple[str, Any]]] | None = None
        self.metered: dict[int, dict[str, float]] | None = None
        self.given_up: set[int] = set()
        self.watches: dict[int, Any] = {firing.id: _Pulse(said)}
        self.marking: Any = SimpleNamespace(live={firing.id: firing}, deferred={})
        self._step: Any = firing.node.step

    def __getattr__(self, name: str) -> Any:
        msg = f"{self._here} self.run.{name} is not known. ({self._step.place})"
        raise AttributeError(msg)

    @property
    def _here(self) -> str:
        name = f"{self.net.definition.name}.{self._step.name}"
        return f"{name} runs in a process of its own, where"

    def bars(self, verb: str) -> None:
        """Refuse a verb that needs the run.

        Raises:
            RunError: it is such a one.
        """
        if verb not in ALLOWED:
            msg = (
                f"{self._here} self.{verb} cannot reach the run. Use it in a step of "
                f"its own, before or after. ({self._step.place})"
            )
            raise RunError(msg)


class _Pulse:
    """Stands for the watch of an attempt."""

    __slots__ = ("_said",)

    def __init__(self, said: Callable[..., None]) -> None:
        self._said: Callable[..., None] = said

    @property
    def beat(self) -> float:
        """When it was last heard of; nobody asks for it here."""
        return 0.0

    @beat.setter
    def beat(self, _: float) -> None:
        self._said("beat")


def work(payload: bytes, said: Callable[..., None]) -> Answer:
    """Do the step of a payload; what came of it, as a message."""
    found = pickle.loads(payload)  # noqa: S301 - from the parent
    try:
        flow, body = _prepared(found, said)
    except _Unsendable as error:
        return "refused", "there", error.where, error.reason
    scope = flow._flowkit
    try:
        output = body()
        if hasattr(output, "__await__"):
            output = _awaited(output, found["backend"])
    except SystemExit:
        raise
    except Ended:
        return ("ended",)
    except BaseException as error:  # noqa: BLE001 - raised again where it was begun
        _say_missing(error, flow, found["missing"])
        return _failed(error)
    try:
        return _done(scope, output)
    except _Unsendable as error:
        return "refused", "back", error.where, error.reason


def _prepared(found: dict[str, Any], said: Callable[..., None]) -> tuple[Any, Any]:
    """The flow object, and the call of its step."""
    cls = _class_of(found)
    kind = kind_of(cls)
    flow = object.__new__(cls)
    for name, text in found["attributes"].items():
        try:
            flow.__dict__[name] = pickle.loads(text)  # noqa: S301 - the same
        except Exception as error:  # noqa: BLE001 - said when it is asked for
            found["missing"][name] = f"{type(error).__name__}: {error}"
    flow._flowkit = scope = _scope(flow, found)
    node = next(each for each in kind.compiled.net.nodes if each.name == found["step"])
    scope.firing = firing = Firing(found["firing"], node, None, None)
    firing.attempt, firing.turn = found["attempt"], found["turn"]
    firing.driver = scope.changes
    run: Any = IsolatedRun(found["run"], kind, firing, said)
    scope.run = run
    arguments = [_read(*each) for each in found["arguments"]]
    keywords = {
        name: _read(f"the argument {name!r}", text)
        for name, text in found["keywords"].items()
    }
    function = kind.compiled.functions[found["step"]]
    return flow, lambda: function(flow, *arguments, **keywords)


def _class_of(found: dict[str, Any]) -> Any:
    try:
        cls: Any = import_module(found["module"])
        for name in found["class"].split("."):
            cls = getattr(cls, name)
    except Exception as error:  # noqa: BLE001 - of any module
        raise _Unsendable("its class", error) from None
    return cls


def _scope(flow: Any, found: dict[str, Any]) -> Scope:
    live = _read("the state", found["shell"])
    fields = {
        name: _read(f"state.{name}", text) for name, text in found["fields"].items()
    }
    if isinstance(live, dict):
        live.update(fields)
    else:
        object.__setattr__(live, "__dict__", fields)
    box = StateBox(live, None if isinstance(live, dict) else type(live), found["class"])
    scope = Scope(flow, box, _no_facade)
    scope.changes = box.beside()
    scope.state = scope.changes.state
    return scope


def _no_facade(_origin: Any, _scope: Scope) -> Any:
    raise AssertionError  # nothing runs beside the step here


def _read(where: str, text: bytes) -> Any:
    try:
        return pickle.loads(text)  # noqa: S301 - the same
    except Exception as error:  # noqa: BLE001 - what a value's class raises
        raise _Unsendable(where, error) from None


def _written(where: str, value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - the same
        raise _Unsendable(where, error) from None


def _done(scope: Scope, output: Any) -> Answer:
    run: Any = scope.run
    firing: Any = scope.firing
    assert scope.changes is not None  # noqa: S101 - set above
    done = changes_of(scope.changes)
    fields = {
        name: None if each is None else (each[0], _written(f"state.{name}", each[1]))
        for name, each in done.fields.items()
    }
    extra = None
    if done.extra is not None:
        extra = _written("the state's extra fields", done.extra)
    said = [
        (name, _written(f"what it emits as {name!r}", payload))
        for name, payload in (run.emitted or {}).get(firing.id, ())
    ]
    metered = (run.metered or {}).get(firing.id)
    return "done", _written("its result", output), fields, extra, said, metered


def _failed(error: BaseException) -> Answer:
    trace = told_of(error)
    try:
        text = encode(error, "its error")
    except Exception:  # noqa: BLE001 - whatever it holds, it is told
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        text = encode(RestoredError(f"{kind}: {error}", kind=kind), "its error")
    try:
        waits = asked_wait(error)
    except Exception:  # noqa: BLE001 - what the error holds is anybody's
        waits = None
    return "failed", text, trace, waits


def _say_missing(error: BaseException, flow: Any, missing: dict[str, str]) -> None:
    """Tell why an attribute of the flow object is not there."""
    if isinstance(error, AttributeError) and error.obj is flow:
        reason = missing.get(error.name or "")
        if reason is not None:
            error.add_note(
                f"flowkit: self.{error.name} is set where the flow was made, and could "
                f"not come to the step's process ({reason}). Make it within the step."
            )


def _awaited(body: Any, backend: str) -> Any:
    import anyio

    return anyio.run(_until_told, body, backend=backend)


async def _until_told(body: Any) -> Any:
    """The result of an async step, which is cancelled when it is told to end."""
    import anyio

    if os.name != "posix":
        return await body
    failed: BaseException | None = None
    output: Any = None
    ended = True
    async with anyio.create_task_group() as group:
        told = anyio.Event()

        async def listen() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as received:
                tell_where()
                told.set()
                async for _ in received:
                    group.cancel_scope.cancel()

        group.start_soon(listen)
        await told.wait()
        try:
            output = await body
            ended = False
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - not in a group
            failed, ended = error, False
        group.cancel_scope.cancel()
    if ended:
        raise Ended
    if failed is not None:
        raise failed
    return output
