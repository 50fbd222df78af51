"""What a step does to the run beside it: emit, spawn, seal, complete, cancel.

What a step emits is kept until it ends, and delivered with its commit. The others
count at once, each as a record of its own with its place in the firing: a step that
starts again does not do them twice.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepActed
from flowkit.define.options import name_of
from flowkit.errors import RunError
from flowkit.runtime.clock import now
from flowkit.runtime.positions import at_home, step_of

if TYPE_CHECKING:
    from flowkit.core.marking import Firing
    from flowkit.core.net import Node
    from flowkit.runtime.run import Run

__all__ = ["act", "emit", "target_of"]


def emit(flow: Any, name: str, payload: Any) -> None:
    """Keep an event of a step until the step ends."""
    run, firing = step_of(flow, "emit")
    given: Any = name
    if type(given) is not str or not given:
        msg = f"{type(flow).__name__}.emit takes the name of an event, not {name!r}."
        raise ValueError(msg)
    _may_emit(run, firing.node, name)
    if run.journal is not None:
        payload = run.journal.checked(payload)
    if run.emitted is None:
        run.emitted = {}
    run.emitted.setdefault(firing.id, []).append((name, payload))


def _may_emit(run: Run, node: Node, name: str) -> None:
    definition = run.net.definition
    at = f"{definition.name}.{node.name}"
    if name in definition.names:
        msg = (
            f"{at} emits {name!r}, which is the name of a step: only its end sends "
            f"that. Choose another name. ({node.step.place})"
        )
        raise RunError(msg)
    emits = node.step.emits
    if emits is None:
        msg = (
            f"{at} emits {name!r} through a helper, so the graph cannot know of it. "
            f"Declare it on the step: emits=[{name!r}]. ({node.step.place})"
        )
        raise RunError(msg)
    if emits and name not in emits:
        from flowkit.core.validate import closest  # only an error needs it

        guess = closest(name, frozenset(emits))
        hint = f"Did you mean {guess!r}?" if guess else "Add it to emits=."
        msg = (
            f"{at} emits {name!r}, but declares only "
            f"{', '.join(map(repr, emits))}. {hint} ({node.step.place})"
        )
        raise RunError(msg)


def act(flow: Any, verb: str, target: Any, payload: Any = None) -> bool:
    """Do something to the run at once; whether there was anything to do it to."""
    run, firing = step_of(flow, verb)
    name = target_of(run, firing.node, verb, target)
    if run.home is None or run.home == threading.get_ident():
        done = _act(run, firing, verb, name, payload)
        if run.hurry is not None:
            run.hurry()  # what is ready now starts when this step next suspends
        return done
    found: list[bool] = []
    at_home(run, lambda: found.append(_act(run, firing, verb, name, payload)))
    return found[0]


def target_of(run: Run, node: Node, verb: str, target: Any) -> str:
    """The name of a step or region of this flow.

    Raises:
        RunError: there is none.
    """
    name = name_of(verb, target)
    definition = run.net.definition
    regions = {each.region.name for each in definition.steps if each.region}
    if name in definition.names or name.removeprefix("region(")[:-1] in regions:
        found = name
    elif name in regions:
        found = f"region({name})"
    else:
        from flowkit.core.validate import closest  # only an error needs it

        guess = closest(name, definition.names | regions)
        hint = f" Did you mean {guess!r}?" if guess else ""
        msg = (
            f"{definition.name}.{node.name} would {verb} {name!r}, which is no step or "
            f"region of this flow.{hint} ({node.step.place})"
        )
        raise RunError(msg)
    fans = any(step.name == found and step.each for step in definition.steps)
    if verb in {"spawn", "seal"} and not fans:
        msg = (
            f"{definition.name}.{node.name} would {verb} {name!r}, which opens no "
            f"group. Name the step that listens to each(..). ({node.step.place})"
        )
        raise RunError(msg)
    return found


def _act(run: Run, firing: Firing, verb: str, target: str, payload: Any) -> bool:
    place = firing.id, "act"
    ordinal = run.acting.get(place, 0)
    run.acting[place] = ordinal + 1
    known = run.acted.get(firing.id, ())
    if ordinal < len(known):
        return known[ordinal]  # done before it started again
    if firing.id not in run.marking.live or run.over:
        return False
    if run.journal is not None:
        payload = run.journal.checked(payload)
    taken = _taken(run, firing, verb, target)
    record = StepActed(now(), firing.id, ordinal, verb, target, payload, taken)
    run.acted.setdefault(firing.id, []).append(taken)
    run.apply(record)
    return taken


def _taken(run: Run, firing: Firing, verb: str, target: str) -> bool:
    """Whether there is anything that the verb applies to."""
    from flowkit.core.acts import finds

    return finds(run.net, run.marking, firing, verb, target)
