"""What a write says to the database and hears from it, without the talking.

A write is a generator of :class:`Stage`: it yields statements, is sent their rows,
and returns its outcome. Whoever drives it has the connection, so that one text of
every write serves the store's own connection and a caller's, plain or async.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flowkit.journal.postgres.places import Spot

__all__ = ["Again", "Ask", "Rows", "Stage", "Steps", "only", "taking"]

T = TypeVar("T")

Rows: TypeAlias = "list[tuple[Any, ...]]"


class Ask(NamedTuple):
    """One statement by its name in ``queries.sql``, with its parameters."""

    query: str
    params: Mapping[str, Any] = {}


class Stage(NamedTuple):
    """Statements for one round trip.

    ``last``: the commit goes with them. The outcome must be known before, since
    the answer to it may be lost: the rows of a last stage may never come.
    """

    asks: Sequence[Ask]
    last: bool = False


Steps: TypeAlias = Generator[Stage, "list[Rows]", T]


class Again(Exception):  # noqa: N818 - an order to whoever drives, no error
    """Roll back and begin anew, knowing of these places, too."""

    def __init__(self, spots: Collection[Spot]) -> None:
        self.spots: frozenset[Spot] = frozenset(spots)
        super().__init__("Again")


def only(query: str, **params: Any) -> Steps[None]:
    """One statement that gives nothing and may be repeated."""
    yield Stage([Ask(query, params)], last=True)


def taking(*asks: Ask) -> Steps[list[Rows]]:
    """Statements whose rows are wanted: they come before the commit."""
    rows = yield Stage(asks)
    yield Stage([], last=True)
    return rows
