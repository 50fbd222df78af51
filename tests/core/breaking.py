"""Rules broken on purpose, for tests/core/test_seeded_faults.py.

A break is written with what it replaces and the check that has to notice it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROPERTIES", "RULES", "Break", "breaks", "fails", "over"]


class Break(NamedTuple):
    """A rule broken on purpose: what stands for what, and the check that must fail."""

    place: Any
    what: Any
    broken: Any
    check: Callable[[], None]

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Break the rule until the end of the test."""
        if isinstance(self.place, dict):
            monkeypatch.setitem(self.place, self.what, self.broken)
        else:
            monkeypatch.setattr(self.place, self.what, self.broken)


PROPERTIES: dict[str, Break] = {}
RULES: dict[str, Break] = {}


def breaks(
    place: Any, what: Any, noticed_by: Callable[[], None], *, as_: Any = None
) -> Callable[[Any], Any]:
    """Register what is decorated in the place of ``what``, an attribute or a key.

    Args:
        noticed_by: the property (:func:`over`) or the test of a rule that must fail.
        as_: what the decorated function is wrapped in.
    """

    def register(broken: Any) -> Any:
        table = PROPERTIES if isinstance(noticed_by, partial) else RULES
        name = f"{broken.__name__}-{getattr(what, '__name__', what)}"
        assert name not in table
        table[name] = Break(place, what, as_(broken) if as_ else broken, noticed_by)
        return broken

    return register


def over(strategy: Any, check: Callable[[Any], None]) -> Callable[[], None]:
    """A property, looked at over the first few hundred cases."""
    return partial(_examine, strategy, check)


def _examine(strategy: Any, check: Callable[[Any], None]) -> None:
    draw = settings(
        max_examples=500,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    draw(given(strategy())(check))()


def fails(check: Callable[[], None]) -> None:
    """Whether a property fails, and not by a break that does not fit its place."""
    with pytest.raises(Exception) as caught:
        check()
    assert not isinstance(caught.value, TypeError | AttributeError | NameError)
