"""What every store promises, as tests for any of them.

A test module makes a class of :class:`StoreContract` and gives it a fixture
``place``, an empty :class:`Place` for each test. The numbers in docstrings are the
promises of ``flowkit/journal/base.py``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import pytest

from flowkit.core.limits import Bulkhead
from flowkit.errors import FencedError, RunExistsError, StoreError
from flowkit.journal.queries import Query
from flowkit.journal.rows import (
    TRANSIENT,
    Accept,
    Accepted,
    Advance,
    Advanced,
    Begin,
    Begun,
    Bury,
    Dead,
    Delivery,
    Entry,
    Hold,
    Letter,
    Owner,
    RunRow,
    Wait,
)
from flowkit.runtime.clock import now
from flowkit.runtime.places import StoredPlaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.journal.base import Store

__all__ = ["Place", "StoreContract"]

FLOW = "shop:Order"
OTHER = "shop:Parcel"


class Place(Protocol):
    """One database, empty at first; opening it again gives what was written."""

    durable: bool

    def open(self) -> Store: ...


def together(work: Callable[[], None], times: int) -> None:
    """Do something in several threads at once."""
    threads = [threading.Thread(target=work) for _ in range(times)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def entry(seq: int, kind: str = "done", data: str = "{}") -> Entry:
    """A record as a step leaves it."""
    return Entry(seq, 100.0 + seq, kind, seq, "pay", data)


def row(id: str = "r1", **changes) -> RunRow:
    """A run as it begins."""
    return RunRow(**{"id": id, "flow": FLOW, "state_id": f"s-{id}", **changes})


def one(store: Store, move):
    """The outcome of a single move; a refusal is raised."""
    (outcome,) = store.commit([move])
    if isinstance(outcome, StoreError):
        raise outcome
    return outcome


def begin(store: Store, id: str = "r1", *, entries=(), waits=(), **changes) -> Hold:
    """A new run; gives the right to write it."""
    begun = one(store, Begin(row(id, **changes), entries, waits))
    assert isinstance(begun, Begun)
    return begun.hold


def waiting(store: Store, id: str, *waits: Wait, **changes) -> Hold:
    """A run that waits and that nobody owns."""
    return begin(store, id, waits=waits, **{"status": "waiting", **changes})


def event(
    name: str = "paid",
    key: str | None = None,
    id: str | None = None,
    *,
    at: float = 200.0,
    payload: str = '"p"',
    flow: str = FLOW,
    **more,
) -> Accept:
    """An event for one flow, kept if no run takes it."""
    delivery = Delivery(flow, payload, **{"keep": True, **more})
    return Accept(name, key, id, at, (delivery,))


def fate(store: Store, accept: Accept):
    """What became of the only delivery."""
    accepted = one(store, accept)
    assert isinstance(accepted, Accepted)
    (found,) = accepted.fates
    return found


def numbers(letters) -> list[int]:
    """The numbers of letters, in the order given."""
    return [letter.number for letter in letters]


def payloads(letters) -> list[str]:
    """What is in letters, in the order given."""
    return [letter.payload for letter in letters]


class Runs:
    """Begin, Advance and what is read back."""

    def test_a_run_comes_back_as_it_was_begun(self, store):
        """Every column, with the number of the latest record and the run's own."""
        begun = row(
            "r1",
            status="running",
            key="k",
            inputs="hash",
            graph="g",
            version="2",
            parent="p",
            created_by="me",
            tags=("a", "b"),
            created=1.5,
            updated=2.5,
            due=3.5,
            fence=4,
            owner="o",
            error="e",
            result="1",
            state="{}",
        )
        outcome = one(store, Begin(begun, (entry(1), entry(2)), (), '{"steps": []}'))
        found = store.run("r1")
        assert found == begun._replace(seq=2, n=outcome.hold.n)
        assert outcome == Begun(Hold(found.n, 4), ())
        assert store.graph("g") == '{"steps": []}'

    def test_a_bare_run_comes_back_as_it_was_begun(self, store):
        """Defaults stay defaults: None is not "", nor 0."""
        hold = begin(store)
        assert store.run("r1") == row("r1", n=hold.n)

    def test_what_is_not_there_is_none(self, store):
        """Reads of unknown names raise nothing."""
        assert store.run("r1") is None
        assert store.by_state(None, "s") is None
        assert store.graph("g") is None
        assert store.entries("r1") == []
        assert store.letters("r1") == []

    def test_an_id_is_taken_once(self, store):
        """The refusal carries the row as stored; what came with it isn't written."""
        hold = begin(store, entries=[entry(1)])
        again = Begin(row("r1", flow=OTHER), (entry(1), entry(2)), (Wait("x"),), "{}")
        (refused,) = store.commit([again])
        assert isinstance(refused, RunExistsError)
        assert refused.row == row("r1", seq=1, n=hold.n)
        assert str(refused) == (
            "A run 'r1' of shop:Order exists already and is running. Nothing was "
            "written; go on with it, or give another id."
        )
        assert store.run("r1").seq == 1
        assert store.waits(run="r1") == []

    @pytest.mark.parametrize("status", ["running", "waiting"])
    def test_a_begin_alone_is_refused_while_its_state_has_a_run(self, store, status):
        """The refusal carries the row as stored; nothing is written."""
        hold = begin(store, "a", status=status, state_id="s")
        move = Begin(row("b", state_id="s"), (entry(1),), (Wait("x"),), alone=True)
        (refused,) = store.commit([move])
        assert isinstance(refused, RunExistsError)
        assert refused.row == row("a", status=status, state_id="s", n=hold.n)
        assert str(refused) == (
            f"Run 'a' of shop:Order is {status} on the state 's', which the new run "
            f"was to have alone. Nothing was written; go on with that run, or begin "
            f"again once it is over."
        )
        assert store.run("b") is None
        assert store.waits() == []

    def test_a_begin_alone_heeds_live_runs_of_its_flow_and_state_only(self, store):
        """Ended runs, other flows and other states are not in its way."""
        begin(store, "ended", status="failed", state_id="s")
        begin(store, "other", flow=OTHER, state_id="s")
        begin(store, "elsewhere", state_id="t")
        one(store, Begin(row("a", state_id="s"), alone=True))
        one(store, Begin(row("b", state_id="s")))
        (refused,) = store.commit([Begin(row("c", state_id="s"), alone=True)])
        assert isinstance(refused, RunExistsError)

    def test_a_begin_alone_of_a_known_id_is_refused_for_the_id(self, store):
        """What has that id is what its caller is told of, also when it is over."""
        begin(store, "a", status="completed", state_id="s")
        begin(store, "b", state_id="s")
        (refused,) = store.commit([Begin(row("a", state_id="s"), alone=True)])
        assert refused.row.id == "a"

    def test_a_begin_alone_sees_the_moves_before_it(self, store):
        """In one call: a run that ends makes room, one that begins or goes on not."""
        first = begin(store, "a", state_id="s")
        over = begin(store, "z", status="failed", state_id="u")
        moves = [
            Begin(row("b", state_id="s"), alone=True),
            Advance(first, status="completed"),
            Begin(row("c", state_id="s"), alone=True),
            Begin(row("d", state_id="s"), alone=True),
            Advance(over, status="running"),
            Begin(row("e", state_id="u"), alone=True),
            Advance(over, state_id="v"),
            Begin(row("f", state_id="u"), alone=True),
            Begin(row("g", state_id="v"), alone=True),
        ]
        outcomes = dict(zip("b-cd-e-fg", store.commit(moves), strict=True))
        refused = {
            name: outcome.row.id
            for name, outcome in outcomes.items()
            if isinstance(outcome, RunExistsError)
        }
        assert refused == {"b": "a", "d": "c", "e": "z", "g": "z"}

    def test_an_event_begins_no_run_where_another_is_to_be_alone(self, store):
        """2: the whole event is refused, and its id stays new."""
        begin(store, "a", state_id="s")
        alone = Begin(row("b", state_id="s"), alone=True)
        (refused,) = store.commit([event("new", id="e1", begin=alone)])
        assert isinstance(refused, RunExistsError)
        assert refused.row.id == "a"
        assert not store.seen("e1")
        begins = [Begin(row(id, state_id="t"), alone=True) for id in "cd"]
        deliveries = tuple(Delivery(FLOW, "1", each) for each in begins)
        (refused,) = store.commit([Accept("new", None, "e2", 1.0, deliveries)])
        assert isinstance(refused, RunExistsError)
        assert store.run("c") is None
        twice = tuple(Delivery(FLOW, "1", Begin(row("c"))) for _ in range(2))
        (refused,) = store.commit([Accept("new", None, "e3", 1.0, twice)])
        assert isinstance(refused, RunExistsError)

    def test_of_threads_that_begin_alone_one_does(self, store):
        """Different ids, one state: one run, which the others are told of."""
        outcomes: list = []

        def work(id: str) -> None:
            outcomes.extend(store.commit([Begin(row(id, state_id="s"), alone=True)]))

        threads = [threading.Thread(target=work, args=(f"r{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (run,) = store.runs(Query())
        refused = [each for each in outcomes if isinstance(each, RunExistsError)]
        assert [each.row.id for each in refused] == [run.id] * 7

    def test_runs_have_numbers_of_their_own(self, store):
        """A number names one run, also after another one was deleted."""
        first = begin(store, "a", status="completed")
        second = begin(store, "b", status="completed")
        assert first.n < second.n
        assert store.purge(["b"]) == 1
        assert begin(store, "c").n > second.n

    def test_advance_changes_what_it_names(self, store):
        """Every column that can be changed."""
        hold = begin(store, owner="o", tags=("t",))
        advance = Advance(
            hold,
            at=7.0,
            status="waiting",
            due=9.0,
            owner=None,
            key="k",
            state_id="s",
            error="e",
            result="1",
            state="2",
            graph=("g", "{}"),
            tags=("u", "v"),
        )
        assert one(store, advance) == Advanced()
        assert store.run("r1") == row(
            "r1",
            status="waiting",
            updated=7.0,
            due=9.0,
            key="k",
            state_id="s",
            error="e",
            result="1",
            state="2",
            graph="g",
            tags=("u", "v"),
            n=hold.n,
        )
        assert store.graph("g") == "{}"

    def test_advance_keeps_what_it_does_not_name(self, store):
        """A move with a record alone leaves the row, its waits and its owner."""
        begun = row("r1", owner="o", key="k", due=5.0, updated=3.0, tags=("t",))
        hold = one(store, Begin(begun, (entry(1),), (Wait("paid", "k"),))).hold
        one(store, Advance(hold, (entry(2),), at=9.0))
        assert store.run("r1") == begun._replace(seq=2, n=hold.n)
        assert [each.wait for each in store.waits(run="r1")] == [Wait("paid", "k")]

    def test_none_is_written_where_keep_is_not_meant(self, store):
        """``key`` and ``due`` can be taken away."""
        hold = begin(store, key="k", due=5.0)
        one(store, Advance(hold, key=None, due=None))
        assert store.run("r1") == row("r1", n=hold.n)

    def test_a_run_that_is_over_has_no_waits_no_owner_and_no_due(self, store):
        """Whatever else the move says."""
        hold = begin(store, waits=[Wait("paid")], owner="o", due=5.0)
        one(store, Advance(hold, status="failed", due=8.0, waits=(Wait("x"),)))
        assert store.run("r1") == row("r1", status="failed", n=hold.n)
        assert store.waits() == []
        assert store.next_due([FLOW]) is None

    def test_a_run_can_begin_as_over(self, store):
        """A short one is written at its end."""
        hold = begin(store, status="completed", waits=[Wait("x")], owner="o", due=1.0)
        assert store.run("r1") == row("r1", status="completed", n=hold.n)
        assert store.waits() == []

    def test_by_state_gives_the_newest_run(self, store):
        """Of one flow, or of any."""
        begin(store, "a", state_id="s", status="completed")
        begin(store, "b", state_id="s")
        begin(store, "c", state_id="s", flow=OTHER)
        assert store.by_state(None, "s").id == "c"
        assert store.by_state(FLOW, "s").id == "b"
        assert store.by_state("no:Flow", "s") is None

    def test_by_state_follows_a_changed_state_id(self, store):
        """The old one does not find it any more."""
        hold = begin(store, state_id="old")
        one(store, Advance(hold, state_id="new"))
        assert store.by_state(FLOW, "old") is None
        assert store.by_state(FLOW, "new").id == "r1"

    def test_a_graph_is_stored_once(self, store):
        """The first text of a hash stays."""
        one(store, Begin(row("a", graph="g"), graph="first"))
        one(store, Begin(row("b", graph="g"), graph="second"))
        one(store, Begin(row("c", graph="h")))
        assert store.graph("g") == "first"
        assert store.graph("h") is None


class Records:
    """Promises 1, 2 and 4: what was written is there, in order, without a gap."""

    def test_records_come_back_as_they_were_written(self, store):
        """All fields, also those that are None or empty."""
        written = [
            Entry(1, 1.25, "started", None, None, ""),
            Entry(2, 2.5, "done", 7, "pay", '{"output": 1}'),
        ]
        hold = begin(store, entries=written)
        third = Entry(3, 3.0, "done", 8, "Zahlung \N{EURO SIGN}", "null")
        store.append(hold, third)
        assert store.entries("r1") == [*written, third]

    def test_records_can_be_read_from_a_number_on(self, store):
        """``since`` is the last one already known; ``limit`` below 0 is all."""
        begin(store, entries=[entry(seq) for seq in range(1, 6)])
        assert [each.seq for each in store.entries("r1", 3)] == [4, 5]
        assert [each.seq for each in store.entries("r1", 1, 2)] == [2, 3]
        assert store.entries("r1", 5) == []

    def test_records_of_runs_do_not_mix(self, store):
        """Each run counts for itself."""
        first, second = begin(store, "a"), begin(store, "b")
        for hold in (first, second, first):
            latest = store.run("a" if hold == first else "b").seq
            store.append(hold, entry(latest + 1))
        assert len(store.entries("a")) == 2
        assert len(store.entries("b")) == 1

    @pytest.mark.parametrize("seq", [0, 1, 2, 4])
    def test_append_refuses_a_gap_and_a_repeat(self, store, seq):
        """4: after two records comes the third."""
        hold = begin(store, entries=[entry(1), entry(2)])
        with pytest.raises(StoreError) as caught:
            store.append(hold, entry(seq))
        assert str(caught.value) == (
            f"Record {seq} of run 'r1' does not follow its latest one, 2. Nothing was "
            "written; number the records of a run without a gap."
        )
        assert not isinstance(caught.value, FencedError)
        assert store.run("r1").seq == 2
        store.append(hold, entry(3))

    def test_a_move_with_a_gap_writes_nothing(self, store):
        """2 and 4: neither the fitting record before it nor the status."""
        hold = begin(store)
        move = Advance(hold, (entry(1), entry(3)), status="waiting", waits=(Wait("x"),))
        (refused,) = store.commit([move])
        assert type(refused) is StoreError
        assert store.run("r1") == row("r1", n=hold.n)
        assert store.entries("r1") == []
        assert store.waits() == []

    def test_a_run_with_a_gap_does_not_begin(self, store):
        """Its first record is number 1."""
        (refused,) = store.commit([Begin(row("r1"), (entry(2),))])
        assert type(refused) is StoreError
        assert store.run("r1") is None

    def test_moves_of_one_call_are_written_in_order(self, store):
        """2: the second one sees the first."""
        hold = begin(store)
        moves = [Advance(hold, (entry(seq),)) for seq in (1, 2, 3)]
        assert store.commit(moves) == [Advanced()] * 3
        assert [each.seq for each in store.entries("r1")] == [1, 2, 3]

    def test_a_refused_move_leaves_the_others_alone(self, store):
        """2: whatever refuses it, before and after it all is written."""
        first, second = begin(store, "a"), begin(store, "b")
        outcomes = store.commit(
            [
                Advance(first, (entry(1),)),
                Advance(Hold(second.n, 9), (entry(1),)),
                Begin(row("a")),
                Advance(first, (entry(5),)),
                Begin(row("c"), (entry(1),)),
                event(id="e1", begin=Begin(row("a"))),
                Advance(second, (entry(1),)),
            ]
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [
            Advanced,
            FencedError,
            RunExistsError,
            StoreError,
            Begun,
            RunExistsError,
            Advanced,
        ]
        assert [store.run(id).seq for id in "abc"] == [1, 1, 1]
        assert not store.seen("e1")

    def test_no_moves_are_no_outcomes(self, store):
        """An empty commit is fine."""
        assert store.commit([]) == []

    def test_odd_text_comes_back(self, store):
        """NUL and lone surrogates come as JSON escapes, the rest as it is."""
        data = '{"nul": "\\u0000", "lone": "\\ud800", "text": "ж \N{SNOWMAN} 🚲 \'\\""}'
        key = "ключ-🚲'\"%_"
        hold = begin(store, key=key, entries=[entry(1, data=data)])
        store.append(hold, entry(2, data=data))
        one(store, event("née 🚲", key, "événement", payload=data))
        assert [each.data for each in store.entries("r1")] == [data, data]
        assert store.run("r1").key == key
        (letter,) = store.kept()
        assert (letter.name, letter.key, letter.event) == ("née 🚲", key, "événement")
        assert letter.payload == data

    def test_large_payloads_come_back(self, store):
        """5 MB in a record, a letter and a state."""
        large = '"' + "x" * 5_000_000 + '"'
        hold = begin(store)
        store.append(hold, entry(1, data=large))
        one(store, event(payload=large))
        one(store, Advance(hold, status="completed", state=large, result=large))
        assert store.entries("r1")[0].data == large
        assert store.kept()[0].payload == large
        found = store.run("r1")
        assert found.state == found.result == large

    def test_what_was_returned_is_there_when_opened_again(self, place):
        """1: every kind of move and every other write, if the store is durable."""
        if not place.durable:
            pytest.skip("this store does not survive its process")
        store = place.open()
        waits = (Wait("paid"),)
        hold = one(store, Begin(row("r1", graph="g"), (entry(1),), waits, "{}")).hold
        store.append(hold, entry(2))
        one(store, Advance(hold, (entry(3),)))
        one(store, event(id="e1"))
        one(store, event("unheard", id="e2"))
        one(store, Bury("bad", None, "e3", 1.0, "{}", "why"))
        store.beat(Owner("o", 9.0))
        store.swap("c", None, "1")
        store.save_state("s", "m", "{}", 1.0)
        store.save_pending("s", "c", "{}", 1.0)
        reads = [
            lambda store: store.run("r1"),
            lambda store: store.entries("r1"),
            lambda store: store.letters("r1"),
            lambda store: store.waits(),
            lambda store: store.kept(),
            lambda store: store.dead(),
            lambda store: store.owners(),
            lambda store: store.graph("g"),
            lambda store: store.cell("c"),
            lambda store: store.load_state("s"),
            lambda store: store.load_pending("s"),
            lambda store: store.seen("e1"),
        ]
        before = [read(store) for read in reads]
        assert all(before)
        store.close()
        store.close()
        again = place.open()
        assert [read(again) for read in reads] == before
        again.close()

    def test_commits_of_many_threads_are_all_there(self, store):
        """1: each thread reads what it wrote; runs of one thread do not disturb."""
        faults: list[BaseException] = []

        def work(name: str) -> None:
            try:
                hold = begin(store, name, waits=[Wait("paid", name)])
                for seq in range(1, 21):
                    if seq % 2:
                        store.append(hold, entry(seq))
                    else:
                        one(store, Advance(hold, (entry(seq),)))
                    assert store.run(name).seq == seq
                assert fate(store, event("paid", name)).run == name
                assert len(store.entries(name)) == 20
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert len(store.runs(Query())) == 8

    def test_threads_that_begin_one_run_agree_on_one(self, store):
        """One begins it, the others are told so."""
        outcomes: list = []

        def work() -> None:
            outcomes.extend(store.commit([Begin(row("r1"))]))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kinds = sorted(type(outcome).__name__ for outcome in outcomes)
        assert kinds == ["Begun", *["RunExistsError"] * 7]


class Fences:
    """Promise 3: a superseded owner writes nothing; who may take a run over."""

    def test_a_claim_raises_the_fence(self, store):
        """Row and hold say so."""
        hold = begin(store, owner="a")
        found, taken = store.claim("r1", "b", 10.0)
        assert taken == Hold(hold.n, 2)
        assert found == row("r1", owner="b", fence=2, n=hold.n)
        assert store.run("r1") == found

    def test_a_superseded_owner_writes_nothing(self, store):
        """Neither by append nor by commit; the new one does."""
        old = begin(store, owner="a", entries=[entry(1)])
        _, new = store.claim("r1", "b", 10.0)
        with pytest.raises(FencedError) as caught:
            store.append(old, entry(2))
        text = (
            "Run 'r1' was taken over by another owner: its fence is 2, this one's 1. "
            "Nothing was written; claim the run to go on with it."
        )
        assert str(caught.value) == text
        (refused,) = store.commit([Advance(old, (entry(2),), status="failed")])
        assert isinstance(refused, FencedError)
        assert str(refused) == text
        assert store.run("r1").status == "running"
        assert store.run("r1").seq == 1
        store.append(new, entry(2))
        one(store, Advance(new, (entry(3),)))
        assert store.run("r1").seq == 3

    def test_a_fence_of_the_future_is_refused_too(self, store):
        """Only the fence of the run itself writes."""
        hold = begin(store)
        with pytest.raises(FencedError):
            store.append(Hold(hold.n, 2), entry(1))

    def test_a_deleted_run_refuses_its_owner(self, store):
        """The owner stops as if superseded."""
        hold = begin(store, status="completed")
        store.purge(["r1"])
        text = (
            f"Run number {hold.n} is not in the store: it was deleted while this "
            "process still moved it. Nothing was written; begin a new run."
        )
        with pytest.raises(FencedError) as caught:
            store.append(hold, entry(1))
        assert str(caught.value) == text
        (refused,) = store.commit([Advance(hold, (entry(1),))])
        assert isinstance(refused, FencedError)
        assert str(refused) == text

    def test_an_owner_that_gave_up_may_write_until_the_next_claim(self, store):
        """Giving up does not raise the fence."""
        hold = begin(store, owner="a")
        one(store, Advance(hold, owner=None))
        store.append(hold, entry(1))
        store.claim("r1", "b", 10.0)
        with pytest.raises(FencedError):
            store.append(hold, entry(2))

    def test_a_living_owner_keeps_its_run(self, store):
        """None is the answer, and the fence stays."""
        store.beat(Owner("a", 50.0))
        begin(store, owner="a")
        assert store.claim("r1", "b", 49.0) is None
        assert store.run("r1").fence == 1

    @pytest.mark.parametrize("at", [50.0, 51.0])
    def test_an_owner_whose_time_is_over_loses_its_run(self, store, at):
        """Alive until, not at, that time."""
        store.beat(Owner("a", 50.0))
        begin(store, owner="a")
        assert store.claim("r1", "b", at)[1].fence == 2

    def test_an_owner_named_dead_loses_its_run(self, store):
        """Its time need not be over."""
        store.beat(Owner("a", 50.0))
        begin(store, owner="a")
        assert store.claim("r1", "b", 10.0, ["x", "a"])[0].owner == "b"

    def test_an_owner_may_claim_its_own_run(self, store):
        """The fence is raised all the same."""
        store.beat(Owner("a", 50.0))
        begin(store, owner="a")
        assert store.claim("r1", "a", 10.0)[1].fence == 2

    def test_a_run_that_is_over_can_be_claimed(self, store):
        """To look at it, to fork it or to take it up again."""
        begin(store, status="failed")
        found, hold = store.claim("r1", "b", 10.0)
        assert found.status == "failed"
        one(store, Advance(hold, (entry(1),), status="running"))
        assert store.run("r1").owner == "b"

    def test_an_unknown_run_cannot_be_claimed(self, store):
        """A KeyError, as for any name that is not there."""
        with pytest.raises(KeyError):
            store.claim("r1", "b", 10.0)

    def test_owners_are_who_said_so(self, store):
        """The latest word counts; a retired one is gone and its runs are free."""
        store.beat(Owner("a", 50.0, "host", 7))
        store.beat(Owner("b", 60.0))
        store.beat(Owner("a", 70.0, "host", 8))
        begin(store, owner="a")
        owners = sorted(store.owners())
        assert owners == [Owner("a", 70.0, "host", 8), Owner("b", 60.0, "", 0)]
        assert store.claim("r1", "b", 55.0) is None
        store.retire("a")
        store.retire("nobody")
        assert store.owners() == [Owner("b", 60.0)]
        assert store.claim("r1", "b", 55.0) is not None

    def test_one_of_many_claims_wins(self, store):
        """Claims of living owners at the same time."""
        begin(store)
        names = [f"o{i}" for i in range(8)]
        for name in names:
            store.beat(Owner(name, 50.0))
        won: list[str] = []

        def work(name: str) -> None:
            if store.claim("r1", name, 10.0):
                won.append(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert store.run("r1").owner == won[0]


class Claimable:
    """Which runs are to be gone on with."""

    def test_running_runs_without_a_living_owner(self, store):
        """Nobody's, a dead one's, an unknown one's; oldest first."""
        store.beat(Owner("alive", 50.0))
        store.beat(Owner("late", 5.0))
        store.beat(Owner("gone", 50.0))
        for id, owner in enumerate(["alive", "late", "gone", "unknown", None]):
            begin(store, f"r{id}", owner=owner)
        assert store.claimable(10.0, [FLOW]) == ["r1", "r3", "r4"]
        found = store.claimable(10.0, [FLOW], dead=["gone"])
        assert found == ["r1", "r2", "r3", "r4"]
        assert store.claimable(10.0, [FLOW], limit=2) == ["r1", "r3"]

    def test_waiting_runs_that_are_due(self, store):
        """At their time and later, not before."""
        for id, due in (("a", 20.0), ("b", 10.0), ("c", None), ("d", 15.0)):
            waiting(store, id, Wait("x"), due=due)
        assert store.claimable(9.0, [FLOW]) == []
        assert store.claimable(10.0, [FLOW]) == ["b"]
        assert store.claimable(99.0, [FLOW]) == ["a", "b", "d"]

    def test_waiting_runs_with_letters(self, store):
        """Until the letter is consumed."""
        hold = waiting(store, "a", Wait("paid"))
        assert store.claimable(10.0, [FLOW]) == []
        letter = fate(store, event()).letter
        assert store.claimable(10.0, [FLOW]) == ["a"]
        one(store, Advance(hold, consumed=[letter.number]))
        assert store.claimable(10.0, [FLOW]) == []

    def test_a_letter_that_is_not_waited_for_wakes_nobody(self, store):
        """It stays in the inbox and wakes the run when a wait fits again."""
        hold = waiting(store, "a", Wait("paid"))
        letter = fate(store, event()).letter
        one(store, Advance(hold, waits=(Wait("sent"),)))
        assert store.claimable(10.0, [FLOW]) == []
        assert store.letters("a") == [letter]
        one(store, Advance(hold, waits=(Wait("paid"),)))
        assert store.claimable(10.0, [FLOW]) == ["a"]

    def test_a_run_is_named_once(self, store):
        """Due, with two letters and two waits for them."""
        waiting(store, "a", Wait("paid", place="p"), Wait("paid", place="q"), due=1.0)
        one(store, event())
        one(store, event())
        assert store.claimable(10.0, [FLOW]) == ["a"]

    def test_waiting_runs_of_a_living_owner_are_its_own(self, store):
        """It has them in memory."""
        store.beat(Owner("o", 50.0))
        waiting(store, "a", Wait("paid"), due=1.0, owner="o")
        one(store, event())
        assert store.claimable(10.0, [FLOW]) == []
        assert store.claimable(60.0, [FLOW]) == ["a"]

    def test_only_runs_of_these_flows(self, store):
        """A worker asks for what it can run."""
        begin(store, "a")
        begin(store, "b", flow=OTHER)
        waiting(store, "c", Wait("x"), flow=OTHER, due=1.0)
        waiting(store, "d", Wait("x"), due=1.0)
        assert store.claimable(10.0, [FLOW]) == ["a", "d"]
        assert store.claimable(10.0, [OTHER]) == ["b", "c"]
        assert store.claimable(10.0, [FLOW, OTHER, "no:Flow"]) == ["a", "b", "c", "d"]
        assert store.claimable(10.0, []) == []

    def test_runs_that_are_over_are_left_alone(self, store):
        """Also if they were due."""
        hold = begin(store, due=1.0)
        one(store, Advance(hold, status="completed"))
        assert store.claimable(10.0, [FLOW]) == []

    def test_next_due_is_the_earliest_of_waiting_runs(self, store):
        """Of these flows; a running one's does not count."""
        assert store.next_due([FLOW]) is None
        begin(store, "a", due=1.0)
        waiting(store, "b", due=30.0)
        waiting(store, "c", due=20.0)
        waiting(store, "d", due=10.0, flow=OTHER)
        waiting(store, "e", Wait("x"))
        assert store.next_due([FLOW]) == 20.0
        assert store.next_due([FLOW, OTHER]) == 10.0
        assert store.next_due([]) is None
        _, hold = store.claim("c", "o", 0.0)
        one(store, Advance(hold, due=None))
        assert store.next_due([FLOW]) == 30.0


class Events:
    """Promises 5, 6 and 7: accepted once, handed to one run, kept for a later wait."""

    def test_an_event_goes_to_the_oldest_waiting_run(self, store):
        """Of that flow, name and key; it is in its inbox until consumed."""
        waiting(store, "other", Wait("paid", "k"), flow=OTHER)
        waiting(store, "name", Wait("sent", "k"))
        waiting(store, "key", Wait("paid", "l"))
        hold = waiting(store, "a", Wait("paid", "k"))
        waiting(store, "b", Wait("paid", "k"))
        found = fate(store, event("paid", "k", "e1"))
        letter = Letter(found.letter.number, FLOW, "paid", "k", "e1", '"p"', 200.0, "a")
        assert found == ("run", "a", letter, None)
        assert store.letters("a") == [letter]
        assert store.kept() == []
        assert store.letters("b") == []
        one(store, Advance(hold, consumed=[letter.number]))
        assert store.letters("a") == []

    def test_a_wait_takes_event_after_event(self, store):
        """Until the run takes the wait away; then the next run gets them."""
        hold = waiting(store, "a", Wait("paid"))
        waiting(store, "b", Wait("paid"))
        assert [fate(store, event()).run for _ in range(3)] == ["a"] * 3
        one(store, Advance(hold, waits=()))
        assert fate(store, event()).run == "b"
        assert len(store.letters("a")) == 3

    def test_no_key_fits_no_key_only(self, store):
        """None is not any key, and "" is a key."""
        waiting(store, "none", Wait("paid"))
        waiting(store, "empty", Wait("paid", ""))
        assert fate(store, event("paid", "k")).how == "kept"
        assert fate(store, event("paid", None)).run == "none"
        assert fate(store, event("paid", "")).run == "empty"

    def test_a_question_to_a_person_takes_no_event(self, store):
        """Whatever its name, now and from what was kept."""
        one(store, event("approve"))
        waiting(store, "a", Wait("approve", kind="person", token="t"))
        assert store.letters("a") == []
        assert fate(store, event("approve")).how == "kept"
        assert store.subscribers("approve") == []

    def test_a_run_that_is_over_takes_no_event(self, store):
        """The next one does."""
        hold = waiting(store, "a", Wait("paid"))
        one(store, Advance(hold, status="cancelled"))
        waiting(store, "b", Wait("paid"))
        assert fate(store, event()).run == "b"

    def test_a_running_run_takes_events_it_waits_for(self, store):
        """A flow listens while its steps run."""
        begin(store, "a", waits=[Wait("paid")])
        assert fate(store, event()).run == "a"

    def test_an_event_begins_a_run_if_none_waits(self, store):
        """The owner of the new run is who the row says."""
        made = Begin(row("a", owner="o", key="k"), (entry(1),), (Wait("paid", "k"),))
        found = fate(store, event("paid", "k", begin=made))
        stored = store.run("a")
        assert found == ("begun", "a", None, Hold(stored.n, 1))
        assert stored == row("a", owner="o", key="k", seq=1, n=stored.n)
        second = Begin(row("b"))
        assert fate(store, event("paid", "k", begin=second)).run == "a"
        assert store.run("b") is None

    def test_a_begun_run_takes_what_was_kept(self, store):
        """Kept events of its waits are in its inbox."""
        one(store, event("sent", payload="1"))
        made = Begin(row("a"), (), (Wait("sent"),))
        assert fate(store, event("paid", begin=made)).how == "begun"
        assert payloads(store.letters("a")) == ["1"]

    def test_what_nobody_takes_is_kept_or_dropped(self, store):
        """As the delivery says."""
        kept = fate(store, event(id="e1"))
        assert kept.how == "kept"
        assert kept.letter == Letter(
            kept.letter.number, FLOW, "paid", None, "e1", '"p"', 200.0, None
        )
        assert store.kept() == [kept.letter]
        assert fate(store, event(id="e2", keep=False)) == ("dropped", None, None, None)
        assert store.kept() == [kept.letter]
        assert store.seen("e2")

    def test_every_delivery_has_its_fate(self, store):
        """In their order, each for its subscriber."""
        waiting(store, "a", Wait("paid"))
        accept = Accept(
            "paid",
            None,
            "e1",
            200.0,
            (
                Delivery("handler:mail", "1", handler=True),
                Delivery(OTHER, "2", begin=Begin(row("b", flow=OTHER))),
                Delivery(FLOW, "3"),
                Delivery("shop:Third", "4", keep=True),
                Delivery("shop:Fourth", "5"),
            ),
        )
        fates = one(store, accept).fates
        hows = ["handler", "begun", "run", "kept", "dropped"]
        assert [each.how for each in fates] == hows
        assert [each.run for each in fates] == [None, "b", "a", None, None]
        assert payloads(store.kept()) == ["1", "4"]
        assert payloads(store.letters("a")) == ["3"]
        rising = [each.letter.number for each in fates if each.letter]
        assert rising == sorted(set(rising))

    def test_a_letter_keeps_its_sender_s_trace(self, store):
        """In an inbox, handed on, kept, taken, at a handler, dropped."""
        hold = waiting(store, "a", Wait("paid"))
        first = event()._replace(traceparent="00-1")
        assert fate(store, first).letter.traceparent == "00-1"
        assert [each.traceparent for each in store.letters("a")] == ["00-1"]
        (passed,) = (
            begin(store, "b", waits=[Wait("paid")])
            and one(store, Advance(hold, (), 1.0, "completed")).passed
        )
        assert (passed.run, passed.traceparent) == ("b", "00-1")
        one(store, event("sent")._replace(traceparent="00-2"))
        assert [each.traceparent for each in store.kept()] == ["00-2"]
        begun = one(store, Begin(row("c"), (), [Wait("sent")]))
        assert [(each.run, each.traceparent) for each in begun.letters] == [
            ("c", "00-2")
        ]
        handed = event("done", flow="handler:mail", handler=True)
        one(store, handed._replace(traceparent="00-3"))
        one(store, event("lost", at=1.0)._replace(traceparent="00-4"))
        (gone,) = store.forget(events_before=0.0, kept_before=2.0, most_kept=9)
        assert gone.traceparent == "00-4"
        assert [each.traceparent for each in store.kept()] == ["00-3"]

    def test_a_transient_wait_takes_one_event_at_a_time(self, store):
        """5: the next one is dropped, also if it could be kept, until it is consumed."""
        hold = waiting(store, "a", Wait("beat", data=TRANSIENT))
        first = fate(store, event("beat", keep=False))
        assert first.run == "a"
        assert fate(store, event("beat", keep=False)).how == "dropped"
        assert fate(store, event("beat", id="e1")) == ("dropped", None, None, None)
        one(store, Advance(hold, consumed=[first.letter.number]))
        assert fate(store, event("beat")).run == "a"
        assert store.kept() == []

    def test_of_transient_events_in_one_commit_one_is_taken(self, store):
        """5: each move sees those before it, also one that consumes the event."""
        hold = waiting(store, "a", Wait("beat", data=TRANSIENT))
        moves = [event("beat"), event("beat")]
        first, second = (each.fates[0] for each in store.commit(moves))
        assert (first.how, second.how) == ("run", "dropped")
        busy = Advance(hold, consumed=[first.letter.number], waits=())
        free = Advance(hold, at=300.0, waits=[Wait("beat", data=TRANSIENT)])
        moves = [event("beat"), busy, event("beat", keep=False), free]
        outcomes = store.commit([*moves, event("beat", at=301.0), event("beat")])
        found = [each.fates[0].how for each in outcomes if isinstance(each, Accepted)]
        assert found == ["dropped", "dropped", "run", "dropped"]

    def test_transient_waits_of_a_run_take_one_event_each(self, store):
        """5: one that is consumed together with its wait leaves no room."""
        waits = [Wait("beat", place=place, data=TRANSIENT) for place in ("1:1", "2:1")]
        hold = waiting(store, "a", *waits)
        found = [fate(store, event("beat")) for _ in range(3)]
        assert [each.how for each in found] == ["run", "run", "dropped"]
        used = [found[0].letter.number]
        one(store, Advance(hold, consumed=used, waits=waits[1:]))
        assert fate(store, event("beat")).how == "dropped"

    def test_a_transient_event_goes_to_the_next_run_with_room(self, store):
        """5: the oldest first; a wait that is not transient takes any number."""
        for id in ("a", "b"):
            waiting(store, id, Wait("beat", data=TRANSIENT))
        assert [fate(store, event("beat")).run for _ in range(3)] == ["a", "b", None]
        waiting(store, "c", Wait("beat"), Wait("beat", place="2", data=TRANSIENT))
        assert [fate(store, event("beat")).run for _ in range(3)] == ["c"] * 3

    def test_a_full_transient_wait_lets_a_run_begin(self, store):
        """5: as if nobody waited."""
        waiting(store, "a", Wait("beat", data=TRANSIENT))
        assert fate(store, event("beat", begin=Begin(row("b")))).run == "a"
        assert fate(store, event("beat", begin=Begin(row("c")))).how == "begun"

    def test_a_transient_wait_takes_nothing_that_came_before(self, store):
        """7: what was kept stays so; an older letter of its own run takes no room."""
        kept = fate(store, event("beat")).letter
        waiting(store, "a", Wait("beat", data=TRANSIENT), created=250.0)
        assert store.kept() == [kept]
        hold = waiting(store, "b", Wait("sent"))
        fate(store, event("sent"))
        one(store, Advance(hold, at=250.0, waits=[Wait("sent", data=TRANSIENT)]))
        assert fate(store, event("sent", at=251.0)).run == "b"
        assert fate(store, event("sent", at=252.0)).how == "dropped"

    def test_of_threads_that_send_a_transient_event_one_is_heard(self, store):
        """5: however they meet."""
        waiting(store, "a", Wait("beat", data=TRANSIENT))
        found: list = []

        def work() -> None:
            found.append(fate(store, event("beat")).how)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [*["dropped"] * 7, "run"]

    def test_an_event_id_is_accepted_once(self, store):
        """5: the second time nothing is written, whatever it carries."""
        waiting(store, "a", Wait("paid"))
        assert not store.seen("e1")
        one(store, event(id="e1"))
        assert store.seen("e1")
        again = event("sent", "k", "e1", begin=Begin(row("b")), flow=OTHER)
        assert one(store, again) == Accepted(duplicate=True)
        assert len(store.letters("a")) == 1
        assert store.run("b") is None
        assert store.kept() == []

    def test_an_event_id_is_accepted_once_within_a_commit(self, store):
        """5: moves of one call see each other."""
        first, second = store.commit([event(id="e1"), event(id="e1")])
        assert not first.duplicate
        assert second == Accepted(duplicate=True)
        assert len(store.kept()) == 1

    def test_events_without_an_id_are_all_different(self, store):
        """None is no id."""
        one(store, event())
        one(store, event())
        assert len(store.kept()) == 2

    def test_an_event_whose_run_exists_is_refused_whole(self, store):
        """2: none of its deliveries is written, and its id stays new."""
        begin(store, "a")
        accept = Accept(
            "paid",
            None,
            "e1",
            200.0,
            (Delivery(OTHER, "1", keep=True), Delivery(FLOW, "2", Begin(row("a")))),
        )
        (refused,) = store.commit([accept])
        assert isinstance(refused, RunExistsError)
        assert refused.row.id == "a"
        assert store.kept() == []
        assert not store.seen("e1")

    def test_a_new_wait_takes_what_was_kept(self, store):
        """7: all of its flow, name and key, in order, and only once."""
        accepts = [
            event(payload="1"),
            event("paid", "k", payload="2"),
            event("sent", payload="3"),
            event(flow=OTHER, payload="4"),
            event(payload="5"),
        ]
        store.commit(accepts)
        begun = one(store, Begin(row("a"), (), (Wait("paid"),)))
        assert payloads(begun.letters) == ["1", "5"]
        assert {letter.run for letter in begun.letters} == {"a"}
        assert list(begun.letters) == store.letters("a")
        assert payloads(store.kept()) == ["2", "3", "4"]
        assert one(store, Begin(row("b"), (), (Wait("paid"),))).letters == ()

    def test_new_waits_of_a_move_take_in_the_order_of_arrival(self, store):
        """7: across names and keys of one run; two waits of a name take it once."""
        store.commit(
            [
                event("sent", payload="1"),
                event("paid", "k", payload="2"),
                event("sent", payload="3"),
            ]
        )
        hold = begin(store, "a")
        waits = (Wait("paid", "k"), Wait("sent", place="p"), Wait("sent", place="q"))
        advanced = one(store, Advance(hold, waits=waits))
        assert payloads(advanced.letters) == ["1", "2", "3"]
        assert list(advanced.letters) == store.letters("a")
        assert store.kept() == []

    def test_a_refused_move_takes_nothing(self, store):
        """2 and 3: what was kept stays kept."""
        one(store, event())
        hold = begin(store, "a")
        store.commit([Advance(Hold(hold.n, 9), waits=(Wait("paid"),))])
        assert len(store.kept()) == 1
        assert store.waits() == []

    def test_a_run_consumes_its_own_letters_only(self, store):
        """6: another run's letter stays where it is."""
        waiting(store, "a", Wait("paid"))
        other = begin(store, "b")
        letter = fate(store, event()).letter
        kept = fate(store, event("sent")).letter
        one(store, Advance(other, consumed=[letter.number, kept.number, 999]))
        assert store.letters("a") == [letter]
        assert store.kept() == [kept]

    def test_a_superseded_run_consumes_nothing(self, store):
        """3 and 6: the new owner finds the letter."""
        old = waiting(store, "a", Wait("paid"))
        letter = fate(store, event()).letter
        store.claim("a", "o", 10.0)
        store.commit([Advance(old, consumed=[letter.number])])
        assert store.letters("a") == [letter]

    def test_letters_of_an_ended_run_go_to_the_next_one(self, store):
        """6: what it did not consume is not lost, and the move says who has it."""
        hold = waiting(store, "a", Wait("paid"), Wait("sent"))
        waiting(store, "b", Wait("paid"))
        letters = [
            fate(store, event(name, payload=text)).letter
            for name, text in (("paid", "1"), ("sent", "2"), ("paid", "3"))
        ]
        first = letters[0].number
        advance = Advance(hold, status="completed", consumed=[first])
        advanced = one(store, advance)
        assert advanced.letters == ()
        assert advanced.passed == (letters[2]._replace(run="b"),)
        assert store.letters("a") == []
        assert store.letters("b") == [letters[2]._replace(run="b")]
        assert store.kept() == [letters[1]._replace(run=None)]
        assert store.claimable(10.0, [FLOW]) == ["b"]

    def test_letters_an_ended_run_left_keep_their_place(self, store):
        """7: they come before those that arrived later."""
        hold = waiting(store, "a", Wait("paid"))
        one(store, event(payload="1"))
        one(store, Advance(hold, waits=()))
        one(store, event(payload="2"))
        one(store, Advance(hold, status="cancelled"))
        assert payloads(store.kept()) == ["1", "2"]
        begun = one(store, Begin(row("b"), (), (Wait("paid"),)))
        assert payloads(begun.letters) == ["1", "2"]

    def test_a_letter_of_a_handler_is_kept_until_done(self, store):
        """No run takes it, even one of that name."""
        waiting(store, "a", Wait("paid"), flow="handler:mail")
        accept = event(flow="handler:mail", handler=True, keep=False)
        found = fate(store, accept)
        assert found == ("handler", None, found.letter, None)
        begun = one(store, Begin(row("b", flow="handler:mail"), (), (Wait("paid"),)))
        assert begun.letters == ()
        assert store.kept("handler:mail") == [found.letter]
        store.done(found.letter.number)
        store.done(found.letter.number)
        assert store.kept() == []

    def test_only_a_letter_of_a_handler_can_be_done(self, store):
        """A kept one and one in an inbox stay."""
        waiting(store, "a", Wait("paid"))
        store.done(fate(store, event("paid")).letter.number)
        store.done(fate(store, event("sent")).letter.number)
        assert len(store.letters("a")) == 1
        assert len(store.kept()) == 1

    def test_kept_letters_of_one_subscriber(self, store):
        """Oldest first."""
        for flow, text in ((FLOW, "1"), (OTHER, "2"), (FLOW, "3")):
            one(store, event(flow=flow, payload=text))
        assert payloads(store.kept(FLOW)) == ["1", "3"]
        assert payloads(store.kept()) == ["1", "2", "3"]
        assert store.kept("no:Flow") == []

    def test_numbers_of_letters_rise_for_ever(self, store):
        """Also after the latest one is gone."""
        hold = waiting(store, "a", Wait("paid"))
        first = fate(store, event()).letter.number
        one(store, Advance(hold, consumed=[first]))
        assert fate(store, event()).letter.number > first

    def test_one_event_from_many_threads_is_accepted_once(self, store):
        """5: exactly one is no duplicate."""
        waiting(store, "a", Wait("paid"))
        outcomes: list = []

        def work() -> None:
            outcomes.extend(store.commit([event(id="e1")]))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(each.duplicate for each in outcomes) == [False, *[True] * 7]
        assert len(store.letters("a")) == 1


class Forgetting:
    """What is old is dropped, what lives is not."""

    def test_forget_drops_old_event_ids(self, store):
        """Then the same id is new again."""
        one(store, event(id="old", at=1.0, keep=False))
        one(store, event(id="new", at=2.0, keep=False))
        dropped = store.forget(events_before=2.0, kept_before=0.0, most_kept=100)
        assert dropped == []
        assert not store.seen("old")
        assert store.seen("new")
        assert not one(store, event(id="old", at=3.0)).duplicate

    def test_forget_drops_old_kept_letters(self, store):
        """And tells which; a letter's event id is remembered on its own."""
        old = fate(store, event(id="e1", at=1.0)).letter
        new = fate(store, event(id="e2", at=2.0)).letter
        dropped = store.forget(events_before=0.0, kept_before=2.0, most_kept=100)
        assert dropped == [old]
        assert store.kept() == [new]
        assert store.seen("e1")

    def test_forget_keeps_so_many_of_the_newest(self, store):
        """The oldest go, told in order."""
        letters = [fate(store, event(payload=f"{i}")).letter for i in range(5)]
        dropped = store.forget(events_before=0.0, kept_before=0.0, most_kept=2)
        assert dropped == letters[:3]
        assert store.kept() == letters[3:]
        dropped = store.forget(events_before=0.0, kept_before=0.0, most_kept=0)
        assert dropped == letters[3:]

    def test_forget_buries_what_it_drops(self, store):
        """With a reason, in one transaction; without one nothing is buried."""
        one(store, event(at=0.5))
        store.forget(events_before=0.0, kept_before=1.0, most_kept=9)
        old = fate(store, event(id="e1", key="k", at=1.0, payload="[1]")).letter
        more = fate(store, event(at=1.5)).letter
        new = fate(store, event(id="e2", at=2.0)).letter
        assert store.dead() == []
        dropped = store.forget(
            events_before=0.0, kept_before=2.0, most_kept=9, at=3.0, reason="why"
        )
        assert dropped == [old, more]
        assert store.kept() == [new]
        assert [each.letter for each in store.dead()] == [
            Bury("paid", "k", "e1", 3.0, "[1]", "why", "dropped", FLOW),
            Bury("paid", None, None, 3.0, more.payload, "why", "dropped", FLOW),
        ]
        number = store.dead()[-1].number
        assert one(store, Bury("paid", None, None, 4.0, "", "why")) > number

    def test_forget_leaves_inboxes_and_handlers_alone(self, store):
        """A letter that has been promised stays."""
        waiting(store, "a", Wait("paid"))
        mine = fate(store, event(at=1.0)).letter
        theirs = event("sent", at=1.0, flow="handler:mail", handler=True)
        handler = fate(store, theirs).letter
        dropped = store.forget(events_before=9.0, kept_before=9.0, most_kept=0)
        assert dropped == []
        assert store.letters("a") == [mine]
        assert store.kept() == [handler]

    def test_purge_deletes_a_run_with_all_that_is_its(self, store):
        """The id is free again, and the old records do not come back."""
        hold = waiting(store, "a", Wait("paid"), entries=[entry(1)])
        one(store, Advance(hold, status="completed"))
        begin(store, "b")
        assert store.purge(["a", "none"]) == 1
        assert store.run("a") is None
        assert store.by_state(None, "s-a") is None
        assert store.entries("a") == []
        assert store.runs(Query()) == [store.run("b")]
        begin(store, "a")
        assert store.entries("a") == []

    @pytest.mark.parametrize("status", ["running", "waiting"])
    def test_purge_leaves_a_live_run_alone(self, store, status):
        """Whoever asks."""
        hold = begin(store, status=status, entries=[entry(1)], waits=[Wait("paid")])
        assert store.purge(["r1"]) == 0
        store.append(hold, entry(2))
        assert len(store.entries("r1")) == 2
        assert len(store.waits()) == 1

    def test_dead_letters_are_listed_and_taken_out(self, store):
        """Oldest first; each is taken out once."""
        first = Bury("paid", "k", "e1", 1.0, "{}", "why", "unknown", FLOW)
        second = Bury("sent", None, None, 2.0, "[]", "because")
        one_, two = store.commit([first, second])
        assert isinstance(one_, int)
        assert one_ < two
        assert store.dead() == [Dead(one_, first), Dead(two, second)]
        assert store.dead(name="sent") == [Dead(two, second)]
        assert store.dead(limit=1) == [Dead(one_, first)]
        assert store.undead(two) == Dead(two, second)
        assert store.undead(two) is None
        assert store.dead() == [Dead(one_, first)]
        assert one(store, second) > two

    def test_a_dead_letter_does_not_use_its_event_id_up(self, store):
        """Mended, it can be sent again."""
        one(store, Bury("paid", None, "e1", 1.0, "{}", "why"))
        assert not store.seen("e1")


class Lists:
    """What people and tools ask for."""

    def test_runs_are_listed_newest_first(self, store):
        """With a limit, and page by page."""
        for id in "abcde":
            begin(store, id)
        listed = store.runs(Query(limit=2))
        assert [each.id for each in listed] == ["e", "d"]
        assert listed[0] == store.run("e")
        assert [each.id for each in store.runs(Query(before="d", limit=2))] == [
            "c",
            "b",
        ]
        assert [each.id for each in store.runs(Query())] == ["e", "d", "c", "b", "a"]
        assert store.runs(Query(before="a")) == []
        assert store.runs(Query(before="none")) == []

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (Query(flow=OTHER), "c"),
            (Query(status=("completed",)), "b"),
            (Query(status=("completed", "waiting")), "cb"),
            (Query(key="k1"), "a"),
            (Query(state_id="s-b"), "b"),
            (Query(tag="red"), "ba"),
            (Query(tag="re"), ""),
            (Query(since=20.0), "cb"),
            (Query(until=20.0), "a"),
            (Query(since=20.0, until=30.0), "b"),
            (Query(parent="a"), "b"),
            (Query(tag="red", status=("running",)), "a"),
            (Query(flow="no:Flow"), ""),
        ],
    )
    def test_runs_are_listed_by_what_is_asked(self, store, query, ids):
        """All that is given restricts."""
        begin(store, "a", key="k1", tags=("red", "old"), created=10.0)
        begin(store, "b", status="completed", tags=("red",), created=20.0, parent="a")
        begin(store, "c", status="waiting", flow=OTHER, created=30.0)
        assert [each.id for each in store.runs(query)] == list(ids)

    @pytest.mark.parametrize(
        "text", ["ORDER-7", "kunde", "zustand", "SCHNELL", "boom: 50%_", "ÄRGER"]
    )
    def test_runs_are_found_by_text(self, store, text):
        """In id, key, state id, tags or error, letters of either case, as it is."""
        begin(store, "other", error="boom: 50 x")
        hold = begin(
            store, "order-7", key="Kunde", state_id="Zustand", tags=("schnell",)
        )
        one(store, Advance(hold, error="Boom: 50%_ ärger"))
        assert [each.id for each in store.runs(Query(text=text))] == ["order-7"]
        assert store.runs(Query(text="nothing")) == []

    def test_ids_are_found_by_prefix(self, store):
        """As text, not as a pattern; in order, up to a limit."""
        for id in ("ab1", "ab2", "ab3", "b%", "b_x", "A", "é1"):
            begin(store, id)
        assert store.ids("ab") == ["ab1", "ab2"]
        assert store.ids("ab", 9) == ["ab1", "ab2", "ab3"]
        assert store.ids("ab3") == ["ab3"]
        assert store.ids("a", 1) == ["ab1"]
        assert store.ids("b%") == ["b%"]
        assert store.ids("b_") == ["b_x"]
        assert store.ids("é") == ["é1"]
        assert store.ids("x") == []
        assert len(store.ids("", 99)) == 7

    def test_waits_come_back_as_they_were_set(self, store):
        """With run, flow and since when."""
        waits = [
            Wait("paid", "k", "listen"),
            Wait("approve", None, "3:1", "person", "secret", '{"ask": "?"}'),
        ]
        waiting(store, "a", *waits, created=5.0)
        found = store.waits()
        assert [each.wait for each in found] == waits
        assert {(each.run, each.flow, each.since) for each in found} == {
            ("a", FLOW, 5.0)
        }

    def test_waits_are_found_by_what_is_asked(self, store):
        """Oldest first; all that is given restricts."""
        waiting(store, "a", Wait("paid", "k"), Wait("sent"), created=1.0)
        question = Wait("paid", "k", kind="person", token="t1")
        waiting(store, "b", question, created=2.0)
        waiting(store, "c", Wait("paid", "l"), flow=OTHER, created=3.0)

        def found(**asked) -> str:
            return "".join(each.run for each in store.waits(**asked))

        assert found() == "aabc"
        assert found(name="paid") == "abc"
        assert found(name="paid", key="k") == "ab"
        assert found(name="paid", key="k", kind="event") == "a"
        assert found(kind="person") == "b"
        assert found(token="t1") == "b"
        assert found(token="t2") == ""
        assert found(run="a") == "aa"
        assert found(run="a", name="sent") == "a"
        assert found(limit=1) == "a"

    def test_equal_waits_of_a_move_count_once(self, store):
        """Also those with a token, in a Begin and in an Advance."""
        question = Wait("ok?", kind="person", token="t1")
        twice = [Wait("paid"), question, Wait("paid"), question]
        hold = waiting(store, "a", *twice)
        assert [each.wait for each in store.waits()] == twice[:2]
        twice.append(Wait("sent"))
        one(store, Advance(hold, waits=twice))
        assert [each.wait for each in store.waits()] == [*twice[:2], Wait("sent")]

    def test_a_second_use_of_a_token_is_refused(self, store):
        """By another run, or for another wait of one move; nothing is written."""
        question = Wait("ok?", kind="person", token="t1")
        hold = waiting(store, "a", question)
        other = waiting(store, "b")
        both = [question._replace(token="t2"), Wait("sure?", token="t2")]
        refused = store.commit(
            [
                Begin(row("c"), (), (question,)),
                Advance(other, (entry(1),), waits=(question,)),
                event("new", id="e1", begin=Begin(row("d"), (), (question,))),
                Begin(row("e"), (), both),
            ]
        )
        assert [str(each) for each in refused] == [
            f"The token of the wait '{name}' belongs to another wait. Nothing was "
            f"written; make a new token for each."
            for name in ("ok?", "ok?", "ok?", "sure?")
        ]
        assert [each.id for each in store.runs(Query())] == ["b", "a"]
        assert store.entries("b") == []
        assert not store.seen("e1")
        changed = question._replace(data="{}")
        one(store, Advance(hold, waits=(changed,)))
        assert [each.wait for each in store.waits(token="t1")] == [changed]
        one(store, Advance(hold, status="completed"))
        one(store, Advance(other, waits=(question,)))
        assert [each.run for each in store.waits(token="t1")] == ["b"]

    def test_a_wait_that_stays_is_as_old_as_it_was(self, store):
        """Only a new one begins at the move's time."""
        hold = waiting(store, "a", Wait("paid"), Wait("sent"), created=1.0)
        one(store, Advance(hold, at=2.0, waits=(Wait("paid"), Wait("back"))))
        found = {each.wait.name: each.since for each in store.waits()}
        assert found == {"paid": 1.0, "back": 2.0}

    def test_subscribers_are_flows_that_wait_for_a_name(self, store):
        """Each once, whatever the key."""
        waiting(store, "a", Wait("paid", "k"))
        waiting(store, "b", Wait("paid", "l"))
        hold = waiting(store, "c", Wait("paid"), flow=OTHER)
        waiting(store, "d", Wait("sent"), flow="shop:Third")
        assert sorted(store.subscribers("paid")) == [FLOW, OTHER]
        one(store, Advance(hold, status="completed"))
        assert store.subscribers("paid") == [FLOW]
        assert store.subscribers("none") == []

    def test_info_says_what_is_behind(self, store):
        """For people: what kind it is, at least."""
        assert isinstance(store.info()["kind"], str)
        assert isinstance(store.url, str)


class Cells:
    """Named values and what persisted methods leave."""

    def test_a_cell_is_swapped_if_it_is_as_expected(self, store):
        """None stands for: not there."""
        assert store.cell("c") is None
        assert not store.swap("c", "x", "1")
        assert store.swap("c", None, "1")
        assert not store.swap("c", None, "2")
        assert not store.swap("c", "x", "2")
        assert store.cell("c") == "1"
        assert store.swap("c", "1", "1")
        assert store.swap("c", "1", "2")
        assert store.cell("c") == "2"
        assert store.cell("d") is None

    def test_a_cell_that_many_swap_at_once_loses_nothing(self, store):
        """Each swap that was told to be done is in what follows."""
        faults: list[BaseException] = []

        def work() -> None:
            try:
                done = 0
                while done < 25:
                    old = store.cell("n")
                    done += store.swap("n", old, str(int(old or 0) + 1))
            except BaseException as error:
                faults.append(error)

        together(work, 4)
        assert not faults
        assert store.cell("n") == "100"

    def test_places_in_a_store_are_never_more_than_there_are(self, store):
        """Two processes with two threads each, before two places."""
        value = Bulkhead(2, name="two", shared="store")
        inside: list[int] = []
        most: list[int] = []
        faults: list[BaseException] = []
        sides = iter(["a", "a", "b", "b"])

        def work() -> None:
            side = next(sides)
            places = StoredPlaces(value, "two")
            try:
                for number in range(10):
                    key = f"{side}/{threading.get_ident()}.{number}"
                    if places.enter(store, key) != "inside":
                        places.block(store, key, lambda: True)
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    places.leave(store, key)
            except BaseException as error:
                faults.append(error)

        for side in "ab":
            store.beat(Owner(side, now() + 600, "elsewhere", 1))
        together(work, 4)
        assert not faults
        assert (max(most) <= 2, len(most)) == (True, 40)
        assert StoredPlaces(value, "two").state(store).owners() == set()

    def test_one_of_many_swaps_wins(self, store):
        """A schedule fires once, however many processes watch it."""
        won: list[int] = []

        def work(number: int) -> None:
            if store.swap("c", None, str(number)):
                won.append(number)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.cell("c") == str(*won)

    def test_the_state_saved_last_is_loaded(self, store):
        """Whatever method left it."""
        assert store.load_state("s") is None
        store.save_state("s", "one", '{"a": 1}', 2.0)
        store.save_state("s", "two", '{"a": 2}', 1.0)
        store.save_state("t", "one", '{"a": 3}', 3.0)
        assert store.load_state("s") == '{"a": 2}'

    def test_a_pause_is_saved_loaded_and_cleared(self, store):
        """One an id, the last saved."""
        assert store.load_pending("s") is None
        store.save_pending("s", "c1", "1", 1.0)
        store.save_pending("s", "c2", "2", 2.0)
        store.save_pending("t", "c3", "3", 3.0)
        assert store.load_pending("s") == ("2", "c2")
        store.clear_pending("s")
        store.clear_pending("s")
        assert store.load_pending("s") is None
        assert store.load_pending("t") == ("3", "c3")


class StoreContract(Runs, Records, Fences, Claimable, Events, Forgetting, Lists, Cells):
    """Everything; a subclass ``Test...`` has a fixture ``place``."""

    @pytest.fixture
    def store(self, place: Place):
        """The store of a place, closed at the end."""
        opened = place.open()
        yield opened
        opened.close()

    def test_figures_count_and_measure_runs_by_flow_and_status(self, store):
        """Percentiles are by nearest rank, the deviation is that of all runs."""
        for index in range(1, 21):
            begin(store, f"d{index}", status="completed", updated=float(index))
        begin(store, "f1", status="failed", error="E: a", created=5.0, updated=7.0)
        begin(store, "o1", flow=OTHER, status="completed", updated=3.0)
        done, failed, other = store.figures(Query(), target=15.0)
        assert done[:4] == (FLOW, "completed", 20, 0.0)
        assert (done.mean, done.median, done.p95) == (10.5, 10.0, 19.0)
        assert done.deviation == pytest.approx((399 / 12) ** 0.5)
        assert (done.longest, done.over) == (20.0, 5)
        assert failed == (FLOW, "failed", 1, 5.0, 2.0, 0.0, 2.0, 2.0, 2.0, 0)
        assert other[:3] == (OTHER, "completed", 1)

    def test_figures_of_a_query_are_of_what_fits(self, store):
        """Conditions are those of a list of runs; its limit does not count."""
        for index in range(5):
            begin(store, f"d{index}", created=float(index), updated=9.0, tags=("x",))
        begin(store, "o1", flow=OTHER)
        query = Query(flow=FLOW, since=2.0, tag="x", text="D", limit=1)
        (found,) = store.figures(query)
        assert (found.runs, found.oldest, found.over) == (3, 2.0, 0)
        assert store.figures(Query(flow="nobody:Is")) == []

    def test_failing_counts_errors_most_frequent_first(self, store):
        """With the newest run of each; a run without an error is none."""
        for id, error in [("a", "E: 1"), ("b", "E: 2"), ("c", "E: 2"), ("d", "")]:
            begin(store, id, status="failed", error=error)
        begin(store, "e", flow=OTHER, status="failed", error="x" * 300)
        begin(store, "f", flow=OTHER, status="failed", error="x" * 400)
        begin(store, "g", flow=OTHER, status="failed", error="x" * 500)
        found = store.failing(Query())
        assert found == [
            (OTHER, "x" * 200, 3, "g"),
            (FLOW, "E: 2", 2, "c"),
            (FLOW, "E: 1", 1, "a"),
        ]
        assert store.failing(Query(flow=FLOW, limit=1)) == found[1:2]
