"""State, kickoff, run and bus have the declared types; read, never run."""

from typing import Any, Generic, TypeVar, assert_type

from pydantic import BaseModel

from flowkit import EventBus, Flow, FlowState, Run, listen, start
from flowkit.runtime.receipt import Receipt


class Order(FlowState):
    total: int = 0


class Plain(BaseModel):
    lines: list[str] = []


class Shop(Flow[Order]):
    @start()
    def price(self) -> int:
        assert_type(self.state, Order)
        assert_type(self.state.total, int)
        self.state.total = "much"  # type: ignore[assignment]
        self.state.totl = 1  # type: ignore[attr-defined]
        return self.state.total


class Poem(Flow[Plain], strict=True):
    @start()
    async def write(self) -> None:
        assert_type(self.state.lines, list[str])


class Free(Flow[dict[str, Any]], on_conflict="last", backend="trio"):
    @start()
    def begin(self) -> None:
        assert_type(self.state, dict[str, Any])


StateT = TypeVar("StateT", bound=BaseModel)


class Base(Flow[StateT], Generic[StateT]):
    @start()
    def begin(self) -> StateT:
        return self.state


class Derived(Base[Order]):
    @listen(Base.begin)
    def more(self, order: Order) -> int:
        return order.total + self.state.total


def from_outside(bus: EventBus) -> None:
    """What users hold after a kickoff or a send."""
    shop = Shop(name="corner shop")
    assert_type(shop.state, Order)
    assert_type(shop.state.id, str)
    assert_type(shop.flow_id, str)
    assert_type(shop.kickoff({"total": 3}), Any)
    assert_type(shop.kickoff(inputs=None), Any)
    assert_type(shop.run, Run | None)
    assert_type(shop.method_outputs, list[Any])
    assert_type(Derived().state, Order)
    assert_type(Poem().state, Plain)
    assert_type(Free().state, dict[str, Any])
    assert_type(Shop.plot("shop.html"), str)
    assert_type(bus.send("order", {"total": 3}, key="7", id="evt-1"), Receipt)
    shop.kickoff(total=3)  # type: ignore[call-arg]
    shop.kickoff("seven")  # type: ignore[arg-type]


async def awaited(shop: Shop, bus: EventBus) -> None:
    """The async forms."""
    assert_type(await shop.kickoff_async({"total": 3}), Any)
    assert_type(await shop.akickoff(), Any)
    assert_type(await bus.send_async("order"), Receipt)


def handlers(bus: EventBus) -> None:
    """``on`` gives the function back."""

    def page(alert: dict[str, str]) -> None: ...

    assert_type(bus.off("alert", page), bool)
