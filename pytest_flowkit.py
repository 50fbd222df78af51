"""flowkit's pytest plugin: fixtures of :mod:`flowkit.testing`.

It is found by itself once flowkit is installed. Nothing of flowkit is imported before
a test asks for one of these fixtures.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.journal.base import Store
    from flowkit.runtime.clock import ManualClock
    from flowkit.testing import Calls, RecordingBus


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """The engine's clock, standing still until ``manual_clock.advance(seconds)``."""
    from flowkit import testing

    with testing.manual_clock() as clock:
        yield clock


@pytest.fixture
def jumping_clock() -> Iterator[ManualClock]:
    """The engine's clock, which jumps to the next time a run waits for."""
    from flowkit import testing

    with testing.jumping_clock() as clock:
        yield clock


@pytest.fixture
def memory_store() -> Iterator[Store]:
    """A store in memory, new and empty, where the runs of every flow class are kept."""
    from flowkit import testing

    with testing.memory_store() as store:
        yield store


@pytest.fixture
def event_bus() -> Iterator[RecordingBus]:
    """An event bus that notes what was sent, and who took it."""
    from flowkit import testing

    with testing.RecordingBus() as bus:
        yield bus


@pytest.fixture
def stub_step() -> Iterator[Callable[..., Calls]]:
    """``flowkit.testing.stub`` until the test ends."""
    from flowkit import testing

    with ExitStack() as stack:

        def stub(*arguments: Any, **keywords: Any) -> Calls:
            return stack.enter_context(testing.stub(*arguments, **keywords))

        yield stub


@pytest.fixture
def fail_step() -> Iterator[Callable[..., Calls]]:
    """``flowkit.testing.fail`` until the test ends."""
    from flowkit import testing

    with ExitStack() as stack:

        def fail(*arguments: Any, **keywords: Any) -> Calls:
            return stack.enter_context(testing.fail(*arguments, **keywords))

        yield fail
