"""``@migrate``: how a run of a former version goes on under the present class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["migrate", "migrations_of"]

HookT = TypeVar("HookT")
MARK = "__flowkit_migrates__"


def migrate(*, from_version: str) -> Callable[[HookT], HookT]:
    """Carry stored runs of a former version of the flow over to this class.

    Marks a static or class method ``hook(state, positions)``. ``state`` is the
    state's fields as they were stored, ``positions`` maps the name of every step of
    the former graph to its name now. The hook changes them, or gives new ones back
    as ``(state, positions)``. It is called before a run of that version goes on, and
    again if the process dies before that is recorded: it must only compute.

    Args:
        from_version: the class's ``version=`` when the runs were begun; ``""`` if it
            had none.

    Raises:
        TypeError: it does not mark a static or class method.
    """

    def mark(hook: HookT) -> HookT:
        if not isinstance(hook, staticmethod | classmethod):
            name = getattr(hook, "__name__", repr(hook))
            msg = (
                f"@migrate marks a static or class method, and {name} is none: write "
                f"@staticmethod in the line below @migrate(..)."
            )
            raise TypeError(msg)
        setattr(hook, MARK, str(from_version))
        return hook

    return mark


def migrations_of(cls: type) -> dict[str, Any]:
    """The hooks of a class and its bases by the version they take."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, staticmethod | classmethod):
                version = getattr(value, MARK, None)
                if version is not None:
                    found[version] = getattr(cls, name)
    return found
