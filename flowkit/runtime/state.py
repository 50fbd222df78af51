"""The state of a run: tracked, committed, joined (section "State" of the semantics).

One :class:`StateBox` per flow object. A step that is alone works on the live
object itself; a step that is ready beside another works on a view, a shallow copy
whose mutable values are copied when first touched. Either way a :class:`Changes`
holds what each touched field was before, so that

- a commit knows the changed fields by comparing touched ones only,
- parallel changes are joined field by field against a common base,
- a step that fails leaves nothing behind.
"""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING, Any

from flowkit.runtime.changes import (
    Changes,
    StateDict,
    link_dict,
    put,
    raw_fields,
    unlink_dict,
)
from flowkit.runtime.values import (
    MISSING,
    NotJoined,
    join_values,
    same,
    snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Changes", "StateBox"]


_new = object.__new__


class StateBox:
    """The live state of one flow object and the changes under way.

    Attributes:
        live: the object users see between runs.
        kind: the declared model, or None for free-form state.
        encode: how a changed field is written; None for a run in memory.
        delta: what the last commit changed, as ``encode`` gave it.
    """

    __slots__ = (
        "_validate",
        "commits",
        "delta",
        "encode",
        "incomplete",
        "kind",
        "last",
        "link",
        "live",
        "name",
        "native",
        "open",
        "reducers",
        "solo",
        "unlink",
        "versions",
        "views",
        "writers",
    )

    def __init__(self, live: Any, kind: type | None, name: str) -> None:
        self.kind: type | None = kind
        self.name: str = name
        self.last: bool = False
        self.incomplete: bool = False
        self.open: bool = False
        self.commits: int = 0
        self.encode: Callable[[str, Any, Any], Any] | None = None
        self.delta: dict[str, Any] | None = None
        self.solo: Changes | None = None
        self.views: dict[Changes, None] = {}
        self.versions: dict[str, int] = {}
        self.writers: dict[str, str] = {}
        self.native: Mapping[str, type] = {}
        self.reducers: Mapping[str, Callable[..., Any]] = {}
        self._validate: Callable[[Any, list[str]], list[tuple[str, Any, str]]] | None
        self._validate = None
        self.link: Callable[[Any, Changes], None] = link_dict
        self.unlink: Callable[[Any], None] = unlink_dict
        self.live: Any = None
        self.adopt(live)

    def adopt(self, live: Any) -> None:
        """Make an object the live state, a dictionary as :class:`StateDict`."""
        if isinstance(live, dict):
            self.live = live if isinstance(live, StateDict) else StateDict(live)
            self.link, self.unlink = link_dict, unlink_dict
            self._validate, self.reducers, self.native = None, {}, {}
            self.open = False
            return
        from flowkit.runtime.models import (  # pydantic, once a model is used
            invalid_fields,
            link,
            traits,
            unlink,
        )

        self.live = live
        self.link, self.unlink, self._validate = link, unlink, invalid_fields
        model: Any = type(live)
        self.reducers, self.native, self.open = traits(model)

    @property
    def extra(self) -> dict[str, Any] | None:
        """What a model's ``extra="allow"`` holds."""
        return dict(self.live.__pydantic_extra__ or {}) if self.open else None

    def committed(self) -> dict[str, Any]:
        """Every field as last committed, whoever is at work on it."""
        fields = dict.copy(raw_fields(self.live))
        if self.solo is not None:
            for field, value in self.solo.before.items():
                put(fields, field, value)
        return fields

    def _written(self, changes: Changes, changed: Iterable[str], new: Any) -> None:
        """Keep what a commit changes, before it does.

        Raises:
            UnstorableError: a value that cannot be stored.
        """
        encode = self.encode
        if encode is None:
            return
        delta = {
            field: encode(field, self._committed(field), dict.get(new, field, MISSING))
            for field in changed
        }
        if self.open and changes.extra is not None:
            extra = dict(changes.state.__pydantic_extra__ or {})
            if not same(changes.extra, extra):
                delta["+extra"] = encode("+extra", changes.extra, extra)
        self.delta = delta

    def alone(self) -> Changes:
        """Changes of a step that works on the live object itself."""
        solo = self.solo
        if solo is None:
            solo = self.solo = Changes(self, self.live, view=False)
            self.link(self.live, solo)
        elif solo.before:
            solo.before = {}
        if solo.own:
            solo.own = {}
        if self.open:
            solo.extra = snapshot(self.live.__pydantic_extra__)
        solo.since = self.commits
        return solo

    def beside(self) -> Changes:
        """Changes of a step that works on a view of what is committed now."""
        live = self.live
        raw = live if isinstance(live, dict) else live.__dict__
        fields = dict.copy(raw)
        if self.solo is not None and self.solo.before:
            for field, value in self.solo.before.items():
                if value is MISSING:
                    fields.pop(field, None)
                else:
                    fields[field] = value
        view = self._view(fields)
        if self.open:
            extra = self.live.__pydantic_extra__
            if self.solo is not None and self.solo.since >= 0:
                extra = self.solo.extra
            view.extra = extra = snapshot(extra)
            from flowkit.runtime.extras import put_extra  # only who allows them

            put_extra(view.state, snapshot(extra))
        self.views[view] = None
        return view

    def _view(self, fields: dict[str, Any]) -> Changes:
        view: Changes = _new(Changes)
        view.box = self
        view.view = True
        view.before = {}
        view.base = None
        view.own = {}
        view.since = self.commits
        view.original = None
        view.extra = None
        live = self.live
        if isinstance(live, dict):
            view.state = view.raw = state = StateDict(fields)
            state.changes = view
            return view
        from flowkit.runtime import models  # loaded already, with the live state

        view.raw = fields
        view.state = models.view(live, fields, view)
        return view

    def _fresh(self, fields: dict[str, Any]) -> Any:
        if isinstance(self.live, dict):
            return StateDict(fields)
        from flowkit.runtime import models  # loaded already, with the live state

        return models.twin(self.live, fields)

    def commit(self, changes: Changes, step: str) -> tuple[str, ...]:
        """Make a step's changes the state; gives the changed fields' names.

        Raises:
            StateConflictError: a field that a parallel step changed, too.
            StateError: a value that its field's type refuses.
        """
        if not changes.before:
            if self.encode is not None and self.open:
                self._written(changes, (), {})
            if changes.view:
                if changes.extra is not None:
                    self._take_extra(changes)
                self._drop(changes)
            return ()
        if changes.view and len(changes.before) == 1 and changes.extra is None:
            done = self._commit_one(changes, step)
            if done is not None:
                return done
        if not (changes.view or self.views or changes.base) and (
            changes.original is None
        ):
            return self._commit_alone(changes, step)
        final: dict[str, Any] = {}
        changed: list[str] = []
        for field, was in changes.before.items():
            base = was if changes.base is None else changes.base.get(field, was)
            mine = dict.get(changes.raw, field, MISSING)
            if same(base, mine):
                final[field] = self._committed(field) if changes.view else was
                continue
            final[field] = self._joined(changes, field, base, mine, step)
            changed.append(field)
        self._check(changes, final, changed, step)
        self._written(changes, changed, final)
        self._apply(changes, final, changed, step)
        return tuple(changed)

    def _commit_one(self, changes: Changes, step: str) -> tuple[str, ...] | None:
        """The common case of a view: one field, whose type is its whole check."""
        solo = self.solo
        if changes.base is not None or (solo is not None and solo.since >= 0):
            return None
        ((field, was),) = changes.before.items()
        mine = dict.get(changes.raw, field, MISSING)
        kind = type(mine)
        if kind is not self.native.get(field) or kind is not type(was):
            return None
        changed = mine != was
        if changed:
            if self.encode is not None:
                return None
            if self.versions.get(field, 0) > changes.since:
                current = self.live.__dict__[field]
                if kind is int and self.reducers.get(field) is add:
                    mine = current + mine - was
                else:
                    mine = self._joined(changes, field, was, mine, step)
                    if type(mine) is not kind:
                        return None
            self.commits += 1
            self.versions[field] = self.commits
            self.writers[field] = step
            self.live.__dict__[field] = mine
        del self.views[changes]
        self.unlink(changes.state)
        return (field,) if changed else ()

    def _commit_alone(self, changes: Changes, step: str) -> tuple[str, ...]:
        """The common case: nobody else works on the state."""
        raw = changes.raw
        if len(changes.before) == 1 and not self.open:
            ((field, was),) = changes.before.items()
            mine = dict.get(raw, field, MISSING)
            if same(was, mine):
                changes.before = {}
                return ()
            if self._validate is None or type(mine) is self.native.get(field):
                if self.encode is not None:
                    self.delta = {field: self.encode(field, was, mine)}
                changes.before = {}
                return (field,)
        changed = [
            field
            for field, was in changes.before.items()
            if not same(was, dict.get(raw, field, MISSING))
        ]
        if changed and self._validate is not None:
            native = self.native
            for field in changed:
                if type(dict.get(raw, field)) is not native.get(field):
                    final = {each: dict.get(raw, each, MISSING) for each in changed}
                    self._check(changes, final, changed, step)
                    for each, value in final.items():
                        put(raw, each, value)
                    break
        if self.encode is not None:
            self._written(changes, changed, raw)
        changes.before = {}
        return tuple(changed)

    def _joined(
        self, changes: Changes, field: str, base: Any, mine: Any, step: str
    ) -> Any:
        if self.versions.get(field, 0) <= changes.since:
            return mine
        current = self._committed(field)
        try:
            reducer = self.reducers.get(field)
            grown = changes.own.get(field) is mine
            return join_values(base, current, mine, reducer, grown=grown)
        except NotJoined:
            if self.last:
                return mine
        from flowkit.runtime.conflicts import conflict  # only an error says it

        raise conflict(self, field, step, current, mine)

    def _committed(self, field: str) -> Any:
        solo = self.solo
        if solo is not None and field in solo.before:
            return solo.before[field]
        return dict.get(raw_fields(self.live), field, MISSING)

    def _check(
        self,
        changes: Changes,
        final: dict[str, Any],
        changed: list[str],
        step: str,
    ) -> None:
        if self._validate is None or not changed:
            return
        for field in changed:
            put(changes.raw, field, final[field])
        for field, value, fault in self._validate(changes.state, changed):
            if fault:
                from flowkit.runtime.conflicts import unfit  # only an error says it

                raise unfit(f"{self.name}.{step}", field, value, fault)
            final[field] = value

    def _apply(
        self,
        changes: Changes,
        final: dict[str, Any],
        changed: Iterable[str],
        step: str,
    ) -> None:
        self.commits += 1
        raw = raw_fields(self.live)
        solo = self.solo
        for field in changed:
            self.versions[field] = self.commits
            self.writers[field] = step
        if not changes.view:
            for field, value in final.items():
                if not same(dict.get(raw, field, MISSING), value):
                    put(raw, field, value)
            changes.before = {}
            changes.base = None
            changes.original = None
            return
        for field in changed:
            if solo is not None and solo.since >= 0:
                self._under(solo, field, final[field])
            else:
                put(raw, field, final[field])
        if changes.extra is not None:
            self._take_extra(changes)
        self._drop(changes)

    def _take_extra(self, changes: Changes) -> None:
        if self.open:
            from flowkit.runtime.extras import take_extra  # only who allows them

            take_extra(self, changes)

    def _under(self, solo: Changes, field: str, value: Any) -> None:
        """Commit a field below a step that works on the live object."""
        if solo.base is None:
            solo.base = {}
        seen = solo.before.get(field, dict.get(solo.raw, field, MISSING))
        if field not in solo.before:
            seen = snapshot(seen)
        solo.base.setdefault(field, seen)
        solo.before[field] = value

    def discard(self, changes: Changes) -> None:
        """Forget what a step did: the last commit stands."""
        if changes.view:
            self._drop(changes)
            return
        if changes.original is not None:
            self.unlink(changes.state)
            self.adopt(changes.original)
            changes.state = changes.original
            changes.raw = raw_fields(self.live)
            changes.original = None
            self.link(self.live, changes)
        for field, value in changes.before.items():
            _restore(changes.raw, field, value, changes.own.get(field))
        changes.before = {}
        changes.base = None
        if changes.extra is not None:
            from flowkit.runtime.extras import put_extra  # only who allows them

            put_extra(self.live, changes.extra)

    def give_up(self, changes: Changes) -> None:
        """Forget what a step did that goes on in a thread.

        It keeps the object it has, as a view that nobody commits; the live state
        is another one, as last committed.
        """
        if changes.view:
            self.views.pop(changes, None)
            return
        fields = dict(dict.items(raw_fields(changes.original or changes.state)))
        for field, value in changes.before.items():
            put(fields, field, value)
        self.live = self._fresh(fields)
        self.unlink(self.live)
        self.solo = None
        changes.view = True
        changes.before = {}

    def _drop(self, view: Changes) -> None:
        self.views.pop(view, None)
        self.unlink(view.state)

    def release(self) -> None:
        """The run is over: the live object is the user's own class again."""
        if self.solo is not None:
            if self.solo.before or self.solo.original is not None:
                self.discard(self.solo)  # an interrupt ended the step
            self.unlink(self.solo.state)
            self.solo = None
        self.views.clear()
        self.versions.clear()
        self.writers.clear()
        self.commits = 0


def _restore(raw: dict[str, Any], field: str, value: Any, own: Any) -> None:
    """Put a value back, into the list, dictionary or set the step was given."""
    if own is not value and type(own) is type(value):
        if type(own) is list:
            own[:] = value
            value = own
        elif type(own) is dict or type(own) is set:
            own.clear()
            own.update(value)
            value = own
    put(raw, field, value)
