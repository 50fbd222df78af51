"""Stored runs under a class that has changed since (section "Versions" of the docs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.core.carrying import missing_groups
from flowkit.core.ending import awaited
from flowkit.core.net import net_of
from flowkit.core.transfer import relabelled, renamed, transferred
from flowkit.errors import RunError
from flowkit.journal.graphs import graph_hash, graph_text, missing_positions
from flowkit.runtime.calls import source_of
from flowkit.runtime.kinds import known
from flowkit.runtime.notes import jot
from flowkit.runtime.restore import EXTRA

if TYPE_CHECKING:
    from flowkit.core.definition import Definition
    from flowkit.core.marking import Marking
    from flowkit.core.net import Net
    from flowkit.runtime.durable import Journal
    from flowkit.runtime.run import Run

__all__ = ["adapted", "positions"]


def positions(
    marking: Marking,
) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """Where a run stands: steps with live firings, and joins with what arrived."""
    live: dict[str, list[int]] = {}
    for firing in marking.live.values():
        live.setdefault(firing.node.name, []).append(firing.id)
    waiting: dict[str, list[str]] = {}
    for each in marking.parked():
        arrived = [source_of(token.name) for token in each.tokens()]
        waiting.setdefault(each.trigger.node.name, []).extend(arrived)
    return live, waiting


def adapted(
    run: Run, journal: Journal, current: Definition, fields: dict[str, Any]
) -> dict[str, Any]:
    """Put a stored run on the graph of its class as it is now; its state's fields.

    Steps that were added and bodies that changed are fine. Steps in the class's
    ``renamed=`` and what the ``@migrate`` hook for the run's version says are carried
    over. What was done is jotted down in the journal.

    Raises:
        RunError: what is missing, all of it; nothing was changed.
    """
    kind = known[type(run.flow)]
    names = {
        old: new
        for old, new in kind.renamed.items()
        if run.net.definition.step(old) and not current.step(old)
    }
    hook = kind.migrations.get(journal.version)
    if hook is not None and journal.version != kind.version:
        after, names = _migrated(hook, fields, run.net.definition, names)
    else:
        after = fields
    old = renamed(run.net.definition, names)
    live, waiting = positions(run.marking)
    missing = missing_positions(
        old,
        {names.get(step, step): numbers for step, numbers in live.items()},
        {names.get(step, step): _named(each, names) for step, each in waiting.items()},
        current,
    )
    new = net_of(current)
    missing += _missing_waits(run, new, names)
    missing += missing_groups(run.marking, new, names)
    missing += _missing_fields(run.box.kind, after)
    if missing:
        raise RunError(_refusal(journal.row.id, current.name, missing))
    digest = graph_hash(current)
    data: dict[str, Any] = {"from": graph_hash(run.net.definition), "to": digest}
    data["version"] = journal.version = kind.version
    net = run.net
    if names:
        data["names"] = names
        net = relabelled(run.marking, net, names)
    run.net = new
    run.marking = transferred(run.marking, net, new)
    journal.row = journal.row._replace(graph=digest)
    jot(journal, "graph", data, graph=(digest, graph_text(current)))
    if hook is not None and after is not fields:
        jot(journal, "state", after)
    return after


def _migrated(
    hook: Any, fields: dict[str, Any], old: Definition, names: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    state = dict(fields)
    extra = state.pop(EXTRA, None) or {}
    state.update(extra)
    places = {step.name: names.get(step.name, step.name) for step in old.steps}
    found = hook(state, places)
    if found is not None:
        try:
            state, places = found
        except (TypeError, ValueError):
            name = getattr(hook, "__qualname__", repr(hook))
            msg = (
                f"{name}, a @migrate hook, gave {found!r:.60}. It changes the state "
                f"and the positions it is given, or returns both as a pair."
            )
            raise RunError(msg) from None
    return state, {name: to for name, to in places.items() if to != name}


def _named(leaves: list[str], names: dict[str, str]) -> list[str]:
    """Inputs that have arrived, as the renamed graph calls them."""
    return [names.get(leaf, leaf) for leaf in leaves]


def _missing_waits(run: Run, new: Net, names: dict[str, str]) -> list[str]:
    """Times and events that the run waits for and nothing would take."""
    marking = run.marking
    gone = [
        f"{timer.name} was set, and no step has it as its trigger"
        for timer in marking.timers.values()
        if not timer.window and _renamed_timer(timer.name, names) not in new.by_timer
    ]
    waits = awaited(run.net, marking)
    if not marking.live and not set(waits).intersection(awaited(new, marking)):
        gone += [
            f"it waits for event({name!r}), and no step has it as its trigger"
            for name in waits
            if name not in run.net.by_timer
        ]
    return gone


def _renamed_timer(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(f"after={old},", f"after={new},")
    return name


def _missing_fields(kind: Any, fields: dict[str, Any]) -> list[str]:
    """Fields that a state model wants and the stored state has not."""
    if kind is None:
        return []
    from flowkit.runtime.models import with_id

    model: Any = with_id(kind)
    return [
        f"field {name} of {kind.__name__} has no default and no stored value"
        for name, info in model.model_fields.items()
        if info.is_required() and name not in fields
    ]


def _refusal(id: str, name: str, missing: list[str]) -> str:
    listed = "\n".join(f"  - {each}" for each in missing)
    return (
        f"Run {id!r} stands where {name} has no place any more:\n{listed}\n"
        f"Bring that back, say what it is called now ({name}'s class keyword "
        f"renamed={{..}}, or a @migrate hook), or finish the run with the class that "
        f"began it (older=). Nothing was changed."
    )
