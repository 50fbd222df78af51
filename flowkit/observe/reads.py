"""What a step takes: its payload, and the state fields it reads, from its source.

Records tell what a step wrote, not what it read. Whatever is not understood counts
as unknown: nothing is concluded from it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.flow import Flow
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Taken", "taken_by"]


class Taken(NamedTuple):
    """What a step takes.

    Attributes:
        payload: it is handed what triggered it; None if that is not known.
        fields: of the state, that it reads; None if that is not known.
    """

    payload: bool | None = None
    fields: frozenset[str] | None = None


def taken_by(cls: type | None) -> dict[str, Taken]:
    """What the steps of a class take, by name; empty for no class."""
    if cls is None:
        return {}
    kind = known[cls]
    return {
        node.name: Taken(not call.none, _fields(kind.compiled.functions.get(node.name)))
        for node, call in zip(kind.compiled.net.nodes, kind.calls, strict=True)
    }


def _fields(function: Any) -> frozenset[str] | None:
    if function is None:
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    body = tree.body[0]
    if not isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    if not body.args.args:
        return None
    found: set[str] = set()
    for field in _read(body, body.args.args[0].arg):
        if field is None:
            return None
        found.add(field)
    return frozenset(found)


def _read(body: ast.AST, own: str) -> Iterator[str | None]:
    """Fields that are read, None for what could read any."""
    above = {
        child: node for node in ast.walk(body) for child in ast.iter_child_nodes(node)
    }
    for node in ast.walk(body):
        if not (isinstance(node, ast.Name) and node.id == own):
            continue
        attribute = above[node]
        if not isinstance(attribute, ast.Attribute):
            yield None  # the flow itself is handed on
        elif attribute.attr != "state":
            if not hasattr(Flow, attribute.attr):
                yield None  # a helper, or an attribute that a step may have set
        else:
            yield from _field(attribute, above)


def _field(state: ast.Attribute, above: dict[ast.AST, ast.AST]) -> Iterator[str | None]:
    place = above[state]
    if isinstance(place, ast.Attribute):
        name: Any = place.attr
    elif isinstance(place, ast.Subscript) and isinstance(place.slice, ast.Constant):
        name = place.slice.value
    else:
        yield None
        return
    if not isinstance(name, str):
        yield None
    elif isinstance(above.get(place), ast.Call) and isinstance(place, ast.Attribute):
        call = above[place]
        yield None if isinstance(call, ast.Call) and call.func is place else name
    elif not (
        isinstance(place.ctx, ast.Store) and isinstance(above.get(place), ast.Assign)
    ):
        yield name
