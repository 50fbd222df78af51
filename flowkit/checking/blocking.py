"""Calls in async steps that stop the event loop, read from the source.

A name is followed to the object that it stands for, so that ``from time import sleep
as nap`` is found and a method that happens to be called ``sleep`` is not. Functions
inside a step are not looked into: they may run in a thread.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.validate import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowkit.runtime.kinds import Kind

__all__ = ["blocking_calls", "blocking_faults"]

_THREAD = "`await anyio.to_thread.run_sync(..)`"
_CLIENT = "an async client, such as httpx.AsyncClient"
_BLOCKING = {
    "time.sleep": "`await anyio.sleep(..)`, or `await self.sleep(..)`",
    "subprocess.run": "`await anyio.run_process(..)`",
    "subprocess.call": "`await anyio.run_process(..)`",
    "subprocess.check_call": "`await anyio.run_process(..)`",
    "subprocess.check_output": "`await anyio.run_process(..)`",
    "subprocess.getoutput": "`await anyio.run_process(..)`",
    "os.system": "`await anyio.run_process(..)`",
    "builtins.open": "`await anyio.open_file(..)`",
    "builtins.input": "`await self.ask_async(..)`",
    "urllib.request.urlopen": _CLIENT,
    "urllib.request.urlretrieve": _CLIENT,
    "socket.create_connection": "`await anyio.connect_tcp(..)`",
    "socket.getaddrinfo": "`await anyio.getaddrinfo(..)`",
    "socket.gethostbyname": "`await anyio.getaddrinfo(..)`",
    "shutil.copytree": _THREAD,
    "shutil.rmtree": _THREAD,
    "sqlite3.connect": _THREAD,
    "psycopg.connect": "`await psycopg.AsyncConnection.connect(..)`",
    "psycopg2.connect": _THREAD,
}
_CLIENTS = ("requests", "httpx")
_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_FILES = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})
_OWN = {
    "ask": "`await self.ask_async(..)`",
    "kickoff": "`await self.kickoff_async(..)`",
}
_NOTHING = object()


class Blocking(NamedTuple):
    """A call that blocks: how it is written, its cure, its line in the file."""

    name: str
    cure: str
    line: int


def blocking_faults(kind: Kind) -> Iterator[Fault]:
    """Blocking calls in async steps, as hints."""
    for step in kind.compiled.definition.steps:
        function = kind.compiled.functions.get(step.name)
        if not step.is_async or function is None:
            continue
        file = step.place.rpartition(":")[0]
        for name, cure, line in blocking_calls(function):
            text = (
                f"{kind.compiled.definition.name}.{step.name} is async and calls "
                f"{name}(), which stops the event loop and every run on it. Use "
                f"{cure}, or make the step synchronous: it runs in a thread then. "
                f"({file}:{line})"
            )
            yield Fault("hint", step.name, text, line=line)


def blocking_calls(function: Callable[..., Any]) -> list[Blocking]:
    """The blocking calls of an async function, in the order of its source."""
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None or not _may_block(plain):
        return []
    try:
        lines, first = inspect.getsourcelines(plain)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return []
    body = tree.body[0] if tree.body else None
    if not isinstance(body, ast.AsyncFunctionDef):
        return []
    reader = _Reader(plain, body)
    return [each._replace(line=each.line + first - 1) for each in reader.found()]


def _may_block(function: Any) -> bool:
    """Whether a name in the code could stand for such a call: most steps end here."""
    names = {*function.__code__.co_names, *function.__code__.co_freevars}
    if not names.isdisjoint(_LAST_NAMES):
        return True
    values = {**function.__globals__, **_closure(function)}
    return any(callable(values.get(name)) and _cure_of(values[name]) for name in names)


_LAST_NAMES = frozenset(
    {
        *(name.rpartition(".")[2] for name in _BLOCKING),
        *_VERBS,
        *_FILES,
        *_OWN,
    }
)


class _Reader:
    def __init__(
        self, function: Callable[..., Any], body: ast.AsyncFunctionDef
    ) -> None:
        self.body = body
        self.names = dict(vars(builtins))
        self.names.update(getattr(function, "__globals__", {}))
        self.names.update(_closure(function))
        arguments = body.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        more = [each for each in (arguments.vararg, arguments.kwarg) if each]
        self.me = given[0].arg if given else ""
        for each in [*given, *more]:
            self.names[each.arg] = _NOTHING

    def found(self) -> Iterator[Blocking]:
        """Every blocking call."""
        nodes = list(_inside(self.body))
        self._locals(nodes)
        awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
        calls = [
            node
            for node in nodes
            if isinstance(node, ast.Call) and id(node) not in awaited
        ]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            cure = self._cure(call)
            if cure:
                yield Blocking(ast.unparse(call.func), cure, call.lineno)

    def _locals(self, nodes: list[ast.AST]) -> None:
        """What the step itself gives a name is unknown, but for its imports."""
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                self.names[node.id] = _NOTHING
            elif isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                self.names[node.name] = _NOTHING
        for node in nodes:
            if isinstance(node, ast.Import):
                for each in node.names:
                    top = each.name.partition(".")[0]
                    module = sys.modules.get(each.name if each.asname else top)
                    self.names[each.asname or top] = module or _NOTHING
            elif isinstance(node, ast.ImportFrom):
                module = sys.modules.get(node.module or "") if not node.level else None
                for each in node.names:
                    value = getattr(module, each.name, _NOTHING)
                    self.names[each.asname or each.name] = value

    def _cure(self, call: ast.Call) -> str:
        function = call.func
        if isinstance(function, ast.Attribute):
            own = isinstance(function.value, ast.Name) and function.value.id == self.me
            if own and function.attr in _OWN:
                return _OWN[function.attr]
            if function.attr in _FILES and self._is_path(function.value):
                return f"`await anyio.Path(..).{function.attr}(..)`"
            if function.attr == "kickoff" and self._is_flow(function.value):
                return "`await self.call(..)`, or `await ...kickoff_async(..)`"
        found = self._object(function)
        if found is _NOTHING or not callable(found):
            return ""
        return _cure_of(found)

    def _is_path(self, tree: ast.expr) -> bool:
        """Whether it is written ``Path(..)``."""
        import pathlib

        if not isinstance(tree, ast.Call):
            return False
        found = self._object(tree.func)
        return isinstance(found, type) and issubclass(found, pathlib.Path)

    def _is_flow(self, tree: ast.expr) -> bool:
        """Whether it is written ``SomeFlow(..)``."""
        from flowkit.runtime.kinds import known

        return isinstance(tree, ast.Call) and self._object(tree.func) in known

    def _object(self, tree: ast.expr) -> Any:
        """What a dotted name stands for, through modules and classes only."""
        if isinstance(tree, ast.Name):
            return self.names.get(tree.id, _NOTHING)
        if not isinstance(tree, ast.Attribute):
            return _NOTHING
        owner = self._object(tree.value)
        if isinstance(owner, types.ModuleType | type):
            return getattr(owner, tree.attr, _NOTHING)
        return _NOTHING


def _cure_of(found: Any) -> str:
    for name, cure in _BLOCKING.items():
        module, _, attribute = name.rpartition(".")
        if getattr(sys.modules.get(module), attribute, _NOTHING) is found:
            return cure
    for module in _CLIENTS:
        client = sys.modules.get(module)
        if client is not None and any(
            getattr(client, verb, _NOTHING) is found for verb in _VERBS
        ):
            return _CLIENT
    return ""


def _inside(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when the step runs: not the bodies of functions and classes in it."""
    for child in ast.iter_child_nodes(tree):
        yield child
        inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
        if not isinstance(child, inner):
            yield from _inside(child)


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    code: Any = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    found = {}
    for name, cell in zip(code.co_freevars, cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            found[name] = _NOTHING
    return found
