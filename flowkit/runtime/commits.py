"""What a step's end commits beside its result: a turn, a saved state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepTurned
from flowkit.runtime.clock import now

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["forget", "kept", "turn"]


def turn(
    run: Run, firing: Firing, output: Any, changed: tuple[str, ...], emitted: Any
) -> None:
    """Commit a turn of a repeated step; the next one starts on what is there."""
    forget(run, firing)
    figures = run.measured(firing.id)
    run.apply(StepTurned(now(), firing.id, output, changed, emitted, figures))


def forget(run: Run, firing: Firing) -> None:
    """A body is over: what was kept for it is of no use to another."""
    number = firing.id
    firing.driver = None
    run.asked.pop(number, None)
    run.acted.pop(number, None)
    run.acting.pop((number, "act"), None)
    run.yielded.pop(number, None)
    run.begun.pop(number, None)
    for known in (run.answers, run.questions):
        for place in [place for place in known if place[0] == number]:
            del known[place]


def kept(run: Run, firing: Firing, review: Any) -> bool:
    """Save the state if it is to be saved, and note what a person said.

    Whether that went well; if not, the step has failed.
    """
    if run.keeper is not None:
        try:
            run.keeper.save(run.box, firing.node.name)
        except Exception as error:  # noqa: BLE001 - the persistence is the user's
            run.fail(firing, error)
            return False
    if review is not None:
        run.root.options.setdefault("reviews", []).append(review)
        run.pauses.pop(firing.id, None)
    return True
