"""Declared steps that run another flow: ``@listen(order, flow=Charge)``."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from flowkit import Flow, and_, event, listen, router, start
from flowkit.errors import InputError
from flowkit.journal.graphs import definition_from, graph_hash, graph_text
from flowkit.journal.memory import MemoryStore
from flowkit.journal.queries import Query

STORES = [None, "memory"]


@pytest.fixture(params=STORES)
def store(request):
    """Nothing, or a store of this test's own."""
    return None if request.param is None else MemoryStore("memory:test")


def made(cls, store):
    return cls() if store is None else cls(store=store)


class ChargeState(BaseModel):
    """What a charge works on."""

    amount: int = 0


class Charge(Flow[ChargeState]):
    """Charges a card."""

    @start()
    def check(self):
        return self.state.amount * 2

    @listen(check)
    def book(self, doubled):
        self.state.amount = 0
        return f"booked {doubled}"


class Factorial(Flow):
    """A flow that runs itself, by its name."""

    @start()
    def look(self):
        return self.state.get("n", 1)

    @router(look)
    def more(self):
        return "go on" if self.state["n"] > 1 else "done"

    @listen("go on", flow="Factorial")
    def below(self):
        return {"n": self.state["n"] - 1}

    @listen(below)
    def multiply(self, value):
        return value * self.state["n"]

    @listen("done")
    def one(self):
        return 1


async def test_what_the_method_returns_are_the_inputs(store) -> None:
    """The called flow's result is the step's output, and its state its own."""

    class Order(Flow):
        @start()
        def take(self):
            self.state["amount"] = 7
            return "lamp"

        @listen(take, flow=Charge)
        def charge(self, item):
            assert item == "lamp"
            return {"amount": self.state["amount"]}

        @listen(charge)
        def ship(self, receipt):
            return receipt, self.state["amount"]

    order = made(Order, store)
    assert await order.kickoff_async() == ("booked 14", 7)
    assert [name for name, _, _ in order.run.history] == ["take", "charge", "ship"]


def test_a_step_without_a_method_hands_on_what_came(store) -> None:
    """A mapping or a model; those of several arrivals by their names."""

    class Echo(Flow):
        @start()
        def say(self):
            return {key: self.state[key] for key in self.state if key != "id"}

    class Order(Flow):
        @start()
        def left(self):
            return {"amount": 3}

        @start()
        def right(self):
            return ChargeState(amount=4)

        one = listen(left, flow=Echo)
        two = listen(right, flow=Echo)
        both = listen(and_(left, right), flow=Echo)

        @listen(and_(one, two, both))
        def end(self, one, two, both):
            return one, two, both

    one, two, both = made(Order, store).kickoff()
    assert one == {"amount": 3}
    assert two == {"amount": 4}
    assert both == {"left": {"amount": 3}, "right": ChargeState(amount=4)}


def test_a_start_without_a_method_hands_on_the_inputs(store) -> None:
    """The id of the state is its own."""

    class Order(Flow):
        charge = start(flow=Charge)

        @listen(charge)
        def end(self, receipt):
            return receipt

    assert made(Order, store).kickoff({"amount": 5}) == "booked 10"


def test_a_router_takes_the_label_that_its_flow_gives(store) -> None:
    """``emit=`` declares them, as for a method."""

    class Decide(Flow):
        @start()
        def look(self):
            return "accepted" if self.state["amount"] < 10 else "refused"

    class Order(Flow):
        @start()
        def take(self):
            return {"amount": 12}

        decide = router(take, flow=Decide, emit=["accepted", "refused"])

        @listen("accepted")
        def ship(self):
            return "shipped"

        @listen("refused", flow=Charge)
        def fee(self):
            return {"amount": 1}

    assert made(Order, store).kickoff() == "booked 2"


def test_a_label_hands_on_nothing(store) -> None:
    """Its flow begins with its own defaults."""

    class Order(Flow):
        @start()
        @router()
        def take(self):
            return "paid"

        charge = listen("paid", flow=Charge)

    assert made(Order, store).kickoff() == "booked 0"


def test_a_flow_can_run_itself_by_name(store) -> None:
    """Each level with its own state."""
    assert made(Factorial, store).kickoff({"n": 5}) == 120


def test_what_is_no_mapping_is_refused_with_the_cure(store) -> None:
    """The step fails; the text says what was handed on, and where."""

    class Order(Flow):
        @start()
        def take(self):
            return 7

        charge = listen(take, flow=Charge)

    with pytest.raises(InputError) as caught:
        made(Order, store).kickoff()
    place = Order.definition().step("charge").place
    assert place.startswith("test_flow_steps.py:")
    assert str(caught.value) == (
        "Order.charge hands 7 to Charge as its inputs, and they are a mapping of "
        "state fields. Give the step a method that returns one: {'field': value}. "
        f"({place})"
    )


def test_flow_takes_a_flow() -> None:
    """A class that is none is refused where it is written."""
    with pytest.raises(ValueError, match="takes a Flow class") as caught:
        listen("paid", flow=int)
    assert str(caught.value) == (
        "@listen(.., flow=..) takes a Flow class, or the name of one as text, not "
        "<class 'int'>."
    )


def test_a_failure_of_the_flow_is_heard_as_the_steps(store) -> None:
    """``step.failed`` of a step without a method, too."""

    class Broken(Flow):
        @start()
        def pay(self):
            raise ValueError("card refused")

    class Order(Flow):
        charge = start(flow=Broken)

        @listen(charge.failed)
        def mend(self, error):
            return f"mended {error}"

    assert made(Order, store).kickoff() == "mended card refused"


def test_the_definition_names_the_flow() -> None:
    """As plain data that a store keeps; another flow is another graph."""

    class Order(Flow):
        charge = start(flow=Charge)

    class Other(Flow):
        charge = start(flow=Factorial)

    definition = Order.definition()
    assert definition.step("charge").flow == f"{__name__}:Charge"
    assert definition_from(graph_text(definition)) == definition
    other = Other.definition()._replace(name="Order")
    assert graph_hash(other) != graph_hash(definition)


async def test_a_declared_step_waits_with_its_flow() -> None:
    """The stored caller goes on when the called run has had its event."""
    store = MemoryStore("memory:test")

    class Approval(Flow):
        @start()
        def ask(self):
            return None

        @listen(event("approved"))
        def note(self, by):
            self.stop(by)

    class Order(Flow, evict_after=0):
        approve = start(flow=Approval)

        @listen(approve)
        def end(self, by):
            return f"approved by {by}"

    order = Order(store=store)
    await order.kickoff_async(id="order")
    (child,) = store.runs(Query(parent="order"))
    assert store.run("order").status == child.status == "waiting"
    approval = Approval(store=store)
    await approval.kickoff_async(id=child.id)
    approval.send("approved", "Ann")
    assert order.run.result == "approved by Ann"
