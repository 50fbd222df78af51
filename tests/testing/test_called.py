"""The kit and function flows: stubs, faults, paths, kills and tests cut from runs."""

from __future__ import annotations

import pytest

from flowkit import Flow, Retry, start
from flowkit.functions import flow, step, together, wait_for
from flowkit.testing import (
    Arrives,
    Called,
    TimePasses,
    assert_path,
    fail,
    kill_and_resume,
    memory_store,
    path_of,
    play,
    stub,
    survives_kills,
    testcase,
)

GO = Arrives("approved", "go", key="ACME")


@step(retry=Retry(3, first="10s", on=ConnectionError))
async def quote(symbol: str) -> float:
    raise ConnectionError("market away")


@step
def rounded(price: float) -> int:
    return round(price)


@step(thread=True)
def save(price: int) -> str:
    return f"saved {price}"


@flow
async def buy(symbol: str) -> str:
    price = rounded(await quote(symbol))
    said = await wait_for("approved", key=symbol)
    return f"{await save(price)}: {said}"


@flow
async def both() -> float:
    return sum(await together(quote("a"), quote("b")))


@flow
async def cautious() -> int:
    try:
        price = await quote("a")
    except ValueError:
        price = 0.0
    return rounded(price)


def passed(source: str) -> None:
    """Run the one test of a module's source."""
    names: dict = {}
    exec(compile(source, "cut", "exec"), names)
    (test,) = [each for name, each in names.items() if name.startswith("test_")]
    test()


@pytest.mark.parametrize("target", [buy, buy.flow_class], ids=["function", "class"])
@pytest.mark.parametrize("which", ["quote", quote], ids=["name", "step"])
def test_a_stub_stands_in_for_a_called_step(target, which) -> None:
    """By its name, or as the step; it is itself again after the block."""
    with stub(target, which, returns=4.2) as calls:
        run = play(target, {"symbol": "ACME"}, outside=[GO])
    assert run.result == "saved 4: go"
    assert calls.calls == [Called(("ACME",), {}, 1, 1)]
    assert repr(calls) == "<buy.quote: called 1 times>"
    assert_path(run, "quote", "rounded", "save", "body")
    assert play(buy, {"symbol": "ACME"}).status == "waiting"


def test_synchronous_and_threaded_steps_are_stubbed_too() -> None:
    """A function that stands in gets the step's arguments alone."""
    with (
        stub(buy, "quote", returns=1.0),
        stub(buy, "rounded", returns=7),
        stub(buy, "save", calls=lambda price: f"kept {price}"),
    ):
        run = play(buy, {"symbol": "ACME"}, outside=[GO])
    assert run.result == "kept 7: go"


async def test_faults_of_a_called_step_are_tried_again(jumping_clock) -> None:
    """On both loops, under its own policy, with the attempts noted."""
    with fail(buy, "quote", with_=ConnectionError("lost"), times=None) as calls:
        with pytest.raises(ConnectionError, match="lost"):
            await buy.kickoff_async("ACME")
    assert [each.attempt for each in calls.calls] == [1, 2, 3]


def test_other_flows_and_plain_calls_have_the_step_as_it_is() -> None:
    """Only runs of the flow are meant."""
    with stub(both, "rounded", returns=0), stub(buy, "quote", returns=2.6):
        run = play(buy, {"symbol": "ACME"}, outside=[GO])
        assert rounded(3.4) == 3
    assert run.result == "saved 3: go"


def test_a_step_that_the_function_does_not_see_is_refused() -> None:
    """With the name that may be meant, or how else to say it."""
    with pytest.raises(ValueError) as caught, stub(buy, "qoute"):  # codespell:ignore
        pass
    assert str(caught.value) == (
        "buy sees no step 'qoute' in its module. Did you mean 'quote'?"
    )
    with pytest.raises(ValueError) as caught, fail(buy, "zzz"):
        pass
    assert str(caught.value) == (
        "buy sees no step 'zzz' in its module. Give the step itself."
    )


def test_a_method_named_body_is_a_step_as_any() -> None:
    """It is no function flow for that."""

    class Named(Flow):
        @start()
        def body(self):
            return 1

    with stub(Named, "body", returns=2):
        assert Named().kickoff() == 2


def test_path_is_one_in_memory_and_in_a_store() -> None:
    """Called steps are part of it, those that failed by that word."""
    with memory_store() as store, stub(both, "quote", returns=1.0):
        run = play(both)
        assert (
            path_of(run) == path_of(run.id, store=store) == ["quote", "quote", "body"]
        )
    with fail(cautious, "quote", with_=ValueError("closed")):
        run = play(cautious)
    assert_path(run, "quote.failed", "rounded", "body")


def test_a_kill_at_a_called_step_runs_no_finished_one_again() -> None:
    """After its record it is not called again, before it once more."""
    with stub(buy, "quote", returns=4.0) as calls:
        after = kill_and_resume(buy, {"symbol": "ACME"}, after="quote", outside=[GO])
        assert calls.count == 1
        assert after.starts == {"body": 2, "quote": 1, "rounded": 1, "save": 1}
        before = kill_and_resume(buy, {"symbol": "ACME"}, before="quote", outside=[GO])
        assert (before.starts["quote"], before.result) == (2, "saved 4: go")
        assert survives_kills(buy, {"symbol": "ACME"}, outside=[GO]) > 6


@pytest.mark.parametrize("stubs", [("quote",), "all"])
def test_a_test_is_cut_from_a_run_of_a_function_flow(stubs) -> None:
    """It passes; waits between the attempts of a stubbed step are left out."""
    outside = [TimePasses(), GO]
    given = {"in_turn": [ConnectionError("lost"), 4.0]}
    with memory_store() as store, stub(buy, "quote", **given):
        run = play(buy, {"symbol": "ACME"}, outside=outside)
        whole = testcase(run.id, store=store)
        source = testcase(run.id, store=store, stubs=stubs)
    assert "outside=[TimePasses(), Arrives(" in whole
    assert "TimePasses" not in source
    assert 'stub(buy, "quote", in_turn=[4.0])' in source
    assert 'assert_path(run, "quote", "rounded", "save", "body")' in source
    passed(source)
    with stub(buy, "quote", **given):
        passed(whole)
