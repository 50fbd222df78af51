"""Who begins a scheduled run: once among all processes, and none is lost."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from flowkit import EventBus, Flow, event, listen, start
from flowkit.errors import RunExistsError, StoreError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.journal.urls import open_store
from flowkit.runtime.blocking import drive_blocking
from flowkit.runtime.scheduler import (
    RETRY_MOST,
    SET_BACK,
    Scheduler,
    run_schedules,
    scheduled_run,
    stored_run,
)
from flowkit.testing import manual_clock

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC).timestamp()
HOUR = 3_600.0


class Quarterly(Flow):
    """Every quarter of an hour; what it missed counts once."""

    @start(every="15m")
    def collect(self, at: datetime):
        self.state["at"] = at
        return at

    @listen(collect)
    def tell(self, at):
        return f"collected at {at:%H:%M}"


class Hourly(Flow):
    """Every hour; what it missed is made up for."""

    @start(every="1h", missed="all")
    async def bill(self):
        return "billed"


class Report(Flow):
    """At six in Berlin; what it missed is let go."""

    @start(cron="0 6 * * *", tz="Europe/Berlin", missed="skip")
    def mail(self, at):
        return at


class Plain(Flow):
    """Has no schedule."""

    @start()
    def begin(self):
        return 1


class Begins:
    """Notes what is begun, and refuses a second run of one id."""

    def __init__(self):
        self.ids = []
        self.times = []
        self.fail = {}

    def __call__(self, flow, step, time, run_id):
        error = self.fail.get(flow)
        if error is not None:
            raise error
        if run_id in self.ids:
            raise RunExistsError("there", None)
        self.ids.append(run_id)
        self.times.append(f"{flow.__name__}.{step} {time:%d %H:%M %Z}")

    def taken(self):
        times, self.times = self.times, []
        return times


def began(flow, step, time, run_id, store):
    """A stored run, its first step ready."""
    run, hold = stored_run(flow, step, time, run_id, store)
    run.journal.began(run, hold)
    return run


@pytest.fixture
def clock():
    with manual_clock(at=NINE) as clock:
        yield clock


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = (
        MemoryStore()
        if request.param == "memory"
        else open_store(f"sqlite:///{tmp_path}/s.db")
    )
    yield made
    made.close()


def test_a_schedule_begins_when_it_is_first_seen(store):
    """Nothing is missed before anybody knew of it."""
    begin = Begins()
    scheduler = Scheduler([Quarterly, Plain], store)
    assert scheduler.next(NINE - 1) == NINE - 1
    assert scheduler.tick(NINE - 1, begin) == []
    assert scheduler.next(NINE - 1) == NINE
    assert scheduler.due(NINE - 0.5) == []
    (due,) = scheduler.due(NINE + 0.5)
    assert due == (
        Quarterly,
        "collect",
        NINE,
        f"sched:{Quarterly.__module__}:Quarterly:collect:2026-11-21T09:00:00Z",
    )
    assert scheduler.tick(NINE + 0.5, begin) == [due]
    assert begin.taken() == ["Quarterly.collect 21 09:00 UTC"]
    assert scheduler.tick(NINE + 0.6, begin) == []
    assert scheduler.next(NINE + 0.6) == NINE + 900


def test_a_flow_without_schedules_waits_for_nothing():
    """There is no time to wait for."""
    scheduler = Scheduler([Plain])
    assert scheduler.tick(NINE, Begins()) == []
    assert scheduler.next(NINE) is None
    with pytest.raises(TypeError, match="A Scheduler takes Flow classes, not 'Plain'"):
        scheduler.add("Plain")


@pytest.mark.parametrize(
    ("flow", "away", "expected"),
    [
        (Quarterly, 5 * HOUR, ["Quarterly.collect 21 14:00 UTC"]),
        (
            Hourly,
            3 * HOUR + 5,
            [f"Hourly.bill 21 {each}:00 UTC" for each in (10, 11, 12)],
        ),
        (Report, 20 * HOUR + 30, ["Report.mail 22 06:00 CET"]),
        (Report, 20 * HOUR + 90, []),
    ],
)
def test_what_was_missed_follows_the_policy(store, flow, away, expected):
    """A process that comes back finds the time its predecessor noted."""
    Scheduler([flow], store).tick(NINE, Begins())
    begin = Begins()
    again = Scheduler([flow], store)
    again.tick(NINE + away, begin)
    assert begin.taken() == expected
    again.tick(NINE + away + 1, begin)
    assert begin.taken() == []


def test_all_missed_times_are_bounded(store):
    """A hundred at a time, the latest; older ones are let go."""
    Scheduler([Hourly], store).tick(NINE, Begins())
    begin = Begins()
    Scheduler([Hourly], store).tick(NINE + 1_000 * HOUR, begin)
    assert len(begin.times) == 100
    assert (
        begin.times[-1]
        == f"Hourly.bill {datetime.fromtimestamp(NINE + 1_000 * HOUR, UTC):%d %H:%M} UTC"
    )


def test_a_kill_between_begin_and_note_loses_and_repeats_nothing(store):
    """The time is due again, its id is taken, and the note is made then."""

    class Killed(BaseException):
        pass

    begin = Begins()
    Scheduler([Quarterly], store).tick(NINE, begin)

    def killed(*args):
        begin(*args)
        raise Killed

    with pytest.raises(Killed):
        Scheduler([Quarterly], store).tick(NINE + 900, killed)
    again = Scheduler([Quarterly], store)
    assert [due.at for due in again.due(NINE + 901)] == [NINE + 900]
    assert again.tick(NINE + 901, begin) == []
    assert again.due(NINE + 902) == []
    assert begin.taken() == ["Quarterly.collect 21 09:15 UTC"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 3_000),
            st.sampled_from(["", "before", "after"]),
        ),
        max_size=30,
    )
)
def test_no_time_is_lost_or_fires_twice_whatever_happens(moves):
    """Three processes tick in any order and are killed before or after a begin."""

    class Killed(BaseException):
        pass

    store, begin, now = MemoryStore(), Begins(), NINE
    Scheduler([Hourly], store).tick(now, begin)
    processes = [Scheduler([Hourly], store) for _ in range(3)]
    for who, later, killed in moves:
        now += later

        def begins(*args, killed=killed):
            if killed == "before":
                raise Killed
            begin(*args)
            if killed:
                raise Killed

        try:
            processes[who].tick(now, begins)
        except Killed:
            processes[who] = Scheduler([Hourly], store)
    Scheduler([Hourly], store).tick(now, begin)
    hours = range(1, int((now - NINE) // HOUR) + 1)
    wanted = [datetime.fromtimestamp(NINE + each * HOUR, UTC) for each in hours]
    assert begin.ids == [
        f"sched:{Hourly.__module__}:Hourly:bill:{each:%Y-%m-%dT%H:%M:%SZ}"
        for each in wanted
    ]


def test_two_threads_on_one_file_fire_a_time_once(tmp_path, clock):
    """Each with a store of its own, as two processes have; the runs are real ones."""
    url = f"sqlite:///{tmp_path}/s.db"
    begun, stores = [], [open_store(url), open_store(f"{url}?synchronous=normal")]
    barrier = threading.Barrier(2)
    Scheduler([Quarterly, Hourly], stores[0]).tick(NINE, Begins())

    def work(own):
        scheduler = Scheduler([Quarterly, Hourly], own)
        for turn in range(1, 13):
            barrier.wait()

            def begin(flow, step, time, run_id):
                run = began(flow, step, time, run_id, own)
                drive_blocking(run, "asyncio")
                begun.append(run_id)

            scheduler.tick(NINE + turn * 900, begin)

    threads = [threading.Thread(target=work, args=(own,)) for own in stores]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(begun) == len(set(begun)) == 12 + 3
    rows = stores[0].runs(Query())
    assert sorted(row.id for row in rows) == sorted(begun)
    assert {row.status for row in rows} == {"completed"}
    assert {row.created_by for row in rows} == {"schedule"}


PROCESS = """
import sys
from flowkit import Flow, start
from flowkit.journal.urls import open_store
from flowkit.runtime.blocking import drive_blocking
from flowkit.runtime.scheduler import Scheduler, stored_run

class Nightly(Flow):
    @start(every="1h", missed="all")
    def count(self, at):
        return at

store = open_store(sys.argv[1])
scheduler = Scheduler([Nightly], store)
print("ready", flush=True)
for line in sys.stdin:
    def begin(*what):
        run, hold = stored_run(*what, store)
        run.journal.began(run, hold)
        drive_blocking(run, "asyncio")
        print("began", what[3], flush=True)
    scheduler.tick(float(line), begin)
    print("ticked", flush=True)
"""


def test_two_processes_on_one_file_fire_a_time_once(tmp_path):
    """Told the same time at once, one of them begins the run."""
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(PROCESS),
        f"sqlite:///{tmp_path}/s.db",
    ]
    two = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        assert [each.stdout.readline() for each in two] == ["ready\n"] * 2
        began = []
        for turn in range(10):
            for each in two:
                each.stdin.write(f"{NINE + turn * HOUR}\n")
                each.stdin.flush()
            for each in two:
                while (line := each.stdout.readline()) != "ticked\n":
                    assert line.startswith("began "), line
                    began.append(line)
        assert len(began) == len(set(began)) == 9
    finally:
        for each in two:
            each.stdin.close()
            assert each.wait() == 0
            each.stdout.close()


def test_a_run_that_cannot_begin_is_tried_again_and_keeps_no_other_back(store, caplog):
    """After a second, then later and later; its time is not lost."""
    begin = Begins()
    scheduler = Scheduler([Quarterly, Hourly], store)
    scheduler.tick(NINE, begin)
    begin.fail[Quarterly] = StoreError("the disk is full")
    now = NINE + HOUR
    with caplog.at_level(logging.ERROR, "flowkit"):
        scheduler.tick(now, begin)
    assert begin.taken() == ["Hourly.bill 21 10:00 UTC"]
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "Quarterly:collect could not begin its run, next try in 1 s: the disk is full"
    )
    waits = []
    for _ in range(11):
        at = scheduler.next(now)
        waits.append(at - now)
        now = at
        scheduler.tick(now, begin)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(waits) == RETRY_MOST
    begin.fail.clear()
    begin.taken()
    scheduler.tick(scheduler.next(now), begin)
    assert begin.taken()[0].startswith("Quarterly.collect 21 1")


def test_times_begun_before_a_failure_are_noted(store):
    """Of three missed hours the second fails; the first is not begun again."""
    begin = Begins()
    scheduler = Scheduler([Hourly], store)
    scheduler.tick(NINE, begin)

    def second(*args):
        if args[2].hour == 11:
            raise StoreError("no")
        begin(*args)

    assert len(scheduler.tick(NINE + 3 * HOUR, second)) == 1
    assert [due.at for due in scheduler.due(NINE + 3 * HOUR)] == []  # it waits a second
    later = NINE + 3 * HOUR + 1
    assert [due.at - NINE for due in scheduler.due(later)] == [2 * HOUR, 3 * HOUR]


def test_a_clock_set_back_a_little_fires_nothing_again(store):
    """Those times were noted; the next one is as it was."""
    begin = Begins()
    scheduler = Scheduler([Quarterly], store)
    for now in (NINE, NINE + 900, NINE + 300, NINE + 900, NINE + 1_000):
        scheduler.tick(now, begin)
    assert begin.taken() == ["Quarterly.collect 21 09:15 UTC"]
    assert scheduler.next(NINE + 1_000) == NINE + 1_800


def test_a_clock_that_was_years_ahead_stops_no_schedule(store):
    """What was noted by it does not count, once the clock is right again."""
    begin = Begins()
    scheduler = Scheduler([Quarterly], store)
    scheduler.tick(NINE, begin)
    scheduler.tick(NINE + 10_000 * HOUR, begin)
    begin.taken()
    scheduler.tick(NINE + 10_000 * HOUR - SET_BACK, begin)
    scheduler.tick(NINE + 10, begin)
    assert begin.taken() == []
    scheduler.tick(NINE + 901, begin)
    assert begin.taken() == ["Quarterly.collect 21 09:15 UTC"]


def test_another_schedule_of_the_same_step_begins_anew(store):
    """Times that the new one had before it was known are not missed ones."""

    def flow(**given):
        class Changed(Flow):
            @start(**given)
            def run_it(self):
                """Nothing."""

        return Changed

    begin = Begins()
    Scheduler([flow(every="1h")], store).tick(NINE, begin)
    Scheduler([flow(cron="30 * * * *")], store).tick(NINE + 5 * HOUR, begin)
    assert begin.taken() == []


def test_a_scheduled_run_is_handed_its_time_and_begins_at_that_step_alone(store, clock):
    """The parameter gets an aware datetime in the schedule's zone."""

    class Two(Flow):
        @start(every="1h", tz="America/New_York")
        def first(self, at: datetime):
            return at

        @start(every="1d")
        def second(self):
            raise AssertionError

        @start()
        def third(self):
            raise AssertionError

        @start(on=event("came"))
        def fourth(self, came):
            raise AssertionError

    scheduler, runs = Scheduler([Two], store), []
    scheduler.tick(NINE - 1, Begins())

    def begin(*what):
        run = began(*what, store)
        drive_blocking(run, "asyncio")
        runs.append(run)

    (due,) = scheduler.tick(NINE, begin)
    (run,) = runs
    assert (run.id, run.status) == (due.run_id, "completed")
    assert run.result.isoformat() == "2026-11-21T04:00:00-05:00"
    assert [name for name, _, _ in run.history] == ["first"]
    with pytest.raises(RunExistsError):
        began(Two, "first", run.result, due.run_id, store)


def test_a_stored_scheduled_run_goes_on_as_itself(tmp_path, clock):
    """Begun by a process that was killed at once; another one resumes it."""
    from flowkit.runtime.opening import load, made

    store = open_store(f"sqlite:///{tmp_path}/s.db")
    run = began(
        Quarterly, "collect", datetime.fromtimestamp(NINE, UTC), "sched:x", store
    )
    run.journal.leave(run)
    other = load(made(Quarterly), store, store.run("sched:x"))
    drive_blocking(other, "asyncio")
    assert other.result == "collected at 09:00"
    assert other.state["at"] == datetime.fromtimestamp(NINE, UTC)


def test_a_run_in_memory_takes_the_id():
    """Without a store there is nothing to be refused by."""
    time = datetime.fromtimestamp(NINE, UTC)
    run, begin = scheduled_run(Hourly, "bill", time, "sched:y")
    begin()
    drive_blocking(run, "asyncio")
    assert (run.id, run.result, run.journal) == ("sched:y", "billed", None)


def test_kickoff_runs_a_scheduled_start_only_if_there_is_no_plain_one(clock):
    """As for events; it is handed the time it is."""

    class Both(Plain):
        @start(every="1h")
        def timed(self, at):
            raise AssertionError

    assert Quarterly().kickoff() == "collected at 09:00"
    assert Report().kickoff().isoformat() == "2026-11-21T10:00:00+01:00"
    assert Both().kickoff() == 1

    class Mixed(Flow):
        @start(on=event("came"))
        def on_event(self, came):
            return came["a"]

        @start(every="1h")
        def on_time(self, at):
            return at

    mixed = Mixed()
    mixed.kickoff({"a": 1})
    assert mixed.method_outputs == [1, datetime.fromtimestamp(NINE, UTC)]


async def test_runs_begin_as_their_times_come(clock):
    """The loop waits by the clock in use, wakes when it is moved, and never sleeps."""
    begin = Begins()
    scheduler = Scheduler([Quarterly, Hourly])
    async with anyio.create_task_group() as group:
        group.start_soon(run_schedules, scheduler, begin)
        while scheduler.next(NINE) == NINE:
            await checkpoint()
        assert begin.taken() == []
        for _ in range(4):
            clock.advance(900)
            while scheduler.next(clock.now()) <= clock.now():
                await checkpoint()
        group.cancel_scope.cancel()
    assert sorted(begin.taken()) == [
        "Hourly.bill 21 10:00 UTC",
        "Quarterly.collect 21 09:15 UTC",
        "Quarterly.collect 21 09:30 UTC",
        "Quarterly.collect 21 09:45 UTC",
        "Quarterly.collect 21 10:00 UTC",
    ]


async def test_the_loop_ends_where_there_is_no_schedule(clock):
    """There is nothing to wait for."""
    with anyio.fail_after(50):
        await run_schedules(Scheduler([Plain]), Begins())


async def until(said):
    with anyio.fail_after(50):
        while not said():
            await checkpoint()


class Sweep(Flow):
    """Tells a list of what it did."""

    done: list = []

    @start(every="1h")
    def sweep(self, at):
        self.done.append(at.hour)


@pytest.fixture
def swept():
    Sweep.done.clear()
    return Sweep.done


@pytest.mark.parametrize("when", ["before", "inside"])
async def test_a_bus_in_a_loop_begins_scheduled_runs(clock, swept, when):
    """Registered before or inside the block; leaving it ends the schedules."""
    bus = EventBus()
    if when == "before":
        bus.register(Sweep)
    async with bus:
        bus.register(Sweep)
        scheduler = await settled(bus)
        for hour in (10, 11):
            clock.advance(HOUR)
            await until(lambda hour=hour: swept[-1:] == [hour])
        await bus.drain()
        assert scheduler.next(clock.now()) == NINE + 3 * HOUR
    clock.advance(HOUR)
    await checkpoint()
    assert swept == [10, 11]


async def settled(bus):
    """Wait until the schedules are noted; else the first hour is when they begin."""
    scheduler = bus._shop._tended[0].args[0]
    await until(lambda: scheduler.next(NINE) > NINE)
    return scheduler


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_bus_in_a_thread_begins_scheduled_runs(clock, swept, backend):
    """Registering starts the thread; closing the bus ends it."""
    with EventBus(backend=backend) as bus:
        bus.register(Sweep)
        anyio.run(settled, bus)
        clock.advance(HOUR)
        anyio.run(until, lambda: swept == [10])
        bus.drain()
    assert bus._shop._thread is None


async def test_a_failing_block_ends_the_schedules(clock, swept):
    """They are cancelled with the rest."""
    with pytest.raises(ExceptionGroup):
        async with EventBus() as bus:
            bus.register(Sweep)
            await settled(bus)
            raise KeyError
    clock.advance(HOUR)
    await checkpoint()
    assert swept == []


def test_a_bus_on_a_store_begins_each_time_once(clock, swept, tmp_path):
    """Two buses, as in two processes; a third one finds what was noted."""
    url = f"sqlite:///{tmp_path}/s.db"
    with (
        EventBus(store=open_store(url)) as one,
        EventBus(store=SqliteStore(tmp_path / "s.db")) as two,
    ):
        for bus in (one, two):
            bus.register(Sweep)
            anyio.run(settled, bus)
        for hour in (10, 11, 12):
            clock.advance(HOUR)
            anyio.run(until, lambda hour=hour: swept[-1:] == [hour])
            for bus in (one, two):
                later = bus._shop._tended[0].args[0]
                anyio.run(
                    until, lambda later=later: later.next(clock.now()) > clock.now()
                )
                bus.drain()
    assert swept == [10, 11, 12]
    clock.advance(5 * HOUR)
    with EventBus(store=url) as three:
        three.register(Sweep)
        anyio.run(until, lambda: swept == [10, 11, 12, 17])
        three.drain()
    rows = open_store(url).runs(Query())
    assert [row.id[-9:] for row in rows] == [
        "17:00:00Z",
        "12:00:00Z",
        "11:00:00Z",
        "10:00:00Z",
    ]
    assert {(row.status, row.created_by) for row in rows} == {("completed", "schedule")}
