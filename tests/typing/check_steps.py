"""Decorated methods keep their signature; read by mypy and pyright, never run."""

from typing import Any, Literal, assert_type

from flowkit import (
    Flow,
    all_active,
    and_,
    any_of,
    event,
    listen,
    merge,
    or_,
    router,
    start,
    times,
)
from flowkit.define.conditions import Condition, EventSource, FailedSource


class Steps(Flow[dict[str, Any]]):
    @start()
    def begin(self) -> int:
        return 1

    @start
    def bare(self, crewai_trigger_payload: str = "") -> bytes:
        return b""

    @start("again")
    async def again(self) -> float:
        return 0.5

    @start(on=event("order", key="id"))
    def on_event(self, payload: dict[str, str]) -> str:
        return payload["id"]

    @listen(begin, max_firings=3)
    def plain(self, number: int, *, times: int = 1) -> str:
        return str(number * times)

    @listen("label")
    async def awaited(self, label: str) -> list[str]:
        return [label]

    @router(and_(begin, awaited), emit=["yes", "no"])
    def route(self, begin: int, awaited: list[str]) -> str:
        return "yes"

    @router
    def bare_router(self) -> Literal["a", "b"] | None:
        return None

    @start()
    @router()
    def both(self, many: int = 1) -> list[str]:
        return []

    @listen(plain.failed)
    def mend(self, error: Exception) -> None:
        assert_type(self.plain(1), str)

    @listen(or_(begin, "label", event("order"), plain.failed, and_(route, "yes")))
    def any_source(self) -> None: ...


def called_on_an_instance(flow: Steps) -> None:
    """A step called directly is the method that was written."""
    assert_type(flow.begin(), int)
    assert_type(flow.bare(crewai_trigger_payload="x"), bytes)
    assert_type(flow.on_event({"id": "7"}), str)
    assert_type(flow.plain(1, times=2), str)
    assert_type(flow.route(1, ["x"]), str)
    assert_type(flow.bare_router(), Literal["a", "b"] | None)
    assert_type(flow.both(many=2), list[str])
    flow.plain("one")  # type: ignore[arg-type]
    flow.plain()  # type: ignore[call-arg]
    flow.begin(1)  # type: ignore[call-arg]


async def awaited_on_an_instance(flow: Steps) -> None:
    """An async step stays a coroutine function."""
    assert_type(await flow.awaited("label"), list[str])
    assert_type(await flow.again(), float)


def taken_from_the_class(flow: Steps) -> None:
    """A step on its class is a source for conditions, and is called with a flow."""
    assert_type(Steps.plain.failed, FailedSource)
    assert_type(Steps.plain(flow, 1), str)
    assert_type(Steps.plain.__name__, str)
    Steps.begin.failing  # type: ignore[attr-defined]  # noqa: B018


def conditions() -> None:
    """Joins take steps, names, events, failures and joins, and nothing else."""
    assert_type(and_(Steps.begin, "label"), Condition)
    assert_type(merge(Steps.begin, event("order")), Condition)
    assert_type(any_of(2, "a", "b", "c", rest="cancel"), Condition)
    assert_type(all_active(Steps.begin, Steps.plain), Condition)
    assert_type(times(3, "a"), Condition)
    assert_type(event("order", key=lambda order: order["id"]), EventSource)
    or_(1)  # type: ignore[arg-type]
    listen(2)  # type: ignore[call-overload]
    listen()  # type: ignore[call-overload]
    any_of(1, "a", rest="kill")  # type: ignore[arg-type]
    router("a", emit=3)  # type: ignore[call-overload]
