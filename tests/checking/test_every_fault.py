"""Each kind of fault that is looked for: with place and cure, by whoever looks."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from flowkit import DefinitionError, FlowkitWarning
from flowkit.checking import check

HEAD = """
import time
from typing import Literal
from flowkit import Flow, and_, listen, or_, router, start

"""

KINDS = {
    "unreachable": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @listen("c")
            def b(self): ...

            @listen(b)
            def c(self): ...
        """,
        "b",
        "hint",
        "Shop.b can never run: nothing that starts leads to it. Begin it with @start, or have it listen to what a step that runs leads to. (PLACE)",
        None,
    ),
    "nobody emits": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @listen("nowhere")
            def b(self): ...
        """,
        "b",
        "warning",
        "Shop.b listens to 'nowhere', but no step, route or event has that name. It can come only from outside, by send(); then use event(..). (PLACE)",
        "warning",
    ),
    "mistyped": (
        """
        class Shop(Flow):
            @start()
            def load(self): ...

            @listen("laod")  # codespell:ignore
            def b(self): ...
        """,
        "b",
        "error",
        "Shop.b listens to 'laod', but no step, route or event has that name. Did you mean 'load'? (PLACE)",
        "error",
    ),
    "nobody takes": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @router(a, emit=["yes", "no"])
            def b(self): ...

            @listen("yes")
            def c(self): ...
        """,
        "b",
        "warning",
        "Shop.b declares 'no', but no step listens to it; the branch ends there. (PLACE)",
        "warning",
    ),
    "nobody takes, by the source": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @router(a)
            def b(self):
                return "no"
        """,
        "b",
        "hint",
        "Shop.b returns 'no', as its source shows, but no step listens to it; the branch ends there. (PLACE)",
        None,
    ),
    "never met": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @router(a)
            def r(self) -> Literal["yes", "no"]: ...

            @listen(and_("yes", "no"))
            def b(self): ...
        """,
        "b",
        "error",
        "Shop.b waits for and_(yes, no), which can never be met: r runs once and chooses one of 'yes' and 'no'. Write or_(..) if either is enough, or have the router return both labels. (PLACE)",
        None,
    ),
    "no exit": (
        """
        class Shop(Flow):
            @start()
            def a(self): ...

            @listen(or_(a, "c"))
            def b(self): ...

            @listen(b)
            def c(self): ...
        """,
        "b",
        "hint",
        "Shop.b is in a circle without an exit (b, c): nothing in it chooses to leave. Put a router into it. (PLACE)",
        None,
    ),
    "types": (
        """
        class Shop(Flow):
            @start()
            def a(self) -> int: ...

            @listen(a)
            def b(self, given: str): ...
        """,
        "b",
        "warning",
        "Shop.b takes given: str, but a gives int. Change one of the two, or put a step between them. (PLACE)",
        None,
    ),
    "blocking": (
        """
        class Shop(Flow):
            @start()
            async def b(self):
                time.sleep(1)
        """,
        "b",
        "hint",
        "Shop.b is async and calls time.sleep(), which stops the event loop and every run on it. Use `await anyio.sleep(..)`, or `await self.sleep(..)`, or make the step synchronous: it runs in a thread then. (PLACE)",
        None,
    ),
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a flow to a file; gives the file and what loads it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source, strict=""):
        path = tmp_path / "shop_of_faults.py"
        text = HEAD + textwrap.dedent(source).lstrip()
        path.write_text(text.replace("(Flow)", f"(Flow{strict})"))

        def load():
            name = path.stem
            spec = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            finally:
                del sys.modules[name]
            return module.Shop

        return path, load

    return write


def unplaced(text):
    """A fault without its line, which must be there."""
    plain, count = re.subn(r"\((?:\S*/)?shop_of_faults\.py:\d+\)$", "(PLACE)", text)
    assert count == 1, text
    return plain


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_tells_it(kind, written):
    """With its level, its step, its file and line, and what to do."""
    source, step, level, text, _ = KINDS[kind]
    path, _ = written(source)
    found = [each for each in check(str(path)) if each.step == step]
    told = [each for each in found if unplaced(each.text) == text]
    assert [(each.level, each.flow) for each in told] == [(level, "Shop")]
    assert Path(told[0].file).name == path.name
    line = path.read_text().splitlines()[told[0].line - 1]
    assert step in line or "@" in line or "time.sleep" in line


@pytest.mark.parametrize("kind", KINDS)
def test_class_creation_tells_it(kind, written):
    """What makes no sense is refused, what may be meant is warned of; or nothing."""
    source, _, _, text, how = KINDS[kind]
    _, load = written(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if how == "error":
            with pytest.raises(DefinitionError) as refused:
                load()
            assert text in "\n".join(map(unplaced, refused.value.faults))
            return
        load()
    said = [
        unplaced(str(each.message))
        for each in caught
        if issubclass(each.category, FlowkitWarning)
    ]
    assert (text in said) == (how == "warning")


@pytest.mark.parametrize("kind", ["nobody emits", "nobody takes", "never met"])
def test_a_strict_class_is_refused(kind, written):
    """For a warning, and for a join that can never be met."""
    source, _, _, text, _ = KINDS[kind]
    _, load = written(source, ", strict=True")
    with pytest.raises(DefinitionError) as refused:
        load()
    assert [unplaced(each) for each in refused.value.faults] == [text]


@pytest.mark.filterwarnings("ignore::flowkit.FlowkitWarning")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mistyped"])
def test_a_picture_marks_it(kind, written, tmp_path):
    """At its step, by its level."""
    source, step, level, text, _ = KINDS[kind]
    _, load = written(source)
    drawn = json.loads(Path(load().plot(tmp_path / "shop.json")).read_text())
    (node,) = [each for each in drawn["nodes"] if each["name"] == step]
    tips = [each["tip"] for each in node["marks"] if each["icon"] == level]
    start = text.removeprefix(f"Shop.{step} ").split(". ")[0]
    assert any(start.startswith(tip.partition(": ")[2][:40]) for tip in tips), tips
