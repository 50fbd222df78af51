"""The rules R1, R2, R3, R11 and R14, decision by decision, without an event loop."""

from __future__ import annotations

import pytest

from flowkit.core.commands import End, Fault, Firing, Wait
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import Net
from flowkit.core.records import (
    EventReceived,
    RunAborted,
    RunCancelled,
    RunStarted,
    RunStopped,
    StepFailed,
    StepFinished,
)
from flowkit.define.conditions import and_, any_of, event, merge, or_
from flowkit.errors import RouteError, RunawayError, StuckError
from tests.core.player import BEGIN, flow, play, router, step

# --- starting --------------------------------------------------------------------


def test_plain_starts_run_at_kickoff_and_conditional_ones_do_not() -> None:
    """Starts with a condition wait for it when there are others."""
    net = flow(a=BEGIN, b=BEGIN, c=step("again", start=True, conditional=True))
    assert play(net).order == ["a", "b"]


def test_without_plain_starts_those_by_event_run_at_kickoff() -> None:
    """Decision 6: a kickoff hands its inputs to the start that waits for an event."""
    net = flow(
        a=step(event("e"), start=True, conditional=True),
        b=step("label", start=True, conditional=True),
    )
    played = play(net, payloads={"a": {"n": 1}})
    assert played.order == ["a"]
    assert played.given("a") == [{"n": 1}]


def test_starts_that_all_wait_for_labels_all_run_at_kickoff() -> None:
    """As CrewAI: a flow whose only starts wait for labels runs them all."""
    net = flow(
        a=step("x", start=True, conditional=True),
        b=step("y", start=True, conditional=True),
    )
    assert play(net).order == ["a", "b"]


def test_an_event_runs_the_starts_that_name_it_and_no_others() -> None:
    """An event begins the run at its own start, with its payload and name."""
    net = flow(
        plain=BEGIN,
        a=step(event("e"), start=True, conditional=True),
        b=step(event("f"), start=True, conditional=True),
    )
    played = play(net, by="e", payloads={"a": 7})
    assert played.order == ["a"]
    assert played.started[0][1].name == "e"
    assert played.given("a") == [7]


def test_routers_among_the_starts_begin_first() -> None:
    """Routers of a trigger start before its plain listeners, at the start too."""
    net = flow(a=BEGIN, r=router(labels=["x"]))
    assert play(net).order == ["r", "a"]


def test_a_flow_without_steps_ends_at_once() -> None:
    """Nothing to do is done."""
    assert play(flow()).ends == [(0, "completed")]


def test_a_flow_without_a_start_ends_at_once() -> None:
    """Legal, and empty."""
    assert play(flow(a="x")).ends == [(0, "completed")]


def test_a_start_with_a_label_runs_again_each_time_the_label_comes() -> None:
    """``@start("again")`` listens, too; starts are not bounded by the flow."""
    net = flow(
        most=3,
        begin=step("again", start=True, conditional=True),
        more=router("begin", labels=["again"], max_firings=9),
    )
    played = play(net, routes={"more": ["again"] * 6})
    assert len(played.at("begin")) == 7


# --- tokens and firings (R1, R2) -------------------------------------------------


def test_a_listener_gets_the_result_of_the_step_before_it() -> None:
    """WCP-1: a sequence, in order, each with its predecessor's value."""
    played = play(flow(a=BEGIN, b="a", c="b"))
    assert played.order == ["a", "b", "c"]
    assert played.given("c") == ["b1"]


def test_every_listener_gets_a_copy() -> None:
    """WCP-2: a split is two listeners; both start before either is done."""
    played = play(flow(a=BEGIN, b="a", c="a", d="a"), takes={"b": 5})
    assert played.at("b") == played.at("c") == played.at("d") == [1]
    assert played.ends == [(6, "completed")]


def test_routers_of_a_step_start_before_its_plain_listeners() -> None:
    """Decision 9, whatever the order in the source."""
    net = flow(
        a=BEGIN, b="a", r=router("a", labels=[]), c="a", s=router("a", labels=[])
    )
    assert play(net).order == ["a", "r", "s", "b", "c"]


def test_plain_listeners_of_a_router_start_before_listeners_of_its_labels() -> None:
    """Decision 9: a router's completion is two events, its name first."""
    net = flow(r=router(labels=["x"]), label="x", plain="r")
    played = play(net, routes={"r": ["x"]})
    assert played.order == ["r", "plain", "label"]
    assert played.given("plain") == ["r1"]
    assert played.given("label") == ["x"]


def test_a_router_may_choose_several_labels() -> None:
    """Each label's listeners start, in the order chosen."""
    net = flow(r=router(labels=["x", "y", "z"]), a="x", b="y", c="z")
    assert play(net, routes={"r": [["z", "x"]]}).order == ["r", "c", "a"]


@pytest.mark.parametrize("chosen", [None, []])
def test_a_router_may_choose_nothing(chosen: object) -> None:
    """The flow ends where it stands, with nothing to report."""
    played = play(flow(r=router(labels=["x"]), a="x"), routes={"r": [chosen]})
    assert played.order == ["r"]
    assert played.ends == [(1, "completed")]
    assert played.reports == []


def test_a_label_that_nobody_hears_is_reported() -> None:
    """R15 at run time: a warning record, and the run goes on."""
    played = play(flow(r=router(), a="r"), routes={"r": ["x"]})
    assert played.unheard == ["Flow.r chose 'x'; nobody listens"]
    assert played.order == ["r", "a"]
    assert played.status == "completed"


def test_a_label_that_nobody_hears_fails_a_strict_flow() -> None:
    """R15: an error when strict, siblings cancelled."""
    net = flow(strict=True, r=router(), a=BEGIN)
    played = play(net, routes={"r": ["x"]}, takes={"a": 9})
    assert [type(error) for error in played.errors] == [RouteError]
    assert str(played.errors[0]) == "Flow.r chose 'x'; nobody listens. (flow.py:1)"
    assert played.ends == [(1, "failed")]
    assert played.lost("a") == [1]


def test_a_schedule_begins_a_run_at_its_step_alone() -> None:
    """Other starts, plain ones too, are for kickoffs and events."""
    net = Net(flow(a=BEGIN, b=BEGIN, c="b"))
    (first,) = decide(net, Marking(3), RunStarted(0, None, {"b": 7}, "b"))
    assert isinstance(first, Firing)
    assert (first.node.name, first.payload) == ("b", 7)


def test_a_record_of_a_firing_that_is_not_live_does_nothing() -> None:
    """A late result of a cancelled or ended firing never counts."""
    net = Net(flow(a=BEGIN, b="a"))
    marking = Marking(2)
    (first,) = decide(net, marking, RunStarted(0))
    assert isinstance(first, Firing)
    decide(net, marking, StepFinished(1, first.id))
    assert decide(net, marking, StepFinished(1, first.id)) == ()
    assert decide(net, marking, StepFailed(1, 99, ValueError())) == ()
    assert decide(net, marking, RunStopped(1, 99)) == ()
    assert list(marking.live) == [2]


@pytest.mark.parametrize(
    "record", [RunStopped(9), RunAborted(9), RunCancelled(9), EventReceived(9, "b")]
)
def test_a_run_that_is_over_takes_nothing(record: object) -> None:
    """It ends once."""
    net = Net(flow(a=BEGIN, b="b"))
    marking = Marking(2)
    (first,) = decide(net, marking, RunStarted(0))
    assert isinstance(first, Firing)
    assert decide(net, marking, StepFinished(1, first.id)) == (End("completed"),)
    assert decide(net, marking, record) == ()  # type: ignore[arg-type]
    assert marking.status == "completed"


# --- failures --------------------------------------------------------------------


def test_an_unhandled_failure_cancels_the_siblings_and_ends_the_run() -> None:
    """R14: the run fails at once; what ran is cancelled, nothing after it starts."""
    net = flow(a=BEGIN, b=BEGIN, c="a", d="b")
    played = play(net, takes={"a": 1, "b": 9}, fails={"a": True})
    assert played.ends == [(1, "failed")]
    assert played.lost("b") == [1]
    assert played.order == ["a", "b"]


def test_a_failure_that_somebody_listens_to_is_handled() -> None:
    """The listener gets the error; listeners of the result do not start."""
    net = flow(a=BEGIN, b="a", rescue="a.failed", after="rescue")
    played = play(net, fails={"a": True})
    assert played.order == ["a", "rescue", "after"]
    assert str(played.given("rescue")[0]) == "a1"
    assert played.started[1][1].name == "a.failed"
    assert played.status == "completed"


def test_a_failed_leaf_is_an_input_like_any_other() -> None:
    """``or_(a, a.failed)`` goes on either way."""
    net = flow(a=BEGIN, j=or_("a", "a.failed"))
    assert play(net).order == ["a", "j"]
    assert play(net, fails={"a": True}).order == ["a", "j"]


def test_a_failed_leaf_in_a_join_is_reported_when_the_step_did_not_fail() -> None:
    """R14: the reason is that it did not fail."""
    net = flow(a=BEGIN, b=BEGIN, j=and_("a", "b.failed"))
    assert play(net).stuck == [
        (
            "Flow.j is stuck on and_(a, b.failed): a came; b.failed cannot come any "
            "more "
            "(b did not fail). (flow.py:3)"
        )
    ]


# --- stop, abort, cancel (R13, R14, WCP-19, 20, 43) ------------------------------


def test_stop_ends_the_run_well_and_cancels_the_rest() -> None:
    """WCP-43: status completed, the others cancelled, nothing reported as stuck."""
    net = flow(a=BEGIN, b=BEGIN, c=and_("a", "x"), d="b")
    played = play(net, takes={"a": 2, "b": 9}, stops=["a"])
    assert played.ends == [(2, "completed")]
    assert played.lost("b") == [2]
    assert played.reports == []


def test_abort_ends_the_run_as_cancelled() -> None:
    """WCP-20 from inside."""
    played = play(flow(a=BEGIN, b=BEGIN), takes={"b": 9}, aborts=["a"])
    assert played.ends == [(1, "cancelled")]
    assert played.lost("b") == [1]


def test_cancelling_from_outside_cancels_everything_live() -> None:
    """WCP-20 from outside: no firing is left, parked tokens are gone."""
    net = flow(a=BEGIN, b=BEGIN, j=and_("a", "b"))
    played = play(net, takes={"a": 1, "b": 9}, cancels=4)
    assert played.ends == [(4, "cancelled")]
    assert played.lost("b") == [4]
    assert played.marking.rounds == {}


def test_a_waiting_run_can_be_cancelled() -> None:
    """Nothing live, nothing to cancel, but it is over."""
    net = flow(a=BEGIN, b=event("e"))
    played = play(net, cancels=4)
    assert played.ends == [(4, "cancelled")]
    assert played.waits == [1]


# --- the end (R14, WCP-11) -------------------------------------------------------


def test_a_run_ends_after_the_last_of_its_open_ends() -> None:
    """WCP-11: implicit termination, no final step needed."""
    played = play(flow(a=BEGIN, b="a", c="a", d="a"), takes={"b": 3, "c": 7, "d": 5})
    assert played.ends == [(8, "completed")]


def test_an_event_listener_keeps_a_run_waiting() -> None:
    """Decision 3: that is what it is for."""
    played = play(flow(a=BEGIN, b=event("e")))
    assert played.status == "waiting"
    assert played.waits == [1]


def test_an_optional_event_does_not_keep_a_run_waiting() -> None:
    """Decision 3: taken while the run runs, not waited for."""
    net = flow(a=BEGIN, b=event("e", optional=True))
    assert play(net).ends == [(1, "completed")]
    assert play(net, events=[(0.5, "e", None)]).order == ["a", "b"]


def test_a_plain_name_does_not_keep_a_run_waiting() -> None:
    """Only event leaves do; the name may still come from outside meanwhile."""
    net = flow(a=BEGIN, b="ping")
    assert play(net).ends == [(1, "completed")]
    assert play(net, events=[(0.5, "ping", 3)]).given("b") == [3]


def test_an_event_of_a_merge_with_a_join_in_it_keeps_a_run_waiting() -> None:
    """Each input of a merge counts by itself."""
    net = flow(a=BEGIN, b=merge(event("e"), and_("x", "y")))
    assert play(net).status == "waiting"


def test_an_event_counts_only_if_its_join_can_still_be_met() -> None:
    """An event beside an input that is dead cannot move the run."""
    net = flow(r=router(labels=["x", "y"]), a="x", b="y", j=and_("a", event("e")))
    assert play(net, routes={"r": ["x"]}).status == "waiting"
    assert play(net, routes={"r": ["y"]}).status == "completed"


def test_a_start_by_event_does_not_keep_a_run_waiting() -> None:
    """Its events begin runs of their own."""
    net = flow(a=step(event("e"), start=True, conditional=True), b="a")
    played = play(net, by="e", events=[(1.5, "e", None)])
    assert played.order == ["a", "b"]
    assert played.ends == [(2, "completed")]


def test_an_event_that_nobody_takes_leaves_the_run_waiting() -> None:
    """It says so again."""
    net = Net(flow(a=BEGIN, b=event("e")))
    marking = Marking(2)
    (first,) = decide(net, marking, RunStarted(0))
    assert isinstance(first, Firing)
    assert decide(net, marking, StepFinished(1, first.id)) == (Wait(),)
    assert decide(net, marking, EventReceived(2, "other")) == (Wait(),)
    assert marking.status == "waiting"


# --- events ----------------------------------------------------------------------


def test_an_event_wakes_a_waiting_run() -> None:
    """WCP-24: kept or not is the bus's affair; delivered, it fires its listener."""
    played = play(flow(a=BEGIN, b=event("e"), c="b"), events=[(5, "e", "paid")])
    assert played.given("b") == ["paid"]
    assert played.at("c") == [6]
    assert played.waits == [1, 7]


def test_an_event_during_live_work_starts_its_listener_at_once() -> None:
    """Nothing waits for a quiet moment."""
    played = play(flow(a=BEGIN, b=event("e")), takes={"a": 9}, events=[(2, "e", None)])
    assert played.at("b") == [2]


def test_an_event_listener_handles_one_event_at_a_time() -> None:
    """In the order they came, each once."""
    net = flow(a=BEGIN, b=event("e"), c="b")
    events = [(2, "e", "one"), (3, "e", "two"), (4, "e", "three")]
    played = play(net, takes={"b": 5}, events=events)
    assert played.at("b") == [2, 7, 12]
    assert played.given("b") == ["one", "two", "three"]
    assert played.at("c") == [7, 12, 17]


def test_different_event_listeners_do_not_wait_for_each_other() -> None:
    """One at a time is a rule of each listener by itself."""
    net = flow(a=BEGIN, b=event("e"), c=event("e"), d=event("f"))
    played = play(net, takes={"b": 5, "c": 5}, events=[(2, "e", 0), (3, "f", 0)])
    assert played.at("b") == played.at("c") == [2]
    assert played.at("d") == [3]


def test_a_failed_event_listener_goes_on_with_the_next_event() -> None:
    """If somebody handles the failure."""
    net = flow(a=BEGIN, b=event("e"), c="b.failed")
    events = [(2, "e", "one"), (2, "e", "two")]
    played = play(net, fails={"b": [1]}, events=events)
    assert played.at("b") == [2, 3]
    assert played.at("c") == [3]


def test_an_event_is_delivered_to_joins_and_plain_listeners_alike() -> None:
    """A token is copied to every listener naming its event (R1)."""
    net = flow(a=BEGIN, b=event("e"), j=and_("a", event("e")))
    played = play(net, events=[(3, "e", 5)])
    assert played.at("b") == played.at("j") == [3]
    assert played.given("j") == [("a1", 5)]


def test_the_label_of_a_router_may_come_from_outside() -> None:
    """Names have one space; a step's own name is not for sending."""
    net = flow(r=router(labels=["x"]), a="x", b="r", hold=BEGIN)
    events = [(3, "x", 5), (4, "r", 6)]
    played = play(net, takes={"hold": 9}, events=events)
    assert played.given("a") == [5]
    assert played.at("b") == [1]


# --- cycles (R11, WCP-10) --------------------------------------------------------


def test_a_scripted_router_gives_exactly_the_scripted_order() -> None:
    """WCP-10: a loop with several entries and exits."""
    net = flow(
        outline=BEGIN,
        critique=router(
            merge("outline", "deeper", "rewrite_text"),
            labels=["deeper", "rewrite", "ready", "drop"],
        ),
        rewrite_text=or_("rewrite", "imported"),
        imported=event("import", optional=True),
        publish="ready",
        drop_it="drop",
    )
    script = ["deeper", "rewrite", "deeper", "ready"]
    assert play(net, routes={"critique": script}).order == [
        "outline", "critique", "critique", "rewrite_text", "critique", "critique",
        "publish",
    ]  # fmt: skip


def test_max_firings_turns_a_runaway_into_an_error_that_names_the_cycle() -> None:
    """R11: the text says who, how often, in which circle and what to do."""
    net = flow(
        most=3,
        begin=BEGIN,
        work=or_("begin", "again"),
        check=router("work", labels=["again", "done"]),
        end="done",
    )
    played = play(net, routes={"check": lambda _: "again"})
    (error,) = played.errors
    assert type(error) is RunawayError
    assert isinstance(error, RecursionError)
    assert str(error) == (
        "Flow.work would fire more than 3 times in one run, in the circle "
        "work -> check -> work. Give the loop an exit, or raise the bound with "
        "max_firings= on the step or max_method_calls on the flow. (flow.py:2)"
    )
    assert played.status == "failed"
    assert len(played.at("work")) == 3


def test_a_step_may_have_a_bound_of_its_own() -> None:
    """It overrules the flow's, upwards and downwards."""
    net = flow(
        most=3,
        begin=BEGIN,
        work=step(or_("begin", "again"), max_firings=6),
        check=router("work", labels=["again"], max_firings=5),
    )
    played = play(net, routes={"check": lambda _: "again"})
    assert str(played.errors[0]).startswith("Flow.check would fire more than 5 times")


def test_firings_are_counted_since_the_last_event_from_outside() -> None:
    """A long conversation is no runaway; a loop within one answer is."""
    net = flow(most=3, begin=BEGIN, turn=event("said"))
    events = [(at, "said", None) for at in range(2, 30)]
    played = play(net, events=events)
    assert len(played.at("turn")) == 28
    assert played.status == "waiting"


def test_an_event_that_had_to_queue_begins_a_count_of_its_own() -> None:
    """Ten events at once are ten turns, not one turn of ten firings."""
    net = flow(most=3, begin=BEGIN, turn=event("said"))
    played = play(net, events=[(2, "said", at) for at in range(10)])
    assert played.given("turn") == list(range(10))
    assert played.status == "waiting"


# --- strict ----------------------------------------------------------------------


def test_a_stuck_join_fails_a_strict_flow() -> None:
    """R14: one error with all of them; the reports come first."""
    net = flow(strict=True, a=BEGIN, j=and_("a", "x"), k=any_of(2, "a", "y", "z"))
    played = play(net)
    (error,) = played.errors
    assert type(error) is StuckError
    assert str(error) == " ".join(played.stuck)
    assert len(played.stuck) == 2
    assert played.ends == [(1, "failed")]


def test_a_fault_cancels_what_is_live() -> None:
    """The commands say so in order: the fault, the cancelled, the end."""
    net = Net(flow(most=1, a=BEGIN, b=BEGIN, c=merge("a", "b"), d="b"))
    marking = Marking(4)
    decide(net, marking, RunStarted(0))
    decide(net, marking, StepFinished(1, 1))
    commands = decide(net, marking, StepFinished(2, 2))
    assert [type(each).__name__ for each in commands] == ["Fault", "Cancel", "End"]
    assert isinstance(commands[0], Fault)
