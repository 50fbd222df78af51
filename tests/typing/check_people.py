"""Reviews and persistence keep what they decorate; read by checkers, never run."""

from collections.abc import Callable
from typing import Any, assert_type

from flowkit import (
    ConsoleProvider,
    Flow,
    FlowState,
    HumanFeedbackProvider,
    HumanFeedbackResult,
    InputProvider,
    PendingFeedbackContext,
    SQLiteFlowPersistence,
    human_feedback,
    listen,
    persist,
    start,
)

reviewer: HumanFeedbackProvider = ConsoleProvider()
asker: InputProvider = ConsoleProvider()


@persist
class Bare(Flow[FlowState]):
    @start()
    @human_feedback("Fine?", emit=["yes", "no"], provider=reviewer)
    def draft(self) -> str:
        return self.ask("Topic?") or "none"

    @persist
    @listen("yes")
    def end(self, review: HumanFeedbackResult) -> str:
        return review.feedback


@persist(SQLiteFlowPersistence("x.db"))
class Called(Bare):
    @persist(verbose=True)
    @listen("no")
    async def other(self, review: HumanFeedbackResult) -> int:
        return len(review.metadata)


flow = Called.from_pending("id")
assert_type(flow, Called)
assert_type(flow.pending_feedback, PendingFeedbackContext | None)
assert_type(flow.last_human_feedback, HumanFeedbackResult | None)
assert_type(flow.human_feedback_history, list[HumanFeedbackResult])
assert_type(flow.draft(), str)
assert_type(Bare().state, FlowState)
take: Callable[[HumanFeedbackResult], Any] = flow.end
