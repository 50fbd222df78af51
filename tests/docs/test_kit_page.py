"""The tests that the page about testing shows, run as a reader would run them."""

from __future__ import annotations

import linecache
import os
import re
import subprocess
import sys

from flowkit import check
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "test-a-flow.md"
CHECKS = ROOT / "docs" / "how-to" / "check-a-flow.md"


def blocks(page, language):
    """The blocks of a page in one language."""
    text = page.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_tests_of_the_page_pass(tmp_path) -> None:
    """All of them, the async one on both loops, with the fixtures of the plugin."""
    file = tmp_path / "test_page.py"
    file.write_text("\n\n".join(blocks(PAGE, "python")))
    shown = [
        block for block in blocks(PAGE, "text") if block.startswith("def test_an_order")
    ]
    cut = "from test_page import Order\nfrom flowkit.testing import *\n\n\n"
    (tmp_path / "test_cut.py").write_text(cut + shown[0])
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    plugins = ("-p", "pytest_flowkit", "-p", "anyio.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *plugins]
    told = subprocess.run(
        [*command, "-o", "anyio_mode=auto", "-W", "error", str(tmp_path)],
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
    assert "13 passed" in told.stdout, told.stdout


def test_the_faults_that_the_page_shows_are_those_told(monkeypatch) -> None:
    """Word by word, but for the place."""
    source = blocks(CHECKS, "python")[0]
    names = {"__name__": "orders"}
    lines = source.splitlines(keepends=True)
    monkeypatch.setitem(
        linecache.cache, "orders.py", (len(source), None, lines, "orders.py")
    )
    exec(compile(source, "orders.py", "exec"), names)
    told = "\n".join(fault.text for fault in check(names["Orders"]))
    shown = blocks(CHECKS, "text")[0]
    assert " ".join(shown.split()) == " ".join(told.split())
