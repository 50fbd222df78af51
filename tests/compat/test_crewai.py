"""CrewAI's import paths, and flows written for them."""

from __future__ import annotations

import json
import subprocess
import sys
from enum import Enum

import pytest
from pydantic import BaseModel

from flowkit.compat.crewai.flow.flow import (
    Flow,
    FlowState,
    and_,
    listen,
    or_,
    router,
    start,
)
from flowkit.compat.crewai.flow.visualization import build_flow_structure


def test_historic_path_is_as_light_as_flowkit():
    """Neither pydantic nor an event loop is loaded before it is needed."""
    code = (
        "import sys, flowkit.compat.crewai.flow.flow as f; f.Flow, f.start;"
        "print('pydantic' in sys.modules, 'asyncio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False False\n"


# Flows as CrewAI's users write them; nothing but the import above is flowkit's.


class Poem(FlowState):
    lines: int = 0
    text: str = ""


class Route(Enum):
    LONG = "long"
    SHORT = "short"


class PoemFlow(Flow[Poem]):
    """A model state, a router with an Enum, and inputs."""

    @start()
    def count(self):
        self.state.lines = self.state.lines or 3
        return self.state.lines

    @router(count)
    def size(self):
        return Route.LONG if self.state.lines > 2 else Route.SHORT

    @listen("long")
    def epic(self, label):
        self.state.text = f"{label}: {self.state.lines} lines"
        return self.state.text

    @listen("short")
    def haiku(self):
        self.state.text = "haiku"
        return self.state.text


class DictFlow(Flow):
    """Free-form state, ``or_``, ``and_``, an unannotated router, a loop."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit
        self.state["turns"] = 0

    @start()
    def first(self):
        return "first"

    @start()
    async def second(self):
        return "second"

    @listen(and_(first, second))
    def both(self):
        self.state["both"] = True

    @router(or_(both, "again"))
    def turn(self):
        self.state["turns"] += 1
        return "again" if self.state["turns"] < self.limit else "done"

    @listen("done")
    def report(self):
        return f"{self.state['topic']} after {self.state['turns']}"


def test_model_flow_runs():
    """State, router label and result are what CrewAI gives."""
    flow = PoemFlow()
    assert flow.kickoff() == "long: 3 lines"
    assert flow.state.text == "long: 3 lines"
    assert isinstance(flow.state, Poem)
    assert len(flow.state.id) == 36
    assert flow.method_outputs == [3, Route.LONG, "long: 3 lines"]


def test_inputs_fill_the_model():
    """``inputs`` are converted as pydantic does, and set the id."""
    flow = PoemFlow()
    assert flow.kickoff(inputs={"lines": "1", "id": "poem-1"}) == "haiku"
    assert flow.state.lines == 1
    assert flow.flow_id == "poem-1"


def test_dict_flow_with_own_constructor_loops():
    """A subclass's ``__init__``, plain attributes and dict state work."""
    flow = DictFlow(limit=3)
    assert flow.kickoff(inputs={"topic": "joins"}) == "joins after 3"
    assert flow.state["both"] is True
    assert isinstance(flow.state, dict)


async def test_kickoff_async_gives_the_same():
    """The awaited forms return what the blocking one does."""
    assert await PoemFlow().kickoff_async(inputs={"lines": 9}) == "long: 9 lines"
    assert await DictFlow(limit=2).akickoff(inputs={"topic": "t"}) == "t after 2"


async def test_kickoff_in_a_running_loop_keeps_the_steps_exception():
    """CrewAI replaces it by a complaint about ``asyncio.run``."""

    class Fails(Flow):
        @start()
        def fail(self):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        Fails().kickoff()


def test_model_without_id_gets_one():
    """``Flow[Model]`` keeps the model's class and adds the id."""

    class Plain(BaseModel):
        n: int = 1

    class WithPlain(Flow[Plain]):
        @start()
        def begin(self):
            return self.state.n

    flow = WithPlain()
    assert flow.kickoff() == 1
    assert isinstance(flow.state, Plain)
    assert flow.state.id


def test_plot_takes_a_relative_name(tmp_path, monkeypatch):
    """``plot(filename)`` writes there and returns the path."""
    monkeypatch.chdir(tmp_path)
    assert DictFlow(limit=1).plot("dict_flow.html") == "dict_flow.html"
    assert (tmp_path / "dict_flow.html").read_text().startswith("<!")


def test_structure_is_json():
    """Nodes and edges as CrewAI's ``build_flow_structure`` names them."""
    structure = json.loads(json.dumps(build_flow_structure(DictFlow(limit=1))))
    assert structure["start_methods"] == ["first", "second"]
    assert structure["router_methods"] == ["turn"]
    assert structure["nodes"]["both"]["condition_type"] == "AND"
    assert structure["nodes"]["turn"]["trigger_methods"] == ["both", "again"]
    assert {
        "source": "both",
        "target": "turn",
        "condition_type": "OR",
        "is_router_event": False,
    } in structure["edges"]
