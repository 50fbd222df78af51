"""The one graph: what may happen in a flow, as plain data.

A :class:`Definition` holds names, never functions, so it can be stored, drawn,
compared and checked without the class it came from. Three rules of this file:

1. Everything here is frozen (named tuples, the lightest to import); equal graphs
   are equal values.
2. A leaf names a source; a join combines leaves or joins. Nothing else triggers.
3. ``labels`` are declared by the author; what reading the source suggests is for
   pictures and hints only and is not part of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from flowkit.core.durations import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

LeafKind = Literal["step", "name", "event", "failed", "timeout", "timer"]
ENDINGS = frozenset({"failed", "timeout"})
"""How a step ends that does not end well: kinds of leaves."""
MODES = frozenset({"fail_fast", "continue", "collect", "compensate"})
"""What a failure that nobody listens to does to its run."""
JoinKind = Literal["and", "or", "any_of", "merge", "all_active", "times"]
Rest = Literal["ignore", "block", "cancel"]
Missed = Literal["latest", "all", "skip"]


class Leaf(NamedTuple):
    """One source that can trigger a step.

    Attributes:
        name: of the step, label or event.
        kind: ``step`` a finished step of this flow; ``name`` a router's label or
            any name from outside; ``event`` an outside event; ``failed`` a step
            that failed; ``timeout`` one that ran out of its time; ``timer`` a time
            after the run's start or a step's end.
        key: events only: the payload or state field that correlates events with
            runs, ``"<function>"`` if a callable reads it, else None.
        transient: events only: lost unless taken at once.
        optional: events only: does not keep a run waiting.
        after: timers only: the step whose end starts it, ``""`` for the run's start.
        delay: timers only: seconds.
    """

    name: str
    kind: LeafKind = "name"
    key: str | None = None
    transient: bool = False
    optional: bool = False
    after: str = ""
    delay: float = 0.0

    def __str__(self) -> str:
        if self.kind == "event":
            return f"event({self.name!r})"
        if self.kind == "timer":
            return self.name
        return f"{self.name}.{self.kind}" if self.kind in ENDINGS else self.name


class Join(NamedTuple):
    """A condition over several inputs.

    Attributes:
        kind: which condition the author wrote.
        inputs: leaves or inner joins, in the order written.
        need: how many inputs must have arrived; for ``times`` how many tokens of
            its single input.
        rest: what happens to the inputs that did not make it.
    """

    kind: JoinKind
    inputs: tuple[Condition, ...]
    need: int = 1
    rest: Rest = "ignore"

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.inputs))
        if self.kind == "times":
            return f"times({self.need}, {inner})"
        if self.kind == "any_of":
            rest = "" if self.rest == "ignore" else f", rest={self.rest!r}"
            return f"any_of({self.need}, {inner}{rest})"
        name = {"and": "and_", "or": "or_"}.get(self.kind, self.kind)
        return f"{name}({inner})"


Condition = Leaf | Join


def leaves(condition: Condition | None) -> Iterator[Leaf]:
    """Every leaf of a condition, left to right."""
    if isinstance(condition, Leaf):
        yield condition
    elif condition is not None:
        for inner in condition.inputs:
            yield from leaves(inner)


class Schedule(NamedTuple):
    """The times at which a start begins runs.

    Attributes:
        every: seconds between two times, 0 if ``cron`` says them. Times are whole
            multiples of it since the epoch, so that they never drift.
        cron: five fields, ``""`` if ``every`` says the times.
        tz: IANA name of the time zone ``cron`` is read in; the step is handed its
            time in it, too.
        missed: what becomes of times at which nothing could begin a run: one run
            for the ``latest``, one each for ``all``, or none (``skip``).
    """

    every: float = 0.0
    cron: str = ""
    tz: str = "UTC"
    missed: Missed = "latest"

    def __str__(self) -> str:
        return self.cron or f"every {shown(self.every)}"


class Step(NamedTuple):
    """A unit of user code and what triggers it.

    Attributes:
        name: the method's name, unique in the flow.
        start: begins a run.
        conditional: a start with a condition of its own: an event or a schedule,
            which begin one run each, or a label, to which it reacts.
        router: its result is a label, or several, that others listen to.
        trigger: what makes it ready; None for a plain start.
        labels: a router's declared labels; None if nothing declares them.
        single: the declared return type allows one label at a time.
        max_firings: most firings of this step in a run; None takes the flow's.
        is_async: the method is a coroutine function.
        schedule: when it begins runs by itself, or None.
        policies: how it is retried, limited and the like: names and texts.
        undo: the step that undoes what this one has done, or "".
        doc: first paragraph of the docstring.
        file: source file, as the interpreter knows it.
        line: line of the definition in ``file``; 0 if unknown.
    """

    name: str
    start: bool = False
    conditional: bool = False
    router: bool = False
    trigger: Condition | None = None
    labels: tuple[str, ...] | None = None
    single: bool = False
    max_firings: int | None = None
    is_async: bool = False
    schedule: Schedule | None = None
    policies: tuple[tuple[str, str], ...] = ()
    undo: str = ""
    doc: str = ""
    file: str = ""
    line: int = 0

    def __eq__(self, other: object) -> bool:
        """Equal but for the place: moving a step changes no graph."""
        return isinstance(other, Step) and self[:-2] == other[:-2]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:-2])

    @property
    def place(self) -> str:
        """``file:line`` of the step, the file without its folders."""
        if not self.file:
            return "unknown place"
        return f"{self.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{self.line}"

    @property
    def begins_on_event(self) -> bool:
        """Whether an outside event begins a run at this step."""
        return self.conditional and any(
            leaf.kind == "event" for leaf in leaves(self.trigger)
        )

    @property
    def begins_runs(self) -> bool:
        """Whether something from outside begins runs here: an event or a schedule."""
        return self.schedule is not None or self.begins_on_event


class Definition(NamedTuple):
    """A flow's graph: its name and its steps in the order they were written.

    ``on_error`` says what a failure that nobody listens to does: ``fail_fast``,
    ``continue``, ``collect`` or ``compensate``.
    """

    name: str
    steps: tuple[Step, ...] = ()
    max_firings: int = 100
    strict: bool = False
    on_error: str = "fail_fast"

    def step(self, name: str) -> Step | None:
        """The step of that name, or None."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def undoing(self) -> frozenset[str]:
        """Steps that undo others; nothing need trigger them."""
        return frozenset(step.undo for step in self.steps)

    @property
    def names(self) -> frozenset[str]:
        """Names of all steps."""
        return frozenset(step.name for step in self.steps)
