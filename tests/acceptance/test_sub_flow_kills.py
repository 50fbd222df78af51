"""A process is killed at every note of three levels of flows; another one goes on."""

from __future__ import annotations

from collections import Counter

import pytest

from flowkit.journal.queries import Query
from flowkit.journal.urls import open_store
from tests.acceptance.processes import child
from tests.conftest import PROVE

pytestmark = [pytest.mark.prove, pytest.mark.timeout(0 if PROVE else 240)]
NOTES = 19
"""A whole run's: 1 begin, 2 of pages, 4 for each of 3 pages, put_together, close."""
POINTS = range(1, NOTES) if PROVE else (2, 4, 6, 11, 14, 16, 17)
IDS = {"book", "book:2:0", "book:2:0:1:0", "book:2:0:1:1", "book:2:0:1:2"}


def lived(url, log, point, backend, resume):
    """How one process ended."""
    arguments = [url, str(log), str(point), backend, resume]
    with child("-m", "tests.acceptance.levels", *arguments) as process:
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def noted(log):
    """Which step of which run began, how often."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line for line in lines if not line.endswith("."))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("resume", ["id", "all"])
def test_killed_at_any_level_the_rest_goes_on(tmp_path, backend, resume):
    """What was recorded runs no more; what was not starts once more, no run twice."""
    for point in POINTS:
        url = f"sqlite:///{tmp_path}/{point}.db"
        log = tmp_path / f"{point}.log"
        code, errors = lived(url, log, point, backend, "id")
        assert code == -9, errors
        store = open_store(url)
        done = {
            f"{row.id} {entry.step}"
            for row in store.runs(Query(limit=100))
            for entry in store.entries(row.id)
            if entry.kind == "done"
        }
        before = noted(log)
        code, errors = lived(url, log, 0, backend, resume)
        assert code == 0, errors
        after = noted(log)
        rows = {row.id: row for row in store.runs(Query(limit=100))}
        assert set(rows) == IDS, point
        assert {row.status for row in rows.values()} == {"completed"}, point
        assert "book of p1 p2 p9" in rows["book"].result, point
        again = {step for step in after if after[step] > 1}
        assert not again & done, point
        assert again <= set(before), point
        assert max(after.values()) <= 2, point
        store.close()
