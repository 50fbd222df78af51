"""Every error flowkit raises on its own account.

Split by who mends it::

    FlowkitError
    ├── DefinitionError (ValueError)      the flow's author: faults of a class
    ├── RunError                          the caller of a run
    │   ├── InputError (ValueError)       inputs or a payload that do not fit
    │   ├── ArgumentError (TypeError)     a step whose parameters cannot be bound
    │   ├── RouteError (ValueError)       a router returned an undeclared label
    │   ├── FeedbackError (ValueError)    an answer that means none of the outcomes
    │   ├── StateConflictError            two parallel steps wrote one field
    │   ├── StateError (ValueError)       a state left its type at a step's end
    │   ├── RunawayError (RecursionError) a loop or recursion without end
    │   ├── DriftError                    a step that started again asks otherwise
    │   ├── StuckError                    strict flows: a join that can't fire
    │   └── RunEndedError                 a verb on a run that is over
    └── StoreError                        the deployment: a store that fails
        └── MissingExtraError (ImportError)   an optional dependency is absent

A step's own exception is never wrapped: it keeps its type and gains a note with
step, attempt and run. Warnings are :class:`FlowkitWarning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ArgumentError",
    "DefinitionError",
    "DriftError",
    "FeedbackError",
    "FlowkitError",
    "FlowkitWarning",
    "InputError",
    "MissingExtraError",
    "RouteError",
    "RunEndedError",
    "RunError",
    "RunawayError",
    "StateConflictError",
    "StateError",
    "StoreError",
    "StuckError",
]


class FlowkitError(Exception):
    """Root of flowkit's errors. Attributes survive pickling."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    kind: type[FlowkitError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> FlowkitError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(attributes)
    return error


class DefinitionError(FlowkitError, ValueError):
    """A flow class has faults; all of them are in ``faults``."""

    def __init__(self, flow: str, faults: Sequence[str]) -> None:
        self.flow: str = flow
        self.faults: tuple[str, ...] = tuple(faults)
        if len(self.faults) == 1:
            text = self.faults[0]
        else:
            text = f"{flow} has {len(self.faults)} faults:\n" + "\n".join(
                f"  - {fault}" for fault in self.faults
            )
        super().__init__(text)


class RunError(FlowkitError):
    """Something the caller of a run can mend."""


class InputError(RunError, ValueError):
    """Inputs or an event payload do not fit the declared type."""


class ArgumentError(RunError, TypeError):
    """A step has parameters that none of its inputs fills."""


class RouteError(RunError, ValueError):
    """A router returned a label that it does not declare."""


class FeedbackError(RunError, ValueError):
    """A person's answer means none of the outcomes of ``@human_feedback(emit=..)``."""


class StateConflictError(RunError):
    """Parallel steps wrote one state field and nothing says how to join it."""

    def __init__(
        self, text: str, *, field: str = "", steps: Sequence[str] = ()
    ) -> None:
        self.field: str = field
        self.steps: tuple[str, ...] = tuple(steps)
        super().__init__(text)


class StateError(RunError, ValueError):
    """A step left the state with a value that its type refuses."""


class RunawayError(RunError, RecursionError):
    """A step fired more often in one run than its bound allows."""


class StuckError(RunError):
    """A strict flow ended with a join that can never fire."""


class DriftError(RunError):
    """A step that started again asked another question than before at a position."""


class RunEndedError(RunError):
    """The run is over and takes nothing more."""


class StoreError(FlowkitError):
    """A store that refuses or fails; the deployment mends it."""


class MissingExtraError(StoreError, ImportError):
    """An optional dependency is not installed; the text has the install line."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra: str = extra
        super().__init__(
            f"{feature} needs the extra '{extra}', which is not installed. "
            f"Install it: pip install 'flowkit[{extra}]'"
        )


class FlowkitWarning(UserWarning):
    """Something in a flow that is probably not meant."""
