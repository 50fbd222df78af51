"""Processes and servers are killed at random moments; PostgreSQL loses nothing either."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.acceptance.processes import PROVE, killed, started
from tests.journal.postgres_server import Server, new_schema, require

require()

pytestmark = [pytest.mark.prove, pytest.mark.timeout(0 if PROVE else 240)]
KILLS = 400 if PROVE else 9
RESTARTS = 60 if PROVE else 3
SECONDS = 3600.0 if PROVE else 90.0


@pytest.fixture(scope="module")
def server():
    """One that syncs what it commits, since it is killed."""
    made = Server(fsync=True)
    yield made
    made.remove()


def plan(server, folder, mode, **more) -> dict:
    """For a killer; a schema for each batch."""
    return {
        "url": server.url(new_schema() + "x{n}"),
        "folder": str(folder),
        "mode": mode,
        "kills": KILLS,
        "runs": 4,
        "least": 40.0,
        "most": 250.0,
        **more,
    }


@pytest.mark.parametrize(
    ("mode", "children"), [("blocking", 1), ("asyncio", 1), ("asyncio", 2)]
)
def test_killed_processes_lose_nothing(tmp_path, server, mode, children):
    """Alone on a schema, and two on one schema, which take each other's runs over."""
    (report,) = killed([plan(server, tmp_path, mode, children=children)], SECONDS)
    print({name: value for name, value in report.items() if name != "faults"})
    assert report["kills"] >= KILLS


@pytest.mark.parametrize(("mode", "children"), [("blocking", 1), ("asyncio", 2)])
def test_groups_turns_gates_and_windows_lose_nothing(tmp_path, server, mode, children):
    """What fans out, repeats, waits its turn and is collected, killed in the middle."""
    given = plan(server, tmp_path, mode, children=children, flow="crowd", runs=2)
    (report,) = killed([given], SECONDS)
    print({name: value for name, value in report.items() if name != "faults"})
    assert report["kills"] >= KILLS
    assert report["restarted"] > 0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_restarts_loses_nothing(tmp_path, server, how):
    """In the middle of runs: they halt with an error, and go on with the next server."""
    chance = random.Random(how)
    given = plan(server, tmp_path, "asyncio", patient=True, seconds=SECONDS)
    killer = started("-m", "tests.acceptance.killer", json.dumps(given))
    restarts = 0
    while killer.poll() is None and restarts < RESTARTS:
        time.sleep(chance.uniform(0.3, 0.9))
        getattr(server, how)()
        time.sleep(0.05)
        server.start()
        restarts += 1
    told, errors = killer.communicate()
    assert killer.returncode == 0, errors
    report = json.loads(told.splitlines()[-1])
    print(restarts, {name: value for name, value in report.items() if name != "faults"})
    assert report["faults"] == []
    assert report["halts"] > 0
    assert restarts > 0
