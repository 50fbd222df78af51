"""What a run has seen and has in flight.

A marking belongs to its caller: :func:`flowkit.core.machine.decide` changes it
and nothing else does. It can always be rebuilt from the records; a stored copy
is a shortcut, never the truth. Rules R1-R5 name the parts:

- a *token* waits in a *round* of a join, or becomes a *firing* at once;
- a *firing* is one execution of a step with the tokens it consumed;
- a *past* holds the fired, still open rounds among the ancestors (R5);
- a *lane* separates instances of a group; a flow without groups has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from flowkit.core.compensating import Compensation
    from flowkit.core.gates import Gates
    from flowkit.core.lanes import Lanes
    from flowkit.core.net import Node, Trigger
    from flowkit.core.records import StepAsked, StepDeferred
    from flowkit.core.reopening import Lost
    from flowkit.core.undoing import Done, Undone

__all__ = [
    "DEFERRED",
    "NOTHING",
    "ROOT",
    "Firing",
    "Lane",
    "Marking",
    "Round",
    "Timer",
    "Token",
    "within",
]

Lane = tuple[tuple[int, int], ...]
ROOT: Lane = ()
NOTHING: frozenset[int] = frozenset()
DEFERRED = -1
"""The position at which a deferred firing waits for its time: no question of it."""


def within(lane: Lane, outer: Lane) -> bool:
    """Whether a lane is another one, or below it."""
    return not outer or lane[: len(outer)] == outer


class Token:
    """One arrival: a name, its payload, its lane, and where it comes from (R1)."""

    __slots__ = ("lane", "name", "past", "payload", "router", "seq", "source")

    def __init__(
        self,
        name: str,
        payload: Any,
        seq: int,
        past: frozenset[int],
        source: int = -1,
        router: int = -1,
        lane: Lane = (),
    ) -> None:
        self.name: str = name
        self.payload: Any = payload
        self.lane: Lane = lane
        self.seq: int = seq
        self.past: frozenset[int] = past
        self.source: int = source
        self.router: int = router


class Firing:
    """One execution of a step (R2).

    ``name`` and ``payload`` are the last arrival's; ``tokens`` all that a join
    consumed, None for a single trigger. ``turn`` counts the turns of a step that
    repeats itself, from 1. ``driver`` is the runner's own note: the core never reads
    it.
    """

    __slots__ = (
        "attempt",
        "driver",
        "id",
        "lane",
        "name",
        "node",
        "past",
        "payload",
        "tokens",
        "turn",
    )

    def __init__(
        self,
        id: int,
        node: Node,
        name: str | None,
        payload: Any,
        past: frozenset[int] = NOTHING,
        tokens: tuple[Token, ...] | None = None,
        lane: Lane = ROOT,
    ) -> None:
        self.id: int = id
        self.node: Node = node
        self.name: str | None = name
        self.payload: Any = payload
        self.past: frozenset[int] = past
        self.tokens: tuple[Token, ...] | None = tokens
        self.lane: Lane = lane
        self.attempt: int = 1
        self.turn: int = 1
        self.driver: Any = None

    def __repr__(self) -> str:
        return f"Firing({self.id}, {self.node.name!r})"


class Round:
    """What one round of a join holds (R4); inner conditions live in it (R9)."""

    __slots__ = ("arrived", "cancelled", "fired", "held", "id", "lane", "trigger")

    def __init__(self, id: int, trigger: Trigger, lane: Lane) -> None:
        self.id: int = id
        self.trigger: Trigger = trigger
        self.lane: Lane = lane
        self.held: dict[int, list[Token]] = {}
        self.arrived: int = 0
        self.cancelled: int = 0
        self.fired: bool = False

    def tokens(self) -> list[Token]:
        """Everything held, oldest first; once, what fills several inputs."""
        held = [token for tokens in self.held.values() for token in tokens]
        held.sort(key=_seq)
        return list(dict.fromkeys(held))


def _seq(token: Token) -> int:
    return token.seq


class Timer:
    """A time that was set and has not come (``due`` in the records' time).

    ``window`` is the number of the round that it ends, 0 for a timer of the graph.
    """

    __slots__ = ("due", "lane", "name", "past", "source", "window")

    def __init__(
        self,
        name: str,
        due: float,
        past: frozenset[int],
        source: int,
        lane: Lane = (),
        window: int = 0,
    ) -> None:
        self.lane: Lane = lane
        self.window: int = window
        self.name: str = name
        self.due: float = due
        self.past: frozenset[int] = past
        self.source: int = source


class Marking:
    """A run's places, rounds and firings.

    Attributes:
        live: firings ready, running or waiting, by number, in creation order.
        rounds: rounds of each join and lane, oldest first.
        watched: rounds outside of lanes whose next move depends on dead inputs: fired
            and open, or not fired with an ``all_active`` or a ``rest="block"`` in them.
        fired: firings of each step since the last outside event.
        queued: firings of an event listener behind one that runs.
        seen: how often each step has ended well.
        routes: the labels each router chose last.
        asked: what each waiting firing waits for, by position.
        timers: times set and not come, by number.
        lanes: groups of instances; None before the first.
        gates: held mutexes, milestones and who waits there; None before the first.
        late: what settling has still to do: groups to open, work to cancel,
            listeners to tell of a cancelled firing.
        at: time of the record that is being decided, where it matters.
        busy: positions of recorded calls under way, by firing.
        deferred: the latest deferral of each live firing that had one.
        degraded: names of steps that a fallback has stood in for, as they ended.
        dead: firings that have failed while the run went on, by number.
        lost: a group has failed while the run went on.
        lost_groups: such groups as they were, where the run may be requeued.
        undoable: finished steps that can be undone, with their outputs, oldest first.
        undoing: how far a compensation has come, None while there is none.
        not_undone: finished steps that could not be undone, with their outputs.
        compensations: of scopes, asked for and not through, oldest first.
    """

    __slots__ = (
        "asked",
        "at",
        "busy",
        "compensations",
        "dead",
        "deferred",
        "degraded",
        "fired",
        "gates",
        "lanes",
        "late",
        "live",
        "lost",
        "lost_groups",
        "next_firing",
        "next_round",
        "next_timer",
        "next_token",
        "not_undone",
        "queued",
        "rounds",
        "routes",
        "seen",
        "status",
        "timers",
        "undoable",
        "undoing",
        "watched",
    )

    def __init__(self, steps: int) -> None:
        self.status: str = "running"
        self.live: dict[int, Firing] = {}
        self.rounds: dict[tuple[int, Lane], list[Round]] = {}
        self.watched: dict[int, Round] = {}
        self.fired: list[int] = [0] * steps
        self.seen: list[int] = [0] * steps
        self.queued: dict[int, deque[Firing]] | None = None
        self.routes: dict[int, tuple[str, ...]] = {}
        self.next_firing: int = 1
        self.next_round: int = 1
        self.next_token: int = 1
        self.next_timer: int = 1
        self.asked: dict[int, dict[int, StepAsked]] = {}
        self.timers: dict[int, Timer] = {}
        self.lanes: Lanes | None = None
        self.gates: Gates | None = None
        self.late: tuple[tuple[Any, ...], ...] = ()
        self.at: float = 0.0
        self.busy: dict[int, set[int]] = {}
        self.deferred: dict[int, StepDeferred] = {}
        self.degraded: list[str] = []
        self.dead: dict[int, Firing] = {}
        self.lost: bool = False
        self.lost_groups: list[Lost] = []
        self.undoable: list[Done] = []
        self.undoing: Undone | None = None
        self.not_undone: list[Done] = []
        self.compensations: list[Compensation] = []

    @property
    def waits(self) -> bool:
        """Whether every live firing waits for something outside."""
        if not self.asked or not self.busy.keys().isdisjoint(self.asked):
            return False
        return len(self.asked) + len(self.held_back) == len(self.live)

    def is_undo(self, number: int) -> bool:
        """Whether a firing undoes something of a scope: it is never cancelled alone."""
        asked = self.compensations
        return bool(asked) and asked[0].number == number

    @property
    def held_back(self) -> set[int]:
        """Numbers of live firings that stand in line or at a gate."""
        found = set() if self.gates is None else set(self.gates.waiting)
        if self.queued:
            found.update(each.id for line in self.queued.values() for each in line)
        return found

    def settle_deferred(self, firing: Firing, *, well: bool = False) -> None:
        """A firing is not live any more: what deferred it is forgotten."""
        before = self.deferred.pop(firing.id, None)
        if well and before is not None and before.stage:
            self.degraded.append(firing.node.name)

    def watch(self, each: Round) -> None:
        """The next move of a round depends on dead inputs from here on."""
        if each.lane and self.lanes is not None:
            self.lanes.watched.setdefault(each.lane, {})[each.id] = each
        else:
            self.watched[each.id] = each

    def watched_in(self, lane: Lane) -> dict[int, Round]:
        """The watched rounds of one lane, oldest first."""
        if lane:
            return {} if self.lanes is None else self.lanes.watched.get(lane, {})
        return self.watched

    def close(self, each: Round) -> None:
        """Forget a round; its join is as new."""
        if each.lane:
            self.watched_in(each.lane).pop(each.id, None)
        else:
            self.watched.pop(each.id, None)
        key = (each.trigger.index, each.lane)
        rounds = self.rounds[key]
        rounds.remove(each)
        if not rounds:
            del self.rounds[key]

    def parked(self, lane: Lane = ROOT) -> Iterator[Round]:
        """Rounds that hold tokens and have not fired, oldest first per join.

        Args:
            lane: only there and below.
        """
        if lane and self.lanes is not None:
            places = self.lanes.places(lane, self.rounds)
        else:
            places = iter(self.rounds.values())
        for rounds in places:
            for each in rounds:
                if not each.fired:
                    yield each
