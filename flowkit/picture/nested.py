"""Flow classes, and runs of them, with the flows of their steps shown from inside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowkit.errors import RunError
from flowkit.picture.classes import faults_marked, inferred_of, sources_of
from flowkit.plot.diagram import diagram, with_marks
from flowkit.plot.inside import shown_inside
from flowkit.runtime.kinds import known
from flowkit.runtime.opening import class_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flowkit.core.definition import Step
    from flowkit.plot.model import Diagram
    from flowkit.runtime.recall import Recalled

__all__ = ["Expand", "class_diagram", "expanded", "flow_of", "run_expanded"]

Expand = Any
"""True for all steps that run flows, or their names: ``{"charge", "charge/book"}``."""


def class_diagram(cls: type, expand: Expand = False) -> Diagram:  # noqa: FBT002 - True, or names
    """The diagram of a class.

    Raises:
        ValueError: ``expand`` names a step that runs no flow.
    """
    definition = known[cls].compiled.definition
    drawn = diagram(definition, sources=sources_of(cls), inferred=inferred_of(cls))
    drawn = with_marks(drawn, faults_marked(cls))
    if not expand:
        return drawn
    found: set[str] = set()
    drawn = expanded(drawn, cls, expand, _class_inside, found)
    _check(cls, expand, found)
    return drawn


def expanded(
    drawn: Diagram,
    cls: type,
    expand: Expand,
    inside_of: Callable[[type, str, type], Diagram | None],
    found: set[str],
    *,
    path: tuple[type, ...] = (),
    prefix: str = "",
) -> Diagram:
    """A diagram of a class with steps shown from inside, on all levels asked for.

    A flow within itself stays closed.

    Args:
        drawn: the diagram.
        cls: its class.
        expand: which steps.
        inside_of: the diagram of the flow that a step (of a class, by its path) runs.
        found: the paths of all steps that run flows are added to it.
        path: the classes around this one.
        prefix: the path of the step around, with a slash.
    """
    parts: dict[str, Diagram] = {}
    for step in known[cls].compiled.definition.steps:
        if not step.flow:
            continue
        name = prefix + step.name
        found.add(name)
        if expand is not True and name not in _names(expand):
            continue
        target = flow_of(cls, step)
        if target is None or target in (*path, cls):
            continue
        part = inside_of(cls, name, target)
        if part is not None:
            parts[step.name] = expanded(
                part,
                target,
                expand,
                inside_of,
                found,
                path=(*path, cls),
                prefix=f"{name}/",
            )
    return shown_inside(drawn, parts) if parts else drawn


def run_expanded(drawn: Diagram, run: Recalled, expand: Expand, store: Any) -> Diagram:
    """A run over its class, its called runs over the flows of their steps.

    Raises:
        ValueError: ``expand`` names a step that runs no flow.
    """
    from flowkit.picture.trace import traced
    from flowkit.runtime.clock import now
    from flowkit.runtime.lookup import row_of, store_of
    from flowkit.runtime.nesting import told
    from flowkit.runtime.recall import recalled

    assert run.cls is not None  # noqa: S101 - asked before
    called: dict[str, str] = {"": run.id}
    place = None if store is None else store_of(store)

    def inside(_cls: type, path: str, target: type) -> Diagram:
        around, _, step = path.rpartition("/")
        above = called.get(around)
        if above is not None and place is not None:
            of_step = [
                each for each in told(place, row_of(place, above)) if each.step == step
            ]
            runs = [found.id for each in of_step for found in each.called]
            if runs:
                called[path] = runs[-1]
                return traced(recalled(runs[-1], place), now())
        bare = class_diagram(target)
        unused = tuple(replace(edge, taken=(0,)) for edge in bare.edges)
        return replace(bare, edges=unused, runs=1)

    found: set[str] = set()
    drawn = expanded(drawn, run.cls, expand, inside, found)
    _check(run.cls, expand, found)
    return drawn


def flow_of(cls: type, step: Step) -> type | None:
    """The flow class that a step runs, None if it is not there."""
    target = known[cls].compiled.flows.get(step.name)
    if isinstance(target, type):
        return target
    try:
        return class_of(step.flow)
    except RunError:
        return None


def _class_inside(_cls: type, _step: str, target: type) -> Diagram:
    return class_diagram(target)


def _names(expand: Collection[str] | str) -> set[str]:
    """The steps asked for, and those around them."""
    given = {expand} if isinstance(expand, str) else set(expand)
    return {
        "/".join(parts[:end])
        for parts in (name.split("/") for name in given)
        for end in range(1, len(parts) + 1)
    }


def _check(cls: type, expand: Expand, found: set[str]) -> None:
    unknown = set() if expand is True else _names(expand) - found
    if unknown:
        from flowkit.core.validate import closest

        name = min(unknown)
        guess = closest(name, frozenset(found))
        hint = f"Did you mean {guess!r}?" if guess else ""
        every = ", ".join(map(repr, sorted(found))) or "none"
        said = f"{hint} These steps run flows: {every}.".strip()
        msg = f"{cls.__name__} has no step {name!r} that runs a flow. {said}"
        raise ValueError(msg)
