"""What is refused of a stored run says why by its class, too."""

from __future__ import annotations

import pytest

from flowkit import Flow, InputError, NotFoundError, event, listen, resume, runs, start
from flowkit.errors import BusyError
from flowkit.journal.rows import Owner
from flowkit.runtime.clock import now
from tests.runtime.stored import MemoryStore, flow_named


class Parcel(Flow):
    """Waits for its payment."""

    @start()
    def pack(self):
        self.state["packed"] = True

    @listen(event("paid"))
    def ship(self):
        return "shipped"


flow_named(Parcel)


@pytest.fixture
def store():
    """Two runs that wait."""
    made = MemoryStore()
    for id in ("p1", "p2"):
        Parcel(store=made).kickoff(id=id)
    return made


@pytest.mark.parametrize("verb", [runs.get, runs.history, resume])
def test_a_run_that_is_not_there_is_not_found(store, verb):
    """It is a LookupError, too."""
    with pytest.raises(NotFoundError) as caught:
        verb("nobody", store)
    assert isinstance(caught.value, LookupError)
    assert str(caught.value) == (
        f"There is no run 'nobody' in {store.url}. Look at the ids with "
        f"`runs.list()` or `flowkit runs`, or check which store is meant."
    )


def test_the_beginning_of_several_ids_is_a_wrong_input(store):
    """It names them."""
    with pytest.raises(InputError) as caught:
        runs.get("p", store)
    assert str(caught.value) == ("'p' begins several run ids: p1, p2. Give more of it.")


def test_a_run_that_a_living_process_moves_is_busy(store):
    """Nobody else moves it until then."""
    store.beat(Owner("other", now() + 60))
    assert store.claim("p1", "other", now())
    with pytest.raises(BusyError) as caught:
        resume("p1", store)
    assert str(caught.value) == (
        "Run 'p1' is being moved by another process. Wait until it is done or waits; "
        "if that process is gone, the run is free within 30 seconds."
    )
