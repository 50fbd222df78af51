"""Accounts for every token that reaches a join (P7).

A token in a join's place ends in one of four ways, once: a firing (or the group that it
opens) consumes it, a round that has fired absorbs it, a cancel purges it, or it stays
parked and, once its lane or the run is over, its round is reported as stuck. The ledger
watches a marking from outside, from before each record to after it, and knows nothing of
rounds but what they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Cancel, Firing, Report
from flowkit.core.net import targets
from flowkit.core.records import EventReceived, StepActed, StepFailed, StepFinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.core.commands import Command
    from flowkit.core.lanes import Group
    from flowkit.core.marking import Lane, Marking, Round
    from flowkit.core.net import Edge, Net
    from flowkit.core.records import Record

    Entry = tuple[int, int, int]
    """Trigger, slot and number of a token in a join's place."""


class Ledger:
    """Watches one marking."""

    def __init__(self, net: Net, marking: Marking) -> None:
        self.net = net
        self.marking = marking
        self.consumed: set[Entry] = set()
        self.parked: set[Entry] = set()
        self.fired: set[tuple[int, Lane]] = set()
        self.first = 1
        self.born = 0
        self.between: set[int] = set()
        self.left: list[tuple[str, tuple[Edge, ...]]] = []
        self.lane: Lane = ()
        self.gathered: set[int] = set()
        self.lanes: dict[int, Lane] = {}
        self.groups: dict[int, Group] = {}
        self.record: Record | None = None
        self.losers = 0
        for trigger in net.triggers:
            for tree in trigger.races:
                self.losers |= trigger.exclusive(tree)

    def before(self, record: Record, firing: Firing | None) -> None:
        """Note what a record will deliver to joins."""
        self.record = record
        self.first = self.marking.next_firing
        self.born = self.marking.next_token
        self.lane = () if firing is None else firing.lane
        if not self._goes_on(self.lane):
            self.lane = ()
        self.between = set()
        self.left = list(self._deliveries(record, firing))
        if self.marking.lanes is not None:
            self.groups |= self.marking.lanes.groups
        self.gathered = set(self._group().fired) if self.lane else set()

    def _group(self) -> Group:
        return self.groups[self.lane[-1][0]]

    def _due(self) -> set[Entry]:
        """What the record has delivered to joins; a gather's token comes in between."""
        due: set[Entry] = set()
        fired = self._group().fired - self.gathered if self.lane else set()
        for name, edges in self.left:
            for edge in edges:
                if edge.trigger is not None:
                    due.add((edge.trigger.index, edge.slot, self.born))
                    self.lanes[self.born] = self.lane
            self.born += 1
            gathers = self.net.gathered.get(name, ())
            now = {each.index for each in gathers if each.leaf.need} & fired
            self.between.update(range(self.born, self.born + len(now)))
            self.born += len(now)
            fired -= now
        return due

    def _is_new(self, seq: int) -> bool:
        """Whether a token is of the core's own making, as that of a gather is."""
        return seq >= self.born or seq in self.between

    def _deliveries(
        self, record: Record, firing: Firing | None
    ) -> Iterator[tuple[str, tuple[Edge, ...]]]:
        """Names that a record leaves, with who hears them, in their order."""
        net = self.net
        if firing is not None and not self._goes_on(firing.lane):
            return
        if isinstance(record, StepFinished) and firing is not None:
            node = firing.node
            for name, _ in record.emitted:
                heard = (*net.by_name.get(name, ()), *net.by_event.get(name, ()))
                yield name, heard
            if node.done or (node.depth and node.name in net.gathered):
                yield node.name, node.done
            yield from (
                (each, net.by_name.get(each, ()))
                for each in record.labels
                if each in net.by_name or each in net.gathered
            )
        elif isinstance(record, StepFailed) and firing is not None:
            if edges := firing.node.hears(late=record.late):
                yield "", edges
        elif isinstance(record, EventReceived) and self._takes_events():
            edges = net.by_event.get(record.name, ())
            if record.name not in net.definition.names:
                edges += net.by_name.get(record.name, ())
            outside = (
                edge
                for edge in edges
                if edge.node.depth <= (edge.node.each is not None)
            )
            yield "", tuple(outside)

    def _takes_events(self) -> bool:
        return self.marking.status in {"running", "waiting"}

    def _goes_on(self, lane: Lane) -> bool:
        """Whether a lane is not over."""
        if not lane:
            return True
        lanes = self.marking.lanes
        number, index = lane[-1]
        group = None if lanes is None else lanes.groups.get(number)
        return group is not None and index in group.lanes

    def _failed(self, lane: Lane) -> bool:
        """Whether a lane is over because an instance in it, or around it, has failed."""
        return any(
            number in self.groups
            and (self.groups[number].failed or index in self.groups[number].failures)
            for number, index in lane
        )

    def after(self, commands: Sequence[Command]) -> None:
        """Find where each token has gone."""
        if self.marking.status in {"completed", "failed", "cancelled"} and (
            not self.marking.rounds
        ):
            self.parked = set()
            return
        made = [each for each in commands if isinstance(each, Firing)]
        made += self.marking.live.values()  # a queued one is not started yet
        firings = {each.id: each for each in made if each.id >= self.first}
        held = self.parked | self._due()
        rounds = [each for group in self.marking.rounds.values() for each in group]
        for each in rounds:
            for tokens in each.held.values():
                for token in tokens:
                    if len(token.lane) >= len(self.lanes.get(token.seq, ())):
                        self.lanes[token.seq] = token.lane
        self.fired |= {(each.trigger.index, each.lane) for each in rounds if each.fired}
        absorbed = {entry for each in rounds if each.fired for entry in _held(each)}
        parked = {entry for each in rounds if not each.fired for entry in _held(each)}
        taken = self._taken(list(firings.values()), held - parked)
        assert not taken & self.consumed, "a token was consumed twice"
        known = {entry for entry in parked if not self._is_new(entry[2])}
        assert known <= held, "a token from nowhere"
        self._account(held - taken - parked - absorbed, made, commands)
        self.consumed |= taken
        self.parked = parked

    def _account(
        self, gone: set[Entry], made: list[Firing], commands: Sequence[Command]
    ) -> None:
        """Tokens that nobody consumed and that are parked no more."""
        losers = self.losers
        if isinstance(self.record, StepActed):
            losers |= targets(self.net, (self.record.target,))
        for firing in made:
            losers |= firing.node.cancels
        missed = {
            each.step
            for each in commands
            if isinstance(each, Report) and each.kind == "missed"
        }
        ended: set[tuple[int, Lane]] = set()
        for trigger, slot, seq in gone:
            node = self.net.triggers[trigger].node
            lane = self.lanes[seq][: node.depth]  # an event is heard outside of it
            if node.bit & losers or node.each or node.name in missed:
                continue
            if (trigger, lane) in self.fired:
                continue
            place = f"token {seq} in {self.net.triggers[trigger].slots[slot].text}"
            assert not self._goes_on(lane), f"{place} is lost"
            if not self._failed(lane):
                ended.add((trigger, lane))
        told = [each for each in commands if isinstance(each, Report)]
        stuck = sum(each.kind == "stuck" for each in told)
        withdrawn = losers or any(isinstance(each, Cancel) for each in commands)
        assert withdrawn or stuck >= len(ended), "a lane took tokens along, unsaid"

    def _taken(self, firings: list[Firing], held: set[Entry]) -> set[Entry]:
        """What new firings consumed; a firing by shortcut names no tokens."""
        taken: set[Entry] = set()
        for firing in firings:
            node = firing.node
            if firing.tokens is None:
                self.fired |= {
                    (each.index, firing.lane) for each in node.triggers if each.shortcut
                }
                continue
            seqs = {token.seq for token in firing.tokens}
            assert len(seqs) == len(firing.tokens), "a token was given twice"
            own = {each.index for each in node.triggers}
            found = {
                (trigger, slot, seq)
                for trigger, slot, seq in held
                if trigger in own and seq in seqs
            }
            born = {seq for seq in seqs if self._is_new(seq)}
            assert {seq for _, _, seq in found} | born == seqs, "a token from nowhere"
            self.fired |= {(trigger, firing.lane) for trigger, _, _ in found}
            if born:
                self.fired |= {(each.index, firing.lane) for each in node.triggers}
            taken |= found
        return taken

    def close(self, reports: Sequence[Report]) -> None:
        """The run is over: what is parked must have been reported."""
        stuck = [each for each in reports if each.kind == "stuck"]
        if self.marking.status == "completed":
            parked = list(self.marking.parked())
            assert len(stuck) >= len(parked)
            if not self.net.busy:  # else lanes that are over had some
                assert len(stuck) == len(parked)


def _held(each: Round) -> set[Entry]:
    return {
        (each.trigger.index, slot, token.seq)
        for slot, tokens in each.held.items()
        for token in tokens
    }
