"""``flowkit check``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED, Refused
from flowkit.cli.project import on_path, project
from flowkit.cli.target import load, module_for, module_of
from flowkit.define.compiler import faults_of, gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check"]

LEFT_OUT = frozenset({"venv", "node_modules", "build", "dist", "site-packages"})
IMPORTS = re.compile(r"^\s*(import|from) flowkit\b", re.MULTILINE)
LEVELS = ("error", "warning", "hint")


class Found(NamedTuple):
    """One fault: how bad, of which flow and step, and the sentence on it."""

    level: str
    flow: str
    step: str
    text: str


def check(*targets: str, json: options.Json = False) -> int:
    """List every fault of a project's flows.

    Errors, warnings and hints, each with its place and a cure. The exit code is 1 if
    there is an error. Modules are imported for it; no flow is run.

    Args:
        targets: Flows or files; those under [tool.flowkit.flows] if not given, or
            else every file of the project that imports flowkit.
    """
    on_path()
    found: list[Found] = []
    checked: set[str] = set()
    for target in dict.fromkeys(targets or _all()):
        found += _of_target(target, checked)
    found = sorted(dict.fromkeys(found), key=lambda each: LEVELS.index(each.level))
    count = {level: sum(each.level == level for each in found) for level in LEVELS}
    if json:
        faults = [each._asdict() for each in found]
        output.print_json({"flows": sorted(checked), "faults": faults})
    else:
        for each in found:
            _show(each)
        told = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in count.items() if n]
        said = ", ".join(told) or "no faults"
        flows = f"{len(checked)} flow{'s' if len(checked) != 1 else ''}"
        output.say(f"{flows} checked: {said}")
    return FAILED if count["error"] else DONE


def _all() -> list[str]:
    """What to check if nothing is named."""
    here = project()
    if here.flows:
        return list(here.flows)
    here_too = Path.cwd()
    return [
        str(path.relative_to(here_too) if path.is_relative_to(here_too) else path)
        for path in sorted(here.root.rglob("*.py"))
        if not any(
            part in LEFT_OUT or part.startswith(".")
            for part in path.relative_to(here.root).parts
        )
        and IMPORTS.search(path.read_text("utf-8", "replace"))
    ]


def _of_target(target: str, checked: set[str]) -> Iterator[Found]:
    with gathered() as made:
        try:
            module, name = module_of(target)
            module_for(module, target)
            if name:
                load(target)
        except Refused as refused:
            yield Found("error", target, "", str(refused))
        except Exception as error:  # noqa: BLE001 - a faulty class may break anything
            yield Found("error", target, "", f"{type(error).__name__}: {error}")
    for cls, compiled, faults in made:
        flow = f"{cls.__module__}:{cls.__qualname__}"
        checked.add(flow)
        strict = compiled.definition.strict
        for level, step, text, *_ in faults:
            worse = "error" if strict and level == "warning" else level
            yield Found(worse, flow, step, text)
        if any(each.level == "error" for each in faults):
            continue  # hints on a graph that is not meant so would mislead
        compiled.warnings = []
        for each in faults_of(compiled):
            yield Found(each.level, flow, each.step, each.text)


def _show(each: Found) -> None:
    colour: Any = output.STYLES[each.level]
    output.data(f"{output.paint(each.level, colour, sys.stdout)}: {each.text}")
