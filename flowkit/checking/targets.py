"""What to check: a flow, a module, a file, a folder; how its flows are found."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.checking.flows import faults_of_flow
from flowkit.core.validate import Fault, closest
from flowkit.define.compiler import tolerant
from flowkit.errors import DefinitionError, InputError
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Checked", "check", "checked", "checked_module"]

_HERE = str(Path(__file__).parents[1])
_SKIPPED = frozenset({"node_modules", "site-packages", "build", "dist", "venv"})


class Checked(NamedTuple):
    """A flow that was looked at, ``""`` for what could not be imported."""

    flow: str
    faults: list[Fault]


def check(target: Any) -> list[Fault]:
    """Every fault of a flow, a module or a project; nothing of it is run.

    Modules are imported, as Python does it; no step is called. A class with errors,
    which an import refuses, is checked like any other, together with the rest of its
    module and of those that it imports.

    Args:
        target: a flow class or object, a function flow, a module,
            ``"package.module"``, ``"package.module:Class"``, or the path of a file or
            folder. A folder means every Python file in it that names flowkit.

    Returns:
        The faults in the order of flows and steps, worst first within a step. No
        ``error`` among them means that nothing is certainly wrong.

    Raises:
        InputError: there is no such module, class or file.
    """
    return [fault for each in checked(target) for fault in each.faults]


def checked(target: Any) -> list[Checked]:
    """The same by flow; each flow once, those without faults, too."""
    with _dropping_faulty():
        return _once(_check(target))


def checked_module(module: str, name: str = "") -> list[Checked]:
    """All flows of a module by its name, with the one of that name in it.

    Raises:
        InputError: there is no such module, or no such flow in it.
    """
    with _dropping_faulty():
        found = [*_of_name(module)]
        if name and (found == [] or found[0].flow):
            found.append(_of_flow(_there(_class_in(module, name), f"{module}:{name}")))
        return _once(found)


def _check(target: Any) -> Iterable[Checked]:
    target = flow_behind(target)
    if target in known if isinstance(target, type) else hasattr(target, "_flowkit"):
        return [_of_flow(target if isinstance(target, type) else type(target))]
    if isinstance(target, ModuleType):
        return _of_module(target.__name__)
    if isinstance(target, Path) or (isinstance(target, str) and _is_path(target)):
        return _of_path(Path(target))
    if not isinstance(target, str):
        msg = (
            f"check() takes a flow, a module, or the name or path of one, not "
            f"{target!r:.80}."
        )
        raise InputError(msg)
    module, _, name = target.partition(":")
    if not name:
        return _of_name(module)
    with _importing() as faults:
        _import(module, faults)
    found = _class_in(module, name)
    if found is None and faults:
        return [Checked("", faults)]
    return [_of_flow(_there(found, target))]


def flow_behind(value: Any) -> Any:
    """The class of a function flow, anything else as it is."""
    return getattr(value, "__flowkit_class__", value)


def _of_flow(cls: type) -> Checked:
    return Checked(f"{cls.__module__}:{cls.__qualname__}", faults_of_flow(cls))


def _once(found: Iterable[Checked]) -> list[Checked]:
    return [*{each.flow or id(each): each for each in found}.values()]


@contextmanager
def _dropping_faulty() -> Iterator[None]:
    before = set(sys.modules)
    try:
        yield
    finally:
        _drop_faulty(before)


def _drop_faulty(before: set[str]) -> None:
    """Forget modules that only a check could import."""
    faulty = {
        cls.__module__
        for cls, kind in known.items()
        if cls.__module__ not in before
        and any(fault.level == "error" for fault in kind.compiled.warnings)
    }
    for cls in [cls for cls in known if cls.__module__ in faulty]:
        del known[cls]
    for name in faulty:
        sys.modules.pop(name, None)


def _is_path(text: str) -> bool:
    return text.endswith(".py") or "/" in text or "\\" in text or Path(text).is_dir()


def _of_path(path: Path) -> Iterator[Checked]:
    if not path.exists():
        msg = f"There is no file or folder {str(path)!r} to check."
        raise InputError(msg)
    for file in [path] if path.is_file() else sorted(_sources(path)):
        with _importing() as faults, _package_of(file) as name:
            before = set(known)
            if name in sys.modules and _file_of(name) == file.resolve():
                module = name
            elif "." in name or not _taken(name):
                _import(name, faults)
                module = name
            else:
                module = _load(file, faults)
        yield from _imported(module, before, faults)


def _of_name(module: str) -> Iterator[Checked]:
    before = set(known)
    with _importing() as faults:
        _import(module, faults)
    yield from _imported(module, before, faults)


def _imported(module: str, before: set[type], faults: list[Fault]) -> Iterator[Checked]:
    """What stopped an import, the flows it made elsewhere, and those of the module."""
    if faults:
        yield Checked("", faults)
    for cls in [cls for cls in known if cls not in before]:
        if cls.__module__ != module:
            yield _of_flow(cls)
    yield from _of_module(module)


def _sources(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.py"):
        inside = file.relative_to(folder).parts
        if any(part in _SKIPPED or part.startswith(".") for part in inside):
            continue
        if "flowkit" in file.read_text("utf-8", "replace"):
            yield file


@contextmanager
def _package_of(file: Path) -> Iterator[str]:
    """A file's dotted name, importable within the block."""
    file = file.resolve()
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    sys.path.insert(0, str(folder))
    try:
        yield ".".join(parts)
    finally:
        sys.path.remove(str(folder))


def _file_of(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file).resolve()


def _taken(name: str) -> bool:
    """Whether another module has that name."""
    return name in sys.modules or name in sys.stdlib_module_names


def _load(file: Path, faults: list[Fault]) -> str:
    """Import a file whose name is taken, under another name."""
    name = f"flowkit_checked_{file.stem}_{abs(hash(file.resolve()))}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return name
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its code raises
        faults += _refused(str(file), error)
    return name


@contextmanager
def _importing() -> Iterator[list[Fault]]:
    """Classes with errors are let through; warnings are told by the check."""
    faults: list[Fault] = []
    token = tolerant.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield faults
    finally:
        tolerant.reset(token)


def _import(name: str, faults: list[Fault]) -> None:
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            msg = f"There is no module {error.name!r} to check."
            raise InputError(msg) from None
        faults += _refused(name, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its code raises
        faults += _refused(name, error)


def _refused(name: str, error: BaseException) -> list[Fault]:
    if isinstance(error, DefinitionError):
        return [Fault("error", "", each, error.flow) for each in error.faults]
    file, line = "", 0
    if isinstance(error, SyntaxError):
        file, line = error.filename or "", error.lineno or 0
    else:
        for frame in extract_tb(error.__traceback__):
            if "importlib" not in frame.filename and _HERE not in frame.filename:
                file, line = frame.filename, frame.lineno or 0
    place = f" ({Path(file).name}:{line})" if file else ""
    text = (
        f"{name} cannot be imported: {type(error).__name__}: "
        f"{str(error).removesuffix('.')}. Mend that first; the rest of it is not "
        f"checked.{place}"
    )
    return [Fault("error", "", text, "", file, line)]


def _of_module(name: str) -> Iterator[Checked]:
    for cls in [cls for cls in known if cls.__module__ == name]:
        yield _of_flow(cls)


def _class_in(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return flow_behind(found)


def _there(found: Any, target: str) -> type:
    if isinstance(found, type) and found in known:
        return found
    module, _, name = target.partition(":")
    flows = [cls.__qualname__ for cls in known if cls.__module__ == module]
    guess = closest(name, frozenset(flows))
    hint = f" Did you mean {guess!r}?" if guess else ""
    if not guess and flows:
        hint = f" It has {', '.join(flows)}."
    msg = f"{module} has no flow {name!r}.{hint}"
    raise InputError(msg)
