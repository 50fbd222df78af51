"""The structure of a drawing as text, without its places: what snapshots compare."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

__all__ = ["compare", "outline"]

SNAPSHOTS = Path(__file__).parent / "snapshots"
_SHAPES = ("path", "rect", "circle")


def outline(drawn: str) -> str:
    """Elements with class, ids and text, a line each, indented as they are nested."""
    lines: list[str] = []
    _add(ET.fromstring(drawn), 0, lines)
    return "\n".join(lines) + "\n"


def _add(element: ET.Element, depth: int, lines: list[str]) -> None:
    tag = element.tag.rpartition("}")[2]
    if tag in {"style", "desc"}:
        return
    names = ("class", "data-id", "data-source", "data-target")
    said = [tag, *(element.get(name, "") for name in names)]
    if tag not in _SHAPES and (element.text or "").strip():
        said.append(repr((element.text or "").strip()))
    lines.append("  " * depth + " ".join(each for each in said if each))
    for child in element:
        _add(child, depth + 1, lines)


def compare(name: str, drawn: str) -> None:
    """Hold a drawing against its snapshot.

    ``FLOWKIT_SNAPSHOTS=write`` writes it instead: look at the picture then, in light
    and in dark, before the snapshot goes in.
    """
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("FLOWKIT_SNAPSHOTS") == "write":
        path.write_text(outline(drawn), encoding="utf-8")
    assert outline(drawn) == path.read_text("utf-8")
