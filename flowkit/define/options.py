"""What a step may say beside its condition: gates, turns, what it cancels and emits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.definition import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["name_of", "options_of"]


def options_of(  # noqa: PLR0917 - one keyword each
    mutex: str | None,
    region: Region | str | None,
    during: tuple[object, object] | None,
    while_: Callable[[Any], object] | None,
    until: Callable[[Any], object] | None,
    cancels: Sequence[object] | None,
    emits: Sequence[str] | None,
) -> dict[str, Any]:
    """What was said, by the names of the fields of a step.

    ``test`` is the function of ``while_`` or ``until``.

    Raises:
        ValueError: one of them cannot be what it is given as.
    """
    found: dict[str, Any] = {}
    if mutex is not None:
        found["mutex"] = _text("mutex", mutex)
    if region is not None:
        found["region"] = (
            region if isinstance(region, Region) else Region(_text("region", region))
        )
    if during is not None:
        found["during"] = _during(during)
    if while_ is not None or until is not None:
        found["test"] = _test(while_, until)
    if cancels is not None:
        found["cancels"] = tuple(name_of("cancels", each) for each in _list(cancels))
    if emits is not None:
        found["emits"] = tuple(_text("emits", each) for each in _list(emits))
    return found


def _text(option: str, value: Any) -> str:
    if type(value) is str and value:
        return value
    msg = f"{option}= takes a name, not {value!r}."
    raise ValueError(msg)


def _list(values: Any) -> list[Any]:
    if isinstance(values, str) or callable(values) or isinstance(values, Region):
        return [values]
    return list(values)


def _during(during: Any) -> tuple[str, str]:
    pair = 2
    if not isinstance(during, tuple | list) or len(during) != pair:
        msg = (
            f"during= takes what opens and what closes the time in which the step may "
            f"start, such as ('booked', 'ticketed'), not {during!r}."
        )
        raise ValueError(msg)
    opened, closed = (name_of("during", each) for each in during)
    return opened, closed


def _test(while_: Any, until: Any) -> tuple[str, Any]:
    if while_ is not None and until is not None:
        msg = "A step takes while_= or until=, not both."
        raise ValueError(msg)
    kind, test = ("while", while_) if until is None else ("until", until)
    if not callable(test):
        option = "while_" if kind == "while" else kind
        msg = f"{option}= takes a function of the state, not {test!r}."
        raise ValueError(msg)
    return kind, test


def name_of(option: str, target: Any) -> str:
    """A step by name, a region as ``region(name)``, an event by its name.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(target, Region):
        return f"region({target.name})"
    if isinstance(target, str) and target:
        return target
    name = getattr(target, "__name__", None) or getattr(target, "name", None)
    if isinstance(name, str) and name:
        return name
    msg = f"{option}= takes steps and regions, or their names, not {target!r}."
    raise ValueError(msg)
