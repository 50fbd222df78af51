"""State: what a flow gives its steps, keeps between runs, joins and undoes."""

import copy
import json
import operator
import pickle
import re
import threading
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
)

from flowkit import (
    EventBus,
    Flow,
    InputError,
    StateConflictError,
    StateError,
    and_,
    event,
    listen,
    start,
)
from flowkit.compat.crewai.flow import FlowState


class Inner(BaseModel):
    count: int = 0
    tags: list[str] = Field(default_factory=list)


class Plain(BaseModel):
    """No id of its own."""

    n: int = 0
    xs: list[int] = Field(default_factory=list)
    seen: set[str] = Field(default_factory=set)
    by_key: dict[str, int] = Field(default_factory=dict)
    inner: Inner = Field(default_factory=Inner)


class Needs(BaseModel):
    name: str
    size: int
    note: str = ""


class Aliased(BaseModel):
    order_id: int = Field(default=0, alias="orderId")
    city: str = Field(default="", validation_alias=AliasChoices("town", "place"))


class Odd(BaseModel):
    items: list[int] = []
    keys: list[int] = []
    copied: int = 0
    data: dict[str, int] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int = 0


class Hidden(BaseModel):
    n: int = 0
    _cache: dict[str, int] = PrivateAttr(default_factory=dict)


class Frozen(BaseModel):
    key: str = Field(default="k", frozen=True)
    n: int = 0


class Checked(BaseModel):
    model_config = ConfigDict(validate_assignment=True)
    n: int = Field(default=0, ge=0)


class Locked(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    lock: Any = None
    typed: threading.Event = Field(default_factory=threading.Event)
    n: int = 0


def longest(first, second):
    """A reducer of the user's own."""
    return max(first, second, key=len)


class Joined(BaseModel):
    total: Annotated[int, operator.add] = 10
    top: Annotated[int, max] = 3
    text: Annotated[str, longest] = ""


class Half(BaseModel):
    n: int = 0

    @field_validator("n")
    @classmethod
    def even(cls, value):
        if value % 2:
            raise ValueError("must be even")
        return value


async def pause(suspends):
    """Suspend, where branches are to overlap."""
    if suspends:
        await anyio.sleep(0.001)


def one_step(state, body):
    """A flow with this state and one step, which calls ``body(flow)``."""

    class One(Flow[state]):
        @start()
        def step(self):
            return body(self)

    return One()


def fork(state, left_body, right_body, suspends=False, keywords=None):
    """A flow whose two starts run beside each other; left ends first."""
    left_ends = anyio.Event()

    class Fork(Flow[state], **(keywords or {})):
        @start()
        async def left(self):
            await pause(suspends)
            left_body(self)
            await pause(suspends)
            left_ends.set()

        @start()
        async def right(self):
            await pause(suspends)
            right_body(self)
            if suspends:
                await left_ends.wait()

    return Fork()


# -- kinds of state ------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, dict[str, Any], dict[str, str], Any])
def test_every_free_type_gives_a_real_dictionary_with_an_id(kind):
    """Flow[dict], a parametrised one and Flow[Any] are all free-form."""
    flow = one_step(kind, lambda flow: flow.state.update(a=1))
    assert isinstance(flow.state, dict)
    assert len(flow.state["id"]) == 36
    flow.kickoff()
    assert flow.state["a"] == 1


@pytest.mark.parametrize("given", [Plain, Plain(n=2), {"xs": [], "n": 0}])
def test_an_initial_state_is_not_shared_between_instances(given):
    """As a class, an instance or a dictionary: each flow has its own."""

    class Some(Flow):
        initial_state = given

    def xs(flow):
        return flow.state["xs"] if isinstance(given, dict) else flow.state.xs

    one, two = Some(), Some()
    xs(one).append(1)
    assert xs(two) == []
    assert xs(Some()) == []
    assert one.flow_id != two.flow_id


def test_an_empty_dictionary_is_an_initial_state():
    """It wins over the type parameter."""

    class Some(Flow[Plain]):
        initial_state = {}

    assert isinstance(Some().state, dict)


def test_an_instance_keeps_its_private_and_extra_values():
    """Also where an id has to be added to its class."""
    hidden = Hidden()
    hidden._cache["a"] = 1

    class Some(Flow):
        initial_state = hidden

    class Other(Flow):
        initial_state = Open(n=1, extra="x")

    assert Some().state._cache == {"a": 1}
    assert Other().state.extra == "x"


def test_a_model_without_an_id_gets_one_and_stays_an_instance():
    """It is one before, inside and after."""

    def body(flow):
        assert isinstance(flow.state, Plain)
        return flow.state.id

    flow = one_step(Plain, body)
    assert isinstance(flow.state, Plain)
    assert flow.kickoff() == flow.state.id == flow.flow_id
    assert isinstance(flow.state, Plain)


# -- self.state = X ------------------------------------------------------------


@pytest.mark.parametrize("value", [Plain(n=4), {"n": "4"}])
def test_state_may_be_assigned_in_init(value):
    """What __init__ leaves is the initial state."""

    class Some(Flow[Plain]):
        def __init__(self):
            super().__init__()
            self.state = value

        @start()
        def step(self):
            self.state.n += 1

    flow = Some()
    flow.kickoff()
    assert flow.state.n == 5
    assert isinstance(flow.state, Plain)
    assert len(flow.state.id) == 36


@pytest.mark.parametrize("make", [lambda: Plain(n=4), lambda: {"n": 4}])
def test_state_may_be_assigned_in_a_lone_step(make):
    """Later steps and the caller see the new one, with the old id."""

    class Some(Flow[Plain]):
        @start()
        def step(self):
            self.state.xs.append(1)
            self.state = make()
            self.state.n += 1

        @listen(step)
        def after(self):
            return self.state.n, self.state.xs

    flow = Some()
    before = flow.state.id
    assert flow.kickoff() == (5, [])
    assert flow.state.id == before
    assert type(flow.state).__mro__[1] is Plain or type(flow.state) is Plain


def test_an_assigned_state_keeps_the_very_objects_a_step_put_there():
    """The state in memory is not a copy."""
    xs = [1]
    flow = one_step(
        Plain, lambda flow: setattr(flow, "state", Plain.model_construct(xs=xs, n=1))
    )
    flow.kickoff()
    assert flow.state.xs is xs


@pytest.mark.parametrize("suspends", [False, True])
async def test_state_may_be_assigned_in_a_parallel_step(suspends):
    """Its fields are merged with what the other step changed."""

    def left(flow):
        flow.state = flow.state.model_copy(update={"n": 7})

    flow = fork(Plain, left, lambda flow: flow.state.xs.append(1), suspends)
    await flow.kickoff_async()
    assert (flow.state.n, flow.state.xs) == (7, [1])


def test_a_state_of_the_wrong_type_is_refused_in_full():
    """One sentence: what, where, how to mend."""
    flow = one_step(Plain, lambda flow: setattr(flow, "state", 3))
    with pytest.raises(StateError) as caught:
        flow.kickoff()
    assert str(caught.value) == (
        "One.state was assigned int: 3. Its type is Plain; assign one, or change "
        "single fields."
    )


def test_a_model_replaced_in_a_failed_step_comes_back():
    """And a failing step takes it back."""

    class Some(Flow):
        @start()
        def step(self):
            self.state = Plain(n=1)
            self.state.n += 1
            self.state.xs.append(1)

        @listen(step)
        def bad(self):
            self.state.n = 9
            self.state = {"x": 1}
            raise ValueError

        @listen("bad.failed")
        def after(self):
            return self.state.n, self.state.xs

    flow = Some()
    assert flow.kickoff() == (2, [1])
    assert isinstance(flow.state, Plain)


# -- inputs --------------------------------------------------------------------


def test_inputs_are_coerced_and_unknown_keys_are_dropped():
    """A model's validation applies; what it lacks is left out."""
    flow = one_step(Plain, lambda flow: flow.state.n)
    assert flow.kickoff({"n": "7", "nobody": 1}) == 7
    assert not hasattr(flow.state, "nobody")


def test_all_faulty_inputs_are_named():
    """Not only the first."""
    flow = one_step(Plain, lambda flow: None)
    with pytest.raises(InputError) as caught:
        flow.kickoff({"n": "many", "xs": 3, "inner": {"count": "x"}})
    text = str(caught.value)
    for place in ("n: ", "xs: ", "inner.count: "):
        assert place in text
    assert flow.state.n == 0


def test_required_fields_come_from_the_inputs():
    """What lacks is named, all of it."""
    flow = one_step(Needs, lambda flow: flow.state.size)
    with pytest.raises(InputError, match=r"name: Field required; size: Field"):
        flow.kickoff()
    assert flow.kickoff({"name": "a", "size": "3"}) == 3
    assert flow.kickoff({"note": "b"}) == 3


@pytest.mark.parametrize(
    "inputs",
    [
        {"orderId": "3", "town": "B"},
        {"order_id": 3, "place": "B"},
        {"order_id": 3, "city": "B"},
    ],
)
def test_inputs_may_use_aliases_or_names(inputs):
    """An alias, one of several, or the field's own name."""
    flow = one_step(Aliased, lambda flow: (flow.state.order_id, flow.state.city))
    assert flow.kickoff(inputs) == (3, "B")
    assert flow.kickoff({"order_id": 4}) == (4, "B")


@pytest.mark.parametrize("kind", [dict, Plain, FlowState])
def test_an_id_among_the_inputs_is_the_states_id(kind):
    """For models with and without an id of their own, and free-form state."""
    flow = one_step(kind, lambda flow: flow.flow_id)
    assert flow.kickoff({"id": "X"}) == "X"
    assert flow.flow_id == "X"


# -- between runs --------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, FlowState])
def test_state_between_runs_is_one_live_object(kind):
    """The same at each access and through runs."""
    flow = one_step(kind, lambda flow: None)
    state = flow.state
    flow.kickoff()
    assert flow.state is state
    flow.kickoff({"id": "b"})
    assert flow.state is state is flow.state


class Own(FlowState):
    n: int = 0
    xs: list[int] = []


async def test_after_success_failure_and_cancellation_the_class_is_the_users():
    """type(flow.state) is the model."""

    class Some(Flow[Own]):
        how = ""

        @start()
        async def step(self):
            self.state.xs.append(1)
            if self.how == "fails":
                raise ValueError("as told")
            if self.how == "hangs":
                hangs.set()
                await anyio.sleep_forever()

    flow = Some()
    await flow.kickoff_async()
    assert type(flow.state) is Own
    flow.how = "fails"
    with pytest.raises(ValueError, match="as told"):
        await flow.kickoff_async()
    assert type(flow.state) is Own
    flow.how, hangs = "hangs", anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await hangs.wait()
        group.cancel_scope.cancel()
    assert type(flow.state) is Own
    assert flow.state.xs == [1]
    flow.state.xs.append(2)
    assert pickle.loads(pickle.dumps(flow.state)) == flow.state


@pytest.mark.parametrize("parallel", [False, True])
async def test_after_an_interrupt_the_class_is_the_users(parallel):
    """KeyboardInterrupt in a step leaves no partial write either."""

    def interrupt(flow):
        flow.state.n = 5
        flow.state.xs.append(1)
        raise KeyboardInterrupt

    if parallel:
        flow = fork(Own, interrupt, lambda flow: None, suspends=True)
    else:
        flow = one_step(Own, interrupt)
    with pytest.raises(KeyboardInterrupt):
        await flow.kickoff_async()
    assert type(flow.state) is Own
    assert (flow.state.n, flow.state.xs) == (0, [])


# -- an ordinary object inside a step ------------------------------------------


def look_at_model(flow):
    """What may be done with any model."""
    state = flow.state
    state.xs.append(2)
    plain = Own(id=state.id, xs=[2])
    assert isinstance(state, Own)
    assert pickle.loads(pickle.dumps(state)) == plain
    assert type(pickle.loads(pickle.dumps(state))) is Own
    for other in (copy.copy(state), copy.deepcopy(state), state.model_copy()):
        assert type(other) is Own
        assert other == state
        assert state == other
        assert other == plain
    assert plain == state
    assert state == plain
    assert state != Own(id="x")
    assert state.model_dump() == plain.model_dump()
    assert state.model_dump_json() == plain.model_dump_json()
    assert state.model_copy(update={"n": 3}).n == 3
    assert Own.model_validate(state).xs == [2]
    assert repr(state) == repr(plain)
    match state:
        case Own(xs=[2], n=0):
            pass
        case _:
            pytest.fail("no match")
    deep = state.model_copy(deep=True)
    deep.xs.append(9)
    assert state.xs == [2]


def look_at_dict(flow):
    """What may be done with any dictionary."""
    state = flow.state
    assert isinstance(state, dict)
    state["xs"] = [2]
    state["n"] = 0
    plain = {"id": state["id"], "xs": [2], "n": 0}
    assert json.loads(json.dumps(state)) == plain
    assert pickle.loads(pickle.dumps(state)) == plain
    assert copy.copy(state) == plain == copy.deepcopy(state)
    assert state == plain
    assert plain == state
    assert {**state} == dict(state) == state | {} == plain
    match state:
        case {"xs": [2], "n": 0}:
            pass
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("suspends", [None, False, True])
async def test_inside_a_step_the_state_is_an_ordinary_object(suspends):
    """On the live object and on a view."""
    for kind, body in ((Own, look_at_model), (dict, look_at_dict)):
        if suspends is None:
            await one_step(kind, body).kickoff_async()
        else:
            await fork(kind, body, lambda flow: None, suspends).kickoff_async()


@pytest.mark.parametrize("parallel", [False, True])
async def test_every_way_to_write_a_dictionary_counts(parallel):
    """Pop, popitem, update, |=, clear, setdefault and copy."""

    def body(flow):
        state = flow.state
        kept = state["id"]
        assert state.pop("absent", 1) == 1
        with pytest.raises(KeyError):
            state.pop("absent")
        state.update({"a": 1}, b=2)
        state |= {"c": [3]}
        assert state.setdefault("c", []) == [3]
        state.setdefault("d", []).append(4)
        assert state.pop("a") == 1
        assert state.popitem() == ("d", [4])
        twin = state.copy()
        assert twin == {"id": kept, "b": 2, "c": [3]}
        state.clear()
        assert len(state) == 0
        state.update(twin)
        state["c"].append(5)

    if parallel:
        flow = fork(dict, body, lambda flow: flow.state.update(z=1), suspends=True)
    else:
        flow = one_step(dict, body)
    state_id = flow.state["id"]
    await flow.kickoff_async()
    state = dict(flow.state)
    assert state.pop("z", 1) == 1
    assert state == {"id": state_id, "b": 2, "c": [3, 5]}


def _match(state):
    match state:
        case {"xs": xs}:
            xs.append(1)


WAYS = {
    "item": lambda state: state["xs"].append(1),
    "get": lambda state: state.get("xs").append(1),
    "pop": lambda state: state.pop("xs").append(1),
    "popitem": lambda state: state.popitem()[1].append(1),
    "values": lambda state: next(v for v in state.values() if v == []).append(1),
    "items": lambda state: dict(state.items())["xs"].append(1),
    "copy": lambda state: state.copy()["xs"].append(1),
    "dict": lambda state: dict(state)["xs"].append(1),
    "stars": lambda state: {**state}["xs"].append(1),
    "or": lambda state: (state | {})["xs"].append(1),
    "ror": lambda state: ({} | state)["xs"].append(1),
    "setdefault": lambda state: state.setdefault("xs", []).append(1),
    "clear": lambda state: (state["xs"].append(1), state.clear()),
    "nested": lambda state: state["deep"]["list"].append(1),
    "match": _match,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parallel", [False, True])
async def test_a_failed_step_leaves_no_change_however_it_got_at_a_dictionary(
    way, parallel
):
    """Each way to reach a mutable value is noted."""

    class Some(Flow):
        @start()
        async def step(self):
            await checkpoint()
            WAYS[way](self.state)
            raise ValueError

        @listen("step.failed")
        def after(self):
            return json.loads(json.dumps(self.state))

    class Two(Some):
        @start()
        async def other(self):
            await anyio.sleep(0.001)

    flow = (Two if parallel else Some)()
    await flow.kickoff_async({"id": "a", "deep": {"list": []}, "xs": []})
    assert flow.state == {"id": "a", "deep": {"list": []}, "xs": []}


def test_field_names_of_a_dictionarys_methods_are_ordinary_fields():
    """For models and as keys."""

    def body(flow):
        flow.state.items.append(1)
        flow.state.keys += [2]
        flow.state.data["a"] = 3

    flow = one_step(Odd, body)
    flow.kickoff({"copied": 4})
    assert flow.state.model_dump(exclude={"id"}) == {
        "items": [1],
        "keys": [2],
        "copied": 4,
        "data": {"a": 3},
    }

    def keys(flow):
        for name in ("items", "keys", "copy", "data"):
            flow.state[name] = name

    free = one_step(dict, keys)
    free.kickoff()
    assert free.state["items"] == "items"
    assert list(free.state.keys()) == ["id", "items", "keys", "copy", "data"]


# -- kinds of members ----------------------------------------------------------


@pytest.mark.parametrize("parallel", [None, False, True])
async def test_extra_fields_are_kept(parallel):
    """extra="allow": written alone or beside another step."""

    def body(flow):
        flow.state.new = [1]
        flow.state.n = 1

    if parallel is None:
        flow = one_step(Open, body)
    else:
        flow = fork(Open, body, lambda flow: None, parallel)
    await flow.kickoff_async({"given": 2})
    assert flow.state.model_extra == {"given": 2, "new": [1]}


@pytest.mark.parametrize("parallel", [None, False, True])
async def test_private_attributes_are_kept(parallel):
    """Written alone or beside another step."""

    def body(flow):
        flow.state._cache["a"] = 1

    if parallel is None:
        flow = one_step(Hidden, body)
    else:
        flow = fork(Hidden, body, lambda flow: None, parallel)
    await flow.kickoff_async()
    assert flow.state._cache == {"a": 1}


def test_a_frozen_field_stays_frozen_in_a_step():
    """With pydantic's own error."""

    def body(flow):
        flow.state.n = 1
        with pytest.raises(ValueError, match="frozen"):
            flow.state.key = "x"

    flow = one_step(Frozen, body)
    flow.kickoff()
    assert (flow.state.key, flow.state.n) == ("k", 1)


def test_validate_assignment_is_kept_in_a_step():
    """The assignment itself fails and coerces."""

    def body(flow):
        flow.state.n = "7"
        assert flow.state.n == 7
        with pytest.raises(ValueError, match="greater than or equal"):
            flow.state.n = -1

    flow = one_step(Checked, body)
    flow.kickoff()
    assert flow.state.n == 7


@pytest.mark.parametrize("parallel", [None, False, True])
async def test_a_lock_may_be_a_member(parallel):
    """Kept by reference, never copied, in a model and in a dictionary."""
    lock = threading.Lock()

    def model(flow):
        flow.state.lock = lock
        flow.state.typed.set()
        flow.state.n = 1

    def free(flow):
        flow.state["lock"] = lock
        with flow.state["lock"]:
            flow.state["n"] = 1

    for kind, body in ((Locked, model), (dict, free)):
        if parallel is None:
            flow = one_step(kind, body)
        else:
            flow = fork(kind, body, lambda flow: None, parallel)
        await flow.kickoff_async()
        await flow.kickoff_async({"n": 2})
        held = flow.state["lock"] if kind is dict else flow.state.lock
        assert held is lock


# -- parallel steps ------------------------------------------------------------

SUSPENDS = pytest.mark.parametrize("suspends", [False, True])


@SUSPENDS
async def test_parallel_additions_are_joined(suspends):
    """To lists, sets, distinct keys and distinct fields, in commit order."""

    def left(flow):
        flow.state.xs.append(1)
        flow.state.seen.add("l")
        flow.state.by_key["l"] = 1
        flow.state.n = 3

    def right(flow):
        flow.state.xs += [1, 2]
        flow.state.seen |= {"r"}
        flow.state.by_key.update(r=2)
        flow.state.inner.tags.append("r")

    flow = fork(Plain, left, right, suspends)
    await flow.kickoff_async({"xs": [0]})
    state = flow.state
    assert state.xs == [0, 1, 1, 2]
    assert state.seen == {"l", "r"}
    assert state.by_key == {"l": 1, "r": 2}
    assert (state.n, state.inner.tags) == (3, ["r"])


@SUSPENDS
async def test_reducers_join_what_several_steps_wrote(suspends):
    """Addition counts what each added, above the base."""

    def left(flow):
        flow.state.total += 1
        flow.state.top = 8
        flow.state.text = "abc"

    def right(flow):
        flow.state.total += 5
        flow.state.top = 5
        flow.state.text = "ab"

    flow = fork(Joined, left, right, suspends)
    await flow.kickoff_async()
    assert (flow.state.total, flow.state.top, flow.state.text) == (16, 8, "abc")


@SUSPENDS
async def test_equal_values_never_conflict(suspends):
    """Two steps that write the same agree."""

    def body(flow):
        flow.state.n = 4
        flow.state.inner = Inner(count=2)

    flow = fork(Plain, body, body, suspends)
    await flow.kickoff_async()
    assert (flow.state.n, flow.state.inner.count) == (4, 2)


@SUSPENDS
async def test_a_conflict_names_field_steps_and_cure(suspends):
    """The whole sentence."""
    flow = fork(
        Plain,
        lambda flow: setattr(flow.state, "n", 1),
        lambda flow: setattr(flow.state, "n", 2),
        suspends,
    )
    with pytest.raises(StateConflictError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == (
        "Fork: the parallel steps left and right both wrote state.n: 1 and 2. Let one "
        "of them write it, declare how to join it (Annotated[.., reducer] on the "
        "field), run the steps one after the other, or set on_conflict='last' on the "
        "class."
    )
    assert caught.value.field == "n"
    assert caught.value.steps == ("left", "right")


@SUSPENDS
async def test_the_last_write_wins_where_the_class_says_so(suspends):
    """on_conflict="last"."""
    flow = fork(
        Plain,
        lambda flow: setattr(flow.state, "n", 1),
        lambda flow: setattr(flow.state, "n", 2),
        suspends,
        {"on_conflict": "last"},
    )
    await flow.kickoff_async()
    assert flow.state.n == 2


@SUSPENDS
async def test_parallel_steps_do_not_see_each_others_writes(suspends):
    """Each has its own view of what was committed when it became ready."""
    seen = []

    def left(flow):
        flow.state.xs.append(1)
        flow.state.n = 1

    flow = fork(
        Plain,
        left,
        lambda flow: seen.append((flow.state.n, list(flow.state.xs))),
        suspends,
    )
    await flow.kickoff_async()
    assert seen == [(0, [])]
    assert (flow.state.n, flow.state.xs) == (1, [1])


# -- failure -------------------------------------------------------------------

WRITES = {
    "assigned": lambda state: setattr(state, "n", 9),
    "list": lambda state: state.xs.append(9),
    "dict": lambda state: state.by_key.update(z=9),
    "set": lambda state: state.seen.add("z"),
    "nested": lambda state: setattr(state.inner, "count", 9),
    "nested list": lambda state: state.inner.tags.append("z"),
    "deleted": lambda state: delattr(state, "n"),
    "copy": lambda state: copy.copy(state).xs.append(9),
    "model_copy": lambda state: state.model_copy().xs.append(9),
    "iteration": lambda state: dict(state)["xs"].append(9),
    "both": lambda state: (state.xs.append(9), setattr(state, "xs", [5])),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("parallel", [False, True])
async def test_a_failed_step_leaves_no_partial_write(write, parallel):
    """The last commit stands, for the listener that goes on and afterwards."""

    class Some(Flow[Plain]):
        @start()
        async def step(self):
            await checkpoint()
            WRITES[write](self.state)
            raise ValueError

        @listen("step.failed")
        def after(self):
            assert self.state.model_dump(exclude={"id"}) == before
            self.state.n += 1

    class Two(Some):
        @start()
        async def other(self):
            await anyio.sleep(0.001)

    flow = (Two if parallel else Some)()
    flow.state.xs.append(1)
    flow.state.by_key["a"] = 1
    before = flow.state.model_dump(exclude={"id"})
    xs = flow.state.xs
    await flow.kickoff_async()
    assert flow.state.model_dump(exclude={"id"}) == {**before, "n": 1}
    assert flow.state.xs is xs


def test_a_failed_step_does_not_change_what_it_assigned():
    """A list of the user's own is not overwritten when a field is put back."""
    mine, table = [1, 2], {"k": 1}

    class Some(Flow[Plain]):
        @start()
        def step(self):
            self.state.xs = mine
            self.state.by_key = table
            raise ValueError

        @listen("step.failed")
        def after(self):
            return list(self.state.xs)

    flow = Some()
    assert flow.kickoff() == []
    assert (mine, table) == ([1, 2], {"k": 1})
    assert flow.state.by_key == {}


def test_a_failed_step_takes_back_an_assigned_state():
    """The very object from before is the state again."""

    class Some(Flow[Own]):
        @start()
        def step(self):
            self.state.n = 1
            self.state = Own(n=5)
            self.state = Own(n=6)
            raise ValueError

        @listen("step.failed")
        def after(self):
            return self.state.n

    flow = Some()
    state = flow.state
    assert flow.kickoff() == 0
    assert flow.state is state


@SUSPENDS
async def test_a_value_is_checked_at_the_steps_end(suspends):
    """In full: flow, step, field, value, fault, cure."""

    class Some(Flow[Plain]):
        @start()
        async def step(self):
            await pause(suspends)
            self.state.n = "many"

    flow = Some()
    with pytest.raises(StateError) as caught:
        await flow.kickoff_async()
    assert str(caught.value) == (
        "Some.step left state.n as 'many': n: Input should be a valid integer, unable "
        "to parse string as an integer, got 'many'. Assign what the field's type takes."
    )
    assert flow.state.n == 0


@SUSPENDS
async def test_a_coerced_value_is_what_is_stored(suspends):
    """Alone and beside another step."""
    body = lambda flow: setattr(flow.state, "n", "7")  # noqa: E731
    flow = one_step(Plain, body)
    await flow.kickoff_async()
    assert flow.state.n == 7
    flow = fork(Plain, body, lambda flow: None, suspends)
    await flow.kickoff_async()
    assert flow.state.n == 7


def test_a_field_validator_runs_at_the_steps_end():
    """Its own message is the fault."""
    flow = one_step(Half, lambda flow: setattr(flow.state, "n", 3))
    with pytest.raises(StateError, match=re.escape("must be even")):
        flow.kickoff()
    assert flow.state.n == 0


def test_a_deleted_field_is_a_fault_and_comes_back():
    """A model's state keeps its fields."""
    flow = one_step(Plain, lambda flow: delattr(flow.state, "n"))
    with pytest.raises(StateError, match="the field was deleted"):
        flow.kickoff()
    assert flow.state.n == 0


# -- a lone step and an event --------------------------------------------------


@pytest.mark.parametrize("kind", ["model", "dict"])
async def test_a_lone_step_and_an_event_triggered_step_merge(kind):
    """Neither sees what the other has not finished."""
    state = Plain if kind == "model" else dict
    if kind == "dict":
        get, put = (lambda s, k: s[k]), (lambda s, k, v: s.__setitem__(k, v))
    else:
        get, put = getattr, setattr
    log = []

    class Some(Flow[state]):
        @start()
        async def lone(self):
            get(self.state, "xs").append(1)
            put(self.state, "n", 1)
            begun.set()
            await arrived.wait()
            log.append(("lone", list(get(self.state, "xs"))))
            get(self.state, "by_key")["lone"] = 1

        @listen(event("ping"))
        async def woken(self):
            log.append(("woken", get(self.state, "n"), list(get(self.state, "xs"))))
            get(self.state, "xs").append(2)
            get(self.state, "by_key")["woken"] = 2
            await checkpoint()
            arrived.set()

        @listen(and_(lone, woken))
        def both(self):
            return True

    begun, arrived = anyio.Event(), anyio.Event()
    flow = Some()
    inputs = {"n": 0, "xs": [0], "by_key": {}}
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async, inputs)
        await begun.wait()
        flow.send("ping")
    assert log == [("woken", 0, [0]), ("lone", [0, 1])]
    assert sorted(get(flow.state, "xs")) == [0, 1, 2]
    assert get(flow.state, "by_key") == {"lone": 1, "woken": 2}
    assert get(flow.state, "n") == 1


async def test_a_lone_step_and_an_event_from_a_bus_merge():
    """The same for a run that the bus began."""
    log = []

    class Some(Flow[Plain]):
        @start(on=event("go"))
        async def lone(self):
            self.state.xs.append(1)
            self.state.n = 1
            begun.set()
            await arrived.wait()
            log.append(("lone", list(self.state.xs)))

        @listen(event("ping"))
        async def woken(self):
            log.append(("woken", self.state.n, list(self.state.xs)))
            self.state.xs.append(2)
            await checkpoint()
            arrived.set()

        @listen(and_(lone, woken))
        async def both(self):
            log.append((self.state.n, sorted(self.state.xs)))
            ended.set()

    begun, arrived, ended = anyio.Event(), anyio.Event(), anyio.Event()
    async with EventBus() as bus:
        bus.register(Some)
        bus.send("go")
        with anyio.fail_after(50):
            await begun.wait()
            bus.send("ping")
            await ended.wait()
    assert log == [("woken", 0, []), ("lone", [1]), (1, [1, 2])]


@pytest.mark.parametrize("field", ["n", "xs"])
async def test_a_lone_step_conflicts_with_an_event_triggered_one(field):
    """Both replaced the field: an error that names both, nothing half done."""
    one, two = (1, 2) if field == "n" else ([1], [2])

    class Some(Flow[Plain]):
        @start()
        async def lone(self):
            setattr(self.state, field, one)
            begun.set()
            await arrived.wait()

        @listen(event("ping"))
        async def woken(self):
            setattr(self.state, field, two)
            await checkpoint()
            arrived.set()

        @listen(and_(lone, woken))
        def both(self):
            return True

    begun, arrived = anyio.Event(), anyio.Event()
    flow = Some()
    caught = []

    async def run():
        try:
            await flow.kickoff_async({"xs": [0]})
        except StateConflictError as error:
            caught.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await begun.wait()
        flow.send("ping")
    assert [error.steps for error in caught] == [("woken", "lone")]
    assert getattr(flow.state, field) == two


async def test_a_lone_step_that_fails_keeps_what_an_event_committed():
    """Its own writes go, the other step's stay."""

    class Some(Flow[Plain]):
        @start()
        async def lone(self):
            self.state.xs.append(1)
            self.state.n = 1
            begun.set()
            await arrived.wait()
            raise ValueError

        @listen("lone.failed")
        async def after(self):
            return self.state.n, list(self.state.xs), self.state.by_key

        @listen(event("ping"))
        async def woken(self):
            self.state.xs.append(2)
            self.state.by_key["w"] = 1
            await checkpoint()
            arrived.set()

    begun, arrived = anyio.Event(), anyio.Event()
    flow = Some()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await begun.wait()
        flow.send("ping")
    assert (flow.state.n, flow.state.xs, flow.state.by_key) == (0, [2], {"w": 1})


def test_a_model_may_replace_free_form_state():
    """It is tracked, checked and kept from then on."""

    class Some(Flow):
        @start()
        def step(self):
            self.state = Plain(n=1)
            self.state.n += 1
            self.state.xs.append(1)

        @listen(step)
        def after(self):
            self.state.n = "7"

    flow = Some()
    flow.kickoff()
    assert (flow.state.n, flow.state.xs) == (7, [1])
    assert isinstance(flow.state, Plain)


CLASHES = [
    lambda value, flow: flow.state.update(k=value),
    lambda value, flow: flow.state["deep"].update(k=value),
    lambda value, flow: flow.state["xs"].insert(0, value),
]


@SUSPENDS
async def test_a_conflict_in_a_dictionary_is_found(suspends):
    """At the same key of free-form state, and of a nested one."""
    for write in CLASHES:
        flow = fork(dict, partial(write, 1), partial(write, 2), suspends)
        with pytest.raises(StateConflictError):
            await flow.kickoff_async({"k": 0, "deep": {"k": 0}, "xs": [0]})


@SUSPENDS
async def test_a_deletion_beside_another_step_is_merged(suspends):
    """A key one step removed is gone, a key the other changed stays."""
    flow = fork(
        dict,
        lambda flow: flow.state.pop("a"),
        lambda flow: flow.state.update(b=2),
        suspends,
    )
    await flow.kickoff_async({"id": "x", "a": 1, "b": 1})
    assert flow.state == {"id": "x", "b": 2}


@SUSPENDS
async def test_a_dictionary_may_replace_a_parallel_steps_state(suspends):
    """Keys it lacks are gone, the others' changes stay."""

    def left(flow):
        flow.state = {"n": 1}

    flow = fork(dict, left, lambda flow: flow.state.update(z=1), suspends)
    await flow.kickoff_async({"id": "x", "a": 1})
    assert flow.state == {"id": "x", "n": 1, "z": 1}


@pytest.mark.parametrize("suspends", [None, False, True])
async def test_a_private_attribute_may_be_assigned(suspends):
    """In a step that is alone and in one that is not."""

    def body(flow):
        flow.state._cache = {"b": 2}

    if suspends is None:
        flow = one_step(Hidden, body)
    else:
        flow = fork(Hidden, body, lambda flow: None, suspends)
    await flow.kickoff_async()
    assert flow.state._cache == {"b": 2}


def test_state_assigned_to_itself_changes_nothing():
    """In __init__, and in a step after a change."""

    def body(flow):
        flow.state.n = 3
        flow.state = flow.state
        flow.state.xs.append(1)

    flow = one_step(Own, body)
    state = flow.state
    flow.state = state
    flow.kickoff()
    assert flow.state is state
    assert (state.n, state.xs, type(state)) == (3, [1], Own)


@pytest.mark.parametrize("parallel", [False, True])
async def test_a_failed_step_leaves_no_extra_field(parallel):
    """New, changed or changed in place."""

    class Some(Flow[Open]):
        @start()
        async def step(self):
            await checkpoint()
            self.state.new = 1
            self.state.given.append(2)
            self.state.other = 3
            raise ValueError

        @listen("step.failed")
        def after(self):
            assert self.state.model_extra == {"given": [1], "other": 0}

    class Two(Some):
        @start()
        async def beside(self):
            await anyio.sleep(0.001)

    flow = (Two if parallel else Some)()
    await flow.kickoff_async({"given": [1], "other": 0})
    assert flow.state.model_extra == {"given": [1], "other": 0}
