"""What steps tell those who read their run, beside its records.

An item counts at once, whatever becomes of its step. With a store it is written
into the run's journal, as a note that decides nothing, and is told once it is
durable; in memory it is kept with the run's records. A step that starts again tells
its items again: their frames have another ``attempt``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.errors import UnstorableError
from flowkit.journal.codec import to_plain
from flowkit.journal.entries import Note
from flowkit.runtime.clock import now
from flowkit.runtime.noting import put
from flowkit.runtime.positions import step_of

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["emit_item", "tell"]

OWN = frozenset({"flow"})


def emit_item(flow: Any, item: Any, channel: str) -> None:
    """Tell the readers of a step's run something."""
    run, firing = step_of(flow, "emit_item")
    given: Any = channel
    if type(given) is not str or not given or given in OWN:
        msg = (
            f"{type(flow).__name__}.emit_item takes the name of a channel, not "
            f"{channel!r}; 'flow' is that of the run itself. Name another one, such "
            f"as 'custom' or 'llm'."
        )
        raise ValueError(msg)
    tell(run, firing, "item", {"item": item}, channel)


def tell(
    run: Run, firing: Firing, kind: str, data: dict[str, Any], channel: str = "flow"
) -> None:
    """Put something that is no record into a run's stream."""
    step = firing.node.name
    told = {
        "firing": firing.id,
        "step": step,
        "attempt": firing.attempt,
        "channel": channel,
        "type": kind,
        "data": data,
    }
    if run.journal is not None:
        try:
            to_plain(data, f"an item of {run.net.definition.name}.{step}")
        except UnstorableError as error:
            if kind == "item" and not run.journal.lenient:
                raise
            if kind != "item":
                told["data"] = {name: _shown(value) for name, value in data.items()}
            else:
                run.journal.abandon(run, error)
    put(run, firing, Note(now(), "item", told))


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)
