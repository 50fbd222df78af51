"""Reads the SQL of this package: named queries and numbered migrations."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

__all__ = ["MIGRATIONS", "SQL"]

_HERE = files(__package__)


def _named(text: str) -> dict[str, str]:
    """Statements by the name in the comment before them, without comments."""
    found: dict[str, str] = {}
    for block in text.split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        bare = re.sub(r"--.*", "", body)
        found[name.strip()] = " ".join(bare.split()).rstrip("; ")
    return found


def _numbered() -> tuple[str, ...]:
    """Migrations in the order of their numbers, which begin at 1."""
    folder = _HERE / "migrations"
    scripts = sorted(each.name for each in folder.iterdir() if each.name[:4].isdigit())
    return tuple((folder / name).read_text("utf-8") for name in scripts)


SQL: Final = _named((_HERE / "queries.sql").read_text("utf-8"))
"""Every statement, by name."""

MIGRATIONS: Final = _numbered()
"""Scripts that lead from an empty file to the present schema, one a version."""
