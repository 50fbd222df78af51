"""``self.ask``: a step asks a person and waits in its thread."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any

from flowkit.runtime import persisting, providers, signals
from flowkit.runtime.blocking import run_async
from flowkit.runtime.loops import forget_loop, in_running_loop
from flowkit.runtime.people import InputResponse

__all__ = ["ask"]


def ask(
    flow: Any, message: str, timeout: float | None, metadata: dict[str, Any] | None
) -> str | None:
    """The answer of the flow's input provider; None without one, or too late.

    After ``timeout`` seconds the provider's thread is left to itself.
    """
    run = flow._flowkit.run
    if run is not None and run.bars is not None:
        run.bars("ask")
    persisting.checkpoint(flow)
    asked = {"message": message, "metadata": metadata}
    _mention(flow, "flow_input_requested", asked)
    answer = _answer(flow, message, timeout, metadata)
    _mention(flow, "flow_input_received", {"message": message, "response": answer})
    return answer


def _mention(flow: Any, kind: str, data: dict[str, Any]) -> None:
    """Tell those who read the run's stream, if somebody does."""
    scope = flow._flowkit
    if scope.firing is not None and scope.run.mention is not None:
        scope.run.mention(scope.firing, kind, data)


def _answer(
    flow: Any, message: str, timeout: float | None, metadata: dict[str, Any] | None
) -> str | None:
    provider = _provider(flow)

    def work() -> Any:
        answer = provider.request_input(message, flow, metadata=metadata)
        return _awaited(answer) if hasattr(answer, "__await__") else answer

    try:
        if timeout is None and not in_running_loop():
            return _text(work())
        return _text(_in_thread(work, timeout))
    except TimeoutError:
        return None
    except Exception:  # noqa: BLE001 - logged, as promised
        signals.log().exception("the input provider failed on %r", message)
        return None


def _provider(flow: Any) -> Any:
    """Who is asked: the flow's own, the process's, the console."""
    mine = getattr(flow, "input_provider", None)
    if hasattr(mine, "request_input"):
        return mine
    if providers.flow_config.input_provider is not None:
        return providers.flow_config.input_provider
    return providers.ConsoleProvider()


def _awaited(answer: Any) -> Any:
    async def wait() -> Any:
        return await answer

    return run_async(wait)


def _in_thread(function: Any, timeout: float | None) -> Any:
    """What ``function`` gives in a daemon thread of its own.

    Raises:
        TimeoutError: it takes longer than ``timeout`` seconds.
    """
    outcome: list[tuple[Any, BaseException | None]] = []
    ended = threading.Event()
    context = copy_context()
    context.run(forget_loop)

    def work() -> None:
        try:
            outcome.append((context.run(function), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the asker
            outcome.append((None, error))
        finally:
            ended.set()

    threading.Thread(target=work, name="flowkit-ask", daemon=True).start()
    if not ended.wait(timeout):
        raise TimeoutError
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def _text(answer: Any) -> str | None:
    if isinstance(answer, InputResponse):
        answer = answer.text
    return answer if answer is None or isinstance(answer, str) else str(answer)
