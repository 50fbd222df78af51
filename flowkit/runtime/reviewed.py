"""The end of a pause: what a person said becomes the paused step's result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.runtime import persisting, signals
from flowkit.runtime.feedback import pauses_of, review_of
from flowkit.runtime.people import PendingFeedbackContext

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.core.records import EventReceived, StepAsked
    from flowkit.runtime.calls import Reviewed
    from flowkit.runtime.run import Run

__all__ = ["answered", "end"]


def answered(run: Run, asked: StepAsked, event: EventReceived) -> None:
    """The paused step ends with an answer given as a task: ``flowkit.tasks``.

    What it means was found when it was given.
    """
    said = event.payload
    if not isinstance(said, dict) or "text" not in said:
        signals.log().error("%r: no answer, but %.200r", run, said)
        return
    pauses_of(run)
    context = PendingFeedbackContext.from_dict(asked.detail)
    more = {key: said[key] for key in ("by", "comment") if said.get(key)}
    context.metadata = {**context.metadata, **more}
    firing = run.marking.live[asked.firing]
    routes = firing.node.router and not context.emit
    reviewed = review_of(said["text"], said["outcome"], context, routes=routes)
    if run.journal is not None:
        run.journal.ends(event, firing.id)
    end(run, firing, reviewed, context)


def end(
    run: Run, firing: Firing, reviewed: Reviewed, context: PendingFeedbackContext
) -> None:
    """The paused step ends; what is saved of its pause is replaced, or cleared."""
    firing.driver = run.box.beside()
    run.finish(firing, reviewed)
    if run.pauses:
        left = next(reversed(run.pauses.values()))
        persisting.save_pending(run, left.context)
    else:
        persisting.clear_pending(run.root.origin, context.flow_id)
