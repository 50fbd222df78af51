"""The command line on a PostgreSQL server, also on one that is lost."""

from __future__ import annotations

import pytest

from tests.cli.command import as_json, begun, flowkit
from tests.journal.postgres_server import (
    PASSWORD,
    QUOTED,
    Server,
    new_schema,
    require,
    shared,
)

require()

TIDY = ("shop", "-i", "pieces=50", "--id", "r1", "-q")


@pytest.fixture
def url():
    """A schema of one's own on the shared server."""
    schema = new_schema()
    yield shared().url(schema)
    shared().run(f"drop schema if exists {schema} cascade")


def test_verbs_work_on_a_server(project, url):
    """Migrated on demand; a password is shown nowhere."""
    env = {"FLOWKIT_STORE": url}
    said = []

    def done(*words, code=0):
        made = flowkit(project, *words, env=env)
        assert made.returncode == code, made.stderr
        said.append(made.stdout + made.stderr)
        return made

    assert as_json(done("migrate", "--dry", "--json"))["before"]["schema"] == 0
    done("migrate")
    assert "is up to date" in done("migrate").stderr
    waits = done("run", *TIDY, code=3)
    assert waits.stderr == "run r1 waiting\n  asks 'Sell?': flowkit approve r1\n"
    assert done("approve", "r1").stdout == "50 to Berlin\n"
    assert done("runs").stdout.startswith("r1\tShop\tcompleted\t")
    found = as_json(done("doctor", "--json"))
    assert {"level": "ok", "what": "schema", "text": "2, up to date"} in found
    assert any(each["what"] == "PostgreSQL" for each in found)
    for text in said:
        assert PASSWORD not in text
        assert QUOTED not in text


def test_a_server_that_is_lost_is_one_sentence(project):
    """The run is kept as far as it was written, and goes on with the next server."""
    server = Server(fsync=False)
    try:
        env = {"FLOWKIT_STORE": server.url()}
        moving = begun(project, "run", "slow", "--id", "s1", "-q", env=env)
        assert moving.stdout.readline() == "hangs\n"
        server.stop()
        done = flowkit(project, "runs", env=env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: No PostgreSQL server answers at 127.0.0.1:{server.port}: "
            f"Connection refused. Start it, or correct host and port in the store's "
            f"URL.\n"
        )
        (project / "go").touch()
        _, said = moving.communicate(timeout=40)
        assert moving.returncode == 1
        [line] = said.splitlines()
        assert line.startswith("error: ")
        assert line.endswith(" What was written of the run is kept: flowkit resume s1")
        server.start()
        done = flowkit(project, "resume", "s1", "-q", env=env)
        assert (done.returncode, done.stdout) == (0, 'hangs\n{"attempt": 2}\n')
    finally:
        server.remove()
