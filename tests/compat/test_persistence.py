"""Saving and loading: sections 2, 5 and 6 of the contract."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, PrivateAttr

import flowkit
from flowkit import FlowkitWarning, InputError, RunError
from flowkit.compat.crewai.flow import (
    Flow,
    FlowState,
    HumanFeedbackResult,
    human_feedback,
    listen,
    or_,
    persist,
    router,
    start,
)
from flowkit.compat.crewai.flow.persistence import FlowPersistence
from tests.compat.people import Person, Shelf


class Counted(FlowState):
    count: int = 0
    items: list[str] = []


def counter(shelf=None, *, asynchronous=False, base=Flow[Counted]):
    """Three steps in a row; the second is not persisted."""

    class Counter(base):
        if asynchronous:

            @start()
            @persist(shelf)
            async def first(self):
                self.state.count += 1
                self.state.items.append("first")

            @listen(first)
            async def second(self):
                self.state.count += 1

            @persist(shelf)
            @listen(second)
            async def third(self):
                self.state.count += 1
                return self.state.count

        else:

            @start()
            @persist(shelf)
            def first(self):
                self.state.count += 1
                self.state.items.append("first")

            @listen(first)
            def second(self):
                self.state.count += 1

            @persist(shelf)
            @listen(second)
            def third(self):
                self.state.count += 1
                return self.state.count

    return Counter


@pytest.mark.parametrize("asynchronous", [False, True])
def test_one_save_for_each_persisted_method(asynchronous):
    """In order, with the method's name and the state as it left it."""
    shelf = Shelf()
    flow = counter(shelf, asynchronous=asynchronous)()
    assert flow.kickoff() == 3
    items = ["first"]
    assert shelf.calls == [
        ("save", "first", {"id": flow.flow_id, "count": 1, "items": items}),
        ("save", "third", {"id": flow.flow_id, "count": 3, "items": items}),
    ]


async def test_saves_on_both_loops():
    """All of them are there when it returns."""
    shelf = Shelf()
    flow = counter(shelf, asynchronous=True)()
    await flow.kickoff_async()
    assert shelf.load_state(flow.flow_id)["count"] == 3


FORMS = {
    "bare": lambda shelf: persist,
    "called": lambda shelf: persist(),
    "positional": persist,
    "keyword": lambda shelf: persist(persistence=shelf),
    "verbose": lambda shelf: persist(shelf, verbose=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_on_a_class(form):
    """Every step is saved; the class stays the class."""
    shelf = Shelf()
    decorate = FORMS[form](shelf)
    kind = type("Kept", (counter(),), {})
    assert decorate(kind) is kind
    flow = kind(persistence=shelf)
    flow.kickoff()
    assert shelf.saves() == ["first", "second", "third"]


@pytest.mark.parametrize("form", FORMS)
def test_forms_on_a_method(form):
    """That step is saved; the function stays the function."""
    shelf = Shelf()

    def go(self):
        self.state["went"] = True

    assert FORMS[form](shelf)(go) is go
    kind = type("One", (Flow,), {"go": start()(go)})
    flow = kind(persistence=shelf)
    flow.kickoff()
    assert shelf.calls == [("save", "go", {"id": flow.flow_id, "went": True})]


def test_class_and_method_make_one_save():
    """In the method's persistence; the others go to the class's."""
    whole, one = Shelf(), Shelf()

    @persist(whole)
    class Both(Flow):
        @start()
        def first(self):
            pass

        @persist(one)
        @listen(first)
        def second(self):
            pass

    flow = Both()
    assert flow.persistence is whole
    flow.kickoff()
    assert (whole.saves(), one.saves()) == (["first"], ["second"])


def test_object_persistence_takes_all():
    """Given to the constructor, as a class attribute, or assigned."""
    whole, one = Shelf(), Shelf()

    @persist(whole)
    class Both(Flow):
        @start()
        @persist(one)
        def first(self):
            pass

        @listen(first)
        def second(self):
            pass

    mine = Shelf()
    Both(persistence=mine).kickoff()
    assigned = Both()
    assigned.persistence = mine
    assigned.kickoff()

    class Attribute(Both):
        persistence = mine

    Attribute().kickoff()
    assert mine.saves() == ["first", "second"] * 3
    assert whole.calls == one.calls == []


def test_persistence_without_persist_saves_nothing():
    """What is saved is decided by the decorator."""
    shelf = Shelf()

    class Unsaved(Flow):
        @start()
        def go(self):
            pass

    flow = Unsaved(persistence=shelf)
    assert flow.persistence is shelf
    flow.kickoff()
    assert shelf.calls == []
    assert Unsaved().persistence is None


def test_subclass_of_a_persisted_class_is_persisted():
    """So are steps that it adds, and a mixin's flow."""
    shelf = Shelf()
    kept = persist(shelf)(type("Kept", (counter(),), {}))

    class More(kept):
        @listen("third")
        def fourth(self):
            pass

    More().kickoff()
    assert shelf.saves() == ["first", "second", "third", "fourth"]


def test_router_and_loop_saves():
    """Each completion is one save; routing is none."""
    shelf = Shelf()

    @persist(shelf)
    class Loop(Flow):
        @start()
        def begin(self):
            self.state["n"] = 0

        @router(or_(begin, "again"))
        def turn(self):
            self.state["n"] += 1
            return "again" if self.state["n"] < 3 else "done"

        @listen("done")
        def end(self):
            pass

    Loop().kickoff()
    assert shelf.saves() == ["begin", "turn", "turn", "turn", "end"]
    assert [state.get("n") for _, _, state in shelf.calls] == [0, 1, 2, 3, 3]


def test_save_comes_after_the_review():
    """And shows nothing of it but the state."""
    shelf = Shelf()
    order = []

    class Provider:
        def request_feedback(self, context, flow):
            order.append(list(shelf.saves()))
            return "fine"

    class Reviewed(Flow):
        @start()
        @persist(shelf)
        @human_feedback("?", provider=Provider())
        def draft(self):
            self.state["x"] = 1

    assert type(Reviewed().kickoff()) is HumanFeedbackResult
    assert order == [[]]
    assert shelf.saves() == ["draft"]


def test_parallel_steps_save_what_is_committed():
    """A save shows its own step's writes, none that are not done."""
    shelf = Shelf()

    @persist(shelf)
    class Wide(Flow):
        @start()
        def one(self):
            self.state["one"] = True

        @start()
        async def two(self):
            self.state["two"] = True

        @start()
        def three(self):
            self.state["three"] = True

    Wide().kickoff()
    assert sorted(shelf.saves()) == ["one", "three", "two"]
    seen = set()
    for _, name, state in shelf.calls:
        seen.add(name)
        assert set(state) == {"id", *seen}


def test_failed_step_is_not_saved():
    """The last save is from before it."""
    shelf = Shelf()

    @persist(shelf)
    class Fails(Flow):
        @start()
        def first(self):
            self.state["n"] = 1

        @listen(first)
        def second(self):
            self.state["n"] = 2
            raise KeyError

    flow = Fails()
    with pytest.raises(KeyError):
        flow.kickoff()
    assert shelf.saves() == ["first"]
    assert shelf.load_state(flow.flow_id)["n"] == 1


def test_stop_saves_the_step_that_stops():
    """What it has changed is committed, so it is saved."""
    shelf = Shelf()

    @persist(shelf)
    class Stops(Flow):
        @start()
        def go(self):
            self.state["n"] = 1
            self.stop("enough")

    flow = Stops()
    assert flow.kickoff() == "enough"
    assert shelf.load_state(flow.flow_id)["n"] == 1


def test_error_of_a_save_is_the_runs():
    """It comes out as it is."""

    class Full(Shelf):
        def save_state(self, flow_uuid, method_name, state_data):
            raise OSError("disk full")

    @persist(Full())
    class Kept(Flow):
        @start()
        def go(self):
            pass

    flow = Kept()
    with pytest.raises(OSError) as caught:
        flow.kickoff()
    assert str(caught.value) == "disk full"
    assert flow.run.status == "failed"


def test_what_is_saved_is_a_copy():
    """The persistence may keep it: later steps do not change it."""
    kept = []

    class Keeps(Shelf):
        def save_state(self, flow_uuid, method_name, state_data):
            kept.append(state_data)

    @persist(Keeps())
    class Grow(Flow[Counted]):
        @start()
        def first(self):
            self.state.items.append("a")

        @listen(first)
        def second(self):
            self.state.items.append("b")

    flow = Grow()
    flow.kickoff()
    assert [state.items for state in kept] == [["a"], ["a", "b"]]
    assert all(type(state) is Counted for state in kept)
    assert type(flow.state) is Counted


def test_state_that_cannot_be_stored_is_no_fault_until_then():
    """A lock in the state goes to a persistence that takes it."""
    kept = []

    class Keeps(Shelf):
        def save_state(self, flow_uuid, method_name, state_data):
            kept.append(state_data)

    @persist(Keeps())
    class Locked(Flow):
        @start()
        def go(self):
            self.state["lock"] = threading.Lock()

    flow = Locked()
    flow.kickoff()
    assert kept[0]["lock"] is flow.state["lock"]


def test_step_may_assign_the_states_id():
    """Later saves go under it."""
    shelf = Shelf()

    @persist(shelf)
    class Renames(Flow[Counted]):
        @start()
        def first(self):
            pass

        @listen(first)
        def second(self):
            self.state.id = "mine"

    Renames().kickoff()
    assert list(shelf.states)[1:] == ["mine"]


# Loading


def test_kickoff_with_a_saved_id_is_a_new_pass_over_the_state():
    """All starts run; the other inputs are laid over what was saved."""
    shelf = Shelf()
    kind = persist(shelf)(type("Kept", (counter(),), {}))
    first = kind()
    first.kickoff()
    second = kind()
    assert second.kickoff(inputs={"id": first.flow_id}) == 6
    assert second.flow_id == first.flow_id
    assert second.state.items == ["first", "first"]
    third = kind()
    assert third.kickoff(inputs={"id": first.flow_id, "count": 10}) == 13
    assert shelf.load_state(first.flow_id)["count"] == 13


async def test_loading_in_async_kickoffs():
    """``kickoff_async`` and ``akickoff`` load as well."""
    shelf = Shelf()
    kind = counter(shelf, asynchronous=True)
    first = kind(persistence=shelf)
    await first.kickoff_async()
    second = kind(persistence=shelf)
    assert await second.akickoff(inputs={"id": first.flow_id}) == 6
    third = kind(persistence=shelf)
    assert await third.kickoff_async(restore_from_state_id=first.flow_id) == 9
    assert third.flow_id != first.flow_id


def test_unknown_id_begins_a_new_run_under_it():
    """Nothing is loaded."""
    shelf = Shelf()
    flow = counter(shelf)(persistence=shelf)
    assert flow.kickoff(inputs={"id": "new"}) == 3
    assert flow.flow_id == "new"
    assert list(shelf.states) == ["new"]


def test_dictionary_state_is_loaded():
    """Keys that were not saved keep their initial values."""
    shelf = Shelf()
    shelf.save_state("x", "m", {"id": "x", "n": 1, "deep": {"a": [1]}})

    class Free(Flow):
        initial_state = {"fresh": True, "n": 0}

        @start()
        def go(self):
            self.state["n"] += 1
            self.state["deep"]["a"].append(2)

    flow = Free(persistence=shelf)
    flow.kickoff(inputs={"id": "x", "more": 1})
    assert flow.state == {
        "fresh": True,
        "n": 2,
        "id": "x",
        "deep": {"a": [1, 2]},
        "more": 1,
    }
    assert isinstance(flow.state, dict)
    assert shelf.load_state("x")["deep"] == {"a": [1]}


def test_what_is_loaded_is_not_shared():
    """A persistence may give out what it holds."""
    held = {"id": "x", "items": ["a"]}

    class Holds(Shelf):
        def load_state(self, flow_uuid):
            return held

    flow = counter()(persistence=Holds())
    flow.kickoff(inputs={"id": "x"})
    assert held == {"id": "x", "items": ["a"]}


def test_required_fields_come_from_what_was_saved():
    """The model is complete only with it."""

    class Needs(FlowState):
        topic: str

    class Topic(Flow[Needs]):
        @start()
        def go(self):
            return self.state.topic

    shelf = Shelf()
    shelf.save_state("x", "m", {"id": "x", "topic": "tides", "gone": 1})
    assert Topic(persistence=shelf).kickoff(inputs={"id": "x"}) == "tides"
    shelf.save_state("y", "m", {"id": "y", "topic": ["no"]})
    with pytest.raises(InputError):
        Topic(persistence=shelf).kickoff(inputs={"id": "y"})


def test_another_id_on_the_same_object():
    """Nothing of the state before stays; without an id the state is kept."""
    shelf = Shelf()
    shelf.save_state("y", "m", {"id": "y", "n": 5})

    class Free(Flow):
        @start()
        def go(self):
            self.state["n"] = self.state.get("n", 0) + 1

    flow = Free(persistence=shelf)
    flow.kickoff(inputs={"id": "x", "mine": True})
    flow.kickoff()
    assert flow.state == {"id": "x", "mine": True, "n": 2}
    flow.kickoff(inputs={"id": "y"})
    assert flow.state == {"id": "y", "n": 6}


def test_class_persistence_is_loaded_from():
    """If the object has none of its own."""
    shelf = Shelf()
    shelf.save_state("x", "m", {"id": "x", "n": 5})

    @persist(shelf)
    class Free(Flow):
        @start()
        def go(self):
            return self.state["n"]

    assert Free().kickoff(inputs={"id": "x"}) == 5
    assert Free(persistence=Shelf()).persistence is not shelf


def test_restore_from_a_state_is_a_fork():
    """A new id, or that of the inputs; the source is not touched."""
    shelf = Shelf()
    kind = counter(shelf)
    first = kind(persistence=shelf)
    first.kickoff()
    fork = kind(persistence=shelf)
    before = fork.flow_id
    assert fork.kickoff(restore_from_state_id=first.flow_id) == 6
    assert fork.flow_id not in {first.flow_id, ""}
    assert len(before) == len(fork.flow_id) == 36
    named = kind(persistence=shelf)
    inputs = {"id": "named", "count": 1}
    assert named.kickoff(inputs, restore_from_state_id=first.flow_id) == 4
    assert named.flow_id == "named"
    assert shelf.load_state(first.flow_id)["count"] == 3
    assert shelf.load_state("named")["count"] == 4
    assert kind(persistence=shelf).kickoff(restore_from_state_id=None) == 3


def test_restore_from_an_unknown_state():
    """A warning and a new run; strict flows refuse; without persistence it is an error."""
    kind = counter()
    text = "Counter.kickoff(restore_from_state_id='nope'): nothing was saved under that id."
    flow = kind(persistence=Shelf())
    with pytest.warns(FlowkitWarning) as caught:
        assert flow.kickoff(restore_from_state_id="nope") == 3
    assert [str(each.message) for each in caught] == [f"{text} A new run begins."]
    assert flow.flow_id != "nope"

    class Strict(kind, strict=True):
        pass

    with pytest.raises(InputError) as refused:
        Strict(persistence=Shelf()).kickoff(restore_from_state_id="nope")
    assert str(refused.value) == text.replace("Counter", "Strict")
    plain = type("Plain", (Flow,), {"go": start()(lambda self: None)})
    with pytest.raises(RunError) as missing:
        plain().kickoff(restore_from_state_id="x")
    assert str(missing.value) == (
        "kickoff(restore_from_state_id=..) loads a saved state, and this Plain has no "
        "persistence. Decorate the class with @persist, or make Plain(persistence=..)."
    )


# The interface


class Fancy(FlowPersistence):
    """As users write them: fields, class variables, private attributes."""

    persistence_type: str = "fancy"
    store: str = "x"
    made: ClassVar[list[str]] = []
    _box: dict[str, Any] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        object.__setattr__(self, "extra", [])

    def init_db(self) -> None:
        pass

    def save_state(self, flow_uuid, method_name, state_data):
        self._box[flow_uuid] = dict(state_data)

    def load_state(self, flow_uuid):
        return self._box.get(flow_uuid)


def test_interface_is_a_pydantic_model_and_abstract():
    """Three methods are required, the ones for pauses are not."""
    assert issubclass(FlowPersistence, BaseModel)
    with pytest.raises(TypeError):
        FlowPersistence()
    made = Fancy(store="y")
    assert (made.store, made.persistence_type, made.extra) == ("y", "fancy", [])
    assert made.load_pending_feedback("x") is None
    assert made.clear_pending_feedback("x") is None
    context = flowkit.PendingFeedbackContext("x", "F", "m", 1, "?")
    made.save_pending_feedback(flow_uuid="x", context=context, state_data={"a": 1})
    assert made.load_state(flow_uuid="x") == {"a": 1}


def test_instance_is_used_as_it_is():
    """A method set on the object counts."""
    made = Fancy()
    calls = []

    def spy(flow_uuid, method_name, state_data):
        calls.append((flow_uuid, method_name))

    object.__setattr__(made, "save_state", spy)

    @persist(made)
    class Kept(Flow):
        @start()
        def go(self):
            pass

    flow = Kept()
    assert flow.persistence is made
    flow.kickoff()
    assert calls == [(flow.flow_id, "go")]


@pytest.mark.parametrize("wrong", [42, "file.db", Shelf])
def test_persist_refuses_what_is_no_persistence(wrong):
    """When it is called."""
    with pytest.raises(ValueError) as caught:
        persist(wrong)
    assert str(caught.value) == (
        f"@persist takes a FlowPersistence object, not {wrong!r:.80}. Write @persist() "
        f"for the default, or @persist(SQLiteFlowPersistence(path))."
    )


def test_step_of_that_name_is_not_the_persistence():
    """The engine looks at what it is."""

    class Named(Flow):
        @start()
        def persistence(self):
            return 1

        @listen(persistence)
        def input_provider(self):
            return 2

    assert Named().kickoff(inputs={"id": "x"}) == 2


# SQLite


@pytest.fixture
def sqlite():
    """The class, once its store is there."""
    pytest.importorskip("flowkit.journal.urls")
    pytest.importorskip("apsw")
    return flowkit.SQLiteFlowPersistence


class Item(BaseModel):
    name: str
    when: datetime


class Rich(FlowState):
    items: list[Item] = []
    tags: set[str] = set()
    when: datetime | None = None


def test_sqlite_keeps_the_latest_state(sqlite, tmp_path):
    """A file is made; what is saved is read by another object at once."""
    path = tmp_path / "deep" / "states.db"
    kept = sqlite(path)
    assert path.exists()
    assert kept.db_path == str(path)
    assert kept.load_state("x") is None
    kept.save_state("x", "a", {"id": "x", "n": 1})
    kept.save_state("x", "b", {"id": "x", "n": 2, "deep": {"a": [1, None, "ü"]}})
    assert sqlite(str(path)).load_state("x") == {
        "id": "x",
        "n": 2,
        "deep": {"a": [1, None, "ü"]},
    }
    kept.save_state(flow_uuid="y", method_name="a", state_data=Counted(id="y", count=3))
    assert kept.load_state(flow_uuid="y") == {"id": "y", "count": 3, "items": []}


def test_sqlite_keeps_pauses(sqlite, tmp_path):
    """One an id; with any dictionary, also without an id."""
    kept = sqlite(tmp_path / "s.db")
    assert kept.load_pending_feedback("x") is None
    context = flowkit.PendingFeedbackContext("x", "F", "m", {"o": 1}, "?", ["a"])
    kept.save_pending_feedback("x", context, {"n": 1})
    state, found = sqlite(tmp_path / "s.db").load_pending_feedback("x")
    assert (state, found) == ({"n": 1}, context)
    kept.clear_pending_feedback("x")
    assert kept.load_pending_feedback("x") is None


def test_sqlite_with_a_rich_model(sqlite, tmp_path):
    """What was saved validates into the model again."""
    kept = sqlite(tmp_path / "s.db")

    @persist(kept)
    class Shop(Flow[Rich]):
        @start()
        def go(self):
            at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
            self.state.items.append(Item(name="a", when=at))
            self.state.tags.add("t")
            self.state.when = at
            return len(self.state.items)

    first = Shop()
    assert first.kickoff() == 1
    loaded = kept.load_state(first.flow_id)
    assert json.dumps(loaded["items"])
    assert Rich.model_validate(loaded) == first.state
    second = Shop()
    assert second.kickoff(inputs={"id": first.flow_id}) == 2
    assert second.state.items[0] == first.state.items[0]
    assert second.state.tags == {"t"}


def test_sqlite_with_values_in_a_dictionary(sqlite, tmp_path):
    """They come back as they were; a local class as a dictionary."""

    class Local(BaseModel):
        x: int = 1

    kept = sqlite(tmp_path / "s.db")
    at = datetime(2024, 1, 2, tzinfo=UTC)
    kept.save_state("x", "m", {"id": "x", "when": at, "tags": {"a"}})
    assert kept.load_state("x") == {"id": "x", "when": at, "tags": {"a"}}
    kept.save_state("x", "m", {"id": "x", "local": Local()})
    assert kept.load_state("x") == {"id": "x", "local": {"x": 1}}
    with pytest.raises(flowkit.FlowkitError) as caught:
        kept.save_state("x", "m", {"id": "x", "lock": threading.Lock()})
    assert "lock" in str(caught.value)


def test_sqlite_from_threads_and_loops(sqlite, tmp_path):
    """Its methods are synchronous and may be called from anywhere."""
    kept = sqlite(tmp_path / "s.db")
    errors = []

    def work(number):
        try:
            for turn in range(20):
                kept.save_state(f"k{number}", "m", {"turn": turn})
                assert kept.load_state(f"k{number}") == {"turn": turn}
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


async def test_sqlite_within_a_loop(sqlite, tmp_path):
    """Also ``from_pending``."""
    kept = sqlite(tmp_path / "s.db")
    kept.save_state("x", "m", {"id": "x"})
    assert kept.load_state("x") == {"id": "x"}

    class Asks(Flow):
        @start()
        @human_feedback("?", provider=Person())
        def go(self):
            return 1

    context = flowkit.PendingFeedbackContext("x", "Asks", "go", 1, "?")
    kept.save_pending_feedback("x", context, {})
    flow = Asks.from_pending("x", kept)
    assert (await flow.resume_async("ok")).feedback == "ok"


def test_default_place_is_worked_out_each_time(sqlite, tmp_path, monkeypatch):
    """Environment, project root, working directory; ``@persist()`` uses it."""
    monkeypatch.delenv("FLOWKIT_STORE", raising=False)
    for name in ("one", "two"):
        folder = tmp_path / name / "inner"
        folder.mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").touch()
        monkeypatch.chdir(folder)
        made = sqlite()
        assert made.db_path.startswith(str(tmp_path / name / ".flowkit"))
        made.save_state("x", "m", {"place": name})
        assert sqlite().load_state("x") == {"place": name}
    monkeypatch.setenv("FLOWKIT_STORE", f"sqlite:///{tmp_path}/env.db")

    @persist
    class Kept(Flow):
        @start()
        def go(self):
            self.state["n"] = 1

        @listen(go)
        @persist
        def more(self):
            self.state["n"] = 2

    flow = Kept()
    assert type(flow.persistence) is sqlite
    flow.kickoff()
    assert sqlite(tmp_path / "env.db").load_state(flow.flow_id)["n"] == 2


def test_pause_without_a_persistence_makes_the_default(sqlite, tmp_path, monkeypatch):
    """And ``from_pending`` without one finds it."""
    monkeypatch.setenv("FLOWKIT_STORE", f"sqlite:///{tmp_path}/env.db")
    from tests.compat.people import LATER

    class Asks(Flow):
        @start()
        @human_feedback("?", provider=Person(LATER))
        def go(self):
            self.state["n"] = 1
            return 1

    flow = Asks()
    assert flow.persistence is None
    flow.kickoff()
    assert type(flow.persistence) is sqlite
    other = Asks.from_pending(flow.flow_id)
    assert other.state["n"] == 1
    assert other.resume("ok").feedback == "ok"
    with pytest.raises(ValueError):
        Asks.from_pending(flow.flow_id)


def test_a_review_is_kept_when_the_state_cannot_be_stored(tmp_path):
    """The position is given up, the outcome is not: its listener runs."""
    from flowkit import SQLiteFlowPersistence, human_feedback

    class Says:
        def request_feedback(self, context, flow):
            return "approved"

    class Draft(Flow):
        @start()
        @human_feedback("Good?", emit=["approved", "rejected"], provider=Says())
        def write(self):
            self.state["lock"] = threading.Lock()
            return "text"

        @listen("approved")
        def publish(self, review):
            return review.feedback

        @listen("rejected")
        def drop(self):
            return "dropped"

    flow = Draft(persistence=SQLiteFlowPersistence(tmp_path / "x.db"))
    assert flow.kickoff() == "approved"
    assert flow.run.journal is None
