"""What becomes of called runs: history, fork, rewind, purge, bus, drift, races."""

from __future__ import annotations

import anyio
import pytest

from flowkit import EventBus, Flow, event, listen, runs, start, tasks
from flowkit.errors import DriftError
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query
from flowkit.runtime.opening import store_for
from flowkit.runtime.resumption import resume, resume_async


@pytest.fixture(params=["memory", "sqlite"])
def place(request, tmp_path):
    """A store of this test's own."""
    if request.param == "memory":
        return MemoryStore("memory:test")
    return store_for(f"sqlite:///{tmp_path}/runs.db")


def rows_of(store, **asked):
    found = store.runs(Query(limit=1_000, **asked))
    return {row.id: row for row in found}


RAN: list[str] = []
BROKEN = [False]


@pytest.fixture(autouse=True)
def _clean():
    RAN.clear()
    BROKEN[0] = False


class Grade(Flow, evict_after=0):
    """The third level; waits if it is told to."""

    @start()
    async def grade(self):
        RAN.append("grade")
        if self.state.get("wait"):
            return await self.wait_for("graded")
        return self.state["points"] // 10


class Exam(Flow, evict_after=0):
    """The second level."""

    @start()
    async def read(self):
        RAN.append("read")
        return self.state["points"]

    @listen(read)
    async def rate(self, points):
        wait = self.state.get("wait", False)
        return await self.call(Grade, {"points": points, "wait": wait})


class Course(Flow, evict_after=0):
    """The first level."""

    @start()
    async def enrol(self):
        RAN.append("enrol")

    @listen(enrol)
    async def examine(self):
        wait = self.state.get("wait", False)
        return await self.call(Exam, {"points": 55, "wait": wait})

    @listen(examine)
    async def certify(self, grade):
        RAN.append("certify")
        if BROKEN[0]:
            raise ValueError("no seal")
        return f"grade {grade}"


def test_history_shows_called_runs_below_the_step_that_called(clock, place) -> None:
    """With id, status and duration; nested it is the whole story."""
    Course(store=place).kickoff(id="course")
    enrol, examine, certify = runs.history("course", store=place)
    assert [enrol.called, certify.called] == [[], []]
    (exam,) = examine.called
    assert (exam.id, exam.status, exam.position) == ("course:2:0", "completed", 0)
    assert exam.duration == 0.0
    assert exam.executions == []
    assert "called course:2:0 (completed)" in repr(examine)
    examine = runs.history("course", store=place, nested=True)[1]
    _, rate = examine.called[0].executions
    (grade,) = rate.called
    assert grade.id == "course:2:0:2:0"
    assert [each.step for each in grade.executions] == ["grade"]
    assert [each.output for each in grade.executions] == [5]


def test_runs_are_listed_by_their_caller(place) -> None:
    """``parent=`` of runs.list gives what a run has called, or its forks."""
    Course(store=place).kickoff(id="course")
    (exam,) = runs.list(parent="course", store=place)
    assert (exam.id, exam.parent) == ("course:2:0", "course")


def test_a_fork_shares_what_called_runs_have_given(place) -> None:
    """They are not run again; a call behind the fork's place is."""
    Course(store=place).kickoff(id="course")
    late = runs.fork("course", "certify", id="late", store=place)
    early = runs.fork("course", "examine", id="early", store=place)
    RAN.clear()
    assert resume(late, place) == "grade 5"
    assert RAN == ["certify"]
    assert resume(early, place) == "grade 5"
    assert RAN == ["certify", "read", "grade", "certify"]
    assert [run.id for run in runs.list(parent="early", store=place)] == ["early:2:0"]


def test_a_fork_of_a_waiting_caller_calls_a_run_of_its_own(place) -> None:
    """Each has its answer from its own."""
    Course(store=place).kickoff({"wait": True}, id="course")
    other = runs.fork("course", id="other", store=place)
    resume(other, place)
    waiting = rows_of(place, status=("waiting",))
    assert len(waiting) == 6
    for id_ in ("course:2:0:2:0", "other:2:0:2:0"):
        grade = Grade(store=place)
        grade.kickoff({"points": 55, "wait": True}, id=id_)
        grade.send("graded", id_.partition(":")[0])
    assert resume("course", place) == "grade course"
    assert resume("other", place) == "grade other"


def test_a_rewound_step_calls_a_new_run(place) -> None:
    """The old one stays in the store as it ended."""
    Course(store=place).kickoff(id="course")
    runs.rewind("course", "examine", store=place)
    RAN.clear()
    assert resume("course", place) == "grade 5"
    assert RAN == ["read", "grade", "certify"]
    assert {*rows_of(place, parent="course")} == {"course:2:0", "course:2:0.1"}
    _, old, _, new, _ = runs.history("course", store=place)
    assert [each.undone for each in (old, new)] == [True, False]


def test_a_rewind_cancels_the_called_runs_that_wait(place) -> None:
    """Nobody asks for them any more."""
    Course(store=place).kickoff({"wait": True}, id="course")
    runs.rewind("course", "examine", state={"wait": False}, store=place)
    found = {id_: row.status for id_, row in rows_of(place).items()}
    assert found == {
        "course": "running",
        "course:2:0": "cancelled",
        "course:2:0:2:0": "cancelled",
    }
    assert resume("course", place) == "grade 5"


def test_called_runs_are_purged_with_their_caller(place) -> None:
    """Not by the retention of their own flow, and never without it."""
    Course(store=place).kickoff(id="course")
    none = runs.Retention(keep=0)
    assert runs.purge(Grade, none, store=place).runs == ()
    gone = runs.purge(Course, none, store=place)
    assert set(gone.runs) == {"course", "course:2:0", "course:2:0:2:0"}
    assert {name.rpartition(":")[2] for name in gone.flows} == {
        "Course",
        "Exam",
        "Grade",
    }
    assert rows_of(place) == {}


def test_a_failed_step_behind_a_call_is_retried_without_it(place) -> None:
    """Resumed, the run goes on with what the called run gave."""
    BROKEN[0] = True
    with pytest.raises(ValueError, match="no seal"):
        Course(store=place).kickoff(id="course")
    BROKEN[0] = False
    RAN.clear()
    assert resume("course", place) == "grade 5"
    assert RAN == ["certify"]


def test_another_flow_at_a_position_is_drift(place) -> None:
    """A step that starts again calls what it called."""

    class Cost(Flow):
        @start()
        def look(self):
            return 1

    class Price(Flow):
        @start()
        def look(self):
            return 2

    called = [Cost, Price]

    class Offer(Flow, evict_after=0):
        @start()
        async def make(self):
            found = await self.call(called[0])
            return found, await self.wait_for("go")

    offer = Offer(store=place)
    offer.kickoff(id="offer")
    called.reverse()
    with pytest.raises(DriftError) as caught:
        offer.send("go")
    place_of_it = Offer.definition().step("make").place
    assert str(caught.value) == (
        "Offer.make asked call('Cost') as its question 1 before it started again, and "
        "asks call('Price') now. The answers of run offer are kept by position: keep "
        f"the order of the questions, or rewind the run to this step. ({place_of_it})"
    )


class Approval(Flow):
    """Waits for an event of its graph."""

    @start()
    def ask(self):
        return None

    @listen(event("approved", key="order"))
    def note(self, by):
        self.stop(by["by"])


class Purchase(Flow):
    """Calls it, and goes on."""

    @start()
    async def propose(self):
        return await self.call(Approval, {"order": self.state["order"]})

    @listen(propose)
    async def buy(self, by):
        return f"bought, said {by}"


@pytest.mark.parametrize("stored", [False, True])
async def test_an_event_on_the_bus_goes_to_the_called_run_and_wakes_its_caller(
    stored,
) -> None:
    """The child takes the event, the caller is driven on, here or by the bus."""
    store = MemoryStore("memory:bus") if stored else None
    async with EventBus(store=store) as bus:
        bus.register(Purchase, Approval)
        ends = []
        purchase = Purchase(store=store) if stored else Purchase()
        async with anyio.create_task_group() as group:

            async def go():
                ends.append(await purchase.kickoff_async({"order": "7"}))

            group.start_soon(go)
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            for _ in range(500):
                run = purchase.run
                if run is not None and run.status == "waiting":
                    break
                await anyio.sleep(0.001)
            receipt = await bus.send_async("approved", {"order": "7", "by": "Ann"})
            assert receipt
            await bus.drain()
        assert ends == ["bought, said Ann"]


async def test_the_next_process_wakes_the_callers_by_the_bus(place) -> None:
    """Nothing of the callers is in memory; the event finds the called run's row."""
    purchase = Purchase(store=place)

    class Impatient(Purchase, evict_after=0):
        pass

    impatient = Impatient(store=place)
    await impatient.kickoff_async({"order": "8"}, id="purchase")
    del impatient, purchase
    async with EventBus(store=place) as bus:
        bus.register(Impatient, Approval)
        assert await bus.send_async("approved", {"order": "8", "by": "Ben"})
        for _ in range(1_000):
            if place.run("purchase").status == "completed":
                break
            await anyio.sleep(0.002)
    assert place.run("purchase").status == "completed"
    assert "said Ben" in place.run("purchase").result


class Question(Flow, evict_after=0):
    """Asks a person."""

    @start()
    async def ask_somebody(self):
        return await self.ask_async("How many?", answer=int)


class Stock(Flow, evict_after=0):
    """Calls who asks."""

    @start()
    async def count(self):
        return 2 * await self.call(Question)


def test_a_person_answers_below_and_the_caller_goes_on(place) -> None:
    """As a task of the called run."""
    stock = Stock(store=place)
    stock.kickoff(id="stock")
    (task,) = tasks.list(store=place)
    assert task.run == "stock:1:0"
    tasks.answer(task.token, 21, store=place)
    assert place.run("stock").status == "completed"
    assert stock.run.result == 42


async def test_a_called_run_that_others_resume_tells_its_caller(place) -> None:
    """Whoever moves the leaf to its end, the root has its answer."""
    await Course(store=place).kickoff_async({"wait": True}, id="course")
    grade = await resume_async("course:2:0:2:0", place)
    grade.flow.send("graded", 6)
    assert place.run("course:2:0:2:0").status == "completed"
    assert await resume_async("course", place) == "grade 6"
    assert RAN.count("read") == RAN.count("enrol") == 1


async def test_an_orphan_is_cancelled_when_it_is_looked_at(place) -> None:
    """Its caller ended, and its process was gone before it could take it along."""
    await Course(store=place).kickoff_async({"wait": True}, id="course")
    from flowkit.journal.rows import Advance
    from flowkit.runtime.presence import presence_in

    owner = presence_in(place).ensure()
    _, hold = place.claim("course", owner, 1.0)
    place.commit([Advance(hold, (), 1.0, "cancelled")])
    run = await resume_async("course:2:0", place)
    assert run is None
    found = {id_: row.status for id_, row in rows_of(place).items()}
    assert set(found.values()) == {"cancelled"}


def test_a_called_run_that_waited_and_failed_tells_its_caller_each_time(place) -> None:
    """The end of a retried called run is news again."""
    good = [False]

    class Quote(Flow, evict_after=0):
        @start()
        async def ask(self):
            return await self.wait_for("price")

        @listen(ask)
        async def check(self, price):
            if not good[0]:
                raise ValueError("no price")
            return await self.wait_for("seal")

    class Offer(Flow, evict_after=0):
        @start()
        async def make(self):
            return await self.call(Quote)

    offer = Offer(store=place)
    offer.kickoff(id="offer")
    quote = Quote(store=place)
    quote.kickoff(id="offer:1:0")
    with pytest.raises(ValueError, match="no price"):
        quote.send("price", 1)
    assert place.run("offer").status == "failed"
    good[0] = True
    again = Offer(store=place)
    again.kickoff(id="offer")
    assert place.run("offer").status == "waiting"
    quote = Quote(store=place)
    quote.kickoff(id="offer:1:0")
    quote.send("seal", "sealed")
    assert again.run.result == "sealed"


async def test_a_caller_in_memory_takes_a_stored_called_run_along(place) -> None:
    """The called class has a store of its own; the caller has none."""

    class Kept(Flow, store=place, evict_after=0):
        @start()
        async def wait(self):
            return await self.wait_for("go")

    class Above(Flow, evict_after=0):
        @start()
        async def take(self):
            return await self.call(Kept)

    one = Above()
    await one.kickoff_async()
    (row,) = rows_of(place).values()
    kept = one.run.children.runs[1][0]
    assert (kept.id, row.status) == (row.id, "waiting")
    kept.flow.send("go", 3)
    assert one.run.result == 3
    two = Above()
    await two.kickoff_async()
    two.run.cancel()
    assert sorted(row.status for row in rows_of(place).values()) == [
        "cancelled",
        "completed",
    ]


async def test_joined_waits_are_answered_one_after_the_other(place) -> None:
    """Between two answers the run waits again, and is let go."""

    class Both(Flow, evict_after=0):
        @start()
        async def take(self):
            return await self.join([self.wait_for("one"), self.wait_for("two")])

    both = Both(store=place)
    await both.kickoff_async(id="both")
    both.send("two", 2)
    row = place.run("both")
    assert (row.status, row.owner) == ("waiting", None)
    assert [wait.wait.name for wait in place.waits(run="both")] == ["one"]
    both.send("one", 1)
    assert both.run.result == [1, 2]
    (told,) = runs.history("both", store=place)
    assert sorted(each.answer[2] for each in told.questions) == [1, 2]


async def test_calls_and_kickoffs_in_turn_are_bounded() -> None:
    """A call does not take the bound on nested kickoffs away."""

    class Below(Flow):
        @start()
        async def work(self):
            return await Above().kickoff_async()

    class Above(Flow):
        @start()
        async def work(self):
            return await self.call(Below)

    with pytest.raises(RecursionError):
        await Above().kickoff_async()
