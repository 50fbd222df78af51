"""The files beside this one hold for mypy and for pyright."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not find_spec("mypy"), reason="mypy is not installed")
def test_mypy_agrees() -> None:
    """Strictly; an ignore that is not needed is an error."""
    files = sorted(map(str, HERE.glob("check_*.py")))
    options = ("--strict", "--follow-imports=silent")
    done = _run(sys.executable, "-m", "mypy", *options, *files)
    assert (done.stdout + done.stderr).startswith("Success"), done.stdout + done.stderr


@pytest.mark.skipif(not find_spec("pyright"), reason="pyright is not installed")
@pytest.mark.skipif(not shutil.which("node"), reason="pyright needs node")
def test_pyright_agrees() -> None:
    """The same files, read by the other checker."""
    done = _run(
        sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(HERE)
    )
    assert done.returncode == 0, done.stdout + done.stderr
