"""Every verb: where it is, what it does, and an example.

The overview is made of this table alone, so that ``flowkit --help`` loads nothing.
A summary is the first line of its function's docstring; a test compares them.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

__all__ = ["VERBS", "Verb", "overview", "version"]


class Verb(NamedTuple):
    """One verb: its place in the overview, what it does, how it is called."""

    group: str
    summary: str
    example: str


_WRITE, _LOOK, _MOVE, _STORE, _SHELL = (
    "Write and try a flow",
    "Look at stored runs",
    "Move stored runs",
    "The store and what is installed",
    "The shell",
)

VERBS: Final[dict[str, Verb]] = {
    "new": Verb(_WRITE, "Make a small project that runs.", "flowkit new shop"),
    "run": Verb(
        _WRITE,
        "Run a flow and print its result.",
        "flowkit run shop.py:Shop -i pieces=3 -i city=Berlin",
    ),
    "dev": Verb(
        _WRITE,
        "Run a flow again whenever a file changes.",
        "flowkit dev shop -i pieces=3",
    ),
    "check": Verb(
        _WRITE, "List every fault of a project's flows.", "flowkit check shop.py"
    ),
    "plot": Verb(
        _WRITE,
        "Draw a flow, or a run, into a file.",
        "flowkit plot shop --output shop.svg",
    ),
    "runs": Verb(
        _LOOK, "List stored runs, newest first.", "flowkit runs --status failed"
    ),
    "show": Verb(
        _LOOK, "Show a run: how it stands, its steps, its state.", "flowkit show 0199f3"
    ),
    "watch": Verb(
        _LOOK, "Follow a run until it is over.", "flowkit watch 0199f3 --json"
    ),
    "history": Verb(
        _LOOK, "List every execution of a step in a run.", "flowkit history 0199f3"
    ),
    "replay": Verb(
        _LOOK,
        "Replay a run's records: the state after each.",
        "flowkit replay 0199f3 --seq 4",
    ),
    "testcase": Verb(
        _LOOK,
        "Print a regression test cut from a run.",
        "flowkit testcase 0199f3 --stub charge > tests/test_orders.py",
    ),
    "insights": Verb(
        _LOOK,
        "Tell what runs took, what failed, and what would help.",
        "flowkit insights shop --last 7d",
    ),
    "dead": Verb(
        _LOOK, "List steps that failed for good, and what to do.", "flowkit dead shop"
    ),
    "requeue": Verb(
        _MOVE, "Begin what failed in a run again.", "flowkit requeue 0199f3"
    ),
    "resume": Verb(
        _MOVE, "Go on with a run, or with all that can.", "flowkit resume 0199f3"
    ),
    "send": Verb(
        _MOVE,
        "Send an event to the flows that take it.",
        "flowkit send paid --key order-17 -d '{\"amount\": 40}'",
    ),
    "approve": Verb(
        _MOVE, "Approve what a run waits for.", "flowkit approve 0199f3 --by ann"
    ),
    "reject": Verb(
        _MOVE,
        "Reject what a run waits for.",
        "flowkit reject 0199f3 --by ann --comment 'too dear'",
    ),
    "answer": Verb(
        _MOVE, "Answer a question that a run waits for.", "flowkit answer 0199f3 blue"
    ),
    "cancel": Verb(
        _MOVE, "End a run as cancelled.", "flowkit cancel 0199f3 --reason 'sold out'"
    ),
    "compensate": Verb(
        _MOVE,
        "Undo what a run has done, and end it.",
        "flowkit compensate 0199f3 --reason 'sold out'",
    ),
    "fork": Verb(
        _MOVE,
        "Make a new run that stands where another one stood.",
        "flowkit fork 0199f3 --from price -s pieces=4 --resume",
    ),
    "rewind": Verb(
        _MOVE,
        "Take a run back to where it stood.",
        "flowkit rewind 0199f3 --to price --resume",
    ),
    "doctor": Verb(
        _STORE,
        "Say what is installed, which store is meant, and what is stuck.",
        "flowkit doctor",
    ),
    "health": Verb(
        _STORE, "Say what in the store needs somebody.", "flowkit health --json"
    ),
    "migrate": Verb(
        _STORE,
        "Bring the store's schema up to date.",
        "flowkit migrate --store postgresql://localhost/shop",
    ),
    "purge": Verb(
        _STORE,
        "Delete ended runs that are not to be kept.",
        "flowkit purge --age 90d --dry",
    ),
    "completion": Verb(
        _SHELL,
        "Print what teaches a shell to complete flowkit's words.",
        "flowkit completion bash > ~/.local/share/bash-completion/completions/flowkit",
    ),
}

_HEAD: Final = """\
Usage: flowkit VERB [ARGUMENTS]

Run flows, look at their runs, move them. `flowkit VERB --help` tells more.
"""
_FOOT: Final = """\
Everywhere
  --help        this page, or a verb's
  --version     of flowkit
  --debug       with an error: its traceback, too

A flow is named by module:Class, by a file, or by a name that stands under
[tool.flowkit.flows] in pyproject.toml; a run by its id, cut short as long as it
stays unique. Runs are in --store URL, else in FLOWKIT_STORE, else in
.flowkit/journal.db of the project.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 waiting, 4 cancelled,
5 not found, 130 interrupted.
"""


def version() -> str:
    """Of flowkit; its root is loaded, as that of every module's package."""
    return str(sys.modules["flowkit"].__version__)


def overview() -> str:
    """What ``flowkit --help`` prints."""
    lines = [_HEAD]
    group = ""
    for name, verb in VERBS.items():
        if verb.group != group:
            lines += [*([""] if group else []), verb.group]
            group = verb.group
        lines.append(f"  {name:<12}  {verb.summary}")
    return "\n".join([*lines, "", _FOOT])
