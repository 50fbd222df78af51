"""Servers that are restarted and killed, connections that are lost at the worst time."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

import pytest

from tests.journal.postgres_server import (
    PostgresPlace,
    Server,
    new_schema,
    require,
    shared,
)

require()
pytest.register_assert_rewrite("tests.journal.contract")

from flowkit.errors import RunExistsError, StoreError  # noqa: E402
from flowkit.journal.postgres import PostgresStore, writer  # noqa: E402
from flowkit.journal.queries import Query  # noqa: E402
from flowkit.journal.rows import (  # noqa: E402
    Accept,
    Advance,
    Advanced,
    Begin,
    Begun,
    Delivery,
    Wait,
)
from tests.journal.contract import (  # noqa: E402
    begin,
    entry,
    event,
    one,
    row,
    waiting,
)


@pytest.fixture(scope="module")
def server():
    """One to be killed: it syncs what it commits."""
    made = Server(fsync=True)
    yield made
    made.remove()


@pytest.fixture
def store(server):
    """A store object on it."""
    opened = PostgresStore(server.url(new_schema()))
    yield opened
    opened.close()


WHY = "server closed the connection unexpectedly"
DOWN = re.compile(" was lost|No PostgreSQL server answers|takes no connections now")


def insist(call):
    """Repeat what failed with the server; gives the result and the errors' texts."""
    errors = []
    while True:
        try:
            return call(), errors
        except StoreError as error:
            errors.append(str(error))
            if not DOWN.search(errors[-1]):
                raise


class Stream:
    """Appends and commits without a pause, and notes what was acknowledged.

    What fails is repeated, as a runtime does it: no record is left out.
    """

    def __init__(self, store, name: str) -> None:
        self.store = store
        self.name = name
        self.seq = 0
        self.begun: list[str] = []
        self.events: list[str] = []
        self.errors: list[str] = []
        self.faults: list[BaseException] = []
        self.running = True
        self.far = threading.Semaphore(0)
        self.hold = begin(store, name)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            while self.running:
                self._turn()
                self.far.release()
        except BaseException as error:
            self.faults.append(error)
            self.far.release(10_000)

    def _turn(self) -> None:
        self._insist(lambda: self.store.append(self.hold, entry(self.seq + 1)))
        self.seq += 1
        id = f"{self.name}-{self.seq}"
        moves = [
            Advance(self.hold, (entry(self.seq + 1),)),
            Begin(row(id, created=float(self.seq)), (entry(1),)),
            event("paid", self.name, f"e-{id}", payload=f'"{id}"'),
        ]
        outcomes = self._insist(lambda: self.store.commit(moves))
        assert [type(each).__name__ for each in outcomes] == [
            "Advanced",
            "Begun",
            "Accepted",
        ]
        self.seq += 1
        self.begun.append(id)
        self.events.append(f'"{id}"')

    def _insist(self, call):
        result, errors = insist(call)
        self.errors += errors
        return result

    def go_on(self, turns: int = 5) -> None:
        """Wait until it has come so far again."""
        for _ in range(turns):
            self.far.acquire()

    def stop(self) -> None:
        """End it and check that all acknowledged is there, once."""
        self.running = False
        self._thread.join()
        assert self.faults == []
        entries = self.store.entries(self.name)
        assert entries == [entry(seq) for seq in range(1, self.seq + 1)]
        runs = self.store.runs(Query(limit=-1, text=f"{self.name}-"))
        assert [run.id for run in runs] == self.begun[::-1]
        assert [run.seq for run in runs] == [1] * len(runs)
        kept = [each.payload for each in self.store.kept() if each.key == self.name]
        assert kept == self.events


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_store_goes_on_after_the_server_came_back(server, store, end):
    """Shut down or killed in the middle of a stream: nothing is lost or doubled."""
    streams = [Stream(store, name) for name in ("a", "b")]
    for _ in range(3):
        for stream in streams:
            stream.go_on()
        getattr(server, end)()
        server.start()
    for stream in streams:
        stream.go_on(20)
        stream.stop()


def test_reads_go_on_after_the_server_came_back(server, store):
    """All connections were old; none of them is used again."""
    begin(store)
    reads = [threading.Thread(target=store.run, args=("r1",)) for _ in range(8)]
    for thread in reads:
        thread.start()
    for thread in reads:
        thread.join()
    server.stop()
    server.start()
    assert store.run("r1").id == "r1"
    assert store.owners() == []


def test_a_server_that_is_down_is_named(server, store):
    """While it is down, and then all is well without opening the store again."""
    hold = begin(store)
    store.run("r1")
    server.stop()
    down = (
        f"No PostgreSQL server answers at 127.0.0.1:{server.port}: Connection refused. "
        "Start it, or correct host and port in the store's URL."
    )
    try:
        with pytest.raises(StoreError) as caught:
            store.commit([Advance(hold, (entry(1),))])
        before, why, after = re.split(r"lost: |\. Nothing", str(caught.value))
        assert before == f"The connection to PostgreSQL at 127.0.0.1:{server.port} was "
        assert why in {WHY, "terminating connection due to administrator command"}
        assert after == " was written; the next call connects again."
        for use in (lambda: begin(store, "r2"), lambda: store.run("r1")):
            with pytest.raises(StoreError) as caught:
                use()
            assert str(caught.value) == down
    finally:
        server.start()
    store.append(hold, entry(1))
    assert store.run("r1").seq == 1


def test_a_listener_goes_on_after_the_server_came_back(server, store):
    """It connects again by itself."""
    other = PostgresStore(server.url(store.info()["schema"]))
    waiting(store, "a", Wait("paid"))
    heard = threading.Event()
    end = store.listen(lambda run: heard.set())
    server.stop()
    server.start()
    for _ in range(1000):
        one(other, event("paid"))
        if heard.wait(0.05):
            break
    assert heard.is_set()
    end()
    other.close()


# A proxy between store and server


class Proxy:
    """Passes bytes on until told to lose them.

    Attributes:
        mode: ``pass``; ``lose answer``: the request goes on, the answer is dropped
            and the client cut off; ``lose request``: the request is dropped, both are
            cut off; ``forget``: the request is dropped and the client cut off, the
            server's side stays open. After one loss it is ``pass`` again.
        refuse: cut new connections off.
    """

    def __init__(self, port: int) -> None:
        self.mode = "pass"
        self.refuse = False
        self.losses = 0
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self.refuse:
                    client.close()
                    continue
                target = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, target]
                for each in ((client, target, True), (target, client, False)):
                    threading.Thread(target=self._pump, args=each, daemon=True).start()

    def _pump(self, source, sink, request: bool) -> None:
        client = source if request else sink
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if request and self.mode in {"lose request", "forget"}:
                    forget = self.mode == "forget"
                    self._lost(client)
                    if not forget:
                        self._cut(sink)
                    return
                if not request and self.mode == "lose answer":
                    self._lost(client)
                    return
                sink.sendall(data)
        self._cut(sink)

    def _lost(self, client) -> None:
        self.mode = "pass"
        self.losses += 1
        self._cut(client)

    @staticmethod
    def _cut(one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut all off."""
        self._server.close()
        for each in self._sockets:
            self._cut(each)
            each.close()


@pytest.fixture
def proxy():
    """Before the shared server."""
    made = Proxy(shared().port)
    yield made
    made.close()


@pytest.fixture
def place():
    """A schema of the shared server."""
    made = PostgresPlace()
    yield made
    made.remove()


@pytest.fixture
def far(proxy, place):
    """A store object behind the proxy."""
    opened = PostgresStore(shared().url(place.schema, port=proxy.port))
    yield opened
    opened.close()


def lose(monkeypatch, proxy, mode: str, *, refuse: bool = False, commit: bool = True):
    """Lose the next trip that has (or has not) a commit in it."""
    real = writer.send

    def send(conn, asks):
        asks = list(asks)
        if (asks[-1][0] == "commit") is commit and proxy.losses == 0:
            proxy.mode = mode
            proxy.refuse = refuse
        return real(conn, asks)

    monkeypatch.setattr(writer, "send", send)


MODES = ["lose answer", "lose request", "forget"]


def moves(hold, at: float = 1.0):
    """One of each kind; all but the first can be told from a repeat."""
    return [
        Advance(hold, (entry(1),), waits=(Wait("paid"),)),
        Begin(row("new", created=at), (entry(1),), (Wait("sent"),)),
        event("paid", id="e1"),
    ]


def check_moves(store) -> None:
    """Each was written once."""
    assert store.entries("r1") == [entry(1)]
    assert store.run("new").seq == 1
    assert [each.event for each in store.letters("r1")] == ["e1"]
    assert len(store.waits()) == 2


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_lost_connection_neither_loses_nor_doubles(
    monkeypatch, proxy, far, mode, commit
):
    """Request or answer, of the commit or before it: the store finds out itself."""
    hold = begin(far)
    lose(monkeypatch, proxy, mode, commit=commit)
    outcomes = far.commit(moves(hold))
    assert proxy.losses == 1
    kinds = [type(each).__name__ for each in outcomes]
    assert kinds == ["Advanced", "Begun", "Accepted"]
    assert not outcomes[2].duplicate
    check_moves(far)


@pytest.mark.parametrize("mode", MODES)
def test_a_lost_append_neither_loses_nor_doubles(proxy, far, mode):
    """It is written once, and the next number follows."""
    hold = begin(far)
    proxy.mode = mode
    far.append(hold, entry(1))
    assert proxy.losses == 1
    far.append(hold, entry(2))
    assert far.entries("r1") == [entry(1), entry(2)]


UNKNOWN = (
    "The connection to PostgreSQL at 127.0.0.1:{port} was lost while a commit was "
    "under way: {why}. Unknown outcome: it may have been written. Repeat the call: it "
    "connects again, and what was written is not written twice."
)


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_outcome_says_so_and_can_be_repeated(monkeypatch, proxy, far, mode):
    """The server cannot be asked; later the same call writes what is missing."""
    hold = begin(far)
    lose(monkeypatch, proxy, mode, refuse=True)
    with pytest.raises(StoreError) as caught:
        far.commit(moves(hold))
    assert str(caught.value) == UNKNOWN.format(port=proxy.port, why=WHY)
    with pytest.raises(StoreError):
        far.commit(moves(hold))
    proxy.refuse = False
    advanced, begun, accepted = far.commit(moves(hold))
    assert isinstance(advanced, Advanced)
    assert isinstance(begun, Begun)
    assert accepted.duplicate is (mode == "lose answer")
    check_moves(far)
    far.append(begun.hold, entry(2))


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_append_says_so_and_can_be_repeated(proxy, far, mode):
    """The same for a single record."""
    hold = begin(far)
    proxy.mode, proxy.refuse = mode, True
    with pytest.raises(StoreError) as caught:
        far.append(hold, entry(1))
    assert str(caught.value) == UNKNOWN.format(port=proxy.port, why=WHY)
    proxy.refuse = False
    far.append(hold, entry(1))
    far.append(hold, entry(2))
    assert far.entries("r1") == [entry(1), entry(2)]


def test_a_repeat_without_doubt_is_a_mistake(monkeypatch, proxy, far):
    """What was acknowledged is not written again, and the caller is told."""
    hold = begin(far)
    lose(monkeypatch, proxy, "lose answer")
    far.commit(moves(hold))
    advanced, begun, accepted = far.commit(moves(hold))
    assert type(advanced) is StoreError
    assert isinstance(begun, RunExistsError)
    assert accepted.duplicate
    with pytest.raises(StoreError):
        far.append(hold, entry(1))


def test_another_record_of_the_same_number_is_no_repeat(proxy, far):
    """Only the same content is taken for what was written."""
    hold = begin(far)
    proxy.mode, proxy.refuse = "lose answer", True
    with pytest.raises(StoreError):
        far.append(hold, entry(1))
    proxy.refuse = False
    with pytest.raises(StoreError) as caught:
        far.append(hold, entry(1, data='{"other": 1}'))
    assert str(caught.value) == (
        "Record 1 of run 'r1' does not follow its latest one, 1. Nothing was written; "
        "number the records of a run without a gap."
    )


def test_a_repeated_move_gives_the_letters_that_its_waits_took(monkeypatch, proxy, far):
    """Otherwise nobody would hear of them."""
    hold = begin(far)
    one(far, event("paid", id="e1"))
    one(far, event("sent", id="e2"))
    lose(monkeypatch, proxy, "lose answer", refuse=True)
    both = [
        Advance(hold, (entry(1),), waits=(Wait("paid"),)),
        Begin(row("new"), (), (Wait("sent"),)),
    ]
    with pytest.raises(StoreError):
        far.commit(both)
    proxy.refuse = False
    advanced, begun = far.commit(both)
    assert [each.event for each in advanced.letters] == ["e1"]
    assert [each.event for each in begun.letters] == ["e2"]


def test_what_was_taken_out_is_given_although_the_answer_was_lost(
    monkeypatch, proxy, far
):
    """``swap`` and ``undead`` answer as if nothing had happened."""
    from flowkit.journal.rows import Bury

    number = one(far, Bury("paid", None, None, 1.0, "{}", "why"))
    lose(monkeypatch, proxy, "lose answer")
    assert far.undead(number).number == number
    proxy.losses = 0
    assert far.swap("c", None, "1")
    assert far.cell("c") == "1"


@pytest.mark.parametrize("mode", MODES)
def test_what_is_forgotten_is_buried_once_whatever_is_lost(
    monkeypatch, proxy, far, mode
):
    """One statement does both; the connection breaks at it."""
    delivery = Delivery("news:Flow", "[1]", keep=True)
    one(far, Accept("paid", None, "e1", 1.0, (delivery,)))
    lose(monkeypatch, proxy, mode)
    far.forget(events_before=0.0, kept_before=2.0, most_kept=9, at=3.0, reason="why")
    assert far.kept() == []
    assert [each.letter.id for each in far.dead()] == ["e1"]
