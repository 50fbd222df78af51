"""``flowkit testcase``."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from flowkit.cli import options
from flowkit.cli.exits import DONE
from flowkit.cli.project import existing, on_path
from flowkit.testing import testcase as cut

__all__ = ["testcase"]


def testcase(
    run: options.RunId,
    /,
    *,
    stub: Annotated[list[str] | None, Parameter(name="--stub")] = None,
    stub_all: Annotated[bool, Parameter(name="--stub-all")] = False,
    name: str | None = None,
    store: options.Store = None,
) -> int:
    """Print a regression test cut from a run.

    Python source for pytest: the run is played again, on its inputs, events, answers
    and times, and must take the same path to the same result.

    Args:
        stub: A step that gives what it gave then, instead of doing its work; may be
            repeated. Name those that call something outside.
        stub_all: All steps are stubbed.
        name: Of the test function; made of flow and run if not given.
    """
    on_path()
    chosen = "all" if stub_all else stub or ()
    sys.stdout.write(cut(run, store=existing(store), stubs=chosen, name=name))
    return DONE
