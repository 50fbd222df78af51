"""Who asks people: the protocols, the console, and the process-wide choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from flowkit.runtime.people import InputResponse, PendingFeedbackContext

__all__ = [
    "ConsoleProvider",
    "FlowConfig",
    "HumanFeedbackProvider",
    "InputProvider",
    "flow_config",
]


@runtime_checkable
class HumanFeedbackProvider(Protocol):
    """Asks a person to review what a step gave."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
        """The person's answer; may block, it is called in a thread.

        Raises:
            HumanFeedbackPending: the answer comes later, by ``resume``.
        """
        ...


@runtime_checkable
class InputProvider(Protocol):
    """Asks a person what a step wants to know."""

    def request_input(
        self, message: str, flow: Any, metadata: dict[str, Any] | None = None
    ) -> str | InputResponse | None:
        """The answer; None if there is none."""
        ...


class ConsoleProvider:
    """Asks at the terminal.

    Args:
        verbose: show what is reviewed, not the question alone.
    """

    def __init__(self, verbose: bool = True) -> None:  # noqa: FBT001, FBT002 - as CrewAI's
        self.verbose: bool = verbose

    def request_feedback(
        self,
        context: PendingFeedbackContext,
        flow: Any,  # noqa: ARG002 - the protocol's
    ) -> str:
        """One line, typed after the message, the output and the outcomes."""
        if self.verbose:
            _say(f"{context.flow_class}.{context.method_name} gave:")
            _say(context.method_output)
        _say(context.message)
        if context.emit:
            _say(f"One of: {', '.join(context.emit)}")
        return input("> ")

    def request_input(
        self,
        message: str,
        flow: Any,  # noqa: ARG002 - the protocol's
        metadata: dict[str, Any] | None = None,  # noqa: ARG002 - the same
    ) -> str | None:
        """One line, typed after the message."""
        _say(message)
        return input("> ")


def _say(text: Any) -> None:
    print(text, flush=True)  # noqa: T201 - the console is where it is asked


class FlowConfig:
    """Who is asked where neither decorator nor flow says so; for this process.

    Attributes:
        hitl_provider: reviews, a :class:`~flowkit.HumanFeedbackProvider`.
        input_provider: ``ask``, an :class:`~flowkit.InputProvider`.
    """

    def __init__(self) -> None:
        self.hitl_provider: Any = None
        self.input_provider: Any = None


flow_config: FlowConfig = FlowConfig()
"""Who is asked where neither decorator nor flow says so; read when it is asked."""
