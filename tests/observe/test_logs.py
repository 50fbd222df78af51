"""Log records say which run, step and attempt they come from, if that is asked for."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

from flowkit import (
    EventBus,
    Flow,
    Retry,
    and_,
    event,
    functions,
    listen,
    observe,
    router,
    start,
)


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def handler():
    """A handler of a logger of the user's own."""
    logger = logging.getLogger("shop")
    logger.setLevel("INFO")
    made = Kept()
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)


def fields(record):
    return record.flow, record.run, record.step, record.firing, record.attempt


class Order(Flow):
    """Steps that log: alone, in parallel, in threads."""

    @start()
    def load(self):
        logging.getLogger("shop").info("load")

    @listen(load)
    def check(self):
        logging.getLogger("shop").info("check")

    @listen(check)
    async def charge(self):
        await anyio.lowlevel.checkpoint()
        logging.getLogger("shop").info("charge")

    @listen(check)
    async def pack(self):
        await anyio.lowlevel.checkpoint()
        logging.getLogger("shop").info("pack")


async def test_records_of_steps(handler):
    """Each has the fields of the step that wrote it, also beside others."""
    flow = Order()
    with observe.log_fields(handler):
        await flow.kickoff_async()
    told = {record.getMessage(): fields(record) for record in handler.records}
    id = flow.run.id
    assert told == {
        name: ("Order", id, name, number, 1)
        for number, name in enumerate(["load", "check", "charge", "pack"], 1)
    }


def test_records_of_blocking_steps(handler):
    """The same where no event loop runs."""
    with observe.log_fields(handler):
        Order().kickoff()
    assert {record.getMessage(): record.step for record in handler.records} == {
        name: name for name in ("load", "check", "charge", "pack")
    }


def test_records_outside_of_steps(handler):
    """Empty, so that one format serves all; what ``extra=`` gives stays."""
    with observe.log_fields(handler):
        logging.getLogger("shop").info("hello", extra={"run": "mine"})
    assert fields(handler.records[0]) == ("", "mine", "", 0, 0)


@functions.step
def fetch(page):
    """A called step."""
    logging.getLogger("shop").info("fetch")


@functions.flow
async def crawl():
    """Calls it, and logs before."""
    logging.getLogger("shop").info("crawl")
    fetch(1)


def test_records_of_called_steps(handler):
    """A called step is named; the function itself is the step ``body``."""
    with observe.log_fields(handler):
        crawl.kickoff()
    assert [record.step for record in handler.records] == ["body", "fetch"]


def test_nothing_is_added_after_the_block(handler):
    """Off means off."""
    with observe.log_fields(handler):
        pass
    Order().kickoff()
    assert not hasattr(handler.records[0], "step")


def test_root_s_handlers_by_default(handler):
    """Those of the root logger, as they are when it is asked for."""
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with observe.log_fields():
            assert handler.filters
        assert not handler.filters
    finally:
        root.removeHandler(handler)


class Flaky(Flow):
    """Fails once."""

    tries = 0

    @start(retry=Retry(2, first=0))
    def call(self):
        type(self).tries += 1
        logging.getLogger("shop").info("call")
        if self.tries == 1:
            raise OSError("no line")


@pytest.fixture
def engine(monkeypatch):
    """What flowkit itself logs."""
    monkeypatch.setattr(Flaky, "tries", 0)
    logger = logging.getLogger("flowkit")
    level = logger.level
    logger.setLevel("INFO")
    made = Kept()
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)
    logger.setLevel(level)


async def test_records_name_their_attempt(handler, engine):
    """Each attempt its own; flowkit's line about the first one names that one."""
    flow = Flaky()
    with observe.log_fields(handler, engine):
        await flow.kickoff_async()
    id = flow.run.id
    assert [fields(record) for record in handler.records] == [
        ("Flaky", id, "call", 1, 1),
        ("Flaky", id, "call", 1, 2),
    ]
    (put_off,) = engine.records
    assert (
        put_off.getMessage()
        == "Flaky.call failed at attempt 1 and is tried again in 0s"
    )
    assert fields(put_off) == ("Flaky", id, "call", 1, 1)


def test_a_line_about_a_stuck_join_names_it(engine):
    """Also where no filter adds anything."""

    class Stuck(Flow):
        @start()
        def ask(self):
            return 1

        @router(ask, emit=["yes", "no"])
        def choose(self):
            return "yes"

        @listen(and_("yes", "no"))
        def both(self):
            pass

    flow = Stuck()
    flow.kickoff()
    (told,) = engine.records
    assert fields(told) == (Stuck.__qualname__, flow.run.id, "both", 0, 0)


def test_a_line_about_a_run_names_it(engine):
    """Such as that of a bus whose run has failed."""

    class Fails(Flow):
        @start(on=event("go"))
        def work(self):
            raise ValueError("no")

    with observe.log_fields(engine), EventBus() as bus:
        bus.register(Fails)
        receipt = bus.send("go")
        bus.drain()
    (told,) = engine.records
    assert fields(told)[:2] == (Fails.__qualname__, receipt.runs[0].id)
