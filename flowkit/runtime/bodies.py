"""What the body of a step calls on its flow; each verb is loaded when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkit.runtime.descriptors import shown
from flowkit.runtime.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flowkit.runtime.scope import Scope

__all__ = ["BodyVerbs"]


class BodyVerbs:
    """The verbs of a step: to wait, to call, to act on its run, to ask."""

    __slots__ = ()

    if TYPE_CHECKING:
        _flowkit: Scope

    def sleep(self, delay: float | str) -> Any:
        """Within a step: wait so long; ``await`` it in an async step.

        With a store the time survives the process, and a long wait holds neither
        memory nor thread: the step starts again once it is over and goes on here.

        Args:
            delay: seconds, or text such as ``"90s"``, ``"1h30m"``, ``"14d"``.

        Raises:
            RunError: no step of this object runs.
            ValueError: no length of time.
        """
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.sleep(self, delay)

    def wait_for(
        self,
        name: str,
        *,
        key: Any = None,
        timeout: float | str | None = None,
        transient: bool = False,
    ) -> Any:
        """Within a step: wait for an outside event and get its payload.

        ``await`` it in an async step. An event that came before is found.

        Args:
            name: of the event.
            key: only an event with this key; without one, only events without.
            timeout: as :meth:`sleep` takes it.
            transient: only an event that comes from now on, as of a heartbeat.

        Raises:
            TimeoutError: it did not come in time.
            RunError: no step of this object runs.
            ValueError: no name of an event.
        """
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.wait_for(self, (name,), key, timeout, transient, several=False)

    def wait_any(
        self,
        *names: str,
        key: Any = None,
        timeout: float | str | None = None,
        transient: bool = False,
    ) -> Any:
        """As :meth:`wait_for`, for the first of several; gives ``(name, payload)``."""
        from flowkit.runtime import verbs  # only steps that wait

        return verbs.wait_for(self, names, key, timeout, transient, several=True)

    def call(self, flow: Any, inputs: Mapping[str, Any] | None = None) -> Any:
        """Within a step: run another flow and get its result, answered once.

        ``await`` it in an async step. The called run has a state of its own and ends
        with its own ``stop``; it is cancelled with the step that called it. While it
        waits, the caller waits. With a store it is kept there, too: a caller that
        starts again goes on with it, or is given its outcome.

        Args:
            flow: a flow class (this one, too), an object of one, or the name of one,
                ``package.module:Class``.
            inputs: as for :meth:`kickoff`.

        Raises:
            CallError: the called run was cancelled, or its lifetime is over.
            RunawayError: more calls lie above it than its class's ``max_depth``.
            RunError: what is given is no flow, or no step of this object runs.
            Exception: whatever the called run failed with, as it is.
        """
        from flowkit.runtime import calling  # only steps that call

        return calling.call(self, flow, inputs)

    def join(self, awaitables: Iterable[Any]) -> Any:
        """Within a step: wait for several calls at once; their results in order.

        ``await self.join([self.call(A), self.call(B)])`` runs them side by side. The
        first failure cancels the others and is raised as it is. In a synchronous
        step calls block, one after the other, and this gives their results.

        Args:
            awaitables: calls, other questions (:meth:`wait_for`, :meth:`sleep`) or
                whatever can be awaited.

        Raises:
            Exception: the first failure, as it is.
        """
        from flowkit.runtime import joining  # only steps that join

        return joining.joined(self, awaitables)

    def emit(self, name: str, payload: Any = None) -> None:
        """Within a step: send an event to the listeners of this run.

        It is delivered when the step ends well, in one commit with its result; the
        listeners of ``"name"`` and of ``event("name")`` get it, one firing each time.

        Args:
            name: of the event; no step's.
            payload: what the listeners are handed.

        Raises:
            RunError: the step did not declare the name in ``emits=``, it is that of a
                step, or no step of this object runs.
            ValueError: no name of an event.
            UnstorableError: with a store, a payload that cannot be stored.
        """
        from flowkit.runtime import acts  # only steps that emit

        acts.emit(self, name, payload)

    def emit_item(self, item: Any, channel: str = "custom") -> None:
        """Within a step: tell those who read the run's stream something, at once.

        Such as progress, or the tokens of an answer on the channel ``llm``. With a
        store the item is written into the journal and told once it is durable, so
        that a reader anywhere gets it, in the same place, also later. It counts
        whatever becomes of the step: a step that starts again tells its items again,
        with another ``attempt``.

        Args:
            item: with a store, a value that can be stored.
            channel: where readers find it; ``flow`` is the run's own.

        Raises:
            UnstorableError: it cannot be stored.
            ValueError: no name of a channel.
        """
        from flowkit.runtime import items  # only steps that tell

        items.emit_item(self, item, channel)

    def metric(self, name: str, value: float) -> None:
        """Within a step: measure something, such as the tokens a call has cost.

        It is recorded with the end of the step, once: a step that is interrupted and
        starts again begins to measure anew. Figures of one name add up. They are in
        the run's history (:class:`~flowkit.runs.Execution`), in
        :mod:`flowkit.observe` and, where runs are traced, in OpenTelemetry.

        Args:
            name: of what is measured, such as ``"tokens"``.
            value: a finite number.

        Raises:
            RunError: no step of this object runs.
            ValueError: no name, or no finite number.
        """
        from flowkit.runtime import metering  # only steps that measure

        metering.metric(self, name, value)

    def spawn(self, step: Any, item: Any) -> bool:
        """Within a step: add an instance to the group of ``each(..)``.

        Counts at once, and once: a step that starts again does not add it twice.

        Args:
            step: the step that listens to ``each(..)``, or its name.
            item: what the new instance is handed.

        Returns:
            Whether there is a group that still takes instances.

        Raises:
            RunError: the step opens no group, or no step of this object runs.
        """
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "spawn", step, item)

    def seal(self, step: Any) -> bool:
        """Within a step: let no more instances be added to the group of a step.

        Returns:
            Whether there is a group that still took them.

        Raises:
            RunError: the step opens no group, or no step of this object runs.
        """
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "seal", step)

    def complete(self, step: Any, value: Any = None) -> bool:
        """Within a step: go on as if another one, or its group, were done.

        Of a step that listens to ``each(..)`` the instances that still run are
        cancelled, no more start, and its gather fires with the results that are
        there. Of any other step the live firings are cancelled, and their listeners
        get ``value`` as if it had ended well.

        Returns:
            Whether there was anything of it at work.

        Raises:
            RunError: there is no such step, or no step of this object runs.
        """
        from flowkit.runtime import acts  # only steps that act

        return acts.act(self, "complete", step, value)

    def cancel(self, target: Any = None) -> bool:
        """Cancel a step, a region, a group, or the whole run.

        Within a step: everything of a step, a :class:`~flowkit.Region`, or, for a step
        that listens to ``each(..)``, its whole group: what runs is cancelled and
        joined, what is ready or parked is removed. What was committed stays, and so
        does the step that asks. From outside, without a target: this object's run.

        Returns:
            Whether there was anything of it at work.

        Raises:
            RunError: there is no such step or region, or no run of this object.
        """
        from flowkit.runtime import acts  # only who cancels

        scope = self._flowkit
        if target is None and scope.firing is None and scope.run is not None:
            over = scope.run.over
            scope.run.cancel()
            return not over
        return acts.act(self, "cancel", target)

    def transaction(self) -> Any:
        """Within a step, with a PostgreSQL store: a connection to its database.

        ``with self.transaction() as conn:`` gives a psycopg connection, ``async
        with`` in an async step an async one. What the step writes there is committed
        together with the step's own record when the step has ended; a step that
        raises takes it back. One a step; ``search_path`` is your own.

        Raises:
            RunError: the store is another one, or the step has a transaction already.
            StoreError: there is no connection.
        """
        from flowkit.runtime.transaction import transaction  # psycopg

        return transaction(self)

    @shown
    def idempotency_key(self) -> str:
        """Within a step: one text for all attempts of this firing, for outside calls.

        Hand it to a service that drops what it has done before.
        """
        from flowkit.runtime import verbs  # only steps that ask

        return verbs.idempotency_key(self)

    @shown
    def attempt(self) -> int:
        """Within a step: which try of this firing runs, from 1."""
        from flowkit.runtime import verbs  # only steps that ask

        return verbs.attempt_of(self)

    def heartbeat(self) -> None:
        """Say that the step that runs is alive, for its ``idle_timeout``.

        Quick and safe to call from any thread. A step without that limit may call
        it, too: one whose attempt was given up meanwhile ends here.

        Raises:
            StepTimeoutError: this attempt was given up.
            RunError: no step of this object runs.
        """
        from flowkit.runtime.verbs import heartbeat  # only who gives them

        heartbeat(self)

    def stop(self, result: Any = None) -> None:
        """Within a step: end the run well, with this result; the rest is cancelled.

        Raises at the call; nothing after it runs.

        Raises:
            RunError: no step of this object runs.
        """
        from flowkit.runtime.endings import stop  # only steps that end their run

        stop(self, result)

    def abort(self, reason: str = "") -> None:
        """Within a step: end the run as ``cancelled``; the rest is cancelled.

        Raises at the call; nothing after it runs.

        Raises:
            RunError: no step of this object runs.
        """
        from flowkit.runtime.endings import abort  # the same

        abort(self, reason)

    def compensate(self, reason: str = "", *, scope: Any = None) -> Any:
        """Within a step: undo what steps have done, of the whole run or of a scope.

        The ``undo=`` methods of finished steps run, the newest first, once each.
        Without a scope that ends the run: everything else is cancelled, this step
        included, and the run is ``compensated``. Raises at the call then; nothing
        after it runs.

        With a scope the run goes on. The step waits for the undo steps, each a step of
        the run that is recorded, tried again and resumed as any other; to be awaited
        in an async step. (A plain step that calls this through another method begins
        again from its top once all is undone.) Within an instance of ``each(..)`` it
        is about that instance, else about all of them.

        Args:
            reason: why, for people.
            scope: a step, a :class:`~flowkit.Region`, or a list of them.

        Returns:
            With a scope: names of the steps that are undone, the newest first.

        Raises:
            CompensationError: something could not be undone; all that could is.
            RunError: a scope that is not there, or holds no step with ``undo=``.
        """
        if scope is not None:
            from flowkit.runtime import compensating  # only who has scopes

            return compensating.compensate(self, scope, reason)
        from flowkit.runtime.endings import compensate  # the same

        return compensate(self, reason)

    def ask(
        self,
        message: str,
        timeout: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str | None:
        """Ask a person; blocks the calling thread, also in an async step.

        With a persistence the state is saved first, as the step sees it.

        Args:
            message: the question.
            timeout: seconds to wait for the answer; None waits as long as it takes.
            metadata: handed to the provider.

        Returns:
            The answer; None if there is none in time, or the provider fails, which
            is logged.
        """
        from flowkit.runtime.asking import ask  # only who asks people pays

        return ask(self, message, timeout, metadata)

    def ask_async(
        self,
        message: str,
        *,
        answer: Any = None,
        options: Sequence[Any] | None = None,
        timeout: float | str | None = None,
        default: Any = MISSING,
        role: str | Sequence[Any] | None = None,
        four_eyes: bool = False,
        requested_by: str | None = None,
        proposal: Any = MISSING,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Within a step: open a task for people and wait for the answer.

        ``await`` it in an async step. People answer by ``flowkit.tasks``, in any
        process that has the store; a bad answer is refused there and saves nothing.
        With a store the task survives the process, and a long wait holds neither
        memory nor thread: the step starts again once answered and goes on here.

        Args:
            message: the question. It must be the same when the step starts again.
            answer: the type of the answer: a pydantic model, a dataclass, an Enum, a
                Literal, a built-in type. With a store it has a name at module level.
            options: the answer is one of these.
            timeout: as :meth:`sleep` takes it; counted from the question.
            default: the answer if nobody answers in time; for a proposal
                ``"approved"``, ``"rejected"`` or a :class:`Decision`.
            role: who is to answer. ``[("agent", "4h"), ("manager", "1d")]`` asks the
                next one, in a task of its own, when the time of one is over.
            four_eyes: somebody else than ``requested_by`` answers, and says who.
            requested_by: whose request it is; with ``four_eyes`` else the state's or
                the flow's ``requested_by``.
            proposal: what is to be approved, rejected or edited.
            metadata: shown with the task.

        Returns:
            The answer; with ``proposal`` a :class:`Decision`.

        Raises:
            TimeoutError: nobody answered in time, and there is no default. A step
                that listens to ``<step>.failed`` is the fallback.
            ValueError: arguments that do not go together.
        """
        from flowkit.runtime.questions import ask_async  # only who asks people pays

        return ask_async(
            self,
            message,
            answer=answer,
            options=options,
            timeout=timeout,
            default=default,
            role=role,
            four_eyes=four_eyes,
            requested_by=requested_by,
            proposal=proposal,
            metadata=metadata,
        )
