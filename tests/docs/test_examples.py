"""Each single-file example prints what it is meant to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

OUTPUT = {
    "hello.py": """\
Hello, Ada
Hello, Grace
""",
    "review_loop.py": """\
round 1: 3 words
round 2: 4 words
round 3: 5 words
On tides. More. More. More.
round 1: 3 words
dropped
""",
    "parallel_join.py": """\
a page of web, a page of books, a page of notes
4 calls, 3 sources
""",
    "straight_code.py": """\
fetch tides
summarise 62 characters
fetch winds
summarise 36 characters
the power is gone
publish
tides: The moon pulls the sea
winds: Air flows from high to low pressure
""",
    "isolated.py": """\
converted at attempt 2
no index: Convert.index took more than 2 s
12 pages
""",
    "sub_flows.py": """\
20 paid (small)
300 paid (fine)
900 refused (too much)
365
""",
    "events.py": """\
order 1: completed, lamp shipped
order 2: completed, desk refunded
duplicate
The payload for Purchase.receive does not fit Ordered: total: Field required
""",
}


@pytest.mark.parametrize("name", OUTPUT)
def test_example_prints(name, tmp_path):
    """Run as a reader runs it: by path, from anywhere, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == OUTPUT[name]


def test_every_example_is_here():
    """A file without expected output is not run by anything."""
    files = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert files - {"__init__.py"} == set(OUTPUT)
