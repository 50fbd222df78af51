"""``flowkit show``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flowkit import runs
from flowkit.cli import options, output
from flowkit.cli.exits import DONE
from flowkit.cli.hints import again, run_fields, waits_of
from flowkit.cli.project import existing, on_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowkit.runs import Execution, RunInfo

__all__ = ["show"]


def show(
    run: options.RunId,
    /,
    *,
    store: options.Store = None,
    json: options.Json = False,
) -> int:
    """Show a run: how it stands, its steps, its state.

    The flow's code need not be there.
    """
    on_path()
    place = existing(store)
    found = runs.get(run, place)
    told = runs.history(found.id, place)
    state = _state(found, place)
    if json:
        steps = [step_of(each) for each in told]
        output.print_json({**run_fields(found), "state": state, "steps": steps})
        return DONE
    for name, text in _facts(found, state):
        status = text if name == "status" else ""
        word = output.paint(text, output.STYLES.get(status), sys.stdout)
        output.data(f"{name:<9} {word}" if sys.stdout.isatty() else f"{name}\t{text}")
    output.data("")
    output.table(("step", "", "took", "what came of it"), _steps(told))
    if found.status == "waiting":
        for line in waits_of(found.id, place):
            output.say(line)
    elif found.status == "running" and _left(found.id, place):
        output.say(f"nobody moves it; go on with: {again(f'resume {found.id}', place)}")
    elif found.status == "failed":
        output.say(f"mend it, then go on: {again(f'resume {found.id}', place)}")
    return DONE


def _left(id: str, store: Any) -> bool:
    return any(run.id == id for run in runs.abandoned(limit=-1, store=store))


def _state(run: RunInfo, store: Any) -> dict[str, Any]:
    state = runs.state_at(run.id, run.records, store) if run.records else {}
    state.pop("id", None)
    return state


def _facts(run: RunInfo, state: dict[str, Any]) -> list[tuple[str, str]]:
    facts: list[tuple[str, Any]] = [
        ("run", run.id),
        ("flow", run.flow),
        ("version", run.version),
        ("status", run.status),
        ("begun", f"{output.when(run.created)} by {run.created_by or 'its program'}"),
        ("lasted", output.lasted(run.updated - run.created)),
        ("key", run.key),
        ("tags", " ".join(run.tags)),
        ("parent", run.parent),
        ("error", run.error),
        ("result", output.said(run.result) if _ended_well(run) else None),
        ("state", output.said(state) if state else None),
    ]
    if run.status in {"running", "waiting"}:
        facts = [each for each in facts if each[0] != "lasted"]
    return [(name, str(value)) for name, value in facts if value]


def _ended_well(run: RunInfo) -> bool:
    return run.status == "completed" and run.result is not None


def _steps(told: Sequence[Execution]) -> list[tuple[str, ...]]:
    return [
        (
            each.step,
            "undone" if each.undone else each.outcome,
            output.lasted(each.duration),
            came_of(each),
        )
        for each in told
    ]


def came_of(each: Execution) -> str:
    """What an execution gave, chose or raised."""
    if each.error is not None:
        text = f"{type(each.error).__name__}: {each.error}"
    elif each.labels:
        text = f"-> {', '.join(each.labels)}"
    elif each.output is not None:
        text = output.said(each.output, most=120)
    else:
        text = ""
    again = f"attempt {each.attempt}" if each.attempt > 1 else ""
    if each.turns > 1:
        again = f"{again}, {each.turns} turns" if again else f"{each.turns} turns"
    won = f"call {each.winner} won" if each.winner else ""
    return "; ".join(filter(None, [text, again, won, *_limits_of(each)]))


def _limits_of(each: Execution) -> list[str]:
    """What its limits decided, a few words each."""
    told = [
        f"waited {output.lasted(wait.due - wait.at)} for its rate"
        for wait in each.deferrals
        if wait.why == "rate"
    ]
    for limit in each.limits:
        name = repr(limit.name)
        if limit.what == "waited":
            what = f"{limit.limit} {name}" if limit.limit == "bulkhead" else "admission"
            told.append(f"waited {output.lasted(limit.seconds)} for {what}")
        else:
            told.append(f"breaker {name} {limit.what.replace('_', '-')}")
    return told


def step_of(each: Execution) -> dict[str, Any]:
    """An execution as JSON has it."""
    fields = {name: getattr(each, name) for name in each.__slots__}
    questions = [
        {
            "verb": asked.verb,
            "detail": _untold(asked.detail),
            "asked": asked.asked,
            "answer": asked.answer,
            "answered": asked.answered,
        }
        for asked in each.questions
    ]
    return {**fields, "questions": questions, "duration": each.duration}


def _untold(detail: Any) -> Any:
    """What a step asked, without the token that lets its holder answer."""
    if not isinstance(detail, dict) or "token" not in detail:
        return detail
    return {key: detail[key] for key in detail if key not in {"token", "names"}}
