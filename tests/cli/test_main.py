"""The way in: the overview, the help of every verb, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import getdoc
from itertools import pairwise

import pytest

import flowkit as library
from flowkit.cli.main import NEEDED
from flowkit.cli.verbs import VERBS, overview
from tests.cli.command import environment, flowkit


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_overview_names_every_verb(tmp_path, words):
    """It is data, and no error."""
    done = flowkit(tmp_path, *words, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == overview()
    for name, verb in VERBS.items():
        assert f"  {name:<12}  {verb.summary}\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version_is_the_packages(tmp_path):
    """And nothing else is printed."""
    done = flowkit(tmp_path, "--version", fresh=True)
    assert (done.returncode, done.stdout) == (0, f"{library.__version__}\n")


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_has_its_example(tmp_path, name):
    """Its first line is what the overview says, its last one the example."""
    env = {"COLUMNS": "100"}
    done = flowkit(tmp_path, name, "--help", env=env, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: flowkit {name}")
    assert lines[2].rstrip() == VERBS[name].summary
    assert f"Example: {VERBS[name].example}" in done.stdout


@pytest.mark.parametrize("columns", ["50", "80"])
def test_help_flows_with_the_terminal(tmp_path, columns):
    """A paragraph is broken where the terminal ends, not where the docstring was."""
    done = flowkit(tmp_path, "send", "--help", env={"COLUMNS": columns}, fresh=True)
    said = done.stdout.partition("\n\n")[2].partition("\n\n")[2].partition("\n\n")[0]
    lines = [line.rstrip() for line in said.splitlines()]
    for line, following in pairwise(lines):
        assert len(line) <= int(columns) < len(f"{line} {following.split()[0]}")


@pytest.mark.parametrize("name", VERBS)
def test_summary_is_the_docstrings(name):
    """One sentence, written once for the overview and once where the verb is."""
    function = getattr(import_module(f"flowkit.cli.{name}"), name)
    assert getdoc(function).splitlines()[0] == VERBS[name].summary


def test_overview_loads_no_library(tmp_path):
    """It comes before the imports that cost time."""
    code = (
        "import sys; from flowkit.cli.main import main; main(['--help']); "
        "print([n for n in ('cyclopts', 'rich', 'apsw', 'pydantic') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("words", ["[]", "['--help']", "['runs']"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path, name, words):
    """Whatever is asked for."""
    code = (
        f"import sys; sys.modules[{name!r}] = None; "
        f"from flowkit.cli.main import main; sys.exit(main({words}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "The command line needs the extra 'cli', which is not installed. "
        "Install it: pip install 'flowkit[cli]'\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "There is no verb 'rnu'. Did you mean 'run'?"),
        (["xyzzy"], "There is no verb 'xyzzy'. flowkit --help lists them."),
        (["runs", "--limt", "3"], "Unknown option: --limt. Did you mean --limit?"),
        (["show"], 'Command "show" parameter RUN requires an argument.'),
        (["runs", "-n", "x"], None),
    ],
)
def test_wrong_words_are_a_usage_error(tmp_path, words, said):
    """Exit code 2, one sentence on stderr, nothing on stdout."""
    done = flowkit(tmp_path, *words, fresh=True)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    if said is not None:
        assert line.removeprefix("error: ").startswith(said), line


def test_a_closed_pipe_is_no_error(project):
    """As with ``flowkit replay RUN | head -1``."""
    flowkit(project, "run", "shop", "--id", "r")
    done = subprocess.run(
        f"{sys.executable} -P -m flowkit replay r | true",
        shell=True,
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
