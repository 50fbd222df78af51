"""``approve``, ``reject``, ``answer`` and ``send``: the outside answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import as_json, environment, flowkit


@pytest.fixture
def asking(project):
    """A run that waits for a decision."""
    flowkit(project, "run", "shop", "-i", "pieces=50", "--id", "r1", "-q")
    return project


def test_approve_goes_on_with_the_run(asking):
    """And ends as the run does."""
    done = flowkit(asking, "approve", "r1", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, "50 to Berlin\n")
    assert done.stderr.splitlines()[0] == "answered: Sell?"


def test_reject_says_why(asking):
    """The flow gets the comment."""
    done = flowkit(asking, "reject", "r1", "--comment", "too many", "--json")
    assert as_json(done)["result"] == "not sold: too many"


def test_an_answer_may_be_left_for_later(asking):
    """Whoever resumes the run finds it."""
    done = flowkit(asking, "approve", "r1", "--later")
    assert (done.returncode, done.stdout) == (0, "")
    assert flowkit(asking, "resume", "r1", "-q").stdout == "50 to Berlin\n"


def test_a_run_that_asks_nobody_is_not_found(asking):
    """It says how it stands."""
    flowkit(asking, "approve", "r1")
    done = flowkit(asking, "approve", "r1")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        "error: Run 'r1' asks nobody: it is completed, without an open task.\n"
    )


def test_answer_takes_text_and_json(project):
    """One of some options, then a number."""
    done = flowkit(project, "run", "flows:Question", "--id", "q1", "-q")
    assert done.returncode == 3
    assert done.stderr.splitlines()[1] == "  asks 'Which colour?': flowkit answer q1"
    done = flowkit(project, "answer", "q1", "green")
    assert (done.returncode, done.stdout) == (2, "")
    done = flowkit(project, "answer", "q1", "blue")
    assert (done.returncode, done.stdout) == (3, "")
    done = flowkit(project, "answer", "q1", "7")
    assert (done.returncode, done.stdout) == (0, "7 blue\n")


def test_an_event_begins_a_run_and_another_wakes_it(project):
    """Found by the key; the ids are data."""
    words = ["--key", "k1", "-d", '{"item": "lamp"}']
    done = flowkit(project, "send", "ordered", *words)
    assert done.returncode == 0
    id, status = done.stdout.strip().split("\t")
    assert status == "waiting"
    (project / "paid.json").write_text('{"amount": 40}')
    words = ["--key", "k1", "-d", "@paid.json", "--id", "e1"]
    done = flowkit(project, "send", "paid", *words)
    assert (done.returncode, done.stdout) == (0, f"{id}\tcompleted\n")
    assert "Bill.ship started" in done.stderr
    done = flowkit(project, "send", "paid", *words, "--json")
    assert as_json(done)["status"] == "duplicate"
    assert as_json(flowkit(project, "show", id, "--json"))["result"] == "lamp for 40"


def test_a_run_that_waits_is_found_without_a_project(project):
    """By its class's stored name."""
    flowkit(project, "send", "ordered", "--key", "k", "-d", '{"item": "lamp"}')
    (project / "pyproject.toml").write_text("")
    done = flowkit(project, "send", "paid", "--key", "k", "-d", '{"amount": 1}')
    assert done.returncode == 0
    assert done.stdout.endswith("\tcompleted\n")


def test_a_run_that_fails_on_the_event_ends_with_1(project):
    """The event itself was taken."""
    flowkit(project, "send", "ordered", "--key", "k", "-d", '{"item": "lamp"}')
    done = flowkit(project, "send", "paid", "--key", "k", "-d", '{"amount": -1}')
    assert done.returncode == 1
    assert done.stdout.endswith("\tfailed\n")
    assert "ValueError: less than nothing" in done.stderr


def test_an_event_that_comes_early_is_kept(project):
    """A run that waits later takes it."""
    done = flowkit(project, "send", "paid", "--key", "k", "-d", '{"amount": 3}')
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "kept: no run waits for it yet\n"
    done = flowkit(project, "send", "ordered", "--key", "k", "-d", '{"item": "lamp"}')
    assert done.stdout.endswith("\tcompleted\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["piad"],
            5,
            "No flow and no handler takes the event 'piad'. Did you mean 'paid'?",
        ),
        (
            ["paid", "-d", "{"],
            2,
            "What -d gives is no JSON: Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1). A text is written -d '\"{\"'.",
        ),
        (
            ["paid", "--flow", "flows:Bil"],
            5,
            "There is no flow 'Bil' in flows.py. Did you mean 'Bill'?",
        ),
    ],
)
def test_what_is_wrong_with_an_event_is_one_sentence(project, words, code, said):
    """Nobody takes it, or it is none."""
    done = flowkit(project, "send", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"error: {said}\n"


def test_an_event_without_any_flow_says_where_to_name_one(tmp_path):
    """In an empty folder."""
    done = flowkit(tmp_path, "send", "paid")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        f"error: No flow takes the event 'paid': none is named under "
        f"[tool.flowkit.flows] in {tmp_path}/pyproject.toml, and no stored run waits "
        f"for it. Name one: --flow module:Class.\n"
    )


def test_json_tells_no_token(asking):
    """It would let its reader answer; the run's id needs the store, too."""
    import sqlite3

    held = sqlite3.connect(asking / ".flowkit" / "journal.db")
    [(token,)] = held.execute("SELECT token FROM wait WHERE token <> ''").fetchall()
    held.close()
    for words in (["runs"], ["show", "r1"], ["history", "r1"], ["run", "shop"]):
        for more in ([], ["--json"]):
            done = flowkit(asking, *words, *more)
            assert token not in done.stdout + done.stderr
    found = as_json(flowkit(asking, "show", "r1", "--json"))
    assert (found["waits"], [each["place"] for each in found["asks"]]) == ([], ["3:0"])


def test_a_run_that_a_living_process_holds_is_left_to_it(project):
    """The answer is in its inbox; the approval is done."""
    (project / "holds.py").write_text(
        "from flowkit.journal.urls import open_store\n"
        "from flowkit.journal.rows import Owner\n"
        "store = open_store()\n"
        "store.beat(Owner('other', 4e9))\n"
        "assert store.claim('r1', 'other', 0.0)\n"
    )
    flowkit(project, "run", "shop", "-i", "pieces=50", "--id", "r1", "-q")
    subprocess.run(
        [sys.executable, "holds.py"], cwd=project, env=environment(), check=True
    )
    done = flowkit(project, "approve", "r1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "answered: Sell?\nthe process that moves the run goes on with it\n"
    )
    done = flowkit(project, "resume", "r1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Run 'r1' is being moved by another process.")
