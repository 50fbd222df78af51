"""``self.call(Other, inputs)``: another flow as a part of a step, answered once.

The called run has an id made of the caller's run, firing and position: a step that
starts again finds it under that id, goes on with it, or is given its outcome. While
the step awaits it here, its end is the step's answer and nothing else. If it waits
for long, the caller waits like for an event, which its end sends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowkit.core.records import StepAnswered
from flowkit.errors import FencedError, RunError
from flowkit.journal.rows import is_over
from flowkit.runtime import callers
from flowkit.runtime.blocking import in_thread
from flowkit.runtime.children import WITHDRAWN, Children
from flowkit.runtime.clock import now
from flowkit.runtime.exits import Evicted
from flowkit.runtime.inherited import depth
from flowkit.runtime.opening import cancel_row, class_of
from flowkit.runtime.positions import OPEN, Question, known_answer, position_of
from flowkit.runtime.presence import presence_in
from flowkit.runtime.values import snapshot
from flowkit.runtime.waits import Asking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowkit.runtime.run import Run

__all__ = ["call"]

LEVELS_ON_A_STACK = 20


def call(flow: Any, other: Any, inputs: Mapping[str, Any] | None) -> Any:
    """Run another flow within a step; to be awaited in an async step."""
    if hasattr(other, "__flowkit_class__"):  # a function flow
        inputs, other = other.arguments.bound((), inputs or {}), other.flow_class
    other = class_of(other) if isinstance(other, str) else other
    target = other() if isinstance(other, type) else other
    if not hasattr(target, "_flowkit"):
        msg = (
            f"{type(flow).__name__}.call(..) runs a flow: give a Flow class or object, "
            f"not {other!r}."
        )
        raise RunError(msg)
    run, firing, position = position_of(flow, "call")
    detail = {"names": [f"run:{run.id}:{firing.id}:{position}"], "key": None}
    question = Question("call", detail, _result, [type(target).__name__])
    answer = known_answer(run, firing, position, question)
    is_async = run.calls[firing.node.index].is_async
    if answer is not OPEN:
        return _ready(answer) if is_async else _result(answer)
    level = callers.check_depth(run, firing.node.name, target)
    inputs = snapshot(dict(inputs)) if inputs else inputs  # nothing is shared
    made = _Call(Asking(run, firing, position, question), target, inputs, level)
    return made if is_async else made.block()


async def _ready(answer: Any) -> Any:
    return _result(answer)


def _result(answer: Any) -> Any:
    """What a call gives, or raises, from its recorded answer."""
    found = answer[2]
    if "error" in found:
        raise found["error"]
    return found.get("result")


class _Call:
    """One call: awaited, or blocking in a synchronous step.

    Attributes:
        said: what a stored run is begun with, beside its inputs.
        child: the run, once it is there.
    """

    def __init__(self, asking: Asking, target: Any, inputs: Any, level: int) -> None:
        self.asking = asking
        self.target = target
        self.inputs = inputs
        self.level = level
        self.child: Run | None = None
        self.said: dict[str, Any] = {}
        self.id = ""

    def __await__(self) -> Any:
        return self._wait().__await__()

    def adopt(self, child: Run) -> None:
        """The called run is there, and about to be moved."""
        run, firing = self.asking.run, self.asking.firing
        self.child = child
        child.caller = None
        child.level = self.level
        child.above = run
        child.at_rest = self._rests
        if run.children is None:
            run.children = Children(run, cancel_row)
        run.children.put(firing.id, self.asking.position, child)
        if run.mention is not None:  # somebody reads it
            from flowkit.runtime.watching import join

            join(run, firing.id, child)

    def _begin(self) -> dict[str, Any]:
        """The keywords of the called flow's kickoff."""
        self.asking.used = True
        run, options = self.asking.run, self.target._flowkit.options
        self.child, keywords = None, {}
        if run.journal is not None:
            options["store"] = run.journal.store
            self.id = self.id or self._own_id()
            self.said = {"created_by": f"call {run.id}", "parent": run.id}
            keywords["id"] = self.id
        options["call"] = self
        return keywords

    def _end(self) -> None:
        self.target._flowkit.options.pop("call", None)
        if self.child is not None:
            self.child.at_rest = None

    def _own_id(self) -> str:
        """The id of this call's run; one that was withdrawn is not gone on with."""
        run, firing = self.asking.run, self.asking.firing
        base = f"{run.id}:{firing.id}:{self.asking.position}"
        number = run.journal.rewinds
        if number == 0 and firing.attempt == 1:
            return base
        while True:
            id = f"{base}.{number}" if number else base
            row = run.journal.store.run(id)
            if row is None or row.error != WITHDRAWN:
                return id
            number += 1

    def _elsewhere(self) -> bool:
        """Whether somebody else moves the called run just now."""
        run = self.asking.run
        if not self.id or run.journal is None:
            return False
        store = run.journal.store
        row = store.run(self.id)
        if row is None or is_over(row.status):
            return False
        presence = presence_in(store)
        return row.id in presence.moving or row.owner not in {None, presence.id}

    def _rests(self, resting: bool) -> None:  # noqa: FBT001 - one switch
        """The called run only waits from now on, or moves again: so does its caller."""
        run = self.asking.run
        if not resting:
            run.rest(resting=False)
        elif run.hurry is None and run.home == threading.get_ident():
            self._note_rest()
        else:
            run.post(self._note_rest)

    def _note_rest(self) -> None:
        asking, child = self.asking, self.child
        if asking.firing.id not in asking.run.marking.live or asking.answered:
            return
        if child is not None and child.resting:
            asking._record()
            asking.run.parked.setdefault(asking.place, _nobody)
            if asking.run.status == "waiting":
                asking.run.rest()

    def _found(self, result: Any) -> dict[str, Any] | None:
        """The outcome as an answer, None if the called run waits."""
        child = self.child
        if child is None:  # a kickoff of the user's own
            return {"result": result}
        if child.lost_or_kept:
            raise Evicted
        if child.status == "waiting":
            return None
        if child.status == "completed":
            return {"result": snapshot(result)}
        return callers.outcome_in(child)

    def _failed(self, error: Exception) -> dict[str, Any] | None:
        """The failure as an answer, None if another process has the run."""
        if isinstance(error, FencedError) or (
            isinstance(error, RunError) and self.child is None and self._elsewhere()
        ):
            return None
        if self.child is not None and self.child.lost is not None:
            raise error
        run, step = self.asking.run, self.asking.firing.node.name
        called = self.id or ("" if self.child is None else self.child.id)
        note = (
            f"flowkit: {run.net.definition.name}.{step} of run {run.id} called "
            f"{type(self.target).__name__}, run {called}"
        )
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        return {"error": error}

    def _over_by_now(self) -> bool:
        """Whether the run has ended after it was awaited and before it was asked of."""
        run = self.asking.run
        if run.journal is None:
            return self.child is not None and self.child.over
        row = run.journal.store.run(self.id)
        return row is not None and is_over(row.status)

    async def _wait(self) -> Any:
        asking = self.asking
        while not asking.answered:
            if asking.run.over:  # its store failed, or it was taken over
                raise Evicted
            found = await self._outcome()
            if found is None:
                self._ask_of_it()
                await asking.ask()
                if self._over_by_now():
                    continue
                return await asking.wait()
            await self._answer(found)
        return self._value()

    def _is_there(self) -> bool:
        """Whether the step had called it in memory, before it started again."""
        run, (firing, position) = self.asking.run, self.asking.place
        if run.children is None or run.journal is not None:
            return False
        child = run.children.runs.get(firing, {}).get(position)
        if child is None:
            return False
        self.child = child
        return self.asking._open

    def _of_there(self) -> dict[str, Any] | None:
        child = self.child
        if child is None or not child.over:
            return None
        return callers.outcome_in(child)

    async def _outcome(self) -> dict[str, Any] | None:
        """The run's outcome as an answer, None if it waits or is moved elsewhere."""
        if self._is_there():
            return self._of_there()
        keywords = self._begin()
        token = depth.set(depth.get() - 1)  # calls have a bound of their own
        try:
            result = await self._kickoff(keywords)
        except Exception as error:  # noqa: BLE001 - the same again after a restart
            return self._failed(error)
        finally:
            depth.reset(token)
            self._end()
        return self._found(result)

    def _outcome_blocking(self) -> dict[str, Any] | None:
        if self._is_there():
            return self._of_there()
        keywords = self._begin()
        token = depth.set(depth.get() - 1)  # calls have a bound of their own
        try:
            result = self._kickoff_blocking(keywords)
        except Exception as error:  # noqa: BLE001 - the same again after a restart
            return self._failed(error)
        finally:
            depth.reset(token)
            self._end()
        return self._found(result)

    async def _kickoff(self, keywords: dict[str, Any]) -> Any:
        """Run it here; of many levels some in a task of their own: stacks are short."""
        kickoff = self.target.kickoff_async
        if self.level % LEVELS_ON_A_STACK:
            return await kickoff(self.inputs, **keywords)
        import anyio  # a loop runs, so it is there

        found: list[Any] = []

        async def work() -> None:
            try:
                found.append((await kickoff(self.inputs, **keywords), None))
            except Exception as error:  # noqa: BLE001 - raised again below
                found.append((None, error))

        async with anyio.create_task_group() as group:
            group.start_soon(work)
        result, error = found[0]
        if error is not None:
            raise error
        return result

    def _kickoff_blocking(self, keywords: dict[str, Any]) -> Any:
        if self.level % LEVELS_ON_A_STACK:
            return self.target.kickoff(self.inputs, **keywords)
        return in_thread(lambda: self.target.kickoff(self.inputs, **keywords))

    def _value(self) -> Any:
        if self.asking.run.children is not None:
            self.asking.run.children.answered(*self.asking.place)
        return self.asking.value()

    def _ask_of_it(self) -> None:
        if self.child is not None:
            callers.asked_by(self.asking.run, self.child)

    async def _answer(self, found: dict[str, Any]) -> None:
        asking = self.asking
        run, place = asking.run, asking.place
        if asking.firing.id not in run.marking.live:
            import anyio  # a loop runs, so it is there

            await anyio.sleep_forever()  # cancelled: it comes here
        answer = ["call", asking.question.mark, found]
        if asking._open:
            await asking.answer(answer)
            return
        # The run never waited: one record, and no waiting, is all there is.
        run.apply(StepAnswered(now(), *place, answer))
        run.answers[place] = answer
        await asking._settled()

    def block(self) -> Any:
        asking = self.asking
        asking.used = True
        while not asking.answered:
            if asking.run.over:  # its store failed, or it was taken over
                raise Evicted
            found = self._outcome_blocking()
            if found is None:
                self._ask_of_it()
                asking.ask_blocking()
                if self._over_by_now():
                    continue
                return asking.wait_blocking()
            asking.ask_blocking()
            asking.answer_blocking(["call", asking.question.mark, found])
        return self._value()


def _nobody(_: Any) -> None:
    """Stands for a step that awaits the called run itself."""
