"""Steps in processes of their own: ``isolate="process"``. Real processes, a manual clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import anyio
import pytest

from flowkit import Flow, Run, listen, runs, signals, start
from flowkit.core.records import StepIsolated
from flowkit.errors import (
    DefinitionError,
    RunError,
    StateConflictError,
    StateError,
    StepCrashedError,
    StepTimeoutError,
    UnsendableError,
)
from flowkit.runtime.clock import ManualClock, use_clock
from flowkit.testing import stub
from tests.runtime import isolated_flows
from tests.runtime.isolated_flows import (
    AsyncHangs,
    Beside,
    Caught,
    Clash,
    Does,
    Hangs,
    OddError,
    Slow,
    Sums,
    Takes,
    Tries,
    WrongType,
)
from tests.runtime.stored import MemoryStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def clock():
    """A clock that stands still."""
    made = ManualClock(1_000.0)
    before = use_clock(made)
    yield made
    use_clock(before)


class Printed:
    """A stream that tells when a text has come so often."""

    def __init__(self):
        self.text = ""
        self._changed = threading.Condition()

    def write(self, text):
        """As of a stream."""
        with self._changed:
            self.text += text
            self._changed.notify_all()

    def flush(self):
        """As of a stream."""

    def _wait(self, text, count):
        with self._changed:
            assert self._changed.wait_for(lambda: self.text.count(text) >= count, 20)

    async def has(self, text, count=1):
        """Wait for a text."""
        await anyio.to_thread.run_sync(self._wait, text, count)


@pytest.fixture
def printed(monkeypatch):
    """What is printed, to be waited for; after ``begin``, in the test itself."""
    made = Printed()
    made.begin = lambda: monkeypatch.setattr(sys, "stdout", made)
    return made


def is_alive(pid):
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids_of(run):
    """The processes that its records tell of."""
    return [each.pid for each in run.records if isinstance(each, StepIsolated)]


async def test_a_step_works_in_another_process(capsys) -> None:
    """Results, state, events, figures and printing come back as from any step."""
    told = []

    def hear(sender, run, **said):
        told.append((said["step"], said["pid"]))

    flow = Sums()
    flow.here, flow.factor = os.getpid(), 5
    with signals.step_isolated.connected_to(hear, sender=Sums):
        assert await flow.kickoff_async() == "left"
    key, run = next(each for each in flow.run.outputs if isinstance(each, tuple))
    assert (key.rpartition(":")[0], run) == (flow.run.id, flow.run.id)
    assert flow.state.total == 100
    assert flow.state.lines == ["begin", "True 1"]
    assert flow.state.by == {"heard": 1}
    out, err = capsys.readouterr()
    assert (out, err) == ("working in True\n", "and errors\n")
    assert [step for step, _ in told] == ["begin", "go_on", "turn"]
    assert len({pid for _, pid in told} | {os.getpid()}) == 4
    assert not any(is_alive(pid) for _, pid in told)


async def test_parallel_steps_are_joined_as_any(capsys) -> None:
    """What both appended is there twice; what both wrote is a conflict."""
    flow = Beside()
    await flow.kickoff_async()
    assert flow.state.lines == ["begin", "same", "same"]
    assert flow.state.by == {"first": 1, "second": 2}
    with pytest.raises(StateConflictError, match=r"both wrote state\.total"):
        await Clash().kickoff_async()
    with pytest.raises(StateError) as caught:
        await WrongType().kickoff_async()
    assert str(caught.value).startswith("WrongType.go left state.total as 'many': ")


async def test_an_error_comes_back_as_itself() -> None:
    """Its type and attributes, with the traceback there in a note."""
    with pytest.raises(OddError, match="^odd") as caught:
        await Does("raise").kickoff_async()
    assert (caught.value.code, caught.value.retry_after) == (3, 7)
    note = caught.value.__notes__[0].splitlines()
    assert note[:2] == [
        "flowkit: in the process of Does.go:",
        "Traceback (most recent call last):",
    ]
    assert note[2].endswith(", in go")
    assert not any("far" in line for line in note)


@pytest.mark.parametrize(
    ("what", "how", "exitcode", "signal"),
    [
        (
            "segv",
            "its process was ended by SIGSEGV (signal 11). It crashed in C code: the "
            "note tells where, retry= tries it again.",
            -11,
            "SIGSEGV",
        ),
        (
            "kill",
            "its process was ended by SIGKILL (signal 9). Often it took more memory "
            "than there is: give it less to do at once.",
            -9,
            "SIGKILL",
        ),
        (
            "term",
            "its process was told to end (SIGTERM) from outside. Find out who ends it; "
            "retry= tries it again.",
            0,
            "SIGTERM",
        ),
        (
            "leave",
            "its process exited with code 7 before the step returned. Return from the "
            "step, or raise an error, instead of ending its process.",
            7,
            "",
        ),
        (
            "exit",
            "its process exited with code 1 before the step returned. Return from the "
            "step, or raise an error, instead of ending its process.",
            1,
            "",
        ),
    ],
)
def test_a_process_that_dies_is_a_named_error(what, how, exitcode, signal) -> None:
    """What, where, cure; a crash in C with the place of the call."""
    flow = Does(what)
    with pytest.raises(StepCrashedError) as caught:
        flow.kickoff()
    error = caught.value
    assert str(error).partition(" (isolated_flows.py")[0] == (
        f"Does.go did not end well: {how}"
    )
    assert (error.step, error.exitcode, error.signal) == ("Does.go", exitcode, signal)
    where = [note for note in error.__notes__ if "was here then" in note]
    assert bool(where) == (what in {"segv", "term"})
    assert all(f" in do_{what}" in note for note in where)


@pytest.mark.parametrize(
    ("make", "where", "way"),
    [
        (Takes, "the argument 'lock'", "go there"),
        (lambda: Does("result"), "its result", "come back from there"),
        (lambda: Does("state"), "state.held", "come back from there"),
        (lambda: Does("emit"), "what it emits as 'something'", "come back from there"),
    ],
)
def test_what_cannot_be_sent_is_named(make, where, way) -> None:
    """The field, the reason and the cure."""
    flow = make()
    step = "Takes.take" if isinstance(flow, Takes) else "Does.go"
    with pytest.raises(UnsendableError) as caught:
        flow.kickoff()
    assert str(caught.value).partition(" (isolated_flows.py")[0] == (
        f"{step} runs in a process of its own, and {where} cannot {way} (TypeError: "
        f"cannot pickle '_thread.lock' object). Hand over what it can be made from, "
        f"such as text, numbers or a dataclass at the top of a module."
    )
    assert (caught.value.step, caught.value.where) == (step, where)


def test_a_state_that_cannot_be_sent_is_named() -> None:
    """Before any process begins."""
    flow = Does("raise")
    flow.state["client"] = threading.Lock()
    with pytest.raises(UnsendableError, match=r"and state\.client cannot go there"):
        flow.kickoff()
    assert pids_of(flow.run) == []


def test_an_attribute_that_stayed_behind_is_explained() -> None:
    """The error that misses it says why."""
    flow = Does("client")
    flow.client = threading.Lock()
    with pytest.raises(AttributeError, match="client") as caught:
        flow.kickoff()
    assert caught.value.__notes__[0] == (
        "flowkit: self.client is set where the flow was made, and could not come to "
        "the step's process (TypeError: cannot pickle '_thread.lock' object). Make it "
        "within the step."
    )


@pytest.mark.parametrize("verb", ["sleep", "ask", "stop"])
def test_verbs_that_need_the_run_are_refused(verb) -> None:
    """By a sentence that names step, verb and cure."""
    with pytest.raises(RunError) as caught:
        Does(verb).kickoff()
    assert str(caught.value).partition(" (isolated_flows.py")[0] == (
        f"Does.go runs in a process of its own, where self.{verb} cannot reach the "
        f"run. Use it in a step of its own, before or after."
    )


def test_of_the_run_little_is_known_there() -> None:
    """Its id is; what is not says so."""
    text = "Does.go runs in a process of its own, where self.run.records is not known."
    with pytest.raises(AttributeError, match=re.escape(text)):
        Does("send").kickoff()


async def test_a_timeout_ends_the_process(clock, printed) -> None:
    """It may clean up; the error tells where it was."""
    printed.begin()
    flow = Hangs()
    flow.how = "sleeps"
    errors = []

    async def go():
        with pytest.raises(StepTimeoutError) as caught:
            await flow.kickoff_async()
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await printed.has("there")
        (pid,) = pids_of(flow.run)
        assert is_alive(pid)
        clock.advance(60)
    assert not is_alive(pid)
    assert "cleaned" in printed.text
    assert errors[0].limit == "idle_timeout"
    assert " in plain" in errors[0].__notes__[0]


async def test_heartbeats_come_from_there(
    clock, printed, tmp_path, monkeypatch
) -> None:
    """They hold off the idle timeout, but not the timeout."""
    printed.begin()
    flow = Hangs()
    flow.how, flow.gate = "beats", str(tmp_path / "gate")
    os.mkfifo(flow.gate)
    errors = []

    def open_gate():
        with open(flow.gate, "w") as gate:  # noqa: PTH123 - a pipe
            gate.write("on")

    async def go():
        with pytest.raises(StepTimeoutError) as caught:
            await flow.kickoff_async()
        errors.append(caught.value.limit)

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        await printed.has("there")
        clock.advance(50)
        await anyio.to_thread.run_sync(open_gate)
        await printed.has("beaten")
        clock.advance(35)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert errors == []
        clock.advance(5)
    assert errors == ["timeout"]
    assert not is_alive(pids_of(flow.run)[0])


async def test_cancelling_the_run_ends_the_process(printed) -> None:
    """Of an async step, too: it is cancelled there as here."""
    printed.begin()
    flow = AsyncHangs()
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await printed.has("there")
        (pid,) = pids_of(flow.run)
        flow.run.cancel("enough")
    assert flow.run.status == "cancelled"
    assert "cleaned" in printed.text
    assert not is_alive(pid)


async def test_a_cancelled_task_takes_the_process_along(printed) -> None:
    """Nothing is left when a scope of the caller ends."""
    printed.begin()
    flow = Hangs()
    flow.how = "sleeps"
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await printed.has("there")
        group.cancel_scope.cancel()
    assert not is_alive(pids_of(flow.run)[0])


async def test_a_hedged_step_has_two_processes(clock, printed, tmp_path) -> None:
    """The loser's is ended; the winner's state counts."""
    printed.begin()
    flow = Slow()
    flow.taken = str(tmp_path / "taken")
    async with anyio.create_task_group() as group:
        group.start_soon(flow.kickoff_async)
        await printed.has("there")
        clock.advance(1)
    assert flow.run.result == "second"
    assert flow.state["by"] == "second"
    pids = pids_of(flow.run)
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_a_crash_is_tried_again_and_told_in_the_history() -> None:
    """Under defaults, for instances, from a store."""
    store = MemoryStore()
    flow = Tries(store=store)
    assert flow.kickoff() == [1, 4]
    told = runs.history(flow.run.id, store=store)
    first = told[0]
    assert (first.step, first.attempt, len(first.pids)) == ("items", 2, 2)
    assert isinstance(first.deferrals[0].error, StepCrashedError)
    assert first.deferrals[0].error.exitcode == 9
    assert [len(each.pids) for each in told[1:]] == [1, 1, 1]


def test_a_fallback_stands_in_for_a_crash() -> None:
    """Chosen by the error's class."""
    assert Caught().kickoff() == "instead"


def test_steps_that_cannot_be_isolated_are_refused_at_once() -> None:
    """Each with the reason."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start(isolate="process")
            def items(self):
                yield 1

            @listen(items, isolate="process")
            def within(self):
                pass

    texts = [fault.rpartition(" (")[0] for fault in caught.value.faults]
    assert texts[0] == (
        "Bad.items has isolate= and yields its items: each of them counts at once. "
        "Give isolate= to a step of its own."
    )
    assert texts[1].startswith(
        "Bad.within has isolate= and its class stands within a function (test_steps_"
    )
    assert texts[1].endswith(
        "), where its process could not find it. Define the class at the top of a "
        "module."
    )


def test_a_class_that_cannot_be_found_is_refused(monkeypatch) -> None:
    """One whose name means another thing by now."""
    monkeypatch.setattr(isolated_flows, "Does", None)
    with pytest.raises(RunError) as caught:
        Does("raise").kickoff()
    assert str(caught.value).partition(" (isolated_flows.py")[0] == (
        "Does.go runs in a process of its own, which cannot find its class: its "
        "module tests.runtime.isolated_flows has no Does that is it. Define the "
        "class at the top of a module that can be imported."
    )


def test_a_stub_stands_in_for_an_isolated_step() -> None:
    """In this process: a test's stub is of this process."""
    with stub(Caught, "crash", calls=lambda flow: os.getpid()):
        flow = Caught()
        assert flow.kickoff() == os.getpid()
    assert pids_of(flow.run) == []


async def test_a_failure_to_record_ends_the_process(monkeypatch, printed) -> None:
    """Whatever goes wrong here: the process does not stay."""
    flow, told = AsyncHangs(), []

    def refuse(run, record):
        if isinstance(record, StepIsolated):
            told.append(record.pid)
            raise OSError("disk full")
        apply(run, record)

    apply = Run.apply
    monkeypatch.setattr(Run, "apply", refuse)
    with pytest.raises(OSError, match="disk full"):
        await flow.kickoff_async()
    assert not is_alive(told[0])


SCRIPT = """
from dataclasses import dataclass
from flowkit import Flow, listen, start

@dataclass
class Page:
    text: str

class OddError(Exception):
    def __init__(self, *, page):
        super().__init__(page)
        self.page = page

class Script(Flow):
    @start()
    def first(self):
        print("first")
        return Page("one")

    @listen(first, isolate="process")
    def second(self, page):
        if self.state["fails"]:
            raise OddError(page=page)
        return Page(page.text + " two")
"""
BEGIN = """
for fails in (False, True):
    try:
        print(Script().kickoff({"fails": fails}))
    except Exception as error:
        print(type(error), error)
"""


def run_script(*command):
    """What a script prints, and its errors."""
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines(), done.stderr


def test_classes_of_a_script_go_and_come(tmp_path) -> None:
    """Those of ``__main__``: values, errors, the flow itself."""
    script = tmp_path / "script.py"
    guarded = 'if __name__ == "__main__":' + BEGIN.replace("\n", "\n    ")
    script.write_text(SCRIPT + guarded)
    out, err = run_script(str(script))
    assert out == [
        "first",
        "Page(text='one two')",
        "first",
        "<class '__main__.OddError'> Page(text='one')",
    ], err


def test_a_script_that_would_begin_again_is_refused(tmp_path) -> None:
    """Its first step is not done twice; both sides say what to do."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + 'print(Script().kickoff({"fails": False}))\n')
    out, err = run_script(str(script))
    assert out == ["first"]
    assert (
        "Script was kicked off while the process of a step with isolate='process' "
        "loaded this module. Put what begins runs under if __name__ == '__main__':\n"
    ) in err
    assert (
        "StepCrashedError: Script.second did not end well: its process exited with "
        "code 1 while it loaded. What it has printed tells why. It imports the module "
        "of the class: in a script, what begins runs stands under if __name__ == "
        "'__main__'. (script.py:"
    ) in err


def test_a_session_has_no_module_to_find(tmp_path) -> None:
    """The sentence says so before anything begins."""
    out, err = run_script("-c", SCRIPT + 'Script().kickoff({"fails": False})\n')
    assert out == ["first"]
    assert (
        "RunError: Script.second runs in a process of its own, which cannot find its "
        "class: it was defined in an interactive session. Define the class at the top "
        "of a module that can be imported. (<string>:"
    ) in err
