"""From a class with decorated methods to one definition and its functions.

Done once, at class creation. Steps of base classes and mixins count; a method
that overrides a step keeps the step's wiring unless it is decorated again, and a
name set to None takes the step away. All faults are reported together.
"""

from __future__ import annotations

import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from flowkit.core.definition import ENDINGS, MODES, Definition, Join, Leaf, Step
from flowkit.core.net import net_of
from flowkit.core.validate import Fault, hints, validate
from flowkit.define.conditions import (
    Condition,
    EachSource,
    EventSource,
    FailedSource,
    GatherSource,
    TimerSource,
    timer_name,
)
from flowkit.define.marks import Mark, is_step, mark_of, unapplied
from flowkit.errors import DefinitionError, FlowkitWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowkit.core.definition import Ending, Region
    from flowkit.core.net import Net
    from flowkit.core.policies import Policy
    from flowkit.define.marks import Review, Saved

__all__ = ["Builder", "Compiled", "compile_class", "faults_of", "tolerant"]

tolerant: ContextVar[bool] = ContextVar("flowkit_tolerant", default=False)
"""Let classes with errors be made, to be checked; they must not be run."""


class Compiled:
    """A flow class after compilation.

    Attributes:
        definition: the graph.
        net: its transition tables.
        functions: the plain function of each step.
        keys: callables that read an event's correlation key, by event name.
        reviews: what ``@human_feedback`` said, by step.
        saved: what ``@persist`` on a method said, by step.
        flows: the flows that steps run, classes or their names, by step.
        tests: the functions of ``while_`` and ``until``, by step.
        until: those of ``gather(.., until=..)``, by their place.
        policies: of the steps that have any.
        warnings: what was warned of; with the errors, if they were let through.
    """

    __slots__ = (
        "_read",
        "definition",
        "flows",
        "functions",
        "keys",
        "net",
        "policies",
        "reviews",
        "saved",
        "tests",
        "until",
        "warnings",
    )

    def __init__(
        self,
        definition: Definition,
        functions: dict[str, Callable[..., Any]],
        keys: dict[str, Callable[[Any], Any]],
    ) -> None:
        self.definition: Definition = definition
        self.functions: dict[str, Callable[..., Any]] = functions
        self.keys: dict[str, Callable[[Any], Any]] = keys
        self.reviews: dict[str, Review] = {}
        self.saved: dict[str, Saved] = {}
        self.flows: dict[str, Any] = {}
        self.tests: dict[str, Callable[[Any], object]] = {}
        self.until: dict[str, Callable[[list[Any], int], bool]] = {}
        self.policies: dict[str, Policy] = {}
        self.warnings: list[Fault] = []
        self._read: dict[str, tuple[tuple[str, ...], bool]] = {}
        self.net: Net = net_of(definition)

    def read(self, router: str) -> tuple[tuple[str, ...], bool]:
        """Labels the source of a router shows, and whether there may be others."""
        found = self._read.get(router)
        if found is None:
            from flowkit.define.labels import read_labels  # routers only

            shown = read_labels(self.functions[router])
            found = self._read[router] = (shown.labels, shown.open)
        return found


def compile_class(
    cls: type,
    *,
    max_firings: int = 100,
    strict: bool = False,
    defaults: Policy | None = None,
    on_error: str = "fail_fast",
) -> Compiled:
    """The definition and functions of a class.

    Raises:
        DefinitionError: all faults of the class, each with place, cause and cure.
    """
    builder = Builder(cls, defaults)
    builder.unapplied()
    builder.expect(on_error)
    steps = builder.resolved(
        [builder.step(name, function, mark) for name, function, mark in _marked(cls)]
    )
    if on_error not in MODES or builder.undoing:
        from flowkit.define.handlers import with_handlers  # only who has them

        steps, on_error = with_handlers(builder, steps, on_error)
    definition = Definition(cls.__name__, steps, max_firings, strict, on_error)
    compiled = Compiled(definition, builder.functions, builder.keys)
    compiled.reviews, compiled.saved = builder.reviews, builder.saved
    compiled.flows = builder.flows
    compiled.tests, compiled.until = builder.tests, builder.until
    compiled.policies = builder.policies
    found = [*builder.faults, *validate(definition, compiled.read)]
    if strict and not any(fault.level == "error" for fault in found):
        from flowkit.core.validate import unmet  # else a check tells them

        found += unmet(definition)
    order = {step.name: index for index, step in enumerate(steps)}
    faults = sorted(found, key=lambda fault: order.get(fault.step, -1))
    if strict:
        faults = [fault._replace(level="error") for fault in faults]
    errors = [fault.text for fault in faults if fault.level == "error"]
    compiled.warnings = faults
    if errors and not tolerant.get():
        raise DefinitionError(cls.__name__, errors)
    for fault in faults:
        warnings.warn(fault.text, FlowkitWarning, stacklevel=5)  # the class
    return compiled


def faults_of(compiled: Compiled) -> list[Fault]:
    """What was found at class creation, and what only a check looks for."""
    wrong = {fault.step for fault in compiled.warnings if fault.level == "error"}
    more = [each for each in hints(compiled.definition) if each.step not in wrong]
    return [*compiled.warnings, *more]


def _marked(cls: type) -> list[tuple[str, Any, Mark]]:
    """Every step of a class, base classes first, in the order written."""
    marks: dict[str, Mark] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            mark = mark_of(value)
            if mark is not None and is_step(value):
                marks[name] = mark
    found = []
    for name, mark in marks.items():
        function = getattr(cls, name, None)
        if callable(function):
            found.append((name, function, mark))
    return found


class Builder:
    """Resolves what the marks of one class say."""

    def __init__(self, cls: type, defaults: Policy | None = None) -> None:
        self.cls: type = cls
        self.defaults: Policy | None = defaults
        self.functions: dict[str, Callable[..., Any]] = {}
        self.keys: dict[str, Callable[[Any], Any]] = {}
        self.reviews: dict[str, Review] = {}
        self.saved: dict[str, Saved] = {}
        self.flows: dict[str, Any] = {}
        self.tests: dict[str, Callable[[Any], object]] = {}
        self.until: dict[str, Callable[[list[Any], int], bool]] = {}
        self.regions: dict[str, Region] = {}
        self.policies: dict[str, Policy] = {}
        self.undoing: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.names: set[str] = {name for name, _, _ in _marked(cls)}

    def unapplied(self) -> None:
        """Note steps that are none, for want of parentheses."""
        for name, value in vars(self.cls).items():
            found = unapplied(value)
            if found is not None:
                from flowkit.define.misuse import unapplied_text

                decorator, condition = found
                text = unapplied_text(self.cls, name, decorator, _unwrapped(condition))
                self._fault(name, text)

    def expect(self, on_error: str) -> None:
        """Methods that become steps because others name them: they can be heard."""
        policies = [mark.policy for _, _, mark in _marked(self.cls) if mark.policy]
        named = [policy.undo for policy in policies if policy.undo]
        if self.defaults is not None and self.defaults.undo is not None:
            named.append(self.defaults.undo)
        for each in [*named, on_error]:
            name = each if isinstance(each, str) else each.__name__
            if callable(getattr(self.cls, name, None)):
                self.names.add(name)

    def step(self, name: str, function: Any, mark: Mark) -> Step:
        """What the decorators of one method say, as a step."""
        self.functions[name] = function
        code = getattr(_unwrapped(function), "__code__", None)
        place = (code.co_filename, code.co_firstlineno) if code else ("", 0)
        called = ""
        if mark.flow is not None:
            from flowkit.define.flows import named_flow  # only who calls one

            self.flows[name] = mark.flow
            called = named_flow(mark.flow, self.cls)
            place = getattr(function, "place", place)
        labels, single = self._labels(function, mark)
        review = mark.review
        if review is not None:
            self.reviews[name] = review
            if review.emit:
                labels, single = review.emit, True
        if mark.saved is not None:
            self.saved[name] = mark.saved
        policy = self._policy(name, mark, place)
        step = Step(
            name,
            start=mark.start,
            conditional=mark.conditional,
            router=mark.router or bool(review and review.emit),
            labels=labels,
            single=single,
            max_firings=mark.max_firings,
            is_async=bool(called) or _is_async(function),
            yields=_yields(function),
            schedule=mark.schedule,
            flow=called,
            policies=policy.texts if policy else (),
            doc=_first_paragraph(function),
            file=place[0],
            line=place[1],
            **self._options(name, function, mark),
        )
        self._region(step)
        if not mark.triggers:
            if not mark.start:
                from flowkit.define.misuse import without_trigger

                text = without_trigger(self.cls, step)
                self.faults.append(Fault("warning", step.name, text))
            return step
        if mark.schedule is not None:
            from flowkit.define.misuse import two_beginnings

            self._fault(step.name, two_beginnings(self.cls, step))
        first = mark.triggers[0]
        if isinstance(first, EachSource) and len(mark.triggers) == 1:
            step = step._replace(each=first.said)
            return step._replace(trigger=self._condition(first.source, step))
        parts = tuple(self._condition(each, step) for each in mark.triggers)
        trigger = parts[0] if len(parts) == 1 else Join("merge", parts)
        return step._replace(trigger=trigger)

    def _options(self, name: str, function: Any, mark: Mark) -> dict[str, Any]:
        found = dict(mark.options)
        test = found.pop("test", None)
        if test is not None:
            found["test"], self.tests[name] = test
        if "emits" not in found and "emit" in _names_in(function):
            found["emits"] = ()
        return found

    def resolved(self, steps: list[Step]) -> tuple[Step, ...]:
        """The steps, with regions named in ``cancels=`` as such."""
        if not any(step.cancels for step in steps):
            return tuple(steps)
        regions = set(self.regions) - self.names
        return tuple(
            step._replace(
                cancels=tuple(
                    f"region({name})" if name in regions else name
                    for name in step.cancels
                )
            )
            for step in steps
        )

    def _policy(self, name: str, mark: Mark, place: tuple[str, int]) -> Policy | None:
        """What holds for a step: its own policies, over those of the class."""
        policy = mark.policy.over(self.defaults) if mark.policy else self.defaults
        policy = policy and policy.settled()
        if policy is not None and not policy.said():
            policy = None
        if policy is not None:
            self.policies[name] = policy
            if policy.undo is not None:
                self.undoing[name] = policy.undo
            if policy.fallback is not None:
                from flowkit.define.handlers import check_fallbacks  # the same

                check_fallbacks(self, name, policy, place)
            if policy.cache is not None:
                from flowkit.define.handlers import check_cache  # the same

                check_cache(self, name, mark, place)
            if policy.apart:
                from flowkit.define.isolation import check_isolation  # the same

                check_isolation(self, name, mark, policy, place)
        return policy

    def _region(self, step: Step) -> None:
        """A region is one and the same wherever it is named."""
        region = step.region
        if region is None:
            return
        known = self.regions.setdefault(region.name, region)
        if region != known:
            from flowkit.define.misuse import other_mutex

            self._fault(step.name, other_mutex(self.cls, step, region, known))

    def _fault(self, step: str, text: str) -> None:
        self.faults.append(Fault("error", step, text))

    def _labels(self, function: Any, mark: Mark) -> tuple[Any, bool]:
        if not mark.router:
            return None, False
        from flowkit.define.labels import declared_labels  # routers only

        declared = declared_labels(function)
        if mark.has_emit:
            return mark.emit, bool(declared and declared.single)
        if declared is None:
            return None, False
        return declared.labels, declared.single

    def _condition(  # noqa: PLR0911 - one kind of source after another
        self, source: Any, step: Step
    ) -> Leaf | Join:
        if isinstance(source, Condition):
            inputs = tuple(self._condition(each, step) for each in source.inputs)
            timing = source.span, source.gap
            return Join(source.kind, inputs, source.need, source.rest, *timing)
        if isinstance(source, EventSource):
            return self._event(source)
        if isinstance(source, TimerSource):
            return self._timer(source, step)
        if isinstance(source, FailedSource):
            name = self._method(source.function, step, f".{source.kind}")
            return Leaf(name, source.kind)
        if isinstance(source, GatherSource):
            return self._gather(source, step)
        if isinstance(source, EachSource):
            from flowkit.define.misuse import each_among

            self._fault(step.name, each_among(self.cls, step, source))
            return self._condition(source.source, step)
        if isinstance(source, str):
            return self._name(source)
        return Leaf(self._method(source, step, ""), "step")

    def _event(self, source: EventSource) -> Leaf:
        key = source.key
        if callable(key):
            self.keys[source.name] = key
            key = "<function>"
        return Leaf(source.name, "event", key, source.transient, source.optional)

    def _gather(self, source: GatherSource, step: Step) -> Leaf:
        inner = source.source
        name = inner if isinstance(inner, str) else self._method(inner, step, "")
        until = ""
        if source.until is not None:
            until = f"{step.name}:{len(self.until)}"
            self.until[until] = source.until
        return Leaf(name, "gather", need=source.need, until=until, rest=source.rest)

    def _timer(self, source: TimerSource, step: Step) -> Leaf:
        after = source.after
        if after is None:
            name = ""
        elif isinstance(after, str):
            name = after
            if name not in self.names:
                from flowkit.define.misuse import no_step

                self._fault(step.name, no_step(self.cls, step, name, self.names))
        else:
            name = self._method(after, step, "")
        shown = timer_name(name, source.delay)
        return Leaf(shown, "timer", after=name, delay=source.delay)

    def _name(self, name: str) -> Leaf:
        stem, dot, ending = name.rpartition(".")
        if dot and stem in self.names and ending in ENDINGS:
            return Leaf(stem, cast("Ending", ending))
        return Leaf(name, "step" if name in self.names else "name")

    def _method(self, function: Any, step: Step, ending: str) -> str:
        name = function.__name__
        family = [vars(base)[name] for base in self.cls.__mro__ if name in vars(base)]
        plain = _unwrapped(getattr(function, "__func__", function))
        if name in self.names and any(_unwrapped(each) is plain for each in family):
            return str(name)
        from flowkit.define.misuse import foreign

        self._fault(step.name, foreign(self.cls, step, function, ending))
        return str(name)


def _unwrapped(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _names_in(function: Any) -> tuple[str, ...]:
    """Names of attributes that a function's code uses."""
    code = getattr(_unwrapped(function), "__code__", None)
    return getattr(code, "co_names", ())


def _is_async(function: Any) -> bool:
    code = getattr(_unwrapped(function), "__code__", None)
    coroutine, marked = 0x80, getattr(function, "_is_coroutine_mark", None)
    return bool(code and code.co_flags & coroutine) or marked is not None


def _yields(function: Any) -> bool:
    generators = 0x20 | 0x200  # plain and asynchronous ones
    return bool(
        getattr(getattr(function, "__code__", None), "co_flags", 0) & generators
    )


def _first_paragraph(function: Any) -> str:
    doc = getattr(function, "__doc__", None) or ""
    return " ".join(doc.strip().split("\n\n")[0].split())
