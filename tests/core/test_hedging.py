"""Hedges as values."""

from __future__ import annotations

import re

import pytest

from flowkit import Hedge, Policy


def test_a_hedge_is_read_and_printed() -> None:
    """Text and numbers are lengths of time; a policy takes either for a hedge."""
    assert Hedge("500ms") == Hedge(0.5) == Policy(hedge=0.5).hedge
    assert str(Hedge(0.5)) == "after 0.5s"
    assert str(Hedge("2s", most=3)) == "after 2s, 3 calls at most"
    assert Policy(hedge=2, isolate="process").texts == (
        ("hedge", "after 2s"),
        ("isolate", "process"),
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Hedge(0),
            "Hedge(after=..) takes a length of time above zero, not 0.",
        ),
        (
            lambda: Hedge(1, most=1),
            "Hedge(most=..) takes a count of calls from 2, the first one included, "
            "not 1.",
        ),
        (
            lambda: Policy(hedge=True),
            "hedge takes a Hedge or a length of time above zero, not True. Write "
            "hedge='500ms', or hedge=Hedge('500ms', most=3).",
        ),
        (lambda: Policy(isolate="thread"), "isolate takes 'process', not 'thread'."),
    ],
)
def test_what_means_nothing_is_refused(make, text) -> None:
    """The sentence says what would do."""
    with pytest.raises(ValueError, match=re.escape(text) + "$"):
        make()


def test_a_policy_knows_whether_it_calls_a_step_apart() -> None:
    """In a fallback, too: there it is refused where the step is defined."""
    assert not Policy(retry=2, fallback=[Policy(retry=1)]).apart
    assert Policy(hedge=1).apart
    assert Policy(isolate="process").apart
    assert Policy(fallback=[Policy(hedge=1)]).apart
