"""What a call does to a state of its own becomes what its step did, whatever it was."""

from __future__ import annotations

import random
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel, ConfigDict

from flowkit import Flow, Hedge, StateError, listen, start
from flowkit.core.records import StepFinished, StepHedged
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.runtime.scope import Scope


class Open(BaseModel):
    """A state that takes any field."""

    model_config = ConfigDict(extra="allow")
    names: list[str] = []
    count: Annotated[int, lambda old, new: old + new] = 0


class Other(BaseModel):
    """Another state of the same fields."""

    names: list[str] = []
    count: int = 0


def changed_of(flow: Flow[Any], step: str) -> tuple[str, ...]:
    """The fields that a step's record names."""
    number = [name for name, *_ in flow.run.history].index(step)
    ended = [each for each in flow.run.records if isinstance(each, StepFinished)]
    return ended[number].changed


async def test_fields_come_go_and_grow() -> None:
    """As they would in the step itself, alone on the state."""

    class Does(Flow):
        @start()
        async def begin(self):
            self.state.update(gone=1, kept=[1], grown=[1], touched=[1])

        @listen(begin, hedge=Hedge(60))
        async def go(self):
            del self.state["gone"]
            self.state["grown"].append(2)
            self.state["new"] = {"a": 1}
            assert self.state["touched"] == [1]

    flow = Does()
    await flow.kickoff_async()
    assert {**flow.state, "id": ""} == {
        "id": "",
        "kept": [1],
        "grown": [1, 2],
        "touched": [1],
        "new": {"a": 1},
    }
    assert sorted(changed_of(flow, "go")) == ["gone", "grown", "new"]


async def test_extra_fields_of_a_model_come_over() -> None:
    """Alone, and beside another step that sets others."""

    class Does(Flow[Open]):
        @start(hedge=Hedge(60))
        async def alone(self):
            self.state.colour = "red"
            self.state.names.append("alone")

        @listen(alone, hedge=Hedge(60))
        async def one(self):
            await anyio.lowlevel.checkpoint()
            self.state.one = 1

        @listen(alone, hedge=Hedge(60))
        async def two(self):
            await anyio.lowlevel.checkpoint()
            self.state.two = 2

    flow = Does()
    await flow.kickoff_async()
    assert flow.state.__pydantic_extra__ == {"colour": "red", "one": 1, "two": 2}
    assert flow.state.names == ["alone"]


async def test_calls_of_parallel_steps_are_joined_by_reducers() -> None:
    """In-place growth is an addition even if both add the same."""

    class Does(Flow[Open]):
        @start()
        async def begin(self):
            pass

        @listen(begin, hedge=Hedge(60))
        async def one(self):
            await anyio.lowlevel.checkpoint()
            self.state.names.append("same")
            self.state.count = 1

        @listen(begin, hedge=Hedge(60))
        async def two(self):
            await anyio.lowlevel.checkpoint()
            self.state.names.append("same")
            self.state.count = 2

    flow = Does()
    await flow.kickoff_async()
    assert flow.state.names == ["same", "same"]
    assert flow.state.count == 3


async def test_a_state_assigned_as_a_whole_comes_over() -> None:
    """Field by field."""

    class Does(Flow[Other]):
        @start(hedge=Hedge(60))
        async def go(self):
            self.state.count = 1
            self.state = Other(names=["new"], count=2)
            self.state.names.append("newer")

    flow = Does()
    await flow.kickoff_async()
    assert (flow.state.names, flow.state.count) == (["new", "newer"], 2)


async def test_what_a_winner_left_wrong_fails_the_step() -> None:
    """Validated where it is committed, and taken back."""

    class Does(Flow[Other]):
        @start(hedge=Hedge(60))
        async def go(self):
            self.state.names.append("gone")
            self.state.count = "many"  # type: ignore[assignment]

    flow = Does()
    with pytest.raises(StateError, match="left state.count as 'many'"):
        await flow.kickoff_async()
    assert (flow.state.names, flow.state.count) == ([], 0)


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_the_order_one_call_counts(seed: int) -> None:
    """The first that ends well, with all it did; every other leaves nothing."""
    clock = ManualClock(100.0)
    before, chance = use_clock(clock), random.Random(seed)
    open_calls: dict[int, tuple[anyio.Event, list[bool]]] = {}
    ended: list[int] = []
    well: list[int] = []

    class Asks(Flow[Open]):
        @start(hedge=Hedge(1, most=4))
        async def ask(self):
            assert isinstance(self._flowkit, Scope)
            number = len(open_calls) + 1
            told: tuple[anyio.Event, list[bool]] = (anyio.Event(), [])
            open_calls[number] = told
            self.state.names.append(str(number))
            self.state.count = number
            try:
                await told[0].wait()
            finally:
                ended.append(number)
            if not told[1][0]:
                raise OSError(str(number))
            well.append(number)
            return number

    flow = Asks()
    failed: list[BaseException] = []

    async def go() -> None:
        try:
            await flow.kickoff_async()
        except OSError as error:
            failed.append(error)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(go)
            while flow.run is None or not flow.run.over:
                for _ in range(20):
                    await anyio.lowlevel.checkpoint()
                waiting = [n for n in open_calls if n not in ended]
                if chance.random() < 0.5 or not waiting:
                    clock.advance(chance.random())
                else:
                    event, answer = open_calls[chance.choice(waiting)]
                    answer.append(chance.random() < 0.4)
                    event.set()
    finally:
        use_clock(before)
    assert sorted(ended) == sorted(open_calls)
    hedges = [each for each in flow.run.records if isinstance(each, StepHedged)]
    assert sum(not each.won for each in hedges) == len(open_calls) - 1
    if failed:
        assert well == []
        assert str(failed[0]) == "1"
        assert (flow.state.names, flow.state.count) == ([], 0)
        return
    assert len(well) == 1
    assert flow.run.result == well[0] == flow.state.count
    assert flow.state.names == [str(well[0])]
    assert [each.call for each in hedges if each.won] == well * (len(open_calls) > 1)
