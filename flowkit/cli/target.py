"""From what a user writes to a flow class: ``module:Class``, a file, or a name."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowkit.checking.targets import flow_behind
from flowkit.cli import output
from flowkit.cli.exits import FAILED, NOT_FOUND, USAGE, Refused
from flowkit.cli.project import on_path, project
from flowkit.core.validate import closest
from flowkit.errors import DefinitionError
from flowkit.runtime.kinds import known

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

__all__ = ["load", "load_project", "module_for", "module_of"]

_HOW = (
    "Give module:Class, a file, or a name under [tool.flowkit.flows] in pyproject.toml."
)


def load(target: str) -> type:
    """The flow class that a target means.

    Raises:
        Refused: it is not there, cannot be imported, or may mean several.
    """
    on_path()
    module, name = module_of(target)
    return _class_in(module_for(module, target), name, target)


def load_project() -> list[type]:
    """Every flow that the project's pyproject.toml names."""
    return [load(name) for name in project().flows]


def module_of(target: str) -> tuple[str, str]:
    """The module and the class a target names; "" for the only class of it."""
    text = project().flows.get(target, target)
    place, colon, name = text.rpartition(":")
    if not colon or text.endswith(".py"):
        place, name = text, ""
    if place.endswith(".py") or "/" in place:
        return _module_of_file(Path(place), target), name
    if not colon and not _is_module(place):
        _unknown(target)
    return place, name


def _is_module(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _unknown(target: str) -> None:
    names = {*project().flows, *(each.name for each in Path.cwd().glob("*.py"))}
    guess = closest(target, frozenset(names))
    guess = guess or closest(f"{target}.py", frozenset(names))
    hint = f"Did you mean {guess!r}? " if guess else ""
    raise Refused(NOT_FOUND, f"There is no flow {target!r}. {hint}{_HOW}")


def _module_of_file(path: Path, target: str) -> str:
    """The name a file is imported by, the same from everywhere in the project."""
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path.cwd()
        names = frozenset(each.name for each in folder.glob("*.py"))
        guess = closest(path.name, names)
        hint = f"Did you mean {str(path.with_name(guess))!r}?" if guess else _HOW
        raise Refused(NOT_FOUND, f"There is no file {str(path)!r}. {hint}")
    file = path.resolve()
    inside = [
        file.relative_to(folder).with_suffix("").parts
        for folder in {Path(each).resolve() for each in sys.path}
        if file.is_relative_to(folder)
    ]
    for parts in sorted(inside, key=len):  # src/shop.py is shop, not src.shop
        if all(part.isidentifier() for part in parts):
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if not file.stem.isidentifier():
        raise Refused(
            USAGE,
            f"{target!r} cannot be imported: {file.stem!r} is no name for a module. "
            f"Rename the file with letters, digits and underscores.",
        )
    sys.path.insert(0, str(file.parent))
    return file.stem


def module_for(name: str, target: str) -> ModuleType:
    """A module, imported.

    Raises:
        Refused: it is not there, or raises while it is imported.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            files = frozenset(each.stem for each in Path.cwd().glob("*.py"))
            guess = closest(missing, files)
            hint = f"Did you mean {guess!r}?" if guess else _HOW
            text = f"There is no module {missing!r} for {target!r}. {hint}"
            raise Refused(NOT_FOUND, text) from None
        raise _unimported(name, error) from error
    except DefinitionError:
        raise
    except (Exception, SystemExit) as error:
        raise _unimported(name, error) from error


def _unimported(name: str, error: BaseException) -> Refused:
    """A module that raises: its own lines of the traceback, and a sentence."""
    output.say("".join(traceback.format_list(_own(error.__traceback__))).rstrip())
    if isinstance(error, SyntaxError):
        output.say("".join(traceback.format_exception_only(error)).rstrip())
    what = type(error).__name__
    return Refused(FAILED, f"{name} could not be imported: {what}: {error}")


def _own(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames that are neither ours nor the import system's."""
    ours = str(Path(__file__).parents[1])
    return [
        frame
        for frame in traceback.extract_tb(tb)
        if not frame.filename.startswith((ours, "<frozen"))
        and "importlib" not in Path(frame.filename).parts
    ]


def _class_in(module: ModuleType, name: str, target: str) -> type:
    flows = {
        each.__qualname__: each
        for each in map(flow_behind, vars(module).values())
        if isinstance(each, type) and each in known
    }
    where = getattr(module, "__file__", None) or module.__name__
    where = Path(where).name
    if name:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        found = flow_behind(found)
        if isinstance(found, type) and found in known:
            return found
        if found is not None:
            raise Refused(USAGE, f"{name!r} in {where} is no flow class. {_HOW}")
        guess = closest(name, frozenset(flows))
        hint = f"Did you mean {guess!r}?" if guess else _there(flows)
        raise Refused(NOT_FOUND, f"There is no flow {name!r} in {where}. {hint}")
    own = {key: cls for key, cls in flows.items() if cls.__module__ == module.__name__}
    bases = {base for cls in own.values() for base in cls.__mro__[1:]}
    last = [cls for cls in own.values() if cls not in bases]
    if len(last) == 1:
        return last[0]
    if not last:
        raise Refused(NOT_FOUND, f"There is no flow in {where}. {_HOW}")
    several = sorted(cls.__qualname__ for cls in last)
    names, first = ", ".join(several), several[0]
    text = f"{where} has several flows: {names}. Name one: {target}:{first}"
    raise Refused(USAGE, text)


def _there(flows: dict[str, type]) -> str:
    return f"It has {', '.join(sorted(flows))}." if flows else "It has none."
