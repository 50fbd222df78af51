"""Tasks for people: asked, found, claimed, answered, late, over."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel, Field

import flowkit
from flowkit import (
    Decision,
    EventBus,
    FeedbackError,
    Flow,
    HumanFeedbackPending,
    InputError,
    RunError,
    any_of,
    human_feedback,
    listen,
    start,
    tasks,
)
from flowkit.errors import DriftError
from flowkit.journal import writer
from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime import desk
from flowkit.runtime.opening import load
from flowkit.runtime.presence import presence_in
from tests.docs.pages import ROOT


class Price(BaseModel):
    """A typed answer with a rule."""

    amount: int = Field(gt=0)
    currency: str


class Tone(Enum):
    """A closed choice."""

    KIND = "kind"
    PLAIN = "plain"


@dataclass
class Place:
    """A typed answer without pydantic."""

    city: str


Small = Annotated[int, Field(lt=10)]


class Asks(Flow, evict_after=0):
    """One question, of whatever form the test wants."""

    wish: dict[str, Any]

    @start()
    async def ask(self) -> Any:
        """Wait for a person."""
        return await self.ask_async("Well?", **type(self).wish)


class Blocks(Flow, evict_after=0):
    """The same in a synchronous step."""

    @start()
    def ask(self) -> Any:
        """Wait for a person, in a thread."""
        return self.ask_async("Well?", answer=int)


class Pair(Flow, evict_after=0):
    """Two questions, one after another."""

    @start()
    async def ask(self) -> Any:
        """The first answer is kept while the second is waited for."""
        first = await self.ask_async("First?")
        return first, await self.ask_async("Second?")


class Ladder(Flow, evict_after=0):
    """A question that goes up."""

    more: dict[str, Any] = {}

    @start()
    async def ask(self) -> Any:
        """First the agent, then the manager."""
        roles = [("agent", "4h"), ("manager", "1d")]
        return await self.ask_async("Pay?", answer=bool, role=roles, **type(self).more)

    @listen(ask.failed)
    def fall_back(self, error: Exception) -> str:
        """What happens if nobody answers."""
        return f"fell back: {error}"


class Pauses:
    """A provider whose answers come later."""

    def request_feedback(self, context: Any, flow: Any) -> str:
        """Pause."""
        raise HumanFeedbackPending(context)


class Reviewed(Flow):
    """A step that a person reviews later."""

    runs = 0

    @start()
    @human_feedback(
        "Publish?",
        emit=["approved", "rejected"],
        provider=Pauses(),
        metadata={"role": "editor"},
    )
    def write(self) -> str:
        """Counts how often it runs."""
        type(self).runs += 1
        return "text"

    @listen("approved")
    def publish(self, review: Any) -> Any:
        """One way."""
        return "published", review.feedback, review.metadata.get("by")

    @listen("rejected")
    def drop(self, review: Any) -> Any:
        """The other."""
        return "dropped", review.feedback


@pytest.fixture(params=["no store", "memory", "sqlite"])
def place(request, tmp_path, monkeypatch):
    """Where runs are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(writer, "IDLE", 0.05)  # its threads end with the test
    monkeypatch.delenv("FLOWKIT_STORE", raising=False)
    if request.param == "no store":
        yield None
        return
    store: Any = MemoryStore()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "runs.db")
    yield store
    presence_in(store).retire()
    store.close()


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A store in a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(writer, "IDLE", 0.05)  # its threads end with the test
    store = SqliteStore(tmp_path / "runs.db")
    yield store
    presence_in(store).retire()
    store.close()


def begun(cls: Any, place: Any) -> Any:
    """A flow whose run waits, with what it waits for as the only open task."""
    flow = cls(store=place) if place is not None else cls()
    flow.kickoff()
    return flow


def only(flow: Any, **which: Any) -> tasks.Task:
    """The one open task of a run."""
    (task,) = tasks.list(run=flow.run, **which)
    return task


def asking(**wish: Any) -> type:
    """The class that asks so."""
    Asks.wish = wish
    return Asks


def resumed(flow: Any, store: Any) -> Any:
    """The run of a flow that is gone, on a new object, as another process has it."""
    row = store.run(flow.run.id)
    fresh = type(flow)()
    desk._places.clear()
    return load(fresh, store, row)


TYPES = [
    (bool, "yes", True, "perhaps"),
    (int, "3", 3, "three"),
    (list[int], ["1", 2], [1, 2], [None]),
    (Literal["a", "b"], "a", "a", "c"),
    (Tone, "kind", Tone.KIND, "rude"),
    (Place, {"city": "Ulm"}, Place("Ulm"), {"town": "Ulm"}),
    (Small, 9, 9, 10),
    (Price, {"amount": 1, "currency": "EUR"}, Price(amount=1, currency="EUR"), {}),
]


@pytest.mark.parametrize("case", TYPES, ids=lambda case: str(case[0])[:30])
def test_answer_becomes_what_the_step_asked_for(case, place):
    """Text or JSON is turned into the type; what does not fit saves nothing."""
    kind, given, wanted, bad = case
    flow = begun(asking(answer=kind), place)
    task = only(flow)
    with pytest.raises(InputError):
        tasks.answer(task.token, bad)
    assert only(flow) == task
    tasks.answer(task.token, given)
    assert flow.run.result == wanted
    assert flow.run.status == "completed"


def test_bad_answer_names_all_faults_and_what_was_given(place):
    """One message for everything that is wrong."""
    flow = begun(asking(answer=Price), place)
    with pytest.raises(InputError) as caught:
        tasks.answer(only(flow).token, {"amount": -1})
    assert str(caught.value) == (
        "The answer to 'Well?' of Asks.ask does not fit Price: amount: Input should be "
        "greater than 0, got -1; currency: Field required"
    )


def test_answer_is_one_of_the_options(place):
    """Options are shown, and nothing else is taken."""
    flow = begun(asking(options=("ship", "hold")), place)
    task = only(flow)
    assert task.options == ["ship", "hold"]
    with pytest.raises(InputError) as caught:
        tasks.answer(task.token, "sell")
    assert str(caught.value) == (
        "The answer to 'Well?' of Asks.ask is one of 'ship', 'hold', not 'sell'."
    )
    tasks.answer(task.token, "hold")
    assert flow.run.result == "hold"


def test_task_shows_what_a_form_needs(place, clock):
    """Role, schema, times and metadata; Enum and Literal are options."""
    wish = {"answer": Tone, "role": "agent", "timeout": "1h", "metadata": {"case": 7}}
    flow = begun(asking(**wish), place) if place else None
    if flow is None:  # in memory it would wait for its time here
        with driven(asking(**wish)) as flow:
            task = only(flow)
            tasks.answer(task.token, "kind")
    else:
        task = only(flow)
    assert task.flow.endswith(":Asks")
    assert (task.step, task.message, task.role) == ("ask", "Well?", "agent")
    assert task.options == ["kind", "plain"]
    assert task.schema is not None
    assert task.schema["enum"] == ["kind", "plain"]
    assert (task.asked, task.due) == (1_000.0, 4_600.0)
    assert task.metadata == {"case": 7}


class driven:
    """A flow without a store at work in a thread until the block ends."""

    def __init__(self, cls: Any) -> None:
        self.flow = cls()

    def __enter__(self) -> Any:
        self.thread = threading.Thread(target=self.flow.kickoff)
        self.thread.start()
        while self.flow.run is None or not tasks.list(run=self.flow.run):
            threading.Event().wait(0.001)
        return self.flow

    def __exit__(self, *error: object) -> None:
        self.thread.join(50)
        assert not self.thread.is_alive()


def test_second_answer_is_refused(place):
    """An answer counts once."""
    flow = begun(Pair, place)
    first = only(flow)
    tasks.answer(first.token, "one")
    with pytest.raises(RunError, match="is over"):
        tasks.answer(first.token, "two")
    tasks.answer(only(flow).token, "three")
    assert flow.run.result == ("one", "three")


def test_unknown_token_says_where_it_looked(stored):
    """The error names the store and the cure."""
    with pytest.raises(RunError, match="give store="):
        tasks.get("nothing", store=stored)


def test_filters(place):
    """By role, flow and run."""
    flow = begun(asking(role="boss"), place)
    other = begun(Pair, place)
    store = place
    assert [t.step for t in tasks.list(role="boss", run=flow.run)] == ["ask"]
    assert tasks.list(role="nobody", store=store) == []
    ours = {flow.run.id, other.run.id}
    named = [t.run for t in tasks.list(flow=Asks, store=store) if t.run in ours]
    assert named == [flow.run.id]
    named = [t.run for t in tasks.list(flow="Pair", store=store) if t.run in ours]
    assert named == [other.run.id]
    assert tasks.get(only(flow).token) == only(flow)


class TestProposals:
    """Approved, rejected or edited."""

    def test_approve(self, place):
        """The value is the proposal as it was recorded."""
        price = Price(amount=3, currency="EUR")
        flow = begun(asking(proposal=price), place)
        task = only(flow)
        assert task.proposal == {"amount": 3, "currency": "EUR"}
        tasks.approve(task.token, by="ann", comment="fine")
        assert flow.run.result == Decision("approved", price, "ann", "fine")
        assert flow.run.result.approved

    def test_reject(self, place):
        """There is no value."""
        flow = begun(asking(proposal=10), place)
        tasks.reject(only(flow).token, by="ann")
        assert flow.run.result == Decision("rejected", None, "ann")
        assert not flow.run.result.approved

    def test_edit_is_checked_like_an_answer(self, place):
        """Against the proposal's own type if no other is named."""
        flow = begun(asking(proposal=Price(amount=3, currency="EUR")), place)
        with pytest.raises(InputError, match="amount"):
            tasks.edit(only(flow).token, {"amount": 0, "currency": "EUR"})
        tasks.edit(only(flow).token, {"amount": 2, "currency": "EUR"}, by="ann")
        edited = Price(amount=2, currency="EUR")
        assert flow.run.result == Decision("edited", edited, "ann")

    def test_default_decides_when_time_is_over(self, stored, clock):
        """A verdict, by nobody."""
        flow = begun(asking(proposal=10, timeout="1h", default="rejected"), stored)
        clock.advance(3_601)
        assert Asks(store=stored).kickoff(id=flow.run.id) == Decision("rejected")

    @pytest.mark.parametrize(
        ("wish", "verb", "result"),
        [
            ({"answer": bool}, tasks.approve, True),
            ({"answer": bool}, tasks.reject, False),
            ({"options": ["approve", "reject"]}, tasks.approve, "approve"),
            ({"options": ["not_approved", "approved_late"]}, tasks.approve, None),
        ],
    )
    def test_question_with_a_clear_option(self, wish, verb, result, place):
        """Truth values and options that say so can be approved and rejected."""
        flow = begun(asking(**wish), place)
        verb(only(flow).token)
        assert flow.run.result == (result if result is not None else "approved_late")

    def test_question_without_is_refused(self, place):
        """The error says what to call instead."""
        flow = begun(asking(options=["ship", "hold"]), place)
        with pytest.raises(RunError, match="has the options 'ship', 'hold'"):
            tasks.approve(only(flow).token)
        flow = begun(asking(), place)
        with pytest.raises(RunError, match="is not one to reject"):
            tasks.reject(only(flow).token)
        with pytest.raises(RunError, match="no proposal to edit"):
            tasks.edit(only(flow).token, 1)


class TestWhose:
    """Claims, and four eyes."""

    def test_second_claim_is_refused(self, place):
        """One person has it until it is released."""
        flow = begun(asking(), place)
        token = only(flow).token
        assert tasks.claim(token, "ann").assigned_to == "ann"
        assert tasks.claim(token, "ann").assigned_to == "ann"
        with pytest.raises(RunError) as caught:
            tasks.claim(token, "bob")
        assert str(caught.value) == (
            "The task 'Well?' of ask is claimed by 'ann', not by 'bob'. Wait until it "
            "is released: tasks.release(token)."
        )
        with pytest.raises(RunError, match="claimed by 'ann'"):
            tasks.answer(token, "x", by="bob")
        with pytest.raises(RunError, match="claimed by 'ann'"):
            tasks.release(token, by="bob")
        assert tasks.release(token, by="ann").assigned_to is None
        tasks.claim(token, "bob")
        tasks.answer(token, "x", by="bob")
        assert flow.run.result == "x"

    def test_four_eyes(self, place):
        """Who asked does not answer, however he writes his name."""
        flow = begun(asking(four_eyes=True, requested_by="Ann", proposal=1), place)
        token = only(flow).token
        with pytest.raises(RunError, match="say who answers, by="):
            tasks.approve(token)
        with pytest.raises(RunError, match="'Ann' has requested it"):
            tasks.approve(token, by=" ann ")
        with pytest.raises(RunError, match="'Ann' has requested it"):
            tasks.claim(token, "Ann")
        tasks.approve(token, by="Bob")
        assert flow.run.result.by == "Bob"

    def test_requester_from_the_state(self, place):
        """A field of the state says whose request it is."""
        flow = (asking(four_eyes=True))(store=place) if place else Asks()
        Asks.wish = {"four_eyes": True}
        flow.kickoff({"requested_by": "ann"})
        assert only(flow).requested_by == "ann"

    def test_nobody_requested_it(self):
        """Four eyes without a first pair is a mistake."""
        with pytest.raises(ValueError, match="whose request it is"):
            asking(four_eyes=True)().kickoff()


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"options": []}, "is empty"),
        ({"default": 1}, "give timeout="),
        ({"role": [("a", None), "b"]}, "how long 'a' is asked"),
        ({"role": [("a", "1h")], "timeout": 3}, "Give one of them"),
        ({"proposal": 1, "default": 2, "timeout": 1}, "'approved', 'rejected'"),
        ({"answer": threading.Lock}, "no answer could be checked|cannot|can be"),
    ],
)
def test_arguments_that_do_not_go_together(wish, text):
    """Said in the step, before anybody is asked."""
    with pytest.raises(ValueError, match=text):
        asking(**wish)().kickoff()


def test_type_without_a_name_needs_one_in_a_store(stored):
    """Another process could not check its answers."""
    with pytest.raises(RunError, match="Give it a name at module level"):
        begun(asking(answer=Annotated[int, Field(gt=3)]), stored)
    flow = begun(asking(answer=Annotated[int, Field(gt=3)]), None)
    with pytest.raises(InputError):
        tasks.answer(only(flow).token, 2)


class TestTime:
    """Late, escalated, in time after all."""

    def test_without_default_the_step_fails(self, stored, clock):
        """A listener of its failure is the fallback."""
        Ladder.more = {}
        flow = begun(Ladder, stored)
        first = only(flow, role="agent")
        assert only(flow).due == 1_000 + 4 * 3600
        clock.advance(4 * 3600)
        run = resumed(flow, stored)
        drive(run)
        second = only(run.flow, role="manager")
        assert second.token != first.token
        assert second.due == clock.now() + 86_400
        with pytest.raises(RunError, match="No task"):
            tasks.answer(first.token, value=True)
        clock.advance(86_400)
        run = resumed(flow, stored)
        drive(run)
        assert run.result == (
            "fell back: 'Pay?' was asked of agent within 4h and manager within 1d, and "
            "nobody answered. Give more time, a default=, or a step that listens to "
            "ask.failed."
        )

    def test_manager_answers_after_a_restart(self, stored, clock):
        """The position is the second question's."""
        Ladder.more = {"default": None}
        flow = begun(Ladder, stored)
        clock.advance(4 * 3600)
        run = resumed(flow, stored)
        drive(run)
        again = only(run.flow)
        run = resumed(flow, stored)
        drive(run)
        assert only(run.flow).token == again.token
        tasks.approve(again.token)
        assert run.result is True

    def test_answer_in_the_inbox_counts_though_it_is_late_now(self, stored, clock):
        """What was accepted in time is not lost to the default."""
        flow = begun(asking(timeout="1h", default="late"), stored)
        token = only(flow).token
        desk._places.clear()  # as in another process: nobody drives the run
        tasks.answer(token, "in time", store=stored)
        clock.advance(7_200)
        run = resumed(flow, stored)
        drive(run)
        assert run.result == "in time"

    @pytest.mark.anyio
    async def test_default_in_memory(self, clock, anyio_backend):
        """While it is driven, the clock alone ends the wait."""
        flow = asking(timeout="1h", default="late")()
        async with anyio.create_task_group() as group:
            group.start_soon(flow.kickoff_async)
            while flow.run is None or not tasks.list(run=flow.run):
                await checkpoint()
            clock.advance(3_601)
        assert flow.run.result == "late"
        assert tasks.list(run=flow.run) == []


def drive(run: Any) -> None:
    """Move a run on until it waits or is over."""
    from flowkit.runtime.blocking import drive_blocking

    drive_blocking(run, "asyncio")


class TestDrivers:
    """Whoever drives the run takes the answer."""

    @pytest.mark.anyio
    async def test_in_a_loop(self, place, clock, anyio_backend):
        """An answer wakes a step that waits in memory."""

        class Patient(Pair, evict_after="1d"):
            pass

        flow = Patient(store=place) if place else Patient()
        async with anyio.create_task_group() as group:
            group.start_soon(flow.kickoff_async)
            for word in ("one", "two"):
                while flow.run is None or not tasks.list(run=flow.run):
                    await checkpoint()
                tasks.answer(only(flow).token, word)
        assert flow.run.result == ("one", "two")

    def test_in_a_blocking_step(self, place):
        """From another thread."""

        class Patient(Blocks, evict_after="1d"):
            pass

        flow = Patient(store=place) if place else Patient()
        thread = threading.Thread(target=flow.kickoff)
        thread.start()
        while flow.run is None or not tasks.list(run=flow.run):
            threading.Event().wait(0.001)
        tasks.answer(only(flow).token, "7")
        thread.join(50)
        assert flow.run.result == 7

    def test_at_rest_in_the_callers_thread(self, place):
        """A synchronous step starts again and gets its answer."""
        flow = begun(Blocks, place)
        tasks.answer(only(flow).token, 7)
        assert flow.run.result == 7

    @pytest.mark.anyio
    async def test_at_rest_within_a_loop(self, place, anyio_backend):
        """The call blocks, and works."""
        flow = begun(Pair, place)
        tasks.answer(only(flow).token, "one")
        tasks.answer(only(flow).token, "two")
        assert flow.run.result == ("one", "two")

    def test_on_a_bus(self, place):
        """A waiting run goes on where its bus is."""
        with EventBus(store=place) as bus:
            bus.register(Pair)
            flow = begun(Pair, place)
            tasks.answer(only(flow).token, "one")
            bus.drain()
            tasks.answer(only(flow).token, "two")
            bus.drain()
            result = flow.run.result
            if place is not None:
                row = place.run(flow.run.id)
                result = tuple(flowkit.journal.codec.decode(row.result))
        assert result == ("one", "two")

    def test_unknown_flow_in_another_process(self, stored):
        """The letter lies in the inbox until somebody resumes."""
        flow = begun(Pair, stored)
        token = only(flow).token
        desk._places.clear()
        tasks.answer(token, "one", store=stored)
        assert [each.name for each in stored.letters(flow.run.id)] == [
            f"answer:{token}"
        ]
        assert tasks.list(store=stored) == []
        run = resumed(flow, stored)
        drive(run)
        assert stored.letters(flow.run.id) == []
        tasks.answer(only(run.flow).token, "two")
        assert run.result == ("one", "two")


class TestReviews:
    """Pauses of ``@human_feedback`` as tasks."""

    @pytest.mark.parametrize("said", ["approve", "answer"])
    def test_paused_step_is_not_run_again(self, place, said):
        """It ends as ``resume`` ends it."""
        Reviewed.runs = 0
        flow = begun(Reviewed, place)
        task = only(flow, role="editor")
        assert (task.message, task.proposal) == ("Publish?", "text")
        assert task.options == ["approved", "rejected"]
        with pytest.raises(FeedbackError, match="none of its outcomes"):
            tasks.answer(task.token, "dunno")
        with pytest.raises(RunError, match="cannot be edited"):
            tasks.edit(task.token, "x")
        if said == "approve":
            tasks.approve(task.token, by="ann")
        else:
            tasks.answer(task.token, "approved", by="ann")
        assert flow.run.result == ("published", "approved", "ann")
        assert flow.last_human_feedback.outcome == "approved"
        assert flow.pending_feedback is None
        assert Reviewed.runs == 1
        assert tasks.list(run=flow.run) == []

    def test_after_a_restart(self, stored):
        """From the inbox, the letter consumed with the step's end."""
        flow = begun(Reviewed, stored)
        token = only(flow).token
        desk._places.clear()
        tasks.reject(token, comment="too long", store=stored)
        run = resumed(flow, stored)
        drive(run)
        assert run.result == ("dropped", "too long")
        assert stored.letters(run.id) == []

    def test_resume_closes_the_task(self, place):
        """Both ways lead to the same end, once."""
        flow = begun(Reviewed, place)
        token = only(flow).token
        assert flow.resume("rejected") == ("dropped", "rejected")
        assert tasks.list(run=flow.run) == []
        with pytest.raises(RunError, match="over"):
            tasks.approve(token)


def test_cancelling_the_run_closes_the_task(place):
    """Nobody is asked for what is not needed any more."""
    flow = begun(Pair, place)
    token = only(flow).token
    flow.run.cancel()
    if place is not None:
        flow.run.journal.wait(flow.run)
    assert tasks.list(run=flow.run) == []
    if place is not None:
        assert place.waits(token=token) == []
    with pytest.raises(RunError, match="over"):
        tasks.answer(token, "late")


def test_failing_sibling_closes_the_task(place):
    """A run that fails takes its questions with it."""

    class Fails(Flow, evict_after=0):
        @start()
        async def ask(self) -> Any:
            return await self.ask_async("Well?")

        @start()
        async def fail(self) -> None:
            raise LookupError

    flow = Fails(store=place) if place else Fails()
    with pytest.raises(LookupError):
        flow.kickoff()
    assert tasks.list(run=flow.run) == []


SCRIPT = """
import sys, os
from tests.runtime.test_tasks import Price, Asks
Asks.wish = {"answer": Price, "role": "agent"}
Asks(store=sys.argv[1]).kickoff(id="one")
os.kill(os.getpid(), 9)
"""


def test_across_a_killed_process(tmp_path, monkeypatch):
    """The task is there, its answer checked by type, and the step goes on."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/runs.db"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr
    (task,) = tasks.list(store=url)
    assert (task.run, task.role) == ("one", "agent")
    with pytest.raises(InputError, match="currency: Field required"):
        tasks.answer(task.token, {"amount": 1}, store=url)
    tasks.answer(task.token, {"amount": 1, "currency": "EUR"}, store=url)
    Asks.wish = {"answer": Price, "role": "agent"}
    result = Asks(store=url).kickoff(id="one")
    assert (type(result).__name__, result.amount) == ("Price", 1)


OTHER = """
import sys, os
from pydantic import BaseModel
from flowkit import Flow, start

class Size(BaseModel):
    metres: int

class Measures(Flow, evict_after=0):
    @start()
    async def ask(self):
        return await self.ask_async("Size?", answer=Size)

Measures(store=sys.argv[1]).kickoff(id="one")
"""


def test_type_that_is_not_here_is_not_guessed(tmp_path, monkeypatch):
    """An answer that nobody can check is refused, and the task stays open."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/runs.db"
    command = [sys.executable, "-c", OTHER, url]
    subprocess.run(command, cwd=ROOT, check=True)
    (task,) = tasks.list(store=url)
    assert task.schema["required"] == ["metres"]
    with pytest.raises(RunError, match="cannot be found in this process"):
        tasks.answer(task.token, {"metres": 1}, store=url)
    assert tasks.list(store=url) == [task]


def test_answer_that_cannot_be_stored_saves_nothing(stored):
    """The error names it; the task stays open."""
    flow = begun(asking(), stored)
    with pytest.raises(RunError, match="the answer to"):
        tasks.answer(only(flow).token, threading.Lock())
    tasks.answer(only(flow).token, "text")
    assert flow.run.result == "text"


def test_of_many_answers_at_a_time_one_counts(place):
    """The others are told that the task is over."""
    flow = begun(asking(), place)
    token = only(flow).token
    taken, refused = [], []
    ready = threading.Barrier(4)

    def answer(name: str) -> None:
        ready.wait(50)
        try:
            tasks.answer(token, name)
        except RunError:
            refused.append(name)
        else:
            taken.append(name)

    threads = [threading.Thread(target=answer, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert len(taken) == 1
    assert len(refused) == 3
    assert flow.run.result == taken[0]


def test_claim_is_kept_over_a_restart(stored):
    """It is the store's, not the process's."""
    flow = begun(asking(), stored)
    tasks.claim(only(flow).token, "ann")
    run = resumed(flow, stored)
    drive(run)
    assert only(run.flow).assigned_to == "ann"


def test_race_that_is_lost_closes_the_task(place):
    """A step that is cancelled by itself asks no more; its run goes on."""

    class Race(Flow, evict_after=0):
        @start()
        async def ask(self) -> Any:
            return await self.ask_async("Well?")

        @start()
        async def other(self) -> str:
            return await self.ask_async("Or?")

        @listen(any_of(1, "ask", "other", rest="cancel"))
        async def go_on(self) -> Any:
            return await self.ask_async("Then?")

    flow = begun(Race, place)
    first, second = tasks.list(run=flow.run)
    tasks.answer(second.token, "this")
    assert [task.message for task in tasks.list(run=flow.run)] == ["Then?"]
    with pytest.raises(RunError, match="over"):
        tasks.answer(first.token, "late")


def test_changed_question_is_drift(stored):
    """An answer to one question is never given to another."""

    class Changes(Flow, evict_after=0):
        text = "Ship?"

        @start()
        async def ask(self) -> Any:
            return await self.ask_async(type(self).text, answer=bool)

    flow = begun(Changes, stored)
    token = only(flow).token
    Changes.text = "Refund?"
    with pytest.raises(DriftError, match=r"asked ask\('Ship\?'\)"):
        tasks.answer(token, value=True)


class Steps(Flow, evict_after=0):
    """A synchronous step whose question goes up."""

    @start()
    def ask(self) -> Any:
        """As in an async one, without await."""
        roles = [("agent", "4h"), ("manager", "1d")]
        return self.ask_async("Pay?", answer=bool, role=roles, default=False)


def test_synchronous_step_escalates(stored, clock):
    """It gives the value itself."""
    flow = begun(Steps, stored)
    for role, time in (("agent", 4 * 3600), ("manager", 86_400)):
        assert only(flow).role == role
        clock.advance(time)
        run = resumed(flow, stored)
        drive(run)
        flow = run.flow
    assert run.result is False


def test_review_is_answered_while_another_branch_runs(place):
    """The run need not rest for it."""

    class Beside(Flow, evict_after="1d"):
        @start()
        @human_feedback("Fine?", provider=Pauses())
        def write(self) -> str:
            return "text"

        @start()
        async def wait(self) -> Any:
            return await self.ask_async("Go?")

    flow = Beside(store=place) if place else Beside()
    thread = threading.Thread(target=flow.kickoff)
    thread.start()
    while flow.run is None or len(tasks.list(run=flow.run)) < 2:
        threading.Event().wait(0.001)
    found = {task.message: task.token for task in tasks.list(run=flow.run)}
    tasks.answer(found["Fine?"], "yes")
    tasks.answer(found["Go?"], "go")
    thread.join(50)
    assert flow.last_human_feedback.feedback == "yes"
    assert flow.run.status == "completed"
