from __future__ import annotations

import contextlib
import copy
import gc
import json
import operator
import pickle
import threading
import warnings
from typing import Annotated, Any, Generic, Literal, TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from flowkit import (
    Flow,
    FlowState,
    InputError,
    StateConflictError,
    StateError,
    and_,
    listen,
    start,
)


class Address(BaseModel):
    city: str = "Rome"
    tags: list[str] = Field(default_factory=list)


class Order(BaseModel):
    number: int = 0
    name: str = "n"
    lines: list[str] = Field(default_factory=list)
    table: dict[str, int] = Field(default_factory=dict)
    seen: set[int] = Field(default_factory=set)
    address: Address = Field(default_factory=Address)
    more: Any = None
    _cache: dict = PrivateAttr(default_factory=dict)
    __hash__ = None


def seen_by(action, *, beside=False):
    """What ``action(state)`` gives in a step, alone or beside another one."""

    class Probe(Flow[Order]):
        @start()
        async def probe(self):
            assert isinstance(self.state, Order)
            got.append(action(self.state))

        if beside:

            @start()
            async def other(self):
                await checkpoint()

    got = []
    flow = Probe()
    flow.state.lines.append("x")
    flow.state.address.tags.append("t")
    flow.kickoff()
    assert type(flow.state).__base__ is Order
    return got[0]


class Matched(Order):
    __match_args__ = ("number", "name")


def _match(state):
    match state:
        case Order(number=0, name=name, address=Address(city=city)):
            return name, city


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    ("action", "result"),
    [
        (lambda state: isinstance(state, Order), True),
        (lambda state: isinstance(state, BaseModel), True),
        (_match, ("n", "Rome")),
        (lambda state: state.model_dump()["lines"], ["x"]),
        (lambda state: json.loads(state.model_dump_json())["address"]["tags"], ["t"]),
        (lambda state: sorted(state.model_dump(include={"name", "number"})), ["name", "number"]),
        (lambda state: state == state.model_copy(), True),
        (lambda state: state.model_copy() == state, True),
        (lambda state: state == copy.deepcopy(state), True),
        (lambda state: copy.deepcopy(state) == state, True),
        (lambda state: copy.copy(state) == state, True),
        (lambda state: state == Order(), False),
        (lambda state: Order() == state, False),
        (lambda state: state == 3, False),
        (lambda state: state.model_copy(update={"number": 7}).number, 7),
        (lambda state: state.model_copy(deep=True).lines, ["x"]),
        (lambda state: "id" in type(state).model_fields, True),
        (lambda state: dict(state)["name"], "n"),
        (lambda state: dict(iter(state))["number"], 0),
        (lambda state: repr(state).startswith("Order(number=0"), True),
        (lambda state: type(state).__name__, "Order"),
        (lambda state: type(state).__qualname__, "Order"),
        (lambda state: type(state).__module__, __name__),
        (lambda state: type(state).model_json_schema()["title"], "Order"),
        (lambda state: type(state.model_copy()) .__name__, "Order"),
        (lambda state: type(state).model_validate(state.model_dump()) == state.model_copy(), True),
        (lambda state: Order.model_validate(state.model_dump()).lines, ["x"]),
        (lambda state: state.model_fields_set, set()),
        (lambda state: pickle.loads(pickle.dumps(state)).lines, ["x"]),
        (lambda state: type(pickle.loads(pickle.dumps(state))).__base__ is Order, True),
        (lambda state: hasattr(state, "nothing"), False),
        (lambda state: getattr(state, "nothing", 5), 5),
        (lambda state: vars(state)["name"], "n"),
    ],
)  # fmt: skip
def test_a_model_state_is_a_real_model_within_steps(action, result, beside):
    """Everything pydantic gives works, alone and in parallel."""
    got = seen_by(action, beside=beside)
    if result == set():
        assert isinstance(got, set)
    else:
        assert got == result


class Pickled(FlowState):
    lines: list[str] = Field(default_factory=list)
    number: int = 1
    _secret: int = PrivateAttr(default=3)


@pytest.mark.parametrize("copier", [
    lambda state: pickle.loads(pickle.dumps(state)),
    copy.copy, copy.deepcopy,
    lambda state: state.model_copy(),
    lambda state: state.model_copy(deep=True),
])  # fmt: skip
async def test_copies_made_within_a_step_are_plain(copier):
    """A pickle or copy is of the user's own class, equal, and tracks nothing."""

    class Copies(Flow[Pickled]):
        @start()
        async def make(self):
            self.state.number = 2
            self.state._secret = 9
            made = copier(self.state)
            assert type(made) is Pickled
            assert made == self.state
            assert self.state == made
            made.number = 99
            made.lines = ["z"]
            return made

        @start()
        async def beside(self):
            await checkpoint()
            made = copier(self.state)
            assert type(made) is Pickled

    flow = Copies()
    await flow.kickoff_async()
    made = flow.method_outputs[0]
    assert made._secret == 9
    assert flow.state.number == 2
    assert flow.state.lines == []
    assert type(flow.state) is Pickled
    assert pickle.loads(pickle.dumps(flow.state)) == flow.state


async def test_the_class_is_the_users_own_after_every_end():
    """Completed, failed, cancelled, stopped, waiting: type(flow.state) is Model."""

    class Ends(Flow[Pickled]):
        @start()
        async def work(self):
            self.state.number = 5
            self.state.lines.append("x")
            await checkpoint()
            if self.how == "fail":
                raise ValueError("no")
            if self.how == "stop":
                self.stop()
            if self.how == "abort":
                self.abort()
            if self.how == "replace":
                self.state = Pickled(id="new", number=7)
            if self.how == "hang":
                self.running.set()
                await anyio.sleep_forever()

        @start()
        async def beside(self):
            await checkpoint()

    for how, number in [
        ("end", 5), ("fail", 1), ("stop", 5), ("abort", 1), ("replace", 7), ("hang", 1),
    ]:  # fmt: skip
        flow = Ends()
        flow.how = how
        flow.running = anyio.Event()
        state = flow.state
        async with anyio.create_task_group() as group:
            group.start_soon(_quietly, flow)
            if how == "hang":
                await flow.running.wait()
                group.cancel_scope.cancel()
        assert type(flow.state) is Pickled, how
        assert flow.state.number == number
        assert flow.state.lines == (["x"] if how in {"end", "stop"} else [])
        assert flow.state is flow.state
        if how != "replace":
            assert flow.state is state
        flow.state.number = 11
        assert flow.state.number == 11


async def _quietly(flow):
    with contextlib.suppress(ValueError):
        await flow.kickoff_async()


async def test_the_class_is_the_users_own_after_a_lone_step():
    """The same for a run that never had two steps at once."""

    class Lone(Flow[Pickled]):
        @start()
        async def work(self):
            self.state.lines.append("x")
            if self.fails:
                raise ValueError("no")

    for fails in (True, False):
        flow = Lone()
        flow.fails = fails
        state = flow.state
        await _quietly(flow)
        assert type(flow.state) is Pickled
        assert flow.state is state
        assert flow.state.lines == ([] if fails else ["x"])
        assert flow.state._secret == 3


async def test_a_waiting_run_shows_the_users_class():
    """Between events the state is an ordinary object."""
    from flowkit import event

    class Waits(Flow[Pickled]):
        @start()
        async def begin(self):
            self.state.number += 1

        @listen(event("more"))
        async def more(self):
            self.state.number += 1

    flow = Waits()
    await flow.kickoff_async()
    assert type(flow.state) is Pickled
    flow.state.number += 10
    flow.send("more")
    assert flow.state.number == 13
    assert type(flow.state) is Pickled


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pydantic: "copy" shadows a method

    class Names(BaseModel):
        items: list[int] = Field(default_factory=list)
        keys: dict[str, int] = Field(default_factory=dict)
        copy: str = "c"  # type: ignore[assignment]
        data: Any = None
        values: int = 0
        changes: int = 0
        get: list[int] = Field(default_factory=list)
        update: str = ""
        pop: int = 1


async def test_field_names_of_dictionaries_are_ordinary():
    """items, keys, copy, data and the like are fields like any other."""

    class Fields(Flow[Names]):
        @start()
        async def one(self):
            self.state.items.append(1)
            self.state.keys["a"] = 1
            self.state.copy += "d"
            self.state.changes += 1
            self.state.get += [1]

        @start()
        async def two(self):
            await checkpoint()
            self.state.items.append(2)
            self.state.keys["b"] = 2
            self.state.data = {"x": 1}
            self.state.values += 1
            self.state.update = "u"
            self.state.pop += 1

    flow = Fields()
    await flow.kickoff_async()
    state = flow.state
    assert sorted(state.items) == [1, 2]
    assert state.keys == {"a": 1, "b": 2}
    assert (state.copy, state.data, state.values) == ("cd", {"x": 1}, 1)
    assert (state.changes, state.get, state.update, state.pop) == (1, [1], "u", 2)


class Required(BaseModel):
    name: str
    count: int
    note: str = ""


async def test_required_fields_come_from_the_inputs():
    """All that lack or do not fit are named at once."""

    class Needs(Flow[Required]):
        @start()
        async def begin(self):
            return self.state.name, self.state.count

    assert await Needs().kickoff_async({"name": "a", "count": "3"}) == ("a", 3)
    with pytest.raises(InputError) as caught:
        await Needs().kickoff_async({"count": "x"})
    assert str(caught.value) == (
        "Invalid inputs for structured state: Needs does not take them as Required: "
        "name: Field required; count: Input should be a valid integer, unable to parse "
        "string as an integer, got 'x'"
    )
    with pytest.raises(ValueError):
        Needs().kickoff()
    flow = Needs()
    with pytest.raises(InputError):
        flow.kickoff({"name": "a"})
    assert flow.kickoff({"name": "b", "count": 2}) == ("b", 2)
    assert isinstance(flow.state, Required)
    assert flow.flow_id


async def test_refused_inputs_leave_the_state_as_it_was():
    """An error of kickoff changes nothing."""

    class Plain(Flow[Order]):
        @start()
        async def begin(self):
            pass

    flow = Plain()
    before = flow.state.model_dump()
    with pytest.raises(InputError) as caught:
        await flow.kickoff_async({"name": "new", "number": "x", "lines": 3})
    assert str(caught.value) == (
        "Invalid inputs for structured state: Plain does not take them as Order: "
        "number: Input should be a valid integer, unable to parse string as an integer, "
        "got 'x'; lines: Input should be a valid list, got 3"
    )
    assert flow.state.model_dump() == before
    assert flow.run is None


async def test_unknown_inputs_are_dropped_and_known_ones_are_coerced():
    """Only values the model refuses are errors."""

    class Plain(Flow[Order]):
        @start()
        async def begin(self):
            return self.state.number

    flow = Plain()
    assert await flow.kickoff_async({"number": "4", "strange": 1}) == 4
    assert "strange" not in flow.state.model_dump()
    assert not hasattr(flow.state, "strange")


async def test_inputs_set_the_id():
    """inputs["id"] is the state's id, for models without the field, too."""

    class Plain(Flow[Order]):
        @start()
        async def begin(self):
            return self.state.id

    flow = Plain()
    assert len(flow.flow_id) == 36
    assert await flow.kickoff_async({"id": "mine"}) == "mine"
    assert flow.flow_id == "mine"
    assert flow.state.id == "mine"


class Aliased(BaseModel):
    first: int = Field(default=0, alias="First")
    second: int = Field(default=0, validation_alias="Second")
    third: list[int] = Field(default_factory=list, serialization_alias="Third")
    needed: int = Field(alias="Needed")


@pytest.mark.parametrize("by_name", [True, False])
async def test_aliases(by_name):
    """Inputs come by alias or by name; steps use the names."""

    class Uses(Flow[Aliased]):
        @start()
        async def begin(self):
            self.state.first += 1
            self.state.third.append(1)
            return self.state.first, self.state.second, self.state.needed

    inputs = (
        {"first": 1, "second": 2, "needed": 3}
        if by_name
        else {"First": 1, "Second": 2, "Needed": 3}
    )
    flow = Uses()
    assert await flow.kickoff_async(inputs) == (2, 2, 3)
    assert flow.state.model_dump(by_alias=True)["Third"] == [1]
    assert await flow.kickoff_async() == (3, 2, 3)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int = 0


async def test_extra_fields_are_state_like_any_other():
    """extra="allow": from inputs, assigned, changed in place, in parallel, undone."""

    class Uses(Flow[Extra]):
        fails = False

        @start()
        async def one(self):
            assert self.state.given == 1
            self.state.from_one = [1]
            self.state.given = 2

        @start()
        async def two(self):
            await checkpoint()
            self.state.from_two = 2
            if self.fails:
                raise ValueError("no")

        @listen(and_(one, two))
        async def three(self):
            self.state.from_one.append(3)
            return self.state.model_dump(exclude={"id"})

    expected = {"known": 0, "given": 2, "from_one": [1, 3], "from_two": 2}
    flow = Uses()
    assert await flow.kickoff_async({"given": 1}) == expected
    assert flow.state.model_extra == {"given": 2, "from_one": [1, 3], "from_two": 2}
    assert type(flow.state).__base__ is Extra

    class Fails(Flow[Extra]):
        @start()
        async def one(self):
            self.state.given = 2
            self.state.other.append(1)
            self.state.new = 1
            raise ValueError("no")

    flow = Fails()
    with pytest.raises(ValueError):
        await flow.kickoff_async({"given": 1, "other": [0]})
    assert flow.state.model_extra == {"given": 1, "other": [0]}


class Private(BaseModel):
    number: int = 0
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _notes: list[str] = PrivateAttr(default_factory=list)
    _plain: int = 0


async def test_private_attributes_work_within_steps():
    """Read, written, kept after the run, alone and in parallel."""

    class Uses(Flow[Private]):
        @start()
        async def one(self):
            with self.state._lock:
                self.state._notes.append("one")
                self.state._plain += 1

        @listen(one)
        async def two(self):
            assert self.state._notes == ["one"]
            assert self.state._plain == 1

        @listen(one)
        async def three(self):
            with self.state._lock:
                assert self.state._notes == ["one"]
                self.state.number = 3

        @listen(and_(two, three))
        async def four(self):
            self.state._plain += 1
            self.state._notes.append("four")

    flow = Uses()
    lock = flow.state._lock
    await flow.kickoff_async()
    assert flow.state._lock is lock
    assert flow.state._plain == 2
    assert flow.state._notes == ["one", "four"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    number: int = 0
    lines: list[int] = Field(default_factory=list)


async def test_a_frozen_model_is_replaced_as_a_whole():
    """Assigning a field is pydantic's own error; inputs and replacement work."""

    class Uses(Flow[Frozen]):
        @start()
        async def one(self):
            with pytest.raises(ValueError, match="frozen"):
                self.state.number = 3
            self.state.lines.append(1)
            self.state = self.state.model_copy(update={"number": 4})

        @listen(one)
        async def two(self):
            return self.state.number, self.state.lines

    flow = Uses()
    assert await flow.kickoff_async({"number": 2}) == (4, [1])
    assert isinstance(flow.state, Frozen)
    assert hash(Frozen.model_construct(number=1, lines=())) is not None


class Strict(BaseModel):
    model_config = ConfigDict(validate_assignment=True)
    number: int = 0

    @field_validator("number")
    @classmethod
    def _small(cls, value):
        if value > 100:
            raise ValueError("too big")
        return value


async def test_validate_assignment_is_kept():
    """The model's own rule: at the assignment, coerced."""

    class Uses(Flow[Strict]):
        @start()
        async def one(self):
            self.state.number = "7"
            assert self.state.number == 7
            with pytest.raises(ValueError, match="too big"):
                self.state.number = 101
            return self.state.number

        @start()
        async def two(self):
            await checkpoint()

    flow = Uses()
    await flow.kickoff_async()
    assert flow.state.number == 7


async def test_a_value_that_its_type_refuses_is_an_error_at_the_steps_end():
    """With step, field, value and cure; nothing of the step stays."""

    class Wrong(Flow[Order]):
        @start()
        async def spoil(self):
            self.state.name = "changed"
            self.state.number = "many"

    flow = Wrong()
    with pytest.raises(StateError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == (
        "Wrong.spoil left state.number as 'many': number: Input should be a valid "
        "integer, unable to parse string as an integer, got 'many'. Assign what the "
        "field's type takes."
    )
    assert flow.state.number == 0
    assert flow.state.name == "n"

    class InPlace(Flow[Order]):
        @start()
        async def spoil(self):
            self.state.table["a"] = "x"

    flow = InPlace()
    with pytest.raises(StateError) as caught:
        flow.kickoff()
    assert str(caught.value) == (
        "InPlace.spoil left state.table as {'a': 'x'}: table.a: Input should be a valid "
        "integer, unable to parse string as an integer, got 'x'. Assign what the "
        "field's type takes."
    )
    assert flow.state.table == {}


async def test_a_coercible_value_is_coerced_at_the_steps_end():
    """As pydantic would on validation."""

    class Coerces(Flow[Order]):
        @start()
        async def one(self):
            self.state.number = "12"

        @listen(one)
        async def two(self):
            return self.state.number

    assert await Coerces().kickoff_async() == 12
    assert Coerces().kickoff() == 12


async def test_a_deleted_field_is_an_error():
    """A model without a field is none of its type."""

    class Deletes(Flow[Order]):
        @start()
        async def spoil(self):
            del self.state.name

    flow = Deletes()
    with pytest.raises(StateError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == (
        "Deletes.spoil left state.name as nothing: the field was deleted. Assign what "
        "the field's type takes."
    )
    assert flow.state.name == "n"


async def test_a_failed_step_leaves_no_partial_write():
    """Assigned, in place in lists, dictionaries, sets, nested models."""

    class Fails(Flow[Order]):
        @start()
        async def spoil(self):
            state = self.state
            state.number = 5
            state.lines.append("y")
            state.table["k"] = 1
            state.seen.add(1)
            state.address.city = "Oslo"
            state.address.tags.append("t")
            state.more["deep"]["list"].append(1)
            if self.suspends:
                await checkpoint()
            raise ValueError("no")

        @listen("spoil.failed")
        async def after(self):
            return self.state.model_dump(exclude={"id"})

    for suspends in (True, False):
        flow = Fails()
        flow.suspends = suspends
        flow.state.lines.append("x")
        flow.state.more = {"deep": {"list": []}}
        lines, address = flow.state.lines, flow.state.address
        before = flow.state.model_dump(exclude={"id"})
        assert await flow.kickoff_async() == before
        assert flow.state.model_dump(exclude={"id"}) == before
        assert flow.state.lines is lines
        assert isinstance(address, Address)


class Joined(BaseModel):
    added: Annotated[int, operator.add] = 0
    texts: Annotated[list[str], operator.add] = Field(default_factory=list)
    most: Annotated[int, max] = 0
    own: Annotated[list[int], lambda old, new: sorted({*old, *new})] = Field(
        default_factory=list
    )
    lines: list[int] = Field(default_factory=list)
    table: dict[str, int] = Field(default_factory=dict)
    seen: set[int] = Field(default_factory=set)
    same: str = ""
    address: Address = Field(default_factory=Address)


@pytest.mark.parametrize("suspends", [True, False])
async def test_parallel_changes_are_joined(suspends):
    """Reducers, additions to lists and sets, distinct keys, equal values."""

    class Joins(Flow[Joined]):
        async def work(self, number):
            state = self.state
            state.added += number
            state.texts.append(str(number))
            state.most = number
            state.own = [number]
            state.lines.append(number)
            state.table[str(number)] = number
            state.seen.add(number)
            state.same = "same"
            if suspends:
                await checkpoint()

        @start()
        async def one(self):
            await self.work(1)

        @start()
        async def two(self):
            await self.work(2)

        @start()
        async def three(self):
            await self.work(3)

    flow = Joins()
    flow.state.added = 10
    flow.state.texts.append("0")
    flow.state.lines.append(0)
    flow.state.own = [0]
    await flow.kickoff_async()
    state = flow.state
    assert state.added == 16
    assert sorted(state.texts) == ["0", "1", "2", "3"]
    assert state.most == 3
    assert state.own == [1, 2, 3]
    assert sorted(state.lines) == [0, 1, 2, 3]
    assert state.table == {"1": 1, "2": 2, "3": 3}
    assert state.seen == {1, 2, 3}
    assert state.same == "same"


@pytest.mark.parametrize("suspends", [True, False])
async def test_a_conflict_names_field_steps_values_and_cures(suspends):
    """Two parallel steps wrote one field and nothing says how to join it."""

    class Conflicts(Flow[Order]):
        @start()
        async def left(self):
            self.state.number = 1
            if suspends:
                await checkpoint()

        @start()
        async def right(self):
            self.state.number = 2
            if suspends:  # two turns: trio wakes tasks of one turn in any order
                await checkpoint()
                await checkpoint()

    flow = Conflicts()
    with pytest.raises(StateConflictError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == (
        "Conflicts: the parallel steps left and right both wrote state.number: 1 and 2. "
        "Let one of them write it, declare how to join it (Annotated[.., reducer] on the "
        "field), run the steps one after the other, or set on_conflict='last' on the "
        "class."
    )
    assert caught.value.field == "number"
    assert caught.value.steps == ("left", "right")
    assert pickle.loads(pickle.dumps(caught.value)).field == "number"
    assert flow.state.number == 1

    class Last(Conflicts, on_conflict="last"):
        pass

    flow = Last()
    await flow.kickoff_async()
    assert flow.state.number == 2


async def test_parallel_steps_do_not_see_each_others_writes():
    """Each works on its own view until it commits."""

    class Isolated(Flow[Order]):
        @start()
        async def writes(self):
            self.state.number = 1
            self.state.lines.append("w")
            self.state.address.city = "Oslo"
            await self.seen.wait()

        @start()
        async def reads(self):
            got = (self.state.number, list(self.state.lines), self.state.address.city)
            self.seen.set()
            return got

    flow = Isolated()
    flow.seen = anyio.Event()
    await flow.kickoff_async()
    assert flow.method_outputs[0] == (0, [], "Rome")
    assert (flow.state.number, flow.state.lines) == (1, ["w"])
    assert flow.state.address.city == "Oslo"


async def test_nested_models_changed_by_one_are_taken():
    """Changed in place by one branch, left alone by the other; a conflict if both."""

    class One(Flow[Order]):
        @start()
        async def changes(self):
            self.state.address.city = "Oslo"
            await checkpoint()

        @start()
        async def reads(self):
            await checkpoint()
            return self.state.address.city

    flow = One()
    await flow.kickoff_async()
    assert flow.state.address == Address(city="Oslo")
    assert type(flow.state.address) is Address

    class Two(Flow[Order]):
        @start()
        async def left(self):
            self.state.address.city = "Oslo"

        @start()
        async def right(self):
            self.state.address.city = "Bern"

    with pytest.raises(StateConflictError):
        await Two().kickoff_async()


async def test_an_unpicklable_member_does_no_harm():
    """A lock, a client: kept by reference, never copied."""

    class Holds(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lock: Any = Field(default_factory=threading.Lock)
        bag: dict[str, Any] = Field(default_factory=dict)

    class Uses(Flow[Holds]):
        @start()
        async def one(self):
            self.state.bag["lock"] = self.state.lock
            self.state.bag["event"] = threading.Event()
            with self.state.lock:
                await checkpoint()

        @start()
        async def two(self):
            self.state.bag["generator"] = (each for each in ())

        @listen(and_(one, two))
        async def three(self):
            return self.state.bag["lock"] is self.state.lock

    flow = Uses()
    assert await flow.kickoff_async() is True
    assert set(flow.state.bag) == {"lock", "event", "generator"}


async def test_replacing_the_whole_state():
    """Within a step, in parallel, in __init__, with a model or a dictionary."""

    class Replaces(Flow[Order]):
        def __init__(self):
            super().__init__()
            self.state = Order(number=1)

        @start()
        async def one(self):
            assert self.state.number == 1
            self.state = Order(number=2, lines=["a"])
            assert self.state.number == 2
            self.state.lines.append("b")

        @listen(one)
        async def two(self):
            assert self.state.lines == ["a", "b"]
            await checkpoint()
            self.state = {"name": "named"}
            assert isinstance(self.state, Order)

        @listen(one)
        async def beside(self):
            self.state.seen.add(1)
            await checkpoint()

        @listen(and_(two, beside))
        async def three(self):
            return self.state.name, self.state.number, self.state.lines

    flow = Replaces()
    same = flow.flow_id
    assert await flow.kickoff_async() == ("named", 0, [])
    assert isinstance(flow.state, Order)
    assert flow.flow_id == same
    assert Replaces().kickoff() == ("named", 0, [])


async def test_a_wrong_replacement_is_one_sentence():
    """What was assigned, what its type is, what to do."""

    class Wrong(Flow[Order]):
        @start()
        async def spoil(self):
            self.state = [1]

    with pytest.raises(StateError) as caught:
        await Wrong().kickoff_async()
    assert str(caught.value) == (
        "Wrong.state was assigned list: [1]. Its type is Order; assign one, or change "
        "single fields."
    )

    class WrongDict(Flow[Order]):
        @start()
        async def spoil(self):
            self.state = {"number": "x"}

    with pytest.raises(StateError) as caught:
        await WrongDict().kickoff_async()
    assert str(caught.value) == (
        "WrongDict.state was assigned a dictionary that does not fit: number: Input "
        "should be a valid integer, unable to parse string as an integer, got 'x'"
    )


async def test_replacing_and_failing_gives_the_old_object_back():
    """A replaced state is a partial write like any other."""

    class Fails(Flow[Order]):
        @start()
        async def spoil(self):
            self.state.lines.append("z")
            self.state = Order(number=2)
            self.state.number = 3
            raise ValueError("no")

    flow = Fails()
    state = flow.state
    with pytest.raises(ValueError):
        await flow.kickoff_async()
    assert flow.state is state
    assert (flow.state.number, flow.state.lines) == (0, [])


def test_the_state_lives_between_runs():
    """One live object: the same at each access; in-place operations stick."""

    class Plain(Flow[Order]):
        @start()
        def begin(self):
            return sorted(self.state.lines)

    flow = Plain()
    assert flow.state is flow.state
    flow.state.lines += ["b"]
    flow.state.lines.append("a")
    flow.state.lines.sort()
    flow.state.table |= {"k": 1}
    flow.state.number += 1
    assert flow.kickoff() == ["a", "b"]
    state = flow.state
    flow.state.lines.append("c")
    assert flow.kickoff() == ["a", "b", "c"]
    assert flow.state is state
    assert state.table == {"k": 1}
    assert state.number == 1


def test_initial_state_is_not_shared():
    """As a class, an instance or a dictionary, given or as a class attribute."""
    given = Order(lines=["x"])

    class ByInstance(Flow):
        initial_state = given

        @start()
        def begin(self):
            self.state.lines.append("y")

    one, two = ByInstance(), ByInstance()
    one.kickoff()
    assert one.state.lines == ["x", "y"]
    assert two.state.lines == ["x"]
    assert given.lines == ["x"]
    assert isinstance(one.state, Order)
    assert one.flow_id
    assert one.flow_id != two.flow_id

    class ByClass(Flow):
        initial_state = Order

        @start()
        def begin(self):
            return isinstance(self.state, Order)

    assert ByClass().kickoff() is True

    class ByKeyword(Flow[Order]):
        @start()
        def begin(self):
            return self.state

    assert ByKeyword(initial_state={"a": [1]}).kickoff()["a"] == [1]
    assert ByKeyword(initial_state=Address(city="Bern")).kickoff().city == "Bern"
    assert isinstance(ByKeyword(initial_state=Address).kickoff(), Address)


T = TypeVar("T", bound=BaseModel)


def test_every_form_of_the_type_parameter():
    """Generic bases, TypeVars, Any and parametrised dictionaries."""

    class Generic_(Flow[T], Generic[T]):
        @start()
        def begin(self):
            return type(self.state)

    class Bound(Generic_[Order]):
        pass

    assert issubclass(Bound().kickoff(), Order)
    assert issubclass(Generic_().kickoff(), dict)
    for parameter in (dict, dict[str, Any], Any):

        class Free(Flow[parameter]):
            @start()
            def begin(self):
                return type(self.state)

        assert issubclass(Free().kickoff(), dict)


class Choice(BaseModel):
    kind: Literal["a", "b"] = "a"
    maybe: list[int] | None = None
    pair: tuple[int, list[int]] = (0, [])


async def test_unions_literals_and_tuples_are_tracked():
    """A list in an optional field or a tuple is undone and joined, too."""

    class Uses(Flow[Choice]):
        @start()
        async def one(self):
            self.state.maybe.append(1)
            self.state.pair[1].append(1)
            await checkpoint()
            raise ValueError("no")

        @listen("one.failed")
        async def after(self):
            return self.state.maybe, self.state.pair

    flow = Uses()
    flow.state.maybe = []
    assert await flow.kickoff_async() == ([], (0, []))

    class Wrong(Flow[Choice]):
        @start()
        async def spoil(self):
            self.state.kind = "c"

    with pytest.raises(StateError) as caught:
        await Wrong().kickoff_async()
    assert str(caught.value).startswith("Wrong.spoil left state.kind as 'c': kind: ")


def test_nothing_keeps_states_alive():
    """A flow that is gone takes its state along."""
    import weakref

    class Plain(Flow[Order]):
        @start()
        def begin(self):
            self.state.lines.append("x")

    flow = Plain()
    flow.kickoff()
    gone = weakref.ref(flow)
    del flow
    gc.collect()
    assert gone() is None
