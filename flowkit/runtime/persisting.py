"""When a state is saved and loaded, and by which persistence.

Which steps are saved is fixed by ``@persist``; by which persistence is looked up at
each save: the flow object's own, the method's, the class's, the default.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from flowkit.errors import FlowkitWarning, InputError, RunError
from flowkit.runtime import initial, signals
from flowkit.runtime.changes import raw_fields
from flowkit.runtime.ids import random_id
from flowkit.runtime.values import snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.define.marks import Saved
    from flowkit.runtime.people import PendingFeedbackContext
    from flowkit.runtime.run import Run
    from flowkit.runtime.scope import Scope
    from flowkit.runtime.state import StateBox

__all__ = [
    "Keeper",
    "adopt_class_backend",
    "checkpoint",
    "committed",
    "default",
    "lay_over",
    "loaded_inputs",
    "own",
    "own_or_default",
    "save_pending",
]

OURS = "persistence"
"""In a scope's options: the persistence that we gave the flow object ourselves."""


def own(flow: Any) -> Any:
    """What ``flow.persistence`` is, unless a step has that name; else None."""
    found = getattr(flow, "persistence", None)
    return found if hasattr(found, "save_state") else None


def default() -> Any:
    """A new SQLite persistence at the default place."""
    from flowkit.runtime.persistence import SQLiteFlowPersistence  # pydantic

    return SQLiteFlowPersistence()


def adopt_class_backend(flow: Any, saved: Saved) -> None:
    """A flow object of a persisted class shows the class's persistence."""
    if own(flow) is None:
        _adopt(flow, default() if saved.backend is None else saved.backend)


def _adopt(flow: Any, backend: Any) -> None:
    flow.__dict__["persistence"] = flow._flowkit.options[OURS] = backend


def own_or_default(flow: Any) -> Any:
    """The flow's persistence; without one it is given the default."""
    found = own(flow)
    if found is None:
        _adopt(flow, default())
        found = flow._flowkit.options[OURS]
    return found


class Keeper:
    """Saves the state of one flow object's runs.

    Args:
        flow: the object.
        whole: what ``@persist`` on its class said, or None.
        steps: what ``@persist`` on methods said, by step.
    """

    __slots__ = ("flow", "steps", "whole")

    def __init__(
        self, flow: Any, whole: Saved | None, steps: Mapping[str, Saved]
    ) -> None:
        self.flow: Any = flow
        self.whole: Saved | None = whole
        self.steps: Mapping[str, Saved] = steps

    def save(self, box: StateBox, step: str) -> None:
        """Save what is committed, if that step's end is to be saved."""
        saved = self.steps.get(step, self.whole)
        if saved is None:
            return
        state = committed(box)
        id = initial.state_id(state)
        self._backend(saved).save_state(
            flow_uuid=id, method_name=step, state_data=state
        )
        if saved.verbose or (self.whole is not None and self.whole.verbose):
            signals.log().info("saved the state %s after %s", id, step)

    def _backend(self, saved: Saved) -> Any:
        """Where to: what the object was given, the method's, the class's."""
        scope = self.flow._flowkit
        mine = own(self.flow)
        if mine is not None and mine is not scope.options.get(OURS):
            return mine
        if saved.backend is not None:
            return saved.backend
        if self.whole is not None and mine is not None:
            return mine
        if "default" not in scope.options:
            scope.options["default"] = default()
        return scope.options["default"]


def committed(box: StateBox) -> Any:
    """A copy of the state as the last commit left it: a plain dict or the model."""
    return _copied(box.live, box.committed())


def _copied(state: Any, fields: dict[str, Any]) -> Any:
    fields = snapshot(fields)
    if isinstance(state, dict):
        return fields
    from flowkit.runtime import models  # loaded already, with the state

    copy = models.twin(state, fields)
    models.unlink(copy)
    return copy


def checkpoint(flow: Any) -> None:
    """Save the state as a step that asks something sees it now."""
    backend = own(flow)
    if backend is None:
        return
    seen = flow._flowkit.state
    state = _copied(seen, dict(dict.items(raw_fields(seen))))
    backend.save_state(
        flow_uuid=initial.state_id(state),
        method_name="_ask_checkpoint",
        state_data=state,
    )


def save_pending(run: Run, context: PendingFeedbackContext) -> None:
    """Save the state and what a person is asked."""
    backend = own_or_default(run.root.origin)
    backend.save_pending_feedback(
        flow_uuid=context.flow_id, context=context, state_data=committed(run.box)
    )


def clear_pending(flow: Any, id: str) -> None:
    """That pause is over."""
    own_or_default(flow).clear_pending_feedback(id)


def lay_over(
    holder: StateBox, stored: Mapping[str, Any], inputs: Any, name: str
) -> None:
    """Put a stored state and then the inputs into a flow object.

    Fields that the stored state does not have keep what they are.

    Raises:
        InputError: a value that its field does not take.
    """
    values: dict[str, Any] = initial.unshared(dict(stored))
    initial.merge_inputs(holder, {**values, **dict(inputs or {})}, name)


def loaded_inputs(
    flow: Any, scope: Scope, inputs: Any, source: Any, *, strict: bool, fresh: Any
) -> Any:
    """Bring a stored state into a flow object before a kickoff; gives its inputs.

    Args:
        flow: the object.
        scope: its scope.
        inputs: of the kickoff; ``inputs["id"]`` is looked for, too.
        source: ``restore_from_state_id``, or None.
        strict: an unknown source is an error.
        fresh: makes the state of a new object, for one that has run before.

    Raises:
        RunError: a source, but the flow has no persistence.
        InputError: an unknown source in a strict flow, values that do not fit.
    """
    given = dict(inputs) if inputs else {}
    wanted = given.get("id") if source is None else source
    backend = own(flow)
    name = type(flow).__name__
    if backend is None:
        if source is None:
            return inputs
        msg = (
            f"kickoff(restore_from_state_id=..) loads a saved state, and this {name} "
            f"has no persistence. Decorate the class with @persist, or make "
            f"{name}(persistence=..)."
        )
        raise RunError(msg)
    stored = None if wanted is None else backend.load_state(str(wanted))
    if source is not None and "id" not in given:
        given["id"] = random_id()
    if stored is None:
        if source is not None:
            _unknown(source, name, strict=strict)
        return given or inputs
    box = scope.box
    if scope.run is not None and initial.state_id(box.live) != str(wanted):
        new = fresh()
        box.adopt(new.live)
        box.incomplete = new.incomplete
        scope.state = box.live
    lay_over(box, stored, {"id": wanted, **given}, name)
    return given


def _unknown(source: Any, name: str, *, strict: bool) -> None:
    text = (
        f"{name}.kickoff(restore_from_state_id={source!r}): nothing was saved under "
        f"that id."
    )
    if strict:
        raise InputError(text)
    warnings.warn(f"{text} A new run begins.", FlowkitWarning, stacklevel=5)
