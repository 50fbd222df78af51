"""``flowkit check``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from flowkit.checking import Checked, checked, checked_module
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED, Refused
from flowkit.cli.project import on_path, project
from flowkit.cli.target import module_of
from flowkit.core.faults import Fault
from flowkit.errors import InputError

__all__ = ["check"]

LEFT_OUT = frozenset({"venv", "node_modules", "build", "dist", "site-packages"})
IMPORTS = re.compile(r"^\s*(import|from) flowkit\b", re.MULTILINE)
LEVELS = ("error", "warning", "hint")


class Found(NamedTuple):
    """One fault: how bad, of which flow and step, the sentence on it, and its place."""

    level: Literal["error", "warning", "hint"]
    flow: str
    step: str
    text: str
    file: str = ""
    line: int = 0

    @classmethod
    def of(cls, fault: Fault, flow: str) -> Found:
        """A fault as this verb tells it: with the flow as a target."""
        return cls(fault.level, flow, fault.step, fault.text, fault.file, fault.line)


def check(*targets: str, json: options.Json = False) -> int:
    """List every fault of a project's flows.

    Errors, warnings and hints, each with its place and a cure. The exit code is 1 if
    there is an error. Modules are imported for it; no flow is run.

    Args:
        targets: Flows or files; those under [tool.flowkit.flows] if not given, or
            else every file of the project that imports flowkit.
    """
    on_path()
    looked: dict[str, dict[Found, None]] = {}  # once each, in their order
    for target in dict.fromkeys(targets or _all()):
        for flow, faults in _of_target(target):
            told = looked.setdefault(flow, {})
            told.update((Found.of(each, flow or target), None) for each in faults)
    names = sorted(flow for flow in looked if flow)
    found = [each for faults in looked.values() for each in faults]
    found.sort(key=lambda each: LEVELS.index(each.level))
    count = {level: sum(each.level == level for each in found) for level in LEVELS}
    if json:
        told_faults = [each._asdict() for each in found]
        output.print_json({"flows": names, "faults": told_faults})
    else:
        for fault in found:
            _show(fault)
        many = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in count.items() if n]
        said = ", ".join(many) or "no faults"
        flows = f"{len(names)} flow{'s' if len(names) != 1 else ''}"
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


def _of_target(target: str) -> list[Checked]:
    """All flows of a target's module, as an import needs them all."""
    try:
        module, name = module_of(target)
        if target.endswith(".py") and _is_taken(module):
            return checked(Path(target))
        return checked_module(module, name)
    except (Refused, InputError) as refused:
        return [Checked("", [Fault("error", "", str(refused))])]


def _is_taken(module: str) -> bool:
    """Whether a file would not be what an import of its name gives."""
    return module in sys.stdlib_module_names or module in sys.modules


def _show(each: Found) -> None:
    colour: Any = output.STYLES[each.level]
    output.data(f"{output.paint(each.level, colour, sys.stdout)}: {each.text}")
