"""The statements of ``queries.sql`` by name, for a schema of any name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["FOLDER", "placed", "statements"]

FOLDER: Traversable = files("flowkit.journal.postgres")


def placed(text: str, schema: str) -> str:
    """SQL written for the schema ``flowkit``, in another one."""
    quoted = sql.Identifier(schema).as_string()
    return re.sub(r"\bflowkit\.", lambda _: f"{quoted}.", text)


@cache
def _source() -> dict[str, str]:
    text = (FOLDER / "queries.sql").read_text(encoding="utf-8")
    found = {}
    for piece in text.split("-- name: ")[1:]:
        name, _, body = piece.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        found[name] = "\n".join(lines).strip()
    head = found.pop("run_columns")
    for name in ("by_id", "by_ids", "by_state", "live_on"):
        found[name] = f"{head}\n{found[name]}"
    found["runs"] = head
    return found


@cache
def statements(schema: str) -> dict[str, str]:
    """Every statement by its name. ``runs`` is the head to put conditions after."""
    escaped = schema.replace("%", "%%")  # these texts have parameters
    return {name: placed(text, escaped) for name, text in _source().items()}
