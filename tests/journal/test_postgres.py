"""What the store in PostgreSQL adds to the contract, on a real server."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
from itertools import count

import pytest

from tests.journal.postgres_server import PASSWORD, PostgresPlace, require, shared

require()
pytest.register_assert_rewrite("tests.journal.contract")

import psycopg  # noqa: E402 - after the check that it is there
from psycopg.rows import dict_row  # noqa: E402

from flowkit.errors import FencedError, FlowkitError, RunExistsError, StoreError  # noqa: E402
from flowkit.journal.postgres import PostgresStore  # noqa: E402
from flowkit.journal.queries import Query  # noqa: E402
from flowkit.journal.rows import Advance, Advanced, Begin, Bury, Hold, RunRow, Wait  # noqa: E402
from tests.journal.contract import (  # noqa: E402
    FLOW,
    StoreContract,
    begin,
    entry,
    event,
    fate,
    one,
    row,
    waiting,
)


@pytest.fixture
def place():
    """A new schema for each test."""
    made = PostgresPlace()
    yield made
    made.remove()


@pytest.fixture
def store(place):
    """A store object on it."""
    opened = place.open()
    yield opened
    opened.close()


@pytest.fixture
def other(place, store):
    """A second store object, as another process has it."""
    opened = place.open()
    yield opened
    opened.close()


class TestPostgres(StoreContract):
    """The store keeps the promises of the port."""


# The URL and what stands in errors


def refused(url: str) -> str:
    """The text of the error that opening gives; no password in it or its causes."""
    with pytest.raises(StoreError) as caught:
        PostgresStore(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in f"{error!r}"
        assert "s3cret" not in f"{error!r}"
        error = error.__cause__ or error.__context__
    return str(caught.value)


def test_url_has_no_password(store):
    """Neither the attribute, nor repr, nor info."""
    assert store.url.startswith("postgresql://admin@127.0.0.1:")
    assert repr(store) == f"<PostgresStore {store.url}>"
    for text in (store.url, repr(store), str(store.info()), repr(vars(store))):
        assert "s3cret" not in text


def test_password_in_the_query_is_hidden(place):
    """Since libpq takes it there, too."""
    server = shared()
    url = f"postgresql://admin@127.0.0.1:{server.port}/postgres"
    store = PostgresStore(f"{url}?password=s3cret%3A%2F%40%25&schema={place.schema}")
    assert store.url == f"{url}?schema={place.schema}"
    store.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:s3cret%@host/db", "postgresql://me:s3cret@host:x/db", "s3cret"],
)
def test_unreadable_url_is_refused_without_its_text(url):
    """A password may be anywhere in it."""
    assert refused(url) == (
        "The store's URL cannot be read. It has the form "
        "postgresql://user:password@host:port/database?schema=flowkit; "
        "in a password, write characters such as @ / : % as %40 %2F %3A %25."
    )


def test_schema_must_have_a_name():
    """PostgreSQL would cut a longer one."""
    url = "postgresql://me:s3cret@host/db?schema="
    assert refused(url) == (
        "The store's URL names the schema ''. A schema has a name of 1 to 63 bytes: "
        "?schema=flowkit, or leave it out."
    )
    assert "1 to 63 bytes" in refused(url + "x" * 64)


def test_missing_extra_has_the_install_line():
    """Nothing else of flowkit needs psycopg."""
    code = "import sys; sys.modules['psycopg'] = None; import flowkit.journal.postgres"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == (
        "flowkit.errors.MissingExtraError: The PostgreSQL store needs the extra "
        "'postgres', which is not installed. Install it: pip install "
        "'flowkit[postgres]'"
    )


def test_server_that_is_down():
    """What, where, cure."""
    assert refused(shared().url(port=1)) == (
        "No PostgreSQL server answers at 127.0.0.1:1: Connection refused. Start it, "
        "or correct host and port in the store's URL."
    )


def test_wrong_password():
    """The server's own words, and where a password may stand."""
    server = shared()
    assert refused(server.url(password="s3cret")) == (
        f"PostgreSQL at 127.0.0.1:{server.port} refuses the user 'admin': password "
        f'authentication failed for user "admin". Correct user and password in the '
        "store's URL, or give the password in PGPASSWORD or ~/.pgpass."
    )


def test_missing_database():
    """With the command that makes it."""
    server = shared()
    assert refused(server.url(database="nowhere")) == (
        f"PostgreSQL at 127.0.0.1:{server.port} has no database for this store: "
        f'database "nowhere" does not exist. Create it (createdb nowhere), or correct '
        "the store's URL."
    )


@pytest.fixture
def guest():
    """A user who may log in and nothing else."""
    server = shared()
    server.run("create role guest login password 'guest'")
    yield server
    server.run("drop owned by guest", "drop role guest")


def test_schema_that_may_not_be_made(guest):
    """With the statement for an administrator."""
    url = guest.url("secret", user="guest", password="guest")
    assert refused(url) == (
        "The user 'guest' may not set up the schema 'secret' in database 'postgres' "
        f"at 127.0.0.1:{guest.port}: permission denied for database postgres. Let an "
        "administrator run: CREATE SCHEMA secret AUTHORIZATION guest"
    )
    guest.run("create schema secret authorization guest")
    store = PostgresStore(url)
    begin(store)
    store.close()
    guest.run("drop schema secret cascade")


def test_tables_that_may_not_be_written(guest, place, store):
    """Another's schema: reads may be allowed, writes not."""
    begin(store)
    schema = place.schema
    guest.run(
        f"grant usage on schema {schema} to guest",
        f"grant select on all tables in schema {schema} to guest",
    )
    other = PostgresStore(guest.url(schema, user="guest", password="guest"))
    assert other.run("r1").id == "r1"
    with pytest.raises(StoreError) as caught:
        begin(other, "r2")
    assert str(caught.value) == (
        f"PostgreSQL at 127.0.0.1:{guest.port} does not let the user 'guest' work in "
        f"the schema '{schema}': permission denied for table writer. Nothing was "
        "written; let an administrator make that user the owner of the schema and its "
        "tables."
    )
    other.close()


def test_read_only_transactions(place, store):
    """As on a standby: what is there can be read, the error names the cure."""
    begin(store)
    server = shared()
    options = "&options=-c%20default_transaction_read_only%3Don"
    reader = PostgresStore(place.url + options)
    assert reader.run("r1").id == "r1"
    with pytest.raises(StoreError) as caught:
        begin(reader, "r2")
    assert str(caught.value) == (
        f"PostgreSQL at 127.0.0.1:{server.port} writes nothing to the database "
        "'postgres': cannot execute INSERT in a read-only transaction. Use the "
        "primary server, and a user whose default_transaction_read_only is off."
    )
    reader.close()


def test_closed_store_says_so(place):
    """Reads, writes and listening."""
    store = place.open()
    store.close()
    text = f"The store {store.url} is closed. Open it again to use it."
    for use in (
        lambda: store.run("r1"),
        lambda: begin(store),
        lambda: store.append(Hold(1, 1), entry(1)),
    ):
        with pytest.raises(StoreError) as caught:
            use()
        assert str(caught.value) == text


def test_errors_survive_pickling(store):
    """They cross processes."""
    with pytest.raises(StoreError) as caught:
        PostgresStore(shared().url(port=1))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert isinstance(again, FlowkitError)


# The schema


def test_schema_of_an_odd_name():
    """Quoted wherever it stands."""
    server = shared()
    store = PostgresStore(server.url("odd%20%22name%22%20%25s"))
    begin(store, waits=[Wait("paid")])
    assert fate(store, event()).run == "r1"
    assert store.runs(Query(before="x")) == []
    assert store.info()["schema"] == 'odd "name" %s'
    store.close()
    server.run('drop schema "odd ""name"" %s" cascade')


def test_schemas_do_not_mix(store):
    """One database serves several."""
    second = PostgresPlace()
    another = second.open()
    begin(store, "a")
    assert another.run("a") is None
    another.close()
    second.remove()


def test_default_schema_is_flowkit():
    """If the URL names none."""
    server = shared()
    store = PostgresStore(server.url())
    assert store.info()["schema"] == "flowkit"
    assert store.info()["schema_version"] == 2
    store.close()
    server.run("drop schema flowkit cascade")


def test_newer_schema_is_refused(place, store):
    """An old flowkit does not write what it does not know."""
    server = shared()
    server.run(f"insert into {place.schema}.migration values (7, '0007_later.sql')")
    assert refused(place.url) == (
        f"The schema '{place.schema}' of database 'postgres' at "
        f"127.0.0.1:{server.port} is at version 7, made by a newer flowkit; this one "
        "knows versions up to 2. Upgrade flowkit here: pip install -U flowkit"
    )


def test_many_open_a_new_schema_at_once(place):
    """One of them makes it."""
    faults = []

    def work() -> None:
        try:
            place.open().close()
        except BaseException as error:
            faults.append(error)

    _together([work] * 6)
    assert faults == []
    server = shared()
    assert server.run(f"select number from {place.schema}.migration") == [(1,), (2,)]


def test_closed_store_leaves_no_mark(place):
    """Its row for lost commits is deleted."""
    store = place.open()
    begin(store)
    marks = f"select count(*) from {place.schema}.writer"
    assert shared().run(marks) == [(1,)]
    store.close()
    assert shared().run(marks) == [(0,)]


# Moves that PostgreSQL cannot hold


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a\0b", "PostgreSQL text fields cannot contain NUL (0x00) bytes"),
        (
            "\ud800",
            (
                "'utf-8' codec can't encode character '\\ud800' in position 0: "
                "surrogates not allowed"
            ),
        ),
    ],
)
def test_text_that_does_not_fit_refuses_its_move_alone(store, key, why):
    """The others of the commit are written."""
    outcomes = store.commit(
        [Begin(row("a")), Begin(row("b", key=key)), event(), Begin(row("a"))]
    )
    assert [type(each).__name__ for each in outcomes] == [
        "Begun",
        "UnfitError",
        "Accepted",
        "RunExistsError",
    ]
    assert str(outcomes[1]) == (
        f"PostgreSQL at 127.0.0.1:{shared().port} cannot hold what was to be written: "
        f"{why}. Nothing was written; text may hold neither NUL nor a lone half of a "
        "surrogate pair, and a name, key or id at most 2,000 bytes."
    )
    assert store.run("b") is None
    assert len(store.kept()) == 1


def test_a_key_too_long_for_an_index_is_refused(store):
    """PostgreSQL's indexes hold 2,704 bytes; the text is random: none is packed."""
    import random

    key = "".join(chr(random.Random(i).randrange(33, 0xD000)) for i in range(4000))
    (outcome,) = store.commit([Begin(row("a", key=key))])
    assert isinstance(outcome, StoreError)
    assert "at most 2,000 bytes" in str(outcome)
    assert begin(store, "b")


def test_append_of_text_that_does_not_fit_says_so(store):
    """And the store goes on."""
    hold = begin(store)
    with pytest.raises(StoreError) as caught:
        store.append(hold, entry(1, data="\0"))
    assert "cannot hold" in str(caught.value)
    store.append(hold, entry(1))


# Many store objects, as many processes have them


def _together(works) -> None:
    """Run functions in threads and wait for all."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_stores_fence_each_other(store, other):
    """Whoever claims last writes; the other one writes nothing."""
    first = begin(store, owner="a", entries=[entry(1)])
    _, second = other.claim("r1", "b", 10.0)
    with pytest.raises(FencedError):
        store.append(first, entry(2))
    other.append(second, entry(2))
    _, third = store.claim("r1", "a", 10.0, dead=["b"])
    outcomes = other.commit([Advance(second, (entry(3),)), Begin(row("r2"))])
    assert isinstance(outcomes[0], FencedError)
    store.append(third, entry(3))
    assert [each.seq for each in store.entries("r1")] == [1, 2, 3]


def test_claims_and_appends_race_without_a_gap(place, store):
    """Each thread claims and appends until it is fenced; no number is lost."""
    begin(store)
    faults = []

    def work() -> None:
        mine = place.open()
        try:
            for _ in range(10):
                found, hold = mine.claim("r1", threading.current_thread().name, 1.0)
                for seq in count(found.seq + 1):
                    mine.append(hold, entry(seq))
                    if seq == found.seq + 5:
                        break
        except FencedError:
            pass
        except BaseException as error:
            faults.append(error)
        finally:
            mine.close()

    _together([work] * 4)
    assert faults == []
    seqs = [each.seq for each in store.entries("r1")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= 5


def _hammer_events(url: str, first: int, each: int, keys: int) -> None:
    store = PostgresStore(url)
    for i in range(first, first + each):
        store.commit([event("paid", f"k{i % keys}", f"e{i}", payload=f"{i}")])
    store.close()


def _hammer_runs(url: str, name: str, rounds: int, keys: int) -> None:
    """Runs that wait for one event of a key, consume what they get and end."""
    store = PostgresStore(url)
    for i in range(rounds):
        wait = Wait("paid", f"k{i % keys}")
        begun = one(store, Begin(row(f"{name}-{i}", status="waiting"), (), (wait,)))
        if begun.letters:
            taken = begun.letters[:1]
            numbers = [letter.number for letter in taken]
            data = taken[0].payload
            move = Advance(
                begun.hold,
                (entry(1, data=data),),
                status="completed",
                consumed=numbers,
            )
            one(store, move)
        elif i % 3 == 0:
            one(store, Advance(begun.hold, status="cancelled"))
    store.close()


def test_no_event_is_lost_between_processes(place, store):
    """7: after any interleaving no letter is kept where a run waits, none doubled.

    Processes accept events while others set waits, take them away and end runs.
    """
    spawn = multiprocessing.get_context("spawn")
    events = [
        spawn.Process(target=_hammer_events, args=(place.url, 1000 * i, 100, 5))
        for i in range(2)
    ]
    runs = [
        spawn.Process(target=_hammer_runs, args=(place.url, f"p{i}", 60, 5))
        for i in range(2)
    ]
    for process in (*events, *runs):
        process.start()
    for process in (*events, *runs):
        process.join()
        assert process.exitcode == 0
    _check_all_events_are_somewhere(store, 200)


def _check_all_events_are_somewhere(store, number: int) -> None:
    waits = {(each.wait.name, each.wait.key) for each in store.waits(limit=-1)}
    kept = store.kept()
    assert [each for each in kept if (each.name, each.key) in waits] == []
    found = [letter.payload for letter in kept]
    for run in store.runs(Query(limit=-1)):
        letters = store.letters(run.id)
        if run.status != "waiting":
            assert letters == []
        found += [letter.payload for letter in letters]
        found += [each.data for each in store.entries(run.id)]
    assert len(found) == len(set(found)) == number


def test_no_event_is_lost_between_groups(place, store):
    """The same with groups of many moves in threads, which lock many places."""
    faults = []

    def accept(first: int) -> None:
        mine = place.open()
        try:
            for start in range(first, first + 100, 20):
                moves = [
                    event("paid", f"k{i % 7}", f"e{i}", payload=f"{i}")
                    for i in range(start, start + 20)
                ]
                mine.commit(moves)
        except BaseException as error:
            faults.append(error)
        finally:
            mine.close()

    def run(name: str) -> None:
        mine = place.open()
        try:
            for turn in range(6):
                begins = [
                    Begin(
                        row(f"{name}-{turn}-{i}", status="waiting"),
                        (),
                        (Wait("paid", f"k{i}"), Wait("paid", f"k{(i + turn) % 7}")),
                    )
                    for i in range(7)
                ]
                begun = mine.commit(begins)
                ends = [
                    Advance(each.hold, status="cancelled")
                    if i % 2
                    else Advance(each.hold, waits=(Wait("paid", f"k{i}"),))
                    for i, each in enumerate(begun)
                ]
                mine.commit(ends)
                mine.commit([Advance(each.hold, status="failed") for each in begun])
        except BaseException as error:
            faults.append(error)
        finally:
            mine.close()

    _together(
        [
            *(lambda i=i: accept(1000 * i) for i in range(3)),
            *(lambda i=i: run(f"p{i}") for i in range(3)),
        ]
    )
    assert faults == []
    _check_all_events_are_somewhere(store, 300)


def test_groups_in_opposite_orders_do_not_block(place, store, other):
    """Rows and places are locked in one order, whatever the order of the moves."""
    holds = [begin(store, f"r{i}", waits=[Wait("paid", f"{i}")]) for i in range(10)]
    faults = []

    def work(mine, order, offset: int) -> None:
        try:
            for turn in range(10):
                moves = []
                for i in order:
                    waits = (Wait("paid", f"{(i + turn) % 10}"),)
                    moves.append(Advance(holds[i], waits=waits))
                    moves.append(event("paid", f"{i}", f"e{offset}-{turn}-{i}"))
                outcomes = mine.commit(moves)
                assert not any(isinstance(each, StoreError) for each in outcomes)
        except BaseException as error:
            faults.append(error)

    _together(
        [
            lambda: work(store, range(10), 0),
            lambda: work(other, range(9, -1, -1), 1),
        ]
    )
    assert faults == []


def test_a_wait_set_while_locks_are_being_chosen_is_found(store, other, monkeypatch):
    """A run ends whose waits changed just then: its letter is kept for the next."""
    from flowkit.journal.postgres import writer

    hold = waiting(store, "a", Wait("sent"))
    real, done = writer.send, []

    def send(conn, asks):
        asks = list(asks)
        rows = real(conn, asks)
        if not done and asks[-1][0] == store._sql["peek_runs"]:
            done.append(True)
            one(other, Advance(hold, waits=(Wait("paid"),)))
            assert fate(other, event("paid", id="e1")).run == "a"
        return rows

    monkeypatch.setattr(writer, "send", send)
    one(store, Advance(hold, status="completed"))
    assert done
    assert store.letters("a") == store.waits() == []
    assert [each.event for each in store.kept()] == ["e1"]


def test_begins_of_one_id_from_two_stores_agree(place, store, other):
    """In groups of opposite orders; one of each is begun, none is lost."""
    ids = [f"r{i}" for i in range(20)]
    outcomes = {}

    def work(mine, order) -> None:
        outcomes[mine] = mine.commit([Begin(row(id)) for id in order])

    _together([lambda: work(store, ids), lambda: work(other, ids[::-1])])
    begun = outcomes[store] + outcomes[other]
    refusals = [each for each in begun if isinstance(each, RunExistsError)]
    assert len(refusals) == 20
    assert len(store.runs(Query())) == 20


def _begin_alone(url: str, name: str, rounds: int) -> None:
    """Begins runs of one state, ends those that it has begun."""
    store = PostgresStore(url)
    for i in range(rounds):
        begin = Begin(row(f"{name}-{i}", state_id="s"), (entry(1),), alone=True)
        (begun,) = store.commit([begin])
        if isinstance(begun, RunExistsError):
            continue
        store.commit([Advance(begun.hold, (entry(2),), float(i), "completed")])
    store.close()


def test_processes_never_have_two_runs_alone(place, store):
    """Each run that was begun alone was over before the next one was begun."""
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=_begin_alone, args=(place.url, f"p{i}", 60))
        for i in range(3)
    ]
    for process in processes:
        process.start()
    seen = []
    while any(process.is_alive() for process in processes):
        seen.append(len(store.runs(Query(status=["running"]))))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    runs = store.runs(Query(limit=-1))
    assert max(seen, default=0) <= 1
    assert len(runs) >= 3
    assert all(run.status == "completed" and run.seq == 2 for run in runs)


# NOTIFY


class Heard:
    """Collects run ids; ``wait`` blocks until there are so many."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self._more = threading.Condition()

    def __call__(self, run: str) -> None:
        with self._more:
            self.runs.append(run)
            self._more.notify_all()

    def wait(self, number: int) -> list[str]:
        """What was heard, once there is so much."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.runs) >= number, 30)
            return self.runs


CHILD = """
import sys
from flowkit.journal.postgres import PostgresStore
from flowkit.journal.rows import Accept, Begin, Delivery, RunRow  # noqa: E402

store = PostgresStore(sys.argv[1])
begin = Begin(RunRow("new", "shop:Parcel", "s"))
store.commit([
    Accept("paid", None, "e1", 1.0, [Delivery("shop:Order", "1")]),
    Accept("paid", None, "e2", 1.0, [Delivery("shop:Parcel", "1", begin=begin)]),
])
store.close()
"""


def test_a_letter_from_another_process_is_heard(place, store):
    """The run that got it, and the one that was begun and has no owner."""
    waiting(store, "a", Wait("paid"))
    heard = Heard()
    end = store.listen(heard)
    subprocess.run([sys.executable, "-c", CHILD, place.url], check=True)
    assert sorted(heard.wait(2)) == ["a", "new"]
    end()
    end()


def test_own_letters_are_not_heard(store, other):
    """The process knows what it has done itself; kept letters are no news."""
    waiting(store, "a", Wait("paid"))
    waiting(store, "b", Wait("sent"))
    heard = Heard()
    end = store.listen(heard)
    one(store, event("paid"))
    one(other, event("unheard"))
    one(other, event("sent"))
    assert heard.wait(1) == ["b"]
    end()


def test_letters_that_an_ended_run_passes_on_are_heard(store, other):
    """The next run is another process's."""
    hold = waiting(other, "a", Wait("paid"))
    waiting(other, "b", Wait("paid"))
    one(other, event("paid"))
    heard = Heard()
    end = store.listen(heard)
    one(other, Advance(hold, status="completed"))
    assert heard.wait(1) == ["b"]
    end()


def test_what_a_listener_raises_is_logged(store, other, caplog):
    """And it hears the next one."""
    waiting(store, "a", Wait("paid"))
    heard = Heard()

    def hear(run: str) -> None:
        heard(run)
        raise ValueError(run)

    end = store.listen(hear)
    one(other, event("paid"))
    one(other, event("paid"))
    assert heard.wait(2) == ["a", "a"]
    end()
    assert "What listens to the store failed for run 'a'" in caplog.text


def test_close_ends_listening(place):
    """Its thread is gone."""
    store = place.open()
    store.listen(Heard())
    store.close()
    names = [thread.name for thread in threading.enumerate()]
    assert "flowkit-listen" not in names


# A move in the caller's transaction


def test_a_move_is_written_with_the_callers_rows(place, store):
    """Both, when the caller commits; seen by nobody before."""
    hold = begin(store)
    server = shared()
    with psycopg.connect(server.url(), row_factory=dict_row) as connection:
        connection.execute(f"create table {place.schema}.mine (x int)")
        outcome = store.commit_on(connection, Advance(hold, (entry(1),)))
        assert outcome == Advanced()
        assert store.entries("r1") == []
        connection.execute(f"insert into {place.schema}.mine values (1)")
    assert store.entries("r1") == [entry(1)]
    assert server.run(f"select x from {place.schema}.mine") == [(1,)]


def test_a_move_is_gone_with_the_callers_rows(store):
    """If the caller rolls back."""
    hold = begin(store)
    connection = psycopg.connect(shared().url())
    connection.execute("select 1")
    store.commit_on(connection, Advance(hold, (entry(1),), status="failed"))
    connection.rollback()
    connection.close()
    assert store.run("r1") == row("r1", n=hold.n)


def test_a_refused_move_leaves_the_callers_transaction_usable(place, store):
    """The caller decides what follows."""
    hold = begin(store)
    with psycopg.connect(shared().url(), autocommit=True) as connection:
        with connection.transaction():
            refused = store.commit_on(connection, Advance(Hold(hold.n, 2)))
            assert isinstance(refused, FencedError)
            with pytest.raises(StoreError):
                store.commit_on(connection, Advance(hold, (entry(1, data="\0"),)))
            store.commit_on(connection, Advance(hold, (entry(1),)))
    assert store.run("r1").seq == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_move_is_written_on_an_async_connection(store):
    """On asyncio: psycopg has no connections for trio."""
    hold = begin(store)
    connection = await psycopg.AsyncConnection.connect(shared().url())
    async with connection:
        await connection.execute("select 1")
        move = Advance(hold, (entry(1),), waits=(Wait("paid"),))
        assert await store.commit_on_async(connection, move) == Advanced()
        refused = await store.commit_on_async(connection, Advance(Hold(hold.n, 2)))
        assert isinstance(refused, FencedError)
    assert store.run("r1").seq == 1


def test_a_move_needs_an_open_transaction(store):
    """Otherwise it would be durable before the caller's own rows."""
    hold = begin(store)
    with psycopg.connect(shared().url(), autocommit=True) as connection:
        with pytest.raises(StoreError) as caught:
            store.commit_on(connection, Advance(hold, (entry(1),)))
    assert str(caught.value) == (
        "The connection given for a move has no open transaction (its state is IDLE). "
        "Nothing was written; call it inside 'with connection.transaction():'."
    )


def test_a_move_needs_read_committed(store):
    """A fixed snapshot does not see what other processes do."""
    hold = begin(store)
    with psycopg.connect(shared().url()) as connection:
        connection.execute("set transaction isolation level repeatable read")
        with pytest.raises(StoreError) as caught:
            store.commit_on(connection, Advance(hold, (entry(1),)))
    assert str(caught.value) == (
        "The transaction given for a move is repeatable read. Nothing was written; "
        "matching events and waits needs read committed, PostgreSQL's default."
    )


# Indexes


@pytest.fixture(scope="module")
def crowd():
    """100,000 runs that wait, each for a key of its own; a tenth of them for a time."""
    place = PostgresPlace()
    store = place.open()
    schema = place.schema
    shared().run(
        f"""insert into {schema}.run (id, flow, state_id, status, key, inputs, graph,
            version, created_by, tags, created, updated, due, fence, error, result,
            state)
        select 'w' || i, '{FLOW}', 's' || i, 'waiting', 'k' || i, '', '', '', '', '[]',
            i, i, case when i % 10 = 0 then 1e6 + i end, 1, '', '', ''
        from generate_series(1, 100000) as i""",
        f"""insert into {schema}.wait (run, flow, name, key, place, kind, token, data,
            since)
        select n, flow, 'paid', key, '', 'event', '', '', 1 from {schema}.run""",
        f"analyze {schema}.run, {schema}.wait, {schema}.letter, {schema}.owner",
    )
    yield store
    store.close()
    place.remove()


def _plan(store, query: str, params: dict) -> str:
    with psycopg.connect(shared().url()) as connection:
        text = f"explain {store._sql[query]}"
        return "\n".join(line for (line,) in connection.execute(text, params))


def test_claimable_reads_indexes_only(crowd):
    """No statement of a worker's turn looks through the waiting runs."""
    one(crowd, event("paid", "k500"))
    begin(crowd, "running")
    assert crowd.claimable(10.0, [FLOW]) == ["w500", "running"]
    params = {"at": 10.0, "flows": [FLOW], "dead": [], "limit": 100}
    for query in ("claimable", "next_due"):
        plan = _plan(crowd, query, params)
        assert "Seq Scan on run" not in plan, plan
        assert "Seq Scan on wait" not in plan, plan


def test_claimable_reads_indexes_with_many_letters(crowd):
    """A burst of events: every letter is looked up, not every run."""
    crowd.commit([event("paid", f"k{i}") for i in range(1001, 1501)])
    shared().run(f"analyze {crowd.info()['schema']}.letter")
    assert len(crowd.claimable(10.0, [FLOW])) == 100
    params = {"at": 10.0, "flows": [FLOW], "dead": [], "limit": 100}
    plan = _plan(crowd, "claimable", params)
    assert "Seq Scan on run" not in plan, plan


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("by_id", {"id": "w7"}),
        ("by_state", {"flow": None, "state_id": "s7"}),
        ("ids", {"prefix": "w99", "past": "w99\U0010ffff", "limit": 2}),
        ("subscribers", {"name": "unheard"}),
        (
            "waiting_at",
            {
                "flows": [FLOW],
                "names": ["paid"],
                "slots": ["=k7"],
                "most": [2],
                "changing": [7],
                "consumed": [],
            },
        ),
        (
            "full_at",
            {"flows": [FLOW], "names": ["paid"], "slots": ["=k7"], "changing": [7]},
        ),
        ("waits_of", {"runs": [7]}),
        ("lock_runs", {"runs": [7, 8]}),
        ("peek_runs", {"runs": [7, 8]}),
    ],
)
def test_statement_reads_an_index(crowd, query, params):
    """What is asked of single runs and places costs the same among many."""
    plan = _plan(crowd, query, params)
    assert "Seq Scan on run" not in plan, plan
    assert "Seq Scan on wait" not in plan, plan


def test_a_group_is_a_few_round_trips(store, monkeypatch):
    """A hundred moves take as many as one."""
    from flowkit.journal.postgres import writer

    holds = [begin(store, f"r{i}") for i in range(50)]
    trips = []

    def send(conn, asks):
        trips.append(len(list(asks)))
        return real(conn, asks)

    real = writer.send
    monkeypatch.setattr(writer, "send", send)
    store.commit([Advance(hold, (entry(1),)) for hold in holds])
    assert len(trips) == 2
    trips.clear()
    store.commit(
        [
            *(Advance(hold, (entry(2),), status="completed") for hold in holds),
            *(event("paid", f"{i}", f"e{i}") for i in range(50)),
            *(Bury("bad", None, None, 1.0, "", "") for _ in range(3)),
            *(Begin(RunRow(f"n{i}", FLOW, "s"), (), (Wait("x"),)) for i in range(50)),
        ]
    )
    assert len(trips) == 3
    assert sum(trips) < 40


def test_info_says_how_durable_the_server_is(store):
    """Both fsync and synchronous_commit decide what a loss of power leaves."""
    info = store.info()
    assert info["kind"] == "postgres"
    assert info["fsync"] == "off"
    assert info["synchronous_commit"] == "on"
    assert info["database"] == "postgres"
