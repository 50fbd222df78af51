"""Journals that former versions of flowkit wrote are resumed by this one.

``tests/fixtures/journals`` holds one for each release, written by ``make.py``.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import apsw
import pytest

from flowkit import resume, runs
from flowkit.journal.sqlite.store import SqliteStore
from flowkit.runtime.clock import ManualClock, use_clock
from tests.fixtures.journals.flows import Address, Fails, Item, Size

HERE = Path(__file__).parents[1] / "fixtures" / "journals"
KEPT = sorted(HERE.glob("*.sql"))


@pytest.fixture(params=KEPT, ids=[path.stem for path in KEPT])
def store(request, tmp_path):
    """A store as that version left it; its processes are long gone."""
    path = tmp_path / "journal.db"
    connection = apsw.Connection(str(path))
    connection.execute(request.param.read_text(encoding="utf-8"))
    connection.close()
    before = use_clock(ManualClock(1_780_000_000.0))
    yield SqliteStore(path)
    use_clock(before)
    Fails.mended = False


def test_a_journal_is_kept_for_this_version():
    """A release adds one."""
    assert KEPT


def test_a_waiting_run_takes_its_event(store):
    """With all its values as their own types."""
    run = resume("waiting", store=store)
    assert run.status == "waiting"
    assert run.state.items == [Item(name="tea", cents=300), Item(name="card")]
    assert run.state.address == Address("Bonn", ("a", "b"))
    assert run.state.notes == {"price": {300}}
    assert (run.state.day, run.state.size) == (date(2026, 3, 4), Size.LARGE)
    assert run.flow.send("paid", 7)
    assert run.result == [Size.LARGE, 7, 2]


def test_a_run_in_the_middle_of_a_join_goes_on(store):
    """The branch that is done does not run again."""
    run = resume("in-a-join", store=store)
    assert run.status == "waiting"
    told = runs.history("in-a-join", store=store)
    assert [(each.step, each.attempt) for each in told] == [
        ("take", 1),
        ("price", 1),
        ("pack", 2),
        ("check", 1),
        ("sign", 1),
    ]


def test_a_run_that_has_only_begun_runs(store):
    """From its first step."""
    assert resume("begun", store=store).status == "waiting"
    assert runs.state_at("begun", 1, store=store)["items"] == []


def test_a_step_that_asked_goes_on_with_its_answers(store):
    """By position."""
    run = resume("asked", store=store)
    assert run.flow.send("first", 1)
    assert run.flow.send("second", 2, key="k")
    assert run.result == [1, 2]
    run = resume("answered", store=store)
    assert run.flow.send("second", 2, key="k")
    assert run.result == [{"a": 1}, 2]


def test_a_failed_run_starts_its_failed_step_again(store):
    """The exception comes back as its own type."""
    with pytest.raises(ValueError) as caught:
        resume("failed", store=store)
    assert caught.value.args == ("broken", 3)
    Fails.mended = True
    assert resume("failed", store=store) == 2


def test_an_ended_run_gives_its_outcome(store):
    """Again and again."""
    assert resume("ended", store=store) == [Size.LARGE, 5, 2]
    found = runs.get("ended", store=store)
    assert (found.status, found.result) == ("completed", [Size.LARGE, 5, 2])
    assert "waiting" in [each.id for each in runs.list(tag="kept", store=store)]
