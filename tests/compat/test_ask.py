"""``self.ask``: section 9 of the contract."""

from __future__ import annotations

import logging
import threading

import pytest

import flowkit
from flowkit.compat.crewai.flow import (
    Flow,
    FlowState,
    InputProvider,
    InputResponse,
    flow_config,
    human_feedback,
    listen,
    start,
)
from tests.compat.people import Person, Shelf


@pytest.fixture(autouse=True)
def _config():
    yield
    flow_config.hitl_provider = flow_config.input_provider = None


class Answers:
    """Gives its answers in order; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def request_input(self, message, flow, metadata=None):
        self.asked.append((message, flow, metadata))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Sync(Flow):
    @start()
    def talk(self):
        return self.ask("Name?"), self.ask("Age?", metadata={"kind": "number"})


class Async(Flow):
    @start()
    async def talk(self):
        return self.ask("Name?"), self.ask("Age?", metadata={"kind": "number"})


@pytest.mark.parametrize("kind", [Sync, Async])
def test_answers_in_order(kind):
    """The answer itself, in sync and async steps; metadata as given, or None."""
    who = Answers("ann", InputResponse("7", metadata={"by": "phone"}))
    flow = kind(input_provider=who)
    assert flow.kickoff() == ("ann", "7")
    assert who.asked == [
        ("Name?", flow, None),
        ("Age?", flow, {"kind": "number"}),
    ]
    assert who.asked[0][1] is flow


@pytest.mark.parametrize("kind", [Sync, Async])
async def test_answers_on_both_loops(kind):
    """A provider may be a coroutine function."""

    class Coroutine:
        async def request_input(self, message, flow, metadata=None):
            return message.lower()

    assert await kind(input_provider=Coroutine()).kickoff_async() == ("name?", "age?")


@pytest.mark.parametrize(
    "answer", ["", "x", None, InputResponse(""), InputResponse(None)]
)
def test_nothing_and_none_are_told_apart(answer):
    """An empty text is an answer."""
    flow = Sync(input_provider=Answers(answer, "z"))
    expected = answer.text if isinstance(answer, InputResponse) else answer
    assert flow.kickoff() == (expected, "z")


def test_provider_order_is_flow_config_console(monkeypatch, capsys):
    """Constructor, class attribute or assigned; then the process's; then the console."""
    monkeypatch.setattr("builtins.input", lambda prompt: "typed")
    assert Sync().kickoff() == ("typed", "typed")
    assert capsys.readouterr().out == "Name?\nAge?\n"
    flow_config.input_provider = Answers("config", "config")
    assert Sync().kickoff() == ("config", "config")

    class Attribute(Sync):
        input_provider = Answers("class", "class")

    assert Attribute().kickoff() == ("class", "class")
    flow = Sync()
    flow.input_provider = who = Answers("mine", "mine")
    assert flow.input_provider is who
    assert flow.kickoff() == ("mine", "mine")


def test_failing_provider_gives_none_and_is_logged(caplog):
    """The step goes on."""
    flow = Sync(input_provider=Answers(KeyError("slack"), "7"))
    with caplog.at_level(logging.ERROR):
        assert flow.kickoff() == (None, "7")
    assert "the input provider failed on 'Name?'" in caplog.text
    assert "slack" in caplog.text


@pytest.mark.parametrize("asynchronous", [False, True])
def test_timeout_gives_none_and_waits_for_nobody(asynchronous):
    """The provider's thread is left to itself."""
    release, ended = threading.Event(), threading.Event()

    class Slow:
        def request_input(self, message, flow, metadata=None):
            release.wait(30)
            ended.set()
            return "late"

    class Asks(Flow):
        if asynchronous:

            @start()
            async def talk(self):
                return self.ask("?", timeout=0.01)
        else:

            @start()
            def talk(self):
                return self.ask("?", 0.01)

    assert Asks(input_provider=Slow()).kickoff() is None
    assert not ended.is_set()
    release.set()
    assert ended.wait(30)


def test_answer_within_the_timeout():
    """Is the answer."""

    class Asks(Flow):
        @start()
        def talk(self):
            return self.ask("?", timeout=30, metadata={"a": 1})

    who = Answers("yes")
    assert Asks(input_provider=who).kickoff() == "yes"
    assert who.asked[0][2] == {"a": 1}


class Named(FlowState):
    name: str = ""
    turns: list[str] = []


def test_checkpoint_before_each_question():
    """With the state as the step sees it; nothing else is saved."""
    shelf = Shelf()
    seen = []

    class Looks:
        def request_input(self, message, flow, metadata=None):
            seen.append([name for _, name, _ in shelf.calls])
            assert isinstance(flow.state, Named)
            return message

    class Asks(Flow[Named]):
        @start()
        def talk(self):
            self.state.turns.append("a")
            self.state.name = self.ask("one")
            self.state.turns.append("b")
            self.ask("two")

    flow = Asks(persistence=shelf, input_provider=Looks())
    flow.kickoff()
    assert seen == [["_ask_checkpoint"], ["_ask_checkpoint"] * 2]
    id = flow.flow_id
    assert [state for _, _, state in shelf.calls] == [
        {"id": id, "name": "", "turns": ["a"]},
        {"id": id, "name": "one", "turns": ["a", "b"]},
    ]


def test_checkpoint_of_parallel_steps():
    """Each shows its own view, as a plain dictionary."""
    shelf = Shelf()

    class Asks(Flow):
        @start()
        def left(self):
            self.state["left"] = self.ask("l")

        @start()
        def right(self):
            self.state["mine"] = 1
            self.state["right"] = self.ask("r")

    flow = Asks(persistence=shelf, input_provider=Answers("x", "x"))
    flow.kickoff()
    assert flow.state["left"] == flow.state["right"] == "x"
    assert [{} for _ in shelf.calls] == [{}, {}]
    assert sum("mine" in state for _, _, state in shelf.calls) >= 1


def test_ask_and_feedback_mix():
    """In one flow."""

    class Mixed(Flow):
        @start()
        @human_feedback("fine?", provider=Person("fine"))
        def draft(self):
            return self.ask("topic?")

        @listen(draft)
        def after(self, said):
            return said.output, said.feedback, self.ask("more?")

    flow = Mixed(input_provider=Answers("tides", "no"))
    assert flow.kickoff() == ("tides", "fine", "no")


def test_a_step_may_be_called_ask():
    """It hides the verb on that class and nothing else."""

    class Asks(Flow):
        @start()
        def ask(self):
            return "step"

    assert Asks().kickoff() == "step"


def test_protocol_and_response():
    """Checked at run time; the response has text and metadata."""
    assert isinstance(Answers(), InputProvider)
    assert not isinstance(object(), InputProvider)
    assert InputResponse("x") == InputResponse(text="x", metadata=None)
    assert flowkit.InputResponse is InputResponse
