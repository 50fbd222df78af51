"""A process killed in a wait, in a fallback, while it undoes: nothing twice or lost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.acceptance.processes import PROVE
from tests.journal.postgres_server import Server, new_schema, require

pytestmark = [pytest.mark.prove, pytest.mark.timeout(0 if PROVE else 200)]
KILLS = 1_000 if PROVE else 25


@pytest.mark.parametrize("flow", ["Booking", "Rebooking"])
def test_a_killed_run_is_retried_and_undone_as_one_that_was_not(tmp_path, flow) -> None:
    """Each finished step and each undo once, in order, with all its attempts.

    Of the whole run, or of a scope.
    """
    killed(str(tmp_path), str(KILLS), "7", flow)


@pytest.mark.parametrize("flow", ["Booking", "Rebooking"])
def test_the_same_in_postgresql(tmp_path, flow) -> None:
    """A schema for each run, on one server."""
    require()
    made = Server(fsync=False)  # the server itself lives on
    try:
        url = made.url(new_schema() + "x{n}")
        killed(str(tmp_path), str(KILLS), "7", flow, url)
    finally:
        made.remove()


def killed(*given: str) -> None:
    """Let the killer loose: it finds no fault."""
    command = [sys.executable, "-m", "tests.acceptance.policy_killer"]
    done = subprocess.run(
        [*command, *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    report = json.loads(done.stdout.splitlines()[-1])
    print(report)
    assert report["faults"] == []
    assert report["kills"] >= KILLS // 2
