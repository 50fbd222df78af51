"""Policies as values: what they take, how they combine, what they work out."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit import Flow, Policy, Rate, Retry, listen, start
from flowkit.core.kinds import wanted
from flowkit.core.policies import next_delay
from flowkit.runtime.kinds import known


@given(
    number=st.integers(1, 2_000),
    seed=st.integers(-(1 << 70), 1 << 70),
    first=st.floats(0, 100),
    factor=st.floats(1, 10),
)
def test_a_delay_is_drawn_below_its_bound_and_always_the_same(
    number, seed, first, factor
) -> None:
    """Full jitter: between nothing and the bound, by the seed alone."""
    retry = Retry(3, first=first, most=90, factor=factor)
    plain = Retry(3, first=first, most=90, factor=factor, jitter="none")
    delay = next_delay(retry, number, seed)
    assert 0 <= delay <= next_delay(plain, number, seed) <= max(90, first)
    assert delay == next_delay(retry, number, seed)


def test_delays_are_spread_evenly() -> None:
    """Ten thousand runs that fail together do not come back together."""
    retry = Retry(2, first=10, factor=1)
    tenths = [0] * 10
    for seed in range(10_000):
        tenths[int(next_delay(retry, 1, seed))] += 1
    assert 900 < min(tenths) <= max(tenths) < 1_100


def test_retries_are_counted_from_one() -> None:
    """The first try waits for nothing, and has no delay."""
    with pytest.raises(ValueError, match="^Retries are counted from 1; 0 is none.$"):
        next_delay(Retry(), 0, 1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Retry(0),
            (
                "Retry(attempts=..) takes a count of tries from 1, the first one included, "
                "not 0."
            ),
        ),
        (
            lambda: Retry(first="soon"),
            (
                "Retry(first=..) takes a length of time, not 'soon'. Write seconds, or "
                "text such as '90s', '1h30m' or '14d'."
            ),
        ),
        (
            lambda: Retry(factor=0.5),
            (
                "Retry(factor=..) takes a number from 1, by which each wait is longer, not "
                "0.5."
            ),
        ),
        (
            lambda: Retry(jitter="some"),
            "Retry(jitter=..) is 'full' or 'none', not 'some'.",
        ),
        (
            lambda: Retry(on="OSError"),
            (
                "Retry(on=..) takes exception classes or a function of the error, not "
                "'OSError'. Write on=OSError, on=(OSError, TimeoutError) or on=is_worth_it."
            ),
        ),
        (
            lambda: Policy(retry="thrice"),
            (
                "retry takes a count of attempts or a Retry, not 'thrice'. Write retry=3, "
                "or retry=Retry(3, first='1s')."
            ),
        ),
    ],
)
def test_a_value_that_means_nothing_cannot_be_made(make, text) -> None:
    """The error names it and the cure."""
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


def test_a_decorator_names_the_step_and_its_place() -> None:
    """A bad value is found where it was written."""
    with pytest.raises(ValueError) as caught:

        class Bad(Flow):
            @start(retry=0)
            def go(self):
                return None

    assert str(caught.value).startswith("@start of Bad.go: retry takes a count of")
    assert "(test_policies.py:" in str(caught.value)


def test_an_unknown_keyword_is_found_with_a_guess() -> None:
    """As a policy that does not exist would do nothing."""
    with pytest.raises(TypeError) as caught:

        class Bad(Flow):
            @start(retri=3)
            def go(self):
                return None

    text = "@start of Bad.go takes no 'retri'. Did you mean 'retry'? (test_policies.py:"
    assert str(caught.value).startswith(text)


def test_defaults_take_a_policy() -> None:
    """Of the class, as one value."""
    with pytest.raises(TypeError) as caught:

        class Bad(Flow, defaults=3):
            @start()
            def go(self):
                return None

    assert str(caught.value) == (
        "class Bad: defaults takes a Policy, not 3. Write defaults=Policy(retry=3)."
    )


def test_values_compare_hash_and_pickle() -> None:
    """They are data."""
    one, two = Retry(3, on=OSError), Retry(3, on=OSError)
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(Policy(retry=one))) == Policy(retry=two)
    assert Policy(retry=3) == Policy(retry=Retry(3))
    with pytest.raises(AttributeError):
        one.attempts = 4


def test_a_policy_is_laid_over_another() -> None:
    """What it does not say it takes from there."""
    assert Policy().over(Policy(retry=3)) == Policy(retry=3)
    assert Policy(retry=5).over(Policy(retry=3)) == Policy(retry=5)
    assert Policy(retry=5).over(None) == Policy(retry=5)


def test_a_policy_tells_itself() -> None:
    """As pictures and people read it."""
    retry = Retry(5, on=(OSError, KeyError), first=0.5, jitter="none")
    assert str(Policy(retry=retry)) == (
        "retry: 5 attempts, on OSError or KeyError, wait 0.5s, x2 up to 1m, no jitter"
    )


def test_several_decorators_of_a_method_add_up() -> None:
    """The outer one comes first where both say it."""
    from flowkit import router
    from flowkit.runtime.kinds import known

    class Both(Flow):
        @router(emit=["a"], retry=4)
        @start(retry=3)
        def go(self):
            return "a"

        @listen("a")
        def end(self):
            return None

    assert known[Both].compiled.policies == {"go": Policy(retry=4)}


def test_which_errors_are_wanted() -> None:
    """By default whatever a repetition may mend."""
    from flowkit.errors import RouteError

    assert wanted(None, OSError())
    assert not wanted(None, RouteError())
    assert not wanted(None, KeyboardInterrupt())
    assert wanted(RouteError, RouteError())
    assert wanted((KeyError, OSError), OSError())
    assert not wanted(lambda error: "x" in str(error), OSError("y"))


def test_a_definition_with_policies_is_stored_and_read() -> None:
    """Its hash names them; one without any keeps the hash it had."""
    from flowkit.core.definition import Definition, Step
    from flowkit.journal.graphs import definition_from, graph_hash, graph_text

    plain = Definition("F", (Step("a", start=True),))
    tried = Definition("F", (Step("a", start=True, policies=(("retry", "3"),)),))
    assert definition_from(graph_text(tried)) == tried
    assert graph_hash(plain) != graph_hash(tried)


WHOLE = Policy(
    retry=3,
    timeout="1m",
    total_timeout="2m",
    idle_timeout=5,
    rate=Rate(9),
    bulkhead=4,
    breaker="crm",
    cache="1h",
    hedge="1s",
    isolate="process",
    max_starts=3,
    fallback=False,
    undo="back",
)


@pytest.mark.parametrize("name", [name for name, _ in WHOLE.said()])
def test_every_policy_of_the_defaults_is_switched_off_by_false(name) -> None:
    """Alone, and without a trace of it; only a fallback has False as its value."""
    over = Policy(**{name: False}).over(WHOLE)
    left = over.settled()
    off = name != "fallback"
    assert dict(over.texts)[name] == ("off" if off else "False")
    assert [each for each, _ in left.said()] == [
        each for each, _ in WHOLE.said() if each != name or not off
    ]
    assert left == replace(WHOLE, **({name: None} if off else {}))


def test_what_is_switched_off_governs_nothing() -> None:
    """A step that switches all of it off has no policies, its siblings have."""

    class Apart(Flow, defaults=Policy(hedge="1s", isolate="process", timeout=9)):
        @start(hedge=False, isolate=False, timeout=False)
        def bare(self):
            return os.getpid()

        @listen(bare, isolate=False)
        async def hedged(self, pid):
            return pid

    policies = known[Apart].compiled.policies
    assert policies == {"hedged": Policy(hedge="1s", timeout=9)}
    flow = Apart()
    assert flow.kickoff() == os.getpid()
    assert not Policy(hedge=False, isolate=False).apart
    assert not Policy(rate=False, bulkhead=False, breaker=False).gated
    assert not Policy(timeout=False).times
    again = Policy(fallback=[Policy(timeout=False)], timeout=5, retry=2)
    assert again.at(1) == Policy(fallback=again.fallback)
