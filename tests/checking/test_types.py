"""Parameter types against producers' types: told only where certain."""

from __future__ import annotations

import datetime as dt
import enum
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
from pydantic import BaseModel

from flowkit import Flow, and_, human_feedback, listen, merge, or_, router, start, times
from flowkit.checking import faults_of_flow
from flowkit.checking.types import clash


class Order(BaseModel):
    """A model."""

    id: int = 0


class Rush(Order):
    """A subclass of it."""


class Invoice(BaseModel):
    """Another model."""


@dataclass
class Point:
    """A dataclass."""

    x: int = 0


class Fields(TypedDict):
    """A dictionary with known keys."""

    x: int


class Colour(enum.Enum):
    """An enum."""

    RED = "red"


class Closes(Protocol):
    """A protocol."""

    def close(self) -> None: ...


T = TypeVar("T")
Name = NewType("Name", str)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (int, str),
        (str, int),
        (Order, Invoice),
        (Order, str),
        (None, str),
        (str, None),
        (list[int], str),
        (dict, str),
        (Order, dict),
        (int | None, str),
        (int, str | bytes),
        (Literal["a", "b"], int),
        (int, Literal["a"]),
        (Annotated[int, "count"], str),
        (Name, int),
        (str, list[str]),
        (Point, Order),
        (Optional[int], Union[str, Order]),
        (Fields, int),
        (dt.datetime, int),
    ],
)
def test_types_that_share_no_value_clash(given: Any, want: Any) -> None:
    """No value of the one is one of the other, nor could be made one."""
    assert clash(given, want)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (int, int),
        (int, float),
        (float, int),
        (bool, int),
        (int, Decimal),
        (Rush, Order),
        (Order, Rush),
        (dict, Order),
        (dict[str, int], Point),
        (Fields, Order),
        (dict, Mapping),
        (Fields, dict),
        (int | str, str),
        (int, str | int),
        (None, str | None),
        (Any, int),
        (int, Any),
        (object, int),
        (int, object),
        (list[int], list[str]),
        (list[int], Sequence[int]),
        (tuple[int, ...], list[int]),
        (list, Iterable),
        (str, Sequence[str]),
        (T, int),
        (int, T),
        (Closes, int),
        (Point, Closes),
        (Callable[..., Any], int),
        (Iterator[int], int),
        (type[Order], int),
        (Literal["a"], str),
        (str, Literal["a"]),
        (str, dt.date),
        (str, uuid.UUID),
        (str, Path),
        (str, Colour),
        (Colour, str),
        (Name, str),
        (str, Name),
        (typing.Hashable, int),
        ("not read", int),
        (Exception, ValueError),
    ],
)
def test_types_that_may_go_together_do_not_clash(given: Any, want: Any) -> None:
    """The benefit of the doubt."""
    assert not clash(given, want)


ODD = [
    typing.ClassVar[int],
    typing.ForwardRef("Order"),
    typing.ParamSpec("P"),
    typing.Generic[T],
    typing.NoReturn,
    typing.LiteralString,
    typing.Self,
    Callable[[int], str],
    Literal[None, 1, "a", Colour.RED],
    Annotated[int | None, 3],
    list[T],
    tuple[()],
    type,
    ...,
    3,
    "text",
    [int],
    {"a": int},
]


def test_no_pair_of_annotations_makes_the_check_fail() -> None:
    """However odd; an annotation may be anything."""
    plain = [int, str, None, Order, Point, Fields, Colour, Closes, dict[str, int], Any]
    for one in [*ODD, *plain]:
        for other in [*ODD, *plain]:
            assert clash(one, other) in {True, False}


def told(cls):
    return [each.text for each in faults_of_flow(cls) if each.level == "warning"]


def at(function):
    code = function.__code__
    return f"test_types.py:{code.co_firstlineno}"


def test_a_parameter_that_its_producer_never_fits_is_told() -> None:
    """With both types, both places' names, and where it stands."""

    class Buys(Flow):
        @start()
        def receive(self) -> Order:
            return Order()

        @listen(receive)
        async def charge(self, amount: int) -> list[Invoice]:
            return []

        @listen(charge)
        def ship(self, order: Order | None) -> None:
            return None

    assert told(Buys) == [
        (
            "Buys.charge takes amount: int, but receive gives Order. Change one of the two, "
            f"or put a step between them. ({at(Buys.charge)})"
        ),
        (
            "Buys.ship takes order: Order | None, but charge gives list[Invoice]. Change one "
            f"of the two, or put a step between them. ({at(Buys.ship)})"
        ),
    ]


def test_a_join_hands_each_input_to_the_parameter_of_its_name() -> None:
    """What no name says is not judged, nor what may come several times."""

    class Joins(Flow):
        @start()
        def one(self) -> int:
            return 1

        @start()
        def two(self) -> str:
            return ""

        @listen(and_(one, two))
        def both(self, one: str, two: str): ...

        @listen(or_(one, two))
        def either(self, value: int): ...

        @listen(merge(one, two))
        def each(self, value: int): ...

        @listen(times(2, "both"))
        def twice(self, both: int): ...

    assert [text.partition(". ")[0] for text in told(Joins)] == [
        "Joins.both takes one: str, but one gives int",
        "Joins.each takes value: int, but two gives str",
    ]


def test_labels_are_text_and_failures_are_exceptions() -> None:
    """What a listener of a label, or of a failed step, is handed."""

    class Routes(Flow):
        @start()
        @router()
        def check(self) -> Literal["ok", "bad"]:
            return "ok"

        @listen("ok")
        def good(self, order: Order): ...

        @listen("bad")
        def poor(self, label: str): ...

        @listen("good.failed")
        def mend(self, good: str): ...

        @listen("poor.failed")
        def forget(self, error: ValueError): ...

    assert [text.partition(". ")[0] for text in told(Routes)] == [
        "Routes.good takes order: Order, but the label 'ok' gives str",
        "Routes.mend takes good: str, but good.failed gives BaseException",
    ]


def test_what_is_wrapped_reviewed_or_streamed_is_not_judged() -> None:
    """Its annotation does not say what comes."""
    import functools

    def doubled(function):
        @functools.wraps(function)
        def twice(self):
            return str(function(self))

        return twice

    class Says:
        def request_feedback(self, context, flow):
            return "ok"

    class Odd(Flow):
        @start()
        @doubled
        def one(self) -> int:
            return 1

        @listen(one)
        def after_one(self, one: str): ...

        @start()
        @human_feedback(message="Good?", provider=Says())
        def two(self) -> int:
            return 1

        @listen(two)
        def after_two(self, two: str): ...

        @start()
        def three(self) -> Missing:  # noqa: F821 - it is not there
            return 1

        @listen(three)
        def after_three(self, *three: str): ...

        @start()
        def four(self) -> int:
            return 1

        @listen(four)
        def after_four(self, **named: str): ...

    assert told(Odd) == []
