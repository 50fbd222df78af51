"""Plays a flow in virtual time against the pure core: no event loop, no clock.

A script says how long steps take, what they give, yield, emit and do, what routers
choose, which firings fail and when events come. Every play is also replayed: the same
records on a fresh marking must give the same commands and the same marking after each
of them (P8); every token that reached a join must be accounted for (P7,
:mod:`tests.core.ledger`); and after each record the marking must be whole (P9,
:mod:`tests.core.audit`).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from flowkit.core.acts import finds
from flowkit.core.commands import (
    Answer,
    Arm,
    Cancel,
    End,
    Fault,
    Firing,
    Judge,
    Report,
    Wait,
)
from flowkit.core.definition import ENDINGS, Definition, Join, Leaf, Step
from flowkit.core.machine import decide
from flowkit.core.marking import DEFERRED, Marking
from flowkit.core.net import Net
from flowkit.core.records import (
    EventReceived,
    GroupJudged,
    RunAborted,
    RunCancelled,
    RunStarted,
    RunStopped,
    StepActed,
    StepAnswered,
    StepDeferred,
    StepFailed,
    StepFinished,
    StepTurned,
    StepYielded,
    TimerFired,
)
from flowkit.define.conditions import (
    Condition,
    EachSource,
    EventSource,
    GatherSource,
    TimerSource,
    timer_name,
)
from tests.core.audit import audit
from tests.core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.lanes import Lanes
    from flowkit.core.marking import Round
    from flowkit.core.records import Record

BEGIN = Step("", start=True)
PREDICATES: dict[str, Callable[[list[Any], int], bool]] = {}
"""The predicates of ``gather(.., until=..)``, by the place that a leaf names."""


def router(*conditions: Any, labels: Sequence[str] | None = None, **more: Any) -> Step:
    """A router behind conditions, for :func:`flow`; no condition: a start."""
    return Step("", start=not conditions, router=True, trigger=conditions, labels=(
        None if labels is None else tuple(labels)
    ), **more)  # fmt: skip


def step(*conditions: Any, **more: Any) -> Step:
    """A step behind conditions, with further settings, for :func:`flow`."""
    return Step("", trigger=conditions, **more)


def flow(
    name: str = "Flow", /, *, most: int = 100, strict: bool = False, **steps: Any
) -> Definition:
    """A definition from ``step=condition``; ``BEGIN`` marks a start."""
    made = []
    for line, (own, said) in enumerate(steps.items(), start=1):
        each = said if isinstance(said, Step) else Step("", trigger=(said,))
        given = each.trigger or ()
        if given and isinstance(given[0], EachSource):
            each = each._replace(each=given[0].said)
            given = (given[0].source,)
        parts = tuple(_condition(part, steps) for part in given)
        trigger = parts[0] if len(parts) == 1 else Join("merge", parts)
        made.append(
            each._replace(
                name=own, trigger=trigger if parts else None, file="flow.py", line=line
            )
        )
    return Definition(name, tuple(made), most, strict)


def _condition(said: Any, steps: Mapping[str, Any]) -> Leaf | Join:
    if isinstance(said, Condition):
        inputs = tuple(_condition(each, steps) for each in said.inputs)
        return Join(said.kind, inputs, said.need, said.rest, said.span, said.gap)
    if isinstance(said, GatherSource):
        until = "" if said.until is None else f"until {len(PREDICATES)}"
        if said.until is not None:
            PREDICATES[until] = said.until
        source = str(said.source)
        return Leaf(source, "gather", need=said.need, until=until, rest=said.rest)
    if isinstance(said, TimerSource):
        after = str(said.after or "")
        name = timer_name(after, said.delay)
        return Leaf(name, "timer", after=after, delay=said.delay)
    if isinstance(said, EventSource):
        return Leaf(said.name, "event", None, said.transient, said.optional)
    stem, _, ending = said.rpartition(".")
    if ending in ENDINGS and stem in steps:
        return Leaf(stem, ending)
    return Leaf(said, "step" if said in steps else "name")


@dataclass
class Script:
    """What happens outside the core.

    Attributes:
        takes: how long a step takes: a number, a list by firing (the last one goes
            on), or a function of the firing's ordinal from 1; 1 if not named.
        routes: what a router chooses, firing by firing, or a function of the ordinal;
            nothing once the list is used up.
        fails: steps that fail: at all firings, or at those ordinals.
        stops: steps that call ``stop`` instead of ending; ``aborts`` likewise.
        events: ``(time, name, payload)`` from outside.
        cancels: when somebody cancels the run.
        by: the event that begins the run.
        defers: every firing is deferred at once, until it ends.
        gives: what a step gives: a value, or a function of firing and ordinal; its
            name and ordinal if not named.
        yields: what a step yields before it ends: ``(after, item)`` each.
        acts: what a step does beside: ``(after, verb, target, payload)`` each, or a
            function of firing and ordinal that gives them.
        emits: ``(name, payload)`` that a step leaves when it ends, or such a function.
        turns: how many turns a step takes: a number, or a function of the ordinal.
    """

    takes: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] = field(default_factory=dict)
    fails: Mapping[str, Any] = field(default_factory=dict)
    stops: Sequence[str] = ()
    aborts: Sequence[str] = ()
    events: Sequence[tuple[float, str, Any]] = ()
    cancels: float | None = None
    by: str | None = None
    payloads: Mapping[str, Any] | None = None
    defers: bool = False
    gives: Mapping[str, Any] = field(default_factory=dict)
    yields: Mapping[str, Any] = field(default_factory=dict)
    acts: Mapping[str, Any] = field(default_factory=dict)
    emits: Mapping[str, Any] = field(default_factory=dict)
    turns: Mapping[str, Any] = field(default_factory=dict)

    def given(self, firing: Firing, ordinal: int) -> Any:
        name = firing.node.name
        said = self.gives.get(name, f"{name}{ordinal}")
        return said(firing, ordinal) if callable(said) else said

    def listed(self, kind: str, firing: Firing, ordinal: int) -> Sequence[Any]:
        said = getattr(self, kind).get(firing.node.name, ())
        return said(firing, ordinal) if callable(said) else said

    def duration(self, name: str, ordinal: int) -> float:
        return _nth(self.takes.get(name, 1), ordinal)

    def labels(self, name: str, ordinal: int) -> tuple[str, ...]:
        said = self.routes.get(name, ())
        if callable(said):
            chosen = said(ordinal)
        else:
            chosen = said[ordinal - 1] if ordinal <= len(said) else None
        if chosen is None:
            return ()
        return (chosen,) if isinstance(chosen, str) else tuple(chosen)

    def failing(self, name: str, ordinal: int) -> bool:
        said = self.fails.get(name, ())
        return said is True or ordinal in said


def _nth(said: Any, ordinal: int) -> Any:
    if callable(said):
        return said(ordinal)
    if isinstance(said, list | tuple):
        return said[min(ordinal, len(said)) - 1]
    return said


class StillRunningError(AssertionError):
    """A play went on for too long."""


class Played:
    """What came of a play."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.marking = Marking(len(net.nodes))
        self.now = 0.0
        self.records: list[Record] = []
        self.commands: list[tuple[Command, ...]] = []
        self.dumps: list[Any] = []
        self.started: list[tuple[float, Firing]] = []
        self.ended: list[tuple[float, Firing]] = []
        self.cancelled: list[tuple[float, Firing]] = []
        self.reports: list[Report] = []
        self.errors: list[Exception] = []
        self.judged: list[Judge] = []
        self.given_by: dict[int, Any] = {}
        self.taken: list[bool] = []
        self.waits: list[float] = []
        self.ends: list[tuple[float, str]] = []

    @property
    def status(self) -> str:
        return self.marking.status

    @property
    def order(self) -> list[str]:
        """Names of the steps in the order they started."""
        return [firing.node.name for _, firing in self.started]

    @property
    def stuck(self) -> list[str]:
        return [each.text for each in self.reports if each.kind == "stuck"]

    @property
    def missed(self) -> list[str]:
        return [each.text for each in self.reports if each.kind == "missed"]

    @property
    def unheard(self) -> list[str]:
        return [each.text for each in self.reports if each.kind == "unheard"]

    def at(self, name: str) -> list[float]:
        """When firings of a step started."""
        return [time for time, each in self.started if each.node.name == name]

    def done(self, name: str) -> list[float]:
        """When firings of a step ended well."""
        return [time for time, each in self.ended if each.node.name == name]

    def lost(self, name: str) -> list[float]:
        """When firings of a step were cancelled."""
        return [time for time, each in self.cancelled if each.node.name == name]

    def given(self, name: str) -> list[Any]:
        """What each firing of a step consumed: its payloads, by arrival."""
        return [
            each.payload
            if each.tokens is None
            else tuple(token.payload for token in each.tokens)
            for _, each in self.started
            if each.node.name == name
        ]


def play(
    definition: Definition | Net, *, longest: int = 5_000, **script: Any
) -> Played:
    """Play a flow to its end, or until it waits and nothing more comes."""
    net = definition if isinstance(definition, Net) else Net(definition)
    played = Played(net)
    _Stage(played, Script(**script), longest).run()
    replayed(played)
    return played


class _Stage:
    def __init__(self, played: Played, script: Script, longest: int) -> None:
        self.played = played
        self.script = script
        self.longest = longest
        self.order = count()
        self.agenda: list[tuple[float, int, Callable[[], Record]]] = []
        self.fired: Counter[str] = Counter()
        self.ledger = Ledger(played.net, played.marking)

    def run(self) -> None:
        script, played = self.script, self.played
        for at, name, payload in script.events:
            self.plan(at, lambda n=name, p=payload: EventReceived(played.now, n, p))
        if script.cancels is not None:
            self.plan(script.cancels, lambda: RunCancelled(played.now))
        self.apply(RunStarted(0, script.by, script.payloads))
        while self.agenda:
            played.now, _, record = heapq.heappop(self.agenda)
            self.apply(record())
            if len(played.records) > self.longest:
                raise StillRunningError(played.order[-20:])
        held = played.marking.held_back
        left = [each for each in played.marking.live.values() if each.id not in held]
        assert not left, f"never ends: {left}"
        assert played.ends or played.waits, "neither over nor waiting"
        assert len(played.ends) <= 1, played.ends
        self.ledger.close(played.reports)

    def plan(self, at: float, record: Callable[[], Record]) -> None:
        heapq.heappush(self.agenda, (at, next(self.order), record))

    def apply(self, record: Record) -> None:
        played = self.played
        firing = played.marking.live.get(getattr(record, "firing", None))
        self.ledger.before(record, firing)
        commands = tuple(decide(played.net, played.marking, record))
        self.ledger.after(commands)
        audit(played.net, played.marking)
        played.records.append(record)
        played.commands.append(commands)
        played.dumps.append(dump(played.marking))
        if firing is not None and isinstance(record, StepFinished):
            played.ended.append((played.now, firing))
            played.given_by[firing.id] = record.output
        for command in commands:
            self.obey(command)

    def obey(self, command: Command) -> None:
        played = self.played
        if isinstance(command, Firing):
            self.start(command)
        elif isinstance(command, Cancel):
            played.cancelled += [(played.now, each) for each in command.firings]
        elif isinstance(command, Report):
            played.reports.append(command)
        elif isinstance(command, Fault):
            played.errors.append(command.error)
        elif isinstance(command, Wait):
            played.waits.append(played.now)
        elif isinstance(command, Arm):
            timer = command.timer
            self.plan(command.due, lambda: TimerFired(played.now, timer))
        elif isinstance(command, Judge):
            self.judge(command)
        elif isinstance(command, End):
            played.ends.append((played.now, command.status))

    def start(self, firing: Firing) -> None:
        played, script, name = self.played, self.script, firing.node.name
        if firing.id not in played.marking.live:
            return  # cancelled in the same commit
        turned = firing.turn > 1
        self.fired[name] += 0 if turned else 1
        ordinal = self.fired[name]
        if not turned:
            played.started.append((played.now, firing))
            self.beside(firing, ordinal)
        at = played.now + script.duration(name, ordinal)
        if script.defers:
            self.plan(played.now, lambda: self.deferred(firing, at))
            self.plan(at, lambda: StepAnswered(played.now, firing.id, DEFERRED))
        self.plan(at, lambda: self.end(firing, name, ordinal))

    def deferred(self, firing: Firing, due: float) -> Record:
        error = ValueError("once")
        return StepDeferred(self.played.now, firing.id, due, "retry", error, 1)

    def beside(self, firing: Firing, ordinal: int) -> None:
        """Plan what a firing does before it ends."""
        now, script, played = self.played.now, self.script, self.played
        for place, (after, item) in enumerate(script.listed("yields", firing, ordinal)):
            self.plan(
                now + after,
                lambda p=place, i=item: StepYielded(played.now, firing.id, p, i),
            )
        acts = enumerate(script.listed("acts", firing, ordinal))
        for place, (after, verb, target, *payload) in acts:
            self.plan(
                now + after,
                lambda p=place, v=verb, t=target, w=tuple(payload): self.act(
                    firing, p, v, t, *w
                ),
            )

    def act(
        self, firing: Firing, place: int, verb: str, target: str, payload: Any = None
    ) -> Record:
        net, marking = self.played.net, self.played.marking
        taken = firing.id in marking.live and finds(net, marking, firing, verb, target)
        self.played.taken.append(taken)
        now = self.played.now
        return StepActed(now, firing.id, place, verb, target, payload, taken)

    def judge(self, command: Judge) -> None:
        gather = self.played.net.gathers[command.gather]
        until = PREDICATES[gather.leaf.until]
        self.played.judged.append(command)
        if until(command.results, command.total):
            now = self.played.now
            self.apply(GroupJudged(now, command.group, command.gather))

    def end(self, firing: Firing, name: str, ordinal: int) -> Record:
        now, script = self.played.now, self.script
        if name in script.stops:
            return RunStopped(now, firing.id, f"{name}{ordinal}")
        if name in script.aborts:
            return RunAborted(now, firing.id, name)
        if script.failing(name, ordinal):
            late = ordinal % 2 == 0
            return StepFailed(now, firing.id, ValueError(f"{name}{ordinal}"), late)
        emitted = tuple(script.listed("emits", firing, ordinal))
        given = script.given(firing, ordinal)
        if firing.turn < _nth(script.turns.get(name, 1), ordinal):
            return StepTurned(now, firing.id, given, (), emitted)
        labels = script.labels(name, ordinal) if firing.node.router else ()
        return StepFinished(now, firing.id, given, labels, (), None, emitted)


def replayed(played: Played) -> None:
    """Fold the records of a play on a fresh marking and compare, record by record."""
    marking = Marking(len(played.net.nodes))
    for number, record in enumerate(played.records):
        commands = tuple(decide(played.net, marking, record))
        assert told(commands) == told(played.commands[number]), record
        assert dump(marking) == played.dumps[number], record


def told(commands: Sequence[Command]) -> list[Any]:
    """Commands as values, to compare."""
    said: list[Any] = []
    for each in commands:
        if isinstance(each, Firing):
            tokens = each.tokens and tuple(token.seq for token in each.tokens)
            past = sorted(each.past)
            said.append(
                (
                    each.id,
                    each.node.name,
                    each.name,
                    _value(each.payload),
                    past,
                    tokens,
                    each.lane,
                )
            )
        elif isinstance(each, Answer):
            said.append(("answer", each.firing.id, each.position, each.value))
        elif isinstance(each, Cancel):
            said.append(("cancel", [firing.id for firing in each.firings]))
        elif isinstance(each, Fault):
            said.append(("fault", type(each.error), str(each.error)))
        else:
            said.append(each)
    return said


def _value(payload: Any) -> Any:
    return repr(payload) if isinstance(payload, list | BaseException) else payload


def dump(marking: Marking) -> Any:
    """A marking as a value, to compare."""
    return {
        "status": marking.status,
        "live": [
            (each.id, each.node.index, sorted(each.past), each.lane, each.turn)
            for each in marking.live.values()
        ],
        "rounds": {
            key: [
                (each.id, each.fired, each.arrived, each.cancelled, _held(each))
                for each in rounds
            ]
            for key, rounds in marking.rounds.items()
        },
        "watched": list(marking.watched),
        "fired": list(marking.fired),
        "seen": list(marking.seen),
        "queued": {
            node: [each.id for each in line]
            for node, line in (marking.queued or {}).items()
            if line
        },
        "routes": dict(marking.routes),
        "asked": {number: [*each] for number, each in marking.asked.items()},
        "deferred": {key: each.tries for key, each in marking.deferred.items()},
        "timers": {
            number: (each.name, each.due, each.lane, each.window, sorted(each.past))
            for number, each in marking.timers.items()
        },
        "lanes": marking.lanes and _lanes(marking.lanes),
        "gates": marking.gates
        and (
            list(marking.gates.waiting),
            dict(marking.gates.holders),
            dict(marking.gates.phases),
        ),
        "next": (marking.next_firing, marking.next_round, marking.next_token),
    }


def _lanes(lanes: Lanes) -> Any:
    groups = {
        number: (
            each.node.name,
            each.lane,
            repr(each.items),
            each.total,
            {at: (one.live, dict(one.fired)) for at, one in each.lanes.items()},
            repr(each.results),
            sorted(each.fired),
            list(each.failures),
            (each.done, each.exhausted, each.sealed),
            sorted(each.past),
        )
        for number, each in lanes.groups.items()
    }
    return groups, list(lanes.idle), dict(lanes.streams), lanes.next


def _held(each: Round) -> dict[int, list[int]]:
    return {slot: [token.seq for token in held] for slot, held in each.held.items()}
