"""Places: never more inside than there are, and the line in its order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowkit.core.limits import Bulkhead
from flowkit.core.places import PlacesState

OWNERS = "abc"
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["come", "again", "leave", "leave", "gone", "slip", "out"]),
        st.integers(0, 11),
        st.floats(0, 2),
    ),
    max_size=80,
)


@given(most=st.integers(1, 4), queue=st.none() | st.integers(0, 4), moves=MOVES)
def test_no_order_of_moves_gives_more_places_than_there_are(  # noqa: PLR0915
    most, queue, moves
) -> None:
    """Whoever comes, leaves, gives up or dies; who waits longest is next."""
    state = PlacesState(Bulkhead(most, queue))
    inside: set[str] = set()
    first: list[str] = []
    line: list[str] = []
    unnamed = 0
    at = 0.0

    def hand_on() -> list[str]:
        given = []
        while len(inside) + unnamed < most and (first or line):
            key = (first or line).pop(0)
            inside.add(key)
            given.append(key)
        return given

    for move, number, gap in moves:
        at += gap
        key = f"{OWNERS[number % 3]}/{number}"
        known = key in inside or key in first or key in line
        if move in {"come", "again"} and not known:
            entered = state.enter(key, at, first=move == "again")
            if len(inside) + unnamed < most:
                assert entered == "inside"
                inside.add(key)
            elif move == "again":
                assert entered == "waits"
                first.append(key)
            elif queue is not None and len(line) >= queue:
                assert entered == "full"
            else:
                assert entered == "waits"
                line.append(key)
        elif move == "leave":
            was = key in inside
            given = state.leave(key, at)
            inside.discard(key)
            for each in (first, line):
                if key in each:
                    each.remove(key)
            assert given == (hand_on() if was else [])
        elif move == "gone":
            owner = key[0]
            given = state.drop(lambda each, gone=owner: each != gone, at)
            inside = {each for each in inside if each[0] != owner}
            first[:] = [each for each in first if each[0] != owner]
            line[:] = [each for each in line if each[0] != owner]
            assert given == hand_on()
        elif move == "slip":
            free = len(inside) + unnamed < most
            assert state.slip_in() is free
            unnamed += free
        elif move == "out" and unnamed:
            unnamed -= 1
            assert state.slip_out() is bool(first or line)
            assert state.hand_on(at) == hand_on()
        assert set(state.inside) == inside
        assert len(inside) + unnamed <= most
        assert state.waiting == len(line)
        assert [state.ahead(each) for each in [*first, *line]] == [
            *range(len(first) + len(line))
        ]
        assert len(inside) + unnamed == most or not (first or line)


def test_who_cannot_have_a_place_in_time_is_told_so() -> None:
    """By how long places were held of late, and how many are before it."""
    state = PlacesState(Bulkhead(2))
    assert state.enter("/1", 0, until=0) == "inside"
    assert state.enter("/2", 0) == "inside"
    assert state.enter("/3", 0, until=0) == "waits"  # nothing is known yet
    assert state.leave("/1", 10) == ["/3"]
    assert state.mean == 10
    assert state.wait() == 5
    assert state.enter("/4", 10, until=14.9) == "late"
    assert state.enter("/4", 10, until=15) == "waits"
    assert state.wait() == 10
    assert state.leave("/2", 30) == ["/4"]
    assert state.mean == 14
    assert state.enter("/5", 30, until=30, first=True) == "waits"


def test_a_state_stands_where_it_was_saved() -> None:
    """Places, both lines and the mean."""
    state = PlacesState(Bulkhead(1))
    for key, first in (("a/1", False), ("b/2", False), ("c/3", True)):
        state.enter(key, 1.0, first=first)
    again = PlacesState(Bulkhead(1))
    again.restore(state.saved())
    assert again.owners() == {"a", "b", "c"}
    assert again.leave("a/1", 3.0) == ["c/3"]
    assert again.mean == 2.0
    assert again.leave("b/2", 4.0) == []
    assert again.leave("c/3", 4.0) == []
