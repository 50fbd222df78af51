"""What is written comes back equal and of the same types, or is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from functools import cached_property
from ipaddress import ip_address, ip_network
from math import isnan
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, HttpUrl, PrivateAttr, RootModel, SecretStr

from flowkit.errors import DefinitionError, StateConflictError
from flowkit.journal.codec import (
    RestoredError,
    UnreadableError,
    UnstorableError,
    alias,
    decode,
    encode,
    from_plain,
    keyed,
    names,
    roundtrip,
    to_plain,
    values,
    write,
)
from flowkit.runtime.changes import StateDict
from flowkit.runtime.models import link, with_id
from flowkit.runtime.state import StateBox


@pytest.fixture(autouse=True)
def _not_widened():
    """A store that an earlier test opened has told the codec of ids; put it aside."""
    kept = names._widen[:]
    names._widen.clear()
    yield
    names._widen[:] = kept


T = TypeVar("T")


class Color(Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Bits(IntFlag):
    A = 1
    B = 2


Point = namedtuple("Point", "x y")


class Place(NamedTuple):
    name: str
    at: Point
    zoom: int = 3


@dataclass
class Item:
    name: str
    tags: list[str] = field(default_factory=list)
    inner: Any = None
    scale: InitVar[int] = 1

    def __post_init__(self, scale):
        self.total = scale * 2

    @cached_property
    def slow(self):
        return threading.Lock()


@dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: tuple[int, ...] = ()
    c: int = field(init=False, default=5)


class Inner(BaseModel):
    n: int = 0


class Order(BaseModel):
    id: str
    lines: list[Inner] = []
    when: datetime | None = None
    any: Any = None
    _cache: dict = PrivateAttr(default_factory=dict)
    _bare: int = PrivateAttr()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int = 1


class Box(BaseModel, Generic[T]):
    value: T


class IntBox(Box[int]):
    pass


class Numbers(RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    a: int
    b: list[Inner] = pydantic.Field(default_factory=list)


class UserId(str):  # noqa: SLOT000 - as users write it
    pass


class Stack(list):
    pass


class Labelled(dict):
    pass


class Marked(str):  # noqa: SLOT000 - as users write it
    def __new__(cls, text, mark=0):
        new = super().__new__(cls, text)
        new.mark = mark
        return new


class PlainError(Exception):
    pass


class PickyError(Exception):
    def __init__(self, code, *, why):
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.lock = threading.Lock()


class Plain:
    def __init__(self):
        self.a = 1


class Outer:
    @dataclass
    class Nested:  # noqa: D106
        a: int


def back(value):
    """Through text and back."""
    text = encode(value, "value")
    assert text.isascii()
    json.loads(text, parse_constant=pytest.fail)
    tree = json.loads(write(to_plain(value, "value")))
    assert encode(from_plain(tree), "value") == text
    return decode(text)


def exact(first, second):
    """Equal with equal types all the way down; nan is itself."""
    if type(first) is not type(second):
        return False
    if isinstance(first, float):
        return repr(first) == repr(second)
    if isinstance(first, dict):
        return len(first) == len(second) and all(
            exact(a, b) and exact(first[a], second[b])
            for a, b in zip(first, second, strict=True)
        )
    if isinstance(first, list | tuple | deque):
        return len(first) == len(second) and all(map(exact, first, second))
    if isinstance(first, set | frozenset):
        return first == second and Counter(map(type, first)) == Counter(
            map(type, second)
        )
    return first == second


HALVES = "\ud83d" + "\ude00"

VALUES = [
    None,
    True,
    0,
    -5,
    10**700,
    -(10**5000),
    1.5,
    -0.0,
    float("inf"),
    float("-inf"),
    1e308,
    "",
    'é\0\n"\\',
    "\U0001f600",
    HALVES,
    "\ud800",
    "\\ud83d",
    [HALVES, "\U0001f600"],
    {HALVES: 1, "\U0001f600": 2},
    b"\0\xff",
    bytearray(b"ab"),
    [],
    [1, [2, [None]]],
    list(range(50)),
    ["a", 1, 2.5, None, True] * 10,
    [1.5, float("inf")] * 20,
    [10**700, *range(40)],
    (),
    (1, (2,), [3]),
    Point(1, Point(2, 3)),
    Place("x", Point(1, 2)),
    set(),
    {1, 2, "a"},
    {(1, 2), frozenset({3})},
    frozenset({"b", "a"}),
    {},
    {"a": {"b": [1, (2,)]}},
    {"!tuple": [1]},
    {"!": 1, "a": 2},
    {" ": 1, "!x": (1,)},
    {" ": 1, "": 2},
    {1: "a", "1": "b", None: 3, (1, 2): 4, 1.5: 5, Color.RED: 6, Slotted(1): 7},
    {True: 1},
    {Word.YES: 1},
    OrderedDict(b=1, a=(2,)),
    Counter("abca"),
    defaultdict(list, {"a": [1]}),
    defaultdict(None, {1: 2}),
    deque([1, (2,)], maxlen=3),
    deque(),
    range(1, 10, 2),
    date(2026, 1, 2),
    datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - naive times, too
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, seconds=7))),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1), "MEZ")),
    datetime(2026, 1, 2, fold=1),  # noqa: DTZ001
    time(1, 2, 3, tzinfo=UTC),
    time(1, 2, fold=1),
    timedelta(days=-1, microseconds=5),
    timezone(timedelta(hours=1)),
    timezone(timedelta(hours=1), "MEZ"),
    ZoneInfo("Asia/Tokyo"),
    Decimal("1.00"),
    Decimal("-Infinity"),
    Fraction(1, 3),
    complex(1, -0.0),
    UUID(int=5),
    Path("/a/b"),
    PurePosixPath("a"),
    PureWindowsPath("c:\\x"),
    re.compile("a+", re.IGNORECASE),
    re.compile(b"a"),
    ip_address("::1"),
    ip_network("10.0.0.0/8"),
    Color.RED,
    Color.PAIR,
    Level.LOW,
    Word.YES,
    Rights.READ | Rights.WRITE,
    Rights(0),
    Bits.A | Bits.B,
    [Color.RED, {Level.LOW}],
    Item("a", ["b"], Slotted(1, (2, 3))),
    Slotted(1),
    Outer.Nested(1),
    Checked(1, [Inner(n=2)]),
    Inner(),
    Inner(n=3),
    Order(
        id="a", lines=[Inner(n=1)], when=datetime(2026, 1, 1, tzinfo=UTC), any=(1, {2})
    ),
    Order.model_construct(id=5),
    Order.model_validate({"id": "a", "when": "2026-01-01T00:00:00Z"}),
    Open(a=2, **{"b": (1,), "!c": 2}),
    Frozen(a=2),
    Box[int](value=1),
    Box[list[Inner]](value=[Inner()]),
    Box[Box[str | None]](value=Box[str | None](value=None)),
    Box(value=3),
    IntBox(value=3),
    Numbers([1, 2]),
    HttpUrl("https://example.com/a?b=c"),
    UserId("u"),
    Stack([1, (2,)]),
    Labelled(a=(1,)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_its_type(value):
    """Alone, in a list, as a value of a dictionary, and by the short way."""
    assert exact(back(value), value)
    assert exact(back([value, 1]), [value, 1])
    assert exact(back({"a": value}), {"a": value})
    assert exact(roundtrip(value, "value"), value)


def test_nan_comes_back():
    """Also within flat containers of any size."""
    for value in (float("nan"), [float("nan")], {"a": float("nan")}):
        assert repr(back(value)) == repr(value)
    assert repr(back([float("nan")] * 40)) == repr([float("nan")] * 40)


def test_details_that_equality_does_not_see_come_back():
    """The fold and zone of a time, a length limit, a pydantic zone, set fields."""
    when = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert back(when).tzinfo is when.tzinfo
    assert back(when).fold == 1
    assert back(deque([1], maxlen=3)).maxlen == 3
    zoned = Order.model_validate({"id": "a", "when": "2026-01-01T00:00:00+02:00"})
    assert type(back(zoned).when.tzinfo) is type(zoned.when.tzinfo)
    assert back(Inner()).model_fields_set == set()
    assert back(Inner(n=0)).model_fields_set == {"n"}
    assert back(Open(a=1, b=2)).b == 2
    assert back(defaultdict(list))["new"] == []
    assert type(back(Path("a"))) is type(Path("a"))


def test_a_zone_without_a_name_comes_back_as_its_offset():
    """The instant is kept, the rules of the zone are not."""

    class Odd(type(UTC).__base__):
        def utcoffset(self, when):
            return timedelta(hours=2)

        def tzname(self, when):
            return "odd"

        def dst(self, when):
            return None

    when = datetime(2026, 1, 1, tzinfo=Odd())
    assert back(when) == when
    assert back(when).tzinfo == timezone(timedelta(hours=2))


def test_reading_calls_no_code_of_the_class():
    """A dataclass without ``__init__``, a model without validators, by default."""
    item = Item("a", scale=4)
    item.slow  # noqa: B018 - fills a cache that cannot be stored
    found = back(item)
    assert found == item
    assert found.total == 8
    assert "slow" not in found.__dict__
    order = Order(id="a")
    order._cache["x"] = 1
    order._bare = 5
    assert back(order)._cache == {}
    with pytest.raises(AttributeError):
        back(order)._bare  # noqa: B018


def test_equal_sets_give_equal_text():
    """Whatever the order they were built in."""
    many = [f"k{n}" for n in range(100)]
    assert encode(set(many), "v") == encode({*sorted(many)}, "v")
    mixed = [1, "a", (1, 2), None, Color.RED, 2.5, frozenset({1})]
    assert encode(set(mixed), "v") == encode({*mixed[3:], *mixed[:3]}, "v")


def test_state_is_written_as_users_know_it():
    """Free-form state as a dictionary, a tracked model under its own class."""
    assert exact(back(StateDict(a=1)), {"a": 1})
    state = Inner(n=4)
    box = StateBox(state, Inner, "F")
    link(state, box.alone())
    assert type(state) is not Inner
    assert exact(back(state), Inner(n=4))


def test_a_model_that_was_given_an_id_comes_back_as_that_class():
    """Its class is found by way of the runtime, not by its name."""
    kind = with_id(Inner)
    with pytest.raises(UnstorableError, match=r"is not what .*:Inner names"):
        encode(kind(n=1), "value")
    names.widen_by(with_id)
    try:
        value = kind(n=1)
        assert exact(back(value), value)
    finally:
        names._widen.clear()


def test_frozen_time_is_written_as_time():
    """Tests that stop the clock see what the program would write."""
    code = (
        "import freezegun, datetime\n"
        "from flowkit.journal.codec import encode\n"
        "with freezegun.freeze_time('2026-01-02'):\n"
        "    print(encode([datetime.datetime.now(), datetime.date.today()], 'v'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == (
        '[{"!datetime":"2026-01-02T00:00:00"},{"!date":"2026-01-02"}]'
    )


def test_parts_make_one_document():
    """Trees of values under any keys are read back by one call."""
    plains = {"a": to_plain((1,), "a"), "!b": to_plain({2}, "b")}
    assert decode(write({"set": keyed(plains)})) == {"set": {"a": (1,), "!b": {2}}}
    assert decode(write(keyed({"a": 1}))) == {"a": 1}


def refused(value, where="state.v", step=""):
    """The text of the refusal."""
    with pytest.raises(UnstorableError) as caught:
        encode(value, where)
    assert isinstance(caught.value, TypeError)
    with pytest.raises(UnstorableError, match=re.escape(str(caught.value))):
        to_plain(value, where)
    return str(caught.value.at(step) if step else caught.value)


def test_what_cannot_be_stored_is_named_with_its_place():
    """Step, place, type and cure in one text."""
    value = {"a": [1, {"b": Item("x", inner=threading.Lock())}]}
    assert refused(value, "state.client", "Orders.charge") == (
        "Orders.charge left state.client['a'][1]['b'].inner as a _thread.lock, which "
        "cannot be stored. Keep what cannot be stored on the flow object "
        "(self.client), not in its state, or store what it can be made from again: "
        "text, numbers, a dataclass, a model."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Order(id="a", any=Plain()), "state.v.any is a {here}.Plain, which"),
        ((1, object()), "state.v[1] is an object, which cannot be stored."),
        (Point(1, object()), "state.v.y is an object, which cannot be stored."),
        ({1: object()}, "state.v[1] is an object, which"),
        (
            {object},
            "state.v{{..}} is a type, which cannot be stored. Store the class's",
        ),
        (deque([object()]), "state.v[0] is an object"),
        (len, "Store a name and look the function up in a table."),
        ((n for n in ()), "Store what it yields: list(..), or the awaited result."),
        (
            SecretStr("x"),
            (
                "state.v is a pydantic.types.SecretStr, which is not written in clear "
                "text unasked. Keep it on the flow object (self.token), read it where "
                "it is used, or store .get_secret_value() to have it in the store as "
                "it is."
            ),
        ),
        (
            defaultdict(threading.Lock),
            f"a defaultdict of {threading.Lock.__name__}, which cannot be made again. Use one of",
        ),
        (Marked("a"), "which has attributes beside its str. Make it a dataclass"),
        (Open(x=object()), "state.v['x'] is an object"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_refusal_says_what_to_do(value, text):
    """Each sort of value has its own cure."""
    assert text.format(here=__name__) in refused(value)


def test_a_class_inside_a_function_is_refused():
    """No other process could find it."""

    @dataclass
    class Local:
        a: int = 1

    class Hue(Enum):
        A = 1

    for value in (Local(), Hue.A, Box[Local](value=Local())):
        text = refused([value])
        assert "a class defined inside a function, which cannot be found again" in text
        assert "Move the class to module level." in text


def test_a_class_that_is_hidden_by_another_is_refused():
    """What the name leads to must be the class itself."""
    other = type("Slotted", (Slotted,), {"__module__": __name__})
    assert f"is not what {__name__}:Slotted names" in refused(other(1))


def test_a_circle_is_refused():
    """With the place where it closes, and no RecursionError."""
    rows: list = [1, {"up": None}]
    rows[1]["up"] = rows
    assert refused(rows) == (
        "state.v[1]['up'] is state.v again, which makes a circle that has no end. "
        "Store what leads back as an id or a name, and look it up."
    )
    item = Item("a")
    item.inner = item
    assert "state.v.inner is state.v again" in refused(item)
    both: list = []
    both.extend([both, both])
    assert "state.v[0] is state.v again" in refused(both)


def test_too_deep_a_nesting_is_refused_and_the_deepest_allowed_is_read():
    """Also from deep within a program's own calls."""
    value: Any = 1
    for _ in range(values.DEEPEST - 2):
        value = Item("a", inner=value)

    def deep(n):
        return deep(n - 1) if n else encode(decode(encode(value, "v")), "v")

    assert deep(300) == encode(value, "v")
    for _ in range(10):
        value = [value]
    assert refused(value) == (
        "state.v is nested more than 100 levels deep, which is deeper than a store can "
        "read again. Store a flat list whose items name their parents."
    )


def error_back(error):
    """An exception through text and back, with its class."""
    found = decode(encode(error, "error"))
    return found, type(found), found.args


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", (1,)),
        KeyError("k"),
        PlainError(),
        StopIteration(3),
        SystemExit(2),
        DefinitionError("F", ["one", "two"]),
        StateConflictError("text", field="a", steps=["x", "y"]),
        FileNotFoundError(2, "no", "file"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"),
        ImportError("no", name="x"),
    ],
    ids=repr,
)
def test_an_exception_comes_back(error):
    """Type, arguments, text and attributes."""
    found, kind, args = error_back(error)
    assert (kind, args, str(found)) == (type(error), error.args, str(error))
    assert found.__dict__ == error.__dict__
    for name in ("filename", "start", "name", "value", "code"):
        assert getattr(found, name, None) == getattr(error, name, None)


def test_an_exception_keeps_its_notes_and_cause():
    """What tells where it was raised."""
    error = PlainError("a")
    error.add_note("in step b")
    error.__cause__ = KeyError("c")
    found, _, _ = error_back(error)
    assert found.__notes__ == ["in step b"]
    assert repr(found.__cause__) == "KeyError('c')"


def test_an_exception_group_comes_back():
    """With the exceptions in it."""
    found, kind, _ = error_back(ExceptionGroup("g", [ValueError(1), PlainError("b")]))
    assert kind is ExceptionGroup
    assert repr(found.exceptions) == "(ValueError(1), PlainError('b'))"


def test_an_exception_with_its_own_init_comes_back():
    """No call of it; what cannot be stored is left out."""
    found, kind, _ = error_back(PickyError(5, why="no"))
    assert kind is PickyError
    assert (str(found), found.code, found.why) == ("5: no", 5, "no")
    assert not hasattr(found, "lock")


def test_an_exception_that_cannot_be_rebuilt_is_still_told():
    """A class in a function, an argument without a form, pydantic's own error."""

    class Local(Exception):
        pass

    found, kind, _ = error_back(Local("a"))
    assert kind is RestoredError
    assert str(found) == f"{Local.__module__}.{Local.__qualname__}: a"
    assert found.kind == f"{Local.__module__}.{Local.__qualname__}"
    assert error_back(PlainError(object))[2] == ("<class 'object'>",)
    with pytest.raises(pydantic.ValidationError) as caught:
        Inner(n="x")
    found, kind, _ = error_back(caught.value)
    assert kind is RestoredError
    assert "Input should be a valid integer" in str(found)
    gone = '{"!error":["no.such:Gone",["a"],{}]}'
    assert str(decode(gone)) == "no.such:Gone: a"


def test_an_exception_that_holds_itself_is_still_told():
    """By an attribute, an argument or its cause; each is left out or told as text."""
    error = PlainError("a")
    error.me, error.again = error, [error]
    error.__cause__ = other = PlainError("b")
    other.__cause__ = error
    found, kind, args = error_back(error)
    assert (kind, args, found.__dict__) == (PlainError, ("a",), {})
    assert repr(found.__cause__) == "PlainError('b')"
    rows: list = []
    rows.append(rows)
    assert error_back(PlainError(rows))[2] == ("[[...]]",)
    chain = None
    for number in range(300):
        error = PlainError(number)
        error.__cause__ = chain
        chain = error
    assert error_back(chain)[2] == (299,)


def unreadable(text):
    """What reading says."""
    with pytest.raises(UnreadableError) as caught:
        decode(text)
    return str(caught.value)


def test_a_class_that_is_gone_is_named_with_the_cure():
    """Its module, its name, and what to call."""
    assert unreadable('{"!data":["no.such.place:Item",{}]}') == (
        "A stored value is of the class no.such.place:Item, which cannot be found here "
        "(ModuleNotFoundError: No module named 'no'). If it was moved or renamed, say "
        "so before runs are read: flowkit.journal.codec.alias('no.such.place:Item', "
        "TheClass)."
    )


def test_a_renamed_class_is_read_by_its_alias():
    """From then on, also if the old name was tried before."""
    text = encode(Slotted(1), "v").replace("Slotted", "OldName")
    name = f"{__name__}:OldName"
    assert name in unreadable(text)
    alias(name, Slotted)
    try:
        assert decode(text) == Slotted(1)
    finally:
        names._aliases.clear()


def test_fields_that_a_class_gained_take_their_defaults():
    """And those that it lost are left out."""
    here = __name__
    assert decode(f'{{"!data":["{here}:Slotted",{{"a":1,"old":2}}]}}') == Slotted(1)
    assert decode(f'{{"!model":["{here}:Order",{{"id":"a","x":1}}]}}') == Order(id="a")
    found = decode(f'{{"!named":["{here}:Place",["x",1]]}}')
    assert found == Place("x", 1, 3)
    item = decode(f'{{"!data":["{here}:Item",{{"name":"a"}}]}}')
    assert item.tags == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"!data":["os:system","ls"]}', "os:system, which is not a dataclass here"),
        ('{"!model":["os:system",{}]}', "which is not a pydantic model here"),
        ('{"!enum":["builtins:str","a"]}', "which is not an enum here"),
        ('{"!named":["builtins:tuple",[]]}', "which is not a named tuple here"),
        ('{"!derived":["subprocess:Popen","list",["ls"]]}', "is not derived from list"),
        ('{"!url":["subprocess:Popen","ls"]}', "is not a URL of pydantic here"),
        ('{"!flag":["subprocess:Popen",["ls"]]}', "is not a flag here"),
        ('{"!new":1}', "It was written by a newer one: upgrade flowkit."),
        ('{"!uuid":"x"}', "cannot be restored from 'x': ValueError: badly formed"),
        ("[1, 2", "is not JSON as flowkit writes it: '[1, 2'. It was changed or cut"),
        ("", "is not JSON as flowkit writes it: ''."),
        ("1 2", "is not JSON as flowkit writes it: '1 2'."),
        ("[" * 100_000, "is not JSON as flowkit writes it: '[[["),
        (
            '{"!enum":["HERE:Color","GONE"]}',
            "HERE:Color.GONE, which the enum no longer",
        ),
        (
            '{"!data":["HERE:Slotted",{}]}',
            "has no value for 'a', which has no default.",
        ),
        (
            '{"!model":["HERE:Order",{}]}',
            "has no value for 'id', which has no default.",
        ),
        ('{"!named":["HERE:Point",[1]]}', "has no value for 'y'"),
    ],
)
def test_reading_makes_nothing_but_values(text, said):
    """A stored text cannot make a program run something, nor be half read."""
    assert said.replace("HERE", __name__) in unreadable(text.replace("HERE", __name__))


def test_a_stored_error_class_must_be_an_exception():
    """Else its text is all that comes back."""
    assert type(decode('{"!error":["subprocess:Popen",["ls"],{}]}')) is RestoredError


def test_unchangeable_values_are_not_copied():
    """And a list is, also if it is flat."""
    text, pair, rows = "a" * 100, (1, "b"), [1, 2]
    assert roundtrip(text, "v") is text
    assert roundtrip(pair, "v") is pair
    assert roundtrip(rows, "v") == rows
    assert roundtrip(rows, "v") is not rows


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones())
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([*Color, *Level, *Word, *Bits, Rights.READ | Rights.WRITE])
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
)
KEYS = st.recursive(
    ATOMS.filter(lambda each: not (isinstance(each, float) and isnan(each))),
    lambda inner: st.tuples(inner, inner),
)
NESTED = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(KEYS, inner, max_size=5)
        | st.sets(KEYS, max_size=5)
        | st.frozensets(KEYS, max_size=5)
        | st.lists(inner).map(deque)
        | st.builds(lambda a: Item("x", inner=a), inner)
        | st.builds(lambda a: Order(id="x", any=a), inner)
        | st.builds(lambda a: Place("x", Point(a, 1)), inner)
        | st.builds(lambda a: Open(extra=a), inner)
    ),
    max_leaves=20,
)


@given(NESTED)
def test_any_nesting_comes_back_as_it_was(value):
    """Equal text means equal value and types: the text is a function of both."""
    text = encode(value, "v")
    assert encode(decode(text), "v") == text
    assert encode(from_plain(to_plain(value, "v")), "v") == text
    assert repr(decode(text)) == repr(value) or "{" in repr(value)


@given(st.lists(KEYS, max_size=8), st.randoms())
def test_a_set_is_written_the_same_whatever_its_order(items, chance):
    """Also with equal members of several types, of which the first counts."""
    unique = list(dict.fromkeys(items))
    mixed = list(unique)
    chance.shuffle(mixed)
    assert encode(set(mixed), "v") == encode(set(unique), "v")
