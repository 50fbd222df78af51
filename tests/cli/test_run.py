"""``flowkit run``: targets, inputs, results, exit codes."""

from __future__ import annotations

import signal

import pytest

from tests.cli.command import as_json, begun, flowkit


def first_error(done):
    """The sentence after ``error:``."""
    [line] = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    "target", ["shop", "flows:Shop", "flows.py:Shop", "./flows.py:Shop"]
)
def test_result_goes_to_stdout_and_talk_to_stderr(project, target):
    """However the flow is named."""
    done = flowkit(project, "run", target, "-i", "pieces=3", "--id", "r1")
    assert (done.returncode, done.stdout) == (0, "3 to Berlin\n")
    said = done.stderr.splitlines()
    assert said[0] == "Shop.price started"
    assert said[1].startswith("Shop.price done in ")
    assert "Shop.size -> small" in said
    assert said[-1] == "run r1 completed"


TAKEN = """

class Taken(Flow):
    @start(on=event("taken"))
    def take(self, payload: Order):
        return payload.pieces
"""


def test_inputs_come_from_json_and_from_words(project):
    """Words win; text stays text where the state has text."""
    (project / "in.json").write_text('{"pieces": 2, "city": "Ulm"}')
    done = flowkit(project, "run", "shop", "-d", "@in.json", "-i", "city=01067")
    assert done.stdout == "2 to 01067\n"
    done = flowkit(project, "run", "shop", "-d", "-", input='{"pieces": 5}')
    assert done.stdout == "5 to Berlin\n"


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (
            "shop",
            "Invalid inputs for structured state: Shop does not take them as Order",
        ),
        ("flows:Taken", "The payload for Taken.take does not fit Order"),
    ],
)
def test_inputs_that_do_not_fit_leave_nothing_behind(project, flow, said):
    """Neither a run nor a store made for it."""
    with (project / "flows.py").open("a") as file:
        file.write(TAKEN)
    done = flowkit(project, "run", flow, "-i", "pieces=many", "--id", "r")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {said}: pieces: Input should be a valid integer, unable to parse "
        f"string as an integer, got 'many'\n"
    )
    assert not (project / ".flowkit").exists()


def test_an_input_that_no_field_takes_is_told(project):
    """A kickoff leaves it out, as it may be for somebody else."""
    done = flowkit(project, "run", "shop", "-i", "piecs=3", "-i", "x=1", "-q")
    assert (done.returncode, done.stdout) == (0, "1 to Berlin\n")
    assert done.stderr.splitlines()[:2] == [
        "warning: Shop has no field 'piecs': this input is left out. Did you mean "
        "'pieces'?",
        "warning: Shop has no field 'x': this input is left out.",
    ]
    done = flowkit(project, "run", "bill", "-i", "item=lamp", "-q")
    assert "no field" not in done.stderr


def test_json_says_all_of_it(project):
    """One object, whatever the steps print."""
    done = flowkit(project, "run", "shop", "--id", "r1", "--json", "-q")
    assert as_json(done) == {
        "id": "r1",
        "flow": "flows:Shop",
        "status": "completed",
        "result": "1 to Berlin",
        "error": "",
        "steps": [
            {"step": "price", "status": "done", "fired": 1},
            {"step": "size", "status": "done", "fired": 1},
            {"step": "confirm", "status": "done", "fired": 1},
        ],
    }
    assert done.stderr == "run r1 completed\n"


def test_a_step_that_fails_ends_with_1(project):
    """Step, attempt, error and place in one line; no traceback."""
    done = flowkit(project, "run", "shop", "-i", "pieces=0", "--id", "r1", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    line = 1 + (project / "flows.py").read_text().split("\n").index(
        '            raise ValueError("nothing to sell")'
    )
    assert done.stderr == (
        "run r1 failed\n"
        f"error: step Shop.size, attempt 1: ValueError: nothing to sell (flows.py:{line})\n"
        "  mend it, then go on: flowkit resume r1\n"
    )


def test_debug_shows_the_traceback(project):
    """Only then."""
    done = flowkit(project, "run", "shop", "-i", "pieces=0", "--debug")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_a_run_that_waits_ends_with_3(project):
    """It says what for, and the command that gives it, but no token."""
    done = flowkit(project, "run", "shop", "-i", "pieces=50", "--id", "r1", "-q")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == ("run r1 waiting\n  asks 'Sell?': flowkit approve r1\n")


def test_a_run_that_gives_up_ends_with_4(project):
    """As ``self.abort`` does."""
    done = flowkit(project, "run", "flows:Stops", "-q")
    assert done.returncode == 4


def test_the_same_id_is_the_same_run(project):
    """Its result is given again, nothing runs."""
    flowkit(project, "run", "shop", "--id", "r1")
    done = flowkit(project, "run", "shop", "--id", "r1")
    assert (done.returncode, done.stdout) == (0, "1 to Berlin\n")
    assert done.stderr == "run r1 completed\n"
    done = flowkit(project, "run", "shop", "--id", "r1", "-i", "pieces=2")
    assert done.returncode == 2
    assert first_error(done) == (
        "Run 'r1' of flows:Shop was begun with other inputs. The same id means the "
        "same kickoff: give these inputs an id of their own."
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["flows:Shp"],
            5,
            "There is no flow 'Shp' in flows.py. Did you mean 'Shop'?",
        ),
        (
            ["shopp"],
            5,
            "There is no flow 'shopp'. Did you mean 'shop'? Give module:Class, a "
            "file, or a name under [tool.flowkit.flows] in pyproject.toml.",
        ),
        (["flow.py"], 5, "There is no file 'flow.py'. Did you mean 'flows.py'?"),
        (
            ["flow:Shop"],
            5,
            "There is no module 'flow' for 'flow:Shop'. Did you mean 'flows'?",
        ),
        (
            ["flows.py"],
            2,
            "flows.py has several flows: Bill, Question, Shop, Slow, Stops. Name one: "
            "flows.py:Bill",
        ),
        (
            ["flows:Order"],
            2,
            "'Order' in flows.py is no flow class. Give module:Class, a file, or a "
            "name under [tool.flowkit.flows] in pyproject.toml.",
        ),
        (
            ["shop", "-i", "pieces=many"],
            2,
            "Invalid inputs for structured state: Shop does not take them as Order: "
            "pieces: Input should be a valid integer, unable to parse string as an "
            "integer, got 'many'",
        ),
        (
            ["shop", "-i", "pieces"],
            2,
            "'pieces' is no input. Write name=value, such as pieces=3.",
        ),
        (
            ["shop", "-d", "[1]"],
            2,
            "Inputs are a JSON object, not [1]. Write -d '{\"pieces\": 3}'.",
        ),
        (
            ["shop", "-d", "@none.json"],
            5,
            "The file 'none.json' of -d cannot be read: No such file or directory.",
        ),
        (
            ["shop", "-d", "x"],
            2,
            "What -d gives is no JSON: Expecting value: line 1 column 1 (char 0). A "
            "text is written -d '\"x\"'.",
        ),
        (
            ["shop", "--store", "sqlit:///x.db"],
            1,
            "There is no store of the kind 'sqlit'. Did you mean 'sqlite'? Write "
            "sqlite:///journal.db, postgresql://user@host/database or memory:.",
        ),
        (
            ["shop", "--store", "postgresql://localhost:1/x"],
            1,
            "No PostgreSQL server answers at localhost:1: Connection refused. Start "
            "it, or correct host and port in the store's URL.",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(project, words, code, said):
    """With the exit code that says whose turn it is; nothing has run."""
    done = flowkit(project, "run", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"error: {said}\n"
    if "pieces=many" not in words:  # the kickoff had its store by then
        assert not (project / ".flowkit").exists()


def test_a_module_that_raises_shows_its_own_lines(project):
    """Those of the import system are left out."""
    (project / "broken.py").write_text("def made():\n    return lost\n\n\nmade()\n")
    done = flowkit(project, "run", "broken.py")
    assert done.returncode == 1
    assert f'File "{project}/broken.py", line 5, in <module>' in done.stderr
    assert "importlib" not in done.stderr
    assert first_error(done) == (
        "broken could not be imported: NameError: name 'lost' is not defined"
    )


def test_a_file_in_a_folder_is_a_module_of_the_project(project):
    """So that any command of the project finds it again."""
    (project / "src").mkdir()
    (project / "src" / "inner.py").write_text((project / "flows.py").read_text())
    (project / "jobs").mkdir()
    (project / "jobs" / "deep.py").write_text((project / "flows.py").read_text())
    for file, flow in {"src/inner.py": "inner", "jobs/deep.py": "jobs.deep"}.items():
        done = flowkit(project, "run", f"{file}:Shop", "--json", "-q", "--id", flow)
        assert as_json(done)["flow"] == f"{flow}:Shop"
        assert flowkit(project / "jobs", "show", flow).returncode == 0


def test_pyproject_that_cannot_be_read_is_named(project):
    """A usage error, with line and column."""
    (project / "pyproject.toml").write_text("[tool.flowkit\n")
    done = flowkit(project, "run", "shop")
    assert done.returncode == 2
    assert first_error(done).startswith(f"{project}/pyproject.toml cannot be read: ")


def test_runs_are_kept_where_it_is_said(project):
    """--store, else the class's, else FLOWKIT_STORE, else the project's."""
    flowkit(project, "run", "shop", "--store", "sqlite:///a.db", "-q")
    assert (project / "a.db").exists()
    flowkit(project, "run", "shop", "-q", env={"FLOWKIT_STORE": "sqlite:///b.db"})
    assert (project / "b.db").exists()
    flowkit(project, "run", "shop", "-q", "--store", "memory:")
    assert not (project / ".flowkit").exists()
    (project / "inner").mkdir()
    flowkit(project / "inner", "run", "shop", "-q")
    assert (project / ".flowkit" / "journal.db").exists()
    assert (project / ".flowkit" / ".gitignore").exists()


def test_ctrl_c_keeps_the_run(project):
    """Exit code 130; the run goes on in another process, finished steps stay so."""
    process = begun(project, "run", "slow", "--id", "s1")
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert said.splitlines()[-1] == (
        "error: interrupted. Go on with: flowkit resume s1"
    )
    (project / "go").touch()
    done = flowkit(project, "resume", "s1", "-q")
    assert (done.returncode, done.stdout) == (0, 'hangs\n{"attempt": 2}\n')


def test_a_killed_run_goes_on(project):
    """As after a power failure."""
    process = begun(project, "run", "slow", "--id", "s1")
    assert process.stdout.readline() == "hangs\n"
    process.kill()
    process.communicate()
    (project / "go").touch()
    done = flowkit(project, "resume", "s1")
    assert (done.returncode, done.stdout) == (0, 'hangs\n{"attempt": 2}\n')
    assert "Slow.second started: attempt 2" in done.stderr
    assert "Slow.first started" not in done.stderr


def test_ctrl_c_of_a_run_in_memory_cancels_it(project):
    """There is nothing to go on with."""
    process = begun(project, "run", "slow", "--store", "memory:")
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        "error: interrupted. The run was kept in memory only, and is gone."
    )


def test_a_locked_journal_is_one_sentence(project):
    """After the seconds a store waits for others."""
    import sqlite3

    flowkit(project, "run", "shop", "-q")
    path = project / ".flowkit" / "journal.db"
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    places = ("opening", "faults")
    patience = {f"flowkit.journal.sqlite.{each}.PATIENCE": 0.2 for each in places}
    done = flowkit(project, "run", "shop", "-q", patched=patience)
    held.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: The journal {path} was locked by another process for more than "
        f"0.2 seconds; nothing was written. End what holds it, or try again.\n"
    )


def test_hints_name_a_store_that_would_not_be_found(project):
    """So that the command can be typed as it stands there."""
    words = ["shop", "-i", "pieces=50", "--id", "r1", "-q"]
    done = flowkit(project, "run", *words, "--store", "sqlite:///own.db")
    said = done.stderr.splitlines()[1]
    store = f"--store sqlite:///{project}/own.db"
    assert said == f"  asks 'Sell?': flowkit approve r1 {store}"
    done = flowkit(project, *said.split()[3:])
    assert (done.returncode, done.stdout) == (0, "50 to Berlin\n")
    done = flowkit(project, "run", *words, "--store", "memory:")
    assert done.returncode == 3
    assert done.stderr == (
        "run r1 waiting\n  it was kept in memory only, and is gone\n"
    )


def test_a_step_that_exits_does_not_go_unsaid(project):
    """The run is kept, the process ends with 1."""
    (project / "odd.py").write_text(
        "import sys\nfrom flowkit import Flow, start\n\n\n"
        "class Odd(Flow):\n    @start()\n    def leave(self):\n        sys.exit(0)\n"
    )
    done = flowkit(project, "run", "odd.py", "--id", "o1", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: a step ended the process (SystemExit). Go on with: flowkit resume o1\n"
    )


@pytest.mark.parametrize("words", [[], ["-q"]])
def test_a_join_that_cannot_fire_is_told(project, words):
    """Also where no progress is shown; the run has completed all the same."""
    (project / "odd.py").write_text(
        "from flowkit import Flow, and_, listen, router, start\n\n\n"
        "class Odd(Flow):\n"
        "    @start()\n    @router(emit=['a', 'b'])\n"
        "    def choose(self):\n        return 'a'\n\n"
        "    @listen(and_('a', 'b'))\n"
        "    def both(self):\n        return 1\n"
    )
    done = flowkit(project, "run", "odd.py", "--id", "o1", *words)
    assert (done.returncode, done.stdout) == (0, "a\n")
    [line] = [each for each in done.stderr.splitlines() if "warning" in each]
    assert line.startswith("warning: Odd.both ")


def test_a_result_is_json_whatever_it_is(project):
    """Sets, bytes, models and what JSON has no word for."""
    (project / "odd.py").write_text(
        "from flowkit import Flow, start\n\n\n"
        "class Odd(Flow):\n    @start()\n    def all(self):\n"
        "        return {'nan': float('nan'), 'set': {1}, 'bytes': b'\\xff', 'big': 2**70}\n"
    )
    done = flowkit(project, "run", "odd.py", "-q")
    assert as_json(done) == {"nan": "NaN", "set": [1], "bytes": "_w==", "big": 2**70}


@pytest.mark.parametrize("target", ["adds.py", "adds:add"])
def test_a_function_flow_is_a_flow(project, target):
    """Its parameters are the inputs."""
    (project / "adds.py").write_text(
        "from flowkit.functions import flow, step\n\n\n"
        "@step\nasync def one_more(x):\n    return x + 1\n\n\n"
        "@flow\nasync def add(x: int) -> int:\n    return await one_more(x)\n"
    )
    done = flowkit(project, "run", target, "-i", "x=1", "-q")
    assert (done.returncode, done.stdout) == (0, "2\n")
    done = flowkit(project, "run", target, "-i", "x=one", "-q")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: add(..) does not take these arguments: x: Input should be a valid "
        "integer, unable to parse string as an integer, got 'one'. (adds.py:9)\n"
    )
