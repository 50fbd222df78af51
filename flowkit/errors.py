"""Every error flowkit raises on its own account.

Split by who mends it::

    FlowkitError
    ├── DefinitionError (ValueError)      the flow's author: faults of a class
    ├── RunError                          the caller of a run
    │   ├── InputError (ValueError)       inputs or a payload that do not fit
    │   ├── NotFoundError (LookupError)   a run or a task that is not there
    │   ├── BusyError                     a living process moves the run
    │   ├── ArgumentError (TypeError)     a step whose parameters cannot be bound
    │   ├── RouteError (ValueError)       a router returned an undeclared label
    │   ├── FeedbackError (ValueError)    an answer that means none of the outcomes
    │   ├── StateConflictError            two parallel steps wrote one field
    │   ├── StateError (ValueError)       a state left its type at a step's end
    │   ├── RunawayError (RecursionError) a loop or recursion without end
    │   ├── DeadlineError (TimeoutError)  a run was not over at its deadline
    │   ├── DriftError                    a step that started again asks otherwise
    │   ├── ItemsError (TypeError)        each(..) over something without items
    │   ├── GatherError                   fewer results than gather(.., n=..) needs
    │   ├── DeadlockError                 steps that wait for each other's mutexes
    │   ├── StepTimeoutError (TimeoutError)   an attempt ran out of its time
    │   ├── PoisonedStepError             a step ends its process, again and again
    │   ├── StepCrashedError              the process of an isolated step died
    │   ├── UnsendableError (TypeError)   a value that cannot go to that process
    │   ├── RejectedError                 a call, or a run, that a limit refused
    │   │   ├── BreakerOpenError          what it calls is broken
    │   │   ├── BulkheadFullError         too many wait for a place already
    │   │   ├── RateLimitedError          its turn is too far away
    │   │   └── AdmissionError            a flow does not take a run on
    │   │       ├── AdmissionFullError    too many wait to begin already
    │   │       └── ShedError (TimeoutError)  its deadline is before its turn
    │   ├── StuckError                    strict flows: a join that can't fire
    │   ├── UnstorableError (TypeError)   a value that cannot be stored and read
    │   ├── CompensationError             what could not be undone
    │   ├── CallError                     a called run ended without a result
    │   ├── RestoredError                 stands for a stored exception
    │   └── RunEndedError                 a verb on a run that is over
    ├── TryAgain                          raised by a fallback: the step begins anew
    └── StoreError                        the deployment: a store that fails
        ├── FencedError                   another process has taken the run over
        ├── RunExistsError                the run to begin is there already
        ├── UnfitError                    what the database behind cannot hold
        ├── UnknownOutcomeError           lost in a commit: repeat the same call
        ├── UnreadableError (ValueError)  stored text that makes no values again
        └── MissingExtraError (ImportError)   an optional dependency is absent

A step's own exception is never wrapped: it keeps its type and gains a note with
step, attempt and run. Warnings are :class:`FlowkitWarning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.journal.rows import RunRow

__all__ = [
    "AdmissionError",
    "AdmissionFullError",
    "ArgumentError",
    "BreakerOpenError",
    "BulkheadFullError",
    "BusyError",
    "CallError",
    "CompensationError",
    "DeadlineError",
    "DeadlockError",
    "DefinitionError",
    "DriftError",
    "FeedbackError",
    "FencedError",
    "FlowkitError",
    "FlowkitWarning",
    "GatherError",
    "InputError",
    "ItemsError",
    "MissingExtraError",
    "NotFoundError",
    "PoisonedStepError",
    "RateLimitedError",
    "RejectedError",
    "RestoredError",
    "RouteError",
    "RunEndedError",
    "RunError",
    "RunExistsError",
    "RunawayError",
    "ShedError",
    "StateConflictError",
    "StateError",
    "StepCrashedError",
    "StepTimeoutError",
    "StoreError",
    "StuckError",
    "TryAgain",
    "UnfitError",
    "UnknownOutcomeError",
    "UnreadableError",
    "UnsendableError",
    "UnstorableError",
]

CURE = (
    "Keep what cannot be stored on the flow object (self.client), not in its state, "
    "or store what it can be made from again: text, numbers, a dataclass, a model."
)


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


class NotFoundError(RunError, LookupError):
    """No run or task of that name is where it was looked for."""


class BusyError(RunError):
    """A living process moves the run: nobody else can, until it is done or waits."""


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


class ItemsError(RunError, TypeError):
    """A step takes each item of something that has none."""


class GatherError(RunError):
    """A group gave fewer results than a ``gather(.., n=..)`` needs."""


class StepTimeoutError(RunError, TimeoutError):
    """An attempt of a step ran out of its time.

    Attributes:
        step: as ``Orders.charge``.
        limit: which policy: ``timeout``, ``total_timeout`` or ``idle_timeout``.
        seconds: how long it allows.
    """

    def __init__(
        self, text: str, *, step: str = "", limit: str = "", seconds: float = 0.0
    ) -> None:
        self.step: str = step
        self.limit: str = limit
        self.seconds: float = seconds
        super().__init__(text)


class PoisonedStepError(RunError):
    """A step was started as often as it may, and its process ended each time."""


class StepCrashedError(RunError):
    """The process of an isolated step ended before the step did.

    Attributes:
        step: as ``Orders.charge``.
        exitcode: what the process ended with; minus a signal's number if that did it.
        signal: the signal's name, such as ``SIGSEGV``, or "".
    """

    def __init__(
        self, text: str, *, step: str = "", exitcode: int = 0, signal: str = ""
    ) -> None:
        self.step: str = step
        self.exitcode: int = exitcode
        self.signal: str = signal
        super().__init__(text)


class UnsendableError(RunError, TypeError):
    """A value that cannot go to the process of an isolated step, or come from it.

    Attributes:
        step: as ``Orders.charge``.
        where: what it is, such as ``state.lock``.
    """

    def __init__(self, text: str, *, step: str = "", where: str = "") -> None:
        self.step: str = step
        self.where: str = where
        super().__init__(text)


class RejectedError(RunError):
    """A limit refused to let a step be called, or a run begin.

    Attributes:
        step: as ``Orders.charge``; "" for a run.
        retry_after: seconds until a call could be let through, None if unknown.
    """

    def __init__(
        self, text: str, *, step: str = "", retry_after: float | None = None
    ) -> None:
        self.step: str = step
        self.retry_after: float | None = retry_after
        super().__init__(text)


class BreakerOpenError(RejectedError):
    """The breaker is open: what the step calls was broken."""


class BulkheadFullError(RejectedError):
    """All places are taken, and the line for them is full."""


class RateLimitedError(RejectedError):
    """The step's turn is further away than it may wait."""


class AdmissionError(RejectedError):
    """A flow does not take a run on: nothing of it was begun.

    Attributes:
        flow: name of the class.
    """

    def __init__(
        self, text: str, *, flow: str = "", retry_after: float | None = None
    ) -> None:
        self.flow: str = flow
        super().__init__(text, retry_after=retry_after)


class AdmissionFullError(AdmissionError):
    """All places are taken, and the line of runs that wait to begin is full."""


class ShedError(AdmissionError, TimeoutError):
    """A run's deadline comes before its turn, so that it need not begin."""


class CompensationError(RunError):
    """Some of what a scope's compensation was to undo could not be undone.

    Attributes:
        step: ``Flow.step`` that has asked for it.
        faults: name of each step that is left as it was, and why.
    """

    def __init__(
        self, text: str, *, step: str = "", faults: Sequence[Sequence[str]] = ()
    ) -> None:
        self.step: str = step
        self.faults: tuple[tuple[str, ...], ...] = tuple(map(tuple, faults))
        super().__init__(text)


class DeadlockError(RunError):
    """Steps wait for mutexes that are held by one another: nothing can go on."""


class StuckError(RunError):
    """A strict flow ended with a join that can never fire."""


class DeadlineError(RunError, TimeoutError):
    """A run was not over at its deadline, or at that of the run that called it."""


class DriftError(RunError):
    """A step that started again asked another question than before at a position."""


class RunEndedError(RunError):
    """The run is over and takes nothing more."""


class UnstorableError(RunError, TypeError):
    """A value that cannot be written and read back as itself.

    Attributes:
        where: its place, such as ``state.items[3].lock``.
        what: the value as a noun, such as ``a _thread.lock``.
        why: what is wrong with it, such as ``cannot be stored``.
        cure: what to do, one sentence or two.
        step: the step that left it there, or "".
    """

    def __init__(
        self, where: str, what: str, why: str, cure: str = CURE, step: str = ""
    ) -> None:
        self.where: str = where
        self.what: str = what
        self.why: str = why
        self.cure: str = cure
        self.step: str = step
        begin = f"{step} left {where} as" if step else f"{where} is"
        super().__init__(f"{begin} {what}, which {why}. {cure}")

    def at(self, step: str) -> UnstorableError:
        """The same error, telling which step left the value (``Orders.charge``)."""
        return UnstorableError(self.where, self.what, self.why, self.cure, step)


class CallError(RunError):
    """A run that a step has called ended as cancelled or expired: it gives no result.

    Attributes:
        run: id of the called run.
        status: ``cancelled`` or ``expired``.
        reason: why, as it was said, or "".
    """

    def __init__(
        self, text: str, *, run: str = "", status: str = "", reason: str = ""
    ) -> None:
        self.run: str = run
        self.status: str = status
        self.reason: str = reason
        super().__init__(text)


class RestoredError(RunError):
    """Stands for a stored exception whose class cannot be rebuilt.

    Attributes:
        kind: the name of its class; the text begins with it.
    """

    def __init__(self, text: str, *, kind: str = "") -> None:
        self.kind: str = kind
        super().__init__(text)


class TryAgain(FlowkitError):  # noqa: N818 - it is asked for
    """Raised by a fallback: the step begins anew, with all its attempts.

    For a person who was asked and has mended something. Raised by the step itself it
    is an error like others.
    """


class StoreError(FlowkitError):
    """A store that refuses or fails; the deployment mends it.

    Attributes:
        kept: whether what was stored before is there still.
    """

    kept: bool = True


class FencedError(StoreError):
    """Somebody else has taken the run over: this owner writes nothing more."""


class RunExistsError(StoreError):
    """The run to begin is there already, by id or by state; ``row`` as stored."""

    def __init__(self, text: str, row: RunRow) -> None:
        self.row: RunRow = row
        super().__init__(text)


class UnfitError(StoreError):
    """What the database behind a store cannot hold, such as text with a NUL."""


class UnknownOutcomeError(StoreError):
    """The connection was lost during a commit: it may have been written, or not.

    The same call repeated connects again, and writes what was not written.
    """


class UnreadableError(StoreError, ValueError):
    """Stored text that this program cannot turn into values again."""


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
