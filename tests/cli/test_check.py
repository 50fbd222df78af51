"""``flowkit check``: every fault of every flow, with its place."""

from __future__ import annotations

import pytest

from tests.cli.command import as_json, flowkit

FAULTY = """\
from flowkit import Flow, listen, router, start


class First(Flow):
    @start()
    def begin(self):
        return 1

    @listen("begn")
    def typo(self):
        return 2

    @listen
    def bare(self):
        return 3


class Second(Flow):
    @start()
    @router(emit=["good", "bad"])
    def choose(self):
        return "good"

    @listen("good")
    def kickoff(self):
        return 4
"""

LATE = """\
import time
from typing import Literal

from flowkit import Flow, and_, listen, router, start


class Late(Flow):
    @start()
    async def count(self) -> int:
        time.sleep(1)
        return 1

    @router(count)
    def check(self, count: str) -> Literal["good", "bad"]:
        return "good"

    @listen(and_("good", "bad"))
    def both(self):
        return 2
"""


def test_a_project_without_faults_ends_with_0(project):
    """All flows of the modules it names are looked at."""
    done = flowkit(project, "check")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "5 flows checked: no faults\n"
    assert not (project / ".flowkit").exists()


def test_all_faults_of_all_flows_are_listed(project):
    """Errors first, each with a cure; the exit code is 1."""
    (project / "faulty.py").write_text(FAULTY)
    done = flowkit(project, "check", "faulty.py")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "error: First.bare is no step: @listen decorates nothing without parentheses "
        "here. Write @listen(..). (faulty.py:13)",
        "error: First.typo listens to 'begn', but no step, route or event has that "
        "name. Did you mean 'begin'? (faulty.py:9)",
        "error: Second.kickoff takes the name of a Flow verb. Rename the step. "
        "(faulty.py:24)",
        "warning: Second.choose declares 'bad', but no step listens to it; the branch "
        "ends there. (faulty.py:19)",
    ]
    assert done.stderr == "2 flows checked: 3 errors, 1 warning\n"


def test_faults_as_json(project):
    """With level, flow and step."""
    (project / "faulty.py").write_text(FAULTY)
    found = as_json(flowkit(project, "check", "faulty.py", "--json"))
    assert found["flows"] == ["faulty:First", "faulty:Second"]
    assert [
        (each["level"], each["flow"], each["step"]) for each in found["faults"]
    ] == [
        ("error", "faulty:First", "bare"),
        ("error", "faulty:First", "typo"),
        ("error", "faulty:Second", "kickoff"),
        ("warning", "faulty:Second", "choose"),
    ]


def test_warnings_alone_are_no_failure(project):
    """They are told all the same."""
    text = FAULTY.partition("class Second")[2].replace("kickoff", "go")
    head = FAULTY.partition("class First")[0]
    lost = '\n    @listen("nowhere_at_all")\n    def lost(self):\n        return 5\n'
    (project / "odd.py").write_text(f"{head}class Second{text}{lost}")
    done = flowkit(project, "check", "odd.py")
    assert done.returncode == 0
    assert done.stderr == "1 flow checked: 2 warnings\n"


def test_a_strict_flow_has_errors_for_warnings(project):
    """As at its definition."""
    text = FAULTY.partition("class Second")[2].replace("kickoff", "go")
    head = FAULTY.partition("class First")[0]
    strict = text.replace("(Flow)", "(Flow, strict=True)")
    (project / "odd.py").write_text(f"{head}class Second{strict}")
    done = flowkit(project, "check", "odd.py")
    assert (done.returncode, done.stderr) == (1, "1 flow checked: 1 error\n")


def test_a_module_that_cannot_be_imported_is_an_error(project):
    """The others are checked all the same."""
    (project / "broken.py").write_text("import flowkit\nlost\n")
    done = flowkit(project, "check", "broken.py", "shop", "nobody.py")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "error: broken cannot be imported: NameError: name 'lost' is not defined. Mend "
        "that first; the rest of it is not checked. (broken.py:2)",
        "error: There is no file 'nobody.py'. Give module:Class, a file, or a name "
        "under [tool.flowkit.flows] in pyproject.toml.",
    ]
    assert done.stderr.endswith("5 flows checked: 2 errors\n")


def test_what_only_a_check_finds_is_told(project):
    """Types that cannot fit, blocking calls, joins that can never be met."""
    (project / "late.py").write_text(LATE)
    done = flowkit(project, "check", "late.py:Late")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "error: Late.both waits for and_(good, bad), which can never be met: check runs "
        "once and chooses one of 'good' and 'bad'. Write or_(..) if either is enough, "
        "or have the router return both labels. (late.py:17)",
        "warning: Late.check takes count: str, but count gives int. Change one of the "
        "two, or put a step between them. (late.py:13)",
        "hint: Late.count is async and calls time.sleep(), which stops the event loop "
        "and every run on it. Use `await anyio.sleep(..)`, or `await self.sleep(..)`, or "
        "make the step synchronous: it runs in a thread then. (late.py:10)",
    ]
    found = as_json(flowkit(project, "check", "late.py", "--json"))
    assert found["faults"][0]["file"] == str(project / "late.py")


def test_faults_of_flows_that_a_module_imports_are_its_own(project):
    """They would stop it as well; strict ones too."""
    (project / "base.py").write_text(FAULTY)
    (project / "uses.py").write_text("import flowkit\nfrom base import First\n")
    done = flowkit(project, "check", "uses.py")
    assert done.returncode == 1
    assert done.stderr == "2 flows checked: 3 errors, 1 warning\n"


def test_a_file_named_like_a_module_of_python_is_checked_all_the_same(project):
    """The file, not the module."""
    (project / "time.py").write_text(FAULTY)
    done = flowkit(project, "check", "time.py")
    assert done.stderr == "2 flows checked: 3 errors, 1 warning\n"


@pytest.mark.parametrize("pyproject", [None, "[project]\nname = 'x'\n"])
def test_without_names_every_file_that_uses_flowkit_is_checked(tmp_path, pyproject):
    """Not those of an environment or a hidden folder."""
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    for name in ("a/one.py", "two.py", ".venv/three.py", "venv/four.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(FAULTY)
    (tmp_path / "plain.py").write_text("raise SystemExit(1)\n")
    found = as_json(flowkit(tmp_path, "check", "--json"))
    assert found["flows"] == ["a.one:First", "a.one:Second", "two:First", "two:Second"]


def test_warnings_of_a_run_are_one_line(project):
    """Talk, not data."""
    text = FAULTY.partition("class Second")[2].replace("kickoff", "go")
    head = FAULTY.partition("class First")[0]
    (project / "odd.py").write_text(f"{head}class Second{text}")
    done = flowkit(project, "run", "odd.py", "-q", "--id", "o")
    assert (done.returncode, done.stdout) == (0, "4\n")
    assert done.stderr == (
        "warning: Second.choose declares 'bad', but no step listens to it; the branch "
        "ends there. (odd.py:5)\nrun o completed\n"
    )
