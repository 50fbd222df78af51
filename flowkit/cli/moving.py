"""A run moved here: its progress, its result, and the exit code it ends with."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit import runs
from flowkit.cli import output
from flowkit.cli.exits import FAILED, INTERRUPTED, Refused, code_of
from flowkit.cli.hints import again, is_kept, waits_of
from flowkit.cli.progress import Progress, progress
from flowkit.cli.project import project
from flowkit.errors import FencedError, StoreError
from flowkit.runtime.waits import leave_waits

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ended", "moved"]

NOTE = "flowkit: step "


class Ended(NamedTuple):
    """How a run stands after it was moved."""

    id: str
    flow: str
    status: str
    result: Any
    error: str


def moved(
    move: Callable[[], Any],
    ended: Callable[[], Ended],
    *,
    store: Any,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Move a run, show how, print what came of it; gives the exit code.

    Args:
        move: kicks it off or resumes it; what it raises is the run's.
        ended: tells how it stands then.
        store: where it is kept, a URL or a store.
        as_json: print one JSON object instead of the result.
        quiet: show no progress.

    Raises:
        Exception: what was wrong before a step ran.
    """
    leave_waits()
    error: BaseException | None = None
    taken: FencedError | None = None
    with progress(quiet=quiet) as seen:
        try:
            move()
        except (KeyboardInterrupt, SystemExit) as interrupt:
            error = interrupt
        except FencedError as lost:
            taken = lost
        except Exception as failure:
            if _step_of(failure) is None and not seen.runs:
                raise
            error = failure
    if isinstance(error, StoreError) and _step_of(error) is None:
        raise _unsaid(error, seen)
    found = ended()
    if taken is not None:
        row = runs.get(found.id, store)
        found = Ended(row.id, row.flow, row.status, None, row.error)
    _print(found, seen, as_json=as_json)
    if isinstance(error, KeyboardInterrupt):
        _interrupted("interrupted", found, store)
        return INTERRUPTED
    if isinstance(error, SystemExit):
        _interrupted("a step ended the process (SystemExit)", found, store)
        return FAILED
    _told(found, error or taken, store)
    return code_of(found.status)


def _unsaid(error: StoreError, seen: Progress) -> Exception:
    """A store that failed: how the run stands, it would have to say."""
    begun = next((run for run in seen.runs.values() if run.steps), None)
    if begun is None or not error.kept:
        return error
    text = f"{error} What was written of the run is kept: flowkit resume {begun.id}"
    return Refused(FAILED, text)


def _print(found: Ended, seen: Progress, *, as_json: bool) -> None:
    if as_json:
        output.print_json({**found._asdict(), "steps": _steps(seen, found.id)})
    elif found.status == "completed" and found.result is not None:
        output.data(output.said(found.result))
    for reason in seen.stuck:
        output.say(f"{output.paint('warning:', 'yellow', sys.stderr)} {reason}")


def _steps(seen: Progress, id: str) -> list[dict[str, Any]]:
    run = seen.runs.get(id)
    return [
        {"step": each.name, "status": each.status, "fired": each.fired}
        for each in (run.steps.values() if run else ())
    ]


def _interrupted(how: str, found: Ended, store: Any) -> None:
    if not is_kept(store):
        output.complain(f"{how}. The run was kept in memory only, and is gone.")
    elif found.status in {"running", "waiting"}:
        command = again(f"resume {found.id}", store)
        output.complain(f"{how}. Go on with: {command}")
    else:
        output.complain(f"{how}; run {found.id} is {found.status}.")


def _told(found: Ended, error: BaseException | None, store: Any) -> None:
    status = found.status
    word = output.paint(status, output.STYLES.get(status), sys.stderr)
    output.say(f"run {found.id} {word}")
    if isinstance(error, FencedError) and status == "cancelled":
        output.say("  another process has cancelled it")
    elif error is not None:
        _say_failure(error)
    if not is_kept(store):
        if status == "waiting":
            output.say("  it was kept in memory only, and is gone")
    elif status == "waiting":
        for line in waits_of(found.id, store):
            output.say(f"  {line}")
    elif status == "failed" and error is not None:
        output.say(f"  mend it, then go on: {again(f'resume {found.id}', store)}")


def _say_failure(error: BaseException) -> None:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
        return
    step = _step_of(error)
    where = _place(error)
    at = f" ({where})" if where else ""
    before = f"step {step}: " if step else ""
    output.complain(f"{before}{type(error).__name__}: {error}{at}")


def _step_of(error: BaseException) -> str | None:
    for note in getattr(error, "__notes__", ()):
        if note.startswith(NOTE):
            return str(note.removeprefix(NOTE).rpartition(", run ")[0])
    return None


def _place(error: BaseException) -> str:
    """The last line of the user's own code that the error came through."""
    here = str(Path(__file__).parents[1])
    frames = [
        each
        for each in traceback.extract_tb(error.__traceback__)
        if each.filename.startswith(str(project().root))
        and not each.filename.startswith(here)
        and "site-packages" not in each.filename
    ]
    return "".join(f"{Path(each.filename).name}:{each.lineno}" for each in frames[-1:])
