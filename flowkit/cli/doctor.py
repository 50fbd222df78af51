"""``flowkit doctor``."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, NamedTuple

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE, FAILED, Refused
from flowkit.cli.project import existing, on_path, project, store_url
from flowkit.cli.target import load
from flowkit.cli.verbs import version as flowkit_version
from flowkit.errors import FlowkitError
from flowkit.journal.examine import examine

__all__ = ["doctor"]

MANY = 10
SIZES = ("B", "KB", "MB", "GB", "TB")
STEP = 1024


class Finding(NamedTuple):
    """One thing that was looked at: ``ok``, ``warning`` or ``error``."""

    level: str
    what: str
    text: str


def doctor(*, store: options.Store = None, json: options.Json = False) -> int:
    """Say what is installed, which store is meant, and what is stuck.

    Nothing is changed. The exit code is 1 if something is broken.
    """
    on_path()
    found = [*_installed(), *_flows(), *_store(store)]
    if json:
        output.print_json([each._asdict() for each in found])
    else:
        output.table(("", "what", "how it is"), found, fold=True)
    return FAILED if any(each.level == "error" for each in found) else DONE


def _installed() -> list[Finding]:
    python = f"{platform.python_version()}, {sys.executable}"
    found = [
        Finding("ok", "flowkit", flowkit_version()),
        Finding("ok", "python", python),
    ]
    for name, extra in _needs():
        try:
            text = version(name)
        except PackageNotFoundError:
            cure = f"pip install 'flowkit[{extra}]'" if extra else "pip install flowkit"
            level = "ok" if extra else "error"
            text = f"not installed: {cure}"
        else:
            level, text = "ok", text + (f" (extra {extra})" if extra else "")
        found.append(Finding(level, name, text))
    return found


def _needs() -> list[tuple[str, str]]:
    """What flowkit needs, as its own metadata says: name and extra, or ""."""
    found = []
    for line in requires("flowkit") or ():
        need, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", need)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if name and ("sys_platform" not in marker or sys.platform in marker):
            found.append((name[0], extra[1] if extra else ""))
    return found


def _flows() -> list[Finding]:
    try:
        here = project()
    except Refused as error:
        return [Finding("error", "project", str(error))]
    found = [Finding("ok", "project", str(here.root))]
    for name in here.flows:
        try:
            cls = load(name)
        except (Refused, FlowkitError) as error:
            found.append(Finding("error", f"flow {name}", str(error)))
        else:
            text = f"{cls.__module__}:{cls.__qualname__}"
            found.append(Finding("ok", f"flow {name}", text))
    return found


def _store(given: str | None) -> list[Finding]:
    said = "default"
    if given:
        said = "--store"
    elif os.environ.get("FLOWKIT_STORE"):
        said = "FLOWKIT_STORE"
    try:
        seen = examine(store_url(given))
    except FlowkitError as error:
        return [Finding("error", "store", str(error))]
    size = "" if seen.size is None else f", {_size(seen.size)}"
    place = f"{seen.url} ({said}{size})"
    if not seen.exists:
        place = f"{seen.url} ({said}), not there yet: the first run makes it"
    names = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
    found = [Finding("ok", "store", place)]
    if seen.version:
        found.append(Finding("ok", names[seen.kind], seen.version))
    if seen.exists and seen.kind != "memory":
        found += _schema(seen) or _stuck(given)
    return found


def _schema(seen: Any) -> list[Finding]:
    if not seen.pending:
        return []
    text = (
        f"{seen.schema} of {seen.newest}: the next use brings it up to date, or now: "
        f"flowkit migrate. A flowkit that knows only {seen.schema} cannot use it then"
    )
    return [Finding("warning", "schema", text)]


def _stuck(given: str | None) -> list[Finding]:
    try:
        place = existing(given)
        schema = examine(store_url(given)).schema
        left = runs.abandoned(limit=MANY + 1, store=place)
    except FlowkitError as error:
        return [Finding("error", "store", str(error))]
    found = [Finding("ok", "schema", f"{schema}, up to date")]
    for run in left[:MANY]:
        name = output.short_name(run.flow)
        text = f"{run.id} of {name} is {run.status}, and nobody moves it"
        found.append(Finding("warning", "run", text))
    if len(left) > MANY:
        found.append(Finding("warning", "runs", f"more than {MANY} are so"))
    if left:
        text = "flowkit resume RUN goes on with one, resume --all FLOW with all"
        found.append(Finding("warning", "cure", text))
    if not left:
        found.append(Finding("ok", "runs", "none is left without a process"))
    return found


def _size(count: float) -> str:
    for unit in SIZES:
        if count < STEP:
            return f"{count:.0f} {unit}"
        count /= STEP
    return f"{count:.0f} PB"
