"""Writes docs/reference/api.md, signals.md, testing.md and cli.md from docstrings.

    python docs/make_reference.py

A test compares the files with what this makes, and fails for a public name that is
in no section.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import flowkit
import pytest_flowkit
from flowkit import testing
from flowkit.runtime import receipt, signals

REFERENCE = Path(__file__).parent / "reference"
HEAD = """\
# Public names

What `import flowkit` offers, and all that [SemVer](https://semver.org) covers besides
the names of `flowkit.signals`, `flowkit.errors` and `flowkit.compat.crewai`. Made from
the docstrings by `docs/make_reference.py`.
"""
SECTIONS: dict[str, list[str]] = {
    "Flows": ["Flow", "FlowState", "Run"],
    "Steps": ["start", "listen", "router"],
    "Function flows": ["functions"],
    "Policies": [
        "Policy",
        "Retry",
        "Rate",
        "Bulkhead",
        "Breaker",
        "Admission",
        "Cache",
        "Hedge",
        "INPUTS",
        "SOURCE",
    ],
    "Triggers": [
        "event",
        "timer",
        "and_",
        "or_",
        "merge",
        "any_of",
        "all_active",
        "times",
        "window",
    ],
    "Groups and regions": ["each", "gather", "Region"],
    "Events from outside": ["EventBus"],
    "People": [
        "human_feedback",
        "HumanFeedbackResult",
        "HumanFeedbackPending",
        "PendingFeedbackContext",
        "HumanFeedbackProvider",
        "InputProvider",
        "InputResponse",
        "ConsoleProvider",
        "flow_config",
        "tasks",
        "Decision",
    ],
    "Persistence": ["persist", "FlowPersistence", "SQLiteFlowPersistence"],
    "Stored runs": [
        "resume",
        "resume_async",
        "factory",
        "migrate",
        "Retention",
        "runs",
    ],
    "Observing and drawing": [
        "observe",
        "signals",
        "build_flow_structure",
        "visualize_flow_structure",
    ],
    "Checking": ["check", "Fault"],
    "Streaming": ["StreamSession", "AsyncStreamSession", "StreamFrame"],
    "Errors": [
        "FlowkitError",
        "DefinitionError",
        "RunError",
        "InputError",
        "NotFoundError",
        "FeedbackError",
        "StateError",
        "StateConflictError",
        "CallError",
        "RunawayError",
        "StuckError",
        "TryAgain",
        "UnstorableError",
        "StoreError",
        "FlowkitWarning",
    ],
}
# What a user of a class needs; the rest of a run is for the runner.
MEMBERS: dict[str, list[str]] = {
    "Flow": [
        "kickoff",
        "kickoff_async",
        "akickoff",
        "stream",
        "stream_events",
        "astream",
        "start",
        "state",
        "flow_id",
        "run",
        "method_outputs",
        "send",
        "sleep",
        "wait_for",
        "wait_any",
        "call",
        "join",
        "emit",
        "emit_item",
        "metric",
        "spawn",
        "seal",
        "complete",
        "cancel",
        "attempt",
        "heartbeat",
        "compensate",
        "idempotency_key",
        "transaction",
        "ask",
        "ask_async",
        "last_human_feedback",
        "human_feedback_history",
        "pending_feedback",
        "from_pending",
        "resume",
        "resume_async",
        "resume_all",
        "resume_all_async",
        "stop",
        "abort",
        "definition",
        "plot",
    ],
    "Run": [
        "id",
        "status",
        "result",
        "state",
        "outputs",
        "history",
        "awaits",
        "progress",
        "failure",
        "degraded",
        "cancel",
    ],
    "FunctionFlow": [
        "kickoff",
        "kickoff_async",
        "start",
        "with_options",
        "resume_all",
        "resume_all_async",
        "definition",
        "plot",
    ],
    "StreamSession": [
        "events",
        "frames",
        "result",
        "is_completed",
        "is_cancelled",
        "is_exhausted",
        "interleave",
        "close",
    ],
    "AsyncStreamSession": [
        "events",
        "frames",
        "result",
        "is_completed",
        "is_cancelled",
        "is_exhausted",
        "interleave",
        "aclose",
    ],
    "StreamFrame": ["item", "to_dict"],
    "Decision": ["approved"],
    "PendingFeedbackContext": ["to_dict", "from_dict"],
    "HumanFeedbackProvider": ["request_feedback"],
    "InputProvider": ["request_input"],
    "FlowPersistence": [
        "init_db",
        "save_state",
        "load_state",
        "save_pending_feedback",
        "load_pending_feedback",
        "clear_pending_feedback",
    ],
    "EventBus": [
        "register",
        "declare",
        "on",
        "off",
        "send",
        "send_async",
        "drain",
        "open_runs",
        "kept",
        "close",
    ],
}
UNCALLED = {
    "Flow",
    "FlowPersistence",
    "FlowState",
    "HumanFeedbackProvider",
    "InputProvider",
    "Run",
    "AsyncStreamSession",
    "StreamFrame",
    "StreamSession",
}
_WIDTH = 80
HIDDEN = ("--no-", "--empty-")
_OWN = {"self", "cls"}
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_SECTION = re.compile(
    r"^(Args|Class keywords|Attributes|Returns|Yields|Raises|Source):$"
)
_ITEM = re.compile(r"^(\*{0,2}\w+): (.*)$", re.DOTALL)


def as_markdown(docstring: str) -> str:
    """A Google docstring as Markdown."""
    text = _ROLE.sub(r"`\1`", inspect.cleandoc(docstring)).replace("``", "`")
    text = re.sub(r"^::$\n\n((?:    .*\n|\n)*)", "", text, flags=re.MULTILINE)
    out: list[str] = []
    lines = iter(text.splitlines())
    section = ""
    body: list[str] = []
    for line in [*lines, ""]:
        match = _SECTION.match(line)
        if match or (section and line and not line.startswith(" ")):
            out += _finished(section, body)
            section, body = (match[1] if match else ""), []
            if match:
                continue
        if section:
            body.append(line)
        else:
            out.append(line)
    out += _finished(section, body)
    return "\n".join(out).strip()


def _finished(section: str, body: list[str]) -> list[str]:
    if not section:
        return []
    text = textwrap.dedent("\n".join(body)).strip()
    if section in {"Returns", "Source", "Yields"}:
        return [f"**{section}**: {text}", ""]
    items = [" ".join(item.split()) for item in re.split(r"\n(?=\S)", text)]
    rows = [_ITEM.match(item) for item in items]
    return [
        f"**{section}**:",
        "",
        *(f"- `{row[1]}`: {row[2]}" for row in rows if row),
        "",
    ]


def signature(name: str, value: Any) -> str:
    """A call as it is written, without the annotations' quotes."""
    found = inspect.signature(value)
    kept = [each for each in found.parameters.values() if each.name not in _OWN]
    text = _unquoted(str(found.replace(parameters=kept)))
    if len(name) + len(text) <= _WIDTH:
        return f"{name}{text}"
    inner: list[str] = []
    for each in kept:
        if each.kind is each.KEYWORD_ONLY and "*" not in "".join(inner):
            inner.append("*")
        inner.append(_unquoted(str(each)))
    result = text.rpartition(") -> ")[2]
    lines = [f"{name}(", *(f"    {each}," for each in inner), f") -> {result}"]
    return "\n".join(lines)


def _unquoted(text: str) -> str:
    text = re.sub(r"<class '([^']*)'>", r"\1", text)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def _one(name: str) -> list[str]:
    value = getattr(flowkit, name)
    if name in {"functions", "observe", "runs", "tasks"}:
        return _module(name, value)
    if inspect.ismodule(value):
        text = "The module of all signals: [signals](signals.md)."
        return [f"### `{name}`", "", text, ""]
    is_error = inspect.isclass(value) and issubclass(value, Exception | Warning)
    shown = "@" + name if name in SECTIONS["Steps"] else name
    lines = [f"### `{name}`", ""]
    if is_error:
        bases = ", ".join(base.__name__ for base in value.__bases__)
        lines += [f"A kind of {bases}. More: [errors](errors.md).", ""]
    elif not callable(value) or name in UNCALLED:
        pass  # subclassed or handed out, not called by their signature
    else:
        call = signature(shown, value)
        if shown.startswith("@"):
            call = call.rpartition(" -> ")[0]  # a decorator gives the method back
        lines += ["```text", call, "```", ""]
    lines += [as_markdown(value.__doc__ or ""), ""]
    for member in MEMBERS.get(name, []):
        lines += _member(name, member, inspect.getattr_static(value, member))
    return lines


def _module(name: str, value: Any) -> list[str]:
    """A module of functions, and of what they give."""
    lines = [f"### `{name}`", "", as_markdown(value.__doc__ or ""), ""]
    for member in value.__all__:
        found = getattr(value, member)
        if getattr(flowkit, member, None) is not found:  # else it has its own section
            lines += [f"#### `{name}.{member}`", ""]
            if inspect.isfunction(found):
                lines += ["```text", signature(f"{name}.{member}", found), "```", ""]
            lines += [as_markdown(found.__doc__ or ""), ""]
            for each in MEMBERS.get(member, []):
                lines += _member(member, each, inspect.getattr_static(found, each))
    return lines


def _member(owner: str, name: str, value: Any) -> list[str]:
    function = value.__func__ if isinstance(value, classmethod) else value
    if not inspect.isfunction(function):  # a property, of whatever kind
        return [f"#### `{owner}.{name}`", "", as_markdown(value.__doc__ or ""), ""]
    call = signature(f"{owner}.{name}", function)
    doc = as_markdown(function.__doc__ or "")
    return [f"#### `{owner}.{name}`", "", "```text", call, "```", "", doc, ""]


def api() -> str:
    """The page of public names."""
    lines = [HEAD]
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += _one(name)
        if title == "Events from outside":
            lines += ["### `Receipt`", "", "What `EventBus.send` returns.", ""]
            lines += [as_markdown(receipt.Receipt.__doc__ or ""), ""]
    return "\n".join(lines).rstrip() + "\n"


KIT = {
    "Steps": ["stub", "fail", "Calls", "Called", "Gives"],
    "Runs by a script": ["play", "Arrives", "Answers", "TimePasses"],
    "Paths": ["assert_path", "any_order", "path_of"],
    "Clocks and stores": ["manual_clock", "jumping_clock", "memory_store"],
    "Events": ["RecordingBus", "Sent"],
    "Kills": ["kill_and_resume", "survives_kills", "Survived"],
    "Tests from runs": ["testcase", "recorded"],
}
KIT_MEMBERS = {
    "Calls": ["count"],
    "RecordingBus": ["assert_sent", "assert_nothing_sent"],
    "Survived": ["result"],
}


def testing_page() -> str:
    """The page of the testing kit, and of its fixtures."""
    lines = ["# flowkit.testing", "", as_markdown(testing.__doc__ or ""), ""]
    for title, names in KIT.items():
        lines += [f"## {title}", ""]
        for name in names:
            value = getattr(testing, name)
            lines += [f"### `{name}`", ""]
            if callable(value):
                lines += ["```text", signature(name, value), "```", ""]
            lines += [as_markdown(value.__doc__ or ""), ""]
            for member in KIT_MEMBERS.get(name, []):
                lines += _member(name, member, inspect.getattr_static(value, member))
    lines += ["## Fixtures", "", as_markdown(pytest_flowkit.__doc__ or ""), ""]
    lines += ["| fixture | gives |", "|---|---|"]
    for name in FIXTURES:
        doc = getattr(pytest_flowkit, name).__doc__.replace("``", "`")
        lines.append(f"| `{name}` | {doc} |")
    return "\n".join(lines) + "\n\nHow to use it: [test](../how-to/test-a-flow.md).\n"


FIXTURES = [
    "manual_clock",
    "jumping_clock",
    "memory_store",
    "event_bus",
    "stub_step",
    "fail_step",
]


def signal_page() -> str:
    """The page of signals, from the table in the module's docstring."""
    text = inspect.cleandoc(signals.__doc__ or "").replace("``", "`")
    before, _, table = text.partition("\n=====")
    rows = [
        re.split(r"\s{2,}", line, maxsplit=1)
        for line in table.splitlines()[1:]
        if line and not line.startswith("=")
    ]
    lines = ["# Signals", "", before.strip(), "", "As `flowkit.signals.<name>`:", ""]
    lines += ["| signal | when | arguments beside `run` |", "|---|---|---|"]
    for name, arguments in _joined(rows[1:]):
        doc = getattr(signals, name.strip("`")).__doc__
        lines.append(f"| {name} | {doc} | {arguments} |")
    return "\n".join(lines) + "\n\nHow to use them: [observe](../how-to/observe.md).\n"


def _joined(rows: list[list[str]]) -> list[list[str]]:
    """Rows of a table, with the lines that go on with the one before."""
    joined: list[list[str]] = []
    for name, text in rows:
        if name:
            joined.append([name, text])
        else:
            joined[-1][1] += f" {text}"
    return joined


def cli_page() -> str:
    """The page of the command line, from what its help says."""
    from flowkit.cli.app import made
    from flowkit.cli.verbs import VERBS, overview

    app = made()
    lines = [
        "# Command line",
        "",
        "What `flowkit --help` and each verb's help say.",
        "",
    ]
    lines += ["```text", overview().rstrip(), "```", ""]
    for name, verb in VERBS.items():
        sub = app[name]
        arguments = sub.assemble_argument_collection(parse_docstring=True)
        said = inspect.cleandoc(sub.help or "").partition("\n\nArgs:")[0]
        placed = [each for each in arguments if not each.names[0].startswith("-")]
        shown = " ".join(
            each.names[0] if each.required else f"[{each.names[0]}]" for each in placed
        )
        lines += [f"## `{name}`", "", said, ""]
        lines += [
            "```text",
            f"flowkit {name} {shown}".strip() + " [OPTIONS]",
            "```",
            "",
        ]
        lines += ["| argument | what it is |", "|---|---|"]
        for each in arguments:
            names = [word for word in each.names if not word.startswith(HIDDEN)]
            text = " ".join((each.parameter.help or "").split())
            told = ", ".join(f"`{word}`" for word in names)
            lines.append(f"| {told} | {text or '-'} |")
        lines += ["", f"Example: `{verb.example}`", ""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Every page this makes, by file name."""
    return {
        "api.md": api(),
        "cli.md": cli_page(),
        "signals.md": signal_page(),
        "testing.md": testing_page(),
    }


if __name__ == "__main__":
    for file, text in pages().items():
        (REFERENCE / file).write_text(text, encoding="utf-8")
