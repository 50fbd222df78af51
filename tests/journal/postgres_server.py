"""A real PostgreSQL server for tests, of whatever version this machine has.

PostgreSQL does not run as root: then it runs as ``postgres`` or ``nobody``. Without
a server on this machine the test module that asks is skipped by name, and in CI it
is an error: there a missing server must not look like a pass.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

PASSWORD = "s3cret:/@%"
"""Odd on purpose: it must not be seen anywhere."""

QUOTED = "s3cret%3A%2F%40%25"

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def binaries() -> Path | None:
    """The folder with ``postgres`` and ``initdb``, the newest version first."""
    folders = [Path(each).parent for each in [shutil.which("initdb")] if each]
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(versions, key=lambda each: -float(each.parent.name))
    folders += [Path("/opt/homebrew/bin"), Path("/usr/local/pgsql/bin")]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def missing() -> str | None:
    """What this machine lacks to have a server, if anything."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install --group test"
    if binaries() is None:
        return "no PostgreSQL server here: apt-get install postgresql"
    return None


def require() -> None:
    """Skip the module that calls it, or in CI fail, if there is no server."""
    lacking = missing()
    if lacking is None:
        return
    if os.environ.get("CI") == "true":
        raise RuntimeError(f"CI runs every test, but {lacking}")
    pytest.skip(f"PostgreSQL store: {lacking}", allow_module_level=True)


class Server:
    """A server with a data directory of its own; ``stop`` and ``kill`` leave it.

    Args:
        fsync: on where the server is killed; off is faster.
    """

    def __init__(self, *, fsync: bool) -> None:
        folder = binaries()
        assert folder is not None
        self._bin = folder
        self._fsync = fsync
        self._process: subprocess.Popen | None = None
        # Under /tmp itself: a folder of pytest's is closed to another user.
        self.folder = Path(tempfile.mkdtemp(prefix="flowkit-pg-"))
        self._user = self._other_user()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._init()
        self.start()

    def _other_user(self) -> dict:
        if os.getuid() != 0:
            return {}
        names = {each.pw_name for each in pwd.getpwall()}
        entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _init(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [
            self._bin / "initdb",
            *("-D", self.folder / "data"),
            *("-U", "admin", "-A", "scram-sha-256", "--pwfile", secret),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ]
        done = subprocess.run(
            command,
            check=False,
            cwd="/",
            env=self._environment(),
            capture_output=True,
            text=True,
            **self._user,
        )
        assert done.returncode == 0, done.stderr

    @staticmethod
    def _environment() -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return {**kept, "LC_ALL": "C", "HOME": "/"}

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = OPTIONS | {
            "port": str(self.port),
            "fsync": "on" if self._fsync else "off",
            "unix_socket_directories": str(self.folder),
        }
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        if setpriv := shutil.which("setpriv"):  # it ends with a test that is killed
            command = [setpriv, "--pdeathsig", "QUIT", *command]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + 60
        while True:
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd="/",
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **self._user,
                )
            while self._process.poll() is None:
                if self._answers():
                    return
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
            # Children of a killed one may still be ending; then it refuses to start.
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """A fast shutdown: connections are cut, transactions rolled back."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def kill(self) -> None:
        """As a crash does it."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """Stop it and delete its data."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(
        self,
        schema: str | None = None,
        *,
        user: str = "admin",
        password: str = QUOTED,
        database: str = "postgres",
        port: int | None = None,
    ) -> str:
        """Where it is."""
        end = "" if schema is None else f"?schema={schema}"
        where = f"127.0.0.1:{port or self.port}/{database}"
        return f"postgresql://{user}:{password}@{where}{end}"

    def run(self, *statements: str) -> list:
        """As the administrator; rows of the last one, if it has any."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as conn:
            for statement in statements:
                cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []


@functools.cache
def shared() -> Server:
    """One for all tests that leave it running."""
    server = Server(fsync=False)
    atexit.register(server.remove)
    return server


_numbers = itertools.count(1)


def new_schema() -> str:
    """A name that no test has used."""
    return f"t{next(_numbers)}"


class PostgresPlace:
    """A schema of the shared server; see ``contract.Place``."""

    durable = True

    def __init__(self) -> None:
        self.schema = new_schema()
        self.url = shared().url(self.schema)

    def open(self):
        """A store object of its own."""
        from flowkit.journal.postgres import PostgresStore

        return PostgresStore(self.url)

    def remove(self) -> None:
        """Drop the schema."""
        shared().run(f"drop schema if exists {self.schema} cascade")
