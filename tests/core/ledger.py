"""Accounts for every token that reaches a join (P7).

A token in a join's place ends in one of four ways, once: a firing consumes it, a
round that has fired absorbs it, a cancelled race purges it, or it stays parked and,
once the run is over, its round is reported as stuck. The ledger watches a marking
from outside, from before each record to after it, and knows nothing of rounds but
what they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Firing
from flowkit.core.records import EventReceived, StepFailed, StepFinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowkit.core.commands import Command, Report
    from flowkit.core.marking import Marking, Round
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
        self.due: set[Entry] = set()
        self.fired: set[int] = set()
        self.first = 1
        self.losers = 0
        for trigger in net.triggers:
            for tree in trigger.races:
                self.losers |= trigger.exclusive(tree)

    def before(self, record: Record, firing: Firing | None) -> None:
        """Note what a record will deliver to joins."""
        self.due = set()
        self.first = self.marking.next_firing
        seq = self.marking.next_token
        for edges in self._deliveries(record, firing):
            for edge in edges:
                if edge.trigger is not None:
                    self.due.add((edge.trigger.index, edge.slot, seq))
            seq += 1

    def _deliveries(
        self, record: Record, firing: Firing | None
    ) -> Iterator[tuple[Edge, ...]]:
        net = self.net
        if isinstance(record, StepFinished) and firing is not None:
            if firing.node.done:
                yield firing.node.done
            yield from (
                net.by_name[each] for each in record.labels if each in net.by_name
            )
        elif isinstance(record, StepFailed) and firing is not None:
            yield firing.node.hears(late=record.late)
        elif isinstance(record, EventReceived) and self._takes_events():
            edges = net.by_event.get(record.name, ())
            if record.name not in net.definition.names:
                edges += net.by_name.get(record.name, ())
            yield edges

    def _takes_events(self) -> bool:
        return self.marking.status in {"running", "waiting"}

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
        held = self.parked | self.due
        rounds = [each for group in self.marking.rounds.values() for each in group]
        absorbed = {entry for each in rounds if each.fired for entry in _held(each)}
        parked = {entry for each in rounds if not each.fired for entry in _held(each)}
        taken = self._taken(list(firings.values()), held - parked)
        assert not taken & self.consumed, "a token was consumed twice"
        assert parked <= held, "a token from nowhere"
        for trigger, slot, seq in held - taken - parked - absorbed:
            place = f"token {seq} in {self.net.triggers[trigger].slots[slot].text}"
            purged = self.net.triggers[trigger].node.bit & self.losers
            assert purged or trigger in self.fired, f"{place} is lost"
        self.consumed |= taken
        self.parked = parked

    def _taken(self, firings: list[Firing], held: set[Entry]) -> set[Entry]:
        """What new firings consumed; a firing by shortcut names no tokens."""
        taken: set[Entry] = set()
        for firing in firings:
            node = firing.node
            if firing.tokens is None:
                self.fired |= {each.index for each in node.triggers if each.shortcut}
                continue
            seqs = {token.seq for token in firing.tokens}
            assert len(seqs) == len(firing.tokens), "a token was given twice"
            own = {each.index for each in node.triggers}
            found = {
                (trigger, slot, seq)
                for trigger, slot, seq in held
                if trigger in own and seq in seqs
            }
            assert {seq for _, _, seq in found} == seqs, "a token from nowhere"
            self.fired |= {trigger for trigger, _, _ in found}
            taken |= found
        return taken

    def close(self, reports: Sequence[Report]) -> None:
        """The run is over: what is parked must have been reported."""
        stuck = [each for each in reports if each.kind == "stuck"]
        if self.marking.status == "completed":
            assert len(stuck) == sum(1 for _ in self.marking.parked())


def _held(each: Round) -> set[Entry]:
    return {
        (each.trigger.index, slot, token.seq)
        for slot, tokens in each.held.items()
        for token in tokens
    }
