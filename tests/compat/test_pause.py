"""Pause and resume: section 8 of the contract."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel

import flowkit
from flowkit.compat.crewai.flow import (
    Flow,
    HumanFeedbackPending,
    HumanFeedbackResult,
    PendingFeedbackContext,
    and_,
    flow_config,
    human_feedback,
    listen,
    or_,
    persist,
    start,
)
from tests.compat.people import LATER, Person, Shelf


@pytest.fixture(autouse=True)
def _config():
    yield
    flow_config.hitl_provider = None


class Review(Flow):
    """A reviewed step with outcomes; who is asked comes from the config."""

    @start()
    @human_feedback("Fine?", emit=["approved", "rejected"], metadata={"to": "ann"})
    def draft(self):
        self.state["drafts"] = self.state.get("drafts", 0) + 1
        return {"text": "hello"}

    @listen("approved")
    def publish(self, said):
        self.state["seen"] = self.last_human_feedback is said
        return f"published {said.output['text']}"

    @listen("rejected")
    def bin(self, said):
        return f"binned: {said.feedback}"


class Free(Flow):
    """A reviewed step without outcomes, and nothing after it."""

    @start()
    @human_feedback("Any thoughts?")
    def draft(self):
        return "text"


def paused(kind=Review, shelf=None, **keywords):
    """A flow whose kickoff has returned a pause."""
    shelf = shelf or Shelf()
    flow_config.hitl_provider = Person(LATER, LATER, LATER)
    flow = kind(persistence=shelf, **keywords)
    pending = flow.kickoff()
    assert type(pending) is HumanFeedbackPending
    return flow, pending, shelf


def test_kickoff_returns_what_the_provider_raised():
    """The very exception; state and context are saved once, before it returns."""
    person = Person(LATER, info={"url": "x"})
    flow_config.hitl_provider = person
    shelf = Shelf()
    flow = Review(persistence=shelf)
    assert flow.pending_feedback is None
    pending = flow.kickoff()
    assert pending is person.raised[0]
    assert pending.callback_info == {"url": "x"}
    assert flow.pending_feedback is pending.context
    assert flow.run.status == "waiting"
    assert flow.state["drafts"] == 1
    assert flow.method_outputs == []
    assert [call[:2] for call in shelf.calls] == [("pending", "draft")]
    assert shelf.calls[0][2] == {"id": flow.flow_id, "drafts": 1}


async def test_awaited_kickoff_returns_it_too():
    """On both loops; ``resume_async`` goes on."""
    flow_config.hitl_provider = Person(LATER)
    flow = Review(persistence=Shelf())
    pending = await flow.kickoff_async()
    assert type(pending) is HumanFeedbackPending
    with pytest.raises(RuntimeError) as caught:
        flow.resume("approved")
    assert str(caught.value) == (
        "resume() cannot be called from within an async context. Use 'await "
        "flow.resume_async(feedback)' instead."
    )
    assert await flow.resume_async("approved") == "published hello"


def test_resume_on_the_same_object():
    """The step is not run again; its result is there before its listeners run."""
    flow, _, shelf = paused()
    assert flow.resume("approved") == "published hello"
    assert flow.state["drafts"] == 1
    assert flow.state["seen"] is True
    assert flow.method_outputs == [{"text": "hello"}, "published hello"]
    said = flow.last_human_feedback
    assert (said.outcome, said.feedback) == ("approved", "approved")
    assert (said.method_name, said.metadata) == ("draft", {"to": "ann"})
    assert flow.human_feedback_history == [said]
    assert flow.pending_feedback is None
    assert shelf.pending == {}
    assert flow.run.status == "completed"
    assert [step for step, _, _ in flow.run.history] == ["draft", "publish"]


def test_from_pending_in_another_process():
    """A new object, from what was stored; the answer chooses the outcome."""
    flow, _, shelf = paused()
    other = Review.from_pending(flow.flow_id, shelf)
    assert isinstance(other, Review)
    assert other.flow_id == flow.flow_id
    assert other.state["drafts"] == 1
    assert other.persistence is shelf
    assert other.pending_feedback == PendingFeedbackContext.from_dict(
        flow.pending_feedback.to_dict()
    )
    assert other.run.status == "waiting"
    assert other.resume("no, rejected!") == "binned: no, rejected!"
    assert other.state["drafts"] == 1
    assert other.method_outputs == [{"text": "hello"}, "binned: no, rejected!"]
    assert [step for step, _, _ in other.run.history] == ["draft", "bin"]
    assert shelf.pending == {}


async def test_from_pending_and_resume_async():
    """On both loops."""
    flow_config.hitl_provider = Person(LATER)
    shelf = Shelf()
    flow = Review(persistence=shelf)
    await flow.kickoff_async()
    other = Review.from_pending(flow.flow_id, persistence=shelf)
    assert await other.resume_async("approved") == "published hello"


def test_resume_without_emit():
    """The result itself, if nothing follows."""
    flow, _, shelf = paused(Free)
    said = flow.resume("more verbs")
    assert type(said) is HumanFeedbackResult
    assert (said.output, said.feedback, said.outcome) == ("text", "more verbs", None)
    assert flow.method_outputs == [said]
    flow, _, shelf = paused(Free)
    said = Free.from_pending(flow.flow_id, shelf).resume()
    assert (said.output, said.feedback, said.outcome) == ("text", "", None)


def test_resume_with_nothing_said_takes_the_default():
    """The first outcome, without a default."""
    flow, *_ = paused()
    assert flow.resume() == "published hello"


def test_unclear_answer_leaves_the_pause_open():
    """The error names text and outcomes; a clear one goes on."""
    flow, _, shelf = paused()
    with pytest.raises(flowkit.FeedbackError) as caught:
        flow.resume("hm")
    assert str(caught.value) == (
        "The feedback 'hm' on draft is none of its outcomes 'approved', 'rejected'. "
        "Answer with one of them, or give @human_feedback(llm=..) a function (text, "
        "outcomes) -> outcome."
    )
    assert flow.pending_feedback is not None
    assert shelf.pending
    assert flow.resume("rejected") == "binned: rejected"


NONE_PENDING = (
    "No pending feedback context. Make the flow with from_pending(flow_id), or kick "
    "one off that pauses."
)


def test_resume_without_a_pause():
    """Never kicked off, or resumed already."""
    flow = Review()
    with pytest.raises(ValueError) as caught:
        flow.resume("x")
    assert str(caught.value) == NONE_PENDING
    flow, *_ = paused()
    flow.resume("approved")
    with pytest.raises(ValueError) as caught:
        flow.resume("approved")
    assert str(caught.value) == NONE_PENDING


async def test_resume_async_without_a_pause():
    """The same error."""
    with pytest.raises(ValueError) as caught:
        await Review().resume_async("x")
    assert str(caught.value) == NONE_PENDING


def test_from_pending_of_an_unknown_id():
    """Is a ValueError that names it."""
    with pytest.raises(ValueError) as caught:
        Review.from_pending("nope", Shelf())
    assert str(caught.value) == "No pending feedback found for flow_id: nope"


def test_from_pending_with_a_context_saved_by_hand():
    """A method that nothing decorates as reviewed; class and metadata as stored."""
    with pytest.warns(flowkit.FlowkitWarning):  # nothing known produces the names

        class Plain(Flow):
            @start()
            def draft(self):
                raise AssertionError("run again")

            @listen(or_("good", "bad"))
            def after(self, said):
                return said

            @listen(draft)
            def log(self, given):
                self.state["logged"] = given

    shelf = Shelf()
    context = PendingFeedbackContext(
        flow_id="f1",
        flow_class="elsewhere.Other",
        method_name="draft",
        method_output="text",
        message="?",
        emit=["good", "bad"],
        default_outcome="bad",
        metadata={"m": 1},
    )
    shelf.save_pending_feedback("f1", context, {"kept": 1})
    flow = Plain.from_pending("f1", shelf)
    assert flow.flow_id == "f1"
    assert flow.state == {"id": "f1", "kept": 1}
    said = flow.resume("")
    assert (said.outcome, said.metadata, said.output) == ("bad", {"m": 1}, "text")
    assert flow.state["logged"] == "text"
    context.method_name = "gone"
    shelf.save_pending_feedback("f2", context, {})
    with pytest.raises(ValueError) as caught:
        Free.from_pending("f2", shelf)
    assert str(caught.value) == (
        "The pending feedback for flow_id: f1 is on 'gone', which is no step of Free."
    )


class Doc(BaseModel):
    title: str = ""
    when: datetime = datetime(2020, 1, 2, tzinfo=UTC)
    tags: set[str] = set()


def test_model_state_survives():
    """As the model, with its types."""

    class Typed(Flow[Doc]):
        @start()
        @human_feedback("?")
        def draft(self):
            self.state.title = "t"
            self.state.tags.add("x")

        @listen(draft)
        def after(self, said):
            self.state.title += "!"
            return said.feedback

    flow, _, shelf = paused(Typed)
    other = Typed.from_pending(flow.flow_id, shelf)
    assert isinstance(other.state, Doc)
    assert other.resume("fine") == "fine"
    assert (other.state.title, other.state.tags) == ("t!", {"x"})
    assert other.state.when == datetime(2020, 1, 2, tzinfo=UTC)
    assert other.state.id == flow.flow_id


def test_from_pending_takes_constructor_keywords():
    """Also for a class with a constructor of its own."""

    class Own(Review):
        def __init__(self, client):
            super().__init__(name="own")
            self.client = client

    flow, _, shelf = paused()
    other = Own.from_pending(flow.flow_id, persistence=shelf, client="c")
    assert (other.client, other.name, other.persistence) == ("c", "own", shelf)
    assert other.resume("approved") == "published hello"


def test_pause_after_a_pause():
    """A listener that is reviewed, too; each pause is stored in its turn."""

    class Twice(Flow):
        @start()
        @human_feedback("one?")
        def one(self):
            return 1

        @listen(one)
        @human_feedback("two?")
        def two(self, said):
            return said.feedback

    flow, first, shelf = paused(Twice)
    second = flow.resume("a")
    assert type(second) is HumanFeedbackPending
    assert second is not first
    assert flow.pending_feedback.method_name == "two"
    assert [call[:2] for call in shelf.calls] == [
        ("pending", "one"),
        ("clear", ""),
        ("pending", "two"),
    ]
    other = Twice.from_pending(flow.flow_id, shelf)
    said = other.resume("b")
    assert (said.output, said.feedback) == ("a", "b")


class Two(Flow):
    """Two reviews side by side, and a join of both."""

    @start()
    @human_feedback("left?")
    def left(self):
        self.state["left"] = True
        return "l"

    @start()
    @human_feedback("right?")
    async def right(self):
        self.state["right"] = True
        return "r"

    @start()
    async def other(self):
        self.state["other"] = True

    @listen(and_(left, right))
    def both(self, left, right):
        return left.feedback + right.feedback


def test_several_pauses_at_once():
    """Both wait; they are answered one after the other, the latest first."""
    flow, pending, shelf = paused(Two)
    assert pending.context is flow.pending_feedback
    assert {key for key in flow.state if key != "id"} == {"left", "right", "other"}
    assert shelf.calls[-1][2] == dict(flow.state)
    names = [flow.pending_feedback.method_name]
    again = flow.resume("1")
    assert type(again) is HumanFeedbackPending
    assert again is not pending
    names.append(flow.pending_feedback.method_name)
    assert sorted(names) == ["left", "right"]
    assert json.loads(shelf.pending[flow.flow_id])[1]["method_name"] == names[1]
    assert flow.resume("2") == ("21" if names[0] == "right" else "12")
    assert shelf.pending == {}


def test_failure_beside_a_pause_is_the_outcome():
    """A run that has failed waits for nobody."""

    class Beside(Flow):
        @start()
        @human_feedback("?", provider=Person(LATER))
        def ask(self):
            return 1

        @start()
        def begin(self):
            pass

        @listen(begin)
        def fails(self):
            raise KeyError("gone")

    flow = Beside(persistence=Shelf())
    with pytest.raises(KeyError):
        flow.kickoff()
    assert flow.pending_feedback is None
    assert flow.run.status == "failed"


def test_persisted_step_is_saved_once_when_it_is_answered():
    """Not at the pause; by the persistence of the object."""

    @persist
    class Kept(Flow):
        @start()
        @human_feedback("?")
        def draft(self):
            return "x"

        @listen(draft)
        def after(self):
            pass

    flow, _, shelf = paused(Kept)
    assert shelf.saves() == []
    other = Kept.from_pending(flow.flow_id, shelf)
    other.resume("fine")
    assert [call[:2] for call in shelf.calls] == [
        ("pending", "draft"),
        ("save", "draft"),
        ("clear", ""),
        ("save", "after"),
    ]


def test_kickoff_after_a_pause_begins_anew():
    """The run that waits is cancelled; what is stored stays."""
    flow, first, shelf = paused()
    waiting = flow.run
    second = flow.kickoff()
    assert second is not first
    assert waiting.status == "cancelled"
    assert flow.state["drafts"] == 2
    assert shelf.pending


def test_step_that_raises_the_pause_itself():
    """Without a provider: it counts as one."""

    class Raises(Flow):
        @start()
        def ask(self):
            self.state["asked"] = True
            context = PendingFeedbackContext(self.flow_id, "Raises", "ask", "out", "?")
            raise HumanFeedbackPending(context)

        @listen(ask)
        def after(self, said):
            return said.feedback

    flow = Raises(persistence=Shelf())
    assert type(flow.kickoff()) is HumanFeedbackPending
    assert flow.state["asked"] is True
    assert flow.resume("ok") == "ok"


def test_callable_llm_is_found_again():
    """The class has it; the stored context has its text only."""

    def llm(text, outcomes):
        return outcomes[-1]

    class Judged(Flow):
        @start()
        @human_feedback("?", emit=["a", "b"], llm=llm)
        def draft(self):
            return 1

        @listen(or_("a", "b"))
        def end(self, said):
            return said.outcome

    flow, _, shelf = paused(Judged)
    assert Judged.from_pending(flow.flow_id, shelf).resume("whatever") == "b"
    assert flow.resume("whatever") == "b"


@dataclass
class Point:
    x: int


def test_context_as_a_dictionary_and_back():
    """JSON-ready; odd values become text; optional keys may be missing."""
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    context = PendingFeedbackContext(
        "f", "m.F", "draft", {"n": 1}, "?", ["a"], "a", {"k": [1]}, "model", at
    )
    made = context.to_dict()
    assert made == {
        "flow_id": "f",
        "flow_class": "m.F",
        "method_name": "draft",
        "method_output": {"n": 1},
        "message": "?",
        "emit": ["a"],
        "default_outcome": "a",
        "metadata": {"k": [1]},
        "llm": "model",
        "requested_at": "2024-05-06T07:08:09+00:00",
    }
    assert PendingFeedbackContext.from_dict(json.loads(json.dumps(made))) == context
    few = {key: made[key] for key in list(made)[:5]}
    least = PendingFeedbackContext.from_dict(few)
    assert (least.emit, least.default_outcome, least.llm) == (None, None, None)
    assert least.metadata == {}
    assert isinstance(least.requested_at, datetime)
    odd = PendingFeedbackContext(
        "f",
        "c",
        "m",
        [Point(1), Doc(title="t"), {UUID(int=1)}, object, b"b", (1, None)],
        "?",
        llm=len,
    )
    text = json.dumps(odd.to_dict())
    assert '{"x": 1}' in text
    assert '"title": "t"' in text
    assert str(UUID(int=1)) in text
    assert odd.to_dict()["llm"] == str(len)
    with pytest.raises(ValueError) as caught:
        PendingFeedbackContext.from_dict({"flow_id": "f"})
    assert str(caught.value) == (
        "A pending feedback context lacks 'flow_class', 'method_name', "
        "'method_output', 'message'."
    )


def test_pending_is_an_exception_with_a_text():
    """The default text names flow and method; ``message`` replaces it."""
    context = PendingFeedbackContext("f-1", "F", "draft", 1, "?")
    made = HumanFeedbackPending(context)
    assert isinstance(made, Exception)
    assert made.context is context
    assert made.callback_info == {}
    assert str(made) == "Human feedback pending for flow 'f-1', method 'draft'"
    other = HumanFeedbackPending(context, callback_info={"a": 1}, message="soon")
    assert (str(other), other.callback_info) == ("soon", {"a": 1})
    again = pickle.loads(pickle.dumps(other))
    assert (again.context, str(again)) == (context, "soon")


def test_pause_of_a_persistence_without_pauses():
    """The interface's default saves the state; there is nothing to go on from."""

    class Least(Shelf):
        def save_pending_feedback(self, flow_uuid, context, state_data):
            super(Shelf, self).save_pending_feedback(flow_uuid, context, state_data)

        def load_pending_feedback(self, flow_uuid):
            return super(Shelf, self).load_pending_feedback(flow_uuid)

        def clear_pending_feedback(self, flow_uuid):
            super(Shelf, self).clear_pending_feedback(flow_uuid)

    flow, _, shelf = paused(shelf=Least())
    assert shelf.saves() == ["draft"]
    with pytest.raises(ValueError):
        Review.from_pending(flow.flow_id, shelf)
    assert flow.resume("approved") == "published hello"


# With a store the position is stored, too.


class Joined(Flow):
    """A review beside another step, and a join of both."""

    @start()
    @human_feedback("ok?", emit=["yes", "bad"])
    def draft(self):
        self.state["drafts"] = self.state.get("drafts", 0) + 1
        return "t"

    @start()
    def side(self):
        return "s"

    @listen(and_("yes", side))
    def end(self, yes, side):
        return yes.feedback, side

    @listen("bad")
    def bin(self):
        return "binned"


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


def test_stored_pause_on_the_same_object(store):
    """What the journal holds and what is in memory go on together."""
    flow, _, shelf = paused(Joined, store=store)
    assert flow.run.status == "waiting"
    assert flow.resume("yes") == ("yes", "s")
    assert flow.run.status == "completed"
    assert shelf.pending == {}


def test_from_pending_takes_the_stored_position(store):
    """The join has what came before the pause; nobody keeps the run meanwhile."""
    flow, _, shelf = paused(Joined, store=store)
    Joined.from_pending(flow.flow_id, shelf, store=store)
    other = Joined.from_pending(flow.flow_id, shelf, store=store)
    assert other.flow_id == flow.flow_id
    assert other.pending_feedback == flow.pending_feedback
    assert other.resume("yes") == ("yes", "s")
    assert other.state["drafts"] == 1
    assert other.run.id == flow.run.id
    assert shelf.pending == {}
    with pytest.raises(ValueError):
        Joined.from_pending(flow.flow_id, shelf, store=store)


def test_kickoff_of_a_stored_pause_gives_it_again(store):
    """A run that waits goes on waiting; the step is not run again."""
    flow, first, shelf = paused(Joined, store=store)
    other = Joined(persistence=shelf, store=store)
    again = other.kickoff(inputs={"id": flow.flow_id})
    assert type(again) is HumanFeedbackPending
    assert again.context == first.context
    assert other.resume("yes") == ("yes", "s")
    assert other.state["drafts"] == 1


def test_several_stored_pauses(store):
    """Both are there in another process."""
    flow, _, shelf = paused(Two, store=store)
    other = Two.from_pending(flow.flow_id, shelf, store=store)
    names = [other.pending_feedback.method_name]
    assert type(other.resume("1")) is HumanFeedbackPending
    names.append(other.pending_feedback.method_name)
    assert sorted(names) == ["left", "right"]
    assert sorted(other.resume("2")) == ["1", "2"]


@pytest.mark.parametrize("method", ["left", "right"])
def test_one_of_several_stored_pauses(store, method):
    """``method`` says which; an unknown one is an error that names it."""
    flow, _, shelf = paused(Two, store=store)
    other = Two.from_pending(flow.flow_id, shelf, method=method, store=store)
    assert other.pending_feedback.method_name == method
    with pytest.raises(ValueError) as caught:
        Two.from_pending(flow.flow_id, shelf, method="both", store=store)
    assert str(caught.value) == (
        f"No pending feedback found for flow_id: {flow.flow_id}, method: both"
    )
