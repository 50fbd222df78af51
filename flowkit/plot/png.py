"""A drawing as PNG."""

from __future__ import annotations

from flowkit.errors import MissingExtraError

__all__ = ["png"]

ZOOM = 2.0
"""Pixels for each px of the drawing, so that text is sharp on dense screens."""


def png(svg: str) -> bytes:
    """The bytes of a PNG file; twice as many pixels a side as the drawing has px.

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
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM))
