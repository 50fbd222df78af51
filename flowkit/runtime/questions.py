"""``self.ask_async``: a step asks people and waits, as it waits for anything else.

The answer is an event named after the question's token, so it wakes the run as any
event does. A question that is escalated is several questions, one after another,
at positions of their own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkit.core.durations import seconds
from flowkit.errors import RunError
from flowkit.runtime import desk
from flowkit.runtime.answers import Decision, choices_of, schema_of
from flowkit.runtime.changes import raw_fields
from flowkit.runtime.clock import now
from flowkit.runtime.people import plain
from flowkit.runtime.positions import Question, position_of
from flowkit.runtime.values import MISSING, snapshot
from flowkit.runtime.waits import Asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.core.marking import Firing
    from flowkit.runtime.run import Run

__all__ = ["ask_async"]

VERB = "ask"
VERDICTS = frozenset({"approved", "rejected"})


class _Late:
    """Nobody answered in time."""


_LATE = _Late()


class Stage(NamedTuple):
    """Whom a question is for, and for how long; ``time`` as it was written."""

    role: str | None
    left: float | None
    time: Any
    last: bool


class Wish(NamedTuple):
    """What a step wants to know."""

    message: str
    kind: Any
    choices: list[Any] | None
    default: Any
    four_eyes: bool
    requested_by: str | None
    proposal: Any
    metadata: dict[str, Any]


def ask_async(
    flow: Any, message: str, *, timeout: Any, role: Any, **wishes: Any
) -> Any:
    """Ask; in an async step what is given is to be awaited."""
    name = f"{type(flow).__name__}.ask_async"
    wish = _wish(flow, name, str(message), **wishes)
    stages = _stages(name, role, timeout)
    if wish.default is not MISSING and stages[-1].left is None:
        msg = f"{name}(default=..) is the answer once a time is over: give timeout=."
        raise ValueError(msg)
    # All of them now: how many are used depends on time, where they are must not.
    places = [position_of(flow, "ask_async") for _ in stages]
    run, firing, _ = places[0]
    ways = list(zip((place[2] for place in places), stages, strict=True))
    if run.calls[firing.node.index].is_async:
        return _awaited(run, firing, wish, ways)
    for position, stage in ways:
        got = Asking(
            run, firing, position, _question(run, firing, position, wish, stage)
        )
        answer = got.block()
        if answer is not _LATE:
            return answer
    raise TimeoutError(_nobody(wish, stages, firing))


async def _awaited(
    run: Run, firing: Firing, wish: Wish, ways: list[tuple[int, Stage]]
) -> Any:
    for position, stage in ways:
        question = _question(run, firing, position, wish, stage)
        answer = await Asking(run, firing, position, question)
        if answer is not _LATE:
            return answer
    raise TimeoutError(_nobody(wish, [stage for _, stage in ways], firing))


def _nobody(wish: Wish, stages: Sequence[Stage], firing: Firing) -> str:
    asked = " and ".join(
        f"{stage.role or 'anybody'} within {stage.time}" for stage in stages
    )
    return (
        f"{wish.message!r:.80} was asked of {asked}, and nobody answered. Give more "
        f"time, a default=, or a step that listens to {firing.node.name}.failed."
    )


def _wish(
    flow: Any,
    name: str,
    message: str,
    *,
    answer: Any,
    options: Any,
    default: Any,
    four_eyes: bool,
    requested_by: Any,
    proposal: Any,
    metadata: Any,
) -> Wish:
    if four_eyes and requested_by is None:
        requested_by = _requester(flow)
        if requested_by is None:
            msg = (
                f"{name}(four_eyes=True) needs to know whose request it is: give "
                f"requested_by=, or a state field or attribute of that name."
            )
            raise ValueError(msg)
    choices = None if options is None else list(options)
    if choices is not None and not choices:
        msg = f"{name}(options=..) is empty: nobody could answer. Name the options."
        raise ValueError(msg)
    if proposal is not MISSING:
        proposal = snapshot(proposal)
        _check_verdict(name, default)
        if answer is None and proposal is not None:
            answer = _kind_of(proposal)
    who = None if requested_by is None else str(requested_by)
    kind = MISSING if answer is None else answer
    more = dict(metadata or {})
    return Wish(message, kind, choices, default, four_eyes, who, proposal, more)


def _kind_of(proposal: Any) -> Any:
    """The type that an edited proposal must have: the same, if it can be checked."""
    kind = type(proposal)
    known = kind in {str, int, float, bool, list, dict}
    if known or hasattr(kind, "model_fields") or hasattr(kind, "__dataclass_fields__"):
        return kind
    return None


def _requester(flow: Any) -> Any:
    state = flow._flowkit.state
    if isinstance(state, dict):
        found = dict.get(raw_fields(state), "requested_by")
    else:
        found = getattr(state, "requested_by", None)
    return found if found is not None else getattr(flow, "requested_by", None)


def _check_verdict(name: str, default: Any) -> None:
    if default is MISSING or isinstance(default, Decision) or default in VERDICTS:
        return
    msg = (
        f"{name}(proposal=.., default={default!r:.60}): what happens to a proposal in "
        f"the end is 'approved', 'rejected' or a Decision."
    )
    raise ValueError(msg)


def _stages(name: str, role: Any, timeout: Any) -> list[Stage]:
    """Whom to ask in turn.

    Raises:
        ValueError: somebody before the last has no time, or the last has two.
    """
    if role is None or isinstance(role, str):
        pairs: list[tuple[Any, Any]] = [(role, None)]
    else:
        pairs = [(each, None) if isinstance(each, str) else each for each in role]
    *before, last = pairs or [(None, None)]
    for who, time in before:
        if time is None:
            msg = f"{name}(role=..): say how long {who!r} is asked before the next."
            raise ValueError(msg)
    if timeout is not None:
        if last[1] is not None:
            msg = (
                f"{name}: {last[0]!r} has the time {last[1]!r}, and timeout= says "
                f"{timeout!r}. Give one of them."
            )
            raise ValueError(msg)
        last = (last[0], timeout)
    pairs = [*before, last]
    return [
        Stage(who, None if time is None else seconds(time, name), time, each is last)
        for each in pairs
        for who, time in (each,)
    ]


def _question(
    run: Run, firing: Firing, position: int, wish: Wish, stage: Stage
) -> Question:
    before = run.questions.get((firing.id, position))
    was = {} if before is None else before.detail or {}
    token = was.get("token") or desk.new_token()
    detail: dict[str, Any] = desk.said_of(token)
    if (firing.id, position) not in run.answers:
        desk.opened(run, token, wish.kind)
    at = now()
    if stage.left is not None:
        defaults = stage.last and wish.default is not MISSING
        detail["due"] = at + stage.left
        detail["late"] = {"default": wish.default} if defaults else None
    detail["shown"] = _shown(run, firing, wish, stage, at)
    if wish.proposal is not MISSING:
        detail["proposal"] = wish.proposal

    def read(answer: Any) -> Any:
        recorded = run.questions.get((firing.id, position))
        kept = detail if recorded is None else recorded.detail
        return _read(answer, kept.get("proposal", MISSING))

    return Question(VERB, detail, read, [wish.message, stage.role])


def _read(answer: Any, proposal: Any) -> Any:
    """What the step gets of a recorded answer."""
    if answer is None:
        return _LATE
    if isinstance(answer, dict):
        value = answer["default"]
        if proposal is MISSING or isinstance(value, Decision):
            return value
        return Decision(value, proposal if value == "approved" else None)
    said = answer[2]
    if proposal is MISSING:
        return said["value"]
    verdict = said["verdict"]
    value = {"approved": proposal, "edited": said.get("value")}.get(verdict)
    return Decision(verdict, value, said["by"], said["comment"])


def _shown(
    run: Run, firing: Firing, wish: Wish, stage: Stage, at: float
) -> dict[str, Any]:
    typed = wish.kind is not MISSING
    shown: dict[str, Any] = {
        "kind": "question" if wish.proposal is MISSING else "proposal",
        "step": firing.node.name,
        "where": f"{run.net.definition.name}.{firing.node.name}",
        "message": wish.message,
        "role": stage.role,
        "metadata": plain(wish.metadata),
        "requested_by": wish.requested_by,
        "four_eyes": wish.four_eyes,
        "asked": at,
        "due": None if stage.left is None else at + stage.left,
    }
    if wish.proposal is not MISSING:
        shown["proposal"] = plain(wish.proposal)
    if wish.choices is not None:
        shown["choices"] = shown["options"] = wish.choices
    if typed:
        shown["schema"] = schema_of(wish.kind)
        shown["type"] = _named(run, firing, wish.kind)
        shown.setdefault("options", plain(choices_of(wish.kind)))
    return shown


def _named(run: Run, firing: Firing, kind: Any) -> Any:
    """How the type of an answer is found again.

    Raises:
        RunError: it would not be, and the answer may come in another process.
    """
    from flowkit.journal.codec import type_name

    found = type_name(kind)
    if found is not None:
        return found
    function = run.compiled.functions[firing.node.name]
    module = sys.modules.get(function.__module__)
    for name, value in vars(module).items() if module else ():
        if value is kind:
            return f"{function.__module__}:{name}"
    if run.journal is None:
        return None
    msg = (
        f"{run.net.definition.name}.{firing.node.name} asks for an answer of the type "
        f"{kind!r:.200}, which another process could not find to check it. Give it a "
        f"name at module level: Amount = Annotated[..]; ask_async(.., answer=Amount)."
    )
    raise RunError(msg)
