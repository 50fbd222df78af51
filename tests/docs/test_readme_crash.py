"""The README's crash: its script, killed and started again, says what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readmes_run_goes_on_after_the_crash(tmp_path) -> None:
    """The block as it stands there, its three commands, their output."""
    text = (ROOT / "README.md").read_text("utf-8")
    script = re.search(r"```python\n(# order\.py\n.*?)```", text, re.DOTALL)
    shown = re.search(r"```console\n(\$ python order\.py.*?)```", text, re.DOTALL)
    assert script is not None
    assert shown is not None
    (tmp_path / "order.py").write_text(script[1], "utf-8")
    said = re.findall(r"^[^$\n].*$", shown[1], re.MULTILINE)
    first = run(tmp_path)
    assert first.returncode == 9
    (tmp_path / "power").touch()
    second = run(tmp_path)
    assert second.returncode == 0
    assert (first.stdout + second.stdout).splitlines() == said
    assert not first.stderr + second.stderr


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """``python order.py`` as a reader has it."""
    paths = os.pathsep.join([str(ROOT), *sys.path])
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    return subprocess.run(
        [sys.executable, "order.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
