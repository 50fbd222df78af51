"""WCP-6 to WCP-9: choice of several branches, and how these come together."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from flowkit import listen
from tests.patterns.stage import example

BRANCHES = ("legal", "tax", "hr")
SUBSETS = [list(each) for n in range(4) for each in combinations(BRANCHES, n)]
ORDERS = [
    dict(zip(subset, seconds, strict=True))
    for subset in SUBSETS[1:]
    for seconds in permutations(range(1, len(subset) + 1))
]


def named(case):
    """A readable id of a case."""
    return "+".join(case) or "none"


@pytest.mark.pattern(6)
@pytest.mark.parametrize("subset", SUBSETS, ids=named)
async def test_exactly_the_chosen_branches_start(stage, monkeypatch, subset):
    """For each of the eight subsets; the empty one ends the run cleanly."""
    module = example(6)
    monkeypatch.setattr(module, "departments", lambda _: subset)
    run = await stage.run(module.HelpDesk(), {"text": "?"})
    chosen = [name for name in stage.order("started") if name.endswith("_memo")]
    assert sorted(chosen) == sorted(f"{name}_memo" for name in subset)
    assert len(run.state.memos) == len(subset)
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(7)
@pytest.mark.parametrize("seconds", ORDERS, ids=lambda case: str(list(case.items())))
async def test_the_join_waits_for_the_chosen_branches_only(stage, monkeypatch, seconds):
    """One answer, after the last of them, the others None, in whatever order."""
    module = stage.enter(7, **seconds)
    monkeypatch.setattr(module, "departments", lambda _: list(seconds))
    run = await stage.play(module.HelpDesk(), {"text": "x"})
    assert stage.times("answer", "started") == [max(seconds.values())]
    expected = [f"{name} on 'x'" for name in BRANCHES if name in seconds]
    assert run.result == " + ".join(expected)
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(7)
async def test_without_a_choice_the_join_does_not_fire(stage, monkeypatch):
    """Nothing came and nothing will: it is neither run nor reported as stuck."""
    module = stage.enter(7)
    monkeypatch.setattr(module, "departments", lambda _: [])
    run = await stage.play(module.HelpDesk(), {"text": "x"})
    assert stage.times("answer", "started") == []
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(7)
async def test_the_join_does_not_wait_for_an_unrelated_branch(stage, monkeypatch):
    """A branch that leads elsewhere may run on; the answer is not held up."""
    module = stage.enter(7, tax=2)
    monkeypatch.setattr(module, "departments", lambda _: ["tax"])

    class Audited(module.HelpDesk):
        @listen(module.HelpDesk.classify)
        async def audit(self):
            await stage.sleep(9)

    await stage.play(Audited(), {"text": "x"})
    assert stage.times("answer") == [2]
    assert stage.times("audit") == [9]


@pytest.mark.pattern(8)
@pytest.mark.parametrize("seconds", [(1, 4, 7), (7, 4, 1), (3, 3, 3)])
async def test_every_arrival_runs_all_that_follows(stage, seconds):
    """Three threads come, at different times or at one: each goes on by itself."""
    lint, tests, build = seconds
    module = stage.enter(8, lint=lint, tests=tests, build=build)
    run = await stage.play(module.PullRequest())
    assert stage.times("post_status") == sorted(seconds)
    assert stage.times("count") == sorted(seconds)
    assert run.state.posted == 3
    assert run.outputs.count("lint passed") == 2  # of the check, and of its status


@pytest.mark.pattern(9)
@pytest.mark.parametrize(("web", "library"), [(1, 5), (5, 1)])
async def test_the_first_result_goes_on_and_the_other_is_absorbed(stage, web, library):
    """One draft at the quicker search; the slower one ends and changes nothing."""
    module = stage.enter(9, web=web, library=library)
    run = await stage.play(module.Writer(), {"chapters": ["tides"]})
    assert stage.times("draft") == [1]
    assert run.state.drafts == [f"tides, from the {'web' if web == 1 else 'library'}"]
    assert stage.order("finished")[-1] == (
        "search_library" if web == 1 else "search_web"
    )
    assert (run.status, run.stuck, stage.now) == ("completed", [], 5)


@pytest.mark.pattern(9)
@pytest.mark.parametrize("library", [2, 3, 5, 50])
async def test_a_loop_has_one_firing_a_turn(stage, library):
    """Also if the slow branch of a turn outlives it (P2, and the trace of R15)."""
    module = stage.enter(9, web=1, library=library)
    run = await stage.play(module.Writer())
    assert stage.times("draft") == [1, 2, 3]
    assert stage.times("search_library") == [library, library + 1, library + 2]
    assert stage.order("cancelled") == []
    assert run.stuck == []
