"""Which module may import which, read from the source. Used by test_layers.py.

An import counts wherever it stands, in a function too; only what stands under
``if TYPE_CHECKING:`` is never executed and does not count.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LAYERS = {
    "errors": 0,
    "core": 1,
    "define": 2,
    "journal": 2,
    "plot": 2,
    "runtime": 3,
    "checking": 3.2,
    "picture": 3.5,
    "flow": 4,
    "runs": 4,
    "tasks": 4,
    "compat": 5,
    "functions": 5,
    "observe": 5,
    "worker": 5,
    "server": 6,
    "testing": 6.5,
    "cli": 7,
    "__main__": 7.5,
}
"""A module imports from its own package and from lower layers."""

IMPURE = frozenset(
    {
        "asyncio",
        "concurrent",
        "datetime",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "queue",
        "random",
        "secrets",
        "socket",
        "sqlite3",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""Standard modules with a clock, a thread, chance or I/O: not for the core."""


@dataclass(frozen=True)
class Import:
    """One executed import: ``module`` (dotted) gets ``target`` at ``line``."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@dataclass
class Package:
    """The modules of one package, with what each of them imports."""

    name: str
    modules: dict[str, list[Import]] = field(default_factory=dict)

    def own(self, target: str) -> str | None:
        """The module of this package that ``target`` is or lies in, else None."""
        while target:
            if target in self.modules:
                return target
            target = target.rpartition(".")[0]
        return None

    def imports(self) -> Iterator[tuple[Import, str | None]]:
        """Every import with the module of this package it leads to, if any."""
        for found in self.modules.values():
            for one in found:
                yield one, self.own(one.target)


def read(folder: Path) -> Package:
    """The package in ``folder``, which gives it its name."""
    package = Package(folder.name)
    for path in sorted(folder.rglob("*.py")):
        parts = (folder.name, *path.relative_to(folder).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        package.modules[module] = list(_executed(tree, module, is_package=is_package))
    return package


def _executed(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[Import]:
    for node in _running(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package=is_package)
            targets = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call):
            targets = list(_by_name(node))
        else:
            continue
        for target in targets:
            yield Import(module, target, node.lineno)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from _running(other)
        else:
            yield child
            yield from _running(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    up = node.level - 1 if is_package else node.level
    return ".".join([*parts[: len(parts) - up], *filter(None, [node.module])])


def _by_name(call: ast.Call) -> Iterator[str]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in {"import_module", "__import__"} and call.args:
        first = call.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def part(module: str) -> str:
    """``core`` of ``flowkit.core.machine``; empty for the root."""
    return module.partition(".")[2].partition(".")[0]


def unplaced(package: Package) -> list[str]:
    """Modules that the table gives no layer."""
    return [name for name in package.modules if part(name) and part(name) not in LAYERS]


def upward(package: Package) -> list[str]:
    """Imports from the same layer's other packages or from a higher layer."""
    faults = []
    for one, target in package.imports():
        here = part(one.module)
        if target is None or not here:
            continue  # not ours; or the root, which may import anything public
        there = part(target)
        if here == there:
            continue
        if not there:
            faults.append(f"{one}: the root is for users")
        elif LAYERS.get(there, 99) >= LAYERS.get(here, 0):
            faults.append(f"{one}: layer {LAYERS.get(there)} from {LAYERS.get(here)}")
    return faults


def private(package: Package) -> list[str]:
    """Imports of an underscored module from outside its package."""
    faults = []
    for one, target in package.imports():
        if target is None:
            continue
        home, _, name = target.rpartition(".")
        inside = one.module == home or one.module.startswith(f"{home}.")
        if name.startswith("_") and not inside:
            faults.append(f"{one}: an internal of {home}")
    return faults


def impure(package: Package) -> list[str]:
    """Imports of the core that are neither pure nor errors nor core."""
    faults = []
    for one, target in package.imports():
        if part(one.module) != "core":
            continue
        top = one.target.partition(".")[0]
        if target is None:
            if top not in sys.stdlib_module_names or top in IMPURE:
                faults.append(f"{one}: not pure")
        elif part(target) not in {"core", "errors"}:
            faults.append(f"{one}: neither core nor errors")
    return faults


def cycles(package: Package) -> list[str]:
    """Modules that import each other, directly or through others."""
    graph: dict[str, set[str]] = {name: set() for name in package.modules}
    for one, target in package.imports():
        if target is not None and target != one.module:
            graph[one.module].add(target)
    return [" <-> ".join(sorted(knot)) for knot in _knots(graph)]


def _knots(graph: dict[str, set[str]]) -> Iterable[set[str]]:
    reach = {name: _reachable(graph, name) for name in graph}
    seen: set[str] = set()
    for name in sorted(graph):
        if name in reach[name] and name not in seen:
            knot = {other for other in reach[name] if name in reach[other]}
            seen |= knot
            yield knot


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph[name]
    return found
