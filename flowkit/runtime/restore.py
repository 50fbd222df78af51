"""A state made again from its stored fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkit.runtime.state import StateBox

__all__ = ["restored"]

EXTRA = "+extra"


def restored(box: StateBox, fields: dict[str, Any]) -> None:
    """Make these fields the live state, of the declared kind.

    A field that the model has gained since takes its default; one it has lost is
    left out.
    """
    extra = fields.pop(EXTRA, None)
    if box.solo is not None:
        box.release()
    if box.kind is None:
        box.adopt(dict(fields))
        return
    from flowkit.runtime.models import with_id

    model: Any = with_id(box.kind)
    known = {
        name: value for name, value in fields.items() if name in model.model_fields
    }
    made = model.model_construct(_fields_set=set(known), **_by_alias(model, known))
    made.__dict__.update(known)
    if extra is not None and model.model_config.get("extra") == "allow":
        object.__setattr__(made, "__pydantic_extra__", dict(extra))
    box.adopt(made)
    box.incomplete = False


def _by_alias(model: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """The same by the names that ``model_construct`` takes."""
    named = {}
    for name, value in fields.items():
        alias = model.model_fields[name].alias
        named[alias if isinstance(alias, str) else name] = value
    return named
