"""Random nets with groups, gates and cancels, for tests/core/test_lane_properties.py."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from flowkit.core.definition import Region
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
    window,
)
from tests.core.nets import RESTS, Case
from tests.core.player import BEGIN, flow, router, step

POLICIES = ("fail_fast", "finish", "collect")


class Body:
    """Grows steps behind a step, in its scope: all of them fire once in a lane.

    Attributes:
        ends: steps that fire once for each lane of their scope, with its depth.
        takes, routes, gives: as the script has them.
    """

    def __init__(self, draw: st.DrawFn, most: int = 30) -> None:
        self.draw = draw
        self.most = most
        self.steps: dict[str, Any] = {"begin": BEGIN}
        self.takes: dict[str, Any] = {"begin": 0}
        self.routes: dict[str, Any] = {}
        self.gives: dict[str, Any] = {}
        self.yields: dict[str, Any] = {}
        self.fans: list[dict[str, Any]] = []
        self.once: dict[str, tuple[str, ...]] = {"begin": ()}
        self.labels = 0

    def add(self, condition: Any, scope: tuple[str, ...], *, once: bool = True) -> str:
        """One step more; ``once``: it fires exactly once in each lane of its scope."""
        name = f"s{len(self.steps)}"
        self.steps[name] = condition
        self.takes[name] = self.draw(
            st.lists(st.integers(0, 7), min_size=1, max_size=5)
        )
        if once:
            self.once[name] = scope
        return name

    def grow(self, before: str, scope: tuple[str, ...], depth: int) -> str:
        """Some blocks one behind the other; gives the step that ends them."""
        for _ in range(self.draw(st.integers(0, 2))):
            if len(self.steps) > self.most:
                break
            kinds = ["step", "all", "any", "choice", "loop"]
            if len(scope) < 2:
                kinds += ["group", "group"]
            kind = self.draw(st.sampled_from(kinds))
            before = getattr(self, f"_{kind}")(before, scope, depth)
        return before

    def _step(self, before: str, scope: tuple[str, ...], _: int) -> str:
        return self.add(before, scope)

    def _branches(self, before: str, scope: tuple[str, ...], depth: int) -> list[str]:
        found = []
        for _ in range(self.draw(st.integers(2, 3))):
            branch = self.add(before, scope)
            found.append(self.grow(branch, scope, depth - 1) if depth else branch)
        return found

    def _all(self, before: str, scope: tuple[str, ...], depth: int) -> str:
        kind = self.draw(st.sampled_from([and_, all_active]))
        return self.add(kind(*self._branches(before, scope, depth)), scope)

    def _any(self, before: str, scope: tuple[str, ...], depth: int) -> str:
        rest = self.draw(st.sampled_from(RESTS))
        branches = self._branches(before, scope, 0)
        for branch in branches:
            del self.once[branch]  # a race cancels them
        return self.add(any_of(1, *branches, rest=rest), scope)

    def _choice(self, before: str, scope: tuple[str, ...], depth: int) -> str:
        self.labels += 1
        labels = [f"go{self.labels}x{at}" for at in range(2)]
        choose = self.add(router(before, labels=labels), scope)
        chosen = self.draw(
            st.lists(
                st.lists(st.sampled_from(labels), unique=True, min_size=1),
                min_size=4,
                max_size=4,
            )
        )
        self.routes[choose] = lambda at: chosen[at % 4]
        branches = [self.add(label, scope, once=False) for label in labels]
        return self.add(all_active(*branches), scope)

    def _loop(self, before: str, scope: tuple[str, ...], _: int) -> str:
        self.labels += 1
        redo, well = f"redo{self.labels}", f"well{self.labels}"
        turn = self.add(
            router(or_(before, redo), labels=[redo, well]), scope, once=False
        )
        drawn = self.draw(st.lists(st.booleans(), min_size=3, max_size=3))
        self.routes[turn] = lambda at: redo if at % 4 and drawn[at % 3] else well
        return self.add(well, scope)

    def _group(self, before: str, scope: tuple[str, ...], depth: int) -> str:
        source = self.add(before, scope)
        size = self.draw(st.integers(0, 4))
        limit = self.draw(st.sampled_from([None, None, 1, 2]))
        counted = bool(size) and self.draw(st.booleans())
        if counted:
            fanned = each(source, times=size, limit=limit)
        else:
            fanned = each(source, limit=limit)
            self.gives[source] = list(range(size))
            if self.draw(st.booleans()):
                self.steps[source] = step(before, yields=True)
                self.yields[source] = [(0, at) for at in range(size)]
                self.gives[source] = None
        fan = self.add(fanned, scope)
        inner = (*scope, fan)
        self.once[fan] = inner
        last = self.add(self.grow(fan, inner, depth - 1) if depth else fan, inner)
        need = self.draw(st.sampled_from([None, None, 1, 2]))
        if need is not None and need > size:
            need = None
        at_least = self.draw(st.sampled_from([0, 0, 1, 3]))
        rest = self.draw(st.sampled_from(["ignore", "cancel"]))
        until = None
        if at_least and need is None:
            until = lambda done, _: len(done) >= at_least  # noqa: E731
        end = self.add(gather(last, need, until=until, rest=rest), scope)
        early = need if until is None else at_least
        self.fans.append(
            {
                "fan": fan,
                "last": last,
                "end": end,
                "size": size,
                "need": early if early and early <= size else None,
                "rest": rest,
                "limit": limit,
            }
        )
        if early and rest == "cancel":
            for name, where in list(self.once.items()):
                if fan in where:
                    del self.once[name]
        return end

    @property
    def script(self) -> dict[str, Any]:
        return {
            "takes": self.takes,
            "routes": self.routes,
            "gives": self.gives,
            "yields": self.yields,
        }


@st.composite
def grouped(draw: st.DrawFn) -> Case:
    """P1-P5: blocks and groups, nested, in a lane and in none; nothing fails."""
    body = Body(draw)
    body._group(body.grow("begin", (), 1), (), 2)
    return Case(flow(**body.steps), body.script, body)


@st.composite
def cut(draw: st.DrawFn) -> Case:
    """P6: the same, with a cancel of a step, a region, a group or the run, some time."""
    body = Body(draw)
    body._group(body.grow("begin", (), 1), (), 2)
    region = Region("part")
    names = [name for name in body.steps if name != "begin"]
    members = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    body.steps["asks"] = BEGIN
    when = draw(st.integers(0, 40)) / 2
    body.takes["asks"] = when + 1
    target = draw(st.sampled_from([*names, "region(part)", "run"]))
    verb = draw(st.sampled_from(["cancel", "cancel", "complete"]))
    script = body.script
    if target == "run":
        script["cancels"] = when
    else:
        if target == "region(part)":
            verb = "cancel"
        script["acts"] = {"asks": [(when, verb, target, [])]}
    made = flow(**body.steps)
    made = made._replace(
        steps=tuple(
            one._replace(region=region) if one.name in members else one
            for one in made.steps
        )
    )
    hit = members if target == "region(part)" else [target]
    return Case(made, script, (when, verb, hit, target))


@st.composite
def gated(draw: st.DrawFn) -> Case:
    """P9: the same, with mutexes and regions on some steps."""
    body = Body(draw)
    body._group(body.grow("begin", (), 1), (), 2)
    regions = [Region("one", "m"), Region("two", "m"), Region("three", "n")]
    made = flow(**body.steps)
    steps = []
    for each_step in made.steps:
        one = each_step
        kind = draw(st.sampled_from(["", "", "mutex", "region", "two"]))
        if kind == "mutex":
            one = each_step._replace(mutex=draw(st.sampled_from(["m", "n", "k"])))
        elif kind == "region":
            one = each_step._replace(region=draw(st.sampled_from(regions[:2])))
        elif kind == "two":
            one = each_step._replace(region=regions[0], mutex="k")
        steps.append(one)
    return Case(made._replace(steps=tuple(steps)), body.script, body)


@st.composite
def failing(draw: st.DrawFn) -> Case:
    """Failures in instances, by policy: how many there were, borne and told of."""
    size = draw(st.integers(1, 6))
    bad = draw(st.frozensets(st.integers(1, size), max_size=size))
    policy = draw(st.sampled_from(POLICIES))
    most = draw(st.sampled_from([None, None, 1, 2, 0.34, 0.5]))
    limit = draw(st.sampled_from([None, 1, 2]))
    steps: dict[str, Any] = {
        "split": BEGIN,
        "work": each("split", failures=policy, max_failures=most, limit=limit),
        "more": "work",
        "end": gather("more"),
    }
    told = draw(st.booleans())
    if told:
        steps["sorry"] = "end.failed"
    script = {
        "gives": {"split": list(range(size)), "more": lambda one, _: one.lane[-1][1]},
        "takes": {
            "work": draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))
        },
        "fails": {"work": bad},
    }
    return Case(flow(**steps), script, (size, bad, policy, most, told))


class Pool:
    """The names of one scope, and conditions over them.

    Its strategies are made once: hypothesis looks at a strategy before it draws, which
    takes several times as long as to play what was drawn.
    """

    def __init__(self, steps: list[str], labels: list[str], more: list[Any]) -> None:
        names = [*steps, *labels, f"{steps[0]}.failed", f"{steps[1]}.cancelled"]
        timers = [timer(3, after=steps[0]), timer(1, after=steps[1])]
        self.leaf = st.sampled_from([*names, *names, *timers, *more])
        self.condition = st.recursive(self.leaf, self._joined, max_leaves=4)
        self.window = st.builds(
            lambda source, count, time, gap: window(
                source, count=count, time=time, gap=gap
            ),
            st.sampled_from([*steps, *labels]),
            st.integers(1, 3),
            st.sampled_from([None, 2, 5]),
            st.sampled_from([None, 1, 3]),
        )
        self.trigger = self.condition | self.condition | self.window

    def _joined(self, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=2, max_size=3)
        return (
            st.builds(
                lambda kind, parts: kind(*parts),
                st.sampled_from([or_, and_, all_active, merge]),
                several,
            )
            | st.builds(
                lambda parts, rest: any_of(1, *parts, rest=rest),
                several,
                st.sampled_from(RESTS),
            )
            | st.builds(times, st.integers(2, 3), self.leaf)
        )


OUTER = Pool(
    ["a", "b", "c", "r"],
    ["x", "y"],
    [
        event("e"),
        event("f", optional=True),
        gather("h"),
        gather("i", 1),
        gather("p", rest="cancel", n=2),
        gather("note"),
    ],
)
MIDDLE = Pool(["h", "i", "s"], ["p", "q", "note"], [gather("k"), gather("l", 1)])
INNER = Pool(["k", "l"], [], [])
NAMES = [*"abcrghisjkl"]
REGIONS = [Region("one", "m"), Region("two")]
TARGETS = st.sampled_from([*NAMES, "region(one)", "region(two)"])
MOMENTS = st.lists(st.integers(0, 4), min_size=1, max_size=4)
ORDINALS = st.frozensets(st.integers(1, 4), max_size=2)
CHOICES = {
    "r": st.lists(
        st.lists(st.sampled_from(["x", "y"]), unique=True, max_size=2), max_size=6
    ),
    "s": st.lists(
        st.lists(st.sampled_from(["p", "q"]), unique=True, max_size=2), max_size=6
    ),
}
VERBS = st.tuples(
    st.integers(0, 4), st.sampled_from(["cancel", "complete"]), st.sampled_from(NAMES)
) | st.tuples(
    st.integers(0, 4), st.sampled_from(["spawn", "seal"]), st.sampled_from("gj")
)
FANS = st.builds(
    lambda count, limit, failures, most: {
        "times": count,
        "limit": limit,
        "failures": failures,
        "max_failures": most,
    },
    st.integers(1, 3),
    st.sampled_from([None, None, 1, 2]),
    st.sampled_from(POLICIES),
    st.sampled_from([None, 1, 0.5]),
)
EVENTS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(["e", "f", "x", "p"]), st.none()),
    max_size=4,
)


def _some(most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(NAMES), max_size=most, unique=True)


@st.composite
def wild(draw: st.DrawFn) -> Case:
    """P7, P8, P9: anything goes, in three scopes, with every verb and option."""
    steps: dict[str, Any] = {
        "begin": BEGIN,
        "a": merge("begin", draw(OUTER.condition)),
        "b": draw(OUTER.trigger),
        "c": draw(OUTER.trigger),
        "r": router(merge("begin", draw(OUTER.condition)), labels=["x", "y"]),
        "g": each(merge("begin", draw(OUTER.condition)), **draw(FANS)),
        "h": merge("g", draw(MIDDLE.condition)),
        "i": draw(MIDDLE.trigger),
        "s": router(draw(MIDDLE.trigger), labels=["p", "q"]),
        "j": each(draw(MIDDLE.condition), **draw(FANS)),
        "k": merge("j", draw(INNER.condition)),
        "l": draw(INNER.trigger),
    }
    options = _options(draw)
    made = flow(most=8, **steps)
    made = made._replace(
        steps=tuple(one._replace(**options.get(one.name, {})) for one in made.steps)
    )
    script = {
        "takes": {name: draw(MOMENTS) for name in steps},
        "routes": {name: draw(choices) for name, choices in CHOICES.items()},
        "fails": {
            name: draw(ORDINALS) for name in ("a", "h", "k") if draw(st.booleans())
        },
        "events": draw(EVENTS),
        "acts": {name: draw(st.lists(VERBS, max_size=2)) for name in draw(_some(2))},
        "emits": {
            "h": [("note", 1)] if draw(st.booleans()) else [],
            "i": [("e", 1)] if draw(st.integers(0, 3)) == 3 else [],
        },
        "turns": {draw(st.sampled_from(["a", "h", "l"])): draw(st.integers(1, 3))},
        "stops": draw(st.sampled_from([(), (), (), ("c",)])),
        "cancels": draw(st.sampled_from([15, 15, 7])),  # timers may go round forever
    }
    return Case(made, script)


def _options(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Gates, cancels and emitted names of some steps."""
    options: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    options["h"]["emits"] = ("note",)
    options["i"]["emits"] = ("e",)
    for name in draw(_some(2)):
        options[name]["mutex"] = draw(st.sampled_from(["m", "n"]))
    for name in draw(_some(2)):
        options[name]["region"] = draw(st.sampled_from(REGIONS))
    for name in draw(_some(1)):
        options[name]["cancels"] = (draw(TARGETS),)
    for name in draw(_some(1)):
        pair = st.sampled_from([*NAMES, "x", "p", "e"])
        options[name]["during"] = draw(pair), draw(pair)
    return options
