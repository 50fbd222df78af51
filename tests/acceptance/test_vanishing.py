"""A store that disappears in mid-run: what a user sees, and how it goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flowkit import Flow, listen, start
from flowkit.errors import StoreError
from flowkit.journal.urls import open_store
from tests.acceptance.processes import ROOT
from tests.journal.postgres_server import Server, new_schema, require


def test_the_command_tells_of_a_deleted_journal(tmp_path):
    """And does not say that anything is kept."""
    path = tmp_path / "app.db"
    command = ["-m", "flowkit", "run", "tests.acceptance.vanishing:Vanishes"]
    done = subprocess.run(
        [sys.executable, *command, "--store", f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "VANISHING": str(path), "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: The journal {path} was deleted or replaced while it was in use. "
        f"Nothing of this call was written, and what was written since then is lost. "
        f"Put the file back, or go on with what is there now: the next use opens it."
    )


class Stops(Flow[dict]):
    """Its second step stops the server."""

    server: Server | None = None
    ran: list[str]

    @start()
    def first(self):
        self.ran.append("first")

    @listen(first)
    def second(self):
        self.ran.append("second")
        if Stops.server is not None:
            Stops.server.stop()

    @listen(second)
    def third(self):
        self.ran.append("third")
        return "done"


def test_a_stopped_server_is_told_and_the_run_goes_on_with_the_next():
    """The error names it and the id; what had ended before does not run again."""
    require()
    server = Server(fsync=False)
    Stops.ran = []
    try:
        url = server.url(new_schema())
        Stops.server = server
        flow = Stops(store=url)
        with pytest.raises(StoreError) as raised:
            flow.kickoff(id="r")
        assert raised.value.__notes__ == [
            "flowkit: run r stopped here; flowkit.resume('r') goes on with it once "
            "its store can be used again"
        ]
        assert flow.run.status == "running"
        server.start()
        Stops.server = None
        assert Stops(store=url).kickoff(id="r") == "done"
        open_store(url).close()
    finally:
        server.remove()
    assert Stops.ran == ["first", "second", "second", "third"]
