"""From a class to its definition: wiring, inheritance, and every fault in full."""

from __future__ import annotations

import warnings
from enum import Enum
from typing import Any, Literal

import pytest

from flowkit.core.definition import Join, Leaf
from flowkit.core.validate import is_typo
from flowkit.define.compiler import Compiled, compile_class, faults_of
from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    event,
    merge,
    or_,
    times,
)
from flowkit.define.decorators import listen, router, start
from flowkit.errors import DefinitionError, FlowkitWarning


def at(function: Any) -> str:
    """Where a test's step stands, as messages say it."""
    return f"test_compiler.py:{function.__code__.co_firstlineno}"


def compiled(cls: type, **options: Any) -> Compiled:
    """A class compiled, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compile_class(cls, **options)


def refused(cls: type, **options: Any) -> list[str]:
    """The faults that a class is refused for."""
    with pytest.raises(DefinitionError) as caught:
        compile_class(cls, **options)
    return list(caught.value.faults)


def warned(cls: type) -> list[str]:
    """What a class is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compile_class(cls)
    assert all(issubclass(each.category, FlowkitWarning) for each in caught)
    return [str(each.message) for each in caught]


def hinted(cls: type) -> list[str]:
    """What a check would say beside errors and warnings."""
    return [each.text for each in faults_of(compiled(cls)) if each.level == "hint"]


def trigger(cls: type, name: str) -> str:
    """A step's condition, written out."""
    step = compiled(cls).definition.step(name)
    assert step is not None
    return str(step.trigger)


# --- what decorators say ---------------------------------------------------------


def test_a_class_becomes_a_definition() -> None:
    """Names, kinds, triggers, labels and places, in the order written."""

    class News:
        @start()
        async def fetch(self) -> str:
            """Get it.

            From somewhere.
            """

        @router(fetch, emit=["good", "bad"], max_firings=7)
        def review(self) -> Literal["good"]: ...

        @listen(or_("good", review))
        def publish(self): ...

        @listen("bad")
        def drop(self): ...

    found = compiled(News, max_firings=9, strict=True).definition
    fetch, review, publish, _ = found.steps
    assert (found.name, found.max_firings, found.strict) == ("News", 9, True)
    assert (fetch.name, fetch.start, fetch.conditional) == ("fetch", True, False)
    assert (fetch.is_async, fetch.doc, fetch.place) == (True, "Get it.", at(News.fetch))
    assert (review.router, review.labels, review.single) == (
        True, ("good", "bad"), True,
    )  # fmt: skip
    assert (review.max_firings, review.trigger) == (7, Leaf("fetch", "step"))
    assert publish.trigger == Join("or", (Leaf("good"), Leaf("review", "step")))


def test_methods_stay_as_they_were() -> None:
    """Decorators only mark: the body can be called alone."""

    class News:
        @start()
        def fetch(self, much: int = 1) -> int:
            return much

        @router(fetch)
        def check(self) -> str:
            return "x"

    compiled(News)
    assert News().fetch(3) == 3
    assert News().check() == "x"


def test_bare_start_and_bare_router_are_as_called() -> None:
    """``@start`` and ``@router`` without parentheses, where nothing is to be said."""

    class News:
        @start
        def fetch(self): ...

        @start()
        @router
        def check(self) -> Literal["ok"]: ...

        @listen("ok")
        def go(self): ...

    fetch, check, _ = compiled(News).definition.steps
    assert fetch.start
    assert (check.start, check.router, check.labels) == (True, True, ("ok",))


def test_decorators_stack_in_any_order() -> None:
    """One step is all that its decorators say together."""

    class One:
        @start()
        @router(emit=["x"])
        def a(self): ...

        @router(emit=["y"])
        @start()
        def b(self): ...

        @listen("x")
        @router()
        def c(self) -> Literal["z"]: ...

        @router(emit=["z"])
        @listen("y")
        def d(self): ...

        @start()
        @listen("z")
        def e(self): ...

    a, b, c, d, e = compiled(One).definition.steps
    assert all(each.start and each.router for each in (a, b))
    assert all(each.router and not each.start for each in (c, d))
    assert (str(c.trigger), c.labels) == ("x", ("z",))
    assert (str(d.trigger), d.labels) == ("y", ("z",))
    assert (e.start, e.conditional, str(e.trigger)) == (True, False, "z")


def test_two_listens_are_two_ways_in() -> None:
    """Each fires the step by itself."""

    class One:
        @start()
        def a(self): ...

        @start()
        def b(self): ...

        @listen(a)
        @listen(b)
        def c(self): ...

    assert trigger(One, "c") == "merge(b, a)"


def test_a_start_may_wait_for_an_event() -> None:
    """``@start(on=event(..))`` begins one run for each event."""

    class One:
        @start(on=event("paid", key="order"))
        def a(self): ...

        @start(on=or_(event("paid"), event("sent")))
        def b(self): ...

    a, b = compiled(One).definition.steps
    assert (a.start, a.conditional, a.begins_on_event) == (True, True, True)
    assert a.trigger == Leaf("paid", "event", "order")
    assert b.begins_on_event


def test_a_key_may_be_read_by_a_function() -> None:
    """It stands beside the definition, which holds no functions."""

    def order(payload: Any) -> Any:
        return payload["order"]

    class One:
        @start(on=event("paid", key=order))
        def a(self): ...

    found = compiled(One)
    assert found.keys == {"paid": order}
    assert found.definition.steps[0].trigger == Leaf("paid", "event", "<function>")


def test_a_failure_is_named_by_attribute_or_by_string() -> None:
    """``charge.failed`` and ``"charge.failed"`` are one leaf."""

    class One:
        @start()
        def charge(self): ...

        @listen(charge.failed)
        def a(self): ...

        @listen(and_("charge.failed", event("told")))
        def b(self): ...

    assert trigger(One, "a") == "charge.failed"
    assert trigger(One, "b") == "and_(charge.failed, event('told'))"


def test_conditions_nest() -> None:
    """Every form inside every other."""

    class One:
        @start()
        def a(self): ...

        @start()
        def b(self): ...

        @listen(
            and_(
                any_of(1, a, "b", rest="block"), times(2, merge(a, b)), all_active(a, b)
            )
        )
        def c(self): ...

    assert trigger(One, "c") == (
        "and_(any_of(1, a, b, rest='block'), times(2, merge(a, b)), all_active(a, b))"
    )


class Mood(Enum):
    """Labels as an Enum."""

    GOOD = "good"
    BAD = "bad"


def test_labels_come_from_emit_or_from_the_annotation() -> None:
    """``emit`` first, else Literal or Enum, else unknown; emit takes Enums, too."""

    class One:
        @start()
        @router(emit=Mood)
        def a(self): ...

        @start()
        @router()
        def b(self) -> Mood: ...

        @start()
        @router()
        def c(self) -> list[Literal["good", "bad"]]: ...

        @start()
        @router()
        def d(self) -> str:
            return "good"

        @listen(merge("good", "bad"))
        def end(self): ...

    a, b, c, d, _ = compiled(One).definition.steps
    assert a.labels == b.labels == c.labels == ("good", "bad")
    assert (a.single, b.single, c.single) == (False, True, False)
    assert d.labels is None


# --- inheritance -----------------------------------------------------------------


class Base:
    @start()
    def fetch(self) -> str:
        return "base"

    @listen(fetch)
    def clean(self): ...


class Mixin:
    @listen("clean")
    def audit(self): ...


def test_inherited_and_mixed_in_steps_count() -> None:
    """A subclass has the steps of its bases, and may listen to them."""

    class Sub(Mixin, Base):
        @listen(and_(Base.clean, Mixin.audit))
        def last(self): ...

    found = compiled(Sub).definition
    assert [each.name for each in found.steps] == ["fetch", "clean", "audit", "last"]
    assert trigger(Sub, "last") == "and_(clean, audit)"
    assert str(found.steps[2].trigger) == "clean"


def test_an_override_keeps_the_wiring() -> None:
    """The body is the subclass's, the trigger the base's."""

    class Sub(Base):
        def clean(self) -> str:
            return "sub"

    found = compiled(Sub)
    assert trigger(Sub, "clean") == "fetch"
    assert found.functions["clean"](Sub()) == "sub"


def test_an_override_that_is_decorated_replaces_the_wiring() -> None:
    """What the new decorators say is all that holds."""

    class Sub(Base):
        @listen(event("dirty"))
        def clean(self): ...

    assert trigger(Sub, "clean") == "event('dirty')"
    assert trigger(Base, "clean") == "fetch"


def test_a_name_set_to_none_takes_a_step_away() -> None:
    """The base keeps it."""

    class Sub(Base):
        clean = None

    assert [each.name for each in compiled(Sub).definition.steps] == ["fetch"]
    assert len(compiled(Base).definition.steps) == 2


def test_listening_to_a_step_that_was_taken_away_is_an_error() -> None:
    """It says who took it away."""

    class Sub(Base):
        fetch = None

    assert refused(Sub) == [
        (
            "Sub.clean listens to Base.fetch, which Sub takes away with fetch = None. "
            "Take "
            f"this one away too, or listen to something else. ({at(Base.clean)})"
        )
    ]


def test_a_class_without_steps_is_legal() -> None:
    """It has nothing to do."""

    class Empty: ...

    assert compiled(Empty).definition.steps == ()


# --- errors ----------------------------------------------------------------------


def test_a_misspelt_step_is_an_error_that_says_what_was_meant() -> None:
    """One slip of the fingers, and no router that may say anything."""

    class News:
        @start()
        def fetch(self): ...

        @listen("fecth")  # codespell:ignore
        def publish(self): ...

    text = (
        "News.publish listens to 'fecth', but no step, "  # codespell:ignore
        f"route or event has that name. Did you mean 'fetch'? ({at(News.publish)})"
    )
    with pytest.raises(DefinitionError) as caught:
        compile_class(News)
    assert str(caught.value) == text
    assert caught.value.flow == "News"


@pytest.mark.parametrize(
    "slip", ["fecth", "Fetch", "fetc", "fetcch"]
)  # codespell:ignore
def test_a_slip_is_case_or_one_letter_transposed_missing_or_doubled(slip: str) -> None:
    """Nothing else is near enough for an error."""
    assert is_typo(slip, "fetch")


@pytest.mark.parametrize("name", ["fetch", "fetch2", "batch", "fletch", "fe", "size_s"])
def test_a_different_letter_is_no_slip(name: str) -> None:
    """``size_s`` and ``size_m`` are two names."""
    assert not is_typo(name, "fetch")
    assert not is_typo("size_s", "size_m")


def test_a_misspelt_step_is_no_error_while_a_router_may_return_anything() -> None:
    """The label may be meant."""

    class News:
        @start()
        @router()
        def fetch(self) -> str:
            return self.whatever

        @listen("fecth")  # codespell:ignore
        def publish(self): ...

    compiled(News)


def test_a_step_of_another_class_is_an_error() -> None:
    """In a join, too; it says whose step it is."""

    class Other:
        @start()
        def fetch(self): ...

    class News:
        @start()
        def begin(self): ...

        @listen(and_(begin, Other.fetch))
        def publish(self): ...

        @listen(Other.fetch.failed)
        def rescue(self): ...

    cure = "List a step of this class, or inherit from that one."
    assert refused(News) == [
        (
            "News.publish listens to Other.fetch, which is a step of another class "
            "than "
            f"News. {cure} ({at(News.publish)})"
        ),
        (
            "News.rescue listens to Other.fetch.failed, which is a step of another "
            "class "
            f"than News. {cure} ({at(News.rescue)})"
        ),
    ]


def test_an_undecorated_method_is_no_trigger() -> None:
    """Nor is a function from elsewhere."""

    class News:
        def helper(self): ...

        @listen(helper)
        def publish(self): ...

        @listen(print)
        def shout(self): ...

    said = "which is no step: it has no @start, @listen or @router. Decorate it, or "
    assert refused(News) == [
        (
            f"News.publish listens to News.helper, {said}listen to a step. "
            f"({at(News.publish)})"
        ),
        f"News.shout listens to print, {said}listen to a step. ({at(News.shout)})",
    ]


def test_a_step_that_listens_to_itself_is_an_error() -> None:
    """A loop goes over a label."""

    class News:
        @listen(or_("other", "again"))
        def again(self): ...

        @start()
        @router(emit=["other"])
        def begin(self): ...

    assert refused(News) == [
        (
            "News.again listens to itself and would never end. For a loop, listen to a "
            f"label that a router chooses. ({at(News.again)})"
        )
    ]


@pytest.mark.parametrize("name", ["kickoff", "kickoff_async", "akickoff", "state"])
def test_verbs_of_the_engine_cannot_be_steps(name: str) -> None:
    """Everything else may be: a step hides only the verb of its name."""

    def body(self): ...

    body.__name__ = name
    news = type("News", (), {name: start()(body)})
    assert refused(news) == [
        f"News.{name} takes the name of a Flow verb. Rename the step. ({at(body)})"
    ]


@pytest.mark.parametrize("name", ["send", "store", "run", "join", "merge", "stop"])
def test_any_other_name_may_be_a_step(name: str) -> None:
    """The contract lists them."""

    def body(self): ...

    body.__name__ = name
    assert compiled(type("News", (), {name: start()(body)})).definition.step(name)


@pytest.mark.parametrize("rest", ["block", "cancel"])
def test_rest_has_nothing_to_apply_to_if_all_inputs_are_needed(rest: Any) -> None:
    """All of them is an ``and_``."""

    class News:
        @start()
        def a(self): ...

        @start()
        def b(self): ...

        @listen(any_of(2, a, b, rest=rest))
        def c(self): ...

    assert refused(News) == [
        (
            f"News.c: any_of(2, a, b, rest='{rest}') needs all of its inputs, so "
            f"rest='{rest}' has nothing left to apply to. Lower the count or write "
            f"and_(..). ({at(News.c)})"
        )
    ]


def test_times_counts_one_input() -> None:
    """A join inside it gets a step of its own."""

    class News:
        @start()
        def a(self): ...

        @listen(times(2, and_(a, "a")))
        def c(self): ...

    assert refused(News) == [
        (
            "News.c: times(2, and_(a, a)) counts arrivals of one input; and_(a, a) is "
            "a "
            f"join. Put a step behind the join and count that. ({at(News.c)})"
        )
    ]


def test_a_run_begins_with_one_event() -> None:
    """A start on a join of events would not know which run they belong to."""

    class News:
        @start(on=and_(event("a"), event("b")))
        def begin(self): ...

    assert refused(News) == [
        (
            "News.begin begins a run on and_(event('a'), event('b')), but a run begins "
            "with one event. Begin it with the first and listen to the others, or "
            "write "
            f"or_(..). ({at(News.begin)})"
        )
    ]


def test_a_decorator_without_parentheses_around_its_method_is_found() -> None:
    """``@listen`` bare takes the method for its condition and decorates nothing."""

    class News:
        @start()
        def begin(self): ...

        @listen
        def publish(self): ...

    assert len(refused(News)) == 1
    assert "News.publish is no step: @listen decorates nothing" in refused(News)[0]


def test_a_bare_start_around_another_decorator_is_found() -> None:
    """There ``@start`` cannot tell a method to decorate from a step to wait for."""

    class News:
        @router
        def check(self) -> None: ...

        place = at(check)
        check = start(check)

    assert refused(News) == [
        (
            "News.check is no step: @start decorates nothing without parentheses here. "
            f"Write @start(). ({News.place})"
        )
    ]


def test_all_faults_of_a_class_come_at_once() -> None:
    """In the order of its steps, one line each."""

    class News:
        def helper(self): ...

        @start()
        def kickoff(self): ...

        @listen(helper)
        def first(self): ...

        @listen("second")
        def second(self): ...

        @listen("frist")  # codespell:ignore
        def third(self): ...

    with pytest.raises(DefinitionError) as caught:
        compile_class(News)
    lines = str(caught.value).split("\n")
    assert lines[0] == "News has 4 faults:"
    assert [line[: line.index(" ", 4)] for line in lines[1:]] == [
        "  - News.kickoff", "  - News.first", "  - News.second", "  - News.third",
    ]  # fmt: skip
    assert isinstance(caught.value, ValueError)


# --- wrong arguments, at decoration ----------------------------------------------

COUNTS = "Invalid condition: any_of counts from 1 to its number of inputs, 2"
FORMS = "a step, a name, event(..), timer(..), or a condition such as or_(..), and_(..)"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: listen(5), f"Invalid condition: 5 is not one. Give {FORMS}."),
        (lambda: listen(""), f"Invalid condition: '' is not one. Give {FORMS}."),
        (lambda: start(on=3), f"Invalid condition: 3 is not one. Give {FORMS}."),
        (lambda: router(4), f"Invalid condition: 4 is not one. Give {FORMS}."),
        (lambda: and_("a", 1), f"Invalid condition: 1 is not one. Give {FORMS}."),
        (or_, f"Invalid condition: or_() needs at least one input: {FORMS}."),
        (
            lambda: any_of(3, "a", "b"),
            f"{COUNTS}, not 3.",
        ),
        (
            lambda: any_of(0, "a", "b"),
            f"{COUNTS}, not 0.",
        ),
        (
            lambda: any_of("a", "b"),
            "Invalid condition: any_of takes a count first, not 'a'.",
        ),
        (
            lambda: any_of(1, "a", "b", rest="stop"),
            "Invalid condition: rest='stop'. Use 'ignore', 'block' or 'cancel'.",
        ),
        (
            lambda: times(0, "a"),
            "Invalid condition: times takes a count of at least 1, not 0.",
        ),
        (lambda: event(""), "Invalid condition: an event needs a name, not ''."),
        (
            lambda: router("a", emit="yes"),
            "emit takes a list of labels, not the text 'yes'. Write ['yes'].",
        ),
        (lambda: router("a", emit=5), "emit takes a list of labels, not 5."),
        (
            lambda: router("a", emit=["x", None]),
            "emit takes labels, and None is none: it chooses nothing.",
        ),
        (
            lambda: listen("a", max_firings=0)(lambda self: None),
            "max_firings takes a count of at least 1, not 0.",
        ),
    ],
)
def test_a_wrong_argument_is_refused_where_it_is_written(make: Any, text: str) -> None:
    """A ValueError from the decorator or condition itself."""
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


# --- warnings and strict ---------------------------------------------------------


def test_a_name_near_a_label_is_a_warning_with_a_hint() -> None:
    """It may still come from outside."""

    class News:
        @start()
        @router(emit=["approved"])
        def review(self): ...

        @listen(merge("aproved", "approved"))
        def publish(self): ...

    assert warned(News) == [
        (
            "News.publish listens to 'aproved', but no step, route or event has that "
            "name. "
            f"Did you mean 'approved'? ({at(News.publish)})"
        )
    ]


def test_a_name_that_nothing_produces_is_a_warning() -> None:
    """With the cure: an event is declared as one."""

    class News:
        @start()
        def begin(self): ...

        @listen("zebra")
        def publish(self): ...

    assert warned(News) == [
        (
            "News.publish listens to 'zebra', but no step, route or event has that "
            "name. "
            "It can come only from outside, by send(); then use event(..). "
            f"({at(News.publish)})"
        )
    ]


def test_a_declared_label_that_nobody_hears_is_a_warning() -> None:
    """Decision 13: declared labels only."""

    class News:
        @start()
        @router(emit=["good", "bad", "ugly"])
        def review(self): ...

        @listen("good")
        def publish(self): ...

        @listen(publish)
        @router()
        def unread(self) -> str:
            return "lost"

    assert warned(News) == [
        (
            "News.review declares 'bad', 'ugly', but no step listens to them; the "
            "branch "
            f"ends there. ({at(News.review)})"
        )
    ]


def test_a_router_that_nothing_triggers_is_a_warning() -> None:
    """It can never run."""

    class News:
        @start()
        def begin(self): ...

        @router()
        def review(self) -> None: ...

    assert warned(News) == [
        (
            "News.review is a router that nothing triggers. Give @router(..) a "
            "condition, "
            f"or add @start() or @listen(..). ({at(News.review)})"
        )
    ]


def test_strict_turns_warnings_into_errors() -> None:
    """All of them, together with the errors."""

    class News:
        @start()
        @router(emit=["good"])
        def review(self): ...

        @listen("zebra")
        def publish(self): ...

    assert len(warned(News)) == 2
    faults = refused(News, strict=True)
    assert [each.split(" ", 1)[0] for each in faults] == ["News.review", "News.publish"]


def test_labels_seen_in_the_source_are_enough_to_listen_to() -> None:
    """They are never an error: read from constants only, else open."""

    class News:
        @start()
        @router()
        def review(self):
            return "good" if self else "bad"

        @listen("good")
        def publish(self): ...

        @listen("badd")
        def drop(self): ...

    assert warned(News) == [
        (
            "News.drop listens to 'badd', but no step, route or event has that name. "
            "Did "
            f"you mean 'bad'? ({at(News.drop)})"
        )
    ]


# --- hints -----------------------------------------------------------------------


def test_a_join_of_labels_that_come_one_at_a_time_is_hinted_at() -> None:
    """It takes a turn for each label."""

    class News:
        @start()
        def begin(self): ...

        @router(or_(begin, "again"))
        def review(self) -> Literal["x", "y", "again"]: ...

        @listen(and_("x", "y"))
        def publish(self): ...

    assert hinted(News) == [
        (
            "News.publish waits for several labels of review, which chooses one at a "
            "time: "
            f"it fires only after as many turns. ({at(News.publish)})"
        )
    ]


def test_a_join_of_labels_that_may_come_together_is_not() -> None:
    """A list of labels, or ``emit`` alone, allows several."""

    class News:
        @start()
        @router(emit=["x", "y"])
        def review(self): ...

        @listen(and_("x", "y"))
        def publish(self): ...

    assert hinted(News) == []


def test_a_step_that_nothing_leads_to_is_hinted_at() -> None:
    """Unreachable, with all behind it; an event or a start leads to it."""

    class News:
        @listen(event("e"))
        def heard(self): ...

        @listen(and_(heard, "late"))
        def joined(self): ...

        @router("nowhere", emit=["late", "nowhere"])
        def lost(self): ...

    assert hinted(News) == [
        f"News.lost can never run: nothing that starts leads to it. Begin it with @start, or have it listen to what a step that runs leads to. ({at(News.lost)})"
    ]


def test_a_circle_without_an_exit_is_hinted_at() -> None:
    """Nothing in it chooses; a router, or a join with the outside, would."""

    class News:
        @start()
        def begin(self): ...

        @listen(or_(begin, "second"))
        def first(self): ...

        @listen(first)
        def second(self): ...

        @listen(and_(event("tick"), "fourth"))
        def third(self): ...

        @listen(third)
        def fourth(self): ...

    said = [each for each in hinted(News) if "circle" in each]
    assert said == [
        (
            "News.first is in a circle without an exit (first, second): nothing in it "
            f"chooses to leave. Put a router into it. ({at(News.first)})"
        )
    ]


def test_hints_are_not_looked_for_at_class_creation() -> None:
    """They are for checks and pictures; a strict flow has no join that cannot be met."""

    class News:
        @start()
        @router()
        def review(self) -> Literal["x", "y"]: ...

        @listen(and_("x", "y"))
        def publish(self): ...

    assert compiled(News).warnings == []
    with pytest.raises(DefinitionError) as caught:
        compiled(News, strict=True)
    assert list(caught.value.faults) == [
        f"News.publish waits for and_(x, y), which can never be met: review runs once and chooses one of 'x' and 'y'. Write or_(..) if either is enough, or have the router return both labels. ({at(News.publish)})"
    ]

    class Loop:
        @start()
        def begin(self): ...

        @listen(or_(begin, "again"))
        def work(self): ...

        @listen(work)
        def again(self): ...

    assert compiled(Loop, strict=True).warnings == []
