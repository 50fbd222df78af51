"""Always-replay mode: after every record, what is stored must give the live run again.

With ``FLOWKIT_ALWAYS_REPLAY=1`` every flow of a test keeps its run in a memory store. After
each move that is stored, its records are folded anew, as a restart would do it, and the
marking and the state they give are compared with the live ones, part by part. (To compare
is as hard as to throw the live ones away, and says what differs.)
"""

from __future__ import annotations

import os
from collections import deque
from itertools import count
from typing import Any

import pytest

from flowkit.core.gates import Gates
from flowkit.core.lanes import Group, Instance, Lanes, Results
from flowkit.core.machine import decide
from flowkit.core.marking import Firing, Marking, Round, Timer, Token
from flowkit.core.net import Node, Trigger, net_of
from flowkit.core.records import RunStarted
from flowkit.core.reopening import Kept, Lost
from flowkit.journal.codec import encode
from flowkit.journal.delta import apply
from flowkit.journal.entries import Note, read
from flowkit.journal.graphs import definition_from
from flowkit.runtime import durable
from flowkit.runtime.folding import effective
from flowkit.runtime.restore import EXTRA

ON = os.environ.get("FLOWKIT_ALWAYS_REPLAY") == "1"
_PARTS = (
    *(Marking, Firing, Round, Timer, Token, Gates),
    *(Lanes, Group, Instance, Results, Lost, Kept),
)
_RUNNERS = {"driver", "attempt", "changed"}
_numbers = count(1)


def tree(value: Any) -> Any:  # noqa: PLR0911 - a table of kinds
    """A marking, or a part of it, as plain data that can be compared."""
    if isinstance(value, _PARTS):
        names = [name for name in value.__slots__ if name not in _RUNNERS]
        return {name: tree(getattr(value, name)) for name in names}
    if isinstance(value, Node):
        return value.name
    if isinstance(value, Trigger):
        return f"trigger of {value.node.name}"
    if isinstance(value, dict):
        return {key: tree(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {
            name: tree(each)
            for name, each in value._asdict().items()
            if name not in _RUNNERS
        }
    if isinstance(value, list | tuple | deque):
        return [tree(each) for each in value]
    if isinstance(value, set):
        return sorted(value)
    if value is None or isinstance(value, str | int | float | bool | frozenset):
        return value
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return encode(value, "a payload")


def folded(journal: Any) -> tuple[Marking, dict[str, Any]]:
    """Marking and state from the records alone."""
    reads = [read(each) for each in effective(journal.store.entries(journal.row.id))]
    net = net_of(definition_from(journal.store.graph(journal.row.graph)))
    marking, fields = Marking(len(net.nodes)), {}
    for _, record, delta, more in reads:
        if type(record) is Note:
            if record.kind == "state":
                fields = dict(record.data)
            continue
        if type(record) is RunStarted:
            fields.update(more.get("s", {}))
            if "x" in more:
                fields[EXTRA] = more["x"]
        if delta:
            apply(fields, delta)
        decide(net, marking, record)
    return marking, fields


def differences(run: Any) -> list[str]:
    """What of a live run is not what its records say."""
    journal = run.journal
    marking, fields = folded(journal)
    live, again = tree(run.marking), tree(marking)
    name = run.net.definition.name
    last = type(run.records[-1]).__name__
    found = [
        f"{name} after {last}: {part}{text}"
        for part in live
        for text in unequal(live[part], again[part])
    ]
    committed = dict(run.box.committed())
    if run.box.extra:
        committed[EXTRA] = run.box.extra
    for field in committed.keys() | fields.keys():
        one, other = committed.get(field, "-"), fields.get(field, "-")
        if one != other and encode(one, field) != encode(other, field):
            found.append(f"{name}: state.{field} is {one!r}, folded {other!r}")
    return found


def unequal(live: Any, again: Any) -> list[str]:
    """Where two trees differ."""
    if (
        isinstance(live, dict)
        and isinstance(again, dict)
        and live.keys() == again.keys()
    ):
        return [
            f"[{key!r}]{text}"
            for key in live
            for text in unequal(live[key], again[key])
        ]
    return [] if live == again else [f" is {live!r}, folded {again!r}"]


class Watch:
    """Compares after each move, and keeps what differs."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.compared = 0

    def look(self, run: Any) -> None:
        """If everything that was decided is stored, compare."""
        journal = run.journal
        if journal is None or run.held or run.lost is not None or run.over:
            return
        if not run.records or journal.store.run(journal.row.id) is None:
            return
        self.compared += 1
        try:
            self.found += differences(run)
        except Exception as error:
            self.found.append(f"{type(error).__name__}: {error}")


@pytest.fixture(autouse=True)
def always_replay(monkeypatch: pytest.MonkeyPatch):
    """Nothing, unless the mode is on."""
    if not ON:
        yield
        return
    watch = Watch()
    journal = durable.Journal
    done = journal.carried

    def carried(self, run, commands, after):
        watch.look(run)
        done(self, run, commands, after)

    monkeypatch.setattr(journal, "carried", carried)
    monkeypatch.setenv("FLOWKIT_STORE", f"memory:replay-{next(_numbers)}")
    yield
    if watch.found:
        pytest.fail("\n".join(watch.found), pytrace=False)
