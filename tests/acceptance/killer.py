"""Kills processes that run flows, at random moments, until every run has ended.

Run as a process of its own: ``python -m tests.acceptance.killer '{..}'``. It loads all
that flows need and forks a child for each life, so that a life begins in a few
milliseconds; it opens no store itself. Once all runs of a database have ended (a child
says so), another child compares the database with the log of side effects and with
runs that nobody killed. The last line it prints is a report, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from flowkit.errors import FencedError, RunError, StoreError
from flowkit.journal.codec import decode
from flowkit.journal.entries import read
from flowkit.journal.queries import Query
from flowkit.journal.urls import open_store
from flowkit.runtime import presence
from flowkit.runtime.folding import effective
from tests.acceptance import flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HALTED = 3
"""How a child ends whose store failed."""

MODES = ("blocking", "asyncio", "trio")


@dataclass
class Plan:
    """What to kill, and how often.

    Attributes:
        url: of the store; ``{n}`` is the number of the batch.
        folder: for the logs.
        mode: how the children move runs: ``blocking``, ``asyncio`` or ``trio``.
        flow: one of ``flows.KINDS``.
        kills: after so many, the batch that is under way is the last one.
        runs: in one database.
        children: beside each other on one database.
        patient: a child that cannot use its store ends, and another one tries.
        least, most: milliseconds a child lives; ``most`` rises with each life.
    """

    url: str
    folder: str
    mode: str = "blocking"
    flow: str = "busy"
    kills: int = 40
    runs: int = 6
    children: int = 1
    seed: int = 1
    least: float = 5.0
    most: float = 80.0
    seconds: float = 600.0
    patient: bool = False


@dataclass
class Report:
    """What came of it."""

    kills: int = 0
    lives: int = 0
    runs: int = 0
    halts: int = 0
    firings: int = 0
    starts: int = 0
    restarted: int = 0
    faults: list[str] = field(default_factory=list)


# --- in a child ------------------------------------------------------------------


def forked(work: Callable[[], Any], errors: Path) -> int:
    """The process that does it; it ends with 0, or 1 and a traceback in ``errors``."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        code = HALTED if _halted(error) else 1
        with errors.open("a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(code)


def _halted(error: BaseException) -> bool:
    """Whether it is about the store, and about nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_halted, error.exceptions))
    return isinstance(error, StoreError)


def live(plan: Plan, url: str, log: Path, life: int) -> None:
    """One life: bring every run of a database to its end."""
    presence.LEASE = 30.0
    flows.log_to(log, life)
    names = [f"run-{number}" for number in range(plan.runs)]
    random.Random(life).shuffle(names)
    if plan.mode == "blocking":
        left = [*names]
        while left:
            left = [name for name in left if not _moved(plan, url, name)]
        return

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(_moved_async, plan, url, name)

    anyio.run(main, backend=plan.mode)


def _made(plan: Plan, url: str, name: str) -> tuple[Any, dict[str, Any], str | None]:
    """A flow object, and what its kickoff is given: half go by the state's id.

    With several children all go by their own: one that ends a run makes the kickoff of
    another, a moment later, the first of the next run on that state.
    """
    number = int(name.partition("-")[2])
    flow = flows.KINDS[plan.flow](store=url)
    if number % 2 and plan.children == 1:
        return flow, {"seed": number, "id": name}, None
    return flow, {"seed": number}, name


def ended(url: str, name: str) -> bool:
    """Whether a run is over: a kickoff by state id would begin another one."""
    store = open_store(url)
    row = store.run(name) or store.by_state(None, name)
    return row is not None and row.status == "completed"


def _moved(plan: Plan, url: str, name: str) -> bool:
    """Move one run on; whether it is over."""
    if ended(url, name):
        return True
    flow, inputs, id = _made(plan, url, name)
    try:
        flow.kickoff(inputs, id=id)
        if flow.run.status == "waiting":
            flows.answer(flow)
    except (RunError, FencedError):
        if plan.children == 1:
            raise
    return ended(url, name)


async def _moved_async(plan: Plan, url: str, name: str) -> None:
    while not ended(url, name):
        flow, inputs, id = _made(plan, url, name)
        try:
            await flow.kickoff_async(inputs, id=id)
            if flow.run.status == "waiting":
                await anyio.to_thread.run_sync(flows.answer, flow)
        except (RunError, FencedError):
            if plan.children == 1:
                raise
        await anyio.sleep(0.002)


# --- what must hold --------------------------------------------------------------


def check(plan: Plan, url: str, log: Path, killed: int, report: Report) -> None:
    """Compare a database with the log, and its runs with unkilled ones."""
    store = open_store(url)
    rows = store.runs(Query(limit=10_000))
    told = flows.lines(log)
    faults = report.faults
    expected = {f"run-{number}" for number in range(plan.runs)}
    found = Counter(
        row.state_id if row.state_id in expected else row.id for row in rows
    )
    if found != Counter(expected):
        faults.append(f"runs {found} instead of one for each of {sorted(expected)}")
    of_run: dict[str, list[flows.Line]] = defaultdict(list)
    for line in told:
        of_run[line.run].append(line)
    stray = set(of_run) - {row.id for row in rows}
    if any(line.what == "end" for run in stray for line in of_run[run]):
        faults.append(f"steps of {stray} have run, and the runs are not stored")
    for row in rows:
        report.runs += 1
        check_run(store, row, of_run[row.id], killed, report)
    for row in rows:
        number = int((row.id if row.id in expected else row.state_id).partition("-")[2])
        got = decode(row.state)["s"]
        want, result = unkilled(plan.flow, number)
        if comparable(got) != want or decode(row.result) != result:
            faults.append(f"{row.id}: {comparable(got)} {row.result}, not {want}")


def check_run(
    store: Any, row: Any, told: list[flows.Line], killed: int, report: Report
) -> None:
    """The invariants of one run (decisions.md, 20)."""
    faults: list[str] = []
    if row.status != "completed":
        faults.append(f"ended as {row.status}: {row.error}")
    raw = store.entries(row.id)
    if [each.seq for each in raw] != list(range(1, len(raw) + 1)):
        faults.append(f"records are numbered {[each.seq for each in raw]}")
    entries = effective(raw)
    places = Counter(
        (each.kind, each.firing, read(each).record.position)
        for each in entries
        if each.kind in {"ask", "answer"}
    )
    if any(count > 1 for count in places.values()):
        faults.append(f"questions were asked or answered twice: {places}")
    if store.waits(run=row.id) or store.letters(row.id):
        faults.append("it still waits, or has letters")
    faults += _firings(row.id, entries, told, killed, report)
    report.faults += [f"{row.id}: {text}" for text in faults]


def _firings(
    run: str,
    entries: list[Any],
    told: list[flows.Line],
    killed: int,
    report: Report,
) -> Iterator[str]:
    """What is wrong with starts and records of the firings of a run."""
    ends = [each for each in entries if each.kind in {"done", "fail", "stop"}]
    recorded = Counter(each.firing for each in ends)
    report.firings += len(recorded)
    doubled = {firing for firing, count in recorded.items() if count > 1}
    if doubled:
        yield f"firings {doubled} are recorded twice"
    asked = Counter(each.firing for each in entries if each.kind in {"ask", "turn"})
    turned = Counter(each.firing for each in entries if each.kind == "turn")
    at = {each.firing: each.at for each in ends}
    steps = {each.firing: each.step for each in ends}
    starts: dict[int, list[flows.Line]] = defaultdict(list)
    for line in told:
        if line.what == "start":
            starts[line.firing].append(line)
        if steps.get(line.firing, line.step) != line.step:
            yield f"firing {line.firing} was {line.step}, and {steps[line.firing]}"
        if line.key.split(":")[:2] != [run, str(line.firing)]:
            yield f"{line} has another key than {run}:{line.firing}"
    if set(recorded) != set(starts):
        yield f"started {sorted(starts)}, recorded {sorted(recorded)}"
    for firing, begun in starts.items():
        report.starts += len(begun)
        report.restarted += len(begun) > 1
        lives = len({line.life for line in begun})
        if len(begun) > 1 + min(killed, lives - 1) + asked[firing]:
            yield f"{begun[0].step} ({firing}) started {len(begun)} times: {begun}"
        # A firing that was ready and had not begun when it was hit has had a try.
        # Each turn of a repeated step counts its tries anew.
        tries = [line.attempt for line in begun]
        if (tries != sorted(tries) and not turned[firing]) or max(tries) > 1 + killed:
            yield f"{begun[0].step} ({firing}) was told attempts {tries}"
        late = [line for line in begun if line.at > at.get(firing, line.at)]
        if late:
            yield f"started after it was recorded at {at[firing]}: {late}"


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """A final state without what the order of parallel branches decides."""
    left = {name: value for name, value in state.items() if name != "id"}
    return left | {"trail": sorted(left["trail"])}


def unkilled(name: str, number: int) -> tuple[dict[str, Any], Any]:
    """State and result of a run in memory."""
    if (name, number) not in _unkilled:
        flows._Log.file = -1
        flow = flows.KINDS[name](store="memory:")
        flow.kickoff({"seed": number}, id=f"{name}-{number}")
        while flow.run.status == "waiting":
            if flow.run.awaits and (flow.state.asked or "go" in flow.run.awaits):
                flows.answer(flow)
            else:
                time.sleep(0.002)
                flow = flows.KINDS[name](store="memory:")
                flow.kickoff({"seed": number}, id=f"{name}-{number}")
        state = flow.state.model_dump()
        _unkilled[name, number] = comparable(state), flow.run.outcome()
    return _unkilled[name, number]


_unkilled: dict[tuple[str, int], Any] = {}


# --- the killer ------------------------------------------------------------------


class Killer:
    """Forks and kills, batch by batch."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.report = Report()
        self.folder = Path(plan.folder)
        self.errors = self.folder / "errors"
        self.until = time.monotonic() + plan.seconds

    def go(self) -> Report:
        """All batches."""
        batch = 0
        while self.report.kills < self.plan.kills and not self.report.faults:
            batch += 1
            self.batch(batch)
        return self.report

    def batch(self, number: int) -> None:
        """One database, from its first run to its last."""
        url = self.plan.url.format(n=number)
        log = self.folder / f"log-{number}"
        log.touch()
        before, life = self.report.kills + self.report.halts, 0
        children: list[tuple[int, float]] = []
        while True:
            while len(children) < self.plan.children:
                life += 1
                pid = forked(lambda n=life: live(self.plan, url, log, n), self.errors)
                children.append((pid, self._end(life)))
            child = min(children, key=lambda each: each[1])
            ended = self._await(children, child[1])
            if time.monotonic() > self.until:
                self.report.faults.append(f"not ended in time, after {life} lives")
                break
            if ended is None:
                ended = child
                self._kill(child[0])
            else:
                code = os.waitstatus_to_exitcode(ended[2])
                ended = ended[:2]
                if code == 0:
                    break
                if code == HALTED and self.plan.patient:
                    self.report.halts += 1
                    children.remove(ended)
                    time.sleep(0.05)
                    continue
                told = self.errors.read_text() if self.errors.exists() else ""
                self.report.faults.append(f"life {life} ended with {code}: {told}")
                break
            children.remove(ended)
        for pid, _ in children:
            if ended is None or pid != ended[0]:
                self._kill(pid)
        self.report.lives += life
        if not self.report.faults:
            ended_early = self.report.kills + self.report.halts - before
            self._check(url, log, ended_early)

    def _end(self, life: int) -> float:
        # A disk that is slow to sync could keep lives too short to get anywhere.
        most = self.plan.most * (1 + life / 25)
        return time.monotonic() + self.chance.uniform(self.plan.least, most) / 1000

    def _await(self, children: list[Any], until: float) -> Any:
        """The first child that ends by itself until then."""
        while True:
            for pid, end in children:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    return pid, end, status
            if time.monotonic() >= until:
                return None
            time.sleep(0.0005)

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
            self.report.kills += 1

    def _check(self, url: str, log: Path, killed: int) -> None:
        told = self.folder / "report"

        def work() -> None:
            found = Report()
            check(self.plan, url, log, killed, found)
            told.write_text(json.dumps(asdict(found)))

        while True:
            _, status = os.waitpid(forked(work, self.errors), 0)
            halted = os.waitstatus_to_exitcode(status) == HALTED
            if not (halted and self.plan.patient and time.monotonic() < self.until):
                break
            time.sleep(0.1)
        if status:
            self.report.faults.append(f"the check failed: {self.errors.read_text()}")
            return
        found = json.loads(told.read_text())
        self.report.faults += found["faults"]
        for name in ("runs", "firings", "starts", "restarted"):
            setattr(self.report, name, getattr(self.report, name) + found[name])


LOADED = (
    "asyncio trio anyio._backends._asyncio anyio._backends._trio apsw "
    "flowkit.journal.sqlite.store flowkit.runtime.opening flowkit.runtime.runner "
    "flowkit.runtime.verbs"
)
"""Before the first fork, so that a life is short."""

if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in LOADED.split():
        import_module(name)
    if "postgres" in sys.argv[1]:
        import_module("flowkit.journal.postgres.store")
    done = Killer(Plan(**json.loads(sys.argv[1]))).go()
    print(json.dumps(asdict(done)))
