"""What a person is asked, what he answered, and how a flow waits for it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HumanFeedbackPending",
    "HumanFeedbackResult",
    "InputResponse",
    "PendingFeedbackContext",
    "plain",
]


@dataclass
class HumanFeedbackResult:
    """A step's output and what a person said of it.

    Attributes:
        output: what the method gave.
        feedback: the answer, as it was given.
        outcome: which of ``emit`` it means; None without ``emit``.
        timestamp: when it was answered.
        method_name: the step.
        metadata: the decorator's.
    """

    output: Any
    feedback: str
    outcome: str | None = None
    timestamp: datetime = field(default_factory=datetime.now)
    method_name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class PendingFeedbackContext:
    """What a review needs: enough to ask a person, and to go on with his answer.

    Attributes:
        flow_id: the state's id.
        flow_class: for people to read; nothing compares it.
        method_name: the step that is reviewed.
        method_output: what it gave.
        message: for the reviewer.
        emit: the outcomes, None without.
        default_outcome: what an empty answer means.
        metadata: the decorator's.
        llm: the decorator's.
        requested_at: when the review was asked for.
    """

    flow_id: str
    flow_class: str
    method_name: str
    method_output: Any
    message: str
    emit: list[str] | None = None
    default_outcome: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    llm: Any = None
    requested_at: datetime = field(default_factory=datetime.now)

    def to_dict(self) -> dict[str, Any]:
        """The same keys, with values that JSON takes.

        Dates as ISO 8601, models and dataclasses as dictionaries; what JSON has no
        form for becomes its text.
        """
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PendingFeedbackContext:
        """A context from :meth:`to_dict`; keys with a default may be missing.

        Raises:
            ValueError: a key without a default is missing, or the time is none.
        """
        given = {
            each.name: data[each.name] for each in fields(cls) if each.name in data
        }
        lacking = [
            each.name
            for each in fields(cls)
            if each.name not in given
            and each.default is MISSING
            and each.default_factory is MISSING
        ]
        if lacking:
            keys = ", ".join(map(repr, lacking))
            msg = f"A pending feedback context lacks {keys}."
            raise ValueError(msg)
        at = given.get("requested_at")
        if isinstance(at, str):
            given["requested_at"] = datetime.fromisoformat(at)
        for key in ("metadata", "requested_at"):
            if given.get(key) is None:
                given.pop(key, None)
        return cls(**given)


class HumanFeedbackPending(Exception):  # noqa: N818 - CrewAI's name
    """A provider raises it when the answer comes later; kickoff returns it.

    Attributes:
        context: what is to be reviewed.
        callback_info: whatever helps to find the answer; ``{}`` if nothing.
        message: the text.
    """

    def __init__(
        self,
        context: PendingFeedbackContext,
        callback_info: dict[str, Any] | None = None,
        message: str | None = None,
    ) -> None:
        self.context: PendingFeedbackContext = context
        self.callback_info: dict[str, Any] = callback_info or {}
        self.message: str = message or (
            f"Human feedback pending for flow {context.flow_id!r}, method "
            f"{context.method_name!r}"
        )
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.context, self.callback_info, self.message)


@dataclass
class InputResponse:
    """An answer to ``ask`` with whatever the provider knows about it."""

    text: str | None
    metadata: dict[str, Any] | None = None


def plain(value: Any) -> Any:
    """A value as JSON has it, else as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return plain(getattr(value, "value", None)) if _is_member(value) else value
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, type) else _plain_object(value)


def _plain_object(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    return plain(value.value) if _is_member(value) else str(value)


def _is_member(value: Any) -> bool:
    from enum import Enum  # loaded when used

    return isinstance(value, Enum)
