"""A diagram as plain data, for JSON and for pages."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkit.plot.model import Diagram

__all__ = ["as_dict", "as_json"]


def as_dict(drawn: Diagram) -> dict[str, Any]:
    """``name``, ``nodes``, ``edges`` and ``groups``; every field of each, by name."""
    return asdict(drawn)


def as_json(drawn: Diagram) -> str:
    """The same as indented JSON with a line end."""
    return json.dumps(as_dict(drawn), ensure_ascii=False, indent=2) + "\n"
