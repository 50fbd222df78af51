"""Firings that start from their top again: answered, evicted, or after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.runtime.failing import discard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.commands import Answer
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["again", "carry_answer", "evicted", "restart"]


def carry_answer(run: Run, command: Answer) -> None:
    """Hand an answer to the step that waits for it, or start that step again."""
    place = command.firing.id, command.position
    run.answers[place] = command.value
    run.rest(resting=False)
    parked = run.parked.pop(place, None)
    if parked is not None:
        parked(command.value)
    elif command.firing.id not in run.asked and command.firing not in run.ready:
        run.ready.append(again(run, command.firing))  # not in memory


def again(run: Run, firing: Firing) -> Firing:
    """A firing that starts from its top, on the state as committed now."""
    _anew(run, firing)
    firing.driver = None
    if len(run.marking.live) > 1:
        firing.driver = run.box.beside()
    return firing


def _anew(run: Run, firing: Firing) -> None:
    """The body of a firing starts from its top: its questions are counted anew."""
    run.asked.pop(firing.id, None)
    run.acting.pop((firing.id, "act"), None)
    for said in (run.emitted, run.metered):
        if said is not None:
            said.pop(firing.id, None)


def evicted(run: Run, firing: Firing) -> None:
    """A step that waits gave its place in memory up; it starts again later."""
    if run.journal is not None:
        run.journal.drop(firing.id)
    _anew(run, firing)
    if firing.driver is not None:
        discard(run, firing.driver)
        firing.driver = None
    for place in [place for place in run.parked if place[0] == firing.id]:
        del run.parked[place]
    if run.over or firing.id not in run.marking.live:
        return
    if firing.id not in run.marking.asked:  # all was answered meanwhile
        run.ready.append(again(run, firing))


def restart(run: Run, firings: Sequence[int]) -> None:
    """After a restart: make ready what was neither done nor waiting."""
    for number in firings:
        firing = run.marking.live.get(number)
        if firing is not None:
            run.ready.append(again(run, firing))
