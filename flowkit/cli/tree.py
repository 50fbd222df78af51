"""The live tree of a run's steps, on a terminal."""

from __future__ import annotations

import builtins
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
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
        self._spinner = Spinner("dots", style="blue")
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
        steps = list(run.steps.values())
        hidden = max(len(steps) - room, 0)
        if hidden:
            tree.add(Text(f".. {hidden} more steps", "dim"))
        width = max((len(step.name) for step in steps), default=0)
        for step in steps[hidden:]:
            branch = tree.add(self._step(step, width))
            for each in step.calls:
                branch.add(self._run(progress.runs[each], progress, room, ""))
        return tree

    def _step(self, step: Seen, width: int) -> RenderableType:
        running = step.status == "running"
        style = output.STYLES.get(step.status, "")
        took = step.took + (time.monotonic() - step.began if running else 0.0)
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(no_wrap=True)
        row.add_column(no_wrap=True, min_width=width)
        row.add_column(no_wrap=True, justify="right", min_width=6)
        row.add_column(no_wrap=True, overflow="ellipsis")
        mark: Any = self._spinner if running else self._mark(step.status, style)
        times = f"{step.fired}x " if step.fired > 1 else ""
        note = Text(f"{times}{step.note}", "red" if step.status == "failed" else "dim")
        row.add_row(mark, step.name, Text(output.lasted(took), "dim"), note)
        return row

    def _mark(self, status: str, style: str) -> Text:
        mark = MARKS.get(status, "·")
        if not self._console.encoding.startswith("utf"):
            mark = {"✓": "+", "✗": "x"}.get(mark, "-")
        return Text(mark, style)
