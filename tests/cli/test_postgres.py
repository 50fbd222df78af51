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


def test_older_and_newer_schemas_are_told(project, url):
    """An older one is upgraded with a note, a newer one refused, by every verb."""
    env = {"FLOWKIT_STORE": url}
    flowkit(project, "migrate", env=env)
    server, schema = shared(), url.rpartition("=")[2]
    server.run(
        f"alter table {schema}.letter drop column traceparent",
        f"delete from {schema}.migration where number = 2",
    )
    found = as_json(flowkit(project, "doctor", "--json", env=env))
    [told] = [each for each in found if each["what"] == "schema"]
    assert (told["level"], told["text"][:7]) == ("warning", "1 of 2:")
    assert flowkit(project, "runs", env=env).stderr.startswith(
        f"note: The schema '{schema}' of 'postgres' at 127.0.0.1:{server.port} was "
        f"brought from schema 1 to 2: a flowkit that knows only 1 cannot use it any "
        f"more.\n"
    )
    server.run(f"insert into {schema}.migration values (7, '0007_later.sql')")
    for words in (["runs"], ["migrate"], ["migrate", "--dry"], ["doctor"]):
        done = flowkit(project, *words, env=env)
        assert done.returncode == 1
        assert (
            f"The schema '{schema}' of database 'postgres' at 127.0.0.1:{server.port} "
            f"is at version 7, made by a newer flowkit; this one knows versions up to "
            f"2. Upgrade flowkit here: pip install -U flowkit"
        ) in done.stdout + done.stderr


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
