"""Records of runs as JSON Lines, for audits and other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from flowkit.journal.entries import spelt
from flowkit.runtime.history import shown_time
from flowkit.runtime.lookup import paged, query_of, row_of, store_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowkit.journal.base import Store
    from flowkit.journal.rows import Entry, RunRow

__all__ = ["export"]

PAGE = 1000


def export(
    run_ids: str | Iterable[str] | None,
    file: str | Path | TextIO,
    *,
    store: Any = None,
    **asked: Any,
) -> int:
    """Write the records of runs, one JSON object a line; how many there were.

    Every line has the same keys, in this order: ``run`` (id), ``flow``, ``seq``,
    ``at`` (ISO 8601, UTC), ``kind``, ``step``, ``firing`` and ``data``. Kinds are
    ``start done fail event ask answer timer stop abort cancel expire`` and
    ``note:..``.
    Values are as flowkit stores them: what JSON has as it is, everything else as an
    object with one key that begins with ``!``. What a rewind took back is there, as
    it is in the journal. Memory used does not grow with the number of records.

    Args:
        run_ids: an id, several, or None for all runs that the rest finds.
        file: a path, written anew, or an open text file.
        store: the default one if None.
        asked: ``flow status key tag since until text``, as for ``runs.search``.

    Raises:
        NotFoundError: no such run.
    """
    place = store_of(store, asked.get("flow"))
    if isinstance(run_ids, str):
        run_ids = [run_ids]
    if run_ids is None:
        rows: Iterable[RunRow] = paged(place, query_of(**asked)._replace(limit=-1))
    else:
        rows = [row_of(place, each) for each in run_ids]
    if not isinstance(file, str | Path):
        return _write(place, rows, file)
    with Path(file).open("w", encoding="utf-8", newline="\n") as opened:
        return _write(place, rows, opened)


def _write(store: Store, rows: Iterable[RunRow], file: TextIO) -> int:
    count = 0
    for row in rows:
        for entry in _entries(store, row.id):
            line = {
                "run": row.id,
                "flow": row.flow,
                "seq": entry.seq,
                "at": shown_time(entry.at),
                "kind": entry.kind,
                "step": entry.step,
                "firing": entry.firing,
                "data": spelt(entry),
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            count += 1
    return count


def _entries(store: Store, run: str) -> Iterator[Entry]:
    since = 0
    while True:
        found = store.entries(run, since, PAGE)
        yield from found
        if len(found) < PAGE:
            return
        since = found[-1].seq
