"""A provider that answers from a list, and a persistence that keeps in memory."""

from __future__ import annotations

import copy
import json
from typing import Any

from pydantic import BaseModel

from flowkit.compat.crewai.flow.async_feedback import (
    HumanFeedbackPending,
    PendingFeedbackContext,
)
from flowkit.compat.crewai.flow.persistence import FlowPersistence

LATER = object()


class Person:
    """Gives its answers in order; ``LATER`` pauses, an exception is raised."""

    def __init__(self, *answers, info=None):
        self.answers = list(answers)
        self.info = info
        self.contexts = []
        self.states = []
        self.flows = []
        self.raised = []

    def request_feedback(self, context, flow):
        self.contexts.append(context)
        self.flows.append(flow)
        self.states.append(copy.deepcopy(flow.state))
        answer = self.answers.pop(0)
        if answer is LATER:
            self.raised.append(HumanFeedbackPending(context, self.info))
            raise self.raised[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Shelf(FlowPersistence):
    """Everything as JSON text in this object; ``calls`` in order."""

    persistence_type: str = "shelf"

    def model_post_init(self, _: Any) -> None:
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "states", {})
        object.__setattr__(self, "pending", {})

    def init_db(self):
        pass

    def save_state(self, flow_uuid, method_name, state_data):
        self.calls.append(("save", method_name, plain(state_data)))
        self.states[flow_uuid] = json.dumps(plain(state_data))

    def load_state(self, flow_uuid):
        text = self.states.get(flow_uuid)
        return None if text is None else json.loads(text)

    def save_pending_feedback(self, flow_uuid, context, state_data):
        self.calls.append(("pending", context.method_name, plain(state_data)))
        self.pending[flow_uuid] = json.dumps([plain(state_data), context.to_dict()])

    def load_pending_feedback(self, flow_uuid):
        if flow_uuid not in self.pending:
            return None
        state, context = json.loads(self.pending[flow_uuid])
        return state, PendingFeedbackContext.from_dict(context)

    def clear_pending_feedback(self, flow_uuid):
        self.calls.append(("clear", "", None))
        self.pending.pop(flow_uuid, None)

    def saves(self):
        return [name for kind, name, _ in self.calls if kind == "save"]


def plain(state):
    """A state as a dictionary, as a persistence has to see it."""
    if isinstance(state, BaseModel):
        assert "tracked" not in type(state).__name__.lower()
        return state.model_dump(mode="json")
    assert type(state) is dict
    return copy.deepcopy(state)
