"""A net of some steps, and what is decided for records one after the other."""

from __future__ import annotations

from flowkit.core.definition import Definition, Step
from flowkit.core.machine import decide
from flowkit.core.marking import Marking
from flowkit.core.net import Net

__all__ = ["net", "play"]


def net(*steps: Step) -> Net:
    """Of a flow with these steps."""
    return Net(Definition("Orders", steps))


def play(net: Net, *records) -> tuple[Marking, list]:
    """The marking after all records, and the commands of the last one."""
    marking = Marking(len(net.nodes))
    commands = []
    for record in records:
        commands = list(decide(net, marking, record))
    return marking, commands
