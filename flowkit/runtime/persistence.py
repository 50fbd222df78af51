"""``FlowPersistence``: the interface for saved states, and SQLite behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from pydantic import BaseModel, PrivateAttr

from flowkit.runtime.clock import now
from flowkit.runtime.people import PendingFeedbackContext

__all__ = ["FlowPersistence", "SQLiteFlowPersistence"]

SQLITE: Final = "sqlite:///"


class FlowPersistence(BaseModel, ABC):
    """Saves states and pauses; subclass it to keep them where you like.

    It keeps no position: a kickoff with a saved id begins a new pass over the
    restored state.

    Attributes:
        persistence_type: a word for what is behind it.
    """

    persistence_type: str = "base"

    @abstractmethod
    def init_db(self) -> None:
        """Make what is behind it ready."""

    @abstractmethod
    def save_state(
        self,
        flow_uuid: str,
        method_name: str,
        state_data: dict[str, Any] | BaseModel,
    ) -> None:
        """Save the state a method left, under the state's id.

        Args:
            flow_uuid: the state's id.
            method_name: the step that has ended.
            state_data: a copy, which is the persistence's to keep.
        """

    @abstractmethod
    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """What was saved last under that id, or None."""

    def save_pending_feedback(
        self,
        flow_uuid: str,
        context: PendingFeedbackContext,
        state_data: dict[str, Any] | BaseModel,
    ) -> None:
        """Save a pause; as given here the state alone, so that it cannot go on."""
        self.save_state(flow_uuid, context.method_name, state_data)

    def load_pending_feedback(
        self,
        flow_uuid: str,  # noqa: ARG002 - for those who override it
    ) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """State and context of the pause saved last under that id, or None."""
        return None

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """The pause is over."""


class SQLiteFlowPersistence(FlowPersistence):
    """Saves in one SQLite file, from any thread and event loop.

    Each save is in the file when it returns.

    Args:
        db_path: the file, made if it is not there; by default the store that
            ``FLOWKIT_STORE`` names, else ``.flowkit/journal.db`` at the project's root.
    """

    persistence_type: str = "SQLiteFlowPersistence"
    db_path: str = ""
    _store: Any = PrivateAttr(default=None)

    def __init__(self, db_path: str | Path | None = None, **fields: Any) -> None:
        path = _default_path() if db_path is None else str(db_path)
        fields["db_path"] = path
        super().__init__(**fields)
        self.init_db()

    @property
    def journal_store(self) -> Any:
        """The store behind it: positions of runs are kept there, too."""
        return self._store

    def init_db(self) -> None:
        """Open the file and make its tables, unless they are there."""
        if self._store is None:
            from flowkit.journal.urls import open_store  # apsw, when something is kept

            self._store = open_store(_url(self.db_path))

    def save_state(
        self,
        flow_uuid: str,
        method_name: str,
        state_data: dict[str, Any] | BaseModel,
    ) -> None:
        """Save the state a method left; in the file when this returns.

        Raises:
            UnstorableError: a value that cannot be stored, with its place.
            StoreError: the file cannot be written.
        """
        self._store.save_state(flow_uuid, method_name, _text(state_data), now())

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """What was saved last under that id, as a dictionary; else None."""
        text = self._store.load_state(flow_uuid)
        return None if text is None else _values(text)

    def save_pending_feedback(
        self,
        flow_uuid: str,
        context: PendingFeedbackContext,
        state_data: dict[str, Any] | BaseModel,
    ) -> None:
        """Save a pause; one an id, the last."""
        asked = _text(context.to_dict())
        self._store.save_pending(flow_uuid, asked, _text(state_data), now())

    def load_pending_feedback(
        self, flow_uuid: str
    ) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """State and context of the pause under that id, or None."""
        found = self._store.load_pending(flow_uuid)
        if found is None:
            return None
        state, context = found
        return _values(state), PendingFeedbackContext.from_dict(_values(context))

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """The pause is over."""
        self._store.clear_pending(flow_uuid)


def _default_path() -> str:
    """Where states are kept if nobody says: worked out anew each time."""
    from flowkit.journal.urls import default_url

    url = default_url()
    if not url.startswith(SQLITE):
        return url
    return unquote(url.removeprefix(SQLITE).partition("?")[0])


def _url(path: str) -> str:
    """A path as a store's URL; a URL as it is, so FLOWKIT_STORE may name any store."""
    if "://" in path or path.startswith("memory:"):
        return path
    place = Path(path).expanduser().absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    return f"{SQLITE}{quote(str(place))}"


def _text(values: dict[str, Any] | BaseModel) -> str:
    """A state as JSON: a model as pydantic writes it, a dictionary value by value."""
    from flowkit.journal.codec import UnstorableError, encode

    if isinstance(values, BaseModel):
        return encode(_dumped(values), "state")
    try:
        return encode(values, "state")
    except UnstorableError:  # a class that nobody can find again: as pydantic has it
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            return encode(to_jsonable_python(values), "state")
        except PydanticSerializationError:
            pass
        raise


def _dumped(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude=_computed(type(model)))


def _computed(kind: type[BaseModel]) -> set[str]:
    """Computed fields are not stored: nothing takes them back."""
    return set(kind.model_computed_fields)


def _values(text: str) -> dict[str, Any]:
    from flowkit.journal.codec import decode

    values: dict[str, Any] = decode(text)
    return values
