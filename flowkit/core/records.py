"""What happened: facts about a run, past tense and frozen.

``at`` is seconds since the epoch as the runner's clock gave it; the core only
passes it on. A firing is named by its number within the run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "CallBegun",
    "CallEnded",
    "EventReceived",
    "GroupJudged",
    "Record",
    "RunAborted",
    "RunCancelled",
    "RunCompensated",
    "RunExpired",
    "RunOverdue",
    "RunRequeued",
    "RunStarted",
    "RunStopped",
    "StepActed",
    "StepAnswered",
    "StepAsked",
    "StepDeferred",
    "StepFailed",
    "StepFinished",
    "StepHedged",
    "StepHit",
    "StepIsolated",
    "StepTurned",
    "StepYielded",
    "TimerFired",
]


class RunStarted(NamedTuple):
    """A run began: by kickoff, by the event of that name, or by a schedule.

    ``payloads`` maps a start step to what it is handed. ``step`` is the one start
    that a schedule begins.
    """

    at: float
    event: str | None = None
    payloads: Mapping[str, Any] | None = None
    step: str | None = None


class StepFinished(NamedTuple):
    """A firing ended well; ``labels`` are a router's, ``changed`` state fields.

    ``payload`` is what listeners of its labels get, if not the label itself;
    ``emitted`` names and payloads of what the step emitted, ``metrics`` names and
    figures of what it measured.
    """

    at: float
    firing: int
    output: Any = None
    labels: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    payload: Any = None
    emitted: tuple[tuple[str, Any], ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()


class StepTurned(NamedTuple):
    """A turn of a repeated step ended well, and another one follows."""

    at: float
    firing: int
    output: Any = None
    changed: tuple[str, ...] = ()
    emitted: tuple[tuple[str, Any], ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()


class StepYielded(NamedTuple):
    """A running step gave an item; ``ordinal`` counts those of one firing from 0."""

    at: float
    firing: int
    ordinal: int
    item: Any = None


class StepActed(NamedTuple):
    """A running step changed what goes on beside it.

    ``verb`` is ``spawn``, ``seal``, ``complete`` or ``cancel``, ``target`` a step or
    ``region(name)``; ``ordinal`` counts the verbs of one firing from 0. ``payload``
    is the item of a ``spawn``, the value of a ``complete``; ``taken`` says whether
    there was anything to do it to.
    """

    at: float
    firing: int
    ordinal: int
    verb: str
    target: str
    payload: Any = None
    taken: bool = True


class GroupJudged(NamedTuple):
    """The predicate of a gather has said that its group gave enough, or raised."""

    at: float
    group: int
    gather: int
    error: BaseException | None = None


class StepFailed(NamedTuple):
    """A firing ended with an exception; of what it did only its metrics count.

    ``late`` says that it ran out of its time.
    """

    at: float
    firing: int
    error: BaseException
    late: bool = False
    metrics: tuple[tuple[str, float], ...] = ()


class StepDeferred(NamedTuple):
    """A firing has no result yet and begins again at ``due``; nothing is committed.

    ``why`` names the policy; ``error`` is what an attempt ended with, None if it had
    not begun. ``tries`` counts the failed attempts so far and ``since`` is the time
    at which the first one began. ``stage`` is 0 for the step's own body, else the
    number of the fallback that stands in for it. Of what the attempt did only its
    ``metrics`` count.
    """

    at: float
    firing: int
    due: float
    why: str = "retry"
    error: BaseException | None = None
    tries: int = 0
    since: float = 0.0
    stage: int = 0
    metrics: tuple[tuple[str, float], ...] = ()


class StepHit(NamedTuple):
    """What a firing gives was known: it finishes with a cached result, uncalled."""

    at: float
    firing: int


class StepHedged(NamedTuple):
    """A further call of a firing began beside the first, or one has won.

    ``call`` is its number, 1 for the first; ``won`` says that it gives the result.
    """

    at: float
    firing: int
    call: int
    won: bool = False


class StepIsolated(NamedTuple):
    """A call of a firing has begun in a process of its own, of that number."""

    at: float
    firing: int
    pid: int


class EventReceived(NamedTuple):
    """An outside event reached the run.

    ``shares`` holds the payload of listeners that take it as another type,
    ``traceparent`` says where its sender's trace goes on: it decides nothing.
    """

    at: float
    name: str
    payload: Any = None
    key: str | None = None
    id: str | None = None
    shares: Mapping[str, Any] | None = None
    traceparent: str = ""


class StepAsked(NamedTuple):
    """A running step waits for something outside: a time, an event, a person.

    ``position`` counts the questions of one firing from 0; ``verb`` and ``detail``
    say what was asked, for the journal and for people.
    """

    at: float
    firing: int
    position: int
    verb: str
    detail: Any = None
    changed: tuple[str, ...] = ()


class StepAnswered(NamedTuple):
    """What a step waited for is there; the same answer again after a restart."""

    at: float
    firing: int
    position: int
    answer: Any = None


class CallBegun(NamedTuple):
    """A step has called another one while it waits for something outside, too.

    Without such a wait the beginning of a call is not recorded.
    """

    at: float
    firing: int
    position: int
    step: str


class CallEnded(NamedTuple):
    """What a step that another one called gave; the same again after a restart.

    ``position`` is counted as that of a question, ``began`` is when the call began.
    One that was ``cancelled`` gave nothing: made again, it hangs until what had
    cancelled it does so again. ``stage`` is the number of the fallback whose result
    this is, 0 for the step's own; ``hit`` says that it was kept from before.
    """

    at: float
    firing: int
    position: int
    step: str
    began: float
    output: Any = None
    error: BaseException | None = None
    cancelled: bool = False
    metrics: tuple[tuple[str, float], ...] = ()
    stage: int = 0
    hit: bool = False

    @property
    def verb(self) -> str:
        """What stands at this position, as for a question."""
        return "step"

    @property
    def detail(self) -> Any:
        """What must be the same when the step starts again."""
        return {"mark": [self.step]}


class TimerFired(NamedTuple):
    """The time of a timer in the graph has come."""

    at: float
    timer: int


class RunStopped(NamedTuple):
    """A step ended the run well with ``stop(result)``."""

    at: float
    firing: int | None = None
    result: Any = None
    changed: tuple[str, ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()


class RunAborted(NamedTuple):
    """A step ended the run as unsuccessful with ``abort(reason)``."""

    at: float
    firing: int | None = None
    reason: str = ""


class RunCompensated(NamedTuple):
    """A step gave the run up with ``compensate(reason)``: what is done is undone."""

    at: float
    firing: int | None = None
    reason: str = ""


class RunOverdue(NamedTuple):
    """The run was not over at its deadline."""

    at: float
    error: BaseException


class RunRequeued(NamedTuple):
    """What failed while the run went on, or could not be undone, begins again."""

    at: float


class RunExpired(NamedTuple):
    """The lifetime of a run that waited is over."""

    at: float


class RunCancelled(NamedTuple):
    """Somebody outside cancelled the run."""

    at: float
    reason: str = ""


Record = (
    RunStarted
    | StepFinished
    | StepFailed
    | StepDeferred
    | StepHit
    | StepHedged
    | StepIsolated
    | EventReceived
    | RunStopped
    | RunAborted
    | RunCancelled
    | RunCompensated
    | RunExpired
    | RunOverdue
    | RunRequeued
    | StepAsked
    | StepAnswered
    | StepTurned
    | StepYielded
    | StepActed
    | GroupJudged
    | TimerFired
    | CallBegun
    | CallEnded
)
