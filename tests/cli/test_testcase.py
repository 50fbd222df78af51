"""``flowkit testcase``: a test cut from a run, which passes."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.command import environment, flowkit


def outcome_of(folder, *sources):
    """The generated tests, as pytest runs them in the project, with its own plugin."""
    for number, source in enumerate(sources):
        (folder / f"test_cut_{number}.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *("-p", "no:cacheprovider")],
        cwd=folder,
        env=environment(
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_PLUGINS="pytest_flowkit"
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_run_becomes_a_test_that_passes_until_the_flow_changes(project):
    """Only source is on stdout; it needs no store."""
    flowkit(project, "run", "shop", "-i", "pieces=3", "--id", "r", "-q")
    done = flowkit(project, "testcase", "r", "--stub", "price", "--name", "test_three")
    assert (done.returncode, done.stderr) == (0, "")
    assert "def test_three():" in done.stdout
    assert 'with stub(Shop, "price", in_turn=[12]):' in done.stdout
    (project / ".flowkit").rename(project / "gone")
    assert "1 passed" in outcome_of(project, done.stdout).stdout
    flows = project / "flows.py"
    flows.write_text(flows.read_text().replace(" to {self", " for {self"))
    failed = outcome_of(project, done.stdout)
    assert failed.returncode == 1
    assert "'3 for Berlin' == '3 to Berlin'" in failed.stdout


def test_events_and_answers_are_in_the_test(project):
    """A run that waited for both, from several processes."""
    flowkit(project, "run", "bill", "-i", "item=lamp", "--id", "b", "-q")
    flowkit(project, "send", "paid", "-d", '{"amount": 40}')
    flowkit(project, "run", "flows:Question", "--id", "q", "-q")
    flowkit(project, "answer", "q", "blue")
    flowkit(project, "answer", "q", "3")
    bill, question = (flowkit(project, "testcase", each).stdout for each in "bq")
    assert 'Arrives("paid", {"amount": 40})' in bill
    assert question.count("Answers(") == 2
    whole = flowkit(project, "testcase", "b", "--stub-all").stdout
    done = outcome_of(project, bill, question, whole)
    assert "3 passed" in done.stdout, done.stdout


def test_what_cannot_be_cut_is_refused(project):
    """With the code that tells why, and nothing on stdout."""
    flowkit(project, "run", "shop", "--id", "r", "-q")
    wrong = {
        ("r", "--stub", "prise"): (2, "Run 'r' has no step 'prise' to stub."),
        ("x",): (
            5,
            f"There is no run 'x' in sqlite:///{project / '.flowkit' / 'journal.db'}. "
            f"Look at the ids with `runs.list()` or `flowkit runs`, or check which store is meant.",
        ),
    }
    for words, (code, text) in wrong.items():
        done = flowkit(project, "testcase", *words)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr == f"error: {text}\n"
