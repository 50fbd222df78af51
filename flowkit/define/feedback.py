"""``@human_feedback``: a person looks at what a step gave before it counts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from flowkit.define.marks import Review, labels_in, mark_for
from flowkit.errors import FlowkitWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["human_feedback"]

MethodT = TypeVar("MethodT", bound="Callable[..., Any]")


def human_feedback(  # noqa: PLR0917 - by position in CrewAI
    message: str,
    emit: Sequence[object] | None = None,
    llm: Any = None,
    default_outcome: object | None = None,
    metadata: Mapping[str, Any] | None = None,
    provider: Any = None,
    learn: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
    learn_source: str = "hitl",
    learn_strict: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
) -> Callable[[MethodT], MethodT]:
    """Have a person review what a step gives, in any order with ``@start`` and so on.

    Without ``emit`` the step's output becomes a
    :class:`~flowkit.HumanFeedbackResult`. With ``emit`` the step is a router: the
    answer chooses one of the outcomes, whose listeners get the
    :class:`~flowkit.HumanFeedbackResult`; the output stays what the method gave.

    An answer means an outcome if it is its name, or has the name of exactly one
    outcome in it as words that nothing negates; else ``llm`` is asked if it is a
    function, else the person again, three times at most.

    Args:
        message: shown with what is to be reviewed.
        emit: the outcomes.
        llm: a function ``(text, outcomes) -> outcome`` for answers that name none;
            a model's name is handed on to the provider, never called.
        default_outcome: what an empty answer means; the first of ``emit`` if not
            given.
        metadata: handed to the provider and on to the result.
        provider: who is asked, a :class:`~flowkit.HumanFeedbackProvider`; else
            ``flow_config.hitl_provider``, else the console.
        learn: accepted for CrewAI's sake, without effect.
        learn_source: the same.
        learn_strict: the same.

    Raises:
        ValueError: ``default_outcome`` without ``emit`` or not one of it, or a
            message or outcomes that are none.
    """
    shown: object = message
    if not isinstance(shown, str):  # written bare, or a slip
        msg = (
            f"@human_feedback takes the message for the reviewer first, not "
            f"{message!r}. Write @human_feedback(message='..')."
        )
        raise ValueError(msg)
    outcomes = labels_in(emit)
    if emit is not None and not outcomes:
        msg = "emit takes the outcomes a review can have; the list is empty."
        raise ValueError(msg)
    default = getattr(default_outcome, "value", default_outcome)
    if default is not None and not outcomes:
        msg = f"default_outcome={default!r} requires emit: it is one of its outcomes."
        raise ValueError(msg)
    if default is not None and default not in outcomes:
        msg = f"default_outcome={default!r} must be one of {list(outcomes)}."
        raise ValueError(msg)
    if learn:
        text = "@human_feedback(learn=True) has no effect in flowkit."
        warnings.warn(text, FlowkitWarning, stacklevel=2)
    given = None if metadata is None else dict(metadata)
    review = Review(message, outcomes, llm, default, given, provider)

    def decorate(function: MethodT) -> MethodT:
        mark_for(function, "human_feedback").review = review
        return function

    return decorate
