"""What a SQLite store does when the file, the disk or a process fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing

import apsw
import pytest

from flowkit import Flow, listen, start
from flowkit.errors import MissingExtraError, StoreError
from flowkit.journal import urls
from flowkit.journal.queries import Query
from flowkit.journal.rows import (
    Accept,
    Advance,
    Begin,
    Begun,
    Delivery,
    Entry,
    Hold,
    RunRow,
    Wait,
)
from flowkit.journal.sqlite import faults
from flowkit.journal.sqlite.queries import SQL
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.journal.urls import default_url, open_store

CHILD = """
import sys
from flowkit.journal.rows import (Advance, Begin, Entry, Hold, RunRow)
from flowkit.journal.queries import (Query)
from flowkit.errors import (RunExistsError)
from flowkit.journal.sqlite.store import SqliteStore
print("ready", flush=True)
sys.stdin.readline()
"""


def entry(seq: int, data: str = "{}") -> Entry:
    """A record."""
    return Entry(seq, 100.0, "done", seq, "pay", data)


def begun(store, id: str = "r1", **changes) -> Hold:
    """A new run."""
    (outcome,) = store.commit([Begin(RunRow(id, "f:F", f"s-{id}", **changes))])
    assert isinstance(outcome, Begun)
    return outcome.hold


@pytest.fixture
def child():
    """Starts a process that has imported what it needs and goes on when told."""
    with ExitStack() as stack:

        def start(code: str, *args: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD + code, *args],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout.readline() == "ready\n"
            return process

        yield start


def go(process: subprocess.Popen[str]) -> None:
    """Tell a child to go on."""
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def path(tmp_path):
    """A file that does not exist yet."""
    return tmp_path / "journal.db"


@pytest.fixture
def store(path):
    """A store in it."""
    opened = SqliteStore(path)
    yield opened
    opened.close()


def test_a_torn_log_leaves_a_committed_prefix(path, tmp_path):
    """Cut anywhere, the log gives the first n commits, each of them whole."""
    store = SqliteStore(path)
    hold = begun(store)
    for seq in range(1, 41):
        move = Advance(hold, (entry(2 * seq - 1), entry(2 * seq, "x" * 300)))
        store.commit([move])
    log = (tmp_path / "journal.db-wal").read_bytes()
    found = []
    for cut in [*range(0, len(log), 1_993), len(log)]:
        torn = tmp_path / "torn.db"
        for old in tmp_path.glob("torn.db*"):
            old.unlink()
        shutil.copy(path, torn)
        (tmp_path / "torn.db-wal").write_bytes(log[:cut])
        again = SqliteStore(torn)
        seqs = [each.seq for each in again.entries("r1")]
        again.close()
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) % 2 == 0
        found.append(len(seqs))
    store.close()
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] == 80


def test_what_append_returned_for_survives_a_kill(path, child):
    """A process is killed while it appends; what it had told is there."""
    code = """
store = SqliteStore(sys.argv[1])
hold = store.commit([Begin(RunRow("r1", "f:F", "s"))])[0].hold
for seq in range(1, 1_000_000):
    store.append(hold, Entry(seq, 1.0, "done", seq, "pay", "{}"))
    print(seq, flush=True)
"""
    process = child(code, str(path))
    go(process)
    told = 0
    while told < 200:
        told = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    whole, _, _ = rest.rpartition("\n")
    told = int(whole.splitlines()[-1]) if whole else told
    store = SqliteStore(path)
    seqs = [each.seq for each in store.entries("r1")]
    store.close()
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) in {told, told + 1}


def test_two_processes_append_to_one_file(path, child):
    """Each its own run; no record is lost, none refused."""
    code = """
store = SqliteStore(sys.argv[1], synchronous="normal")
hold = store.commit([Begin(RunRow(sys.argv[2], "f:F", "s"))])[0].hold
for seq in range(1, 301):
    store.append(hold, Entry(seq, 1.0, "done", seq, "pay", "{}"))
store.close()
"""
    processes = [child(code, str(path), name) for name in ("a", "b")]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = SqliteStore(path)
    assert [len(store.entries(name)) for name in ("a", "b")] == [300, 300]
    store.close()


def test_processes_never_have_two_runs_alone(path, child):
    """Of several that begin runs of one state, one does at a time."""
    code = """
store = SqliteStore(sys.argv[1], synchronous="normal")
for i in range(100):
    run = RunRow(f"{sys.argv[2]}-{i}", "f:F", "s")
    (begun,) = store.commit([Begin(run, (Entry(1, 1.0, "a", 1, "a", ""),), alone=True)])
    if isinstance(begun, RunExistsError):
        continue
    live = store.runs(Query(status=["running"]))
    assert [each.id for each in live] == [run.id], live
    store.commit([Advance(begun.hold, status="completed")])
store.close()
"""
    processes = [child(code, str(path), name) for name in ("a", "b", "c")]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = SqliteStore(path)
    runs = store.runs(Query(limit=-1))
    assert len(runs) >= 3
    assert {run.status for run in runs} == {"completed"}
    store.close()


def test_many_processes_open_a_new_file_at_once(path, child):
    """One of them makes the schema, all of them write."""
    code = """
store = SqliteStore(sys.argv[1])
store.commit([Begin(RunRow(sys.argv[2], "f:F", "s"))])
store.close()
"""
    processes = [child(code, str(path), f"r{i}") for i in range(5)]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    store = SqliteStore(path)
    assert len(store.runs(Query())) == 5
    store.close()


def test_a_forked_child_opens_its_own_connections(store):
    """It writes on its own, and the parent's store goes on."""
    hold = begun(store)
    store.append(hold, entry(1))
    pid = os.fork()
    if not pid:
        try:
            store.append(hold, entry(2))
            assert len(store.entries("r1")) == 2
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    store.append(hold, entry(3))
    assert len(store.entries("r1")) == 3


def test_a_full_disk_is_told_and_got_over(store, path):
    """Nothing is half written; with room again the store goes on."""
    hold = begun(store)
    ((pages,),) = store._writer.execute("PRAGMA page_count").fetchall()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 4}").fetchall()
    text = (
        f"The disk is full: the journal {path} could not be written, and nothing was. "
        "Free some space; the store goes on by itself."
    )
    large = entry(1, "x" * 100_000)
    with pytest.raises(StoreError) as caught:
        store.append(hold, large)
    assert str(caught.value) == text
    small = Begin(RunRow("r2", "f:F", "s"))
    with pytest.raises(StoreError) as caught:
        store.commit([small, Advance(hold, (large,))])
    assert str(caught.value) == text
    assert store.run("r2") is None
    assert store.entries("r1") == []
    store._writer.execute("PRAGMA max_page_count = 1000000").fetchall()
    store.append(hold, large)
    assert store.entries("r1") == [large]


def test_a_lock_of_another_process_is_told(store, path, monkeypatch):
    """After the patience for it; nothing was written."""
    hold = begun(store)
    store._writer.set_busy_timeout(1)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    text = (
        f"The journal {path} was locked by another process for more than 5 seconds; "
        "nothing was written. End what holds it, or try again."
    )
    for write in (
        lambda: store.append(hold, entry(1)),
        lambda: store.commit([Advance(hold, (entry(1),))]),
        lambda: store.claim("r1", "o", 1.0),
        lambda: store.swap("c", None, "1"),
    ):
        with pytest.raises(StoreError) as caught:
            write()
        assert str(caught.value) == text
    other.execute("ROLLBACK")
    other.close()
    store.append(hold, entry(1))


def refusal(path):
    """Why no store is opened there."""
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    return str(caught.value)


def test_a_file_that_is_no_database_is_refused(path):
    """And left as it was."""
    path.write_text("hello, world\n" * 100)
    assert refusal(path) == (
        f"{path} is not a SQLite database. Give the store a file of its own, or move "
        "this one away."
    )
    assert path.read_text() == "hello, world\n" * 100


def test_a_damaged_file_is_told(path):
    """With what can be done."""
    store = SqliteStore(path)
    hold = begun(store)
    store.commit([Advance(hold, [entry(seq, "x" * 500) for seq in range(1, 200)])])
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\x99" * (len(whole) - 8192))
    assert refusal(path) == (
        f"The journal {path} is damaged (database disk image is malformed). Restore a "
        f"backup, or save what can be read: sqlite3 {path} .recover"
    )


def test_a_database_of_another_program_is_refused(path):
    """Nothing of it is changed, not even its journal mode."""
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    assert refusal(path) == (
        f"{path} is a SQLite database of another program. Give the store a file of "
        "its own; nothing was changed."
    )
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path):
    """Nothing is touched."""
    SqliteStore(path).close()
    other = apsw.Connection(str(path))
    other.execute("PRAGMA user_version = 99")
    other.close()
    before = path.read_bytes()
    assert refusal(path) == (
        f"The journal {path} has schema 99, written by a newer flowkit; this one knows "
        "up to 2. Upgrade flowkit, or use another file; nothing was changed."
    )
    assert path.read_bytes() == before


def test_a_missing_folder_is_told(tmp_path):
    """It is not created."""
    path = tmp_path / "none" / "journal.db"
    assert refusal(path) == (
        f"The folder {path.parent} of the journal journal.db does not exist. Create "
        "it, or give another place in FLOWKIT_STORE or store=."
    )
    assert not path.parent.exists()


def test_a_folder_is_no_journal(tmp_path):
    """The text names a file that would do."""
    assert refusal(tmp_path) == (
        f"The journal {tmp_path} is a folder. Name a file in it, such as "
        f"{tmp_path / 'journal.db'}."
    )


@pytest.mark.parametrize(
    "error",
    [
        kind
        for kind in vars(apsw).values()
        if isinstance(kind, type) and issubclass(kind, apsw.Error)
    ],
)
def test_every_error_of_apsw_has_a_sentence(error, path):
    """With the file in it; no raw error comes out."""
    told = faults.fault(error("why"), path)
    assert type(told) is StoreError
    assert str(path) in str(told)


def test_a_file_that_can_only_be_read_is_told(store, path):
    """Also if it became so while it was open."""
    hold = begun(store)
    store._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError) as caught:
        store.append(hold, entry(1))
    assert str(caught.value) == (
        f"The journal {path} can only be read, so that nothing was written. Give this "
        "user the right to write the file and its folder."
    )


def test_a_value_that_cannot_be_stored_refuses_its_move_only(store, path):
    """A lone surrogate is no Unicode; the other moves are written."""
    hold = begun(store)
    outcomes = store.commit(
        [
            Advance(hold, (entry(1),)),
            Begin(RunRow("bad", "f:F", "\ud800")),
            Accept("n", None, "e1", 1.0, (Delivery("f:F", "\ud800", keep=True),)),
            Advance(hold, (entry(2), entry(3))),
        ]
    )
    kinds = [type(each).__name__ for each in outcomes]
    assert kinds == ["Advanced", "StoreError", "StoreError", "Advanced"]
    assert str(path) in str(outcomes[1])
    assert store.run("r1").seq == 3
    assert not store.seen("e1")
    with pytest.raises(StoreError):
        store.append(hold, entry(4, "\ud800"))


def test_what_cannot_be_buried_is_kept(store, path):
    """A fault between the two: neither is done, and it is done the next time."""
    delivery = Delivery("news:Flow", "[1]", keep=True)
    store.commit([Accept("paid", None, "e1", 1.0, (delivery,))])
    kept = store.kept()
    limits = {"events_before": 0.0, "kept_before": 2.0, "most_kept": 9}
    with closing(apsw.Connection(str(path))) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON dead "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
        with pytest.raises(StoreError):
            store.forget(**limits, at=3.0, reason="why")
        assert (store.kept(), store.dead()) == (kept, [])
        other.execute("DROP TRIGGER full")
    assert store.forget(**limits, at=3.0, reason="why") == kept
    assert store.kept() == []
    (dead,) = store.dead()
    assert dead.letter.id == "e1"


def test_a_step_takes_at_most_400_bytes(path):
    """Of the file, for a small record of its own."""
    store = SqliteStore(path, synchronous="normal")
    holds = [begun(store, f"r{i}") for i in range(100)]
    store.close()
    before = path.stat().st_size
    for seq in range(1, 101):
        record = Entry(seq, 1.5e9, "done", seq, "pay_the_order", '{"output": 1}')
        store.commit([Advance(hold, (record,)) for hold in holds])
    store.close()
    assert (path.stat().st_size - before) / 10_000 <= 400


def test_the_log_is_moved_into_the_file_behind(path):
    """A checkpoint runs in a thread of its own once the log is long."""
    store = SqliteStore(path, synchronous="normal")
    hold = begun(store)
    size = path.stat().st_size
    for seq in range(1, 60):
        store.append(hold, entry(seq, "x" * 100_000))
    store._checkpoints.finish()
    assert path.stat().st_size > size
    store.close()
    assert not [each for each in threading.enumerate() if "checkpoint" in each.name]


@pytest.mark.parametrize("name", ["claimable", "next_due", "taker", "append", "held"])
def test_no_scan_of_what_waits(store, name):
    """However many runs wait: only indexes of runs, waits and letters are read."""
    sql = "EXPLAIN QUERY PLAN " + SQL[name]
    names = {"at": 1.0, "flows": "[]", "dead": "[]", "limit": 1}
    values = names if ":flows" in sql else (1, 1, 1, 1, 1, 1, 1, 1)[: _count(sql)]
    plan = [row[3] for row in store._writer.execute(sql, values).fetchall()]
    scans = [each for each in plan if each.startswith("SCAN")]
    small = ("picked", "wanted", "json_each", "flow", "l USING", "(subquery", "owner")
    assert [each for each in scans if not any(word in each for word in small)] == []


def _count(sql: str) -> int:
    return max(number for number in range(1, 9) if f"?{number}" in sql)


def test_a_closed_store_opens_again_when_used(store):
    """Those who share it are not disturbed."""
    hold = begun(store)
    store.close()
    store.append(hold, entry(1))
    store.close()
    assert len(store.entries("r1")) == 1


def test_a_place_is_shared_within_a_process(tmp_path, monkeypatch):
    """One object, however it is written, while somebody holds it."""
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///a.db")
    assert open_store(f"sqlite:///{tmp_path}/a.db") is store
    assert open_store("sqlite:///b.db") is not store
    memory = open_store("memory:")
    assert open_store("memory:") is memory
    assert store.url == f"sqlite:///{tmp_path}/a.db"


def test_synchronous_comes_with_the_url(tmp_path):
    """``full`` if it is not given."""
    for option, number in (("", 2), ("?synchronous=normal", 1)):
        store = open_store(f"sqlite:///{tmp_path}/j{number}.db{option}")
        found = store._writer.execute("PRAGMA synchronous").fetchall()
        assert found == [(number,)]


def test_the_default_place_is_the_projects(tmp_path, monkeypatch):
    """Its folder keeps itself out of version control, and is made when opened."""
    monkeypatch.delenv("FLOWKIT_STORE", raising=False)
    (tmp_path / "pyproject.toml").touch()
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    folder = tmp_path / ".flowkit"
    assert default_url() == f"sqlite:///{folder}/journal.db"
    assert not folder.exists()
    store = open_store()
    begun(store)
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "journal.db").exists()
    monkeypatch.setenv("FLOWKIT_STORE", "memory:x")
    assert default_url() == "memory:x"
    assert not open_store().durable


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "sqlit:///a.db",
            "There is no store of the kind 'sqlit'. Did you mean 'sqlite'? Write sqlite:///journal.db, postgresql://user@host/database or memory:.",
        ),
        (
            "journal.db",
            "There is no store of the kind 'journal.db'. Write sqlite:///journal.db, postgresql://user@host/database or memory:.",
        ),
        (
            "sqlite://a.db",
            "The store 'sqlite://a.db' names no file. Write sqlite:///journal.db, or sqlite:////srv/journal.db for an absolute path; memory: is a store without a file.",
        ),
        (
            "sqlite:///a.db?synchronous=off",
            "The store 'sqlite:///a.db?synchronous=off' asks for synchronous='off'. Give full (the default) or normal.",
        ),
        (
            "sqlite:///a.db?mode=ro",
            "The store 'sqlite:///a.db?mode=ro' has an option 'mode' that SQLite stores do not know. Only ?synchronous=full or ?synchronous=normal can be given.",
        ),
    ],
)
def test_a_wrong_url_is_told(url, text):
    """What is wrong and what to write."""
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert str(caught.value) == text


def test_postgres_without_its_driver_names_the_extra(monkeypatch):
    """The install line is in the text."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [name for name in sys.modules if "journal.postgres" in name]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError) as caught:
        open_store("postgresql://nobody:secret@localhost/none")
    assert str(caught.value).endswith(
        "needs the extra 'postgres', which is not installed. Install it: "
        "pip install 'flowkit[postgres]'"
    )


def test_importing_flowkit_does_not_load_apsw():
    """It costs 13 ms, and who keeps nothing does not need it."""
    code = "import flowkit, flowkit.journal.urls, sys; print('apsw' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
    assert urls.FOLDER == ".flowkit"


def test_waits_are_found_by_an_index(store):
    """By token, when somebody answers."""
    begun(store)
    (outcome,) = store.commit(
        [Begin(RunRow("r2", "f:F", "s"), (), (Wait("ask", kind="person", token="t"),))]
    )
    assert isinstance(outcome, Begun)
    assert [each.run for each in store.waits(token="t")] == ["r2"]


def test_what_one_run_waits_for_is_found_by_its_index(store):
    """Not by a walk through all waits."""
    from flowkit.journal.sqlite.store import _OF_RUN

    where = f"WHERE run = :run AND {_OF_RUN}"
    sql = "EXPLAIN QUERY PLAN " + SQL["waits"].replace("{conditions}", where)
    begun(store)
    rows = store._writer.execute(sql, {"run": "r1", "limit": 9}).fetchall()
    assert not [row[3] for row in rows if row[3].startswith("SCAN")]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_disappears_in_mid_run_is_told(tmp_path, replaced):
    """Not at the end of nothing: the run stops with it, and a new one begins anew."""
    path = tmp_path / "app.db"
    ran = []

    class Deletes(Flow[dict]):
        @start()
        def first(self):
            ran.append("first")

        @listen(first)
        def second(self):
            ran.append("second")
            if len(ran) == 2:
                for each in tmp_path.iterdir():
                    each.unlink()
                if replaced:
                    SqliteStore(path).close()

        @listen(second)
        def third(self):
            return "done"

    url = f"sqlite:///{path}"
    flow = Deletes(store=url)
    with pytest.raises(StoreError) as raised:
        flow.kickoff(id="r")
    assert str(raised.value) == (
        f"The journal {path} was deleted or replaced while it was in use. Nothing of "
        f"this call was written, and what was written since then is lost. Put the "
        f"file back, or go on with what is there now: the next use opens it."
    )
    assert flow.run.lost is raised.value
    assert not hasattr(raised.value, "__notes__")  # there is nothing to resume
    assert Deletes(store=url).kickoff(id="r") == "done"
    assert ran == ["first", "second"] * 2


def test_a_long_run_leaves_the_statements_of_its_end_prepared(tmp_path):
    """Apsw forgets a statement after so many executions, even of another one."""
    store = SqliteStore(tmp_path / "flowkit.db")
    runs = []
    for number in range(3):
        hold = begun(store, f"r{number}")
        for seq in range(1, 121):
            store.append(hold, entry(seq))
        store.commit([Advance(hold, (entry(121),), 100.0, status="completed")])
        runs.append(store._writer.cache_stats()["misses"])
    assert runs[0] == runs[1] == runs[2]
