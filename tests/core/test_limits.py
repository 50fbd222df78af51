"""Rates, breakers and bulkheads: no order of calls gets past them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit.core.limits import (
    Breaker,
    BreakerState,
    Bulkhead,
    Rate,
    RateState,
)

CALLERS = st.integers(0, 9)


@given(
    limit=st.integers(1, 9),
    burst=st.none() | st.integers(1, 12),
    gaps=st.lists(st.floats(0, 3), max_size=60),
)
def test_no_order_of_calls_gets_past_a_rate(limit, burst, gaps) -> None:
    """In any stretch of time begin at most a burst and what the rate adds."""
    state = RateState(Rate(limit, per=1, burst=burst))
    at, begun = 0.0, []
    for gap in gaps:
        at += gap
        begun.append(state.take(at))
        assert begun[-1] >= at
    assert begun == sorted(begun)
    for first, start in enumerate(begun):
        for last in range(first, len(begun)):
            allowed = (burst or limit) + (begun[last] - start) * limit
            assert last - first + 1 <= allowed + 1e-6


def test_a_rate_lets_a_burst_through_and_then_one_at_a_time() -> None:
    """A quiet time earns a burst, and no more."""
    state = RateState(Rate(2, per=10))
    assert [state.take(0) for _ in range(4)] == [0, 0, 5, 10]
    assert state.left(0) == 15
    assert [state.take(100) for _ in range(3)] == [100, 100, 105]


def test_a_rate_refuses_what_would_wait_too_long() -> None:
    """The refused call takes no turn."""
    state = RateState(Rate(1, per=10, most_wait=15))
    assert [state.take(0) for _ in range(4)] == [0, 10, None, None]
    assert state.take(5) == 20


@given(
    trials=st.integers(1, 3),
    failures=st.integers(1, 3),
    moves=st.lists(
        st.tuples(CALLERS, st.sampled_from([True, False, None]), st.floats(0, 8)),
        max_size=120,
    ),
)
def test_no_order_of_ten_callers_passes_an_open_breaker(
    trials, failures, moves
) -> None:
    """Open it admits none, half-open at most its trials; cancelling changes nothing."""
    state = BreakerState(Breaker(failures, window=1_000, open_for=5, trials=trials))
    at = 0.0
    inside: dict[int, tuple[int, float]] = {}
    for caller, well, gap in moves:
        at += gap
        before, since = state.status, state.since
        if caller in inside:
            permit, _ = inside.pop(caller)
            state.leave(permit, at, well=well)
            if well is None:
                assert state.status == before
            continue
        permit = state.enter(at)
        if before == "open" and at - since < 5:
            assert permit is None
            assert state.left(at) > 0
        if permit is not None:
            inside[caller] = (permit, at)
            if state.status == "half_open":
                mine = [each for each in inside.values() if each[0] == permit]
                assert len(mine) <= trials


def test_a_breaker_opens_closes_and_opens_again() -> None:
    """By its count, by one good trial, by one bad trial."""
    state = BreakerState(Breaker(2, open_for=10))
    for at in (0, 1):
        state.leave(state.enter(at), at, well=False)
    assert (state.status, state.enter(5), state.left(5)) == ("open", None, 6)
    trial = state.enter(11)
    assert (state.status, state.enter(11)) == ("half_open", None)
    state.leave(trial, 12, well=False)
    assert (state.status, state.enter(20)) == ("open", None)
    trial = state.enter(22)
    state.leave(trial, 23, well=True)
    assert state.status == "closed"
    state.leave(state.enter(24), 24, well=False)
    assert state.status == "closed"


def test_a_cancelled_trial_gives_its_permit_back() -> None:
    """It was neither good nor bad."""
    state = BreakerState(Breaker(1, open_for=10))
    state.leave(state.enter(0), 0, well=False)
    trial = state.enter(10)
    state.leave(trial, 11, well=None)
    assert state.status == "half_open"
    state.leave(state.enter(12), 12, well=True)
    assert state.status == "closed"


def test_a_trial_that_never_ends_opens_the_breaker_again() -> None:
    """Else a hung call would keep it shut for ever; what it says later is void."""
    state = BreakerState(Breaker(1, open_for=10))
    state.leave(state.enter(0), 0, well=False)
    hung = state.enter(10)
    assert state.enter(19) is None
    assert state.enter(20) is None
    assert state.status == "open"
    assert state.enter(30) is not None
    state.leave(hung, 31, well=True)
    assert state.status == "half_open"


def test_a_breaker_forgets_what_is_older_than_its_window() -> None:
    """Failures far apart open nothing."""
    state = BreakerState(Breaker(2, window=10))
    for at in (0, 11, 22, 33):
        state.leave(state.enter(at), at, well=False)
        assert state.status == "closed"
    state.leave(state.enter(34), 34, well=False)
    assert state.status == "open"


def test_a_share_needs_enough_calls() -> None:
    """Two failures of two calls say little."""
    state = BreakerState(Breaker(share=0.5, calls=4))
    for well in (False, False, True):
        state.leave(state.enter(0), 0, well=well)
        assert state.status == "closed"
    state.leave(state.enter(0), 0, well=False)
    assert state.status == "open"


def test_what_began_before_the_breaker_opened_counts_for_nothing() -> None:
    """A late failure does not keep it open, a late success does not close it."""
    state = BreakerState(Breaker(1, open_for=10))
    slow = state.enter(0)
    state.leave(state.enter(0), 0, well=False)
    trial = state.enter(10)
    state.leave(slow, 11, well=False)
    assert state.status == "half_open"
    state.leave(trial, 12, well=True)
    assert state.status == "closed"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Rate(0), "Rate(limit=..) takes a count from 1, not 0."),
        (
            lambda: Rate(1, per=0),
            "Rate(per=..) takes a length of time above zero, not 0.",
        ),
        (lambda: Rate(1, burst=0), "Rate(burst=..) takes a count from 1, not 0."),
        (lambda: Rate(1, name=7), "Rate(name=..) takes a name as text, not 7."),
        (lambda: Breaker(0), "Breaker(failures=..) takes a count from 1, not 0."),
        (
            lambda: Breaker(share=2),
            "Breaker(share=..) takes a share above 0 and up to 1, not 2.",
        ),
        (lambda: Bulkhead(0), "Bulkhead(most=..) takes a count from 1, not 0."),
        (
            lambda: Bulkhead(1, queue=-1),
            "Bulkhead(queue=..) takes a count from 0, not -1.",
        ),
        (
            lambda: Bulkhead(1, shared="store"),
            ("Bulkhead(shared='store') needs a name: other processes know it by that."),
        ),
    ],
)
def test_a_limit_that_means_nothing_cannot_be_made(make, text) -> None:
    """The error names it."""
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


def test_limits_tell_themselves() -> None:
    """As pictures and people read them."""
    assert str(Rate(5, per="1m", burst=2, name="api")) == ("5 in 1m, 2 at once (api)")
    assert str(Rate(5, most_wait=3)) == "5 in 1s, wait at most 3s"
    assert str(Breaker(name="crm", slow="2s")) == (
        "5 failures in 1m, slow above 2s, open for 30s (crm)"
    )
    assert str(Breaker(share=0.5, on=OSError)) == (
        "50% of 20 calls or more failed by OSError in 1m, open for 30s"
    )
    assert str(Bulkhead(3, queue=9)) == "3 at once, 9 in line"
