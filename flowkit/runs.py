"""Stored runs: find them, read and draw their story, go back in them, delete them.

::

    from flowkit import runs

    for run in runs.list(status="failed"):
        print(run, runs.history(run.id))

Every function takes ``store=``, a URL or a store: ``FLOWKIT_STORE`` or the default
one if it is not given. Ids may be cut short, as long as they are unique.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.picture.runs import compare, plot, timeline
from flowkit.runtime.abandoned import abandoned
from flowkit.runtime.audit import export
from flowkit.runtime.cancelling import cancel
from flowkit.runtime.compensation import compensate
from flowkit.runtime.execution_info import (
    CalledRun,
    Cause,
    DeferralInfo,
    Execution,
    LimitInfo,
    QuestionInfo,
)
from flowkit.runtime.failed import DeadStep, dead, requeue
from flowkit.runtime.forks import fork, rewind
from flowkit.runtime.history import RunInfo, WaitInfo, find_runs, get_run, state_at
from flowkit.runtime.nested_frames import stream
from flowkit.runtime.reading import Frames
from flowkit.runtime.recall import history
from flowkit.runtime.replaying import Replayed, follow, replay
from flowkit.runtime.retention import Purged, Retention, purge

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "CalledRun",
    "Cause",
    "DeadStep",
    "DeferralInfo",
    "Execution",
    "Frames",
    "LimitInfo",
    "Purged",
    "QuestionInfo",
    "Replayed",
    "Retention",
    "RunInfo",
    "WaitInfo",
    "abandoned",
    "cancel",
    "compare",
    "compensate",
    "dead",
    "export",
    "follow",
    "fork",
    "get",
    "history",
    "list",
    "plot",
    "purge",
    "replay",
    "requeue",
    "rewind",
    "search",
    "state_at",
    "stream",
    "timeline",
]


def list(  # noqa: A001 - runs.list(), as everybody says it
    *,
    flow: type | str | None = None,
    status: str | Sequence[str] = (),
    key: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    since: datetime | float | None = None,
    until: datetime | float | None = None,
    limit: int = 100,
    store: Any = None,
) -> builtins.list[RunInfo]:
    """Stored runs, newest first; what is not given does not restrict.

    Args:
        flow: a class, its name, or its stored name ``package.module:Class``.
        status: one or several.
        key: correlation key.
        tag: one of those the run was begun with.
        parent: id of the run that called them, or that they were forked from.
        since: created then or later.
        until: created before.
        limit: most of them.
        store: the flow's own or the default one if None.

    Raises:
        InputError: a status or a flow that does not exist.
    """
    asked = {
        "flow": flow,
        "status": status,
        "key": key,
        "tag": tag,
        "parent": parent,
        "since": since,
        "until": until,
    }
    return find_runs(asked, limit, store)


def search(
    text: str,
    *,
    flow: type | str | None = None,
    status: str | Sequence[str] = (),
    key: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    since: datetime | float | None = None,
    until: datetime | float | None = None,
    limit: int = 100,
    store: Any = None,
) -> builtins.list[RunInfo]:
    """As :func:`list`, of those with the text in id, key, state id, tags or error.

    Letters match in either case.
    """
    asked = {
        "text": text,
        "flow": flow,
        "status": status,
        "key": key,
        "tag": tag,
        "parent": parent,
        "since": since,
        "until": until,
    }
    return find_runs(asked, limit, store)


get = get_run
