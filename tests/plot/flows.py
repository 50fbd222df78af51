"""Definitions that the drawing tests share."""

from __future__ import annotations

from flowkit.core.definition import Definition, Join, Leaf, Step


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
