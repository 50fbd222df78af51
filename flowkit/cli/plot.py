"""``flowkit plot``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from flowkit.cli import output
from flowkit.cli.exits import DONE, USAGE, Refused
from flowkit.cli.target import load
from flowkit.errors import FlowkitError

__all__ = ["plot"]


def plot(
    target: str,
    /,
    *,
    file: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    show: Annotated[bool, Parameter(name="--show")] = False,
) -> int:
    """Draw a flow into a file.

    Prints the path. The suffix chooses the format: .html .mmd .dot .json need
    nothing, .svg needs the extra plot.

    Args:
        target: A flow: module:Class, a file, or a name under [tool.flowkit.flows].
        file: Where to write; the flow's name with .html if not given.
        show: Open it in a browser, too.
    """
    cls: Any = load(target)
    try:
        output.data(cls.plot(file or f"{cls.__name__}.html", show=show))
    except FlowkitError:
        raise
    except ValueError as error:
        raise Refused(USAGE, str(error)) from error
    return DONE
