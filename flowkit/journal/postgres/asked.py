"""Conditions for lists of runs and waits: only what is asked, so indexes can help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowkit.journal.postgres.queries import placed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.journal.queries import Query

__all__ = ["asked", "asked_waits", "fitting"]

PLAIN = {
    "flow": "run.flow = %(flow)s",
    "key": "run.key = %(key)s",
    "state_id": "run.state_id = %(state_id)s",
    "parent": "run.parent = %(parent)s",
    "since": "run.created >= %(since)s",
    "until": "run.created < %(until)s",
    "before": "run.n < (select n from flowkit.run where id = %(before)s)",
}

TEXTS = ("id", "key", "state_id", "tags", "error")


def asked(query: Query, schema: str, lower: str) -> tuple[str, dict[str, Any]]:
    """The end of the statement that lists runs, and its parameters.

    Args:
        query: what people ask for.
        schema: where the tables are.
        lower: how the server makes lower case of ``{}``.
    """
    where, params = fitting(query, schema, lower)
    return f"{where}order by run.n desc\nlimit %(limit)s", params


def fitting(query: Query, schema: str, lower: str) -> tuple[str, dict[str, Any]]:
    """The condition alone, with the same parameters."""
    given = query._asdict()
    params = {name: given[name] for name in PLAIN if given[name] is not None}
    parts = [PLAIN[name] for name in params]
    if query.status:
        parts.append("run.status = any(%(status)s::text[])")
        params["status"] = list(query.status)
    if query.tag is not None:
        parts.append("strpos(run.tags, %(tag)s) > 0")
        params["tag"] = json.dumps(query.tag, ensure_ascii=False)
    if query.text:
        wanted = lower.format("%(text)s::text")
        inside = " || chr(10) || ".join(f"coalesce(run.{name}, '')" for name in TEXTS)
        parts.append(f"strpos({lower.format(f'({inside})')}, {wanted}) > 0")
        params["text"] = query.text
    where = f"where {' and '.join(parts)}\n" if parts else ""
    params["limit"] = None if query.limit < 0 else query.limit
    return placed(where, schema.replace("%", "%%")), params


def asked_waits(
    given: Mapping[str, str | None], run: str | None
) -> tuple[str, dict[str, Any]]:
    """The end of the statement that lists waits, and its parameters."""
    params: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None
    }
    parts = [f"wait.{name} = %({name})s" for name in params]
    if "token" in params:
        parts.append("wait.token <> ''")  # as the index says
    if run is not None:
        parts.append("run.id = %(run)s")
        params["run"] = run
    where = f"where {' and '.join(parts)}\n" if parts else ""
    return f"{where}order by wait.number\nlimit %(limit)s", params
