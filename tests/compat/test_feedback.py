"""``@human_feedback``: sections 7 and 2 of the contract."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from enum import Enum

import pytest
from pydantic import BaseModel

import flowkit
from flowkit import FlowkitWarning
from flowkit.compat.crewai.flow import (
    ConsoleProvider,
    Flow,
    HumanFeedbackProvider,
    HumanFeedbackResult,
    InputProvider,
    build_flow_structure,
    flow_config,
    human_feedback,
    listen,
    or_,
    persist,
    router,
    start,
)
from flowkit.runtime.feedback import outcome_of
from tests.compat.people import Person, Shelf


@pytest.fixture(autouse=True)
def _config():
    yield
    flow_config.hitl_provider = flow_config.input_provider = None


def result(output, feedback, outcome=None, name="draft", metadata=None):
    """What is expected, but for the time."""
    return (output, feedback, outcome, name, metadata or {})


def parts(found):
    assert type(found) is HumanFeedbackResult
    assert isinstance(found.timestamp, datetime)
    return (
        found.output,
        found.feedback,
        found.outcome,
        found.method_name,
        found.metadata,
    )


def simple(person, *, asynchronous=False, **options):
    """One reviewed start and a listener of it, which notes what it got."""

    class Simple(Flow):
        if asynchronous:

            @start()
            @human_feedback("Look:", provider=person, **options)
            async def draft(self):
                self.state["drafted"] = True
                return "text"
        else:

            @start()
            @human_feedback("Look:", provider=person, **options)
            def draft(self):
                self.state["drafted"] = True
                return "text"

        @listen(draft)
        def after(self, given):
            self.state["given"] = given
            self.state["history"] = list(self.human_feedback_history)
            return "after"

    return Simple()


def routed(person, outcomes=("approved", "rejected"), **options):
    """A reviewed start with outcomes; listeners of each."""

    class Routed(Flow):
        @start()
        @human_feedback("Fine?", emit=list(outcomes), provider=person, **options)
        def draft(self):
            return "text"

        @listen("approved")
        def publish(self, given):
            self.state["published"] = given
            return "published"

        @listen("rejected")
        def bin(self, given):
            self.state["binned"] = given
            return "binned"

        @listen(draft)
        def log(self, given):
            self.state["logged"] = given

    return Routed()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_without_emit_the_result_is_output_and_payload(asynchronous):
    """Listeners, the outputs list and the history have one and the same result."""
    person = Person("nice")
    flow = simple(person, asynchronous=asynchronous, metadata={"to": "ann"})
    assert flow.last_human_feedback is None
    assert flow.human_feedback_history == []
    assert flow.kickoff() == "after"
    given = flow.state["given"]
    assert parts(given) == result("text", "nice", metadata={"to": "ann"})
    assert flow.method_outputs == [given, "after"]
    assert flow.last_human_feedback is given
    assert flow.last_human_feedback is flow.last_human_feedback
    assert flow.human_feedback_history == [given]
    assert flow.state["history"] == [given]


def test_without_emit_the_result_is_what_kickoff_returns():
    """If the reviewed step is the last."""

    class One(Flow):
        @start()
        @human_feedback("Look:", provider=Person("", "more"))
        def draft(self):
            return "text"

    assert parts(One().kickoff()) == result("text", "")


async def test_reviews_of_async_steps_on_both_loops():
    """The provider is called in a thread, the loop goes on meanwhile."""
    asked, threads = [], []

    class Provider:
        def request_feedback(self, context, flow):
            threads.append(threading.get_ident())
            assert flow.state["drafted"]
            asked.append(context)
            return "yes"

    flow = simple(Provider(), asynchronous=True)
    assert await flow.kickoff_async() == "after"
    assert threads != [threading.get_ident()]
    assert asked[0].method_output == "text"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_provider_may_be_a_coroutine_function(asynchronous):
    """Its coroutine is awaited, on the loop that runs the flow."""
    home = threading.get_ident()
    seen = []

    class Provider:
        async def request_feedback(self, context, flow):
            seen.append(threading.get_ident() == home)
            return "yes"

    flow = simple(Provider(), asynchronous=asynchronous)
    await flow.kickoff_async()
    assert flow.last_human_feedback.feedback == "yes"
    assert seen == [True]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_coroutine_of_a_provider_is_awaited_in_a_blocking_kickoff(asynchronous):
    """Also asked again."""

    class Provider:
        answers = ["?", "approved"]

        async def request_feedback(self, context, flow):
            return self.answers.pop(0)

    flow = routed(Provider())
    flow.kickoff()
    assert flow.last_human_feedback.outcome == "approved"
    Provider.answers = ["x"]
    flow = simple(Provider(), asynchronous=asynchronous)
    flow.kickoff()
    assert flow.last_human_feedback.feedback == "x"


def test_provider_gets_context_and_the_flow_itself():
    """The context is a PendingFeedbackContext; the state shows the step's writes."""
    person = Person("ok")
    flow = simple(person, metadata={"a": 1}, llm="some-model")
    flow.kickoff()
    (context,) = person.contexts
    assert type(context) is flowkit.PendingFeedbackContext
    assert context.flow_id == flow.flow_id
    assert context.flow_class.endswith("Simple")
    assert context.method_name == "draft"
    assert context.method_output == "text"
    assert context.message == "Look:"
    assert context.emit is None
    assert context.default_outcome is None
    assert context.metadata == {"a": 1}
    assert context.llm == "some-model"
    assert isinstance(context.requested_at, datetime)
    assert person.flows == [flow]
    assert person.flows[0] is flow
    assert person.states[0]["drafted"] is True
    assert type(person.states[0]) is dict


def test_model_state_is_the_model_in_a_provider():
    """``isinstance(flow.state, TheModel)`` holds there too."""

    class Note(BaseModel):
        text: str = ""

    class Provider:
        def request_feedback(self, context, flow):
            assert isinstance(flow.state, Note)
            assert flow.state.text == "written"
            assert flow.state.model_dump()["text"] == "written"
            asked.append(context)
            return ""

    class Model(Flow[Note]):
        @start()
        @human_feedback("?", provider=Provider())
        def write(self):
            self.state.text = "written"

    asked = []
    Model().kickoff()
    assert len(asked) == 1


def test_with_emit_the_outcome_is_a_label():
    """Listeners of it get the result, listeners of the method its return."""
    flow = routed(Person("approved"), metadata={"k": 1})
    flow.kickoff()
    said = flow.state["published"]
    assert parts(said) == result("text", "approved", "approved", metadata={"k": 1})
    assert flow.state["logged"] == "text"
    assert "binned" not in flow.state
    assert sorted(map(str, flow.method_outputs)) == ["None", "published", "text"]
    assert flow.last_human_feedback is said


CLEAR = {
    "approved": "approved",
    " APPROVED ": "approved",
    "Approved!": "approved",
    "well, it is approved then": "approved",
    "no objections: approved": "approved",
    "I want this approved": "approved",
    "rejected, sorry": "rejected",
    "": "approved",
    "  \n ": "approved",
}


@pytest.mark.parametrize("text", CLEAR)
def test_clear_answers(text):
    """A name, a name in a text, or nothing at all."""
    flow = routed(Person(text))
    flow.kickoff()
    assert flow.last_human_feedback.outcome == CLEAR[text]
    assert flow.last_human_feedback.feedback == text


UNCLEAR = [
    "maybe",
    "approve",
    "approved or rejected",
    "not approved",
    "this can't be approved",
    "disapproved",
]


@pytest.mark.parametrize("text", UNCLEAR)
def test_unclear_answer_is_asked_again(text):
    """The person is told what was unclear; the clear answer counts."""
    person = Person(text, "rejected")
    flow = routed(person)
    flow.kickoff()
    assert flow.last_human_feedback.outcome == "rejected"
    assert [each.message for each in person.contexts] == [
        "Fine?",
        f"{text!r} is none of approved, rejected. Fine?",
    ]


@pytest.mark.parametrize("text", UNCLEAR)
def test_unclear_answer_never_approves(text):
    """After three of them the step fails; the error names text and outcomes."""
    flow = routed(Person(text, text, text, text))
    with pytest.raises(flowkit.FeedbackError) as caught:
        flow.kickoff()
    assert str(caught.value) == (
        f"The feedback {text!r} on draft is none of its outcomes 'approved', "
        f"'rejected'. Answer with one of them, or give @human_feedback(llm=..) a "
        f"function (text, outcomes) -> outcome."
    )
    assert isinstance(caught.value, ValueError)
    assert flow.method_outputs == []


def test_outcome_within_another_outcome():
    """The longer name counts; separators and case do not."""
    names = ("approved", "not approved", "needs_revision", "needs_big_revision")
    for text, outcome in {
        "it is not approved": "not approved",
        "approved": "approved",
        "needs revision": "needs_revision",
        "I think: Needs-Big-Revision.": "needs_big_revision",
    }.items():
        context = flowkit.PendingFeedbackContext("", "", "", 0, "?", list(names))
        assert outcome_of(text, context) == outcome


def test_empty_answer_is_the_default_or_the_first():
    """Whatever the first is called; it is not asked again."""
    person = Person("   ")
    flow = routed(person, default_outcome="rejected")
    flow.kickoff()
    assert flow.last_human_feedback.outcome == "rejected"
    flow = routed(Person(""), ("rejected", "approved"))
    flow.kickoff()
    assert flow.last_human_feedback.outcome == "rejected"
    assert len(person.contexts) == 1


def test_callable_llm_decides_what_names_nothing():
    """It gets text and outcomes, and is asked only then."""
    calls = []

    def llm(text, outcomes):
        calls.append((text, outcomes))
        return "Approved"

    flow = routed(Person("go ahead"), llm=llm)
    flow.kickoff()
    assert flow.last_human_feedback.outcome == "approved"
    assert calls == [("go ahead", ["approved", "rejected"])]
    flow = routed(Person("rejected"), llm=llm)
    flow.kickoff()
    assert len(calls) == 1


@pytest.mark.parametrize("llm", ["gpt-5.4-mini", {"model": "x"}, None])
def test_other_llm_is_handed_on_and_never_called(llm):
    """It matters to nobody here."""
    person = Person("approved")
    flow = routed(person, llm=llm)
    flow.kickoff()
    assert person.contexts[0].llm == llm


@pytest.mark.parametrize("answer", [7, 1.5, True])
def test_answer_that_is_no_text_becomes_one(answer):
    """By ``str``."""
    flow = simple(Person(answer))
    flow.kickoff()
    assert flow.last_human_feedback.feedback == str(answer)


def test_provider_order_is_decorator_config_console(monkeypatch, capsys):
    """Read when it is asked, not when class or object are made."""
    typed = []
    monkeypatch.setattr("builtins.input", lambda prompt: typed.append(1) or "typed")
    flow = simple(None)
    flow.kickoff()
    assert flow.last_human_feedback.feedback == "typed"
    shown = capsys.readouterr().out
    assert "Look:" in shown
    assert "text" in shown
    flow_config.hitl_provider = Person("config", "config")
    flow.kickoff()
    assert flow.last_human_feedback.feedback == "config"
    flow = simple(Person("mine"))
    flow.kickoff()
    assert flow.last_human_feedback.feedback == "mine"
    assert typed == [1]


def test_error_of_a_provider_is_the_steps():
    """It comes out as it is; nothing of the step counts."""
    flow = simple(Person(KeyError("slack")))
    with pytest.raises(KeyError):
        flow.kickoff()
    assert flow.run.status == "failed"
    assert "drafted" not in flow.state


def _plain(self):
    """A body."""
    return "text"


STACKS = {
    "start, feedback": lambda p, s: [start(), human_feedback("?", provider=p)],
    "feedback, start": lambda p, s: [human_feedback("?", provider=p), start()],
    "start, persist, feedback": lambda p, s: [
        start(),
        persist(s),
        human_feedback("?", provider=p),
    ],
    "persist, feedback, start": lambda p, s: [
        persist(s),
        human_feedback("?", provider=p),
        start(),
    ],
    "bare start, feedback": lambda p, s: [start, human_feedback("?", provider=p)],
    "bare start, bare persist, feedback": lambda p, s: [
        start,
        persist(s),
        human_feedback("?", provider=p),
    ],
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("stack", STACKS)
def test_decorators_stack_in_any_order(stack, asynchronous):
    """And the function stays the function it was."""

    def one(self):
        return "text"

    async def two(self):
        return "text"

    function = two if asynchronous else one
    made = function
    for decorator in reversed(STACKS[stack](Person("ok"), Shelf())):
        made = decorator(made)
    assert made is function
    assert asyncio.iscoroutinefunction(made) is asynchronous
    kind = type("Stacked", (Flow,), {"draft": made})
    flow = kind()
    assert parts(flow.kickoff()) == result("text", "ok", name="draft")


def test_plain_call_of_a_reviewed_method_asks_nobody():
    """It is the body."""
    flow = simple(Person())
    assert flow.draft() == "text"


def test_listener_and_router_may_be_reviewed():
    """In the middle of a flow, in a loop, with the same outcome twice."""
    person = Person("again", "again", "done")

    class Loop(Flow):
        @start()
        def begin(self):
            self.state["turns"] = 0

        @listen(or_(begin, "again"))
        @human_feedback("Enough?", emit=["again", "done"], provider=person)
        def turn(self):
            self.state["turns"] += 1
            return self.state["turns"]

        @listen("done")
        def end(self, said):
            return said.output

    flow = Loop()
    assert flow.kickoff() == 3
    assert [each.outcome for each in flow.human_feedback_history] == [
        "again",
        "again",
        "done",
    ]
    assert flow.method_outputs == [None, 1, 2, 3, 3]


def test_reviewed_router_without_emit_chooses_by_its_return():
    """The review changes the output, not the label."""

    class Both(Flow):
        @start()
        @router(emit=["right"])
        @human_feedback("?", provider=Person("hm"))
        def choose(self):
            return "right"

        @listen("right")
        def go(self, given):
            self.state["given"] = given
            return "went"

    flow = Both()
    assert flow.kickoff() == "went"
    assert flow.last_human_feedback.output == "right"


def test_parallel_reviews_keep_apart():
    """Each is shown its own step's state; both results are in the history."""
    person = Person("one", "two")

    class Parallel(Flow):
        @start()
        @human_feedback("?", provider=person)
        def left(self):
            self.state["left"] = 1

        @start()
        @human_feedback("?", provider=person)
        def right(self):
            self.state["right"] = 1

    flow = Parallel()
    flow.kickoff()
    assert sorted(each.feedback for each in flow.human_feedback_history) == [
        "one",
        "two",
    ]
    assert {key for key in flow.state if key != "id"} == {"left", "right"}
    for context, state in zip(person.contexts, person.states, strict=True):
        assert context.method_name in state


def test_structure_has_the_outcomes():
    """They are declared labels."""
    built = build_flow_structure(routed(Person()))
    assert built["router_methods"] == ["draft"]
    assert built["nodes"]["draft"]["router_events"] == ["approved", "rejected"]


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


def test_outcomes_may_be_enum_members():
    """By value, the default too."""

    class Sized(Flow):
        @start()
        @human_feedback(
            "?", emit=list(Size), default_outcome=Size.LARGE, provider=Person("")
        )
        def measure(self):
            return 1

        @listen("large")
        def big(self):
            return "big"

        @listen("small")
        def tiny(self):
            return "tiny"

    assert Sized().kickoff() == "big"


WRONG = {
    "default_outcome='x' requires emit: it is one of its outcomes.": {
        "default_outcome": "x"
    },
    "default_outcome='x' must be one of ['a', 'b'].": {
        "emit": ["a", "b"],
        "default_outcome": "x",
    },
    "emit takes a list of labels, not the text 'a'. Write ['a'].": {"emit": "a"},
    "emit takes the outcomes a review can have; the list is empty.": {"emit": []},
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments_fail_when_decorating(text):
    """As ValueError."""
    with pytest.raises(ValueError) as caught:
        human_feedback("?", **WRONG[text])
    assert str(caught.value) == text


def test_decorator_without_a_message():
    """Written bare, it says what is missing."""
    with pytest.raises(ValueError) as caught:
        human_feedback(_plain)
    assert str(caught.value) == (
        f"@human_feedback takes the message for the reviewer first, not {_plain!r}. "
        f"Write @human_feedback(message='..')."
    )


def test_all_arguments_by_position():
    """In CrewAI's order; learn warns, once for each decorator."""
    person = Person("b")
    with pytest.warns(FlowkitWarning) as caught:
        decorate = human_feedback(
            "?", ["a", "b"], None, "a", {"m": 1}, person, True, "hitl", False
        )
    assert [str(each.message) for each in caught] == [
        "@human_feedback(learn=True) has no effect in flowkit."
    ]

    class Positional(Flow):
        @start()
        @decorate
        def ask(self):
            return 1

        @listen(or_("a", "b"))
        def end(self, said):
            return said

    said = Positional().kickoff()
    assert parts(said) == result(1, "b", "b", "ask", {"m": 1})


def test_result_compares_by_value():
    """Output and text are enough to make one."""
    made = HumanFeedbackResult("o", "f")
    assert (made.outcome, made.method_name, made.metadata) == (None, "", {})
    same = HumanFeedbackResult("o", "f", timestamp=made.timestamp)
    assert made == same
    assert HumanFeedbackResult(output="o", feedback="f", outcome="x") != made


def test_console_satisfies_both_protocols(monkeypatch, capsys):
    """Without ``verbose`` it shows the question and the choice alone."""
    console = ConsoleProvider()
    assert console.verbose is True
    assert isinstance(console, HumanFeedbackProvider)
    assert isinstance(console, InputProvider)
    assert not isinstance(object(), HumanFeedbackProvider)
    quiet = ConsoleProvider(verbose=False)
    monkeypatch.setattr("builtins.input", lambda prompt: "approved")
    routed(quiet).kickoff()
    assert capsys.readouterr().out == "Fine?\nOne of: approved, rejected\n"
    assert quiet.request_input("Name?", None) == "approved"
    assert capsys.readouterr().out == "Name?\n"


def test_subclass_keeps_the_review():
    """A method that overrides a step keeps what its decorators said."""
    flow = routed(Person())

    class More(type(flow)):
        def draft(self):
            return "other"

    person = Person("rejected")
    type(flow).draft.__flowkit__  # noqa: B018 - the mark is the parent's
    review = type(flow).draft.__flowkit__.review
    assert review.emit == ("approved", "rejected")
    flow_config.hitl_provider = person
    made = More()
    review.provider.answers.append("rejected")
    made.kickoff()
    assert made.state["binned"].output == "other"
