"""What a picture of 200 steps costs, beside finding the places alone."""

from __future__ import annotations

from benchmarks.timing import Case
from flowkit.core.definition import Definition, Join, Leaf, Step
from flowkit.plot import render_diagram
from flowkit.plot.diagram import diagram
from flowkit.plot.layout import layout

STEPS = 200


def definition() -> Definition:
    """Steps that follow one or two of the six before them, every tenth a router."""
    made = [Step("step_0", start=True)]
    for number in range(1, STEPS):
        sources = sorted({number - 1 - number % 5 % number, number - 1 - number % 2})
        leaves = tuple(
            Leaf(f"go_{at}") if at % 10 == 9 else Leaf(f"step_{at}", "step")
            for at in sources
            if at >= 0
        )
        trigger = leaves[0] if len(leaves) == 1 else Join("and", leaves)
        router = number % 10 == 9
        labels = (f"go_{number}",) if router else None
        made.append(
            Step(f"step_{number}", router=router, trigger=trigger, labels=labels)
        )
    return Definition("Large", tuple(made))


LARGE = definition()
DRAWN = diagram(LARGE)

CASES = [
    Case(
        "picture of 200 steps, .svg",
        lambda: render_diagram(diagram(LARGE), "svg"),
        lambda: layout(DRAWN),
        1,
        3.0,
        "200 ms",
    ),
    Case(
        "picture of 200 steps, .html",
        lambda: render_diagram(DRAWN, "html"),
        lambda: layout(DRAWN),
        1,
        3.0,
        "200 ms",
    ),
]
