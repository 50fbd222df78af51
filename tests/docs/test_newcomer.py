"""First mistakes, each answered by one sentence with what, where and how to mend."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated

import pytest

from flowkit import (
    DefinitionError,
    Flow,
    FlowkitWarning,
    FlowState,
    RunError,
    listen,
    router,
    start,
)

HERE = Path(__file__).name


def test_listen_without_parentheses_is_a_fault():
    """The method would silently be no step."""
    with pytest.raises(DefinitionError) as caught:

        class Bare(Flow):
            @start()
            def begin(self):
                return 1

            @listen
            def react(self):
                return 2

    line = test_listen_without_parentheses_is_a_fault.__code__.co_firstlineno + 9
    assert str(caught.value) == (
        "Bare.react is no step: @listen decorates nothing without parentheses here. "
        f"Write @listen(..). ({HERE}:{line})"
    )


def test_bare_start_above_another_decorator_is_a_fault():
    """It reads as a start with a condition, so it decorates nothing."""
    with pytest.raises(DefinitionError, match=r"Write @start\(\)\."):

        class Stacked(Flow):
            @start
            @router(emit=["a"])
            def choose(self):
                return "a"


def test_unknown_class_keyword_names_the_one_meant():
    """A class keyword is an option of the flow or of a mixin."""
    with pytest.raises(TypeError) as caught:

        class Odd(Flow, srict=True):
            pass

    assert str(caught.value) == (
        "class Odd takes no keyword 'srict'. Did you mean 'strict'? It takes "
        "admission, backend, deadline, defaults, evict_after, lifetime, max_depth, max_firings, older, "
        "on_conflict, on_error, renamed, retention, sla, store, strict, version."
    )


def test_mixin_takes_its_own_class_keyword():
    """What is no option of a flow goes to the next class."""

    class Colour:
        def __init_subclass__(cls, colour="", **keywords):
            super().__init_subclass__(**keywords)
            cls.colour = colour

    class Red(Flow, Colour, colour="red"):
        @start()
        def begin(self):
            return self.colour

    assert Red().kickoff() == "red"


@pytest.mark.parametrize("use", [lambda flow: flow.kickoff(), lambda flow: flow.state])
def test_forgotten_super_init_is_named(use):
    """A subclass with its own ``__init__`` calls the base class's."""

    class Forgot(Flow):
        def __init__(self):
            self.limit = 3

        @start()
        def begin(self):
            return self.limit

    with pytest.raises(RunError) as caught:
        use(Forgot())
    assert str(caught.value) == (
        "Forgot.__init__ did not call super().__init__(), so there is no state and "
        "nothing can run. Make that call its first line."
    )


def test_warning_points_at_the_class():
    """The line shown with a warning is the class statement's."""
    with pytest.warns(FlowkitWarning, match="declares 'x'") as caught:

        class Unheard(Flow):
            @start()
            @router(emit=["x"])
            def choose(self):
                return "x"

    assert caught[0].filename == __file__


def test_parallel_steps_that_add_the_same_both_count():
    """Equal results of two additions are two additions."""

    class Count(FlowState):
        calls: Annotated[int, operator.add] = 0

    class Three(Flow[Count]):
        @start()
        async def one(self):
            self.state.calls += 1

        @start()
        async def two(self):
            self.state.calls += 1

        @start()
        def three(self):
            self.state.calls += 1

    flow = Three()
    flow.kickoff()
    assert flow.state.calls == 3
