"""A router's labels, read from its return annotation or from its source.

What an annotation says is declared and binds the router; what the source suggests
is for pictures and hints only and is never an error. Reading cannot fail: whatever
is not understood declares nothing, or leaves the reading open.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Union

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Declared", "Read", "declared_labels", "read_labels"]

_SEVERAL = frozenset(
    {
        list,
        tuple,
        set,
        frozenset,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Set,
        collections.abc.MutableSet,
        collections.abc.Collection,
        collections.abc.Iterable,
    }
)
# An alias may name itself; no honest annotation is nested this deep.
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Declared:
    """Labels a return annotation allows.

    Attributes:
        labels: in the order written, each once.
        single: one at a time; False if the annotation is a collection of labels.
    """

    labels: tuple[str, ...]
    single: bool


@dataclass(frozen=True, slots=True)
class Read:
    """Labels found in a router's source.

    Attributes:
        labels: in the order of the source, each once.
        open: something else may be returned as well.
    """

    labels: tuple[str, ...] = ()
    open: bool = False


def declared_labels(
    function: Callable[..., Any], names: Mapping[str, object] | None = None
) -> Declared | None:
    """The labels that a function's return annotation declares, or None.

    Understands ``Literal``, ``Enum`` classes, unions of them with each other and with
    None, and collections of them; annotations may be strings. One that cannot be
    evaluated is read as text, so a ``Literal`` imported for the type checker counts.

    Args:
        function: the router; what ``functools.wraps`` left behind is followed.
        names: further names for string annotations, such as the class body's.
    """
    function = _innermost(function)
    annotation = getattr(function, "__annotations__", {}).get("return")
    if annotation is None:
        return None
    scope = {**getattr(function, "__globals__", {}), **_closure(function)}
    scope.update(names or {})
    try:
        found = _of_annotation(annotation, scope, 0)
    except Exception:  # noqa: BLE001 - annotations are user code: any error declares nothing
        return None
    return found if found and found.labels else None


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function below bound methods, partials and wrappers."""
    for _ in range(_DEEPEST):
        for name in ("__wrapped__", "__func__", "func"):
            inner = getattr(function, name, None)
            if callable(inner):
                function = inner
                break
        else:
            break
    return function


def _closure(function: Callable[..., Any]) -> dict[str, object]:
    """Variables of enclosing functions that the function itself uses."""
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    found: dict[str, object] = {}
    for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _of_annotation(note: Any, scope: dict[str, object], depth: int) -> Declared | None:
    """Labels of an annotation, whatever its form; None if it declares none."""
    if depth > _DEEPEST:
        return None
    if isinstance(note, typing.ForwardRef):
        note = note.__forward_arg__
    if isinstance(note, str):
        return _of_text(note, scope, depth)
    if note is None or note is type(None):
        return Declared((), single=True)
    if isinstance(note, type) and issubclass(note, Enum):
        return Declared(_texts(note), single=True)
    return _of_form(note, scope, depth)


def _of_form(note: Any, scope: dict[str, object], depth: int) -> Declared | None:
    """Labels of an annotation made of others, such as ``Literal[..] | None``."""
    origin, inner = typing.get_origin(note), typing.get_args(note)
    if origin is Literal:
        return Declared(_texts(inner), single=True)
    if origin is Union or origin is types.UnionType:
        return _union(_of_annotation(each, scope, depth + 1) for each in inner)
    if origin in _SEVERAL:
        kept = (_of_annotation(i, scope, depth + 1) for i in inner if i is not ...)
        return _several(_union(kept))
    # `type Route = Literal[..]` of Python 3.12 keeps its meaning here
    value = getattr(note, "__value__", None)
    if origin is typing.Annotated:
        value = inner[0]
    return None if value is None else _of_annotation(value, scope, depth + 1)


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    """Labels of values, without those that give none: None and the empty text."""
    plain = (each.value if isinstance(each, Enum) else each for each in values)
    return _once(str(each) for each in plain if each is not None and each != "")


def _once(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


def _union(parts: Iterable[Declared | None]) -> Declared | None:
    """All labels of a union; None if a part of it declares none."""
    labels: list[str] = []
    single = True
    for part in parts:
        if part is None:
            return None
        labels += part.labels
        single = single and part.single
    return Declared(_once(labels), single)


def _several(inner: Declared | None) -> Declared | None:
    return inner and Declared(inner.labels, single=False)


def _of_text(text: str, scope: dict[str, object], depth: int) -> Declared | None:
    """Labels of an annotation kept as text, evaluated if that is possible."""
    try:
        # The same evaluation as typing.get_type_hints, which would do all parameters
        # and fail for one unknown name among them.
        note = eval(text, scope)  # noqa: S307 - the author's own annotation
    except Exception:  # noqa: BLE001 - missing names are usual in `if TYPE_CHECKING`
        # Imported here: most annotations never get this far, and flowkit's import
        # stays light.
        import ast

        return _of_tree(ast.parse(text, mode="eval").body, scope, depth + 1)
    return _of_annotation(note, scope, depth + 1)


def _of_tree(tree: ast.expr, scope: dict[str, object], depth: int) -> Declared | None:
    """Labels of an annotation's syntax, where some names are unknown."""
    import ast

    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return _union(_of_tree(i, scope, depth) for i in (tree.left, tree.right))
    if isinstance(tree, ast.Constant):
        return _of_annotation(tree.value, scope, depth)
    if isinstance(tree, ast.Subscript):
        return _of_subscript(tree, scope, depth)
    if isinstance(tree, ast.Name | ast.Attribute) and depth <= _DEEPEST:
        note = eval(ast.unparse(tree), scope)  # noqa: S307 - the author's own annotation
        return _of_annotation(note, scope, depth + 1)
    return None


_TEXT_SEVERAL = frozenset(
    {"list", "tuple", "set", "frozenset", "sequence", "collection", "iterable"}
)


def _of_subscript(
    tree: ast.Subscript, scope: dict[str, object], depth: int
) -> Declared | None:
    """Labels of ``Literal[..]``, ``Optional[..]`` and the like, by their spelling."""
    import ast

    word = ast.unparse(tree.value).rsplit(".", 1)[-1].lower()
    inner = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    if word == "literal":
        return Declared(_texts(ast.literal_eval(each) for each in inner), single=True)
    if word == "annotated":
        return _of_tree(inner[0], scope, depth)
    if word not in {"optional", "union"} | _TEXT_SEVERAL:
        return None
    kept = (i for i in inner if not (isinstance(i, ast.Constant) and i.value is ...))
    found = _union(_of_tree(each, scope, depth) for each in kept)
    return _several(found) if word in _TEXT_SEVERAL else found


def read_labels(function: Callable[..., Any]) -> Read:
    """The labels that a function's ``return`` statements give, as far as they show.

    Reads constants, also through conditional expressions and in lists, tuples and
    sets, members of enums, and constants named in capitals. Returning None gives no
    label. Anything else leaves the reading open, as does source that cannot be found.
    Nested functions do not count.
    """
    function = _innermost(function)
    tree = _tree(function)
    if tree is None:
        return Read((), open=True)
    reader = _Reader(function)
    for value in _returned(tree):
        reader.read(value)
    return Read(_once(reader.labels), reader.open)


def _tree(function: Callable[..., Any]) -> ast.AST | None:
    """The syntax of a function, or None if there is no source of its own."""
    # Both are needed for pictures only; `import flowkit` must not pay for them.
    import ast
    import inspect

    try:
        # A method is indented: the outer block makes it parse as it stands, also
        # where a text inside it is not indented.
        source = "if True:\n" + inspect.getsource(function)
        if not source.startswith((" ", "\t"), 9):
            source = source[9:]
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next((each for each in ast.walk(tree) if isinstance(each, kinds)), None)


def _returned(tree: ast.AST) -> Iterator[ast.expr | None]:
    """Values of the returns of a function's own body, and its yields."""
    import ast

    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    pending = list(reversed(getattr(tree, "body", [])))
    while pending:
        node = pending.pop()
        if isinstance(node, inner):
            continue
        if isinstance(node, ast.Return):
            yield node.value
        elif isinstance(node, ast.Yield | ast.YieldFrom):
            yield node
        pending += reversed(list(ast.iter_child_nodes(node)))


class _Reader:
    """Collects labels from returned expressions of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.labels: list[str] = []
        self.open = False
        code = getattr(function, "__code__", None)
        own = (*getattr(code, "co_varnames", ()), *getattr(code, "co_cellvars", ()))
        self._scope = {**getattr(function, "__globals__", {}), **_closure(function)}
        for name in own:
            self._scope.pop(name, None)

    def read(self, value: ast.expr | None) -> None:
        """Take the labels of one returned expression."""
        import ast

        if value is None:
            return
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            self._all(value.elts)
        elif isinstance(value, ast.IfExp):
            self._all([value.body, value.orelse])
        elif isinstance(value, ast.BoolOp):
            self._all(value.values)
        elif isinstance(value, ast.NamedExpr):
            self.read(value.value)
        elif isinstance(value, ast.Name | ast.Attribute):
            self._take(self._named(value))
        else:
            self._take(_constant(value))

    def _all(self, values: Iterable[ast.expr]) -> None:
        for each in values:
            self.read(each)

    def _take(self, value: object) -> None:
        if isinstance(value, Enum):
            value = value.value
        if value is None or value == "":
            return
        if isinstance(value, str | int | float):
            self.labels.append(str(value))
        else:
            self.open = True

    def _named(self, tree: ast.expr) -> object:
        """The constant a dotted name stands for; ``...`` if it is none."""
        import ast

        found = self._lookup(tree)
        word = tree.attr if isinstance(tree, ast.Attribute) else getattr(tree, "id", "")
        fixed = isinstance(found, str) and word.isupper()
        # `Route.A.value`, whatever type of value that is
        value = word == "value" and isinstance(found, str | int | float)
        return found if isinstance(found, Enum) or fixed or value else ...

    def _lookup(self, tree: ast.expr) -> object:
        import ast

        if isinstance(tree, ast.Name):
            return self._scope.get(tree.id, ...)
        if not isinstance(tree, ast.Attribute):
            return ...
        owner = self._lookup(tree.value)
        if isinstance(owner, Enum):
            return owner.value if tree.attr == "value" else ...
        # Other objects may run code when an attribute is read.
        if isinstance(owner, type | types.ModuleType):
            return getattr(owner, tree.attr, ...)
        return ...


def _constant(tree: ast.expr) -> object:
    """The value of a constant, signed or not; ``...`` for anything else."""
    import ast

    try:
        value = ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError):
        return ...
    return value if isinstance(value, str | int | float | None) else ...
