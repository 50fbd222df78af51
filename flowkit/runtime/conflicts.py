"""Why a step's changes cannot be committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import StateConflictError, StateError

if TYPE_CHECKING:
    from flowkit.runtime.state import StateBox

__all__ = ["conflict", "unfit"]

LONGEST = 60  # characters of a value shown in a message


def conflict(
    box: StateBox, field: str, step: str, current: Any, mine: Any
) -> StateConflictError:
    """Two parallel steps wrote a field that nothing joins."""
    other = box.writers.get(field, "another step")
    text = (
        f"{box.name}: the parallel steps {other} and {step} both wrote "
        f"state.{field}: {_brief(current)} and {_brief(mine)}. Let one of them "
        f"write it, declare how to join it (Annotated[.., reducer] on the field), "
        f"run the steps one after the other, or set on_conflict='last' on the "
        f"class."
    )
    return StateConflictError(text, field=field, steps=(other, step))


def unfit(place: str, field: str, value: Any, fault: str) -> StateError:
    """A step left a value that its field's type refuses."""
    text = (
        f"{place} left state.{field} as {_brief(value)}: "
        f"{fault}. Assign what the field's type takes."
    )
    return StateError(text)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
