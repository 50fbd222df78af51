"""The pytest plugin: its fixtures, and that it costs nothing unless used."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import pytest_flowkit
from flowkit import Flow, runs, start
from flowkit.runtime.clock import current_clock, now

ROOT = Path(__file__).parents[2]


class Kept(Flow, store="sqlite:///never-made.db"):
    """A flow with a store of its own."""

    @start()
    def begin(self):
        return now()


def test_the_plugin_imports_nothing_of_flowkit() -> None:
    """Before a fixture is asked for."""
    code = (
        "import sys, pytest_flowkit;"
        "print([m for m in sys.modules if m.partition('.')[0] == 'flowkit'])"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert told.stdout == "[]\n"


def test_the_entry_point_names_the_module() -> None:
    """As conftest.py does, so that pytest loads it once."""
    settings = ROOT / "pyproject.toml"
    if not settings.exists():
        pytest.skip("runs on an installed wheel, which has no settings")
    project = tomllib.loads(settings.read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {
        "pytest_flowkit": pytest_flowkit.__name__
    }


def test_every_run_is_kept_in_memory(memory_store, manual_clock) -> None:
    """Also of a flow that names a store; its clock stands still."""
    assert Kept().kickoff(id="k-1") == manual_clock.now()
    assert current_clock() is manual_clock
    assert runs.get("k-1").status == "completed"
    assert memory_store.run("k-1").id == "k-1"
    assert not Path("never-made.db").exists()


def test_the_next_test_has_a_store_of_its_own(memory_store) -> None:
    """New and empty."""
    assert runs.list() == []
    assert os.environ["FLOWKIT_STORE"] == memory_store.url


def test_stubs_last_until_the_test_ends(stub_step, fail_step) -> None:
    """Without a block."""
    begin = stub_step(Kept, "begin", returns=1)
    assert Kept(store="memory:").kickoff() == 1
    fail_step(Kept, "begin", with_=KeyError)
    with pytest.raises(KeyError):
        Kept(store="memory:").kickoff()
    assert begin.count == 1


def test_a_project_uses_the_fixtures_without_asking(tmp_path) -> None:
    """In a pytest of its own, on both loops."""
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
        import pytest
        from flowkit import Flow, listen, start
        from flowkit.testing import assert_path

        class Naps(Flow):
            @start()
            async def nap(self):
                await self.sleep("14d")
                return "slept"

        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        @pytest.mark.anyio
        async def test_async(jumping_clock, memory_store, anyio_backend):
            flow = Naps()
            assert await flow.kickoff_async() == "slept"
            assert_path(flow, "nap")

        def test_sync(jumping_clock, stub_step, event_bus):
            stub_step(Naps, "nap", returns="stub")
            assert Naps().kickoff() == "stub"
        """)
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    plugins = ("-p", "pytest_flowkit", "-p", "anyio.pytest_plugin")
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # none but these
        },
    )
    assert "3 passed" in told.stdout, told.stdout
