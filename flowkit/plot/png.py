"""A drawing as PNG."""

from __future__ import annotations

import re
import warnings
from typing import Any

from flowkit.errors import FlowkitWarning, MissingExtraError

__all__ = ["png"]

ZOOM = 2.0
"""Pixels for each px of the drawing, so that text is sharp on dense screens."""
MOST_PIXELS = 6_000_000
"""Of a larger drawing there are fewer pixels for each px."""

_FONTS: dict[str, Any] = {}
_LETTER = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
    '<text y="15">{}</text></svg>'
)


def png(svg: str) -> bytes:
    """The bytes of a PNG file; twice as many pixels a side as the drawing has px.

    Warns if the system has no fonts, since the text is missing then.

    Args:
        svg: a drawing in one theme: renderers know no media queries.

    Raises:
        MissingExtraError: the renderer is not installed.
    """
    try:
        # Native code of 4 MB, needed by nothing but this.
        import resvg_py
    except ImportError as error:
        raise MissingExtraError("Drawing .png", "plot") from error
    letter, blank = (
        resvg_py.svg_to_bytes(svg_string=_LETTER.format(each), **_FONTS)
        for each in ("M", "")
    )
    if letter == blank:
        text = (
            "The PNG has no text: this system has no fonts. Install some (on Debian: "
            "apt-get install fonts-dejavu-core), or draw .svg."
        )
        warnings.warn(text, FlowkitWarning, stacklevel=2)
    zoom = min(ZOOM, (MOST_PIXELS / _area(svg)) ** 0.5)
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom, **_FONTS))


def _area(svg: str) -> float:
    """Width by height of a drawing, as its first element says them."""
    found = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    return float(found[1]) * float(found[2]) if found else 1.0
