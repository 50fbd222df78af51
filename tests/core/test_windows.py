"""Windows over a stream of tokens, without an event loop."""

from __future__ import annotations

from typing import Any

from flowkit.define.conditions import each, event, gather, merge, window
from tests.core.player import BEGIN, Played, flow, play, step


def payloads(played: Played) -> list[Any]:
    """What each firing of ``w`` was handed."""
    return [list(given) for given in played.given("w")]


def events(*times: float, name: str = "e") -> list[tuple[float, str, Any]]:
    return [(at, name, at) for at in times]


def test_a_window_ends_when_it_has_enough() -> None:
    """By count; what is left over is reported as stuck."""
    net = flow(hold=BEGIN, w=window("x", count=2))
    played = play(net, events=events(1, 2, 3, 4, 5, name="x"), takes={"hold": 9})
    assert payloads(played) == [[1, 2], [3, 4]]
    assert played.at("w") == [2, 4]
    assert len(played.stuck) == 1


def test_a_window_ends_so_long_after_its_first_arrival() -> None:
    """By time; the next one opens with the next arrival."""
    net = flow(hold=BEGIN, w=window(event("e", optional=True), time=5))
    played = play(net, events=events(1, 2, 7, 20), takes={"hold": 30})
    assert payloads(played) == [[1, 2], [7], [20]]
    assert played.at("w") == [6, 12, 25]


def test_a_window_ends_when_nothing_has_come_for_so_long() -> None:
    """By gap: each arrival begins it anew."""
    net = flow(hold=BEGIN, w=window(event("e", optional=True), gap=3))
    played = play(net, events=events(1, 2, 4, 20), takes={"hold": 30})
    assert payloads(played) == [[1, 2, 4], [20]]
    assert played.at("w") == [7, 23]


def test_whichever_comes_first_ends_a_window() -> None:
    """Count, time and gap together; no timer of it is left."""
    net = flow(hold=BEGIN, w=window(event("e", optional=True), count=3, time=10, gap=4))
    played = play(net, events=events(1, 2, 3, 5, 8, 11, 14, 30), takes={"hold": 50})
    assert payloads(played) == [[1, 2, 3], [5, 8, 11], [14], [30]]
    assert played.at("w") == [3, 11, 18, 34]
    assert played.marking.timers == {}


def test_a_run_waits_for_the_end_of_a_window() -> None:
    """Its times are timers like any other."""
    net = flow(begin=BEGIN, w=window("begin", time=9))
    played = play(net)
    assert played.at("w") == [10]
    assert played.ends == [(11, "completed")]


def test_a_window_of_several_sources_is_one() -> None:
    """``merge`` of several."""
    net = flow(a=BEGIN, b=BEGIN, w=window(merge("a", "b"), count=2))
    played = play(net, takes={"b": 3})
    assert payloads(played) == [["a1", "b1"]]


def test_windows_are_per_lane_and_hold_it_open() -> None:
    """The group ends after them."""
    net = flow(
        split=BEGIN,
        a=step(each("split"), emits=("x",)),
        w=window("x", time=5),
        end=gather("w"),
    )
    played = play(
        net,
        gives={"split": [1, 2]},
        emits={"a": [("x", 1), ("x", 2)]},
        takes={"a": [1, 3]},
    )
    assert payloads(played) == [[1, 2], [1, 2]]
    assert played.at("w") == [7, 9]
    assert played.at("end") == [10]


def test_a_count_window_that_stays_short_in_a_lane_is_stuck() -> None:
    """It holds no group open."""
    net = flow(
        split=BEGIN,
        a=step(each("split"), emits=("x",)),
        w=window("x", count=3),
        end=gather("w"),
    )
    played = play(net, gives={"split": [1]}, emits={"a": [("x", 1)]})
    assert played.given("end") == [[]]
    assert len(played.stuck) == 1


def test_a_cancelled_window_takes_its_times_along() -> None:
    """The run does not wait for it."""
    net = flow(
        begin=BEGIN,
        w=window("begin", time=50, gap=60),
        b="begin",
        stop=step("b", cancels=("w",)),
    )
    played = play(net)
    assert played.ends == [(3, "completed")]
    assert played.marking.timers == {}


def test_a_window_may_open_a_group() -> None:
    """A batch over an event stream, one instance an arrival."""
    net = flow(
        hold=BEGIN,
        w=window("x", count=2),
        work=each("w"),
        end=gather("work"),
    )
    played = play(
        net,
        events=events(1, 2, name="x"),
        takes={"hold": 9},
        gives={"w": lambda firing, _: [one.payload for one in firing.tokens]},
    )
    assert played.given("work") == [1, 2]
    assert len(played.at("end")) == 1
