"""Looking at the state of a run from outside, while its steps are at work."""

from __future__ import annotations

import anyio
import pytest
from pydantic import BaseModel

from flowkit import Flow, listen, start


class Names(BaseModel):
    """A state with a mutable field."""

    names: list[str] = []


@pytest.mark.parametrize("kind", [Names, dict])
async def test_a_look_from_outside_loses_nothing(kind) -> None:
    """A step that ends after it is joined with the others as ever."""
    seen, release = [], anyio.Event()

    class Looks(Flow[kind]):
        @start()
        async def begin(self):
            names = [] if kind is dict else self.state.names
            if kind is dict:
                self.state["names"] = names
            names.append("begin")

        @listen(begin)
        async def slow(self):
            _names(self.state).append("slow")
            await release.wait()

        @listen(begin)
        async def quick(self):
            _names(self.state).append("quick")

    flow = Looks()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        while flow.run is None or len(flow.run.outputs) < 2:
            await anyio.lowlevel.checkpoint()
        seen.extend(_names(flow.run.state))
        release.set()
    assert seen == ["begin", "quick"]
    assert _names(flow.state) == ["begin", "quick", "slow"]


def _names(state):
    return state["names"] if isinstance(state, dict) else state.names
