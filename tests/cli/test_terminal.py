"""On a terminal: tables, a live tree, colours, and none where they are not wanted."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from contextlib import suppress

import pytest

from tests.cli.command import environment, flowkit

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(folder, *words, columns=80, typed="", **env):
    """What a command shows on a terminal, and its exit code."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        more = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40", **env}
        command = [sys.executable, "-P", "-m", "flowkit", *words]
        os.execve(sys.executable, command, environment(**more))
    shown = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(master, 65_536):
            shown += part
            if typed and typed[0].encode() in shown:
                os.write(master, typed[1].encode())
                typed = ""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(master)
    return shown.decode().replace("\r\n", "\n"), code


@pytest.mark.parametrize("columns", [80, 120])
def test_runs_are_a_table_that_fits(project, columns):
    """With a heading, and colours for the status."""
    flowkit(project, "run", "shop", "--id", "r1", "-q")
    flowkit(project, "run", "shop", "--id", "r2", "-q", "-i", f"city={'x' * 200}")
    shown, code = on_terminal(project, "runs", columns=columns)
    assert code == 0
    assert "\x1b[32mcompleted" in shown
    plain = CODES.sub("", shown).splitlines()
    assert plain[0].split() == ["run", "flow", "status", "begun", "came", "of", "it"]
    assert max(map(len, plain)) <= columns
    assert plain[1].rstrip().endswith("…")


@pytest.mark.parametrize("words", [["runs"], ["show", "r1"], ["run", "nobody"]])
def test_no_color_is_obeyed(project, words):
    """By tables, facts and errors."""
    flowkit(project, "run", "shop", "--id", "r1", "-q")
    shown, _ = on_terminal(project, *words, NO_COLOR="1")
    assert not re.search(r"\x1b\[(2|3[0-9])m", shown)


def test_a_run_shows_its_steps_as_a_tree(project):
    """The last frame stays; the result comes below it."""
    shown, code = on_terminal(project, "run", "shop", "--id", "r1")
    assert code == 0
    last = CODES.sub("", shown).rpartition("Shop  r1")[2]
    assert [line.split()[:3] for line in last.splitlines()[1:4]] == [
        ["├──", "✓", "price"],
        ["├──", "✓", "size"],
        ["└──", "✓", "confirm"],
    ]
    assert last.index("confirm") < last.index("1 to Berlin")
    assert "started" not in shown


def test_a_called_flow_is_a_branch_of_its_step(project):
    """Under the step that called it."""
    (project / "calls.py").write_text(
        "from flowkit import Flow, start\n"
        "from flows import Shop\n\n\n"
        "class Outer(Flow):\n"
        "    @start()\n"
        "    async def order(self):\n"
        "        return await self.call(Shop, {'pieces': 2})\n"
    )
    shown, code = on_terminal(project, "run", "calls.py", "--id", "o1")
    assert code == 0
    last = CODES.sub("", shown).rpartition("Outer  o1")[2].splitlines()
    assert [line.split() for line in last[2:4]] == [
        ["└──", "Shop"],
        ["├──", "✓", "price", last[3].split()[3]],
    ]


def test_a_question_at_the_console_is_answered(project):
    """The tree gives way while somebody types."""
    (project / "asks.py").write_text(
        "from flowkit import Flow, start\n\n\n"
        "class Asks(Flow):\n"
        "    @start()\n"
        "    def name(self):\n"
        "        return f\"Hello, {input('Your name? ')}\"\n"
    )
    typed = ("Your name? ", "Ada\n")
    shown, code = on_terminal(project, "run", "asks.py", typed=typed)
    assert code == 0
    assert "Hello, Ada" in CODES.sub("", shown)


def test_data_stays_apart_from_the_tree(project, tmp_path):
    """A step's own output goes to stdout, also when that is a file."""
    (project / "prints.py").write_text(
        "from flowkit import Flow, start\n\n\n"
        "class Prints(Flow):\n"
        "    @start()\n"
        "    def step(self):\n"
        "        print('from the step')\n"
        "        return 'the result'\n"
    )
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(project)
        out = os.open("out.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        command = [sys.executable, "-P", "-m", "flowkit", "run", "prints.py"]
        os.execve(sys.executable, command, environment(TERM="xterm"))
    shown = b""
    with suppress(OSError):
        while part := os.read(master, 65_536):
            shown += part
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(master)
    assert (project / "out.txt").read_text() == "from the step\nthe result\n"
    assert "from the step" not in shown.decode()


def test_ctrl_c_leaves_the_terminal_in_order(project):
    """The cursor is shown again, the run is kept."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(project)
        command = [sys.executable, "-P", "-m", "flowkit", "run", "slow", "--id", "s1"]
        os.execve(sys.executable, command, environment(TERM="xterm-256color"))
    shown, sent = b"", False
    with suppress(OSError):
        while part := os.read(master, 65_536):
            shown += part
            if b"hangs" in shown and not sent:
                os.kill(pid, signal.SIGINT)
                sent = True
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(master)
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")
    assert b"flowkit resume s1" in shown


def test_purge_asks_first(project):
    """No is the default."""
    flowkit(project, "run", "shop", "--id", "r1", "-q")
    shown, code = on_terminal(project, "purge", "--keep", "0", typed=("[y/N] ", "\n"))
    assert code == 4
    assert "Delete 1 of Shop for good? [y/N] " in CODES.sub("", shown)
    assert flowkit(project, "show", "r1").returncode == 0
    _, code = on_terminal(project, "purge", "--keep", "0", typed=("[y/N] ", "y\n"))
    assert code == 0
    assert flowkit(project, "show", "r1").returncode == 5


def test_a_terminal_without_unicode_is_served(project):
    """Tables, trees and results; what it cannot show is spelt out."""
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = ("-i", f"city=Köln{'x' * 90}", "--id", "r1")
    shown, code = on_terminal(project, "run", "shop", *words, **env)
    assert code == 0
    assert "K\\xf6ln" in shown
    shown, code = on_terminal(project, "runs", **env)
    assert code == 0
    assert shown.isascii()
