"""Colours of drawings, light and dark, and the style sheet made of them.

Colours are written out in each rule rather than kept in CSS variables, because
renderers outside browsers know neither variables nor media queries.
"""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Theme", "asset", "rules", "style_sheet"]

Theme = Literal["auto", "light", "dark"]

_CLASS = re.compile(r"\.([a-z][\w-]*)")

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2129",
    "soft": "#56606e",
    "line": "#6f7a89",
    "box": "#f6f7f9",
    "band": "#e4e8ee",
    "border": "#b4bcc8",
    "start": "#1f8a4c",
    "startfill": "#e6f5ec",
    "router": "#b07608",
    "routerfill": "#fff5df",
    "event": "#3566c8",
    "eventfill": "#e8f0fe",
    "outside": "#7a55c4",
    "outsidefill": "#f3effc",
    "bad": "#c0303c",
    "badfill": "#fdeaec",
    "back": "#0b7a75",
    "labelink": "#7d5200",
    "frame": "#eef1f5",
    "first": "#3566c8",
    "firstfill": "#e8f0fe",
    "second": "#7a55c4",
    "secondfill": "#f3effc",
}
_DARK = {
    "paper": "#15181d",
    "ink": "#e9ecf1",
    "soft": "#a9b2bf",
    "line": "#8b96a5",
    "box": "#22272f",
    "band": "#343b46",
    "border": "#525c6a",
    "start": "#4cc07c",
    "startfill": "#16301f",
    "router": "#dca23a",
    "routerfill": "#362a10",
    "event": "#75a3f5",
    "eventfill": "#182841",
    "outside": "#ab90e8",
    "outsidefill": "#281f3d",
    "bad": "#f2747f",
    "badfill": "#41191e",
    "back": "#43cbc1",
    "labelink": "#f0c674",
    "frame": "#1d2229",
    "first": "#75a3f5",
    "firstfill": "#182841",
    "second": "#ab90e8",
    "secondfill": "#281f3d",
}


def asset(name: str) -> str:
    """The text of a file that ships with flowkit's drawings."""
    return (files("flowkit.plot") / "assets" / name).read_text("utf-8")


def rules(theme: Literal["light", "dark"], scope: str = "svg.flowkit") -> str:
    """The drawing's CSS rules in one theme.

    Args:
        theme: whose colours to use.
        scope: a selector before every rule, which keeps them off other elements.
    """
    colours = _LIGHT if theme == "light" else _DARK
    return Template(asset("diagram.css")).substitute(colours, scope=scope)


def style_sheet(theme: Theme, used: Collection[str] | None = None) -> str:
    """CSS for a drawing that stands alone; ``auto`` follows the reader's system.

    Args:
        theme: whose colours to use.
        used: classes of the drawing: rules for others are left out; None keeps all.

    Raises:
        ValueError: no such theme.
    """
    if theme not in ("auto", "light", "dark"):
        raise ValueError(f"theme is {theme!r}; possible are 'auto', 'light' and 'dark'")
    if theme != "auto":
        return _used(rules(theme, f"svg.flowkit.{theme}"), used)
    dark = _used(rules("dark", "svg.flowkit.auto"), used)
    light = _used(rules("light", "svg.flowkit.auto"), used)
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _used(sheet: str, used: Collection[str] | None) -> str:
    """The rules, one a line, with the selectors that fit classes of the drawing."""
    if used is None:
        return sheet
    known = {"flowkit", "auto", "light", "dark", *used}
    kept = []
    for rule in sheet.splitlines(keepends=True):
        selectors, brace, body = rule.partition("{")
        fit = [one for one in selectors.split(",") if known.issuperset(_classes(one))]
        if fit:
            kept.append(",".join(fit).strip() + " " + brace + body)
    return "".join(kept)


def _classes(selector: str) -> list[str]:
    found: list[str] = _CLASS.findall(selector)
    return found
