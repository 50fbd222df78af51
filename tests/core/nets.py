"""Random nets, each with a script, for the properties of tests/core/test_properties.py.

A strategy draws a *case*: a definition, the script to play it with, and what must
come of it. The cases are small and dense; hypothesis looks for the odd one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from flowkit.define.conditions import (
    all_active,
    and_,
    any_of,
    event,
    merge,
    or_,
    times,
)
from tests.core.player import BEGIN, flow, router, step

RESTS = ("ignore", "block", "cancel")


class Case(NamedTuple):
    """A flow, how to play it, and what must come of it."""

    definition: Any
    script: dict[str, Any]
    expected: Any = None


@st.composite
def counted(draw: st.DrawFn) -> Case:
    """P1: tokens for two to four inputs of an ``and_``, in any interleaving."""
    names = [f"in{at}" for at in range(draw(st.integers(2, 4)))]
    counts = {name: draw(st.integers(0, 5)) for name in names}
    arrivals = draw(
        st.permutations([name for name in names for _ in range(counts[name])])
    )
    events = [(at + 1.0, name, f"{name}{at}") for at, name in enumerate(arrivals)]
    definition = flow(hold=BEGIN, join=and_(*names))
    script = {
        "events": events,
        "takes": {"hold": 1_000, "join": lambda _: draw(st.integers(0, 9))},
    }
    return Case(definition, script, counts)


@st.composite
def looped(draw: st.DrawFn) -> Case:
    """P2: ``n`` of ``m`` branches in a loop of ``k`` turns, any durations."""
    m = draw(st.integers(2, 4))
    n = draw(st.integers(1, m - 1))
    turns = draw(st.integers(1, 5))
    rest = draw(st.sampled_from(RESTS))
    steps: dict[str, Any] = {"begin": BEGIN}
    takes: dict[str, Any] = {"begin": 0, "more": 0, "join": 0}
    ends = []
    longest = draw(st.integers(1, 3))
    for at in range(m):
        before: Any = or_("begin", "again")
        for link in range(draw(st.integers(1, longest))):
            name = f"b{at}{link}"
            steps[name] = before
            takes[name] = draw(
                st.lists(st.integers(0, 7), min_size=turns, max_size=turns)
            )
            before = name
        ends.append(before)
        if draw(st.booleans()):
            steps[f"audit{at}"] = before
    steps["join"] = any_of(n, *ends, rest=rest)
    steps["more"] = router("join", labels=["again", "enough"])
    steps["last"] = "enough"
    routes = {"more": ["again"] * (turns - 1) + ["enough"]}
    when = _moments(takes, ends, n, turns, rest) if longest == 1 else None
    return Case(flow(**steps), {"takes": takes, "routes": routes}, (turns, when))


def _moments(
    takes: dict[str, Any], ends: list[Any], n: int, turns: int, rest: str
) -> list[int]:
    """When the join fires, if each branch is one step."""
    moments, now, complete = [], 0, 0
    for turn in range(turns):
        arrivals = sorted(now + takes[name][turn] for name in ends)
        fires = arrivals[n - 1]
        if rest == "block":
            fires = max(fires, complete)
        complete = max(complete, arrivals[-1])
        now = fires
        moments.append(fires)
    return moments


@st.composite
def choosing(draw: st.DrawFn) -> Case:
    """P3: an exclusive choice in a loop, and a join of its branches."""
    m = draw(st.integers(2, 4))
    labels = [f"go{at}" for at in range(m)]
    steps: dict[str, Any] = {
        "begin": BEGIN,
        "choose": router(or_("begin", "again"), labels=labels),
    }
    takes: dict[str, Any] = {"more": 0, "join": 0}
    ends: list[Any] = []
    for at, label in enumerate(labels):
        before = label
        for link in range(draw(st.integers(0, 2))):
            name = f"b{at}{link}"
            steps[name] = before
            takes[name] = draw(st.integers(0, 5))
            before = name
        ends.append(before)
        if draw(st.booleans()):
            steps[f"aside{at}"] = before
            takes[f"aside{at}"] = draw(st.integers(0, 40))
    kind = draw(st.sampled_from([or_, all_active, merge]))
    steps["join"] = kind(*ends)
    steps["more"] = router("join", labels=["again", "enough"])
    steps["last"] = "enough"
    turns = draw(st.integers(1, 5))
    chosen = draw(st.lists(st.sampled_from(labels), min_size=turns, max_size=turns))
    routes = {"choose": chosen, "more": ["again"] * (turns - 1) + ["enough"]}
    return Case(flow(**steps), {"takes": takes, "routes": routes}, turns)


@st.composite
def branching(draw: st.DrawFn) -> Case:
    """P4: ``all_active`` after a tree of multi-choices, retries and side branches."""
    grown = _Tree(draw)
    grown.grow("begin", 3)
    turns = draw(st.integers(1, 3))
    steps: dict[str, Any] = {"begin": step_or_start(), **grown.steps}
    steps["join"] = all_active(*grown.leaves)
    steps["more"] = router("join", labels=["again", "enough"])
    steps["last"] = "enough"
    takes = {"begin": 1, "join": 0, "more": 0, **grown.takes}
    routes = {**grown.routes, "more": ["again"] * (turns - 1) + ["enough"]}
    script = {"takes": takes, "routes": routes}
    return Case(flow(**steps), script, (turns, frozenset(grown.aside)))


def step_or_start() -> Any:
    """A start that the label ``again`` fires once more."""
    return step("again", start=True)


class _Tree:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: dict[str, Any] = {}
        self.takes: dict[str, Any] = {}
        self.routes: dict[str, Any] = {}
        self.leaves: list[str] = []
        self.aside: list[str] = []

    def new(self, kind: str, value: Any) -> str:
        name = f"{kind}{len(self.steps)}"
        self.steps[name] = value
        self.takes[name] = self.draw(
            st.lists(st.integers(0, 6), min_size=1, max_size=4)
        )
        return name

    def grow(self, before: str, depth: int) -> None:
        draw = self.draw
        kind = draw(st.sampled_from(["leaf", "choice", "retry", "both", "side"]))
        if depth == 0 or kind == "leaf":
            self.leaves.append(self.new("leaf", before))
        elif kind == "choice":
            self.choice(before, depth)
        elif kind == "retry":
            self.retry(before, depth)
        elif kind == "both":
            after = self.new("step", before)
            self.grow(after, depth - 1)
            self.grow(after, depth - 1)
        else:
            name = self.new("side", before)
            self.takes[name] = draw(st.integers(0, 60))
            self.aside.append(name)
            self.grow(before, depth - 1)

    def choice(self, before: str, depth: int) -> None:
        number = len(self.steps)
        labels = [f"go{number}x{at}" for at in range(self.draw(st.integers(1, 3)))]
        name = self.new("choice", router(before, labels=labels))
        subset = st.lists(st.sampled_from(labels), unique=True)
        self.routes[name] = self.draw(st.lists(subset, min_size=6, max_size=6))
        for label in labels:
            self.grow(label, depth - 1)

    def retry(self, before: str, depth: int) -> None:
        number = len(self.steps)
        redo, well = f"redo{number}", f"well{number}"
        name = self.new("retry", router(or_(before, redo), labels=[redo, well]))
        one = st.sampled_from([redo, well])
        drawn = self.draw(st.lists(one, min_size=3, max_size=3))
        self.routes[name] = lambda at: drawn[at % 3] if at % 4 else well
        self.grow(well, depth - 1)


LEAVES = [*"abcdrsxyz", "a.failed", "r.failed", "a.timeout"]


LEAF = st.sampled_from(LEAVES) | st.sampled_from(["e", "f"]).map(event)


def _joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=2, max_size=3)
    simple = st.builds(
        lambda kind, parts: kind(*parts),
        st.sampled_from([or_, and_, all_active, merge]),
        several,
    )
    partial = st.builds(
        lambda parts, rest: any_of(1, *parts, rest=rest),
        several,
        st.sampled_from(RESTS),
    ) | st.builds(
        lambda parts, rest: any_of(2, *parts, rest=rest),
        st.lists(inner, min_size=3, max_size=3),
        st.sampled_from(RESTS),
    )
    counts = st.builds(times, st.integers(2, 3), LEAF)
    return simple | partial | counts


CONDITIONS = st.recursive(LEAF, _joined, max_leaves=5)


@st.composite
def tangled(draw: st.DrawFn) -> Case:
    """P7, P8: anything goes: nested joins, loops, failures, events, stops."""
    labels = draw(st.sampled_from([("x", "y", "z"), None]))
    steps: dict[str, Any] = {
        "begin": BEGIN,
        "a": merge("begin", draw(CONDITIONS)),
        "b": draw(CONDITIONS),
        "c": draw(CONDITIONS),
        "d": draw(CONDITIONS),
        "r": router(merge("begin", draw(CONDITIONS)), labels=labels),
        "s": router(draw(CONDITIONS), labels=labels),
    }
    subsets = st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=3)
    routes = {name: draw(st.lists(subsets, max_size=6)) for name in ("r", "s")}
    times_of = st.lists(st.integers(0, 5), min_size=1, max_size=4)
    takes = {name: draw(times_of) for name in steps}
    ordinals = st.frozensets(st.integers(1, 4), max_size=2)
    fails = {name: draw(ordinals) for name in ("a", "r") if draw(st.booleans())}
    events = draw(
        st.lists(
            st.tuples(st.integers(0, 30), st.sampled_from(["e", "f", "x"]), st.none()),
            max_size=6,
        )
    )
    stops = draw(st.sampled_from([(), (), (), ("d",)]))
    script = {
        "takes": takes,
        "routes": routes,
        "fails": fails,
        "events": events,
        "stops": stops,
    }
    return Case(flow(most=12, **steps), script)
