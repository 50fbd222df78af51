"""Ended runs are deleted as their flow says; live ones never."""

from __future__ import annotations

import pytest

from flowkit import Flow, InputError, Retention, event, listen, runs, start
from flowkit.runtime.kinds import known
from tests.runtime.stored import copied

pytestmark = pytest.mark.usefixtures("clock")

DAY = 86_400


class Kept(Flow, retention=Retention(keep=2, age="90d")):
    """Keeps two, and failures."""

    @start()
    def work(self):
        if self.state.get("bad"):
            raise ValueError("bad")


class Other(Flow):
    """Keeps all."""

    @start()
    def work(self):
        pass


class Waits(Flow, retention=Retention(keep=0, age=0, failures=False)):
    """Keeps nothing that is over."""

    @start()
    def work(self):
        pass

    @listen(event("end"))
    def end(self):
        self.stop()


def ids(store):
    """Of all runs, newest first."""
    return [each.id for each in runs.list(store=store)]


def failed(store, id):
    """A run that failed."""
    with pytest.raises(ValueError, match="bad"):
        Kept(store=store).kickoff({"bad": True}, id=id)


def test_the_newest_stay(store):
    """Beyond ``keep`` they go; failures stay, and are not counted."""
    Kept(store=store).kickoff(id="a")
    failed(store, "f")
    for name in "bcd":
        Kept(store=store).kickoff(id=name)
    Other(store=store).kickoff(id="o")
    found = runs.purge(store=store, dry=True)
    assert found == runs.Purged(("b", "a"), {f"{__name__}:Kept": 2}, dry=True)
    assert ids(store) == ["o", "d", "c", "b", "f", "a"]
    assert runs.purge(store=store).runs == ("b", "a")
    assert ids(store) == ["o", "d", "c", "f"]
    assert store.entries("a") == []
    assert runs.purge(store=store).runs == ()


def test_the_young_stay(store, clock):
    """By the time since they ended."""
    flow = Waits(store=store)
    flow.kickoff(id="w")
    Kept(store=store).kickoff(id="a")
    clock.advance(80 * DAY)
    flow.send("end")
    Kept(store=store).kickoff(id="b")
    clock.advance(11 * DAY)
    assert runs.purge(Kept, store=store).runs == ("a",)
    rule = Retention(age="90d")
    assert runs.purge(Waits, rule, store=store).runs == ()
    clock.advance(80 * DAY)
    assert runs.purge(Waits, rule, store=store).runs == ("w",)


def test_live_runs_are_never_touched(store, clock):
    """Whoever asks, and however old they are."""
    flow = Waits(store=store)
    flow.kickoff(id="w")
    clock.advance(1_000 * DAY)
    everything = Retention(keep=0, age=0, failures=False)
    assert runs.purge(retention=everything, store=store).runs == ()
    assert ids(store) == ["w"]
    flow.send("end")
    assert runs.purge(store=store).runs == ("w",)


def test_failures_go_if_they_are_not_to_be_kept(store):
    """A rule given for once goes before the class's own."""
    failed(store, "f")
    assert runs.purge(store=store).runs == ()
    rule = Retention(keep=0, failures=False)
    found = runs.purge(f"{__name__}:Kept", rule, store=store)
    assert found.runs == ("f",)


def test_flows_without_a_class_are_purged_by_a_rule_given_for_once(store):
    """Their names come from the store."""
    Other(store=store).kickoff(id="o")
    kind = known.pop(Other)
    try:
        assert runs.purge(retention=Retention(keep=0), store=store).runs == ("o",)
    finally:
        known[Other] = kind


def test_a_subclass_keeps_as_its_base():
    """Until it says otherwise."""

    class Sub(Kept):
        pass

    class Own(Kept, retention=Retention(keep=9)):
        pass

    assert known[Sub].retention == Retention(keep=2, age="90d")
    assert known[Own].retention == Retention(keep=9)


def test_more_than_a_page_is_purged(store):
    """Page by page."""
    Other(store=store).kickoff(id="r0")
    copied(store, "r0", [f"r{number}" for number in range(1, 230)])
    found = runs.purge(Other, Retention(keep=1), store=store)
    assert len(found.runs) == 229
    assert ids(store) == ["r229"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"keep": -1}, "Retention(keep=-1): a number of runs, 0 or more."),
        (
            {"age": "old"},
            "Retention(age=..) takes a length of time, not 'old'. Write seconds, or text such as '90s', '1h30m' or '14d'.",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_one_sentence(given, text):
    """At once, not at the next purge."""
    with pytest.raises(ValueError) as caught:
        Retention(**given)
    assert str(caught.value) == text


def test_an_unknown_flow_is_told(store):
    """Nothing is deleted."""
    with pytest.raises(InputError):
        runs.purge("Nobody", Retention(keep=0), store=store)
