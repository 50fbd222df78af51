"""The reference is complete and says what the docstrings say."""

from __future__ import annotations

import importlib.util
import inspect
import re

import pytest
from blinker import Signal

import flowkit
import pytest_flowkit
from flowkit import errors, testing
from flowkit.runtime import signals
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


def _maker():
    path = ROOT / "docs" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()
CALLS = [name for name in flowkit.__all__ if inspect.isfunction(getattr(flowkit, name))]


@pytest.mark.parametrize("page", ["api.md", "cli.md", "signals.md", "testing.md"])
def test_page_is_made_from_the_docstrings(page):
    """Docstrings have changed: run ``python docs/make_reference.py``."""
    assert (REFERENCE / page).read_text(encoding="utf-8") == MAKER.pages()[page]


def test_every_public_name_has_a_section():
    """A new name in ``flowkit.__all__`` must be placed in the reference."""
    placed = [name for names in MAKER.SECTIONS.values() for name in names]
    assert sorted(placed) == sorted(flowkit.__all__)


def test_the_whole_kit_is_in_its_page():
    """Each name of ``flowkit.testing`` and each fixture of the plugin."""
    placed = [name for names in MAKER.KIT.values() for name in names]
    assert sorted(placed) == sorted(testing.__all__)
    there = [name for name, value in vars(pytest_flowkit).items() if _is_fixture(value)]
    assert sorted(there) == sorted(MAKER.FIXTURES)


def _is_fixture(value):
    return type(value).__name__ == "FixtureFunctionDefinition"


@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_is_shown(name):
    """A function's section has each of its parameters."""
    text = MAKER.api().partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    for parameter in inspect.signature(getattr(flowkit, name)).parameters:
        assert re.search(rf"\b{parameter}\b", text), parameter


def _class(name):
    """Of the root, or of its module of function flows."""
    found = getattr(flowkit, name, None)
    return getattr(flowkit.functions, name) if found is None else found


@pytest.mark.parametrize("owner", MAKER.MEMBERS)
def test_every_method_of_a_users_class_is_shown(owner):
    """What users call is in the reference; a run has further verbs for its runner."""
    shown = set(MAKER.MEMBERS[owner])
    public = {
        name
        for base in _class(owner).__mro__[:-1]
        for name, value in vars(base).items()
        if not name.startswith("_") and hasattr(value, "__get__")
    }
    assert shown <= public | {"plot", "definition"}
    if owner == "Flow":
        assert public <= shown


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_says_when_and_what_to_do(name):
    """errors.md has a row for each error, the warning a sentence."""
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    if name == "FlowkitWarning":
        assert "`FlowkitWarning`" in text
        return
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    _, _, also, when, cure, _ = row.split("|")
    assert when.strip()
    assert cure.strip()
    built_in = [base.__name__ for base in getattr(errors, name).__bases__[1:]]
    assert re.findall(r"`(\w+)`", also) == built_in


def test_every_signal_has_a_row():
    """signals.md lists each signal that can be connected to."""
    text = (REFERENCE / "signals.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    there = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
    assert sorted(rows) == sorted(there)
