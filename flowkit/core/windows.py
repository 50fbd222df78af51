"""Windows over a stream of tokens: by count, by time, by gap.

A window opens with its first token. It ends when it holds ``count`` tokens, when
``time`` has passed since the first one, or ``gap`` since the last one, whichever is
first; the step is handed the payloads as one list. Times are timers like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.core.commands import Arm
from flowkit.core.lines import fire
from flowkit.core.marking import NOTHING, Round, Timer

if TYPE_CHECKING:
    from flowkit.core.commands import Command
    from flowkit.core.marking import Marking, Token
    from flowkit.core.net import Net, Trigger

__all__ = ["ended", "put"]


def put(marking: Marking, trigger: Trigger, token: Token, out: list[Command]) -> None:
    """A token into the open window of its lane; it may end it."""
    window = trigger.window
    assert window is not None  # noqa: S101 - who calls has looked
    rounds = marking.rounds.setdefault((trigger.index, token.lane), [])
    if not rounds:
        rounds.append(Round(marking.next_round, trigger, token.lane))
        marking.next_round += 1
        if window.span:
            _arm(marking, rounds[0], window.span, out)
    each = rounds[0]
    held = each.held.setdefault(0, [])
    held.append(token)
    if window.span or window.gap:
        each.arrived = 1  # it will end by itself
    if window.need and len(held) >= window.need:
        _end(marking, each, out)
    elif window.gap:
        for number, timer in list(marking.timers.items()):
            if timer.window == each.id and timer.name.endswith("gap"):
                _disarm(marking, number)
        _arm(marking, each, window.gap, out, "gap")


def ended(net: Net, marking: Marking, timer: Timer, out: list[Command]) -> None:
    """The time of a window is over."""
    for rounds in list(marking.rounds.values()):
        for each in rounds:
            if each.id == timer.window:
                _end(marking, each, out)
                return


def _end(marking: Marking, each: Round, out: list[Command]) -> None:
    for number, timer in list(marking.timers.items()):
        if timer.window == each.id:
            _disarm(marking, number)
    tokens = tuple(each.tokens())
    each.fired = True
    marking.close(each)
    past = NOTHING.union(*(token.past for token in tokens))
    fire(marking, each.trigger.node, tokens[-1], out, tokens, past)


def _arm(
    marking: Marking, each: Round, delay: float, out: list[Command], kind: str = "time"
) -> None:
    number = marking.next_timer
    marking.next_timer = number + 1
    name = f"{each.trigger.node.name} window {kind}"
    due = marking.at + delay
    marking.timers[number] = Timer(name, due, NOTHING, -1, each.lane, each.id)
    if each.lane and marking.lanes is not None:
        marking.lanes.enter(each.lane)
    out.append(Arm(number, due))


def _disarm(marking: Marking, number: int) -> None:
    timer = marking.timers.pop(number)
    if timer.lane and marking.lanes is not None:
        marking.lanes.leave(timer.lane)
