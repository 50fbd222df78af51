"""What can be checked: flows, modules, files, folders, and what an import refuses."""

from __future__ import annotations

import sys
import textwrap
from importlib import import_module

import pytest

import flowkit
from flowkit import Fault, Flow, check, listen, start
from flowkit.errors import DefinitionError, InputError
from flowkit.runtime.kinds import known
from tests.docs.pages import ROOT
from tests.testing import flows

FAULTY = """
    import time
    from typing import Literal
    from flowkit import Flow, and_, listen, router, start

    class Orders(Flow):
        @start()
        @router()
        def check(self) -> Literal["ok", "bad"]:
            return "ok"

        @listen(and_("ok", "bad"))
        async def both(self):
            time.sleep(1)

        @listen("both")
        def itself(self, both: int): ...

        @listen("itself")
        def itself_too(self): ...

    class Other(Flow):
        @start()
        def kickoff(self): ...

        @listen("loop")
        def loop(self): ...
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a package, a script and what is no flow."""
    package = tmp_path / "shop_checked"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(textwrap.dedent(FAULTY))
    (tmp_path / "plain.py").write_text("raise ValueError\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.py").write_text("import flowkit\nraise ValueError\n")
    before = set(known)
    yield tmp_path
    for cls in set(known) - before:
        del known[cls]
    for name in [name for name in sys.modules if name.startswith("shop_checked")]:
        del sys.modules[name]


ORDERS = [
    ("error", "both", "Orders"),
    ("hint", "both", "Orders"),
    ("error", "kickoff", "Other"),
    ("error", "loop", "Other"),
]


def short(faults):
    return [(each.level, each.step, each.flow) for each in faults]


def test_a_folder_is_checked_with_all_its_flows(project) -> None:
    """Also those that Python would refuse to import, and what comes after them."""
    faults = check(project)
    assert short(faults) == ORDERS
    assert faults[1].file == str(project / "shop_checked" / "orders.py")
    assert faults[1].line == 14
    assert faults[2].text == (
        "Other.kickoff takes the name of a Flow verb. Rename the step. (orders.py:23)"
    )


def test_a_file_a_module_and_a_class_are_checked(project, monkeypatch) -> None:
    """By path, by name, by object."""
    file = project / "shop_checked" / "orders.py"
    assert short(check(str(file))) == ORDERS
    monkeypatch.syspath_prepend(str(project))
    assert short(check("shop_checked.orders")) == ORDERS
    assert short(check("shop_checked.orders:Other")) == ORDERS[2:]
    with pytest.raises(DefinitionError):
        import_module("shop_checked.orders")


def test_a_flow_without_faults_has_none() -> None:
    """An object, a class, a module."""
    assert check(flows.Order()) == []
    assert check(flows.Parcels) == []
    assert check(flows) == []
    assert check("tests.testing.flows:Adds") == []


def test_code_that_cannot_be_imported_is_a_fault(tmp_path) -> None:
    """With its place; nothing else of the folder is lost."""
    (tmp_path / "broken_a.py").write_text("from flowkit import Flow\n\n1 / 0\n")
    (tmp_path / "broken_b.py").write_text("import flowkit\nclass(\n")
    (tmp_path / "broken_c.py").write_text("import flowkit, no_such_module\n")
    (tmp_path / "time.py").write_text("import flowkit\nraise KeyError('x')\n")
    (tmp_path / "broken_d.py").write_text("from flowkit import start\nstart(on=3)\n")
    faults = check(tmp_path)
    for name in ("broken_a", "broken_b", "broken_c", "broken_d"):
        sys.modules.pop(name, None)
    end = " Mend that first; the rest of it is not checked."
    assert [each.text for each in faults] == [
        (
            "broken_a cannot be imported: ZeroDivisionError: division by zero."
            f"{end} (broken_a.py:3)"
        ),
        (
            "broken_b cannot be imported: SyntaxError: invalid syntax (broken_b.py, line 2)."
            f"{end} (broken_b.py:2)"
        ),
        (
            "broken_c cannot be imported: ModuleNotFoundError: No module named "
            f"'no_such_module'.{end} (broken_c.py:1)"
        ),
        (
            "broken_d cannot be imported: ValueError: Invalid condition: 3 is not one. Give "
            "a step, a name, event(..), timer(..), or a condition such as or_(..), "
            f"and_(..).{end} (broken_d.py:2)"
        ),
        f"{tmp_path / 'time.py'} cannot be imported: KeyError: 'x'.{end} (time.py:2)",
    ]
    assert {each.level for each in faults} == {"error"}


def test_what_is_not_there_is_the_callers_error(tmp_path) -> None:
    """With what was meant."""
    wrong = {
        "no_such_module": "There is no module 'no_such_module' to check.",
        "tests.no_such": "There is no module 'tests.no_such' to check.",
        "tests.testing.flows:Ordr": (
            "tests.testing.flows has no flow 'Ordr'. Did you mean 'Order'?"
        ),
        "tests.testing.flows:X": (
            "tests.testing.flows has no flow 'X'. It has Order, Parcels, Adds, Apart."
        ),
        str(tmp_path / "x.py"): (
            f"There is no file or folder {str(tmp_path / 'x.py')!r} to check."
        ),
        3: "check() takes a flow, a module, or the name or path of one, not 3.",
    }
    for target, text in wrong.items():
        with pytest.raises(InputError) as caught:
            check(target)
        assert str(caught.value) == text


def test_classes_are_refused_as_ever_outside_a_check() -> None:
    """Also after one."""
    check(flows)
    with pytest.raises(DefinitionError):

        class Itself(Flow):
            @listen("again")
            def again(self): ...


def test_labels_that_the_source_shows_and_nobody_takes_are_hinted_at() -> None:
    """Declared ones are a warning at class creation."""

    class Shows(Flow):
        @start()
        @flowkit.router()
        def check(self):
            return "ok" if self.state else "bad"

        @listen("ok")
        def good(self): ...

    line = Shows.check.__code__.co_firstlineno
    assert check(Shows) == [
        Fault(
            "hint",
            "check",
            "Shows.check returns 'bad', as its source shows, but no step listens to it; "
            f"the branch ends there. (test_targets.py:{line})",
            "Shows",
            __file__,
            line,
        )
    ]


@pytest.mark.parametrize(
    "module",
    [
        "tests.acceptance.flows",
        "tests.plot.flows",
        "tests.runtime.durable_flows",
        "tests.runtime.test_runner",
        "tests.runtime.test_verbs",
        "tests.test_flow",
        "tests.testing.flows",
    ],
)
def test_flows_that_are_run_elsewhere_are_without_errors(module) -> None:
    """Whatever is played, joined and looped in these files works."""
    assert [each.text for each in check(module) if each.level == "error"] == []


def test_every_flow_of_the_examples_is_without_errors() -> None:
    """No false alarm on what is known to work."""
    faults = check(ROOT / "examples")
    assert [each.text for each in faults if each.level != "hint"] == []
