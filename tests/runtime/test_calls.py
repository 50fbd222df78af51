from __future__ import annotations

import enum
import functools
from typing import Any, Literal

import pytest

from flowkit import (
    Flow,
    and_,
    event,
    listen,
    merge,
    or_,
    router,
    start,
    times,
)
from flowkit.errors import ArgumentError, RouteError


async def result_of(kind, inputs=None):
    """The same from blocking code and on a loop."""
    got = await kind().kickoff_async(inputs)
    assert kind().kickoff(inputs) == got
    return got


class Two(Flow):
    @start()
    async def one(self):
        return 1

    @start()
    async def two(self):
        return 2


async def test_payloads_are_bound_by_name():
    """A join's parameters are named after its inputs, in any order."""

    class Names(Two):
        @listen(and_(Two.one, Two.two))
        async def both(self, two, one):
            return one, two

    assert await result_of(Names) == (1, 2)


async def test_labels_and_methods_are_bound_by_name():
    """A label's payload is the label itself."""

    class Labels(Flow):
        @start()
        async def one(self):
            return 1

        @router(one)
        async def route(self) -> Literal["left"]:
            return "left"

        @listen(and_(one, "left", route))
        async def all_of(self, one, left, route):
            return one, left, route

    assert await result_of(Labels) == (1, "left", "left")


async def test_a_single_parameter_gets_the_last_arrival():
    """Whatever it is called, unless it is the name of an input."""

    class Last(Two):
        @listen(and_(Two.one, Two.two))
        async def both(self, value):
            return value

    assert await result_of(Last) == 2

    class Named(Two):
        @listen(and_(Two.one, Two.two))
        async def both(self, one):
            return one

    assert await result_of(Named) == 1


async def test_keyword_only_and_positional_only_parameters():
    """Python's own forms of parameters work."""

    class Forms(Two):
        @listen(Two.one)
        async def keyword(self, *, value):
            return value

        @listen(and_(Two.one, Two.two, keyword))
        async def positional(self, two, one, /, *, keyword):
            return one, two, keyword

    assert await result_of(Forms) == (1, 2, 1)


async def test_variable_parameters():
    """``*args`` gets the payload, ``**kwargs`` all of them by name."""

    class Forms(Two):
        @listen(Two.one)
        async def several(self, *values):
            return values

        @listen(Two.one)
        async def anything(self, *args, **kwargs):
            return args, kwargs

        @listen(and_(Two.one, Two.two, several, anything))
        async def named(self, one, **others):
            return one, others

    assert await result_of(Forms) == (
        1,
        {"two": 2, "several": (1,), "anything": ((1,), {})},
    )


async def test_a_first_parameter_with_further_defaults_gets_the_payload():
    """As in CrewAI, when no parameter is the name of an input."""

    class Defaults(Two):
        @listen(Two.one)
        async def first(self, result, verbose=False):
            return result, verbose

        @listen(and_(Two.one, first))
        async def second(self, result=None, verbose=False):
            return result, verbose

    assert await result_of(Defaults) == ((1, False), False)


async def test_defaults_stand_for_inputs_that_did_not_come():
    """or_ binds the one that came."""

    class Either(Flow):
        @start()
        async def one(self):
            return 1

        @listen(or_(one, "one.failed"))
        async def either(self, one=None, other="default"):
            return one, other

    assert await result_of(Either) == (1, "default")


async def test_a_failure_is_bound_by_the_steps_name():
    """``work.failed`` hands the exception to the parameter ``work``."""

    class Fails(Flow):
        @start()
        async def work(self):
            raise ValueError("no")

        @listen(and_("work.failed"))
        async def mend(self, work, more=None):
            return str(work), more

    assert await result_of(Fails) == ("no", None)


async def test_several_tokens_of_one_input_come_as_a_list():
    """times(n, a) hands over all payloads, in order."""

    class Several(Two):
        @listen(merge(Two.one, Two.two))
        async def each(self, value):
            return value

        @listen(times(2, each))
        async def pair(self, values):
            return sorted(values)

    assert await result_of(Several) == [1, 2]


async def test_a_parameter_nothing_fills_is_one_sentence():
    """What lacks, what came, how to mend, where."""

    class Lacks(Two):
        @listen(or_(Two.one, Two.two))
        async def either(self, one, two):
            raise AssertionError

    with pytest.raises(ArgumentError) as caught:
        await Lacks().kickoff_async()
    line = Lacks.either.__code__.co_firstlineno
    assert str(caught.value) == (
        "either() needs 'two', but was triggered with one. Name each parameter after an "
        f"input of or_(one, two), or give it a default. (test_calls.py:{line})"
    )
    assert isinstance(caught.value, TypeError)


async def test_a_start_with_a_parameter_is_one_sentence():
    """A start is handed nothing."""

    class Starts(Flow):
        @start()
        async def begin(self, topic):
            raise AssertionError

    with pytest.raises(ArgumentError) as caught:
        await Starts().kickoff_async({"topic": "x"})
    line = Starts.begin.__code__.co_firstlineno
    assert str(caught.value) == (
        "begin() needs 'topic', but a start is handed nothing. Read the inputs from "
        f"self.state, or give it a default. (test_calls.py:{line})"
    )


async def test_a_start_with_a_default_runs_as_usual():
    """Optional parameters of a start keep their defaults."""

    class Starts(Flow):
        @start()
        async def begin(self, topic="none", *rest, **more):
            return topic, rest, more

    assert await result_of(Starts) == ("none", (), {})


async def test_the_trigger_payload_goes_to_starts_that_ask_for_it():
    """By keyword, sync and async; never to listeners; absent: the default."""

    class Asks(Flow):
        @start()
        def one(self, crewai_trigger_payload=None):
            return crewai_trigger_payload

        @start()
        async def two(self, *, crewai_trigger_payload="none"):
            return crewai_trigger_payload

        @start()
        async def three(self):
            return "three"

        @listen(and_(one, two, three))
        async def last(self, one, two, three, crewai_trigger_payload="listener"):
            return one, two, three, crewai_trigger_payload

    got = await result_of(Asks, {"crewai_trigger_payload": {"x": 1}})
    assert got == ({"x": 1}, {"x": 1}, "three", "listener")
    assert await result_of(Asks) == (None, "none", "three", "listener")


async def test_annotations_are_never_resolved_or_checked():
    """Strings that mean nothing, and values of another type."""

    class Odd(Two):
        @listen(Two.one)
        async def three(self, one: NoSuchType) -> AlsoNone:  # noqa: F821
            return str(one)

        @listen(three)
        async def four(self, three: int) -> dict[Nowhere, Any]:  # noqa: F821
            return three

    assert await result_of(Odd) == "1"


async def test_a_wrapped_function_keeps_its_parameters():
    """functools.wraps tells them; without it a wrapper gets the payload."""

    def wrapped(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return await function(*args, **kwargs)

        return wrapper

    def bare(function):
        async def wrapper(self, *args, **kwargs):
            return await function(self, *args, **kwargs)

        wrapper.__name__ = function.__name__
        return wrapper

    class Wrapped(Two):
        @listen(and_(Two.one, Two.two))
        @wrapped
        async def both(self, two, one):
            return one, two

        @listen(both)
        @bare
        async def last(self, value):
            return value

    assert await result_of(Wrapped) == (1, 2)


async def test_steps_stay_plainly_callable():
    """A decorated method is a method like any other."""

    class Plain(Flow):
        @start()
        async def begin(self):
            return await self.helper(1), self.sync(2)

        @listen("begin.failed")
        async def helper(self, value):
            return value + 1

        @listen(helper)
        def sync(self, value):
            return value * 2

    assert await result_of(Plain) == (2, 4)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("returned", "labels"),
    [
        ("red", ["red"]),
        (Colour.RED, ["red"]),
        (["red", "blue"], ["blue", "red"]),
        (("red",), ["red"]),
        ({"red", "blue"}, ["blue", "red"]),
        ([Colour.BLUE], ["blue"]),
        (["red", "red"], ["red"]),
        (None, []),
        ([], []),
        (0, ["0"]),
        (False, ["False"]),
    ],
)
async def test_a_router_chooses_any_subset_of_labels(returned, labels):
    """One, several, none; members of an Enum by value; anything else as text."""

    class Routes(Flow):
        def __init__(self):
            super().__init__()
            self.seen = []

        @start()
        async def begin(self):
            pass

        @router(begin, emit=["red", "blue", "0", "False"])
        async def route(self):
            return returned

        @listen("red")
        async def on_red(self, label):
            self.seen.append(label)

        @listen("blue")
        async def on_blue(self, label):
            self.seen.append(label)

        @listen("0")
        async def zero(self, label):
            self.seen.append(label)

        @listen("False")
        async def no(self, label):
            self.seen.append(label)

    flow = Routes()
    await flow.kickoff_async()
    assert sorted(flow.seen) == labels


async def test_an_undeclared_label_is_one_sentence():
    """The label, the declared ones, a guess, the place."""

    class Routes(Flow):
        @start()
        async def begin(self):
            pass

        @router(begin)
        async def route(self) -> Literal["approved", "refused"]:
            return self.state["label"]

        @listen("approved")
        async def yes(self):
            pass

        @listen("refused")
        async def no(self):
            pass

    line = Routes.route.__code__.co_firstlineno
    for label, hint in [
        ("aproved", "Did you mean 'approved'?"),
        ("later", "Add it to emit= or the annotation."),
    ]:
        for blocking in (True, False):
            flow = Routes()
            with pytest.raises(RouteError) as caught:
                if blocking:
                    flow.kickoff({"label": label})
                else:
                    await flow.kickoff_async({"label": label})
            assert str(caught.value) == (
                f"Routes.route returned the label {label!r}, but declares only "
                f"'approved', 'refused'. {hint} (test_calls.py:{line})"
            )
            assert flow.run.status == "failed"


async def test_an_event_start_gets_kickoffs_inputs():
    """Decision 6: as its payload, validated by its parameter's type."""

    class Starts(Flow):
        @start(on=event("order"))
        async def begin(self, order: dict[str, int]):
            return order

    assert await result_of(Starts, {"n": "3"}) == {"n": 3}
    with pytest.raises(ValueError) as caught:
        await Starts().kickoff_async({"n": "x"})
    assert str(caught.value) == (
        "The payload for Starts.begin does not fit dict: n: Input should be a valid "
        "integer, unable to parse string as an integer, got 'x'"
    )
