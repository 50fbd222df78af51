"""Properties of the rules on random nets with groups, gates and cancels: P1-P9.

Each play is replayed (P8), its tokens are accounted for (P7) and its marking is audited
after every record (P9) by the player itself.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkit.core.checks import groups
from flowkit.errors import DeadlockError, GatherError
from tests.core.lane_nets import cut, failing, gated, grouped, wild
from tests.core.nets import tangled
from tests.core.player import Played, StillRunningError, play

if TYPE_CHECKING:
    from typing import Any

    from flowkit.core.marking import Lane
    from tests.core.nets import Case

EXAMPLES = settings(
    max_examples=20_000 if os.environ.get("FLOWKIT_PROVE") == "1" else 150
)

WILD = settings(max_examples=20_000 if os.environ.get("FLOWKIT_PROVE") == "1" else 400)


def lanes_of(played: Played, name: str) -> list[Lane]:
    """The lane of each firing of a step."""
    return [one.lane for _, one in played.started if one.node.name == name]


def each_once(played: Played, body: Any) -> None:
    """P1, P3, P4: every block fires once in each lane of its scope.

    But for instances that end unheard and stand before a race: it cancels them (R8).
    """
    early = {fan["fan"] for fan in body.fans if fan["need"]}
    losers = 0
    for trigger in played.net.triggers:
        for tree in trigger.races:
            losers |= trigger.exclusive(tree)
    racing = {node.name for node in played.net.nodes if node.bit & losers}
    for name, scope in body.once.items():
        if name in racing and early & set(scope):
            continue
        fired = Counter(lanes_of(played, name))
        assert all(count == 1 for count in fired.values()), name
        assert all(len(lane) == len(scope) for lane in fired), name
        if scope:
            inside = {
                lane for lane in lanes_of(played, scope[-1]) if len(lane) == len(scope)
            }
            assert set(fired) == inside, f"{name} fired in other lanes than its fan"
        else:
            assert fired == {(): 1}, name


def gathers_once(played: Played, fan: dict[str, Any]) -> None:
    """P5: one firing, the earliest results, by index; ``cancel`` leaves exactly n."""
    ended: dict[Lane, dict[int, list[tuple[int, Any]]]] = {}
    for _, one in played.ended:
        if one.node.name == fan["last"]:
            *outer, (group, index) = one.lane
            ended.setdefault(tuple(outer), {}).setdefault(group, []).append(
                (index, played.given_by[one.id])
            )
    fired = [one for _, one in played.started if one.node.name == fan["end"]]
    assert len({one.lane for one in fired}) == len(fired)
    for one in fired:
        results = ended.get(one.lane, {})
        assert len(results) <= 1
        came = next(iter(results.values()), [])
        if fan["need"]:
            if fan["rest"] == "cancel":
                assert len(came) == fan["need"]
            came = came[: fan["need"]]
        assert one.payload == [value for _, value in sorted(came)]


def keeps_the_rules_in_lanes(case: Case) -> None:
    """P1-P5 for a net in which nothing fails and nobody cancels."""
    assert not list(groups(case.definition, None))
    played = play(case.definition, **case.script)
    assert played.status == "completed", played.errors
    assert played.stuck == []
    each_once(played, case.expected)
    for fan in case.expected.fans:
        gathers_once(played, fan)


def cancels_for_good(case: Case) -> None:
    """P6: the target commits nothing later, and the run ends."""
    when, verb, hit, target = case.expected
    played = play(case.definition, **case.script)
    ended = played.status == "completed" or all(
        type(error) is GatherError for error in played.errors
    )  # fewer results than a gather needs
    assert ended or (target == "run" and played.status == "cancelled"), played.errors
    if target == "run":
        assert played.status == "completed" or not any(
            time > when for time, _ in played.started
        )
        return
    before = {
        one.id for time, one in played.started if time < when and one.node.name in hit
    }
    late = [
        one.node.name for time, one in played.ended if time > when and one.id in before
    ]
    assert late == []
    if verb == "cancel" and hit:
        fans = {fan.name for fan in case.definition.steps if fan.each is not None}
        gone = {
            one.lane[: len(one.lane)]
            for time, one in played.started
            if time < when and one.node.name in hit and one.node.name in fans
        }
        groups_hit = {lane[-1][0] for lane in gone if lane}
        after = [
            one
            for time, one in played.started
            if time > when and any(number in groups_hit for number, _ in one.lane)
        ]
        assert after == []


def shares_and_ends(case: Case) -> None:
    """P9: never two holders (the player audits it), and nobody starves."""
    played = play(case.definition, **case.script)
    if played.status == "failed":
        assert [type(error) for error in played.errors] == [DeadlockError]
        return
    assert played.stuck == []
    assert played.status == "completed"
    each_once(played, case.expected)


def counts_failures(case: Case) -> None:
    """Policies: what is borne, what fails, and that no failure is lost."""
    size, bad, policy, most, told = case.expected
    played = play(case.definition, **case.script)
    if most is None:
        borne: float = float("inf") if policy == "collect" else 0
    else:
        borne = most if most >= 1 else most * size
    failed = len(bad) > borne
    ends = played.given("end")
    if not failed:
        assert played.status == "completed"
        (results,) = ends
        errors = [one for one in results if isinstance(one, ValueError)]
        assert len(errors) == (len(bad) if policy == "collect" else 0)
        well = [one for one in results if not isinstance(one, ValueError)]
        assert len(well) == size - len(bad)
        assert well == sorted(well)
        return
    assert ends == []
    if told:
        assert played.status == "completed"
        (error,) = played.given("sorry")
        count = 1 + sum("another instance" in note for note in _notes(error))
    else:
        assert played.status == "failed"
        count = len(played.errors)
    if policy == "finish":
        assert count == len(bad)
    else:
        assert borne < count <= len(bad)
    if policy == "finish":
        assert played.cancelled == []


def _notes(error: BaseException) -> set[str]:
    return set(getattr(error, "__notes__", ()))


def accounts_for_everything(case: Case) -> None:
    """P7, P8, P9: whatever happens, the run ends or waits, and nothing is lost.

    A loop through a timer or a window is bounded by nothing but time: its play is cut.
    """
    with suppress(StillRunningError):
        play(case.definition, longest=300, **case.script)


def keeps_lanes_and_gates(case: Case) -> None:
    """Deferral: all of that holds for firings that begin again, too."""
    accounts_for_everything(case._replace(script={**case.script, "defers": True}))


def keeps_its_mutex(case: Case) -> None:
    """Deferral: what starts, and when, is the same behind gates."""
    later = play(case.definition, **case.script, defers=True)
    assert [(at, one.node.name) for at, one in later.started] == [
        (at, one.node.name) for at, one in play(case.definition, **case.script).started
    ]


@EXAMPLES
@given(grouped())
def test_groups_keep_the_rules_of_joins_in_their_lanes(case: Case) -> None:
    """P1-P5: once a lane, gathered once, by index."""
    keeps_the_rules_in_lanes(case)


@EXAMPLES
@given(cut())
def test_what_is_cancelled_commits_nothing_later(case: Case) -> None:
    """P6: a step, a region, a group, the run, at any moment."""
    cancels_for_good(case)


@EXAMPLES
@given(gated())
def test_a_mutex_has_one_holder_and_nobody_starves(case: Case) -> None:
    """P9: with one, two or a region's."""
    shares_and_ends(case)


@EXAMPLES
@given(failing())
def test_no_failure_of_an_instance_is_lost(case: Case) -> None:
    """``fail_fast``, ``finish``, ``collect``, with and without ``max_failures``."""
    counts_failures(case)


@WILD
@given(wild())
def test_every_token_of_any_net_with_groups_is_accounted_for(case: Case) -> None:
    """P7, P8, P9: with every verb and option."""
    accounts_for_everything(case)


@WILD
@given(wild())
def test_deferred_firings_keep_their_lanes_and_gates(case: Case) -> None:
    """P7, P8, P9: each begins again until it ends; the lane and the mutex are kept."""
    keeps_lanes_and_gates(case)


@EXAMPLES
@given(gated())
def test_a_deferred_firing_keeps_its_mutex(case: Case) -> None:
    """P6: who waits for its next attempt is still the one holder."""
    keeps_its_mutex(case)


@pytest.mark.parametrize("strategy", [wild, tangled])
def test_a_draw_makes_no_recursive_strategy(
    strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make one takes long and reads the file: an edit then would spoil a run."""

    def made(*_: Any, **__: Any) -> None:
        raise AssertionError("a recursive strategy was made while drawing")

    monkeypatch.setattr(st, "recursive", made)

    @settings(max_examples=3, database=None)
    @given(strategy())
    def draw(case: Case) -> None:
        assert case.definition.steps

    draw()
