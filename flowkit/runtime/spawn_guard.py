"""No flow begins while the process of an isolated step loads the main module again."""

from __future__ import annotations

import sys
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any

from flowkit.runtime import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PREFIX", "guard", "kind_of", "off_guard"]

PREFIX = "flowkit step "
"""How the names of these processes begin."""
_guards: list[Callable[..., None]] = []
_known: list[Mapping[type, Any]] = []


def guard(known: Mapping[type, Any]) -> None:
    """Have no flow begin until all is loaded, if this is such a process.

    Args:
        known: what is known of each flow class.
    """
    _known.append(known)
    if not current_process().name.startswith(PREFIX):
        return

    def refuse(sender: Any, **_: Any) -> None:
        sys.exit(
            f"{sender.__name__} was kicked off while the process of a step with "
            f"isolate='process' loaded this module. Put what begins runs under "
            f"if __name__ == '__main__':"
        )

    _guards.append(refuse)
    signals.run_begins.connect(refuse, weak=False)


def off_guard() -> None:
    """All is loaded: the step may run flows of its own."""
    while _guards:
        signals.run_begins.disconnect(_guards.pop())


def kind_of(flow: type) -> Any:
    """What is known of a flow class in this process."""
    return _known[0][flow]
