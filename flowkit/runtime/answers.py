"""What a person is shown of a question, and what his answer must be.

An answer is checked before anything of it is written. What is written is a small
dictionary: the value, who gave it, and what he said of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from flowkit.errors import FeedbackError, FlowkitError, InputError, RunError
from flowkit.runtime.calls import validated
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.records import StepAsked

__all__ = ["Decision", "answer_to", "choices_of", "schema_of", "shown_of"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on a proposal.

    Attributes:
        verdict: ``"approved"``, ``"rejected"`` or ``"edited"``.
        value: the proposal, what it was edited to, or None if it was rejected.
        by: who decided, None if nobody said, or the time ran out.
        comment: what was said with it.
    """

    verdict: str
    value: Any = None
    by: str | None = None
    comment: str = ""

    @property
    def approved(self) -> bool:
        """Whether :attr:`value` counts: approved as it was, or edited."""
        return self.verdict != "rejected"


def shown_of(asked: StepAsked) -> dict[str, Any]:
    """What is shown of a question, as JSON takes it."""
    detail = asked.detail
    if asked.verb != "feedback":
        shown: dict[str, Any] = detail["shown"]
        return shown
    more = detail["metadata"] or {}
    return {
        "kind": "feedback",
        "step": detail["method_name"],
        "where": f"{detail['flow_class'].rpartition('.')[2]}.{detail['method_name']}",
        "message": detail["message"],
        "options": detail["emit"],
        "default": detail["default_outcome"],
        "proposal": detail["method_output"],
        "metadata": more,
        "role": more.get("role"),
        "requested_by": more.get("requested_by"),
        "four_eyes": bool(more.get("four_eyes")),
        "asked": asked.at,
    }


def choices_of(kind: Any) -> list[Any] | None:
    """What a type leaves to choose from: of an Enum or a Literal."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return None


def schema_of(kind: Any) -> dict[str, Any] | None:
    """The JSON schema of an answer, None if it has none.

    Raises:
        ValueError: no answer could be checked against such a type.
    """
    from pydantic import PydanticUserError

    from flowkit.runtime.models import adapter_for

    adapter = adapter_for(kind)
    if adapter is None:
        msg = (
            f"answer={kind!r} is a type that no answer can be checked against. Give a "
            f"pydantic model, a dataclass, an Enum, a Literal or a built-in type."
        )
        raise ValueError(msg)
    try:
        return adapter.json_schema()
    except PydanticUserError:
        return None


def answer_to(
    shown: dict[str, Any],
    verb: str,
    value: Any,
    by: str | None,
    comment: str,
    *,
    kind: Any = MISSING,
    llm: Any = None,
) -> dict[str, Any]:
    """An answer as it is written.

    Args:
        shown: the question.
        verb: ``answer``, ``approve``, ``reject`` or ``edit``.
        value: of ``answer`` and ``edit``.
        by: who answers.
        comment: what he says with it.
        kind: the type of the value, if it is at hand.
        llm: a function that reads feedback.

    Raises:
        InputError: the value does not fit; all its faults.
        RunError: the question does not take this verb.
    """
    said: dict[str, Any] = {"by": by, "comment": comment}
    if shown["kind"] == "feedback":
        return {**said, **_feedback(shown, verb, value, comment, llm)}
    if shown["kind"] == "proposal":
        if verb in {"approve", "reject"}:
            verdict = "approved" if verb == "approve" else "rejected"
            return {**said, "verdict": verdict}
        return {**said, "verdict": "edited", "value": _checked(shown, value, kind)}
    if verb == "edit":
        msg = f"{_what(shown)} has no proposal to edit. Answer it: tasks.answer(..)."
        raise RunError(msg)
    if verb != "answer":
        value = _meant(shown, verb)
    return {**said, "value": _checked(shown, value, kind)}


def _what(shown: dict[str, Any]) -> str:
    return f"The question {shown['message']!r:.80} of {shown['where']}"


def _feedback(
    shown: dict[str, Any], verb: str, value: Any, comment: str, llm: Any
) -> dict[str, Any]:
    from flowkit.runtime.feedback import outcome_in, unmeant

    if verb == "edit":
        msg = (
            f"{_what(shown)} reviews what the step gave, which cannot be edited. Give "
            f"feedback: tasks.answer(..)."
        )
        raise RunError(msg)
    outcomes = shown["options"]
    if verb == "answer":
        text = str(value)
        outcome = outcome_in(text, outcomes, shown["default"], llm)
        if outcome is None and outcomes:
            raise FeedbackError(unmeant(text, shown["step"], outcomes))
        return {"text": text, "outcome": outcome}
    if not outcomes:
        word = "approved" if verb == "approve" else "rejected"
        return {"text": comment or word, "outcome": None}
    outcome = str(_meant(shown, verb))
    return {"text": comment or outcome, "outcome": outcome}


def _meant(shown: dict[str, Any], verb: str) -> Any:
    """Which of the options approves or rejects.

    Raises:
        RunError: none does, or several.
    """
    options = shown.get("options")
    if not options:
        if shown.get("type") == "builtins:bool":
            return verb == "approve"
        msg = (
            f"{_what(shown)} is not one to {verb}: it proposes nothing and gives no "
            f"options. Answer it: tasks.answer(..)."
        )
        raise RunError(msg)
    stem = "approv" if verb == "approve" else "reject"
    named = {verb, f"{stem}ed"}
    exact = [each for each in options if str(each).casefold() in named]
    found = exact or [each for each in options if _has(str(each), stem)]
    if len(found) == 1:
        return found[0]
    said = ", ".join(map(repr, options))
    msg = (
        f"{_what(shown)} has the options {said}, and it is not clear which of them "
        f"tasks.{verb}(..) means. Answer with one: tasks.answer(token, option)."
    )
    raise RunError(msg)


def _has(option: str, stem: str) -> bool:
    words = option.casefold().replace("_", " ").replace("-", " ").split()
    negated = not {"not", "no", "never", "without"}.isdisjoint(words)
    return not negated and any(word.startswith(stem) for word in words)


def _checked(shown: dict[str, Any], value: Any, kind: Any) -> Any:
    """The value as the step will get it."""
    what = f"The answer to {shown['message']!r:.80} of {shown['where']}"
    try:
        value = validated(value, _type(shown, kind), what)
    except FlowkitError:
        raise
    except Exception as error:
        msg = f"{what} could not be checked: {error!r}"
        raise InputError(msg) from error
    options: Sequence[Any] | None = shown.get("choices")
    if options is not None and value not in options:
        said = ", ".join(map(repr, options))
        msg = f"{what} is one of {said}, not {value!r:.80}."
        raise InputError(msg)
    return value


def _type(shown: dict[str, Any], kind: Any) -> Any:
    from flowkit.journal.codec import UnreadableError, class_of

    if kind is not MISSING or shown.get("type") is None:
        return None if kind is MISSING else kind
    try:
        return class_of(shown["type"])
    except UnreadableError as error:
        msg = (
            f"{_what(shown)} takes an answer of the type {shown['type']}, which cannot "
            f"be found in this process, so nothing could be checked. Import its module "
            f"here, or answer where the flow runs."
        )
        raise RunError(msg) from error
