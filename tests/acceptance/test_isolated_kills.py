"""Kill -9 and Ctrl-C while a step runs in a process of its own: no orphan, nothing lost."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from flowkit import runs
from tests.acceptance.processes import child, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(120),
]


def is_gone(pid: int) -> bool:
    """Whether a process is no more, or only waits to be buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_ends_with_the_one_that_began_it(tmp_path, number) -> None:
    """With all it has begun itself, even from within C code; the run goes on later."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    command = ("-m", "tests.acceptance.isolated", store, str(tmp_path))
    with child(*command, start_new_session=True) as process:
        line = process.stdout.readline().split()
        assert line[:1] == ["busy"], process.stderr.read()
        others = [int(each) for each in line[1:]]
        assert not any(map(is_gone, others))
        if number == signal.SIGINT:  # as a terminal does: the whole foreground group
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait()
        until(lambda: all(map(is_gone, others)), "a process was left behind")
    assert runs.get("one", store=store).status == "running"
    (tmp_path / "quick").touch()
    with child(*command) as process:
        told, errors = process.communicate()
    assert told == "result 2\n", errors
    assert (tmp_path / "log").read_text().split() == ["first", "second", "second"]
    first, second = runs.history("one", store=store)
    assert (len(first.pids), len(second.pids)) == (1, 2)
    assert second.attempt == 2
