"""A file of recorded events through one event bus."""

from __future__ import annotations

import signal
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from examples.customer_events.reading import InputFileError, LineError, lines_of, parsed
from examples.customer_events.sources import detect, known_keys
from examples.customer_events.tally import Tally
from flowkit import EventBus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from examples.customer_events.message import Message
    from examples.customer_events.progress import Progress
    from examples.customer_events.sources import Source

MOST_IN_FLIGHT = 1_000


def recording(path: Path) -> tuple[Source, Iterator[tuple[int, bytes]]]:
    """The format of a file, by its first line that can be parsed, and its lines.

    Raises:
        InputFileError: it cannot be read, or no format fits.
    """
    lines = lines_of(path)
    before: list[tuple[int, bytes]] = []
    for number, line in lines:
        before.append((number, line))
        with suppress(LineError):
            return _source(path, number, parsed(line)), chain(before, lines)
    raise InputFileError(f"{path} holds no line with a JSON object.")


def _source(path: Path, number: int, record: dict[str, Any]) -> Source:
    source = detect(record)
    if source is None:
        keys = ", ".join(map(repr, list(record)[:8])) or "no keys"
        raise InputFileError(
            f"{path} has an unknown format: line {number} has {keys}. "
            f"Known formats: {known_keys()}."
        )
    return source


class Replay:
    """Sends what a file holds, in its order.

    Events of one key wait for each other, as a queue with partitions has it; those
    of different keys are at work side by side. So a replay gives the same each time.
    """

    def __init__(self, path: Path, bus: EventBus) -> None:
        self.path = path
        self.bus = bus
        self.source, self._recorded = recording(path)
        self.tally = Tally(self.source.flows)
        self.interrupted = False
        self._keys: set[str] = set()
        bus.register(*self.source.flows)

    def run(self, progress: Progress) -> None:
        """Send everything and wait for the work; Ctrl-C stops between two lines.

        Raises:
            InputFileError: the file breaks off.
        """
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            for number, line in self._lines():
                self._take(number, line)
                progress.update(number, self.tally.begun)
            self.bus.drain()
        finally:
            signal.signal(signal.SIGINT, before)
        if self.source.closing and not self.interrupted:
            self._close()

    def _interrupt(self, _number: int, _frame: Any) -> None:
        """Stop after this line; a second Ctrl-C stops at once."""
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        for number, line in self._recorded:
            if self.interrupted:
                return
            self.tally.lines = number
            yield number, line

    def _take(self, number: int, line: bytes) -> None:
        try:
            message = self.source.message(parsed(line), self.path.name, number)
        except LineError as error:
            self.tally.reject(number, str(error))
        else:
            self._send(number, message)

    def _send(self, number: int, message: Message) -> None:
        key = message.key or ""
        if key in self._keys or len(self._keys) >= MOST_IN_FLIGHT:
            self.bus.drain()
            self._keys.clear()
        self._keys.add(key)
        receipt = self.bus.send(
            message.name, message.payload, key=message.key, id=message.id
        )
        self.tally.receive(number, receipt)

    def _close(self) -> None:
        for run in self.bus.open_runs:
            run.cancel("the end of the recording")
