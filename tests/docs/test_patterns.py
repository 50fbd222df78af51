"""The gallery of patterns says what its examples and tests say, and no more."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from tests.docs.pages import ROOT


def _maker():
    path = ROOT / "docs" / "make_patterns.py"
    spec = importlib.util.spec_from_file_location("make_patterns", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_patterns"] = module
    spec.loader.exec_module(module)
    return module


MAKER = _maker()
EVERY = MAKER.patterns()
THERE = [each for each in EVERY if each.example is not None]


def named(pattern):
    """As in the examples' file names."""
    return pattern.page[:-3]


def test_nothing_is_out_of_date():
    """Run ``python docs/make_patterns.py``; it says here what has changed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_patterns.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr[-2000:]


def test_the_table_has_all_43():
    """One row each, by number, also those that are not there yet."""
    assert [each.number for each in EVERY] == list(range(1, 44))
    assert {each.text["family"] for each in EVERY} == set(MAKER.FAMILIES)
    index = (MAKER.PAGES / "index.md").read_text(encoding="utf-8")
    rows = [line for line in index.splitlines() if line.startswith("| ")]
    numbers = [row.split("|")[1].strip() for row in rows]
    assert sorted(int(each) for each in numbers if each.isdigit()) == list(range(1, 44))


@pytest.mark.parametrize("pattern", EVERY, ids=named)
def test_no_pattern_is_claimed_without_proof(pattern):
    """A mark needs an example, texts of it, and tests none of which fails."""
    if pattern.mark:
        assert pattern.example is not None
        assert all(each.failed == 0 for each in pattern.proofs)
        assert all(each.says for each in pattern.proofs)
    else:
        assert pattern.example is None, "it has an example and no passing test"
    texts = {"construct", "behaviour"} & pattern.text.keys()
    assert bool(texts) == (pattern.example is not None)


@pytest.mark.parametrize("passed", [0, 1])
@pytest.mark.parametrize("gaps", [0, 1])
@pytest.mark.parametrize("failed", [0, 1])
def test_a_mark_is_what_the_tests_say(passed, gaps, failed):
    """``+`` if all pass, ``±`` if a part is known to be missing, nothing on a failure."""
    proof = MAKER.Proof("t.py::t", "It works.", passed, failed, "", gaps)
    mark = THERE[0]._replace(proofs=(proof,)).mark
    if failed or not (passed or gaps):
        assert mark == ""
    else:
        assert mark == ("±" if gaps else "+")
    assert THERE[0]._replace(example=None).mark == ""


@pytest.mark.parametrize("system", MAKER.SYSTEMS)
def test_every_pattern_says_how_others_stand_to_it(system):
    """With a mark of the legend and a reason."""
    for pattern in EVERY:
        mark, why = pattern.text[system]
        assert mark.rstrip("*") in {"+", "±", "-"}
        assert why.endswith(".")


@pytest.mark.parametrize("pattern", THERE, ids=named)
def test_a_picture_is_small_and_shows_every_step(pattern):
    """And it follows the reader's choice of light or dark."""
    drawn = (MAKER.PICTURES / f"{named(pattern)}.svg").read_text(encoding="utf-8")
    assert len(drawn) < 25_000
    assert "prefers-color-scheme: dark" in drawn
    assert ET.fromstring(drawn).get("role") == "img"
    flow, _ = MAKER.performed(pattern.example)
    for step in flow.definition().steps:
        assert f">{step.name}<" in drawn, step.name


@pytest.mark.parametrize("pattern", THERE, ids=named)
def test_an_example_says_how_it_is_run(pattern):
    """Its second line is the command; one of them is run as a reader would."""
    lines = pattern.example.read_text(encoding="utf-8").splitlines()
    module = f"examples.patterns.{pattern.example.stem}"
    assert lines[2] == f"python -m {module}"
    if pattern.number != 1:
        return
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    page = (MAKER.PAGES / pattern.page).read_text(encoding="utf-8")
    assert done.stderr == ""
    assert f"```text\n{done.stdout}```" in page
