"""Insights are reckoned from runs whose figures are known."""

from __future__ import annotations

import itertools
import json

import pytest

from examples.customer_events import durable
from examples.customer_events.app import SAMPLE
from flowkit import EventBus, Flow, and_, event, listen, observe, router, runs, start
from flowkit.errors import InputError
from flowkit.observe import Spread
from flowkit.observe.gathering import pattern, spread
from flowkit.runtime.clock import use_clock
from tests.runtime.stored import STORES, opened

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(params=STORES[1:])
def store(request, tmp_path):
    """An empty store."""
    return opened(request.param, tmp_path)


PLAN: dict[str, float] = {}


@pytest.fixture(autouse=True)
def plan(clock):
    """How long steps take in a test, by name."""
    PLAN.clear()
    PLAN["clock"] = clock
    return PLAN


def work(name):
    PLAN["clock"].advance(PLAN.get(name, 0.0))


class Order(Flow, sla={"run": "4s", "charge": 2.5}):
    """Three steps, one after the other, by their payload."""

    @start()
    def load(self):
        work("load")
        return PLAN.get("order")

    @listen(load)
    def charge(self, order):
        work("charge")
        self.metric("tokens", 10)
        if PLAN.get("fail"):
            raise ValueError(PLAN["fail"])
        return order

    @listen(charge)
    def send(self, order):
        work("send")
        return PLAN.get("sent", "sent")


def one(store, **more):
    (flow,) = observe.insights(store=store, **more).flows
    return flow


def step(flow, name):
    return next(each for each in flow.steps if each.step == name)


def finding(flow, kind, *steps):
    return next(
        (each for each in flow.findings if (each.kind, each.steps) == (kind, steps)),
        None,
    )


def orders(store, plan, *charges, **more):
    plan.update({"load": 1.0, "send": 0.5, **more})
    for index, charge in enumerate(charges):
        plan.update(charge=charge, order=index)
        Order(store=store).kickoff()


def test_counts_success_and_durations(store, plan):
    """A cancelled run counts neither way; durations are those of completed runs."""
    orders(store, plan, 1.0, 2.0, 3.0)
    plan["fail"] = "card 4711 refused"
    with pytest.raises(ValueError, match="refused"):
        Order(store=store).kickoff()
    flow = one(store)
    assert flow.flow == f"{Order.__module__}:Order"
    assert flow.runs == {"completed": 3, "failed": 1}
    assert flow.success == 0.75
    assert flow.lasted.count == 3
    assert (flow.lasted.mean, flow.lasted.median, flow.lasted.longest) == (
        3.5,
        3.5,
        4.5,
    )
    assert flow.lasted.deviation == pytest.approx((2 / 3) ** 0.5)
    assert flow.looked_at == 4


def test_failures_that_look_the_same_are_one(store, plan):
    """Numbers and quoted text differ from one to the next."""
    for text in ("card 1 of 'Ann' refused", "card 22 of 'Bob' refused", "no bank"):
        plan["fail"] = text
        with pytest.raises(ValueError):
            Order(store=store).kickoff()
    newest = [run.id for run in runs.list(store=store)]
    for failures in (one(store).failures, step(one(store), "charge").failures):
        assert [(each.text, each.count) for each in failures] == [
            ("ValueError: card # of '..' refused", 2),
            ("ValueError: no bank", 1),
        ]
        assert failures[0].run == newest[1]
        assert failures[0].example == "ValueError: card 22 of 'Bob' refused"


def test_targets_of_run_and_step(store, plan, clock):
    """Class keyword ``sla=``; runs that go on and are late already count as open."""
    orders(store, plan, 1.0, 2.0, 3.0, 4.0)
    flow = one(store)
    newest = runs.list(store=store)[0].id
    assert (flow.sla.level, flow.sla.checked, flow.sla.broken) == (4.0, 4, 2)
    assert flow.sla.runs[0] == newest
    sla = step(flow, "charge").sla
    assert (sla.level, sla.checked, sla.broken) == (2.5, 4, 2)
    assert step(flow, "load").sla is None
    other = one(store, sla="10s")
    assert (other.sla.level, other.sla.broken) == (10.0, 0)
    assert step(other, "charge").sla is None


def test_run_that_goes_on_beyond_its_target(store, clock):
    """It is told as open, not as broken."""

    class Wait(Flow, sla="1m"):
        @start(event("never"))
        def late(self):
            pass

        @start()
        def begin(self):
            pass

        @listen(event("go"))
        def go(self):
            pass

    Wait(store=store).kickoff()
    assert one(store).sla.open == 0
    clock.advance(61)
    assert one(store).sla.open == 1


@pytest.mark.parametrize(
    ("sla", "text"),
    [
        (
            {"chrge": "5s"},
            "class Bad: sla names 'chrge', which is no step. Did you mean 'charge'? Name steps, or 'run' for the run as a whole.",
        ),
        (
            {"charge": "soon"},
            "class Bad: sla['charge'] takes a length of time, not 'soon'. Write seconds, or text such as '90s', '1h30m' or '14d'.",
        ),
        (
            -1,
            "class Bad: sla takes a length of time, not -1. Write seconds, or text such as '90s', '1h30m' or '14d'.",
        ),
    ],
)
def test_target_that_is_none(sla, text):
    """Told when the class is made."""
    with pytest.raises(ValueError) as caught:

        class Bad(Flow, sla=sla):
            @start()
            def charge(self):
                pass

    assert str(caught.value) == text


def test_targets_are_inherited():
    """As the other class keywords."""
    from flowkit.runtime.kinds import known

    class Express(Order):
        pass

    assert known[Express].sla == {"run": 4.0, "charge": 2.5}


def test_steps_tell_their_time_and_metrics(store, plan):
    """Steps that take most of the time come first."""
    orders(store, plan, 1.0, 2.0, 3.0)
    flow = one(store)
    assert [each.step for each in flow.steps] == ["charge", "load", "send"]
    charge = flow.steps[0]
    assert (charge.executions, charge.failed, charge.success) == (3, 0, 1.0)
    assert (charge.worked.mean, charge.worked.median) == (2.0, 2.0)
    assert charge.worked.variance == pytest.approx(2 / 3)
    assert charge.on_path == pytest.approx(2.0)
    assert charge.share == pytest.approx(6 / 10.5)
    assert charge.totals == {"tokens": 30}
    assert charge.metrics == {"tokens": Spread(3, 10, 0, 10, 10, 10)}


def test_bottleneck_gains_what_its_quick_quarter_would_save(store, plan):
    """8 runs, charge takes 1 s in two and 5 s in six: (6 * 4 s) / 8 runs."""
    orders(store, plan, 1, 5, 5, 5, 1, 5, 5, 5)
    flow = one(store)
    found = finding(flow, "bottleneck", "charge")
    assert found.gain == pytest.approx(3.0)
    assert found.share == pytest.approx(3.0 / 5.5)
    assert found.seen == {
        "of_the_time": pytest.approx(4.0 / 5.5),
        "mean": 4.0,
        "deviation": pytest.approx(3**0.5),
        "quick": 1.0,
    }
    assert found.text == (
        "charge takes 73% of the time: 4 s on the mean, with a deviation of 1.7 s. A "
        "quarter of its executions took 1 s or less; if all did, this would be gained."
    )
    assert flow.findings[0] is found


def test_uneven_step_gains_what_is_beyond_its_median(store, plan):
    """``send`` takes 0 s but for two times 9 s; it is no bottleneck."""
    plan.update(load=10.0)
    for index, send in enumerate([0, 0, 9, 0, 0, 0, 0, 9, 0, 0]):
        plan.update(send=send, order=index, sent=index)
        Order(store=store).kickoff()
    found = finding(one(store), "uneven", "send")
    assert found.gain == pytest.approx(1.8)
    assert finding(one(store), "bottleneck", "load").gain == 0


class Apart(Flow):
    """``tidy`` takes nothing from ``load``, ``use`` reads what it writes."""

    @start()
    def load(self):
        work("load")
        self.state["order"] = 1

    @listen(load)
    def tidy(self):
        work("tidy")

    @listen(tidy)
    def count(self):
        self.state["count"] = 1
        work("count")

    @listen(count)
    def use(self):
        work("use")
        return self.state["count"]


def test_steps_without_data_between_them_could_run_side_by_side(store, plan):
    """The gain is the shorter of the two; a field that is read keeps them in order."""
    plan.update(load=2.0, tidy=1.0, count=3.0, use=4.0)
    for _ in range(3):
        Apart(store=store).kickoff()
    flow = one(store)
    assert finding(flow, "parallel", "load", "tidy").gain == pytest.approx(1.0)
    assert finding(flow, "parallel", "tidy", "count").gain == pytest.approx(1.0)
    assert finding(flow, "parallel", "count", "use") is None


def test_steps_with_a_payload_stay_in_order(store, plan):
    """``charge`` is handed what ``load`` gave."""
    orders(store, plan, 1.0, 2.0)
    assert not [each for each in one(store).findings if each.kind == "parallel"]


def test_router_s_choice_is_no_reason_to_run_side_by_side(store, plan):
    """What follows a label depends on it."""

    class Routed(Flow):
        @start()
        def begin(self):
            pass

        @router(begin, emit=["left"])
        def choose(self):
            work("choose")
            return "left"

        @listen("left")
        def go(self):
            work("go")

    plan.update(choose=2.0, go=2.0)
    Routed(store=store).kickoff()
    assert not [each for each in one(store).findings if each.kind == "parallel"]


def test_repeats_of_a_step_are_what_a_cache_would_save(store, plan):
    """Five runs over two orders: three repeat, each took 2 s."""
    plan.update(charge=2.0)
    for order in (1, 2, 1, 1, 2):
        plan.update(order=order)
        Order(store=store).kickoff()
    found = finding(one(store), "cache", "charge")
    assert found.gain == pytest.approx(3 * 2.0 / 5)
    assert found.seen == {"times": 3}
    assert finding(one(store), "cache", "load") is None  # gave this and that


def test_step_that_failed_once_on_the_same_inputs_is_no_repeat(store, plan):
    """What it gives does not depend on its inputs alone."""
    plan.update(charge=2.0, order=1)
    Order(store=store).kickoff()
    Order(store=store).kickoff()
    plan["fail"] = "x"
    with pytest.raises(ValueError):
        Order(store=store).kickoff()
    assert finding(one(store), "cache", "charge") is None


class Invoice(Flow):
    """Waits for an event between two steps, and sleeps within one."""

    @start()
    def ask(self):
        work("ask")

    @listen(and_(ask, event("paid")))
    def book(self):
        work("book")


def test_waiting_is_told_apart_from_work(store, plan, clock):
    """Waits of 10, 20, 30 and 40 s: all as the quickest quarter saves 60 s in 4."""
    plan.update(ask=1.0, book=1.0)
    for wait in (10, 20, 30, 40):
        flow = Invoice(store=store)
        flow.kickoff()
        clock.advance(wait)
        flow.send("paid")
    flow = one(store)
    found = finding(flow, "idle", "book")
    assert found.gain == pytest.approx(15.0)
    assert found.seen == {"of_the_time": pytest.approx(100 / 108), "mean": 25.0}
    assert found.text == (
        "book waits for event 'paid': 25 s on the mean, 93% of the time. A quarter of "
        "the waits took 10 s or less; if all did, this would be gained."
    )
    assert step(flow, "book").worked.mean == 1.0


async def test_only_the_critical_path_counts(store, plan, clock):
    """A quick branch beside a slow one gains nothing."""

    class Fork(Flow):
        @start()
        def load(self):
            work("load")

        @listen(load)
        async def quick(self):
            return 1

        @listen(load)
        async def slow(self):
            work("slow")

        @listen(and_(slow, quick))
        async def join(self):
            work("join")

    plan.update(load=1.0, slow=8.0, join=1.0)
    await Fork(store=store).kickoff_async()
    flow = one(store)
    assert sum(each.share for each in flow.steps) == pytest.approx(1.0)
    assert step(flow, "slow").on_path == pytest.approx(8.0)


def test_what_was_taken_back_does_not_count(store, plan):
    """Executions that a rewind undid are no executions."""
    orders(store, plan, 3.0)
    (run,) = runs.list(store=store)
    runs.rewind(run.id, to_step="charge", store=store)
    flow = Order.resume_all(store=store)[0].flow
    assert flow.run.status == "completed"
    assert step(one(store), "charge").executions == 1
    assert step(one(store), "load").executions == 1


def test_runs_without_their_class(store, plan, tmp_path):
    """The store knows all but what a step reads."""
    from flowkit.runtime.kinds import known

    orders(store, plan, 1, 2, 1)
    kind = known.pop(Order)
    try:
        flow = one(store)
    finally:
        known[Order] = kind
    assert flow.sla is None
    assert step(flow, "charge").worked.median == 1.0


def test_only_what_is_asked_for(store, plan):
    """By flow, by time, and how many are looked at."""
    orders(store, plan, 1, 2)
    Apart(store=store).kickoff()
    assert len(observe.insights(store=store).flows) == 2
    assert one(store, flow=Apart).runs == {"completed": 1}
    assert one(store, flow=Order, until=1_002.0).runs == {"completed": 1}
    assert one(store, flow=Order, most=1).looked_at == 1
    assert one(store, flow=Order, most=0).steps == ()
    with pytest.raises(InputError):
        observe.insights("Nobody", store=store)


def test_report_and_plain_data(store, plan):
    """``str`` is for people, ``to_dict`` for programs."""
    orders(store, plan, 1, 5, 5, 5, 1, 5, 5, 5)
    found = observe.insights(store=store)
    newest = runs.list(store=store)[0].id
    assert str(found).splitlines() == [
        f"{Order.__module__}:Order: 8 runs, 8 completed",
        "  succeed: 100.0%",
        "  completed ones took 6.5 s on the median, 6.5 s at 95 %, 6.5 s at most",
        f"  service level 4 s: 6 of 8 runs took longer (75.0%), the newest in run {newest}",
        "",
        "  steps, in the newest 8 runs at rest",
        "    step    ended  failed  median   95 %   mean  deviation  of the time",
        "    charge      8             5 s    5 s    4 s      1.7 s          73%",
        "    load        8             1 s    1 s    1 s       0 ms          18%",
        "    send        8           0.5 s  0.5 s  0.5 s       0 ms           9%",
        f"    charge: service level 2.5 s: 6 of 8 executions took longer (75.0%), the newest in run {newest}",
        "    charge: tokens 80 in all, 10 on the mean, 10 at 95 %",
        "",
        "  what would make them shorter, at most, a run",
        "    1. bottleneck, 3 s (55%): charge takes 73% of the time: 4 s on the mean, with a deviation of 1.7 s. A quarter of its executions took 1 s or less; if all did, this would be gained.",
    ]
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["flows"][0]["findings"][0]["kind"] == "bottleneck"


def test_spreads_have_their_variance(store, plan):
    """As an attribute and in plain data: seconds squared."""
    orders(store, plan, 1, 5, 5, 5, 1, 5, 5, 5)
    found = observe.insights(store=store)
    charge = step(found.flows[0], "charge")
    assert charge.worked.variance == pytest.approx(3.0)
    (plain,) = [
        each["worked"]
        for each in found.to_dict()["flows"][0]["steps"]
        if each["step"] == "charge"
    ]
    assert plain["variance"] == pytest.approx(3.0)
    assert plain["deviation"] == pytest.approx(3.0**0.5)


class Ticket(Flow):
    """Is never over: it takes each event of its case."""

    @start(on=event("opened", key="case"))
    def begin(self):
        work("begin")

    @listen(event("touched", key="case"))
    def go_on(self):
        work("go_on")


def test_runs_that_wait_are_looked_at(store, plan, clock):
    """A flow of such runs alone tells its steps and what it waits for."""
    plan.update({"begin": 1.0, "go_on": 2.0})
    with EventBus(store=store) as bus:
        bus.register(Ticket)
        for case, wait in (("a", 10), ("b", 30), ("c", 10), ("d", 10)):
            bus.send("opened", {"case": case}, key=case)
            bus.drain()
            clock.advance(wait)
            bus.send("touched", {"case": case}, key=case)
            bus.drain()
    flow = one(store)
    assert flow.runs == {"waiting": 4}
    assert (flow.success, flow.lasted, flow.looked_at) == (None, None, 4)
    assert step(flow, "go_on").worked.mean == 2.0
    idle = finding(flow, "idle", "go_on")
    assert idle.gain == 5.0
    assert idle.share == pytest.approx(20 / 72)
    assert idle.text == (
        "go_on waits for event 'touched': 15 s on the mean, 83% of the time. A quarter "
        "of the waits took 10 s or less; if all did, this would be gained."
    )


def test_recorded_input_is_told(store):
    """A help desk's own days: 300 lines through the example's flows."""
    use_clock(None)
    durable.send(SAMPLE, store)
    found = {
        each.flow.rpartition(":")[2]: each
        for each in observe.insights(store=store).flows
    }
    runs_in_all = sum(sum(each.runs.values()) for each in found.values())
    assert runs_in_all == len(runs.list(store=store, limit=-1))
    for flow in found.values():
        assert flow.looked_at == sum(flow.runs.values())
        for each in flow.steps:
            assert each.executions >= each.failed
            if each.lasted is None:
                assert each.cancelled == each.executions
                continue
            assert each.lasted.median <= each.lasted.p95 <= each.lasted.longest
        for one_, next_ in itertools.pairwise(flow.findings):
            assert one_.gain >= next_.gain
        assert all(0 <= each.share <= 1 for each in flow.findings)
    kinds = [each.kind for each in observe.health(store=store).ailments]
    assert kinds == ["dead"]  # lines of the recording that are none


def test_store_without_runs(store):
    """It says so."""
    assert str(observe.insights(store=store)) == f"no runs in {store.url}"


def test_picture_shows_where_the_time_went(store, plan, tmp_path):
    """Marks on the critical path, and the longest parts above."""
    orders(store, plan, 3.0)
    (run,) = runs.list(store=store)
    path = tmp_path / "run.json"
    assert observe.plot(run.id, path, store=store) == str(path)
    drawn = json.loads(path.read_text())
    texts = json.dumps(drawn)
    assert "charge worked 3 s, 67% of the time" in texts
    assert "worked 3 s of the run's time, on its critical path" in texts
    assert observe.plot(run.id, tmp_path / "run.mmd", store=store)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ValueError: card 12.5 refused\nmore", "ValueError: card # refused"),
        ('KeyError: "a 1"', "KeyError: '..'"),
        ("E: run 01234567-89ab-7def-8123-456789abcdef gone", "E: run # gone"),
        ("", ""),
    ],
)
def test_pattern(text, kind):
    """What differs from one failure to the next is left out."""
    assert pattern(text) == kind


def test_spread_is_by_nearest_rank():
    """The store reckons in the same way."""
    found = spread([float(each) for each in range(20, 0, -1)])
    assert (found.median, found.p95, found.longest, found.count) == (10, 19, 20, 20)
    assert spread([]) is None
