"""The live tree of a run's steps, on a terminal."""

from __future__ import annotations

import builtins
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from rich.tree import Tree as Drawn

from flowkit.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from flowkit.cli.progress import Flowing, Progress, Seen

__all__ = ["Tree"]

MARKS: Final = {
    "done": "✓",
    "completed": "✓",
    "failed": "✗",
    "expired": "✗",
    "waiting": "◦",
    "cancelled": "-",
    "running": "·",
}
SPARE: Final = 4
"""Lines of the terminal that the tree leaves free."""


class Tree:
    """Draws the runs of a :class:`~flowkit.cli.progress.Progress` while it lives."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._wide = self._console.encoding.startswith("utf")
        self._spinner = Spinner("dots" if self._wide else "line", style="blue")
        self._live: Live | None = None

    def told(self, run: Flowing, step: Seen | None, what: str) -> None:
        """Nothing: the tree is drawn by the clock."""

    @contextmanager
    def live(self, progress: Progress) -> Iterator[None]:
        """Draw until the block ends; questions at the console stop it meanwhile."""
        asked = builtins.input

        def draw() -> RenderableType:
            with progress.lock:
                return self.drawn(progress)

        live = Live(
            console=self._console,
            get_renderable=draw,
            refresh_per_second=10,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
            vertical_overflow="visible",
        )

        def ask(prompt: object = "") -> str:
            live.stop()
            try:
                return asked(prompt)
            finally:
                live.start(refresh=True)

        builtins.input = ask
        try:
            with live:
                yield
        finally:
            builtins.input = asked

    def drawn(self, progress: Progress) -> RenderableType:
        """All runs that no other one here has called."""
        called = {
            each
            for run in progress.runs.values()
            for step in run.steps.values()
            for each in step.calls
        }
        roots = [run for id, run in progress.runs.items() if id not in called]
        room = max(self._console.height - SPARE, 5)
        return Group(*(self._run(run, progress, room, run.id) for run in roots))

    def _run(self, run: Flowing, progress: Progress, room: int, told: str) -> Drawn:
        label = Text(run.flow, "bold")
        label.append(f"  {told}", "dim")
        tree = Drawn(label, guide_style="dim")
        steps, hidden = _shown(run, room)
        if hidden:
            tree.add(Text(f".. {hidden} more steps", "dim"))
        width = max((len(step.name) for step in steps), default=0)
        for step in steps:
            branch = tree.add(self._step(step, width))
            for each in step.calls:
                branch.add(self._run(progress.runs[each], progress, room, ""))
        return tree

    def _step(self, step: Seen, width: int) -> Text:
        running = step.status == "running"
        style = output.STYLES.get(step.status, "")
        took = step.took + (time.monotonic() - step.began if running else 0.0)
        line = Text(no_wrap=True, overflow="ellipsis" if self._wide else "crop")
        if running:
            line.append_text(cast("Text", self._spinner.render(time.monotonic())))
        else:
            line.append(self._mark(step.status), style)
        line.append(f" {step.name:<{width}} ")
        line.append(f"{output.lasted(took):>6} ", "dim")
        if step.fired > 1:
            line.append(f"{step.fired}x ", "dim")
        line.append(step.note, "red" if step.status == "failed" else "dim")
        line.rstrip()
        return line

    def _mark(self, status: str) -> str:
        mark = MARKS.get(status, "·")
        if self._wide:
            return mark
        return {"✓": "+", "✗": "x"}.get(mark, "-")


def _shown(run: Flowing, room: int) -> tuple[list[Seen], int]:
    """The steps to draw, and how many are not: those that are done go first."""
    steps = list(run.steps.values())
    over = len(steps) - room
    if over <= 0 or run.status != "running":  # the last frame has them all
        return steps, 0
    done = [step for step in steps if step.status == "done"]
    gone = {step.name for step in [*done, *reversed(steps)][:over]}
    return [step for step in steps if step.name not in gone], over
