"""A process that was stopped past its lease comes back: it writes nothing more."""

from __future__ import annotations

import signal

import pytest

from flowkit.errors import BusyError
from flowkit.journal.codec import decode
from flowkit.journal.sqlite.store import SqliteStore
from tests.acceptance import flows
from tests.acceptance.processes import child, until

LEASE = 0.4


@pytest.mark.parametrize(
    ("kind", "option", "backend"),
    [
        ("sync", "", "blocking"),
        ("sync", "?synchronous=normal", "asyncio"),
        ("async", "", "asyncio"),
        ("async", "?synchronous=normal", "trio"),
        ("async", "", "blocking"),
    ],
)
def test_a_zombie_is_refused(tmp_path, kind, option, backend):
    """Its next write is refused, it says so and exits with an error."""
    path, log = tmp_path / "journal.db", tmp_path / "log"
    url = f"sqlite:///{path}{option}"
    arguments = ("-m", "tests.acceptance.mover", url, str(log), kind, backend)
    with child(*arguments, str(LEASE)) as zombie:
        assert zombie.stdout.readline() == "here\n"
        zombie.send_signal(signal.SIGSTOP)
        store = SqliteStore(path)
        (owner,) = store.owners()
        # Another process: it gets the run once the stopped one has been silent for
        # long enough, goes through the held step and ends the run.
        _, first = _tried(arguments)
        assert first is None or "is being moved by another process" in first
        told = until(lambda: _tried(arguments)[0], "nobody took the run over")
        assert told == "done\n"
        assert [each.id for each in store.owners()] != [owner.id]
        before = store.entries("the-run"), store.run("the-run")
        assert before[1].status == "completed"
        zombie.send_signal(signal.SIGCONT)
        output, errors = zombie.communicate("\n")
    assert zombie.returncode == 1
    assert output == ""
    fence = store.run("the-run").fence
    assert errors.splitlines()[-1] == (
        "flowkit.errors.FencedError: Run 'the-run' was taken over by another "
        f"owner: its fence is {fence}, this one's 1. Nothing was written; claim the run "
        "to go on with it."
    )
    assert (store.entries("the-run"), store.run("the-run")) == before
    kinds = [each.kind for each in before[0]]
    assert kinds == ["start", "done", "note:again", "done", "done"]
    assert decode(before[1].state)["s"]["trail"] == ["one", "two", "three"]
    steps = [(line.step, line.what) for line in flows.lines(log)]
    assert steps.count(("three", "start")) == 1
    assert steps.count(("two", "start")) == 2
    keys = {line.key for line in flows.lines(log) if line.step == "two"}
    assert keys == {"the-run:2"}
    store.close()


def _tried(arguments: tuple[str, ...]) -> tuple[str | None, str | None]:
    """What a further process says, or its error."""
    with child(*arguments, "30") as other:
        output, errors = other.communicate("\n")
    if other.returncode:
        assert BusyError.__name__ in errors, errors
        return None, errors
    return output.removeprefix("here\n"), None
