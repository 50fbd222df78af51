"""Log records say which run, step and attempt they come from, if that is asked for."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

from flowkit import Flow, functions, listen, observe, start


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
