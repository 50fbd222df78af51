"""Attributes that are more than a value: made late, hidden, of a class or an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["either", "lazy", "shown"]

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - a descriptor, as property is
    """An attribute that is made when it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owned: None, owner: type) -> Self: ...

    @overload
    def __get__(self, owned: object, owner: type) -> T: ...

    def __get__(self, owned: object | None, owner: type) -> Self | T:
        if owned is None:
            return self
        made = owned.__dict__[self.name] = self.make()
        return made

    if TYPE_CHECKING:  # an instance's own attribute hides it

        def __set__(self, owned: object, value: T) -> None: ...


class shown(Generic[T]):  # noqa: N801 - a decorator, as property is
    """A property that gives way to a plain attribute of the same name."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, flow: None, owner: type) -> Self: ...

    @overload
    def __get__(self, flow: object, owner: type) -> T: ...

    def __get__(self, flow: object | None, owner: type) -> Self | T:
        return self if flow is None else self.read(flow)


if TYPE_CHECKING:
    either = classmethod  # what it looks like to those who call it
else:

    class either(classmethod):  # noqa: N801 - a decorator, as classmethod is
        """A class method that an object calls on itself."""

        def __get__(self, flow: Any, owner: Any = None) -> Any:
            return self.__func__.__get__(owner if flow is None else flow)
