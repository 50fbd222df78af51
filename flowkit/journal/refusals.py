"""Why a store refuses a move, in the words of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkit.errors import FencedError, RunExistsError, StoreError

if TYPE_CHECKING:
    from flowkit.journal.rows import Hold, RunRow

__all__ = ["fenced", "gap", "occupied", "taken", "token_taken"]


def fenced(run: str | None, hold: Hold, now: int | None) -> FencedError:
    """The refusal of a superseded owner, or of one whose run is deleted."""
    if run is None:
        return FencedError(
            f"Run number {hold.n} is not in the store: it was deleted while this "
            f"process still moved it. Nothing was written; begin a new run."
        )
    return FencedError(
        f"Run {run!r} was taken over by another owner: its fence is {now}, this "
        f"one's {hold.fence}. Nothing was written; claim the run to go on with it."
    )


def gap(run: str, seq: int, latest: int) -> StoreError:
    """The refusal of a record whose number does not follow."""
    return StoreError(
        f"Record {seq} of run {run!r} does not follow its latest one, {latest}. "
        f"Nothing was written; number the records of a run without a gap."
    )


def taken(row: RunRow) -> RunExistsError:
    """The refusal of a second run of one id."""
    return RunExistsError(
        f"A run {row.id!r} of {row.flow} exists already and is {row.status}. "
        f"Nothing was written; go on with it, or give another id.",
        row,
    )


def occupied(row: RunRow) -> RunExistsError:
    """The refusal of a run that was to be the only one of its state."""
    return RunExistsError(
        f"Run {row.id!r} of {row.flow} is {row.status} on the state {row.state_id!r}, "
        f"which the new run was to have alone. Nothing was written; go on with that "
        f"run, or begin again once it is over.",
        row,
    )


def token_taken(name: str) -> StoreError:
    """The refusal of a token's second use."""
    return StoreError(
        f"The token of the wait {name!r} belongs to another wait. Nothing was "
        f"written; make a new token for each."
    )
