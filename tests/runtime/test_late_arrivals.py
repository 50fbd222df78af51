"""What becomes ready while a run's last worker leaves is not lost.

A task group that ends with nobody in it takes one more checkpoint, and does not wait for
a task that is started meanwhile. A record may be durable, or a timer due, just then.
"""

from __future__ import annotations

import anyio
import pytest

from flowkit import Flow, event, listen, start, timer
from flowkit.runtime.loops import loop_caller

pytestmark = pytest.mark.anyio


class Listens(Flow[dict]):
    """An event is looked at so many turns of the loop after the first step's end."""

    @start()
    async def begin(self):
        soon, run = loop_caller(), self.run
        look = run.hurry.__self__._look

        def tick(left):
            if left:
                soon(lambda: tick(left - 1))
            else:
                run.event("go", None, None, None)
                look()

        soon(lambda: tick(self.state["ticks"]))

    @listen(event("go"))
    async def go(self):
        await anyio.sleep(0.001)
        self.stop("went")

    @listen(timer("1h"))
    def late(self): ...


@pytest.mark.parametrize("ticks", range(6))
async def test_an_event_is_taken_at_whatever_moment(ticks):
    """At the very one at which the last worker leaves, too."""
    flow = Listens()
    with anyio.move_on_after(50):
        await flow.kickoff_async({"ticks": ticks})
    assert (flow.run.status, flow.run.result) == ("completed", "went")
