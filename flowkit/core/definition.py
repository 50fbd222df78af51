"""The one graph: what may happen in a flow, as plain data.

A :class:`Definition` holds names, never functions, so it can be stored, drawn,
compared and checked without the class it came from. Four rules of this file:

1. Everything here is frozen (named tuples, the lightest to import); equal graphs
   are equal values.
2. A leaf names a source; a join combines leaves or joins. Nothing else triggers.
3. ``labels`` are declared by the author; what reading the source suggests is for
   pictures and hints only and is not part of the graph.
4. Annotations are evaluated here (no ``__future__``): a named tuple compiles each one
   that is a text, which takes longer than all the rest of it.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from flowkit.core.durations import shown

LeafKind = Literal[
    "step", "name", "event", "failed", "timeout", "cancelled", "timer", "gather"
]
ENDINGS = frozenset({"failed", "timeout", "cancelled"})
"""How a step ends that does not end well: kinds of leaves."""
MODES = frozenset({"fail_fast", "continue", "collect", "compensate"})
"""What a failure that nobody listens to does to its run."""
JoinKind = Literal["and", "or", "any_of", "merge", "all_active", "times", "window"]
Ending = Literal["failed", "timeout", "cancelled"]
Rest = Literal["ignore", "block", "cancel"]
Failures = Literal["fail_fast", "finish", "collect"]
Test = Literal["", "while", "until"]
Missed = Literal["latest", "all", "skip"]


class Leaf(NamedTuple):
    """One source that can trigger a step.

    Attributes:
        name: of the step, label or event.
        kind: ``step`` a finished step of this flow; ``name`` a router's label or
            any name from outside; ``event`` an outside event; ``failed`` a step
            that failed, ``timeout`` one that ran out of its time, ``cancelled`` one
            that was cancelled; ``timer`` a time after the run's start or a step's
            end; ``gather`` the end of a group, with the results that the step or
            label of that name left in its instances.
        key: events only: the payload or state field that correlates events with
            runs, ``"<function>"`` if a callable reads it, else None.
        transient: events only: lost unless taken at once.
        optional: events only: does not keep a run waiting.
        after: timers only: the step whose end starts it, ``""`` for the run's start.
        delay: timers only: seconds.
        need: gathers only: how many results are enough, 0 for all.
        until: gathers only: place of the predicate that says when it is enough,
            ``""`` for none.
        rest: gathers only: what becomes of instances that are not needed.
    """

    name: str
    kind: LeafKind = "name"
    key: str | None = None
    transient: bool = False
    optional: bool = False
    after: str = ""
    delay: float = 0.0
    need: int = 0
    until: str = ""
    rest: Rest = "ignore"

    def __str__(self) -> str:
        if self.kind == "gather":
            return self._gather()
        if self.kind == "event":
            return f"event({self.name!r})"
        if self.kind == "timer":
            return self.name
        return f"{self.name}.{self.kind}" if self.kind in ENDINGS else self.name

    def _gather(self) -> str:
        said = [self.name]
        if self.need:
            said.append(f"n={self.need}")
        if self.until:
            said.append("until=..")
        if self.rest != "ignore":
            said.append(f"rest={self.rest!r}")
        return f"gather({', '.join(said)})"


class Join(NamedTuple):
    """A condition over several inputs.

    Attributes:
        kind: which condition the author wrote.
        inputs: leaves or inner joins, in the order written.
        need: how many inputs must have arrived; for ``times`` how many tokens of
            its single input; for ``window`` too, 0 for any number.
        rest: what happens to the inputs that did not make it.
        span: windows only: seconds from the first token to the end, 0 for any time.
        gap: windows only: seconds without a token that end it, 0 for none.
    """

    kind: JoinKind
    inputs: tuple["Condition", ...]
    need: int = 1
    rest: Rest = "ignore"
    span: float = 0.0
    gap: float = 0.0

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.inputs))
        if self.kind == "window":
            return f"window({inner}{self._limits()})"
        if self.kind == "times":
            return f"times({self.need}, {inner})"
        if self.kind == "any_of":
            rest = "" if self.rest == "ignore" else f", rest={self.rest!r}"
            return f"any_of({self.need}, {inner}{rest})"
        name = {"and": "and_", "or": "or_"}.get(self.kind, self.kind)
        return f"{name}({inner})"

    def _limits(self) -> str:
        count = f", count={self.need}" if self.need else ""
        span = f", time={shown(self.span)!r}" if self.span else ""
        gap = f", gap={shown(self.gap)!r}" if self.gap else ""
        return f"{count}{span}{gap}"


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


class Each(NamedTuple):
    """How a step fans out: one instance for each item of what triggers it.

    Attributes:
        times: so many instances of the one payload, 0 for an instance per item.
        limit: most instances at work at once, 0 for all of them.
        batch: items that one instance is handed, as a list; 0 for one item as it is.
        failures: what the failure of an instance does: ``fail_fast`` cancels the
            others, ``finish`` lets them end and then fails, ``collect`` hands the
            errors over among the results.
        max_failures: failures that are borne: a count, or a share below 1.
    """

    times: int = 0
    limit: int = 0
    batch: int = 0
    failures: Failures = "fail_fast"
    max_failures: float | None = None

    def __str__(self) -> str:
        return "".join(
            f", {name}={value!r}"
            for name, value in zip(self._fields, self, strict=True)
            if value != self._field_defaults[name]
        )


class Region(NamedTuple):
    """A named part of a flow: ``@listen(.., region=Region("deposit"))``.

    A region can be cancelled as a whole. With a ``mutex`` it is a critical section:
    of all regions and steps with that mutex only one is at work at a time in a run.
    The first step that starts in the region takes it, and it is free again when
    nothing is left to do there.

    Attributes:
        name: unique in the flow.
        mutex: name of what only one may hold, ``""`` for none.
    """

    name: str
    mutex: str = ""


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
        flow: the flow it runs, ``package.module:Class``, or ``""`` for a plain step.
        each: fans out: one instance for each item, or None.
        mutex: name of what only one firing of a run may hold, ``""`` for none.
        region: the part of the flow it stands in, or None.
        during: names that open and close the time in which it may start.
        test: ``while`` tests before each turn whether to repeat the step, ``until``
            after it whether to end; ``""`` for a step of one turn.
        cancels: steps, and regions as ``region(name)``, cancelled when it fires.
        emits: names of what it may emit; None for nothing, empty for any.
        yields: the function is a generator: what listens with ``each`` gets its items.
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
    flow: str = ""
    each: Each | None = None
    mutex: str = ""
    region: Region | None = None
    during: tuple[str, str] | None = None
    test: Test = ""
    cancels: tuple[str, ...] = ()
    emits: tuple[str, ...] | None = None
    yields: bool = False
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
