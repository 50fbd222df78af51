"""Definitions as JSON text, their hashes, and what a new one lacks for an old run.

The text holds everything, so that a run can be shown and explained when its class
is gone. The hash names the graph: equal definitions have the same one, wherever
their steps stand and whatever their docstrings say. A field at its default is left
out of both, so a graph keeps its hash when later versions learn more.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flowkit.core.definition import (
    Definition,
    Each,
    Join,
    Leaf,
    Region,
    Schedule,
    Step,
    leaves,
)
from flowkit.core.validate import closest
from flowkit.journal.codec import UnreadableError, decode, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from flowkit.core.definition import Condition

__all__ = ["definition_from", "graph_hash", "graph_text", "missing_positions"]

DIGITS = 16  # of a hash; a store holds hundreds of graphs, not billions
MOST = 1024  # definitions whose hashes are remembered
UNHASHED = frozenset({"doc", "file", "line"})

_PARTS: dict[str, Any] = {"schedule": Schedule, "each": Each, "region": Region}

_hashes: dict[int, tuple[Definition, str]] = {}


def graph_text(definition: Definition) -> str:
    """A definition as JSON text, the same for the same definition."""
    return encode(_plain_definition(definition, frozenset()), definition.name)


def graph_hash(definition: Definition) -> str:
    """16 hex digits that name a graph; remembered for each definition object."""
    known = _hashes.get(id(definition))
    if known is not None:
        return known[1]
    text = encode(_plain_definition(definition, UNHASHED), definition.name)
    digest = sha256(text.encode()).hexdigest()[:DIGITS]
    if len(_hashes) >= MOST:
        _hashes.clear()
    _hashes[id(definition)] = definition, digest  # held, so that its id stays its own
    return digest


def _plain_definition(definition: Definition, without: frozenset[str]) -> Any:
    plain = _set_fields(definition, without)
    plain["steps"] = [_plain_step(step, without) for step in definition.steps]
    return plain


def _plain_step(step: Step, without: frozenset[str]) -> Any:
    plain = _set_fields(step, without)
    if step.trigger is not None:
        plain["trigger"] = _plain_condition(step.trigger)
    for name in _PARTS:
        part = getattr(step, name)
        if part is not None:
            plain[name] = _set_fields(part, frozenset())
    if step.policies:
        plain["policies"] = [list(each) for each in step.policies]
    return plain


def _plain_condition(condition: Condition) -> Any:
    plain = _set_fields(condition, frozenset())
    if isinstance(condition, Join):
        plain["inputs"] = [_plain_condition(inner) for inner in condition.inputs]
    return plain


def _set_fields(value: Any, without: frozenset[str]) -> dict[str, Any]:
    """The fields of a named tuple that are not at their default, in their order."""
    defaults = value._field_defaults
    return {
        name: list(each) if type(each) is tuple else each
        for name, each in zip(value._fields, value, strict=True)
        if name not in without and (name not in defaults or each != defaults[name])
    }


def definition_from(text: str) -> Definition:
    """The definition of a text that :func:`graph_text` gave, places included.

    Raises:
        UnreadableError: it is no such text, or a newer flowkit wrote it.
    """
    try:
        plain = decode(text)
        steps = tuple(map(_step_from, plain.pop("steps", ())))
        return Definition(**plain, steps=steps)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableError(
            f"A stored definition cannot be read: {type(error).__name__}: {error}. If "
            f"a newer flowkit wrote it, upgrade; else restore the store from a backup."
        ) from error


def _step_from(plain: dict[str, Any]) -> Step:
    if "trigger" in plain:
        plain["trigger"] = _condition_from(plain["trigger"])
    if plain.get("labels") is not None:
        plain["labels"] = tuple(plain["labels"])
    for name in ("during", "cancels", "emits"):
        if plain.get(name) is not None:
            plain[name] = tuple(plain[name])
    for name, kind in _PARTS.items():
        if name in plain:
            plain[name] = kind(**plain[name])
    if "policies" in plain:
        plain["policies"] = tuple(map(tuple, plain["policies"]))
    return Step(**plain)


def _condition_from(plain: dict[str, Any]) -> Condition:
    if "inputs" not in plain:
        return Leaf(**plain)
    inputs = tuple(map(_condition_from, plain.pop("inputs")))
    return Join(**plain, inputs=inputs)


def missing_positions(
    old: Definition,
    live: Mapping[str, Collection[int]] | Collection[str],
    waiting: Mapping[str, Collection[str]] | Collection[str],
    new: Definition,
) -> list[str]:
    """What a run stands at and a new definition lacks, a sentence each.

    Args:
        old: the definition the run was made under.
        live: steps with live firings; a mapping gives the firings' numbers, too.
        waiting: steps whose join holds tokens; a mapping gives the names of the
            inputs that have arrived, else every input must still be there.
        new: the definition to go on with.
    """
    sentences = list(_missing_steps(live, new))
    for name in waiting:
        arrived = waiting[name] if isinstance(waiting, dict) else None
        sentences += _missing_inputs(old, name, arrived, new)
    return sentences


def _missing_steps(
    live: Mapping[str, Collection[int]] | Collection[str], new: Definition
) -> Iterator[str]:
    for name in live:
        if name not in new.names:
            numbers = live[name] if isinstance(live, dict) else ()
            firings = ", ".join(map(str, numbers))
            word = "firing" if len(numbers) == 1 else "firings"
            told = f" ({word} {firings})" if firings else ""
            yield f"step {name}{told} is gone{_meant(name, new.names)}"


def _missing_inputs(
    old: Definition, name: str, arrived: Collection[str] | None, new: Definition
) -> Iterator[str]:
    was, now = old.step(name), new.step(name)
    if was is None or was.trigger is None:
        return
    if now is None:
        meant = _meant(name, new.names)
        yield f"step {name}, whose {was.trigger} holds tokens, is gone{meant}"
        return
    heard = {(leaf.kind, leaf.name) for leaf in leaves(now.trigger)}
    names = frozenset(leaf.name for leaf in leaves(now.trigger))
    for leaf in leaves(was.trigger):
        if arrived is not None and leaf.name not in arrived:
            continue
        if (leaf.kind, leaf.name) not in heard:
            yield (
                f"step {name} holds a token of {leaf} in {was.trigger}, which is "
                f"{now.trigger or 'a start'} now{_meant(leaf.name, names)}"
            )


def _meant(name: str, known: frozenset[str]) -> str:
    near = closest(name, known)
    return f"; did you mean {near}?" if near else ""
