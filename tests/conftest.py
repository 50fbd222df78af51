"""What every test shares: two backends, a clock, how hard hypothesis tries."""

from __future__ import annotations

import atexit
import os
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings

from flowkit.journal.memory import MemoryStore
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.testing import manual_clock
from tests.replay import always_replay

__all__ = ["PROVE", "always_replay"]

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Hundreds of processes begin in the tests: each would compile flowkit again.
    os.environ["PYTHONPYCACHEPREFIX"] = mkdtemp(prefix="flowkit-pyc-")
    atexit.register(rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)

PROVE = os.environ.get("FLOWKIT_PROVE") == "1"
"""Set by ``make prove``: proofs run their full count, and may take hours."""

# No deadline: the first example pays for imports, and two cores are shared.
settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "prove",
    deadline=None,
    max_examples=100_000,
    suppress_health_check=[HealthCheck.too_slow],
)


def _profile() -> str:
    if PROVE:
        return "prove"
    return "ci" if os.environ.get("CI") else "default"


settings.load_profile(_profile())


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs once on each."""
    return request.param


@pytest.fixture
def clock():
    """The engine's clock: it stands still at 1,000 seconds until a test moves it."""
    with manual_clock(1_000.0) as made:
        yield made


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """An empty store, of each kind that needs no server."""
    if request.param == "memory":
        return MemoryStore()
    return SqliteStore(tmp_path / "journal.db")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark property tests as proofs, so that ``make prove`` finds them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.prove)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(0 if PROVE else 240))
