"""``flow.start()`` in real processes that are killed, interrupted, or end."""

from __future__ import annotations

import signal
import threading

import pytest

from flowkit import Flow, runs, start
from flowkit.errors import BusyError, FlowkitWarning, RunExistsError
from flowkit.runtime import started as started_runs
from tests.acceptance.processes import child, started
from tests.journal import postgres_server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
        return
    if postgres_server.missing():
        pytest.skip(postgres_server.missing())
    place = postgres_server.PostgresPlace()
    yield place.url
    place.remove()


def ran(how, url, log):
    """How a process ended, what it said, and what it complained of."""
    process = started("-m", "tests.acceptance.starter", how, url, str(log))
    told, errors = process.communicate(timeout=60)
    return process.returncode, told.strip(), errors


LEFT = (
    "FlowkitWarning: Two was started and its process ends before it is over: "
    "flowkit.resume('r') goes on with it. To wait for it, call run.wait()."
)


@pytest.mark.parametrize(
    ("how", "code"), [("kill", -signal.SIGKILL), ("interrupt", -2), ("end", 0)]
)
def test_a_started_run_goes_on_in_the_next_process(url, tmp_path, how, code):
    """Its finished step not again; who was not killed says what it leaves."""
    log = tmp_path / "log"
    returned, _, errors = ran(how, url, log)
    assert returned == code
    assert (LEFT in errors) == (how != "kill")
    assert ran("resume", url, log)[1] == "completed 2"
    assert log.read_text().split() == ["first", "second", "second"]


def test_an_event_right_after_the_start_is_taken(url, tmp_path):
    """As soon as it is told to be, it is."""
    assert ran("event", url, tmp_path / "log")[:2] == (0, "completed 5")


def test_a_second_start_is_refused_by_name(url, tmp_path):
    """While another process moves the run; the first one is left alone."""
    log = tmp_path / "log"
    arguments = ("-m", "tests.acceptance.starter", "stay", url, str(log))
    with child(*arguments) as first:
        assert first.stdout.readline() == "at work\n"
        code, told, _ = ran("again", url, log)
        assert (code, told) == (
            0,
            "BusyError Run 'r' is being moved by another process. Wait until it is "
            "done or waits; if that process is gone, the run is free within 30 "
            "seconds.",
        )
    assert log.read_text().split() == ["first", "second"]


class Holds(Flow[dict]):
    """It works until it is let."""

    free: threading.Event

    @start()
    def works(self):
        Holds.free.wait(20)
        return "done"


def test_a_second_start_in_this_process_is_refused_by_name(tmp_path):
    """One after the other, and at the same instant; one run comes of it."""
    store = f"sqlite:///{tmp_path}/app.db"
    Holds.free = threading.Event()
    first = Holds(store=store).start(id="r")
    while runs.get("r", store=store) is None:
        pass
    said = "Run 'r' is being moved by this process just now. Wait until it is done or"
    with pytest.raises(BusyError, match=said):
        Holds(store=store).start(id="r")
    meet, found = threading.Barrier(2), []

    def work():
        flow = Holds(store=store)
        meet.wait()
        try:
            found.append(flow.start(id="two").wait(20))
        except (BusyError, RunExistsError) as error:
            found.append(type(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not found:
        pass
    Holds.free.set()
    for thread in threads:
        thread.join()
    assert first.wait(20) == "done"
    assert found[0] in {BusyError, RunExistsError}
    assert found[1] == "done"


class Fails(Flow[dict]):
    """At once."""

    @start()
    def works(self):
        raise ValueError("broken")


def test_a_failure_nobody_waited_for_is_told(caplog):
    """In the log when it happens, and at the end of the process."""
    started_runs._failed.clear()
    unheard, heard = Fails().start(), Fails().start()
    while not (unheard.told and heard.told and len(started_runs._failed) == 2):
        pass
    with pytest.raises(ValueError, match="broken"):
        heard.wait(20)
    said = "has stopped: ValueError: broken"
    assert [said in each for each in caplog.messages] == [True, True]
    with pytest.warns(FlowkitWarning) as warned:
        started_runs._tell()
    assert [str(each.message) for each in warned] == [
        "Fails was started and has stopped, and nobody waited for it: ValueError: "
        "broken"
    ]
    started_runs._failed.clear()
