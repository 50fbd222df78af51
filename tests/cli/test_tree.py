"""The live tree: what of a run is drawn, and how long a line gets."""

from __future__ import annotations

import io

import anyio
import pytest
from rich.console import Console

from flowkit import Flow, Hedge, Rate, Retry, listen, router, start
from flowkit.cli.progress import Progress, Seen
from flowkit.cli.tree import Tree


class Fan(Flow):
    """Thirty steps, the last of which fails, and a loop."""

    @start()
    @router(emit=["again", "over"])
    def begin(self):
        return "again"

    @router("again", emit=["again2", "over"])
    def turn(self):
        return "over"

    @listen("again2")
    def never(self):
        return None

    @listen("over")
    def fails(self):
        raise ValueError("a very long reason " * 20)


class Policed(Flow):
    """A step tried again, one that repeats, one called twice, one behind a rate."""

    calls = 0

    @start(retry=Retry(2, first=0))
    def tries(self):
        if self.attempt == 1:
            raise ConnectionError("no  line")
        self.state["left"] = 3

    @listen(tries, while_=lambda state: state["left"] > 0)
    def repeats(self):
        self.state["left"] -= 1

    @listen(repeats, hedge=Hedge("1ms"))
    async def hedged(self):
        self.calls += 1
        if self.calls == 1:
            await anyio.sleep_forever()

    @listen(hedged, rate=Rate(1, per="50ms", name="tree"))
    def first(self): ...

    @listen(first, rate=Rate(1, per="50ms", name="tree"))
    def second(self): ...


class Noted:
    """Keeps what is told."""

    def __init__(self):
        self.notes = []

    def told(self, run, step, what):
        if step is not None and step.note:
            self.notes.append((step.name, step.note))


def drawn(progress, *, width=80, height=40, encoding="utf-8"):
    """The lines of a frame."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    console = Console(file=file, width=width, height=height, color_system=None)
    tree = Tree(console)
    console.print(tree.drawn(progress))
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


@pytest.fixture
def failed():
    """What was seen of a run that failed."""
    progress = Progress(Tree(Console(file=io.StringIO())))
    progress.connect()
    try:
        with pytest.raises(ValueError, match="a very long reason"):
            Fan().kickoff()
    finally:
        progress.disconnect()
    return progress


def test_every_line_fits_and_keeps_its_mark(failed):
    """A long reason is cut, not what stands before it."""
    lines = drawn(failed)
    assert max(map(len, lines)) <= 80
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["✓", "begin"],
        ["✓", "turn"],
        ["✗", "fails"],
    ]
    assert lines[3].endswith("…")
    assert lines[1].endswith("-> again")


def test_a_terminal_without_unicode_gets_other_marks(failed):
    """Nothing it cannot show."""
    text = "\n".join(drawn(failed, encoding="ascii"))
    assert text.isascii()
    assert "x fails" in text


def test_a_high_run_shows_what_is_at_work(failed):
    """Of steps that are done the first ones give way; the last frame has them all."""
    [run] = failed.runs.values()
    for number in range(40):
        step = run.steps[f"s{number}"] = Seen(f"s{number}")
        step.status = "running" if number % 2 else "done"
    run.status = "running"
    lines = drawn(failed, height=30)
    assert len(lines) == 28
    assert lines[1].endswith(".. 17 more steps")
    shown = " ".join(lines)
    assert all(f" s{number} " in shown for number in range(1, 40, 2))
    assert "fails" in shown
    run.status = "completed"
    assert len(drawn(failed, height=30)) == 44


def test_what_policies_make_of_a_step_is_told():
    """While it is so; in the end what counts."""
    noted = Noted()
    progress = Progress(noted)
    progress.connect()
    try:
        Policed().kickoff()
    finally:
        progress.disconnect()
    told = dict.fromkeys(noted.notes)
    waits = [note for step, note in told if step == "second"]
    assert [each for each in told if each[0] != "second"] == [
        ("tries", "again: ConnectionError: no line"),
        ("tries", "attempt 2"),
        ("repeats", "turn 2"),
        ("repeats", "turn 3"),
        ("repeats", "3 turns"),
        ("hedged", "call 2 began"),
        ("hedged", "call 2 won"),
    ]
    assert waits[0].startswith("waits ")
    assert waits[0].endswith("ms for its rate")
    lines = drawn(progress)
    assert [line.split()[4:] for line in lines[1:4]] == [
        ["attempt", "2"],
        ["3", "turns"],
        ["call", "2", "won"],
    ]
