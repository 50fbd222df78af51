"""A bus that remembers what was sent, and who took it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.runtime.bus import EventBus
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from flowkit.runtime.receipt import Receipt
    from flowkit.runtime.run import Run

__all__ = ["RecordingBus", "Sent"]


class Sent(NamedTuple):
    """An event as it was sent.

    Attributes:
        name: of the event.
        payload: as it was given.
        key: correlation key, or None.
        id: the event's id, or None.
        status: as the receipt's: ``accepted``, ``duplicate``, ``unknown``,
            ``invalid``, ``dropped``, ``full`` or ``shed``.
        takers: names of the flow classes and handlers that took it.
        runs: the runs that took it or were begun by it, as far as they are here.
    """

    name: str
    payload: Any
    key: str | None
    id: str | None
    status: str
    takers: tuple[str, ...]
    runs: tuple[Run, ...]

    def __str__(self) -> str:
        more = [f"key={self.key!r}"] if self.key is not None else []
        more += [f"id={self.id!r}"] if self.id is not None else []
        said = ", ".join([repr(self.name), f"{self.payload!r:.200}", *more])
        took = (
            f"taken by {', '.join(self.takers)}" if self.takers else "taken by nobody"
        )
        return f"send({said}): {self.status}, {took}"


class RecordingBus(EventBus):
    """An :class:`~flowkit.EventBus` in memory that notes every event sent.

    It stands in for the bus of a program under test: what nobody takes is noted and
    accepted, flows and handlers that are registered work as on any bus.

    Args:
        strict: an event that nobody takes is refused, as on any bus.
        options: as for :class:`~flowkit.EventBus`.

    Attributes:
        sent: every event, in order.
    """

    def __init__(self, *, strict: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.strict: bool = strict
        self.sent: list[Sent] = []

    def _tell_of(self, receipt: Receipt, payload: Any) -> None:
        if receipt.status == "unknown" and not self.strict:
            receipt.status, receipt.reason, receipt.kept = "accepted", "", True
        takers = [type(run.flow).__name__ for run in receipt.runs]
        if not takers:
            takers += [self._class_of(run_id) for run_id in receipt.run_ids]
        self.sent.append(
            Sent(
                receipt.name,
                payload,
                receipt.key,
                receipt.id,
                receipt.status,
                (*takers, *receipt.handlers),
                tuple(receipt.runs),
            )
        )
        super()._tell_of(receipt, payload)

    def _class_of(self, run_id: str) -> str:
        row = None if self._post is None else self._post.store.run(run_id)
        return run_id if row is None else row.flow.rpartition(":")[2]

    def assert_sent(
        self,
        name: str,
        payload: Any = MISSING,
        *,
        key: Any = MISSING,
        times: int | None = None,
    ) -> Sent:
        """Check that an event was sent; gives the latest that fits.

        Args:
            name: of the event.
            payload: equal to this; any if it is not given.
            key: with this key; any if it is not given.
            times: so often; at least once if None.

        Raises:
            AssertionError: it was not, or not so often; with all that was sent.
        """
        __tracebackhide__ = True
        found = [
            each
            for each in self.sent
            if each.name == name
            and (payload is MISSING or each.payload == payload)
            and (key is MISSING or each.key == (None if key is None else str(key)))
        ]
        if found and times in {None, len(found)}:
            return found[-1]
        asked = [repr(name)]
        asked += [] if payload is MISSING else [repr(payload)]
        asked += [] if key is MISSING else [f"key={key!r}"]
        often = "" if times is None else f" {times} times, but {len(found)} times"
        lines = [f"send({', '.join(asked)}) was not called{often}. What was sent:"]
        lines += [f"  {each}" for each in self.sent] or ["  nothing"]
        raise AssertionError("\n".join(lines))

    def assert_nothing_sent(self, name: str | None = None) -> None:
        """Check that no event, or none of that name, was sent.

        Raises:
            AssertionError: some were; with all of them.
        """
        __tracebackhide__ = True
        found = [each for each in self.sent if name in {None, each.name}]
        if found:
            lines = ["There was to be nothing sent, and there was:"]
            raise AssertionError("\n".join([*lines, *(f"  {each}" for each in found)]))
