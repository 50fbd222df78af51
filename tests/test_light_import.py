from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "apsw",
    "asyncio",
    "cronsim",
    "cyclopts",
    "datetime",
    "flowkit.cli",
    "flowkit.define.schedules",
    "flowkit.runtime.scheduler",
    "graphlay",
    "json",
    "pydantic",
    "rich",
    "sqlite3",
    "trio",
    "zoneinfo",
]


def _loaded(statement: str) -> set[str]:
    """Names in ``sys.modules`` of a fresh interpreter after ``statement``."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def added() -> set[str]:
    """What ``import flowkit`` loads beyond its two light dependencies."""
    return _loaded("import flowkit") - _loaded("import anyio, blinker")


@pytest.mark.parametrize("name", HEAVY)
def test_import_leaves_heavy_module_alone(added, name):
    """It loads when first needed: imports are most of a short command's time."""
    assert name not in added
