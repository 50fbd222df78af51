"""Lengths of time in drawings."""

from __future__ import annotations

import pytest

from flowkit.plot.lengths import length


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0, "0 ms"),
        (0.000_123, "0.12 ms"),
        (0.012, "12 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.25, "0.25 s"),
        (0.9996, "1 s"),
        (1, "1 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_569, "59 min 29 s"),
        (3_575, "1 h"),
        (3_659, "1 h 1 min"),
        (10_798, "3 h"),
        (86_390, "1 d"),
        (11_102, "3 h 5 min"),
        (86_400 * 2 + 3_600, "2 d 1 h"),
        (86_400 * 400, "400 d"),
    ],
)
def test_a_length_is_rounded_to_two_units(seconds: float, text: str) -> None:
    """Enough to compare, short enough for a box."""
    assert length(seconds) == text
