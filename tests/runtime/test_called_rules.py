"""Any function: cut after any record, it goes on to the same end, on either loop."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowkit
from flowkit import runs
from flowkit.functions import flow, step, together
from tests.runtime.stored import MemoryStore, crashed


class Refused(Exception):
    """What steps raise."""


# A part of a function: ("step", turns, fails), ("plain",), ("row", parts),
# ("wide", parts) or ("try", part). What fails outside of a "try" ends the run.
LEAF = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("plain")),
)
PART = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(st.just("row"), st.lists(inner, max_size=3)),
        st.tuples(st.just("wide"), st.lists(inner, max_size=4)),
        st.tuples(st.just("try"), inner),
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(part=PART)
def test_cut_anywhere_a_function_comes_to_the_same_end(backend, part) -> None:
    """A step that is recorded never begins again; the result is the uncut run's."""
    begun: list[str] = []

    @step
    async def work(name: str, turns: int, fails: bool) -> str:
        begun.append(name)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        if fails:
            raise Refused(name)
        return name

    @step
    def plain(name: str) -> str:
        begun.append(name)
        return name

    async def go(part, name: str):
        if part[0] == "step":
            return await work(name, *part[1:])
        if part[0] == "plain":
            return plain(name)
        if part[0] == "try":
            try:
                return await go(part[1], f"{name}t")
            except Refused:
                return "refused"
        inner = [(each, f"{name}.{at}") for at, each in enumerate(part[1])]
        if part[0] == "row":
            return [await go(*each) for each in inner]
        return await together(*[go(*each) for each in inner])

    store = MemoryStore("memory:rules")

    @flow(store=store, backend=backend)
    async def function():
        return [await go(("try", part), "p"), await work("last", 1, False)]

    result = function.with_options(id="whole").kickoff()
    entries = store.entries("whole")
    for seq in range(1, len(entries)):
        begun.clear()
        cut = crashed(store, "whole", seq, f"cut {seq}")
        assert flowkit.resume(cut, store) == result
        done = {
            each.output
            for each in runs.history("whole", store)
            if each.position and each.seq <= seq and each.outcome == "done"
        }
        assert done.isdisjoint(begun)
        assert len(begun) == len(set(begun))
