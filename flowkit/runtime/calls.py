"""User code: what its parameters get, and labels out of a router's result."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from flowkit.core.definition import ENDINGS
from flowkit.errors import ArgumentError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowkit.core.marking import Firing
    from flowkit.core.net import Net, Node
    from flowkit.runtime.timing import Watch

__all__ = [
    "Again",
    "Call",
    "Reviewed",
    "calls_for",
    "labels_of",
    "parameters_of",
    "payload_type",
    "source_of",
    "undeclared",
    "validated",
]

TRIGGER_PAYLOAD = "crewai_trigger_payload"
_VAR_POSITIONAL, _VAR_KEYWORD = 0x04, 0x08
VARIABLE = ("*",)
"""The parameters of a function that takes only ``*args``."""


class Reviewed(NamedTuple):
    """What a step gives that a person has reviewed: its output, and what follows."""

    output: Any
    labels: tuple[str, ...]
    payload: Any


class Again(NamedTuple):
    """What a turn of a repeated step gives that another one follows."""

    output: Any


class Call:
    """How one step's function is called.

    Attributes:
        single: it has one parameter, which gets the last arrival's payload.
        none: it has no parameter but ``self``.
        wants_trigger: a start that asks for ``crewai_trigger_payload``.
        looped: it needs an event loop beside it, for whatever it is.
        timed: watches an attempt whose time its policy limits, else None.
    """

    __slots__ = (
        "by_position",
        "function",
        "is_async",
        "keywords",
        "looped",
        "names",
        "none",
        "required",
        "single",
        "timed",
        "wants_trigger",
    )

    def __init__(self, node: Node, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any] = function
        self.is_async: bool = node.step.is_async
        self.looped: bool = self.is_async or node.net.timed
        if node.net.undoes and not self.looped:
            self.looped = _compensates(function)
        self.timed: Callable[..., Watch | None] | None = None
        names, required, keywords, unnamed, by_keyword = parameters_of(function)
        self.keywords: bool = keywords
        self.wants_trigger: bool = node.step.start and TRIGGER_PAYLOAD in names
        if self.wants_trigger:
            names = [name for name in names if name != TRIGGER_PAYLOAD]
            required = [name for name in required if name != TRIGGER_PAYLOAD]
        self.names: tuple[str, ...] = tuple(names)
        self.required: tuple[str, ...] = tuple(required)
        self.by_position: tuple[str, ...] = tuple(
            name for name in names if name in unnamed
        )
        self.single: bool = self.names == VARIABLE or (
            len(names) == 1 and not self.keywords and not by_keyword
        )
        self.none: bool = not names and not self.keywords

    def arguments(
        self, firing: Firing, inputs: dict[str, Any] | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments for one firing.

        Raises:
            ArgumentError: a required parameter is the name of none of the inputs.
        """
        keywords: dict[str, Any] = {}
        if self.wants_trigger and inputs and TRIGGER_PAYLOAD in inputs:
            keywords[TRIGGER_PAYLOAD] = inputs[TRIGGER_PAYLOAD]
        if self.none:
            return (), keywords
        if not firing.name and firing.payload is None:
            if self.required:
                raise ArgumentError(_nothing_to_bind(firing, self.required))
            return (), keywords
        if self.single and firing.tokens is None:
            return (firing.payload,), keywords
        if self.single and _counts(firing, "window"):
            return (_last(firing),), keywords
        payloads = _by_name(firing)
        bound = {name: payloads[name] for name in self.names if name in payloads}
        if self.keywords and self.names != VARIABLE:
            bound.update(payloads)
        if not bound and self.names:
            bound[self.names[0]] = _last(firing)
        lacking = [name for name in self.required if name not in bound]
        if lacking:
            raise ArgumentError(_cannot_bind(firing, lacking, payloads))
        positional = [bound.pop(name) for name in self.by_position if name in bound]
        keywords.update(bound)
        return tuple(positional), keywords


Parameters = tuple[list[str], list[str], bool, tuple[str, ...], bool]


def _compensates(function: Callable[..., Any]) -> bool:
    """Whether a plain step may wait in a thread until others have undone something.

    One that calls ``compensate`` through another function is not seen: it starts
    again when it is answered, as a step does that has waited long.
    """
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return code is not None and "compensate" in code.co_names


def parameters_of(function: Callable[..., Any]) -> Parameters:
    """What a function takes after ``self``.

    Names, those without a default, whether ``**`` ends them, those that can be
    given by position only, whether all can be given by keyword only.
    """
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return _by_signature(function)
    count = code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames[1:count])
    defaults = len(function.__defaults__ or ())
    positional = code.co_varnames[1 : code.co_argcount]
    required = list(positional[: len(positional) - defaults])
    only = code.co_varnames[code.co_argcount : count]
    given = function.__kwdefaults__ or {}
    required += [name for name in only if name not in given]
    if code.co_flags & _VAR_POSITIONAL and not names:
        names = [*VARIABLE]
    unnamed = code.co_varnames[1 : code.co_posonlyargcount] or VARIABLE
    by_keyword = code.co_argcount <= 1 and code.co_kwonlyargcount > 0
    return names, required, bool(code.co_flags & _VAR_KEYWORD), unnamed, by_keyword


def _by_signature(function: Callable[..., Any]) -> Parameters:
    import inspect  # only for callables that are no plain function

    names, required, keywords, unnamed, by_keyword = [], [], False, [], True
    variable = False
    for name, each in list(inspect.signature(function).parameters.items())[1:]:
        if each.kind is each.VAR_KEYWORD:
            keywords = True
        elif each.kind is each.VAR_POSITIONAL:
            variable = True
        else:
            names.append(name)
            by_keyword = by_keyword and each.kind is each.KEYWORD_ONLY
            if each.kind is each.POSITIONAL_ONLY:
                unnamed.append(name)
            if each.default is each.empty:
                required.append(name)
    if variable and not names:
        names = [*VARIABLE]
    return names, required, keywords, (*unnamed, *VARIABLE), by_keyword and bool(names)


def _last(firing: Firing) -> Any:
    """The payload of the last arrival; of a portion the list of all of them."""
    tokens = firing.tokens or ()
    if _counts(firing, "window") or (len(tokens) > 1 and _counts(firing, "times")):
        return [token.payload for token in tokens]
    return firing.payload


def _counts(firing: Firing, kind: str) -> bool:
    return getattr(firing.node.step.trigger, "kind", "") == kind


def _by_name(firing: Firing) -> dict[str, Any]:
    if firing.tokens is None:
        return {source_of(firing.name): firing.payload} if firing.name else {}
    several: dict[str, list[Any]] = {}
    for token in firing.tokens:
        several.setdefault(source_of(token.name), []).append(token.payload)
    return {
        name: payloads[0] if len(payloads) == 1 else payloads
        for name, payloads in several.items()
    }


def source_of(name: str) -> str:
    """The parameter that is given a token: of a bad end, its step's name."""
    step, _, ending = name.rpartition(".")
    return step if ending in ENDINGS else name


def _cannot_bind(firing: Firing, lacking: list[str], payloads: dict[str, Any]) -> str:
    step = firing.node.step
    came = ", ".join(payloads) or "nothing"
    return (
        f"{step.name}() needs {', '.join(map(repr, lacking))}, but was triggered with "
        f"{came}. Name each parameter after an input of {step.trigger}, or give it a "
        f"default. ({step.place})"
    )


def _nothing_to_bind(firing: Firing, lacking: Sequence[str]) -> str:
    step = firing.node.step
    return (
        f"{step.name}() needs {', '.join(map(repr, lacking))}, but a start is handed "
        f"nothing. Read the inputs from self.state, or give it a default. "
        f"({step.place})"
    )


def calls_for(net: Net, functions: dict[str, Callable[..., Any]]) -> tuple[Call, ...]:
    """The calls of all steps, by the index of their node."""
    return tuple(Call(node, functions[node.name]) for node in net.nodes)


def labels_of(result: Any) -> tuple[str, ...]:
    """The labels a router's result chooses: one, any subset, or none."""
    if result is None or result == "":
        return ()
    if type(result) is str:
        return (result,)
    if isinstance(result, list | tuple | set | frozenset):
        chosen = [label for each in result for label in labels_of(each)]
        return tuple(dict.fromkeys(chosen))
    if isinstance(result, enum.Enum):
        return labels_of(result.value)
    return (str(result),)


def undeclared(net: Net, node: Node, labels: tuple[str, ...]) -> str:
    """One sentence if a router chose a label nobody declares, else ""."""
    if node.labels is None or node.labels.issuperset(labels):
        return ""
    unknown = [each for each in labels if each not in node.labels | net.known]
    if not unknown:
        return ""
    from flowkit.core.validate import closest  # only an error needs it

    guess = closest(unknown[0], node.labels)
    hint = f"Did you mean {guess!r}?" if guess else "Add it to emit= or the annotation."
    declared = ", ".join(map(repr, sorted(node.labels)))
    return (
        f"{net.definition.name}.{node.name} returned the label {unknown[0]!r}, but "
        f"declares only {declared}. {hint} ({node.step.place})"
    )


def payload_type(
    function: Callable[..., Any], event: str = "", *, method: bool = True
) -> Any:
    """The annotation of the parameter an event's payload goes to, or None.

    That is the one named after the event, as in a join, else the first.

    Annotations that cannot be resolved count as none.
    """
    import inspect  # once per subscription

    plain = inspect.unwrap(function)
    parameters = list(inspect.signature(plain).parameters)
    if method:
        parameters = parameters[1:]
    if not parameters:
        return None
    taker = event if event in parameters else parameters[0]
    try:
        hints = get_type_hints(plain, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may be anything
        return _own_hint(plain, taker)
    return hints.get(taker)


def _own_hint(function: Callable[..., Any], name: str) -> Any:
    hint = function.__annotations__.get(name)
    if not isinstance(hint, str):
        return hint
    scope = getattr(function, "__globals__", {})
    return scope.get(hint)


def validated(payload: Any, kind: Any, what: str) -> Any:
    """The payload as its type takes it.

    Raises:
        InputError: all its faults, after ``what``.
    """
    if kind is None or kind is Any:
        return payload
    from pydantic import ValidationError

    from flowkit.runtime.models import adapter_for, faults_in

    adapter = adapter_for(kind)
    if adapter is None:
        return payload
    try:
        return adapter.validate_python(payload)
    except ValidationError as error:
        name = getattr(kind, "__name__", str(kind))
        text = f"{what} does not fit {name}: {faults_in(error)}"
        raise InputError(text) from None
