"""R10: groups, lanes and their ends, without an event loop."""

from __future__ import annotations

from typing import Any

import pytest

from flowkit.core.commands import Firing
from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    each,
    event,
    gather,
    merge,
    or_,
    timer,
    times,
)
from flowkit.errors import GatherError, ItemsError, RouteError, RunawayError
from tests.core.player import BEGIN, flow, play, router, step


def items(count: int) -> dict[str, Any]:
    """What a step ``split`` gives: so many items."""
    return {"split": list(range(count))}


def echo(firing: Firing, _: int) -> Any:
    """A step that gives what it was handed."""
    return firing.payload


def lanes(played: Any, name: str) -> list[int]:
    """The innermost index of each firing of a step, in the order they started."""
    return [
        one.lane[-1][1] for _, one in played.started if one.node.name == name
    ]  # fmt: skip


READ = {"split": BEGIN, "read": each("split"), "report": gather("read")}

# --- opening and closing ---------------------------------------------------------


def test_each_runs_once_for_each_item_and_gather_once_for_all() -> None:
    """Results by index, whatever order they came in."""
    played = play(
        flow(**READ), gives={**items(3), "read": echo}, takes={"read": [9, 5, 1]}
    )
    assert played.order == ["split", "read", "read", "read", "report"]
    assert played.given("read") == [0, 1, 2]
    assert played.at("read") == [1, 1, 1]
    assert played.given("report") == [[0, 1, 2]]
    assert played.at("report") == [10]
    assert played.ends == [(11, "completed")]


def test_an_empty_group_gathers_an_empty_list() -> None:
    """Nothing to do is done."""
    played = play(flow(**READ), gives=items(0))
    assert played.order == ["split", "report"]
    assert played.given("report") == [[]]


def test_a_group_without_gather_ends_with_its_last_instance() -> None:
    """WCP-12: nobody waits for them, other branches go on."""
    net = flow(split=BEGIN, ping=each("split"), other="split")
    played = play(net, gives=items(3), takes={"ping": [5, 9, 2]})
    assert played.at("other") == [1]
    assert played.ends == [(10, "completed")]
    assert played.stuck == []


def test_a_fixed_number_of_instances_gets_the_one_payload() -> None:
    """WCP-13: ``times=``."""
    net = flow(ask=BEGIN, sample=each("ask", times=3), vote=gather("sample"))
    played = play(net)
    assert played.given("sample") == ["ask1"] * 3
    assert played.given("vote") == [["sample1", "sample2", "sample3"]]


def test_no_more_instances_are_at_work_than_the_limit() -> None:
    """The next begins when one is over; the order is that of the items."""
    net = flow(split=BEGIN, read=each("split", limit=2), report=gather("read"))
    played = play(net, gives={**items(5), "read": echo}, takes={"read": 3})
    assert played.at("read") == [1, 1, 4, 4, 7]
    assert played.given("report") == [[0, 1, 2, 3, 4]]


def test_a_limit_counts_whole_instances_with_all_their_steps() -> None:
    """An instance is at work until nothing is left to do in its lane."""
    net = flow(split=BEGIN, a=each("split", limit=1), b="a", end=gather("b"))
    played = play(net, gives=items(2))
    assert played.order == ["split", "a", "b", "a", "b", "end"]


def test_batches_are_lists_and_the_last_one_may_be_shorter() -> None:
    """``batch=``: an instance for each portion."""
    net = flow(split=BEGIN, load=each("split", batch=2), end=gather("load"))
    played = play(net, gives=items(5))
    assert played.given("load") == [[0, 1], [2, 3], [4]]
    assert len(played.given("end")[0]) == 3


def test_everything_behind_each_runs_in_the_lane() -> None:
    """Joins count within one lane: the k-th pairs with its own."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        b="a",
        c="a",
        d=and_("b", "c"),
        end=gather("d"),
    )
    played = play(net, gives=items(3), takes={"b": [1, 5, 9], "c": [9, 1, 5]})
    assert lanes(played, "d") == [1, 0, 2]
    assert played.at("d") == [7, 11, 11]
    assert played.at("end") == [12]


def test_an_or_in_a_lane_does_not_look_into_other_lanes() -> None:
    """Each lane has rounds of its own; both fire once."""
    net = flow(split=BEGIN, a=each("split"), b="a", c="a", d=or_("b", "c"))
    played = play(net, gives=items(2), takes={"b": [1, 4], "c": [4, 1]})
    assert len(played.at("d")) == 2
    assert sorted(lanes(played, "d")) == [0, 1]


def test_all_active_in_a_lane_does_not_wait_for_other_lanes() -> None:
    """Live work of another instance is none of its inputs."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("x", "y")),
        left="x",
        right="y",
        d=all_active("left", "right"),
        end=gather("d"),
    )
    played = play(
        net,
        gives=items(2),
        routes={"pick": ["x", ["x", "y"]]},
        takes={"left": 1, "right": 50},
    )
    assert played.at("d") == [3, 52]


def test_a_race_in_a_lane_cancels_nothing_in_other_lanes() -> None:
    """``rest="cancel"`` holds within the lane."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        fast="a",
        slow="a",
        first=any_of(1, "fast", "slow", rest="cancel"),
        end=gather("first"),
    )
    played = play(net, gives=items(2), takes={"fast": [1, 9], "slow": [9, 9]})
    assert played.at("first") == [3, 11]
    assert played.lost("slow") == [3, 11] or played.lost("fast") == []
    assert len(played.cancelled) == 2
    assert len(played.at("end")) == 1


def test_loops_in_a_lane_count_firings_per_lane() -> None:
    """Ten lanes of five turns each stay below a bound of six."""
    net = flow(
        most=6,
        split=BEGIN,
        a=each("split"),
        turn=step(merge("a", "again"), router=True, labels=("again", "done")),
        end=gather("done"),
    )
    played = play(
        net, gives=items(10), routes={"turn": lambda n: "again" if n <= 40 else "done"}
    )
    assert len(played.at("turn")) == 50
    assert played.status == "completed"
    assert played.given("end") == [["done"] * 10]


def test_a_runaway_in_a_lane_is_an_error() -> None:
    """``max_firings`` is a bound for each lane."""
    net = flow(
        most=5,
        split=BEGIN,
        a=each("split"),
        turn=step(merge("a", "again"), router=True, labels=("again",)),
    )
    played = play(net, gives=items(2), routes={"turn": lambda _: "again"})
    assert [str(error) for error in played.errors] == [
        (
            "Flow.turn would fire more than 5 times in one run, in the circle turn -> turn. "
            "Give the loop an exit, or raise the bound with max_firings= on the step or "
            "max_method_calls on the flow. (flow.py:3)"
        )
    ]
    assert type(played.errors[0]) is RunawayError


def test_a_group_that_opens_itself_again_and_again_is_a_runaway() -> None:
    """Each opening of a group counts as a firing where it is opened."""
    net = flow(most=7, split=BEGIN, a=each(merge("split", gather("a"))))
    played = play(net, gives={"split": [], "a": 1})
    assert [type(error) for error in played.errors] == [RunawayError]
    played = play(net, gives={**items(1), "a": 1})
    assert [type(error) for error in played.errors] == [RunawayError]


@pytest.mark.parametrize(
    ("payload", "kind"), [(None, "None"), (7, "an int"), ("text", "a str")]
)
def test_what_has_no_items_is_an_error(payload: Any, kind: str) -> None:
    """Text is one thing, not many letters."""
    played = play(flow(**READ), gives={"split": payload})
    assert [type(error) for error in played.errors] == [ItemsError]
    assert str(played.errors[0]) == (
        f"Flow.read takes each item of split, which gave {kind}. Return a list, or "
        f"yield the items from the step. (flow.py:2)"
    )
    assert played.status == "failed"


def test_a_join_of_branches_may_open_a_group() -> None:
    """While another branch goes on, too."""
    net = flow(a=BEGIN, b=BEGIN, c=BEGIN, work=each(and_("a", "b")), end=gather("work"))
    played = play(net, gives={"a": [1], "b": [1, 2]}, takes={"b": 2, "c": 9})
    assert played.at("work") == [2, 2]
    assert played.at("end") == [3]


# --- what a gather has -----------------------------------------------------------


def test_gather_fires_at_the_nth_result_and_the_others_end_unheard() -> None:
    """WCP-34: the n earliest, by index."""
    net = flow(split=BEGIN, read=each("split"), report=gather("read", 2))
    played = play(net, gives={**items(4), "read": echo}, takes={"read": [9, 3, 5, 1]})
    assert played.given("report") == [[1, 3]]
    assert played.at("report") == [4]
    assert len(played.done("read")) == 4
    assert played.ends == [(10, "completed")]


def test_gather_with_cancel_leaves_exactly_n_done() -> None:
    """WCP-35: the others are cancelled, inner steps and inner groups too."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        parts=each("read"),
        whole=gather("parts"),
        report=gather("whole", 1, rest="cancel"),
    )
    played = play(
        net,
        gives={**items(3), "read": [1, 2]},
        takes={"read": [1, 1, 8], "parts": [1, 1, 9, 9]},
    )
    assert len(played.done("whole")) == 1
    assert len(played.given("report")[0]) == 1
    assert len(played.lost("parts")) == 2
    assert len(played.lost("read")) == 1
    assert played.ends == [(5, "completed")]


def test_instances_that_wait_for_the_limit_never_begin_after_a_cancel() -> None:
    """They are withdrawn like those at work."""
    net = flow(
        split=BEGIN,
        read=each("split", limit=2),
        report=gather("read", 1, rest="cancel"),
    )
    played = play(net, gives=items(9), takes={"read": [1, 5]})
    assert len(played.at("read")) == 2
    assert len(played.lost("read")) == 1
    assert played.status == "completed"


def test_fewer_results_than_asked_for_fail_who_gathers() -> None:
    """``.failed`` of the step that gathers gets the error."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        report=gather("read", 3),
        poor="report.failed",
    )
    played = play(net, gives=items(2))
    (error,) = played.given("poor")
    assert type(error) is GatherError
    assert str(error) == (
        "Flow.report needs 3 results of read; 2 of 2 instances gave one. Listen to "
        "report.failed, or ask for fewer. (flow.py:3)"
    )
    assert played.at("report") == []
    assert played.status == "completed"


def test_fewer_results_than_asked_for_fail_the_run_if_nobody_listens() -> None:
    """Never in silence."""
    net = flow(split=BEGIN, read=each("split"), report=gather("read", 3))
    played = play(net, gives=items(2))
    assert [type(error) for error in played.errors] == [GatherError]
    assert played.status == "failed"


def test_until_is_asked_after_each_result_with_the_results_so_far() -> None:
    """WCP-36: it fires at the first completion that satisfies the condition."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        report=gather("read", until=lambda done, total: len(done) * 2 > total),
    )
    played = play(net, gives={**items(4), "read": echo}, takes={"read": [9, 3, 5, 1]})
    assert [(one.results, one.total) for one in played.judged] == [
        ([3], 4),
        ([1, 3], 4),
        ([1, 2, 3], 4),
    ]
    assert played.given("report") == [[1, 2, 3]]
    assert played.at("report") == [6]


def test_the_result_of_an_instance_that_fails_in_the_end_is_taken_out() -> None:
    """It is given to the predicate, but not to who gathers."""
    net = flow(
        split=BEGIN,
        read=each("split", max_failures=1),
        check="read",
        report=gather("read", until=lambda *_: False),
    )
    played = play(
        net,
        gives={**items(3), "read": echo},
        takes={"read": [9, 5, 1]},
        fails={"check": [2]},
    )
    assert [one.results for one in played.judged] == [[2], [1, 2], [0, 2]]
    assert played.given("report") == [[0, 2]]


def test_until_that_is_never_true_fires_when_the_group_is_done() -> None:
    """With all there is."""
    net = flow(
        split=BEGIN, read=each("split"), report=gather("read", until=lambda *_: False)
    )
    played = play(net, gives={**items(2), "read": echo})
    assert played.given("report") == [[0, 1]]
    assert len(played.at("report")) == 1


def test_a_gather_that_no_instance_reaches_gets_an_empty_list() -> None:
    """A lane that ended elsewhere gave no result."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("keep", "drop")),
        kept="keep",
        dropped="drop",
        report=gather("kept"),
    )
    played = play(net, gives=items(2), routes={"pick": lambda _: "drop"})
    assert played.given("report") == [[]]


def test_labels_are_gathered_of_those_who_chose_them() -> None:
    """By index; the others give none."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("keep", "drop")),
        kept=gather("keep"),
    )
    played = play(
        net,
        gives=items(3),
        routes={"pick": ["keep", "drop", "keep"]},
        takes={"pick": [5, 1, 1]},
    )
    assert played.given("kept") == [["keep", "keep"]]
    assert played.unheard == ["Flow.pick chose 'drop'; nobody listens"]


def test_a_gather_that_one_label_ends_comes_before_the_next_label() -> None:
    """Each waits in its join; none is taken for another."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("keep", "more")),
        two=times(2, "more"),
        kept=and_(gather("keep", 1), "never"),
        done=and_(gather("keep"), "never"),
    )
    played = play(net, gives=items(1), routes={"pick": [["keep", "more"]]})
    assert [text.partition(" on ")[0] for text in played.stuck] == [
        "Flow.two is stuck",
        "Flow.kept is stuck",
        "Flow.done is stuck",
    ]


def test_a_lane_that_comes_by_twice_counts_once_with_its_last_result() -> None:
    """A result is an instance's, not a firing's."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        work=merge("a", "again"),
        more=router("work", labels=["again", "well"]),
        end=gather("work"),
    )
    played = play(net, gives=items(1), routes={"more": ["again", "well"]})
    assert played.given("end") == [["work2"]]


def test_two_gathers_close_the_same_group_each_for_itself() -> None:
    """One early, one at the end."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        first=gather("read", 1),
        whole=gather("read"),
    )
    played = play(net, gives={**items(2), "read": echo}, takes={"read": [5, 2]})
    assert (played.at("first"), played.given("first")) == ([3], [[1]])
    assert (played.at("whole"), played.given("whole")) == ([6], [[0, 1]])


def test_a_gather_may_be_part_of_a_join() -> None:
    """It is an input like any other."""
    net = flow(
        split=BEGIN, side=BEGIN, read=each("split"), end=and_(gather("read"), "side")
    )
    played = play(net, gives={**items(2), "read": echo}, takes={"side": 9})
    assert played.given("end") == [([0, 1], "side1")]
    assert played.at("end") == [9]


def test_all_active_waits_for_a_group_that_is_at_work() -> None:
    """A group whose gather has not fired is live work (R6)."""
    net = flow(
        split=BEGIN,
        side=BEGIN,
        read=each("split", limit=1),
        whole=gather("read"),
        end=all_active("whole", "side"),
    )
    for count in (0, 1, 3):
        played = play(net, gives=items(count), takes={"side": 0})
        assert len(played.at("end")) == 1, count
        assert len(played.given("end")[0]) == 2


def test_all_active_waits_for_a_group_that_is_about_to_open() -> None:
    """Between the source's end and its first instance lies nothing."""
    net = flow(
        side=BEGIN,
        split="side",
        read=each("split"),
        whole=gather("read"),
        end=all_active("whole", "side"),
    )
    played = play(net, gives=items(0), takes={"side": 0})
    assert played.given("end") == [("side1", "whole1")]


def test_an_or_absorbs_a_group_that_ends_later() -> None:
    """One firing a round, the group's end belongs to the round."""
    net = flow(
        begin=BEGIN,
        split="begin",
        quick="begin",
        read=each("split"),
        end=or_(gather("read"), "quick"),
    )
    played = play(net, gives=items(2), takes={"read": 9})
    assert len(played.at("end")) == 1


def test_a_group_in_a_loop_is_a_new_group_each_turn() -> None:
    """Its rounds outside are those of its turn."""
    net = flow(
        begin=BEGIN,
        split=or_("begin", "again"),
        side=or_("begin", "again"),
        read=each("split"),
        end=and_(gather("read"), "side"),
        more=router("end", labels=["again", "enough"]),
        last="enough",
    )
    played = play(
        net,
        gives=items(2),
        routes={"more": ["again", "again", "enough"]},
        takes={"side": [9, 1, 4], "read": [1, 3, 5]},
    )
    assert len(played.at("end")) == 3
    assert len(played.at("last")) == 1
    assert played.stuck == []


# --- nested groups ---------------------------------------------------------------

NESTED = {
    "rows": BEGIN,
    "row": each("rows"),
    "cell": each("row"),
    "line": gather("cell"),
    "all": gather("line"),
}


def test_groups_nest_and_close_from_the_inside() -> None:
    """An inner gather that has not fired is live work of its lane."""
    played = play(
        flow(**NESTED),
        gives={
            "rows": [[1, 2], [], [3]],
            "row": echo,
            "cell": echo,
            "line": lambda firing, _: sum(firing.payload),
        },
        takes={"cell": [7, 1, 1]},
    )
    assert played.given("all") == [[3, 0, 3]]
    depths = {one.node.name: len(one.lane) for _, one in played.started}
    assert depths == {"rows": 0, "row": 1, "cell": 2, "line": 1, "all": 0}


def test_the_failure_of_an_inner_group_is_one_of_its_outer_instance() -> None:
    """And so up to the run, with every policy on the way."""
    gives = {"rows": [[1], [2]], "row": echo, "cell": echo, "line": 1}
    played = play(flow(**NESTED), gives=gives, fails={"cell": [1]})
    assert [str(error) for error in played.errors] == ["cell1"]
    assert played.status == "failed"
    borne = {**NESTED, "row": each("rows", max_failures=1)}
    played = play(flow(**borne), gives=gives, fails={"cell": [1]})
    assert played.given("all") == [[1]]
    told = {**NESTED, "bad": "line.failed"}
    played = play(flow(**told), gives=gives, fails={"cell": [1]})
    assert [str(error) for error in played.given("bad")] == ["cell1"]
    assert lanes(played, "bad") == [0]
    assert played.given("all") == [[1]]


# --- failures --------------------------------------------------------------------


def failing(**options: Any) -> Any:
    return flow(split=BEGIN, read=each("split", **options), report=gather("read"))


def test_fail_fast_cancels_the_others_and_fails_the_run() -> None:
    """One page failing fails the group."""
    played = play(failing(), gives=items(3), takes={"read": [1, 2, 9]}, fails={
        "read": [2]
    })  # fmt: skip
    assert played.ends == [(3, "failed")]
    assert len(played.cancelled) == 1
    assert [str(error) for error in played.errors] == ["read2"]


def test_finish_lets_the_others_end_and_then_fails_with_all_failures() -> None:
    """Each of them is there."""
    played = play(
        failing(failures="finish"),
        gives=items(3),
        takes={"read": [1, 2, 9]},
        fails={"read": [1, 2]},
    )
    assert played.ends == [(10, "failed")]
    assert [str(error) for error in played.errors] == ["read1", "read2"]
    assert played.cancelled == []


def test_collect_hands_the_errors_over_among_the_results() -> None:
    """By index."""
    played = play(
        failing(failures="collect"),
        gives={**items(3), "read": echo},
        fails={"read": [2]},
    )
    first, error, third = played.given("report")[0]
    assert (first, str(error), third) == (0, "read2", 2)


def test_failures_that_are_borne_give_no_result() -> None:
    """A count, or a share of all."""
    for borne in (1, 0.34):
        played = play(
            failing(max_failures=borne),
            gives={**items(3), "read": echo},
            fails={"read": [2]},
        )
        assert played.given("report") == [[0, 2]]
        played = play(failing(max_failures=borne), gives=items(3), fails={
            "read": [2, 3]
        })  # fmt: skip
        assert played.status == "failed"
        assert len(played.errors) == 2


def test_who_gathers_hears_of_a_failed_group() -> None:
    """``report.failed`` gets the first error; the others stand in its notes."""
    net = flow(
        split=BEGIN,
        read=each("split", failures="finish"),
        report=gather("read"),
        sorry="report.failed",
    )
    played = play(net, gives=items(3), fails={"read": [1, 3]})
    (error,) = played.given("sorry")
    assert str(error) == "read1"
    assert "flowkit: another instance failed: ValueError: read3" in error.__notes__
    assert played.status == "completed"


def test_a_failure_that_is_handled_in_the_lane_is_none_of_the_group() -> None:
    """The instance goes on behind ``.failed``, in its lane."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        mend="read.failed",
        done=merge("read", "mend"),
        report=gather("done"),
    )
    played = play(net, gives=items(3), fails={"read": [2]})
    assert lanes(played, "mend") == [1]
    assert len(played.given("report")[0]) == 3


def test_a_failed_instance_takes_the_rest_of_its_lane_along() -> None:
    """What stands beside the failed step in the lane is cancelled."""
    net = flow(
        split=BEGIN,
        a=each("split", max_failures=1),
        b="a",
        c="a",
        end=gather("b"),
    )
    played = play(net, gives=items(2), fails={"c": [1]}, takes={"b": 9, "c": 1})
    assert played.lost("b") == [3]
    assert len(played.given("end")[0]) == 1


def test_what_is_parked_in_the_lane_of_a_failed_instance_is_not_called_stuck() -> None:
    """The failure tells what there is to tell."""
    net = flow(
        split=BEGIN,
        a=each("split", max_failures=1),
        pair=times(2, "a"),
        b="a",
        end=gather("pair"),
    )
    played = play(net, gives=items(1), fails={"b": [1]})
    assert played.given("end") == [[]]
    assert played.stuck == []


# --- what stays in a lane --------------------------------------------------------


def test_a_join_that_cannot_fire_is_reported_when_its_lane_is_over() -> None:
    """And holds no group open."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("x", "y")),
        left="x",
        right="y",
        both=and_("left", "right"),
        end=gather("both"),
    )
    played = play(net, gives=items(2), routes={"pick": ["x", ["x", "y"]]})
    assert played.given("end") == [["both1"]]
    assert played.stuck == [
        (
            "Flow.both is stuck on and_(left, right): left came; right cannot come any "
            "more (right never ran). (flow.py:5)"
        )
    ]
    assert played.status == "completed"


def test_a_stuck_lane_of_a_strict_flow_is_an_error() -> None:
    """As at the end of a run."""
    net = flow(
        strict=True,
        split=BEGIN,
        a=each("split"),
        five=times(5, "a"),
        end=gather("five"),
    )
    played = play(net, gives=items(1))
    assert played.status == "failed"


def test_a_timer_keeps_its_lane_and_its_group_open() -> None:
    """It is set and goes off in the lane."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        late=timer(5, after="a"),
        end=gather("late"),
    )
    played = play(net, gives=items(2), takes={"a": [1, 3]})
    assert played.at("late") == [7, 9]
    assert lanes(played, "late") == [0, 1]
    assert played.at("end") == [10]
    assert played.status == "completed"


def test_a_timer_is_withdrawn_with_its_lane() -> None:
    """Nobody waits for it any more."""
    net = flow(
        split=BEGIN,
        a=each("split"),
        late=timer(50, after="a"),
        end=gather("a", 1, rest="cancel"),
        all=gather("late"),
    )
    played = play(net, gives=items(3), takes={"a": [1, 3, 4]})
    assert played.at("end") == [2]
    assert played.marking.timers == {}
    assert lanes(played, "late") == [0]


def test_a_timer_that_can_move_nothing_holds_no_lane_open() -> None:
    """Its join lacks what never comes: the lane is over, the group goes on."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("x",)),
        left="x",
        both=and_("left", timer(50, after="pick")),
        end=gather("pick"),
    )
    played = play(net, gives=items(1))
    assert played.at("end") == [2]
    assert played.ends == [(3, "completed")]


def test_an_event_listener_stands_outside_of_groups() -> None:
    """What an instance emits to it leaves its lane."""
    net = flow(
        split=BEGIN,
        a=step(each("split"), emits=("news",)),
        hear=event("news", optional=True),
        end=gather("a"),
    )
    played = play(net, gives=items(2), emits={"a": [("news", 1)]}, takes={"a": [1, 5]})
    assert played.at("hear") == [2, 6]
    assert [one.lane for _, one in played.started if one.node.name == "hear"] == [
        (),
        (),
    ]


def test_a_name_left_in_another_group_than_its_listener_is_an_error() -> None:
    """A router whose labels nobody declared may do it."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=None),
        outer="found",
        after=gather("pick"),
        choose=router("after", labels=None),
    )
    assert play(net, gives=items(1), routes={"choose": ["found"]}).errors == []
    played = play(net, gives=items(1), routes={"pick": ["found"]})
    (error,) = played.errors
    assert type(error) is RouteError
    assert str(error) == (
        "Flow.pick leaves 'found' in 1 group, but outer listens in no group. Put "
        "gather(..) between them, or declare who leaves the name. (flow.py:2)"
    )


def test_a_circle_that_only_an_outside_name_enters_opens_groups_of_its_own() -> None:
    """Nothing says in which group it would stand, so it stands in none."""
    net = flow(
        hold=BEGIN,
        work=each("go", times=2),
        more="work",
        again=step(gather("more"), router=True, labels=("go",)),
    )
    played = play(
        net, events=[(1, "go", 1)], takes={"hold": 20}, routes={"again": ["go", None]}
    )
    assert lanes(played, "work") == [0, 1, 0, 1]
    assert len(played.at("again")) == 2


def test_an_outside_name_that_only_instances_listen_to_is_reported() -> None:
    """There is no telling which instance it is for."""
    net = flow(
        split=BEGIN,
        pick=step(each("split"), router=True, labels=("x",)),
        hear="x",
        end=gather("hear"),
    )
    played = play(
        net,
        gives=items(1),
        routes={"pick": ["x"]},
        takes={"pick": 5},
        events=[(2, "x", None)],
    )
    assert len(played.at("hear")) == 1
    assert played.unheard == [
        (
            "Flow was sent 'x', which hear hears from an instance of each(..) only; nobody "
            "listens"
        )
    ]


# --- sources that yield ----------------------------------------------------------

LEADS = {
    "leads": step(start=True, yields=True),
    "work": each("leads"),
    "end": gather("work"),
}


def test_what_a_step_yields_begins_at_once() -> None:
    """WCP-15: the group is done when the source has ended and all lanes are over."""
    played = play(
        flow(**LEADS),
        yields={"leads": [(1, "a"), (2, "b")]},
        gives={"work": echo},
        takes={"leads": 9},
    )
    assert played.at("work") == [1, 2]
    assert played.at("end") == [9]
    assert played.given("end") == [["a", "b"]]


def test_a_step_that_yields_nothing_opens_an_empty_group() -> None:
    """Its result is none of the items."""
    played = play(flow(**LEADS), gives={"leads": None})
    assert played.given("end") == [[]]


def test_who_listens_to_the_source_itself_gets_its_result() -> None:
    """Once it has ended."""
    played = play(flow(**LEADS, after="leads"), yields={"leads": [(0.5, 1)]})
    assert played.given("after") == ["leads1"]


def test_batches_of_a_source_that_yields_fill_up() -> None:
    """The last one may be shorter."""
    net = {**LEADS, "work": each("leads", batch=2)}
    played = play(
        flow(**net), yields={"leads": [(at, at) for at in range(5)]}, takes={"leads": 9}
    )
    assert played.given("work") == [[0, 1], [2, 3], [4]]
    assert played.at("work") == [1, 3, 9]


def test_a_source_that_fails_has_given_what_it_gave() -> None:
    """If somebody listens to its failure; else the run fails."""
    script: dict[str, Any] = {
        "yields": {"leads": [(0.5, 1)]},
        "fails": {"leads": True},
        "takes": {"work": 5},
    }
    assert play(flow(**LEADS), **script).status == "failed"
    played = play(flow(**LEADS, sorry="leads.failed"), **script)
    assert played.given("end") == [["work1"]]


def test_a_source_that_is_cancelled_gives_no_more() -> None:
    """Its group ends with what it has."""
    net = flow(**LEADS, stop=BEGIN, cut=step("stop", cancels=("leads",)))
    played = play(
        net,
        yields={"leads": [(0.5, 1), (5, 2)]},
        takes={"leads": 9, "stop": 2, "work": 3},
    )
    assert played.given("end") == [["work1"]]
    assert played.at("end") == [3.5]


def test_a_source_may_be_completed() -> None:
    """As if it had ended by itself."""
    net = flow(**LEADS, stop=BEGIN)
    played = play(
        net,
        yields={"leads": [(0.5, 1), (5, 2)]},
        acts={"stop": [(2, "complete", "leads", "enough")]},
        takes={"leads": 9, "stop": 3},
    )
    assert played.given("end") == [["work1"]]
    assert played.status == "completed"


def test_one_source_may_feed_several_groups() -> None:
    """Each with its own limit and gather."""
    net = flow(
        **LEADS, other=each("leads", limit=1), last=gather("other", 1, rest="cancel")
    )
    played = play(net, yields={"leads": [(0.1, 1), (0.2, 2)]})
    assert len(played.given("end")[0]) == 2
    assert len(played.given("last")[0]) == 1


# --- spawn, seal, complete, cancel -----------------------------------------------


def test_an_instance_may_spawn_others() -> None:
    """They count for the group; their indexes follow."""
    played = play(
        flow(**READ),
        gives={**items(1), "read": echo},
        acts={
            "read": lambda _, n: [(0.5, "spawn", "read", 7)] if n == 1 else [],
        },
    )
    assert played.taken == [True]
    assert played.given("report") == [[0, 7]]


def test_nothing_is_spawned_after_a_seal_or_the_firing() -> None:
    """The verb says so."""
    net = flow(split=BEGIN, read=each("split"), report=gather("read", 1), side=BEGIN)
    played = play(
        net,
        gives=items(2),
        takes={"read": [1, 9], "side": 9},
        acts={"side": [(1.5, "spawn", "read", 1), (5, "spawn", "read", 2)]},
    )
    assert played.taken == [True, False]
    played = play(
        flow(**READ),
        gives=items(1),
        takes={"read": 9},
        acts={"read": [(1, "seal", "read"), (2, "spawn", "read", 1)]},
    )
    assert played.taken == [True, False]
    assert len(played.at("read")) == 1


def test_nothing_is_spawned_before_there_is_a_group_or_after_it() -> None:
    """There is nothing to add to."""
    net = flow(**READ, side=BEGIN)
    played = play(
        net,
        gives=items(1),
        takes={"side": 9},
        acts={"side": [(0.5, "spawn", "read", 1), (8, "spawn", "read", 1)]},
    )
    assert played.taken == [False, False]


def test_complete_goes_on_with_what_is_there() -> None:
    """WCP-27: the rest is withdrawn, no later instance starts."""
    net = flow(
        split=BEGIN,
        read=each("split", limit=2),
        report=gather("read"),
        late=timer(4, after="split"),
    )
    played = play(
        net,
        gives={**items(9), "read": echo},
        takes={"read": [1, 9, 1, 9]},
        acts={"late": [(0, "complete", "read")]},
    )
    assert played.given("report") == [[0, 2]]
    assert len(played.at("read")) == 4
    assert len(played.lost("read")) == 2
    assert played.status == "completed"


def test_complete_asked_by_an_instance_spares_the_one_that_asks() -> None:
    """It ends like any other; what it leaves is heard by nobody."""
    net = flow(
        split=BEGIN,
        read=each("split"),
        more="read",
        after="more",
        report=gather("read"),
    )
    played = play(
        net,
        gives={**items(3), "read": echo},
        takes={"read": [1, 9, 9], "more": 5},
        acts={"more": [(1, "complete", "read")]},
    )
    assert played.at("report") == [3]
    assert played.given("report") == [[0]]
    assert len(played.done("more")) == 1
    assert played.at("after") == []
    assert played.status == "completed"


def test_complete_of_a_group_that_has_failed_is_no_way_around() -> None:
    """Failures beyond the policy are told."""
    net = flow(
        split=BEGIN,
        read=each("split", failures="finish"),
        report=gather("read"),
        side=BEGIN,
    )
    played = play(
        net,
        gives=items(3),
        takes={"read": [1, 9, 9], "side": 5},
        fails={"read": [1]},
        acts={"side": [(3, "complete", "read")]},
    )
    assert played.status == "failed"
    assert [str(error) for error in played.errors] == ["read1"]
