"""Faults of groups, gates and loops at class definition, word for word (R15)."""

from __future__ import annotations

import re

import pytest

from flowkit import (
    DefinitionError,
    Flow,
    and_,
    each,
    event,
    gather,
    listen,
    or_,
    router,
    start,
)


def told(caught) -> str:
    """The text, the places of the steps left out."""
    return re.sub(r"\(\S+\.py:\d+\)", "(here)", str(caught.value))


def test_inputs_in_different_groups_can_never_meet() -> None:
    """Each such step is told of, with both places."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start()
            def split(self): ...
            @start()
            def side(self): ...
            @listen(each(split))
            def read(self, page): ...
            @listen(and_(read, side))
            def both(self): ...
            @listen(or_(read, gather(read)))
            def mixed(self): ...
            @listen(or_(read, event("stop")))
            def stopped(self): ...

    where = "in the group of read"
    never = "they can never meet. Close a group with gather(..) first. (here)"
    assert told(caught) == (
        "Bad has 3 faults:\n"
        f"  - Bad.both listens to read {where} and to side outside of any group: "
        f"{never}\n"
        f"  - Bad.mixed listens to read {where} and to gather(read) outside of any "
        f"group: {never}\n"
        f"  - Bad.stopped listens to read {where} and to event('stop') outside of any "
        f"group: {never}"
    )


def test_a_gather_needs_a_group() -> None:
    """There is nothing to close."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start()
            def split(self): ...
            @listen(gather(split))
            def end(self, pages): ...

    assert told(caught) == (
        "Bad.end listens to gather(split), but split stands in no group. Open one with "
        "each(..) before it. (here)"
    )


def test_a_label_that_comes_inside_and_outside_is_two_labels() -> None:
    """One listener cannot stand in both places."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start()
            def split(self): ...
            @listen(each(split))
            def read(self, page): ...
            @router(read, emit=["found"])
            def inner(self): ...
            @router(gather(inner), emit=["found"])
            def outer(self): ...
            @listen("found")
            def hear(self): ...

    assert told(caught) == (
        "Bad.hear listens to found, which comes in the group of read and outside of any "
        "group. Give one of the two another name, or declare with emit=[..] on a router "
        "or emits=[..] on a step who leaves it. (here)"
    )


def test_each_is_all_that_a_step_listens_to() -> None:
    """It opens a group; a condition goes inside."""
    with pytest.raises(ValueError, match=r"^Invalid condition: ") as caught:

        class Bad(Flow):
            @start()
            def split(self): ...
            @listen(or_(split, each(split)))
            def read(self, page): ...

    assert told(caught) == (
        "Invalid condition: each(split) must be all that a step listens to. Write "
        "@listen(each(split)), and put other conditions inside each(..)."
    )


def test_names_in_options_must_be_names_of_the_flow() -> None:
    """With what may have been meant."""
    with pytest.raises(DefinitionError) as caught:

        class Bad(Flow):
            @start()
            def booking(self): ...
            @listen(booking, during=("booking", "tiketed"))
            def reroute(self): ...
            @listen(booking)
            def ticketed(self): ...
            @listen(booking, cancels=["ticketd"])
            def stop(self): ...
            @listen(booking, cancels=["quit"])
            def quit(self): ...

    assert told(caught) == (
        "Bad has 3 faults:\n"
        "  - Bad.reroute names 'tiketed' in during=, which is no step, label or event "
        "of this flow. Did you mean 'ticketed'? (here)\n"
        "  - Bad.stop names 'ticketd' in cancels=, which is no step or region of this "
        "flow. Did you mean 'ticketed'? (here)\n"
        "  - Bad.quit would cancel itself. Take it out of cancels=. (here)"
    )
