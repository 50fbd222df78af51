"""A step that yields is held back while its group is full, and told of room."""

from __future__ import annotations

from itertools import count

import anyio
import pytest

from flowkit import Flow, each, gather, listen, start

pytestmark = pytest.mark.anyio


def source(kind, items=None):
    """A start that yields these items, or numbers without an end."""
    if kind == "async":

        async def numbers(self):
            for number in items or count(1):
                yield number

    else:

        def numbers(self):
            yield from items or count(1)

    return start()(numbers)


def batched(kind):
    """The batch that is held back is not full when the one at work ends."""

    class Batched(Flow):
        numbers = source(kind, range(10))

        @listen(each(numbers, batch=2, limit=1))
        async def add(self, pair):
            await anyio.sleep(0.001)
            return sum(pair)

        @listen(gather(add))
        async def end(self, sums):
            self.stop(sums)

    return Batched, [1, 5, 9, 13, 17]


def enough(kind):
    """Two results are enough, and nothing new begins."""

    class Enough(Flow):
        numbers = source(kind)

        @listen(each(numbers, limit=1))
        async def look(self, number):
            await anyio.sleep(0.001)
            return number

        @listen(gather(look, 2, rest="cancel"))
        async def end(self, found):
            return found

    return Enough, [1, 2]


def completed(kind):
    """An instance completes the group around it while another one hangs."""

    class Completed(Flow):
        numbers = source(kind)

        @listen(each(numbers, limit=2))
        async def look(self, number):
            if number == 2:
                await anyio.sleep_forever()
            if number == 3:
                await anyio.sleep(0.001)
                self.complete("look")
            return number

        @listen(gather(look))
        async def end(self, found):
            return found

    return Completed, [1]


def dropped(kind):
    """Its group is cancelled from beside."""

    class Dropped(Flow):
        numbers = source(kind)

        @listen(each(numbers, limit=1))
        async def look(self, number):
            await anyio.sleep_forever()

        @start()
        async def drop(self):
            while not self.run.progress:  # noqa: ASYNC110 - a group is no event
                await anyio.sleep(0.001)
            self.cancel("look")

        @listen(numbers)
        async def end(self, last):
            self.stop("went on")

    return Dropped, "went on"


def failed(kind):
    """One instance fails, and somebody listens."""

    class Failed(Flow):
        numbers = source(kind)

        @listen(each(numbers, limit=1))
        async def look(self, number):
            await anyio.sleep(0.001)
            return 1 / (number - 2)

        @listen(gather(look))
        async def end(self, found): ...

        @listen("end.failed")
        async def explain(self, error):
            return str(error)

    return Failed, "division by zero"


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "stored"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("made", [batched, enough, completed, dropped, failed])
async def test_a_source_that_is_held_back_goes_on(made, kind, stored, tmp_path):
    """Whatever makes room, or makes an end of its group."""
    flow, result = made(kind)
    given = {"store": f"sqlite:///{tmp_path}/x.db"} if stored else {}
    running = flow(**given)
    with anyio.fail_after(50):
        await running.kickoff_async()
    assert running.run.status == "completed"
    assert result in [*running.run.outputs, running.run.result]
