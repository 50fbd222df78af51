"""Kills a process in backoff, in fallbacks and in the middle of a compensation.

Run as a process of its own, ``python -m tests.acceptance.policy_killer FOLDER KILLS
SEED [FLOW [URL]]``: it forks a child for each life and kills it at a random moment, until the run
has ended, then looks at what is stored and at a log of side effects beside it. The last
line it prints is a report, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import anyio.to_thread  # a child must not have to load it

from flowkit import Breaker, Flow, Policy, Retry, listen, resume, start
from flowkit.journal.entries import read
from flowkit.journal.urls import open_store
from flowkit.runtime import presence
from flowkit.runtime.folding import effective

__all__ = ["Booking", "Rebooking"]

QUICK = Retry(4, first="3ms", factor=1.5)
assert anyio.to_thread


class _Log:
    file: int = -1


def note(flow, what: str) -> None:
    """One line about the step that runs."""
    line = f"{flow.idempotency_key.rpartition(':')[2]}|{what}|{flow.attempt}\n"
    os.write(_Log.file, line.encode())


def busy(milliseconds: float) -> None:
    """Work for a while."""
    time.sleep(milliseconds / 1_000)


class Booking(Flow, on_error="compensate", defaults=Policy(retry=QUICK)):
    """Three bookings with trouble, a charge that fails for good, and its undoing."""

    def cancel(self, booking):
        note(self, f"cancel {booking}")
        busy(2)
        if self.attempt % 2:
            raise OSError("undo in trouble")

    @start(undo=cancel)
    def flight(self):
        note(self, "flight")
        busy(2)
        if self.attempt < 3:
            raise OSError("no flight yet")
        return "flight"

    def cached(self, error):
        note(self, "cached")
        busy(2)
        return "hotel"

    @listen(flight, undo=cancel, retry=Retry(2, first="3ms"), fallback=[cached])
    def hotel(self):
        note(self, "hotel")
        busy(2)
        raise OSError("no hotel")

    @listen(
        hotel,
        undo=cancel,
        retry=Retry(9, first="1ms"),
        breaker=Breaker(1, open_for="8ms", window="1s", name="car", shared="store"),
    )
    def car(self):
        note(self, "car")
        if self.attempt < 3:
            raise OSError("no car yet")
        return "car"

    @listen(car)
    def charge(self):
        note(self, "charge")
        busy(2)
        raise ValueError("card refused")


class Rebooking(Booking, on_error="fail_fast"):
    """The same trouble; a scope is undone, and the run goes on to its end."""

    @listen(Booking.charge.failed)
    async def give_back(self, error):
        note(self, "give back")
        return await self.compensate(str(error), scope=["hotel", "car"])

    @listen(give_back)
    def write(self, undone):
        note(self, f"write {' '.join(undone)}")
        return undone


WHOLE = ("flight", "hotel", "car", "cancel", "cancel", "cancel")
SCOPE = ("flight", "hotel", "car", "cancel", "cancel", "give_back", "write")
EXPECTED = {
    Booking: ("compensated", WHOLE, ["cancel car", "cancel hotel", "cancel flight"]),
    Rebooking: ("completed", SCOPE, ["cancel car", "cancel hotel"]),
}


def live(kind: type[Flow], url: str, log: Path) -> None:
    """One life: bring the run to its end."""
    presence.LEASE = 30.0
    _Log.file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if open_store(url).run("trip") is None:
            kind(store=url).kickoff(id="trip")
        else:
            resume("trip", store=url)
    except ValueError:
        return


def killed(kind: type[Flow], url: str, log: Path, kills: int, seed: int) -> int:
    """Lives until one comes to the end; how many were killed."""
    chance, hits = random.Random(seed), 0
    while True:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                live(kind, url, log)
                code = 0
            finally:
                os._exit(code)
        if hits < kills:
            time.sleep(chance.uniform(0.01, 0.06 + 0.01 * hits))
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                hits += 1
            else:
                return hits
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            return hits


def checked(kind: type[Flow], url: str, log: Path, hits: int) -> list[str]:
    """What does not hold."""
    store = open_store(url)
    row, faults = store.run("trip"), []
    status, finished, taken_back = EXPECTED[kind]
    if row is None or row.status != status:
        return [f"it is {row and row.status}, not {status}"]
    entries = effective(store.entries("trip"))
    done = [each.step for each in entries if each.kind == "done"]
    if done != list(finished):
        faults.append(f"finished {done}")
    lines = [line.split("|") for line in log.read_text().splitlines()]
    undone = list(
        dict.fromkeys(what for _, what, _ in lines if what.startswith("cancel "))
    )
    if undone != taken_back:
        faults.append(f"undone in the order {undone}")
    failures = sum(
        each.kind == "fail"
        or (each.kind == "defer" and read(each).record.error is not None)
        for each in entries
    )
    refused = sum(
        each.kind == "defer" and "BreakerOpenError" in each.data for each in entries
    )
    recorded = len(done) + failures - refused
    if not recorded <= len(lines) <= recorded + hits:
        faults.append(f"{len(lines)} starts, {recorded} recorded, {hits} kills")
    ended = {each.firing: each.seq for each in entries if each.kind == "done"}
    late = [each for each in entries if each.seq > ended.get(each.firing, 1 << 60)]
    if late:
        faults.append(f"records of a firing after its end: {late}")
    return faults


def main(
    folder: str, kills: int, seed: int, name: str = "Booking", where: str = ""
) -> None:
    """Several runs, each in a database of its own; ``{n}`` in a URL is its number."""
    total, faults, number = 0, [], 0
    kind = {"Booking": Booking, "Rebooking": Rebooking}[name]
    while total < kills and not faults and number < kills:
        url = where.replace("{n}", str(number))
        url = url or f"sqlite:///{folder}/{number}.db?synchronous=normal"
        log = Path(folder) / f"{number}.log"
        hits = killed(kind, url, log, 12, seed + number)
        faults = checked(kind, url, log, hits)
        total, number = total + hits, number + 1
    print(json.dumps({"kills": total, "runs": number, "faults": faults}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
