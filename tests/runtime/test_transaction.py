"""A step's own writes in the store's database, committed with its record."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flowkit import RunError
from flowkit.errors import FencedError, StoreError
from flowkit.journal.memory import MemoryStore
from tests.journal import postgres_server
from tests.runtime import durable_flows as flows
from tests.runtime.stored import kicked

postgres_server.require()

from flowkit.journal.postgres import PostgresStore  # noqa: E402


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request):
    """Psycopg knows no trio; one test below is about that."""
    return request.param


@pytest.fixture
def server():
    """A server with an empty table of the user's."""
    shared = postgres_server.shared()
    shared.run(
        "drop schema if exists own cascade",
        "create schema own",
        "create table own.payment (what text)",
    )
    return shared


@pytest.fixture
def store(server):
    """An empty store."""
    opened = PostgresStore(server.url(postgres_server.new_schema()))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _nothing_ran():
    flows.RAN.clear()


def paid(server):
    """What is in the user's table."""
    rows = server.run("select what from own.payment")
    return [what for (what,) in rows]


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_step_commits_its_writes_with_its_record(server, store, form):
    """In async and in sync steps, alone and beside others; records stay in order."""
    flow = flows.Pays(store=store)
    await kicked(flow, form, id="r")
    assert flow.run.status == "completed"
    assert paid(server) == ["one", "two", "last"]
    assert store.run("r").seq == 5
    assert flow.run.journal.carriers.open == {}


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_step_that_raises_takes_its_writes_back(server, store, form):
    """Also after the block; what ran before it stays."""
    flow = flows.Pays(store=store)
    flow.fails = "two"
    with pytest.raises(ValueError, match="no"):
        await kicked(flow, form, id="r")
    assert paid(server) == ["one"]
    assert store.run("r").status == "failed"
    assert await kicked(flows.Pays(store=store), form, id="r") is None
    assert paid(server) == ["one", "two", "last"]


@pytest.mark.parametrize("step", ["one", "two"])
def test_a_process_killed_before_the_steps_end_leaves_neither(server, store, step):
    """Between the insert and the record there is nothing; after them both."""
    url = server.url(store._address.schema)
    code = (
        "import sys; from tests.runtime import durable_flows as flows\n"
        f"flows.HANG_AT = {step!r}; flows.HANGS = True\n"
        "flows.Pays(store=sys.argv[1]).kickoff(id='r')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.stdout.readline() != f"{step}\n":
            pass
        process.kill()
    done = ["one"] if step == "two" else []
    assert paid(server) == done
    assert store.run("r").seq == 1 + len(done)
    flows.Pays(store=store).kickoff(id="r")
    assert paid(server) == ["one", "two", "last"]
    assert flows.RAN[0] == step


@pytest.mark.parametrize("form", ["async", "blocking"])
async def test_a_superseded_run_takes_its_writes_back(server, store, form, monkeypatch):
    """Another owner has it: the record is refused, and the insert with it."""

    def ran(step):
        if step == "two":
            other = PostgresStore(server.url(store._address.schema))
            assert other.claim("r", "other", 0.0, [store.run("r").owner])
            other.close()

    monkeypatch.setattr(flows, "ran", ran)
    with pytest.raises(FencedError):
        await kicked(flows.Pays(store=store), form, id="r")
    assert paid(server) == ["one"]
    assert store.run("r").seq == 2


@pytest.mark.parametrize(
    ("form", "kind", "text"),
    [
        (
            "sync",
            RunError,
            "Misuse.one is async: write `async with self.transaction()`",
        ),
        ("twice", RunError, "Misuse.one asks for a second transaction. A step has one"),
        ("commit", Exception, "Explicit commit() forbidden within a Transaction"),
        ("caught", StoreError, "A statement in the transaction of Misuse.one failed"),
    ],
)
async def test_misuse_says_what_to_write(store, form, kind, text):
    """The step fails, and takes back what it wrote."""
    flow = flows.Misuse(store=store)
    flow.form = form
    with pytest.raises(kind) as caught:
        await flow.kickoff_async()
    assert text in str(caught.value)


def test_other_stores_have_no_transactions():
    """They say which one has."""
    for given, place in ((MemoryStore(), "in memory:"), (None, "in memory")):
        with pytest.raises(RunError) as caught:
            flows.Misuse(**({"store": given} if given else {})).kickoff()
        assert str(caught.value).startswith(
            f"Misuse.one asks for a transaction, but its run is kept {place}. Only a "
            f"PostgreSQL store has tables to write to beside it: store='postgresql://..'"
        )


def test_trio_says_what_to_do(store):
    """An async step there cannot have a connection."""
    import anyio

    with pytest.raises(RunError, match="runs on trio, which psycopg does not know"):
        anyio.run(flows.Pays(store=store).kickoff_async, backend="trio")
