"""Definitions that the drawing tests share."""

from __future__ import annotations

from dataclasses import replace

from flowkit.core.definition import Definition, Join, Leaf, Step
from flowkit.plot import FORMATS, format_of, render_diagram, svg_of, write
from flowkit.plot.diagram import diagram
from flowkit.plot.model import Diagram, Edge, Group, Mark, Node


def with_status(drawn, statuses):
    """A diagram with a run drawn over it, by step name."""
    nodes = (replace(node, status=statuses.get(node.id)) for node in drawn.nodes)
    return replace(drawn, nodes=tuple(nodes), runs=1)


def render(definition, form):
    """A definition as text of a format, or as bytes."""
    return render_diagram(diagram(definition), form)


def plot(definition, path):
    """A definition in a file of the format that its suffix means."""
    return write(path, render(definition, format_of(path, FORMATS)))


def to_svg(definition, *, theme="auto", statuses=None):
    """A definition as SVG text."""
    drawn = diagram(definition)
    return svg_of(with_status(drawn, statuses) if statuses else drawn, theme=theme)


def after(name: str) -> Leaf:
    """A leaf for a finished step."""
    return Leaf(name, "step")


NEWS = Definition(
    "Newsroom",
    (
        Step("collect", start=True, is_async=True, doc="Fetch the feeds."),
        Step(
            "review",
            router=True,
            trigger=Join("or", (after("collect"), after("revise"))),
            labels=("approved", "again", "rejected"),
            doc="Decide about the draft.",
            file="/src/news.py",
            line=41,
        ),
        Step("revise", trigger=Leaf("again")),
        Step(
            "publish",
            trigger=Join("and", (Leaf("approved"), Leaf("editor_ok", "event", "id"))),
        ),
        Step("alert", trigger=Leaf("publish", "failed")),
    ),
)

# Nothing declares what ``choose`` returns.
OPEN = Definition(
    "Open",
    (
        Step("choose", start=True, router=True),
        Step("known", trigger=Leaf("known_label")),
        Step("unknown", trigger=Leaf("other_label")),
    ),
)

NESTED = Definition(
    "Nested",
    (
        Step("a", start=True),
        Step("b", start=True),
        Step("c", start=True),
        Step(
            "d",
            trigger=Join(
                "and",
                (
                    Join("or", (after("a"), Join("times", (after("b"),), need=2))),
                    Join("any_of", (after("a"), after("b"), after("c")), need=2),
                    after("c"),
                ),
            ),
        ),
    ),
)

HOSTILE = '</script><script>alert("x")</script><!-- ]]> & \' " \\ `$x` {{}} | #'


def chain(steps: int) -> Definition:
    """A line of steps with a router every tenth and a loop every thirtieth."""
    made = [Step("step_0", start=True)]
    for number in range(1, steps):
        before = made[-1]
        trigger = Leaf(f"go_{number - 1}") if before.router else after(before.name)
        labels = (f"go_{number}",) + ((f"back_{number}",) if number % 30 == 0 else ())
        router = number % 10 == 0
        made.append(
            Step(
                f"step_{number}",
                router=router,
                trigger=Join("or", (trigger, Leaf(f"back_{number + 5}")))
                if number % 30 == 25
                else trigger,
                labels=labels if router else None,
            )
        )
    return Definition("Chain", tuple(made))


def synthetic(runs: int = 0) -> Diagram:
    """Boxes in boxes, marks, a sub-flow, steps put together, and a way to cancel."""
    marks = (Mark("retry", "up to 3 attempts", "3"), Mark("cache", "cached for 1h"))
    nodes = (
        Node("a", "a", "start", start=True),
        Node("b", "b", "listen", marks=marks),
        Node("c", "c", "listen"),
        Node("sub", "Invoice", "flow", about="sub-flow of 4 steps"),
        Node("many", "d .. f", "several", about="3 steps", members=("d", "e", "f")),
    )
    edges = (
        Edge("a", "b"),
        Edge("b", "c", "good", "label"),
        Edge("c", "sub"),
        Edge("sub", "many"),
        Edge("c", "b", "timeout", "cancel", back=True),
    )
    groups = (
        Group("stock", ("b",), "region", "one at a time", (Mark("lock", "a lock"),)),
        Group("each order", ("b", "c"), "each"),
        Group("loop 1", ("b", "c")),
        Group("across", ("c", "sub"), "region"),
    )
    return Diagram("Synthetic", nodes, edges, groups, runs)
