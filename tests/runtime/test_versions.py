"""Stored runs under a class that has changed since."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from flowkit import (
    Flow,
    RunError,
    and_,
    event,
    factory,
    listen,
    migrate,
    or_,
    resume,
    resume_async,
    router,
    runs,
    start,
    timer,
)
from flowkit.journal.codec import names
from flowkit.journal.writer import writer_of
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import factories
from tests.runtime.stored import MemoryStore, crashed, instead

ran: list[str] = []


@pytest.fixture(autouse=True)
def classes(clock):
    """Time stands still until it is moved; classes are put back."""
    ran.clear()
    classes = dict(known)
    yield
    known.clear()
    known.update(classes)
    factories.clear()


class Amount(BaseModel):
    """An amount of money."""

    cents: int = 0


class Order(Flow[Amount]):
    """Two branches into a join, then an event."""

    @start()
    def take(self):
        self.state.cents = 100

    @listen(take)
    def left(self):
        ran.append("left")
        return "l"

    @listen(take)
    def right(self):
        ran.append("right")
        return "r"

    @listen(and_(left, right))
    def join(self):
        ran.append("join")
        return "joined"

    @listen(event("paid"))
    def book(self, amount):
        return [amount, self.state.cents]


def stopped(store, seq, cls=Order, id="c"):
    """A run of the class in the middle of its records."""
    cls(store=store).kickoff(id="whole")
    return crashed(store, "whole", seq, id)


def refused(store, id="c"):
    """The text of the refusal; the run is left as it was."""
    while not writer_of(store).idle:  # a run is let go of beside
        pass
    before = store.run(id)
    with pytest.raises(RunError) as caught:
        resume(id, store=store)
    after = store.run(id)
    assert (after.status, after.seq, after.owner) == (before.status, before.seq, None)
    return str(caught.value)


CURE = "\nBring that back, say what it is called now (New's class keyword renamed={..}, or a @migrate hook), or finish the run with the class that began it (older=). Nothing was changed."


def test_an_added_step_and_changed_bodies_are_fine(store):
    """The run goes on in the graph as it is now; what it is now is kept with it."""
    stopped(store, 3)

    class New(Flow[Amount]):
        @start()
        def early(self):
            ran.append("early")

        @start()
        def take(self):
            ran.append("take")

        @listen(take)
        def left(self):
            ran.append("left")

        @listen(take)
        def right(self):
            ran.append("right now")
            return "rr"

        @listen(and_(left, right))
        def join(self):
            ran.append("join now")

        @listen(join)
        def more(self):
            ran.append("more")
            return "all"

        @listen(event("paid"))
        def book(self, amount):
            return amount

    instead(Order, New)
    ran.clear()
    run = resume("c", store=store)
    assert run.status == "waiting"
    assert ran == ["right now", "join now", "more"]
    assert [each.step for each in runs.history("c", store=store)] == [
        "take",
        "left",
        "right",
        "join",
        "more",
    ]
    ran.clear()
    assert resume("c", store=store).status == "waiting"
    run = runs.get("c", store=store)
    assert [each.name for each in run.waits] == ["paid"]
    assert ran == []


def test_a_live_step_that_is_gone_is_refused(store):
    """With its firing; nothing is changed, and the old class still goes on."""
    stopped(store, 3)

    class New(Flow[Amount]):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

        @listen(take)
        def rights(self):
            pass

        @listen(and_(left, rights))
        def join(self):
            pass

        @listen(event("paid"))
        def book(self, amount):
            pass

    instead(Order, New)
    assert refused(store) == (
        "Run 'c' stands where New has no place any more:\n"
        "  - step right (firing 3) is gone; did you mean rights?" + CURE
    )
    del known[New]
    known[Order] = Order_kind
    assert resume("c", store=store).status == "waiting"


Order_kind = known[Order]


def test_a_renamed_step_is_carried_over(store):
    """Live firings, inputs that have arrived, and failures to come."""
    stopped(store, 3)

    class New(Flow[Amount], renamed={"left": "west", "right": "east"}):
        @start()
        def take(self):
            pass

        @listen(take)
        def west(self):
            ran.append("west")

        @listen(take)
        def east(self):
            ran.append("east")
            return "e"

        @listen(and_(west, east))
        def join(self, east):
            ran.append(f"join {east}")

        @listen(event("paid"))
        def book(self, amount):
            return amount

    instead(Order, New)
    ran.clear()
    assert resume("c", store=store).status == "waiting"
    assert ran == ["east", "join e"]
    assert resume("c", store=store).status == "waiting"
    steps = [each.step for each in runs.history("c", store=store)]
    assert steps == ["take", "left", "right", "join"]


def test_a_removed_input_that_has_arrived_is_refused(store):
    """Its token would be lost."""
    stopped(store, 3)

    class New(Flow[Amount]):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

        @listen(take)
        def right(self):
            pass

        @listen(take)
        def middle(self):
            pass

        @listen(and_(middle, right))
        def join(self):
            pass

        @listen(event("paid"))
        def book(self, amount):
            pass

    instead(Order, New)
    assert refused(store) == (
        "Run 'c' stands where New has no place any more:\n"
        "  - step join holds a token of left in and_(left, right), which is and_(middle, right) now"
        + CURE
    )


def test_a_removed_input_that_has_not_arrived_is_fine(store):
    """The join needs less now."""
    stopped(store, 3)

    class New(Flow[Amount]):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

        @listen(take)
        def right(self):
            ran.append("right")

        @listen(or_(left, right))
        def join(self):
            ran.append("join")

        @listen(event("paid"))
        def book(self, amount):
            pass

    instead(Order, New)
    ran.clear()
    resume("c", store=store)
    assert ran[0] == "right"
    assert "join" in ran


def test_an_event_nobody_takes_any_more_is_refused(store):
    """The run would wait for ever."""
    Order(store=store).kickoff(id="c")

    class New(Flow[Amount]):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

    instead(Order, New)
    assert refused(store) == (
        "Run 'c' stands where New has no place any more:\n"
        "  - it waits for event('paid'), and no step has it as its trigger" + CURE
    )


def test_a_listener_added_to_a_waiting_run_is_in_its_row(store):
    """An event for it finds the run, once it was resumed."""
    Order(store=store).kickoff(id="c")

    class New(Flow[Amount]):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

        @listen(take)
        def right(self):
            pass

        @listen(and_(left, right))
        def join(self):
            pass

        @listen(event("paid"))
        def book(self, amount):
            pass

        @listen(event("void"))
        def cancel(self, why):
            pass

    instead(Order, New)
    resume("c", store=store)
    assert {each.name for each in runs.get("c", store=store).waits} == {"paid", "void"}


def test_all_that_is_missing_is_told_at_once(store):
    """A step, an input and a field."""
    stopped(store, 3)

    class More(BaseModel):
        cents: int
        currency: str

    class New(Flow[More]):
        @start()
        def take(self):
            pass

        @listen(take)
        def middle(self):
            pass

        @listen(and_(take, middle))
        def join(self):
            pass

        @listen(event("paid"))
        def book(self, amount):
            pass

    instead(Order, New)
    assert refused(store).removesuffix(CURE) == (
        "Run 'c' stands where New has no place any more:\n"
        "  - step right (firing 3) is gone\n"
        "  - step join holds a token of left in and_(left, right), which is and_(take, middle) now\n"
        "  - field currency of More has no default and no stored value"
    )


class Euro(BaseModel):
    """The amount in another unit, with a field that has no default."""

    euros: float
    currency: str


def euro_class(**keywords):
    """The next version: another state, two steps renamed."""

    class New(Flow[Euro], version="2", **keywords):
        @start()
        def take(self):
            pass

        @listen(take)
        def west(self):
            ran.append("west")

        @listen(take)
        def east(self):
            ran.append("east")

        @listen(and_(west, east))
        def join(self):
            ran.append("join")

        @listen(event("paid"))
        def book(self, amount):
            return [self.state.euros, self.state.currency]

        @migrate(from_version="")
        @staticmethod
        def to_euros(state, positions):
            ran.append("migrate")
            positions["left"] = "west"
            new = {"id": state["id"], "euros": state["cents"] / 100, "currency": "EUR"}
            return new, {**positions, "right": "east"}

    return New


def test_a_hook_carries_state_and_positions_over(store):
    """Once: what it gave is in the records."""
    stopped(store, 3)
    instead(Order, euro_class())
    ran.clear()
    run = resume("c", store=store)
    assert ran == ["migrate", "east", "join"]
    assert (run.state.euros, run.state.currency) == (1.0, "EUR")
    ran.clear()
    run = resume("c", store=store)
    assert ran == []
    assert run.state.euros == 1.0
    seq = runs.get("c", store=store).records
    state = runs.state_at("c", seq, store=store)
    assert {**state, "id": ""} == {"id": "", "euros": 1.0, "currency": "EUR"}


def test_a_rewind_behind_a_change_migrates_again(store):
    """The run is of the former version there."""
    stopped(store, 3)
    instead(Order, euro_class())
    resume("c", store=store)
    runs.rewind("c", seq=2, store=store)
    ran.clear()
    run = resume("c", store=store)
    assert run.state.euros == 1.0
    assert ran == ["west", "east", "join"]
    assert [e.step for e in runs.history("c", store=store) if not e.undone] == [
        "take",
        "left",
        "right",
        "join",
    ]


def test_a_fork_of_an_older_run_is_migrated(store):
    """The new run stands in the graph as it is now."""
    stopped(store, 3)
    instead(Order, euro_class())
    made = runs.fork("c", seq=3, state={"currency": "CHF"}, store=store)
    run = resume(made, store=store)
    assert (run.state.euros, run.state.currency) == (1.0, "CHF")
    assert store.run("c").seq == 3


def test_a_hook_may_change_what_it_is_given(store):
    """And give nothing back."""
    Order(store=store).kickoff(id="c")

    class New(Order, version="2"):
        @migrate(from_version="")
        @classmethod
        def double(cls, state, positions):
            state["cents"] *= 2

    instead(Order, New)
    assert resume("c", store=store).state.cents == 200
    assert resume("c", store=store).state.cents == 200


def test_a_hook_that_gives_something_else_is_told(store):
    """And the run is left as it was."""
    Order(store=store).kickoff(id="c")

    class New(Order, version="2"):
        @migrate(from_version="")
        @staticmethod
        def wrong(state, positions):
            return 5

    instead(Order, New)
    assert refused(store).endswith(
        "New.wrong, a @migrate hook, gave 5. It changes the state and the positions it is given, or returns both as a pair."
    )


def test_migrate_marks_static_and_class_methods_only():
    """A plain method would need a flow object."""
    with pytest.raises(TypeError) as caught:

        @migrate(from_version="1")
        def carry(state, positions):
            return state, positions

    assert str(caught.value) == (
        "@migrate marks a static or class method, and carry is none: write @staticmethod in the line below @migrate(..)."
    )


class Report1(Flow[dict], version="1"):
    """As it was; kept to finish its runs."""

    @start()
    def write(self):
        ran.append("write 1")

    @listen(event("read"))
    def close(self, by):
        return f"1 read by {by}"


class Report(Flow[dict], version="2", older=[Report1]):
    """As it is."""

    @router()
    @start()
    def draft(self):
        ran.append("draft 2")
        return "ready"

    @listen("ready")
    def publish(self):
        return "2"


def old_run(store, id="r"):
    """A run that version 1 began when it had the flow's name."""
    kind = known.pop(Report)
    Report1.__qualname__ = "Report"
    try:
        Report1(store=store).kickoff(id=id)
    finally:
        Report1.__qualname__ = "Report1"
        known[Report] = kind


def test_a_run_is_finished_by_the_class_of_its_version(store):
    """New runs take the new class, old ones the one that is kept for them."""
    old_run(store)
    ran.clear()
    run = resume("r", store=store)
    assert type(run.flow) is Report1
    assert run.flow.send("read", "ann")
    assert run.result == "1 read by ann"
    assert Report(store=store).kickoff(id="new") == "2"
    assert runs.get("new", store=store).version == "2"
    assert runs.get("r", store=store).version == "1"


def test_a_kickoff_of_an_old_run_goes_on_in_the_old_class(store):
    """By idempotency key; ``flow.run`` is its handle."""
    old_run(store)
    flow = Report(store=store)
    run = flow.kickoff(id="r")
    assert flow.run is run
    assert type(run.flow) is Report1


def test_older_takes_classes_with_a_version():
    """Else no run could be told to be theirs."""
    with pytest.raises(ValueError) as caught:

        class Next(Flow, older=[Order]):
            @start()
            def a(self):
                pass

    assert str(caught.value) == (
        f"class Next(older=..) takes flow classes with a version of their own, and {Order!r} is none. Keep the old class under another name: class Next1(Flow, version='1')."
    )


class Former(Flow[dict]):
    """Gets another name."""

    @start()
    def ask(self):
        ran.append("ask")

    @listen(event("go"))
    def use(self, payload):
        return payload


@pytest.fixture
def renamed_class():
    """A function that gives the class another name; it is put back."""

    def rename():
        Former_.__qualname__ = "Renamed"
        del globals()["Former"]

    yield rename
    Former_.__qualname__ = "Former"
    globals()["Former"] = Former_
    names._aliases.clear()


def test_a_renamed_class_is_told(store, renamed_class):
    """The run waits until somebody says which class it is now."""
    Former(store=store).kickoff(id="c")
    crashed(store, "c", 1, "d")
    renamed_class()
    name = f"{__name__}:Former"
    text = refused(store)
    assert text.startswith(f"The flow class {name!r} of a stored run is not there. ")
    assert text.endswith(
        f"or tell its new place: flowkit.journal.codec.alias({name!r}, TheClass)."
    )
    names.alias(name, Former_)
    assert resume("c", store=store).status == "waiting"
    ran.clear()
    assert [each.id for each in Former_.resume_all(store=store)] == ["d"]
    assert ran == ["ask"]


Former_ = Former


class Client(Flow[dict]):
    """Needs a client, which is no state."""

    def __init__(self, client, **keywords):
        super().__init__(**keywords)
        self.client = client

    @start()
    def ask(self):
        return 1

    @listen(event("go"))
    def use(self, payload):
        return [self.client, payload]


def test_a_class_with_arguments_needs_a_factory(store):
    """The text says how it is registered."""
    Client("one", store=store).kickoff(id="c")
    assert "flowkit.factory(Client, lambda: Client(..))" in refused(store)
    factory(Client, lambda: Client("two"))
    run = resume("c", store=store)
    run.flow.send("go", 5)
    assert run.result == ["two", 5]


def test_factory_takes_flow_classes():
    """A function would never be asked."""
    with pytest.raises(TypeError) as caught:
        factory(print, print)
    assert str(caught.value) == (
        f"factory() takes a flow class, and {print!r} is none."
    )


async def test_runs_are_resumed_on_both_loops(anyio_backend, tmp_path):
    """``resume_async`` gives what ``kickoff_async`` does."""
    store = MemoryStore()
    Order(store=store).kickoff(id="whole")
    crashed(store, "whole", 3, "c")
    ran.clear()
    run = await resume_async("c", store=store)
    assert run.status == "waiting"
    assert (len(ran), ran[-1]) == (2, "join")


async def test_all_runs_of_a_class_are_resumed(anyio_backend):
    """Side by side; what cannot go on keeps its place and is logged."""
    store = MemoryStore()
    Order(store=store).kickoff(id="whole")
    for number in range(5):
        crashed(store, "whole", 2 + number % 3, f"c{number}")
    ran.clear()
    handles = await Order.resume_all_async(store=store)
    assert [each.id for each in handles] == [f"c{number}" for number in range(5)]
    assert {each.status for each in handles} == {"waiting"}
    assert sorted(set(ran)) == ["join", "left", "right"]
    assert await Order.resume_all_async(store=store) == []


def test_resume_all_leaves_out_what_cannot_go_on(store, caplog):
    """The others go on; the refusal is logged as an error."""
    stopped(store, 3, id="c1")
    crashed(store, "whole", 5, "c2")

    class New(Flow[Amount], store=store):
        @start()
        def take(self):
            pass

        @listen(take)
        def left(self):
            pass

        @listen(event("paid"))
        def book(self, amount):
            pass

    instead(Order, New)
    (run,) = New.resume_all()
    assert run.id == "c2"
    (told,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "run c1 cannot go on: Run 'c1' stands where" in told.getMessage()
    assert store.run("c1").owner is None


class Fallible(Flow[dict]):
    """A join of a failure and a label; a step after the failure alone."""

    @start()
    def risky(self):
        raise ValueError("no")

    @start()
    def slow(self):
        return "s"

    @router(slow)
    def route(self):
        return "fast"

    @listen(and_(risky.failed, "fast"))
    def mend(self, got):
        return "mended"


def test_failures_and_labels_that_have_arrived_are_renamed(store):
    """The failure counts under the new name; a label is no step's name."""
    Fallible(store=store).kickoff(id="whole")
    crashed(store, "whole", 3, "c")

    class New(Flow[dict], renamed={"risky": "daring", "route": "fast_or_not"}):
        @start()
        def added(self):
            pass

        @start()
        def daring(self):
            raise ValueError("no")

        @start()
        def slow(self):
            return "s"

        @router(slow)
        def fast_or_not(self):
            return "fast"

        @listen(and_(daring.failed, "fast"))
        def mend(self, daring):
            return f"mended {daring}"

    instead(Fallible, New)
    assert resume("c", store=store) == "mended no"


class Later(Flow[dict]):
    """Waits for a time."""

    @start()
    def begin(self):
        pass

    @listen(timer("1h", after=begin))
    def go(self):
        return "gone"


def test_a_timer_that_is_set_needs_its_step(store):
    """Else its time would come for nothing."""
    Later(store=store).kickoff(id="whole")
    crashed(store, "whole", 2, "c")

    class New(Flow[dict]):
        @start()
        def begin(self):
            pass

        @listen(timer("2h", after=begin))
        def go(self):
            return "gone"

    instead(Later, New)
    text = refused(store)
    assert text.splitlines()[1].endswith("was set, and no step has it as its trigger")
    assert len(text.splitlines()) == 3


def test_a_token_keeps_its_router_when_steps_move():
    """Its place in the tables is another one now."""
    from flowkit.core.machine import decide
    from flowkit.core.marking import Marking
    from flowkit.core.net import net_of
    from flowkit.core.records import RunStarted, StepFinished
    from flowkit.core.transfer import transferred

    class Old(Flow):
        @start()
        def a(self):
            pass

        @router(a)
        def pick(self):
            return "x"

        @start()
        def b(self):
            pass

        @listen(and_("x", b))
        def join(self):
            pass

    class New(Flow):
        @start()
        def first(self):
            pass

        @start()
        def a(self):
            pass

        @router(a)
        def pick(self):
            return "x"

        @start()
        def b(self):
            pass

        @listen(and_("x", b))
        def join(self):
            pass

    old, new = net_of(Old.definition()), net_of(New.definition())
    marking = Marking(len(old.nodes))
    decide(old, marking, RunStarted(0.0))
    (a,) = (each.id for each in marking.live.values() if each.node.name == "a")
    (firing,) = decide(old, marking, StepFinished(1.0, a))
    decide(old, marking, StepFinished(2.0, firing.id, "x", ("x",)))
    moved = transferred(marking, old, new)
    ((round_,),) = moved.rounds.values()
    ((token,),) = round_.held.values()
    assert new.nodes[token.router].name == "pick"
