"""The section 'Modules' of the contract: every name at every path."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import flowkit

ROOT = "flowkit.compat.crewai"
AUTHORING = ("Flow", "FlowState", "and_", "listen", "or_", "router", "start")
PICTURES = ("build_flow_structure", "visualize_flow_structure")
PEOPLE = (
    "ConsoleProvider",
    "FlowPersistence",
    "HumanFeedbackPending",
    "HumanFeedbackProvider",
    "HumanFeedbackResult",
    "InputProvider",
    "InputResponse",
    "PendingFeedbackContext",
    "SQLiteFlowPersistence",
    "flow_config",
    "human_feedback",
    "persist",
)
PATHS = {
    "": AUTHORING + PICTURES + PEOPLE,
    ".flow": AUTHORING + PICTURES + PEOPLE,
    ".flow.flow": (*AUTHORING, "human_feedback", "persist"),
    ".flow.visualization": PICTURES,
    ".flow.visualization.builder": ("build_flow_structure",),
    ".flow.persistence": ("FlowPersistence", "SQLiteFlowPersistence", "persist"),
    ".flow.persistence.base": ("FlowPersistence",),
    ".flow.persistence.sqlite": ("SQLiteFlowPersistence",),
    ".flow.persistence.decorators": ("persist",),
    ".flow.human_feedback": ("HumanFeedbackResult", "human_feedback"),
    ".flow.async_feedback": (
        "ConsoleProvider",
        "HumanFeedbackPending",
        "HumanFeedbackProvider",
        "PendingFeedbackContext",
    ),
    ".flow.async_feedback.providers": ("ConsoleProvider",),
    ".flow.async_feedback.types": (
        "HumanFeedbackPending",
        "HumanFeedbackProvider",
        "PendingFeedbackContext",
    ),
    ".flow.input_provider": ("InputProvider", "InputResponse"),
    ".flow.flow_config": ("flow_config",),
}
NAMES = [(ROOT + path, name) for path, names in PATHS.items() for name in names]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_name_is_flowkits_own(path, name):
    """Whatever the path, the object is the one that ``flowkit`` has."""
    module = importlib.import_module(path)
    assert getattr(module, name) is getattr(flowkit, name)
    assert name in module.__all__
    assert name in dir(module)


@pytest.mark.parametrize("path", [ROOT + path for path in PATHS])
def test_unknown_name_is_an_attribute_error(path):
    """A name that flowkit does not have fails at import, not later."""
    module = importlib.import_module(path)
    with pytest.raises(AttributeError, match=f"'{path}' has no attribute 'Crew'"):
        _ = module.Crew
    with pytest.raises(ImportError):
        exec(f"from {path} import Crew")


TRAPS = [
    "",
    "import flowkit.compat.crewai.flow.flow_config;",
    "import flowkit.compat.crewai.flow.human_feedback;",
    "from flowkit.compat.crewai.flow.flow_config import flow_config;",
    "from flowkit.compat.crewai.flow.human_feedback import HumanFeedbackResult;",
    "import flowkit.compat.crewai.flow.persistence.sqlite;",
]


@pytest.mark.parametrize("before", TRAPS)
def test_submodules_do_not_take_a_names_place(before):
    """``flow_config`` is the object and ``human_feedback`` the decorator, always."""
    code = (
        f"{before}"
        "import flowkit;"
        "from flowkit.compat.crewai.flow import flow_config, human_feedback;"
        "assert flow_config is flowkit.flow_config;"
        "assert human_feedback is flowkit.human_feedback;"
        "import flowkit.compat.crewai.flow.flow_config;"
        "import flowkit.compat.crewai.flow.human_feedback;"
        "from flowkit.compat.crewai.flow import flow_config, human_feedback;"
        "assert flow_config is flowkit.flow_config;"
        "assert human_feedback is flowkit.human_feedback;"
        "from flowkit.compat.crewai import flow_config;"
        "assert flow_config is flowkit.flow_config"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compat_is_light():
    """Persistence loads pydantic; the rest does not."""
    code = (
        "import sys, flowkit.compat.crewai as c;"
        "c.human_feedback, c.persist, c.flow_config, c.ConsoleProvider;"
        "print(*({'pydantic', 'asyncio', 'sqlite3', 'apsw', 'json'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "\n"
