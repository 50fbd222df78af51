"""The program: arguments, one replay, one summary, one exit code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel

from examples.customer_events import services
from examples.customer_events.progress import Progress
from examples.customer_events.reading import InputFileError
from examples.customer_events.replay import Replay
from examples.customer_events.summary import summary
from flowkit import EventBus

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE = Path(__file__).with_name("sample.jsonl")


class Feedback(BaseModel):
    """A customer gave stars; no flow needs it, a handler does."""

    customer: str
    stars: int


async def note_feedback(feedback: Feedback) -> None:
    """Tell the CRM."""
    await services.crm.note(feedback.customer, f"{feedback.stars} stars")


def main(argv: Sequence[str] | None = None) -> int:
    """Replay a file; 0, or 2 for a file that cannot be read, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        return _replay(arguments.file, arguments.plots)
    except InputFileError as error:
        print(f"customer_events: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("customer_events: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.customer_events",
        description="Replay recorded events through the flows of a company.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=SAMPLE,
        help="JSONL, plain or gzipped; a sample by default",
    )
    parser.add_argument(
        "--plots",
        type=Path,
        default=Path("build", "plots"),
        metavar="FOLDER",
        help="where the pictures of the flows go (build/plots)",
    )
    return parser


def _replay(file: Path, plots: Path) -> int:
    began = perf_counter()
    progress = Progress()
    with EventBus() as bus:
        bus.on("feedback_given", note_feedback)
        replay = Replay(file, bus)
        try:
            replay.run(progress)
        finally:
            progress.finish(replay.tally.lines, replay.tally.begun)
        text = summary(replay, perf_counter() - began, _plot(replay, plots))
    _say(text)
    return 130 if replay.interrupted else 0


def _plot(replay: Replay, folder: Path) -> list[str]:
    """One picture of each flow; where they are."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            flow.plot(folder / f"{flow.__name__.lower()}.html")
            for flow in replay.source.flows
        ]
    except OSError as error:
        raise InputFileError(f"{folder} cannot be written: {error.strerror}.") from None


def _say(text: str) -> None:
    """Print to any terminal: what it cannot show is escaped."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
