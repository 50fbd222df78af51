"""A state is what its changes, folded, say it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from flowkit.journal.codec import UnreadableError, UnstorableError, decode, write
from flowkit.journal.delta import MISSING, apply, change, delta_of, exact, fold


class Line(BaseModel):
    n: int = 0
    more: Any = None


def told(before, after, **options):
    """The change as it is written."""
    return write(change(before, after, "state.x", **options))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (MISSING, 1, "[1]"),
        (1, MISSING, "[]"),
        (1, 2, "[2]"),
        (1, True, "[true]"),
        (MISSING, [], "[[]]"),
        (MISSING, None, "[null]"),
        ([], ["a"], '[["a"]]'),
        ([1, 2], [1, 2, 3], '["+",[3]]'),
        ([1, 2], [1, 2, (3,)], '["+",[{"!tuple":[3]}]]'),
        ([1, 2], [1, 5, 3], "[[1,5,3]]"),
        ([1, 2], [1], "[[1]]"),
        ([1], [True, 2], "[[true,2]]"),
        ([0.0], [-0.0, 2], "[[-0.0,2]]"),
        ([{"a": 1}], [{"a": 1}, 2], '["+",[2]]'),
        ("a", "ab", '["ab"]'),
        ("a" * 64, "a" * 64 + "b", '["~","b"]'),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, '["*",[["b",[3]]],[]]'),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, '["*",[["c",[3]]],["b"]]'),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, '[{"b":2,"a":1}]'),
        ({"a": 1}, {"a": 2}, '[{"a":2}]'),
        ({"a": [1]}, {"a": [1, 2]}, '["*",[["a",["+",[2]]]],[]]'),
        ({1: "a", 2: "b"}, {True: "a", 2: "b"}, '[{"!dict":[[true,"a"],[2,"b"]]}]'),
        ({(1,): 1, 2: 2}, {(1,): 1, 2: 3}, '["*",[[2,[3]]],[]]'),
        (set("abcd"), set("abce"), '["|",["e"],["d"]]'),
        ({1, 2.5, 3, 4}, {1, 2.5, 3, 4, 5}, '[{"!set":[1,2.5,3,4,5]}]'),
    ],
)
def test_a_change_says_no_more_than_it_must(before, after, text):
    """Each form, and where a shorter one would lose a type or an order."""
    assert told(before, after) == text


def test_what_a_list_gained_costs_by_the_item():
    """Whatever it holds already, also in nested values."""
    rows = [Line(n=n) for n in range(1000)]
    before = [each.model_copy() for each in rows]
    assert len(told(before, [*rows, Line(n=5)])) < 80
    assert len(told({"a": before}, {"a": [*rows, Line(n=5)]})) < 100


def test_a_caller_that_knows_that_a_list_grew_says_so():
    """What was there is not even looked at."""
    assert told(None, [1, 2, 3], grown_from=2) == '["+",[3]]'
    assert told([object()], [object(), 3], grown_from=1) == '["+",[3]]'


def test_another_sign_for_nothing_can_be_given():
    """The runtime has its own."""
    assert told("none", 1, missing="none") == "[1]"
    assert told(1, "none", missing="none") == "[]"


def test_a_delta_of_odd_fields_comes_back():
    """A field of free-form state may have any name."""
    delta = delta_of({"!x": change(MISSING, 1, "s"), "b": change(1, MISSING, "s")})
    assert apply({"b": 1}, decode(write({"set": delta}))["set"]) == {"!x": 1}


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        (1, [object()], "state.x[0]"),
        ({"a": 1, "b": 2}, {"a": 1, "b": object()}, "state.x['b']"),
        ({"a": [1]}, {"a": [1, Line(more=object())]}, "state.x['a'][1:][0].more"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(before, after, place):
    """As by the codec."""
    with pytest.raises(UnstorableError) as caught:
        change(before, after, "state.x")
    assert caught.value.where == place


def test_a_change_does_not_follow_a_list_that_grows_on():
    """The items are its own."""
    rows = [1, 2]
    found = change([1], rows, "state.x")
    rows.append(3)
    assert found == ["+", [2]]


def test_a_change_that_does_not_fit_is_an_error():
    """Records are missing, or somebody changed them."""
    with pytest.raises(UnreadableError) as caught:
        apply({}, {"rows": ["+", [1]]})
    assert str(caught.value) == (
        "A stored change of 'rows' (+) does not fit what was stored before it: "
        "KeyError: 'rows'. Records of the run are missing or changed; restore the "
        "store from a backup, or remove the run."
    )
    for fields, found in (({"a": 1}, ["+", [1]]), ({"a": {}}, ["*", [], ["x"]])):
        with pytest.raises(UnreadableError):
            apply(fields, {"a": found})
    with pytest.raises(UnreadableError):
        apply({"a": 1}, {"a": ["?", 1]})


def test_a_list_that_three_thousand_steps_add_to_is_never_copied():
    """So that folding them takes as long as the list, not its square."""
    deltas = []
    for n in range(3000):
        changes = {
            "n": change(n, n + 1, "s"),
            "rows": change(None, [*[0] * n, n], "s", grown_from=n),
        }
        deltas.append(decode(write(delta_of(changes))))
    rows = []
    state = fold({"n": 0, "rows": rows}, deltas)
    assert state["rows"] is rows
    assert state == {"n": 3000, "rows": list(range(3000))}


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 1.0, float("inf"), "a", "b" * 70, "b" * 71])
    | st.just(datetime(2026, 1, 1, tzinfo=UTC))
)
HASHABLE = st.recursive(ATOMS, st.tuples, max_leaves=3)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.sets(st.integers(0, 9))
        | st.builds(lambda value: Line(more=value), inner)
    ),
    max_leaves=12,
)
STATES = st.dictionaries(st.sampled_from(["a", "b", "!c"]), VALUES)


def edited(value, draw):  # noqa: PLR0911 - one for each way
    """The value after a random edit in place or a new one, on a copy."""
    kind = type(value)
    how = draw(st.integers(0, 4))
    if kind is list:
        rows = list(value)
        if how == 0 and rows:
            at = draw(st.integers(0, len(rows) - 1))
            rows[at] = edited(rows[at], draw)
            return rows
        if how == 1:
            return rows[:-1]
        return rows + draw(st.lists(VALUES, max_size=2))
    if kind is dict:
        items = dict(value)
        if how == 0 and items:
            key = draw(st.sampled_from(list(items)))
            items[key] = edited(items[key], draw)
        elif how == 1 and items:
            key = draw(st.sampled_from(list(items)))
            items[key] = items.pop(key)  # now the last
        elif how == 2 and items:
            items.pop(draw(st.sampled_from(list(items))))
        else:
            items[draw(HASHABLE)] = draw(VALUES)
        return items
    if kind is set and how:
        return (value | draw(st.sets(HASHABLE, max_size=2))) - draw(
            st.sets(HASHABLE, max_size=1)
        )
    if kind is str and how:
        return value + "x"
    return draw(VALUES)


@given(STATES, st.data())
def test_folded_changes_give_the_last_state(first, data):
    """Of any edits of nested values, type by type and key by key."""
    states = [first]
    for _ in range(data.draw(st.integers(0, 5))):
        state = dict(states[-1])
        for field in data.draw(st.sets(st.sampled_from(["a", "b", "!c"]))):
            if field in state and data.draw(st.integers(0, 3)):
                state[field] = edited(state[field], data.draw)
            elif field in state:
                del state[field]
            else:
                state[field] = data.draw(VALUES)
        states.append(state)
    texts = []
    for before, after in zip([{}, *states], states, strict=False):
        changes = {
            field: change(
                before.get(field, MISSING), after.get(field, MISSING), "state"
            )
            for field in {*before, *after}
            if not exact(before.get(field), after.get(field))
            or (field in before) != (field in after)
        }
        texts.append(write(delta_of(changes)))
    folded = fold({}, map(decode, texts))
    last = states[-1]
    assert folded.keys() == last.keys()
    assert all(exact(folded[field], last[field]) for field in last)
