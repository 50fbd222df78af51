"""``Flow``: a definition, a runner and a state behind ``kickoff``.

The one place where they meet. A subclass is compiled once, at class creation
(:mod:`flowkit.runtime.declared`); an instance holds the state and the latest run. The
verbs that begin a run are in :mod:`flowkit.runtime.kickoffs`, those of a step's body
in :mod:`flowkit.runtime.bodies`.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Self,
    TypeVar,
    get_args,
    get_origin,
)

from flowkit.errors import RunError
from flowkit.runtime import initial
from flowkit.runtime.bodies import BodyVerbs
from flowkit.runtime.descriptors import either, shown
from flowkit.runtime.kickoffs import Kickoffs
from flowkit.runtime.kinds import known, no_scope
from flowkit.runtime.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flowkit.core.admission import Admission
    from flowkit.core.definition import Definition
    from flowkit.core.policies import Policy
    from flowkit.runtime.people import HumanFeedbackResult, PendingFeedbackContext
    from flowkit.runtime.run import Run

__all__ = ["Flow"]

StateT = TypeVar("StateT")


class Flow(Kickoffs, BodyVerbs, Generic[StateT]):
    """A flow: subclass it, decorate methods, call :meth:`kickoff`.

    ``Flow[Model]`` types the state with a pydantic model, ``Flow[dict]`` (or plain
    ``Flow``) leaves it free-form. Options of a class are keywords of the class
    statement: ``class Order(Flow[State], strict=True)``.

    Class keywords:
        strict: warnings about the graph are errors, and so are joins that can never be
            met and those that are stuck in a run.
        on_conflict: ``"last"`` lets the later of two parallel writes win; by
            default they are a :class:`~flowkit.errors.StateConflictError`.
        backend: the event loop of a blocking kickoff, ``"asyncio"`` or ``"trio"``.
        max_firings: most firings of a listener in one run, 100 by default.
        max_depth: most calls that may lie above a run of this class (:meth:`call`),
            50 by default: the end of a recursion that has none.
        store: where its runs are kept: a URL such as ``"sqlite:///app.db"``, or a
            store; None keeps them in memory, unless ``FLOWKIT_STORE`` is set.
        lifetime: how long after its start a stored run that still waits ends as
            ``expired`` (``"30d"``); by default it waits for ever.
        evict_after: how long a step may wait in memory (``"60s"``); then it gives
            its place up and starts again, with its answers, when one is there.
        version: of the flow, as its author names it; each run keeps the one that
            began it.
        renamed: steps that have another name now, ``{"old": "new"}``: stored runs
            that stand at the old one go on at the new one.
        older: classes that finish the runs of their own ``version``.
        retention: how long ended runs are kept, a :class:`~flowkit.Retention`.
        defaults: the :class:`~flowkit.Policy` of each step that does not say
            otherwise.
        deadline: how long a run may take, waiting included (``"15m"``); then it fails
            with a ``DeadlineError``. Flows that its steps kick off or call must be
            over by then, too.
        on_error: what a failure that nobody listens to does: ``"fail_fast"`` ends
            the run, ``"continue"`` the branch alone, ``"collect"`` too, and the run
            fails at its end with all failures as an ExceptionGroup;
            ``"compensate"`` undoes what was done (``undo=``); or the name of a
            method, which is given the error.
        admission: how many runs may be at work at once, a number or an
            :class:`~flowkit.Admission`; the others wait in line, or are refused with
            an ``AdmissionError`` before they begin.
        sla: how long a run should take at most (``"2m"``), or several by the
            step's name: ``{"run": "2m", "charge": "5s"}``. Nothing is stopped by
            them: :func:`flowkit.observe.insights` tells which were broken.

    Args:
        initial_state: a model class, a model instance or a dictionary; overrides
            the type parameter.
        name: shown for this flow; None by default.
        max_method_calls: as ``max_firings``, for this instance.
        persistence: a :class:`~flowkit.FlowPersistence` to load from and to save to;
            it comes before those of ``@persist``.
        input_provider: whom :meth:`ask` asks.
        store: as the class keyword, for this instance.
        stream: True has ``kickoff`` give a :class:`~flowkit.StreamSession`, and
            ``kickoff_async`` an :class:`~flowkit.AsyncStreamSession`; also as an
            attribute, from the next kickoff on.

    Raises:
        DefinitionError: at class creation, all faults of the class at once.
        TypeError: an unknown keyword.
    """

    __slots__ = ("__dict__", "__weakref__", "_flowkit")

    _flowkit: Scope

    initial_state: Any = None
    name: Any = None
    max_method_calls: Any = 100
    persistence: Any = None
    input_provider: Any = None

    def __init_subclass__(
        cls,
        *,
        strict: bool | None = None,
        on_conflict: str | None = None,
        backend: str | None = None,
        max_firings: int | None = None,
        max_depth: int | None = None,
        store: Any = None,
        evict_after: float | str | None = None,
        lifetime: float | str | None = None,
        version: str | None = None,
        renamed: Mapping[str, str] | None = None,
        older: Iterable[type] = (),
        retention: Any = None,
        defaults: Policy | None = None,
        on_error: str | None = None,
        deadline: float | str | None = None,
        sla: Any = None,
        admission: Admission | int | None = None,
        **keywords: Any,
    ) -> None:
        from flowkit.runtime.declared import check_options, declare  # with a class

        check_options(cls, super().__init_subclass__, keywords)
        if max_firings is not None:
            cls.max_method_calls = max_firings
        given = {
            "admission": admission,
            "backend": backend,
            "deadline": deadline,
            "defaults": defaults,
            "evict_after": evict_after,
            "lifetime": lifetime,
            "max_depth": max_depth,
            "older": older,
            "on_conflict": on_conflict,
            "on_error": on_error,
            "renamed": renamed,
            "retention": retention,
            "sla": sla,
            "store": store,
            "strict": strict,
            "version": version,
        }
        declare(cls, _state_type(cls), given)

    def __init__(self, **keywords: Any) -> None:
        cls = type(self)
        kind = known.get(cls)
        if kind is None:
            msg = "Flow itself has no steps. Subclass it and decorate methods."
            raise TypeError(msg)
        if keywords:
            from flowkit.runtime.declared import taken_keywords  # loaded with the class

            self.__dict__.update(taken_keywords(cls, keywords))
        own = keywords.get("initial_state") if keywords else None
        own = cls.initial_state if own is None else own
        given = kind.declared if own is None else initial.declared(own, kind.state)
        box = initial.box(given, cls.__name__)
        box.last = kind.on_conflict == "last"
        self._flowkit = Scope(self, box, _facade)
        saved = getattr(cls, "__flowkit_saved__", None)
        if saved is not None:
            from flowkit.runtime.persisting import adopt_class_backend

            adopt_class_backend(self, saved)
        if "store" in keywords:
            self._flowkit.options["store"] = keywords["store"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flow):
            return NotImplemented
        return bool(self._flowkit.origin is other._flowkit.origin)

    def __hash__(self) -> int:
        return id(self._flowkit.origin)

    def __repr__(self) -> str:
        run = self._flowkit.run
        state = "not started" if run is None else run.status
        return f"<{type(self).__name__}: {state}>"

    @property
    def state(self) -> StateT:
        """The state. Assign it as a whole, or its fields."""
        try:
            scope = self._flowkit
        except AttributeError:
            raise RunError(no_scope(type(self))) from None
        state: StateT = scope.state
        return state

    @state.setter
    def state(self, value: Any) -> None:
        try:
            scope = self._flowkit
        except AttributeError:
            raise RunError(no_scope(type(self))) from None
        scope.assign(initial.replacement(scope.box, value, type(self).__name__))

    @shown
    def flow_id(self) -> str:
        """The state's id."""
        return initial.state_id(self._flowkit.state)

    @shown
    def run(self) -> Run | None:
        """The handle of the latest run, None before the first kickoff."""
        return self._flowkit.run

    @shown
    def method_outputs(self) -> list[Any]:
        """Outputs of the finished steps in the order they ended, as a new list."""
        run = self._flowkit.run
        return [] if run is None else run.outputs

    @shown
    def last_human_feedback(self) -> HumanFeedbackResult | None:
        """What a person said last to this flow object, or None."""
        from flowkit.runtime.resuming import reviews  # only who asks people pays

        said = reviews(self)
        return said[-1] if said else None

    @shown
    def human_feedback_history(self) -> list[HumanFeedbackResult]:
        """What people said to this flow object, in order."""
        from flowkit.runtime.resuming import reviews  # only who asks people pays

        return reviews(self)

    @shown
    def pending_feedback(self) -> PendingFeedbackContext | None:
        """What the latest pause waits for, or None."""
        from flowkit.runtime.resuming import pending_context  # the same

        return pending_context(self)

    def send(self, event: str, payload: Any = None, *, key: str | None = None) -> bool:
        """Hand an outside event to this flow's run.

        A waiting run goes on in the caller's thread until it waits again or is
        over; a running one takes it when it can.

        Returns:
            Whether the run takes the event; False if it is over or nothing listens.

        Raises:
            InputError: the payload does not fit the listener's parameter.
            Exception: whatever a step raised, as it is.
        """
        from flowkit.runtime.inbox import send_to  # only who sends pays

        run = self._flowkit.run
        if run is None:
            return False
        return send_to(run, event, payload, key, known[type(self)].backend)

    @classmethod
    def from_pending(
        cls,
        flow_id: str,
        persistence: Any = None,
        *,
        method: str | None = None,
        **keywords: Any,
    ) -> Self:
        """A flow object that waits where a stored pause stands.

        Args:
            flow_id: the state's id, ``context.flow_id``.
            persistence: where it is stored; the flow's own or the default if None.
            method: the step whose pause is meant, where several are open; the latest
                if None.
            keywords: for the constructor.

        Raises:
            ValueError: nothing is stored under that id, or its step is gone.
        """
        from flowkit.runtime.resuming import from_pending  # only who pauses pays

        made: Self = from_pending(cls, flow_id, persistence, method, keywords)
        return made

    def resume(self, feedback: str = "") -> Any:
        """Answer the latest pause and run on; gives what a kickoff gives. Blocks.

        The paused step is not run again.

        Args:
            feedback: the answer; empty means the default outcome.

        Raises:
            ValueError: nothing waits for feedback.
            FeedbackError: the answer means no outcome; the pause stays open.
            RuntimeError: in a running event loop; await :meth:`resume_async` there.
        """
        from flowkit.runtime.resuming import resume  # only who pauses pays

        return resume(self, feedback)

    async def resume_async(self, feedback: str = "") -> Any:
        """As :meth:`resume`, awaited."""
        from flowkit.runtime.resuming import resume_async  # only who pauses pays

        return await resume_async(self, feedback)

    @classmethod
    def resume_all(cls, store: Any = None) -> list[Run]:
        """Go on with every stored run of this class that can; blocks.

        Those that were interrupted, are due, or have an event waiting for them, side
        by side. Runs that another living process moves are left to it. One that
        cannot go on is logged as an error and keeps its place.

        Args:
            store: as the class keyword; that one if None.

        Returns:
            Their handles, oldest first: each has ended, or waits again.
        """
        from flowkit.runtime.resumption import resume_every

        return resume_every(cls, store)

    @classmethod
    async def resume_all_async(cls, store: Any = None) -> list[Run]:
        """As :meth:`resume_all`, awaited."""
        from flowkit.runtime.resumption import resume_every_async

        return await resume_every_async(cls, store)

    @classmethod
    def definition(cls) -> Definition:
        """The graph of this class, as plain data."""
        return known[cls].compiled.definition

    @either
    def plot(
        cls,  # noqa: N805 - of a class or an object
        filename: str | Path = "flow.html",
        show: bool = False,  # noqa: FBT001, FBT002 - by position in CrewAI
        *,
        expand: bool | Iterable[str] = False,
    ) -> str:
        """Draw the graph into exactly this file; of an object, its latest run over it.

        Args:
            filename: its suffix chooses the format:
                ``.html .svg .png .mmd .dot .json``.
            show: open the picture in a browser, too.
            expand: show steps that run flows from inside: True for all, or their
                names, ``{"charge", "charge/refund"}`` with those of inner flows.

        Returns:
            The path as given, as text.

        Raises:
            ValueError: an unknown suffix, or a step that runs no flow.
            FileNotFoundError: the folder of ``filename`` does not exist.
            MissingExtraError: ``.svg`` or ``.png`` without the extra ``plot``.
        """
        from flowkit.picture import plot_flow  # pictures load when drawn

        return plot_flow(cls, filename, show=show, expand=expand)

    def _repr_svg_(self) -> str:
        from flowkit.picture import svg_of  # a notebook asks

        return svg_of(self)


def _facade(origin: Any, scope: Scope) -> Any:
    """An object of the flow's class that shares its attributes, not its scope."""
    other = object.__new__(type(origin))
    other.__dict__ = origin.__dict__
    other._flowkit = scope
    return other


def _state_type(cls: type) -> Any:
    """The type parameter of ``Flow[..]``, from the nearest class that gives one."""
    for base in cls.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, Flow):
                for argument in get_args(generic):
                    if not isinstance(argument, TypeVar):
                        return argument
    return None
