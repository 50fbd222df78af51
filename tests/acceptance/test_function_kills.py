"""A process is killed in each step of a function flow; another one goes on."""

from __future__ import annotations

import pytest

from flowkit import runs
from tests.acceptance.processes import child
from tests.acceptance.straight import RESULT, STEPS


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_killed_in_each_step_every_step_runs_once_to_its_record(
    tmp_path, backend
) -> None:
    """One run, killed with -9 in every one of its steps, ends as if it never was."""
    url, log = f"sqlite:///{tmp_path}/runs.db", tmp_path / "log"
    for held in STEPS:
        command = ("-m", "tests.acceptance.straight", url, str(log), backend, held)
        with child(*command) as process:
            said = process.stdout.readline()
            assert said == "here\n", said + process.stderr.read()
            process.kill()
            process.wait()
    command = ("-m", "tests.acceptance.straight", url, str(log), backend, "")
    with child(*command) as process:
        out, err = process.communicate(timeout=40)
    assert (out, err) == (f"{RESULT}\n", "")
    # Killed in it once, each step began twice: no more, since it was recorded then.
    assert log.read_text().split("\n")[:-1] == [each for each in STEPS for _ in "12"]
    told = [each.step for each in runs.history("the-run", store=url)]
    assert told == ["work"] * 5 + ["plain", "stubborn", "work", "body"]
    stubborn = runs.history("the-run", store=url)[-3]
    assert [str(each.error) for each in stubborn.deferrals] == ["try 1", "try 2"]
