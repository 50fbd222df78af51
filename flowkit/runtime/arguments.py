"""The arguments of a function flow: bound by name, and validated by annotation."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from flowkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Arguments"]


def _shown(parameter: inspect.Parameter) -> str:
    """A parameter as it was written: annotations that are text without quotes."""
    kind = parameter.annotation
    if not isinstance(kind, str):
        return str(parameter)
    bare = parameter.replace(annotation=parameter.empty)
    name, _, default = str(bare).partition("=")
    return f"{name}: {kind} = {default}" if default else f"{name}: {kind}"


class Arguments:
    """What a function takes.

    Raises:
        TypeError: parameters that cannot be the inputs of a flow.
    """

    __slots__ = ("_adapter", "function", "name", "place", "signature")

    def __init__(self, function: Callable[..., Any], name: str, place: str) -> None:
        self.function: Callable[..., Any] = function
        self.name: str = name
        self.place: str = place
        self.signature: inspect.Signature = inspect.signature(function)
        self._adapter: Any = None
        for each in self.signature.parameters.values():
            if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
                stars = "*" if each.kind is each.VAR_POSITIONAL else "**"
                msg = (
                    f"{name}({stars}{each.name}) cannot be a flow: its arguments are "
                    f"kept by name. Name each, or take a list or dictionary. ({place})"
                )
                raise TypeError(msg)
            if each.name == "id":
                msg = (
                    f"{name}(id) cannot be a flow: `id` is the id of a flow's state. "
                    f"Name it after what it identifies, such as order_id. ({place})"
                )
                raise TypeError(msg)

    def bound(self, args: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """The given arguments by name, as their annotations take them.

        Raises:
            InputError: they do not fit, all values that do not named.
        """
        try:
            given = self.signature.bind(*args, **keywords).arguments
        except TypeError as error:
            shown = ", ".join(map(_shown, self.signature.parameters.values()))
            why = self._unknown(keywords) or f"{error}."
            msg = f"{self.name}({shown}): {why} ({self.place})"
            raise InputError(msg) from None
        return self.validated(dict(given))

    def _unknown(self, keywords: Mapping[str, Any]) -> str:
        from flowkit.core.validate import closest  # only an error needs it

        known = frozenset(self.signature.parameters)
        unknown = [key for key in keywords if key not in known]
        if not unknown:
            return ""
        guess = closest(unknown[0], known)
        hint = f" Did you mean {guess!r}?" if guess else ""
        return f"it has no argument {unknown[0]!r}.{hint}"

    def validated(self, given: dict[str, Any]) -> dict[str, Any]:
        """The same values, each as its annotation takes it.

        Raises:
            InputError: all values that do not fit.
        """
        if not self.function.__annotations__ or not given:
            return given
        if self._adapter is None:
            self._adapter = self._made_adapter()
        if self._adapter is False:
            return given
        from pydantic import ValidationError

        from flowkit.runtime.models import faults_in

        try:
            return {**given, **self._adapter.validate_python(given)}
        except ValidationError as error:
            msg = (
                f"{self.name}(..) does not take these arguments: {faults_in(error)}. "
                f"({self.place})"
            )
            raise InputError(msg) from None

    def _made_adapter(self) -> Any:
        """Validates what is annotated; False if nothing is that can be."""
        from pydantic import TypeAdapter
        from typing_extensions import TypedDict  # pydantic asks for this one

        from flowkit.runtime.models import adapter_for

        try:
            hints = get_type_hints(self.function, include_extras=True)
        except Exception:  # noqa: BLE001 - an annotation may be anything
            hints = {
                name: each.annotation
                for name, each in self.signature.parameters.items()
                if not isinstance(each.annotation, str)
                and each.annotation is not each.empty
            }
        hints.pop("return", None)
        kinds = {
            name: kind
            for name, kind in hints.items()
            if name in self.signature.parameters and adapter_for(kind) is not None
        }
        if not kinds:
            return False
        make: Any = TypedDict  # to a type checker it is a form of class statement
        made = make(self.name, kinds, total=False)
        made.__pydantic_config__ = {"arbitrary_types_allowed": True}
        return TypeAdapter(made)

    def call(self, given: Mapping[str, Any]) -> Any:
        """The function called with these, which are kept by name."""
        by_position = [
            given[name]
            for name, each in self.signature.parameters.items()
            if each.kind is each.POSITIONAL_ONLY and name in given
        ]
        more = {
            name: given[name]
            for name, each in self.signature.parameters.items()
            if each.kind is not each.POSITIONAL_ONLY and name in given
        }
        return self.function(*by_position, **more)
