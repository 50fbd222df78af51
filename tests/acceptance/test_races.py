"""Two processes kick off the same run at the same moment: there is one run."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from flowkit.journal.queries import Query
from flowkit.journal.sqlite.store import SqliteStore
from tests.acceptance.processes import child
from tests.acceptance.racer import RUNS


@pytest.mark.parametrize("form", ["id", "state"])
@pytest.mark.parametrize(
    ("option", "backend"),
    [("", "blocking"), ("", "asyncio"), ("?synchronous=normal", "trio")],
)
def test_two_processes_kick_off_one_run(tmp_path, form, option, backend):
    """By id: one run; by the state's id: never two at the same time."""
    path = tmp_path / "journal.db"
    arguments = ("-m", "tests.acceptance.racer", f"sqlite:///{path}{option}")
    with (
        child(*arguments, form, backend) as one,
        child(*arguments, form, backend) as two,
    ):
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
        first = time.time() + 0.02
        for process in (one, two):
            process.stdin.write(f"{first}\n")
            process.stdin.flush()
        told = [json.loads(process.communicate()[0]) for process in (one, two)]
    store = SqliteStore(path)
    rows = [row for row in store.runs(Query(limit=1000)) if "warm" not in row.id]
    places = Counter(row.id if form == "id" else row.state_id for row in rows)
    assert len(places) == RUNS
    for row in rows:
        assert row.status == "completed"
        kinds = [entry.kind for entry in store.entries(row.id)]
        assert kinds == ["start", "done", "done"]
    for number in range(RUNS):
        outcomes = [each[number] for each in told]
        moved = [each for each in outcomes if isinstance(each, str)]
        for text in moved:
            assert text.startswith("BusyError: Run ")
            assert "is being moved by another process. Wait until it is done" in text
        results = sorted(each for each in outcomes if not isinstance(each, str))
        # By state: the later one finds it running (and may be given its outcome), or
        # finds it ended and begins the next run on that state.
        allowed = [([1], 1), ([1, 1], 1)] + ([([1, 2], 2)] if form == "state" else [])
        assert (results, places[f"run-{number}"]) in allowed
    store.close()
