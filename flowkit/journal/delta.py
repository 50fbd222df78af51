"""What a step changed in the state, field by field, as small trees.

A *change* says how one value became another: a list that grew costs what was
added, not what it holds. It is one of

- ``[]``: it is gone;
- ``[value]``: it was assigned;
- ``["+", items]``, ``["~", tail]``: a list, a text grew at its end;
- ``["|", added, removed]``: members of a set of texts or of integers;
- ``["*", changes, removed]``: keys of a dictionary, each with its own change.

A *delta* maps the changed fields of a state to their changes. Written, it is a part
of a record; what :func:`flowkit.journal.codec.decode` makes of it is what
:func:`fold` takes. Folding gives the state exactly: types and the order of keys
are those that the step left, so a change is one where ``==`` sees none (``1`` and
``True``).
"""

from __future__ import annotations

from collections import deque
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from flowkit.journal.codec import UnreadableError, encode, keyed, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["MISSING", "apply", "change", "delta_of", "exact", "fold"]


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()
TEXT = 64  # characters from which a text that grew is worth a look


def change(
    before: Any,
    after: Any,
    where: str,
    *,
    grown_from: int | None = None,
    missing: Any = MISSING,
) -> Any:
    """How ``before`` became ``after``, as a tree of what JSON has.

    It may share parts with ``after``: write it before that can change.

    Args:
        before: the value as last committed, or ``missing``.
        after: the value as the step left it, or ``missing``.
        where: the field's place for errors, such as ``state.items``.
        grown_from: the caller knows that the list was this long and only grew; what
            was there is not looked at.
        missing: what stands for a field that is not there.

    Raises:
        UnstorableError: it holds something that cannot be stored.
    """
    if after is missing:
        return []
    if grown_from is not None:
        return ["+", _tail(after, grown_from, where)]
    if before is not missing and type(before) is type(after):
        grow = _GROWTHS.get(type(after))
        if grow is not None:
            found = grow(before, after, where)
            if found is not None:
                return found
    return [to_plain(after, where)]


def delta_of(changes: Mapping[str, Any]) -> Any:
    """One tree of the changes of several fields."""
    return keyed(changes)


def exact(first: Any, second: Any) -> bool:
    """Equal with equal types all the way down, and keys in the same order.

    Raises:
        UnstorableError: what is told apart by its text cannot be stored.
    """
    if first is second:
        return True
    kind = type(first)
    if kind is not type(second):
        return False
    if kind is int or kind is str or kind is bool:
        return bool(first == second)
    if kind is list or kind is tuple or kind is deque:
        return len(first) == len(second) and _all_exact(first, second)
    if kind is dict:
        return (
            len(first) == len(second)
            and _all_exact(first, second)
            and _all_exact(first.values(), second.values())
        )
    return encode(first, "value") == encode(second, "value")


def _all_exact(first: Iterable[Any], second: Iterable[Any]) -> bool:
    """The same for many; what was not touched is mostly the same object."""
    return all(map(is_, first, second)) or all(map(exact, first, second))


def _tail(after: list[Any], start: int, where: str) -> Any:
    """The plain items from a place on; an error counts from the list's start."""
    items = after[start:]
    plain = to_plain(items, f"{where}[{start}:]")
    return list(items) if plain is items else plain


def _list_change(before: list[Any], after: list[Any], where: str) -> Any:
    size = len(before)
    if not size or len(after) < size or not _all_exact(before, after[:size]):
        return None
    return ["+", _tail(after, size, where)]


def _text_change(before: str, after: str, where: str) -> Any:
    if len(before) < TEXT or not after.startswith(before):
        return None
    return ["~", to_plain(after[len(before) :], where)]


def _set_change(before: set[Any], after: set[Any], where: str) -> Any:
    added, removed = after - before, before - after
    if 2 * (len(added) + len(removed)) > len(after):
        return None
    kinds = {*map(type, before), *map(type, after)}
    if kinds not in ({str}, {int}):  # else equal members may differ in type
        return None
    return ["|", to_plain(sorted(added), where), to_plain(sorted(removed), where)]


def _dict_change(before: dict[Any, Any], after: dict[Any, Any], where: str) -> Any:
    kept = [key for key in before if key in after]
    if not kept:
        return None
    removed = [key for key in before if key not in after]
    if not _all_exact(kept, list(after)[: len(kept)]):
        return None  # another order, or keys that are equal but of another type
    changes: list[Any] = []
    left = smaller = 0
    for key, value in after.items():
        was = before.get(key, MISSING)
        if was is not MISSING and exact(was, value):
            left += 1
            continue
        found = change(was, value, f"{where}[{key!r:.60}]")
        smaller += len(found) > 1
        changes.append([to_plain(key, where), found])
    if not left and not smaller:
        return None
    return ["*", changes, to_plain(removed, where)]


_GROWTHS: dict[type, Callable[[Any, Any, str], Any]] = {
    list: _list_change,
    str: _text_change,
    set: _set_change,
    dict: _dict_change,
}


def apply(fields: dict[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """Change ``fields`` as a decoded delta says, and give them back.

    Takes both over: lists, sets and dictionaries in them grow in place, so hand in
    what was decoded for this.

    Raises:
        UnreadableError: the delta does not fit what is there.
    """
    for field, found in delta.items():
        if len(found) == 1:
            fields[field] = found[0]
        elif found:
            _edit(fields, field, found)
        else:
            fields.pop(field, None)
    return fields


def fold(fields: dict[str, Any], deltas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply decoded deltas, oldest first; as :func:`apply` in all else."""
    for delta in deltas:
        apply(fields, delta)
    return fields


def _edit(owner: dict[Any, Any], key: Any, found: list[Any]) -> None:
    try:
        _EDITS[found[0]](owner, key, *found[1:])
    except (LookupError, TypeError, AttributeError) as error:
        raise UnreadableError(
            f"A stored change of {key!r} ({found[0]}) does not fit what was stored "
            f"before it: {type(error).__name__}: {error}. Records of the run are "
            f"missing or changed; restore the store from a backup, or remove the run."
        ) from error


def _grow_list(owner: dict[Any, Any], key: Any, items: list[Any]) -> None:
    owner[key].extend(items)


def _grow_text(owner: dict[Any, Any], key: Any, tail: str) -> None:
    owner[key] += tail


def _edit_set(
    owner: dict[Any, Any], key: Any, added: list[Any], removed: list[Any]
) -> None:
    members = owner[key]
    members.update(added)
    members.difference_update(removed)


def _edit_dict(
    owner: dict[Any, Any], key: Any, changes: list[Any], removed: list[Any]
) -> None:
    inner = owner[key]
    for name in removed:
        del inner[name]
    for name, found in changes:
        if len(found) == 1:
            inner[name] = found[0]
        else:
            _edit(inner, name, found)


_EDITS: dict[str, Callable[..., None]] = {
    "+": _grow_list,
    "~": _grow_text,
    "|": _edit_set,
    "*": _edit_dict,
}
