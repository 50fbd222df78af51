"""Two runs of a flow in one picture."""

from __future__ import annotations

import pytest

from flowkit import Flow, listen, start
from flowkit.picture.compare import compared
from flowkit.runtime.clock import now
from flowkit.runtime.recall import recalled
from tests.picture.flows import Desk, Order, work

TIMES = "\N{MULTIPLICATION SIGN}"


def run(*answers):
    """What is known of a run of the desk with these turns."""
    flow = Desk()
    flow.answers = answers
    try:
        flow.kickoff()
    except ValueError:
        pass
    return recalled(flow.run)


def told(diagram):
    """Statuses by step: state, note."""
    return {n.name: (n.status.state, n.status.note) for n in diagram.nodes if n.status}


def test_steps_say_whether_both_went_there_and_how():
    """The same, otherwise, or only one of them."""
    diagram = compared(run("again", "good"), run("again", "again", "bad"), now())
    assert told(diagram) == {
        "read": ("same", "A 0.5 s, B 0.5 s"),
        "judge": (
            "differs",
            f"A {TIMES}2 again, good, 2 s\nB {TIMES}3 again {TIMES}2, bad, 3 s",
        ),
        "publish": ("first", "2 s"),
        "refuse": ("second", "ValueError: too bad"),
    }
    assert diagram.runs == 2
    assert {(e.source, e.target): e.taken for e in diagram.edges} == {
        ("read", "judge"): (1, 1),
        ("judge", "judge"): (1, 2),
        ("judge", "publish"): (1, 0),
        ("judge", "refuse"): (0, 1),
        ("publish", "never"): (1, 0),
        ("refuse", "never"): (0, 0),
    }


def test_the_facts_name_both_runs_and_where_they_part():
    """The first difference in the order of the records."""
    a, b = run("again", "good"), run("again", "bad")
    assert [(fact.state, fact.text) for fact in compared(a, b, now()).facts] == [
        ("first", f"A: completed after 4.5 s, run {a.id}"),
        ("second", f"B: failed after 2.5 s, run {b.id}"),
        (
            "differs",
            "They part where judge (firing 2 of it) chose good in A and chose bad in B",
        ),
    ]


class Refines(Flow):
    """A step that repeats itself."""

    most = 1

    @start()
    def draft(self):
        self.state["most"] = self.most

    @listen(draft, until=lambda state: state["n"] >= state["most"])
    def refine(self):
        work(1)
        self.state["n"] = self.state.get("n", 0) + 1


def test_runs_may_differ_in_their_turns_alone():
    """Of a step that repeats itself."""
    known = []
    for most in (1, 3):
        flow = Refines()
        flow.most = most
        flow.kickoff()
        known.append(recalled(flow.run))
    diagram = compared(*known, now())
    assert told(diagram)["refine"] == ("differs", "A 1 s\nB 3 turns, 3 s")
    assert diagram.facts[-1].text == (
        "They part where refine took 1 turn in A and 3 turns in B"
    )


@pytest.mark.parametrize("turned", [False, True])
def test_a_step_that_only_one_run_has_is_where_they_part(turned):
    """Whichever of them has it."""

    class Short(Desk):
        pass

    runs = run("good"), run("good")
    cut = runs[1].executions[:2]
    from dataclasses import replace

    other = replace(runs[1], executions=cut)
    pair = (other, runs[0]) if turned else (runs[0], other)
    letter = "B" if turned else "A"
    assert compared(*pair, now()).facts[-1].text == (
        f"They part where publish ran in {letter} only"
    )


def test_two_runs_may_have_taken_the_same_way():
    """Then it is said, and lengths are beside each other."""
    diagram = compared(run("good"), run("good"), now())
    assert diagram.facts[-1].text == "Both took the same way"
    assert {state for state, _ in told(diagram).values()} == {"same"}


def test_runs_of_two_versions_are_drawn_over_all_their_steps(tmp_path):
    """What one of them does not have is the other's alone."""
    url = f"sqlite:///{tmp_path}/runs.db"

    def version(last):
        class Letter(Flow, store=url):
            @start()
            def write(self):
                work(1)

        class New(Letter, store=url):
            @listen(Letter.write)
            def post(self):
                work(1)

        cls = New if last else Letter
        flow = cls()
        flow.kickoff()
        return recalled(flow.run)

    diagram = compared(version(last=False), version(last=True), now())
    assert told(diagram) == {
        "write": ("same", "A 1 s, B 1 s"),
        "post": ("second", "1 s"),
    }


def test_what_goes_on_is_compared_as_it_stands(clock):
    """One waits, the other is over."""
    first, second = Order(), Order()
    first.kickoff()
    second.kickoff()
    clock.advance(10)
    second.send("paid", {})
    diagram = compared(recalled(first.run), recalled(second.run), now())
    assert told(diagram)["ship"] == ("second", "3 s")
    assert diagram.facts[0].text.startswith("A: waiting for 15 s, run ")
    assert diagram.facts[2].text == "They part where ship ran in B only"
