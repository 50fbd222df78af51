"""The verbs that look at stored runs and move them."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from flowkit.cli.exits import code_of
from flowkit.cli.output import lasted
from flowkit.runtime.lookup import STATUSES
from tests.cli.command import as_json, begun, flowkit, made_project


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Three runs: r1 done, r2 failed, r3 waiting for a person."""
    folder = made_project(tmp_path_factory.mktemp("stored"))
    for number, pieces in enumerate((3, 0, 50), 1):
        words = ["-i", f"pieces={pieces}", "--id", f"r{number}", "--tag", "demo", "-q"]
        flowkit(folder, "run", "shop", *words)
    return folder


@pytest.fixture
def shop(stored, tmp_path):
    """A project of one's own with these three."""
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    return tmp_path


def lines(done):
    """Cells of each line."""
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_an_exit_code(status):
    """So that none is a surprise."""
    assert code_of(status) in {0, 1, 3, 4}


def test_runs_are_listed_newest_first(shop):
    """A line with tabs each, without a heading, for other programs."""
    found = lines(flowkit(shop, "runs"))
    assert [[id, flow, status] for id, flow, status, *_ in found] == [
        ["r3", "Shop", "waiting"],
        ["r2", "Shop", "failed"],
        ["r1", "Shop", "completed"],
    ]
    assert [row[4] for row in found] == [
        "waits for a person",
        "ValueError: nothing to sell",
        "3 to Berlin",
    ]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--status", "failed"], ["r2"]),
        (["--status", "failed", "--status", "waiting"], ["r3", "r2"]),
        (["--search", "nothing to"], ["r2"]),
        (["--tag", "demo"], ["r3", "r2", "r1"]),
        (["--tag", "other"], []),
        (["-n", "1"], ["r3"]),
        (["shop"], ["r3", "r2", "r1"]),
        (["bill"], []),
        (["--last", "1h"], ["r3", "r2", "r1"]),
    ],
)
def test_runs_are_found_by_what_is_known(shop, words, ids):
    """By flow, status, tag, text and time."""
    found = as_json(flowkit(shop, "runs", "--json", *words))
    assert [run["id"] for run in found] == ids


def test_a_wrong_status_is_a_usage_error(shop):
    """It says which there are."""
    done = flowkit(shop, "runs", "--status", "ended")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: Runs have no status 'ended'. It is one of running, waiting, "
        "completed, failed, cancelled, compensated, expired.\n"
    )


def test_looking_makes_no_store(project):
    """No runs are no error; one that is named and not there is."""
    done = flowkit(project, "runs", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")
    place = project / ".flowkit" / "journal.db"
    said = (
        f"There is no store {place} yet. `flowkit run` makes it with its first run; "
        f"another one is named by --store or FLOWKIT_STORE."
    )
    assert done.stderr == f"{said}\n"
    done = flowkit(project, "show", "r1")
    assert (done.returncode, done.stderr) == (5, f"error: {said}\n")
    done = flowkit(project, "runs", "--store", "sqlite:///none.db")
    assert done.returncode == 5
    assert sorted(each.name for each in project.iterdir() if each.is_dir()) == []


@pytest.mark.parametrize(
    "verb",
    [
        "show",
        "history",
        "replay",
        "watch",
        "resume",
        "requeue",
        "approve",
        "cancel",
        "compensate",
        "fork",
        "rewind",
    ],
)
def test_a_run_that_is_not_there_ends_with_5(shop, verb):
    """Whatever is asked of it."""
    done = flowkit(shop, verb, "nobody")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        f"error: There is no run 'nobody' in sqlite:///{shop}/.flowkit/journal.db. "
        f"Look at the ids with `runs.list()` or `flowkit runs`, or check which store is meant.\n"
    )


def test_an_id_may_be_cut_short_while_it_is_unique(shop):
    """Else it is a usage error that names the runs it may mean."""
    flowkit(shop, "run", "shop", "--id", "zebra", "-q")
    assert as_json(flowkit(shop, "show", "ze", "--json"))["id"] == "zebra"
    done = flowkit(shop, "show", "r")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: 'r' begins several run ids: r1, r2, r3. Give more of it.\n"
    )


def test_show_tells_how_a_run_stands(shop):
    """Facts, then its steps; what to do on stderr."""
    done = flowkit(shop, "show", "r2")
    facts, _, steps = done.stdout.partition("\n\n")
    told = dict(line.split("\t") for line in facts.splitlines())
    assert told["flow"] == "flows:Shop"
    assert (told["status"], told["error"]) == ("failed", "ValueError: nothing to sell")
    assert told["begun"].endswith(" by flowkit run")
    assert json.loads(told["state"]) == {"pieces": 0, "city": "Berlin"}
    rows = [line.split("\t") for line in steps.splitlines()]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("price", "done", "0"),
        ("size", "failed", "ValueError: nothing to sell"),
    ]
    assert done.stderr == "mend it, then go on: flowkit resume r2\n"
    done = flowkit(shop, "show", "r3")
    assert done.stderr == "asks 'Sell?': flowkit approve r3\n"


def test_show_as_json_has_state_and_steps(shop):
    """For other programs."""
    found = as_json(flowkit(shop, "show", "r1", "--json"))
    assert (found["status"], found["result"]) == ("completed", "3 to Berlin")
    assert found["state"] == {"pieces": 3, "city": "Berlin"}
    assert [(each["step"], each["outcome"]) for each in found["steps"]] == [
        ("price", "done"),
        ("size", "done"),
        ("confirm", "done"),
    ]
    assert found["steps"][1]["labels"] == ["small"]


def test_show_needs_no_code(shop):
    """The records say it all."""
    (shop / "flows.py").unlink()
    assert flowkit(shop, "show", "r1").returncode == 0


def test_history_names_the_processes_of_isolated_steps(project):
    """One for each attempt, behind what came of it."""
    (project / "apart.py").write_text(
        "import os\n"
        "from flowkit import Flow, Retry, start\n\n\n"
        "class Apart(Flow):\n"
        '    @start(isolate="process", retry=Retry(2, first=0))\n'
        "    def work(self):\n"
        "        if self.attempt == 1:\n"
        "            os._exit(1)\n"
        "        return os.getpid()\n"
    )
    done = flowkit(project, "run", "apart:Apart", "--id", "a1", "-q")
    [row] = lines(flowkit(project, "history", "a1"))
    first, last = row[-1].rpartition("processes ")[2].split(", ")
    assert first != last
    assert row[-1] == f"{last}; attempt 2; processes {first}, {last}"
    assert done.stdout == f"{last}\n"


def test_history_lists_executions_and_records(shop):
    """As rows, as JSON, and as the records themselves."""
    rows = lines(flowkit(shop, "history", "r1"))
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        ("2", "price", "1", "done"),
        ("3", "size", "1", "done"),
        ("4", "confirm", "1", "done"),
    ]
    assert [each["seq"] for each in as_json(flowkit(shop, "history", "r1", "--json"))]
    done = flowkit(shop, "history", "r1", "--records")
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == [
        "start",
        "done",
        "done",
        "done",
    ]


def test_replay_gives_the_state_after_each_record(shop):
    """What changed for people, all of it as JSON."""
    rows = lines(flowkit(shop, "replay", "r1"))
    assert (rows[0][2], rows[0][5]) == ("start", "pieces=3, city=Berlin")
    found = as_json(flowkit(shop, "replay", "r1", "--seq", "2", "--json"))
    assert [each["seq"] for each in found] == [1, 2]
    assert found[-1]["state"]["pieces"] == 3
    done = flowkit(shop, "replay", "r1", "--seq", "9")
    assert done.returncode == 2
    assert done.stderr == (
        "error: Run 'r1' has records 1 to 4, and no 9. runs.replay('r1') tells what "
        "each of them is.\n"
    )


def test_watch_follows_a_run_to_its_end(project):
    """Records as they come, whoever moves the run; the exit code is the run's."""
    moving = begun(project, "run", "slow", "--id", "s1")
    assert moving.stdout.readline() == "hangs\n"
    watching = begun(project, "watch", "s1", "--json", "--every", "0.05")
    first = json.loads(watching.stdout.readline())
    assert (first["seq"], first["kind"]) == (1, "start")
    (project / "go").touch()
    rest = [json.loads(line) for line in watching.stdout]
    assert [each["step"] for each in rest] == ["first", "second"]
    _, said = watching.communicate(timeout=20)
    moving.communicate(timeout=20)
    assert (watching.returncode, said) == (0, "run s1 completed\n")


def test_watch_ends_as_the_run_has(shop):
    """A failed one with 1."""
    done = flowkit(shop, "watch", "r2")
    assert done.returncode == 1
    assert [line.split()[2] for line in done.stdout.splitlines()] == [
        "start",
        "done",
        "fail",
    ]


def test_resume_goes_on_once_the_step_is_mended(shop):
    """Steps that are done stay so."""
    text = (shop / "flows.py").read_text()
    (shop / "flows.py").write_text(text.replace("if not price:", "if price < 0:"))
    done = flowkit(shop, "resume", "r2")
    assert (done.returncode, done.stdout) == (0, "0 to Berlin\n")
    assert "Shop.price" not in done.stderr


def test_dead_steps_are_listed_with_their_cure(shop):
    """A line a step; JSON has all that is known."""
    done = flowkit(shop, "dead")
    ((run, step, kind, attempts, _, error, cure),) = lines(done)
    assert (run, step, kind, attempts) == ("r2", "Shop.size", "failed", "1")
    assert error == "ValueError: nothing to sell"
    assert cure == "Mend what the error says. Then requeue the run."
    assert done.stderr == "begin one again with: flowkit requeue r2\n"
    assert [each["step"] for each in as_json(flowkit(shop, "dead", "--json"))] == [
        "size"
    ]
    done = flowkit(shop, "dead", "bill")
    assert (done.stdout, done.stderr) == ("", "no step has failed for good\n")


def test_requeue_begins_what_failed_again(shop):
    """One run, or all of a flow; what failed once more is told by the exit code."""
    done = flowkit(shop, "requeue", "r2", "-q")
    assert done.returncode == 1
    assert done.stdout == "r2\tfailed\tValueError: nothing to sell\n"
    text = (shop / "flows.py").read_text()
    (shop / "flows.py").write_text(text.replace("if not price:", "if price < 0:"))
    done = flowkit(shop, "requeue", "--all", "shop", "-q")
    assert (done.returncode, done.stdout) == (0, "r2\tcompleted\t\n")
    done = flowkit(shop, "requeue", "--all", "shop", "-q")
    assert (done.stdout, done.stderr) == ("", "no run of it has failed\n")
    done = flowkit(shop, "requeue", "r1")
    assert done.returncode == 1
    assert "Run 'r1' of" in done.stderr
    done = flowkit(shop, "requeue")
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: Say which run is requeued, or --all and a flow, not both.\n"
    )


def test_resume_all_goes_on_with_those_that_can(project):
    """An interrupted one, not one that waits."""
    process = begun(project, "run", "slow", "--id", "s1")
    assert process.stdout.readline() == "hangs\n"
    process.kill()
    process.communicate()
    (project / "go").touch()
    done = flowkit(project, "resume", "--all", "slow", "-q")
    assert (done.returncode, done.stdout) == (0, "hangs\ns1\tcompleted\n")
    done = flowkit(project, "resume", "--all", "slow")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no run of Slow can go on\n"


@pytest.mark.parametrize("words", [[], ["r1", "--all", "shop"]])
def test_resume_wants_one_run_or_all(shop, words):
    """Not both, not neither."""
    done = flowkit(shop, "resume", *words)
    assert done.returncode == 2
    assert done.stderr == (
        "error: Say which run goes on, or --all and a flow, not both.\n"
    )


def test_fork_tries_it_another_way(shop):
    """A new run from a step, with another state; the old one is left."""
    words = ["--from", "size", "-s", "city=Ulm", "--id", "f1"]
    done = flowkit(shop, "fork", "r1", *words)
    assert (done.returncode, done.stdout) == (0, "f1\n")
    assert done.stderr == "go on with it: flowkit resume f1\n"
    done = flowkit(shop, "resume", "f1", "-q")
    assert done.stdout == "3 to Ulm\n"
    found = as_json(flowkit(shop, "show", "f1", "--json"))
    assert (found["parent"], found["created_by"]) == ("r1", "flowkit fork")
    assert as_json(flowkit(shop, "show", "r1", "--json"))["result"] == "3 to Berlin"
    done = flowkit(shop, "fork", "r1", "--from", "price", "-s", "pieces=9", "--resume")
    assert (done.returncode, done.stdout) == (0, "9 to Berlin\n")
    done = flowkit(shop, "fork", "r1", "--from", "prize")
    assert done.returncode == 1
    assert done.stderr == (
        "error: Step 'prize' has not run in run 'r1'. Did you mean 'price'? These "
        "have: confirm, price, size.\n"
    )


def test_rewind_takes_a_run_back(shop):
    """The same run, from a step; what came since is marked."""
    done = flowkit(shop, "rewind", "r1", "--to", "size", "-s", "city=Ulm", "--resume")
    assert (done.returncode, done.stdout) == (0, "3 to Ulm\n")
    undone = [row[3] for row in lines(flowkit(shop, "history", "r1"))]
    assert undone.count("undone") == 2
    done = flowkit(shop, "rewind", "r1")
    assert done.returncode == 2
    assert done.stderr == (
        "error: Say where run 'r1' goes back to: to_step=, or seq=.\n"
    )


def test_cancel_ends_a_run(shop):
    """One that is over is left as it is."""
    done = flowkit(shop, "cancel", "r3", "--reason", "sold out")
    assert (done.returncode, done.stdout) == (0, "r3\tcancelled\n")
    assert as_json(flowkit(shop, "show", "r3", "--json"))["error"] == "sold out"
    done = flowkit(shop, "cancel", "r1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: Run 'r1' is over already (completed); there is nothing to end.\n"
    )


def test_compensate_undoes_what_a_run_has_done(shop):
    """And ends it; one that is over, or that says of nothing how, is left as it is."""
    (shop / "trips.py").write_text(TRIP)
    command = ("run", "trips.py:Trip", "--id", "t1")
    assert flowkit(shop, *command).returncode == 3
    done = flowkit(shop, "compensate", "t1", "--reason", "sold out", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "cancel hotel\ncancel flight\nt1\tcompensated\tsold out\n"
    done = flowkit(shop, "compensate", "t1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Run 't1' of trips:Trip is compensated, and ")
    done = flowkit(shop, "compensate", "r3")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Run 'r3' is of ")


TRIP = """
from flowkit import Flow, listen, start


class Trip(Flow, evict_after=0):
    def cancel(self, booking):
        print("cancel", booking)

    @start(undo=cancel)
    def flight(self):
        return "flight"

    @listen(flight, undo=cancel)
    def hotel(self):
        return "hotel"

    @listen(hotel)
    def pay(self):
        return self.wait_for("paid")
"""


def test_cancel_takes_a_run_from_its_process(project):
    """That process ends with the code of a cancelled run, and says who did it."""
    moving = begun(project, "run", "slow", "--id", "s1", "-q")
    assert moving.stdout.readline() == "hangs\n"
    done = flowkit(project, "cancel", "s1", "--json")
    assert as_json(done)["status"] == "cancelled"
    (project / "go").touch()
    out, said = moving.communicate(timeout=20)
    assert (moving.returncode, out) == (4, "")
    assert said == "run s1 cancelled\n  another process has cancelled it\n"


def test_purge_deletes_what_is_not_to_be_kept(shop):
    """Not without a word, never what is not over."""
    done = flowkit(shop, "purge", "--keep", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: This deletes runs for good. Say --yes, or look with --dry first.\n"
    )
    done = flowkit(shop, "purge", "--keep", "0", "--dry")
    assert (done.stdout, done.stderr) == (
        "flows:Shop\t1\n",
        "1 run would be deleted\n",
    )
    done = flowkit(shop, "purge", "--keep", "0", "--failures", "--yes", "--json")
    assert as_json(done)["runs"] == ["r2", "r1"]
    assert [row[0] for row in lines(flowkit(shop, "runs"))] == ["r3"]
    done = flowkit(shop, "purge", "--age", "soon", "--yes")
    assert done.returncode == 2


def test_purge_without_a_rule_follows_the_classes(shop):
    """These have none, so that all is kept."""
    done = flowkit(shop, "purge", "--yes")
    assert (done.returncode, done.stderr) == (0, "0 runs deleted\n")


def test_migrate_says_what_it_does(shop):
    """Up to date, pending, applied."""
    path = shop / ".flowkit" / "journal.db"
    done = flowkit(shop, "migrate")
    assert done.returncode == 0
    assert done.stderr == f"sqlite:///{path} is up to date: schema 2\n"
    done = flowkit(shop, "migrate", "--store", "sqlite:///new.db", "--dry")
    assert done.stderr == (
        f"sqlite:///{shop}/new.db: schema 0, 2 migrations would be applied, now 0 of 2\n"
    )
    assert not (shop / "new.db").exists()
    done = flowkit(shop, "migrate", "--store", "sqlite:///new.db", "--json")
    found = as_json(done)
    assert (found["before"]["schema"], found["after"]["schema"]) == (0, 2)


def test_a_newer_schema_is_refused(shop):
    """By every verb that opens the store, in one sentence."""
    path = shop / ".flowkit" / "journal.db"
    with sqlite3.connect(path) as held:
        held.execute("PRAGMA user_version = 99")
    held.close()
    for words in (["runs"], ["migrate"], ["doctor"]):
        done = flowkit(shop, *words)
        assert done.returncode == 1
        said = done.stdout if words == ["doctor"] else done.stderr
        assert (
            f"The journal {path} has schema 99, written by a newer flowkit; this one "
            f"knows up to 2. Upgrade flowkit, or use another file; nothing was changed."
        ) in said


def made_older(path):
    """Take a store back to schema 1, as an older flowkit has left it."""
    with sqlite3.connect(path) as held:
        held.execute("ALTER TABLE letter DROP COLUMN traceparent")
        held.execute("PRAGMA user_version = 1")
    held.close()


def test_an_older_schema_is_told_by_doctor_and_by_whoever_upgrades_it(shop):
    """Once, on stderr; `doctor` and `migrate --dry` change nothing."""
    path = shop / ".flowkit" / "journal.db"
    made_older(path)
    for _ in range(2):
        told = lines(flowkit(shop, "doctor"))
        assert (
            "warning",
            "schema",
            "1 of 2: the next use brings it up to date, or now: flowkit migrate. A "
            "flowkit that knows only 1 cannot use it then",
        ) in [tuple(row) for row in told]
    assert flowkit(shop, "migrate", "--dry").stderr == (
        f"sqlite:///{path}: schema 1, 1 migration would be applied, now 1 of 2\n"
    )
    done = flowkit(shop, "runs")
    assert done.stderr == (
        f"note: The journal {path} was brought from schema 1 to 2: a flowkit that "
        f"knows only 1 cannot use it any more.\n"
    )
    assert done.stdout
    again = flowkit(shop, "runs")
    assert (again.stdout, again.stderr) == (done.stdout, "")
    made_older(path)
    assert flowkit(shop, "migrate").stderr == (
        f"sqlite:///{path}: schema 1, 1 migration applied, now 2 of 2\n"
    )


def test_doctor_says_what_is_there(shop):
    """All fine: exit code 0."""
    rows = lines(flowkit(shop, "doctor"))
    told = {what: (level, text) for level, what, text in rows}
    assert told["store"][1].startswith(f"sqlite:///{shop}/.flowkit/journal.db (default")
    assert told["schema"] == ("ok", "2, up to date")
    assert told["flow shop"] == ("ok", "flows:Shop")
    assert told["runs"] == ("ok", "none is left without a process")
    assert "SQLite" in told


def test_doctor_names_what_is_stuck_and_broken(project):
    """A run that nobody moves is a warning, a flow that cannot load an error."""
    process = begun(project, "run", "slow", "--id", "s1")
    assert process.stdout.readline() == "hangs\n"
    process.kill()
    process.communicate()
    done = flowkit(project, "doctor", "--json")
    assert done.returncode == 0
    assert {
        "level": "warning",
        "what": "run",
        "text": "s1 of Slow is running, and nobody moves it",
    } in as_json(done)
    done = flowkit(project, "show", "s1")
    assert done.stderr == "nobody moves it; go on with: flowkit resume s1\n"
    (project / "flows.py").write_text("lost\n")
    done = flowkit(project, "doctor")
    assert done.returncode == 1
    assert (
        "error\tflow shop\tflows could not be imported: NameError: name 'lost' is not "
        "defined"
    ) in done.stdout


def test_doctor_looks_only(project):
    """No store is made by it."""
    done = flowkit(project, "doctor")
    assert done.returncode == 0
    assert not (project / ".flowkit").exists()
    assert "not there yet: the first run makes it" in done.stdout


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (0.0004, "0ms"),
        (0.012, "12ms"),
        (1.25, "1.2s"),
        (61, "1m01s"),
        (3_700, "1h01m"),
        (90_000, "1d01h"),
    ],
)
def test_a_length_of_time_is_short(seconds, told):
    """Two units at most."""
    assert lasted(seconds) == told


def test_insights_tell_what_runs_took_and_what_failed(shop):
    """A report for people, all of it as JSON for programs."""
    done = flowkit(shop, "insights")
    assert done.returncode == 0, done.stderr
    assert "3 runs" in done.stdout
    assert "failed: 1 with ValueError: nothing to sell" in done.stdout
    (found,) = as_json(flowkit(shop, "insights", "shop", "--json"))["flows"]
    assert found["runs"] == {"completed": 1, "failed": 1, "waiting": 1}
    assert found["success"] == 0.5
    assert as_json(flowkit(shop, "insights", "--json", "--last", "0s"))["flows"] == []


def test_health_says_whether_somebody_is_needed(shop):
    """Exit code 1 if so; a wait for a person is told, and no ailment."""
    done = flowkit(shop, "health")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the oldest wait for a person" in done.stdout
    assert as_json(flowkit(shop, "health", "--json"))["healthy"] is True
    (shop / "folder").mkdir()
    broken = flowkit(shop, "health", "--store", f"sqlite:///{shop / 'folder'}")
    assert broken.returncode == 1
    assert "unreachable" in broken.stdout
