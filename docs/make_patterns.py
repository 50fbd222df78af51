"""Writes docs/reference/patterns/ and its pictures from examples, tests and texts.

    python docs/make_patterns.py            runs the tests of the patterns first
    python docs/make_patterns.py --pages    with the results of the last time
    python docs/make_patterns.py --check    says what is out of date; runs no test

Needs the extra ``plot`` and the tools for tests. A pattern counts only while its tests
pass: the table is made of what they said, kept in ``results.json``.

To add a pattern, say WCP-12:

1. ``examples/patterns/wcp12_its_name.py``: one flow of a real case that a person would
   copy, fake services as plain functions that take ``SECONDS`` of ``anyio.sleep``, a
   ``main()`` that prints the same at every run. The file's last flow class is drawn.
2. A test in ``tests/patterns/``, marked ``@pytest.mark.pattern(12)``; its docstring's
   first line stands on the page. ``stage.py`` plays flows in a time of its own.
   ``cases.py`` has a line for the crash tests. What does not work yet is a strict
   ``xfail`` whose reason is shown; the pattern then counts as ``±``.
3. ``construct`` and ``behaviour`` in ``docs/patterns.toml``.
4. Run this. ``tests/docs/test_patterns.py`` fails while something is out of date.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import tomllib
import types
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from flowkit import Flow

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference" / "patterns"
PICTURES = ROOT / "docs" / "pictures" / "patterns"
RESULTS = PAGES / "results.json"
SYSTEMS = {"crewai": "CrewAI Flows", "langgraph": "LangGraph", "bpmn": "BPMN 2.0"}
FAMILIES = (
    "Basic",
    "Branching and joins",
    "Multiple instances",
    "State",
    "Cancellation",
    "Iteration",
    "Termination",
    "Triggers",
)
MARKS = """\
`+` one construct or documented idiom, `±` a workaround with bookkeeping of one's own,
`-` not possible inside the model. `*`: run, or read in the source; the other marks are
our judgement from the documentation. CrewAI Flows 1.15.30, LangGraph 1.2.22; BPMN 2.0
as its engines execute it (Camunda 7 and 8, Flowable)."""
HEAD = """\
# Workflow patterns

The 43 control-flow patterns of Russell, ter Hofstede, van der Aalst and Mulyar
(*Workflow Control-Flow Patterns: A Revised View*, 2006) are what workflow languages are
measured by. Each page has the pattern in our own words, a flow to copy, its picture,
what happens and when, and how others stand to it. Which rules are behind it:
[what runs when](../../explanation/semantics.md).

**flowkit today: {whole} of 43{partly}.** A pattern counts while its tests pass: this
table is made from them by `docs/make_patterns.py`. `±` means that a part is missing,
which its page names; an empty row is not there yet.

| WCP | pattern | in flowkit | tests | flowkit | CrewAI | LangGraph | BPMN |
|--:|---|---|--:|:-:|:-:|:-:|:-:|
"""


class Proof(NamedTuple):
    """What became of one test function: its cases on all backends.

    Attributes:
        test: path and name.
        says: the first line of its docstring.
        passed: cases that passed.
        failed: cases that did not.
        missing: why cases are expected to fail.
        gaps: how many these are.
    """

    test: str
    says: str
    passed: int = 0
    failed: int = 0
    missing: str = ""
    gaps: int = 0

    @property
    def cases(self) -> int:
        """All of them."""
        return self.passed + self.failed + self.gaps


class Pattern(NamedTuple):
    """One of the 43: its texts, its example if there is one, and its tests."""

    number: int
    text: dict[str, Any]
    example: Path | None
    proofs: tuple[Proof, ...]

    @property
    def page(self) -> str:
        """The name of its page."""
        return f"wcp{self.number:02}.md"

    @property
    def mark(self) -> str:
        """``+`` if all its tests pass, ``±`` if some are expected not to, else ""."""
        proofs = self.proofs
        if self.example is None or not proofs or any(each.failed for each in proofs):
            return ""
        if any(each.gaps for each in proofs):
            return "±"
        return "+" if any(each.passed for each in proofs) else ""


class Recorder:
    """A pytest plugin that notes what becomes of the tests of each pattern."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, str, tuple[int, ...]]] = {}
        self.said: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Which tests prove which patterns."""
        for item in items:
            numbers = tuple(mark.args[0] for mark in item.iter_markers("pattern"))
            says = (item.obj.__doc__ or "").strip().partition("\n")[0]
            path = Path(item.path).relative_to(ROOT).as_posix()
            name = f"{path}::{item.originalname}"
            if numbers:
                self.found[item.nodeid] = name, says, numbers

    def pytest_runtest_logreport(self, report: Any) -> None:
        """How one of them ended; a fault before or after it counts as its own."""
        expected = getattr(report, "wasxfail", None)
        if expected is not None:
            self.said[report.nodeid] = "expected", expected.removeprefix("reason: ")
        elif report.failed:
            self.said[report.nodeid] = "failed", ""
        elif report.when == "call":
            self.said.setdefault(report.nodeid, (report.outcome, ""))

    def results(self) -> dict[int, list[Proof]]:
        """Per pattern, in the order of the tests."""
        found: dict[int, dict[str, Proof]] = {}
        for node, (name, says, numbers) in self.found.items():
            outcome, why = self.said.get(node, ("collected", ""))
            for number in numbers:
                proofs = found.setdefault(number, {})
                proof = proofs.get(name) or Proof(name, says)
                if outcome == "expected":
                    proof = proof._replace(gaps=proof.gaps + 1, missing=why)
                elif outcome == "failed":
                    proof = proof._replace(failed=proof.failed + 1)
                else:
                    proof = proof._replace(passed=proof.passed + 1)
                proofs[name] = proof
        return {number: list(found[number].values()) for number in sorted(found)}


def run_tests(*, collect: bool = False) -> dict[int, list[Proof]]:
    """Run the tests of the patterns, or only collect them: then all count as passed."""
    import pytest

    recorder = Recorder()
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    if collect:
        options += ["--collect-only"]
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main([*options, str(ROOT / "tests" / "patterns")], plugins=[recorder])
    return recorder.results()


def write_results(results: dict[int, list[Proof]]) -> None:
    """Keep what the tests said."""
    plain = {
        number: [each._asdict() for each in proofs]
        for number, proofs in results.items()
    }
    text = json.dumps(plain, indent=1, ensure_ascii=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def read_results() -> dict[int, list[Proof]]:
    """What the tests said the last time."""
    if not RESULTS.exists():
        return {}
    plain = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {int(number): [Proof(**each) for each in plain[number]] for number in plain}


def patterns() -> list[Pattern]:
    """All 43, by number."""
    folder = ROOT / "examples" / "patterns"
    examples = {int(path.name[3:5]): path for path in folder.glob("wcp*.py")}
    with (ROOT / "docs" / "patterns.toml").open("rb") as file:
        texts = tomllib.load(file)["pattern"]
    results = read_results()
    return [
        Pattern(
            text["number"],
            text,
            examples.get(text["number"]),
            tuple(results.get(text["number"], ())),
        )
        for text in texts
    ]


def performed(example: Path) -> tuple[type[Flow], str]:
    """Run an example as a script; gives the flow that it shows, and what it prints."""
    code = compile(example.read_text(encoding="utf-8"), str(example), "exec")
    main = types.ModuleType("__main__")
    before, sys.modules["__main__"] = sys.modules["__main__"], main
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(code, vars(main))  # noqa: S102 - our own examples
    finally:
        sys.modules["__main__"] = before
    flows = [
        value
        for value in vars(main).values()
        if isinstance(value, type) and issubclass(value, Flow) and value is not Flow
    ]
    return flows[-1], printed.getvalue()


def page_of(pattern: Pattern, flow: type[Flow], printed: str) -> str:
    """A pattern's page."""
    assert pattern.example is not None  # noqa: S101 - only these have a page
    text = pattern.text
    example = pattern.example.relative_to(ROOT)
    path = example.as_posix()
    about = (
        f"*{text['family']}. In flowkit: {text['construct']}. [All patterns](index.md)*"
    )
    picture = f"../../pictures/patterns/wcp{pattern.number:02}.svg"
    run = f"python -m {'.'.join(example.with_suffix('').parts)}"
    parts = [
        f"# WCP-{pattern.number} {text['name']}",
        about,
        text["definition"],
        f"![The flow {flow.__name__}]({picture})",
        f"## Code\n\nFrom [{path}](../../../{path}); `{run}` runs it.",
        f"```python\n{pattern.example.read_text(encoding='utf-8')}```",
        f"```text\n{printed}```",
        "## What happens\n\n" + "\n".join(f"- {each}" for each in text["behaviour"]),
        _proved(pattern),
        _elsewhere(pattern),
    ]
    return "\n\n".join(parts) + "\n"


def _proved(pattern: Pattern) -> str:
    lines = ["## Proved by", ""]
    for each in pattern.proofs:
        link = each.test.partition("::")[0]
        says = each.says.rstrip(".")
        if each.missing:
            lines.append(f"- **Missing:** {each.missing}. ([test](../../../{link}))")
            continue
        cases = f"{each.passed} cases" if each.passed != 1 else "1 case"
        failed = f", **{each.failed} failed**" if each.failed else ""
        lines.append(f"- {says}. ([{cases}](../../../{link}){failed})")
    return "\n".join(lines)


def _elsewhere(pattern: Pattern) -> str:
    rows = ["## Elsewhere", "", "| | | |", "|---|:-:|---|"]
    for key, title in SYSTEMS.items():
        mark, why = pattern.text[key]
        rows.append(f"| {title} | `{mark}` | {why} |")
    return "\n".join([*rows, "", MARKS])


def index_of(every: list[Pattern]) -> str:
    """The table of all 43."""
    marks = [each.mark for each in every]
    partly = f", and {marks.count('±')} in part" if "±" in marks else ""
    lines = [HEAD.format(whole=marks.count("+"), partly=partly).rstrip("\n")]
    for family in FAMILIES:
        lines.append(f"| | **{family}** | | | | | | |")
        lines += [_row(each) for each in every if each.text["family"] == family]
    counts = "; ".join(f"{SYSTEMS[key]} {_count(every, key)}" for key in SYSTEMS)
    return "\n".join([*lines, "", f"In whole and in part: {counts}.", "", MARKS, ""])


def _row(pattern: Pattern) -> str:
    text, name = pattern.text, pattern.text["name"]
    construct = passed = mark = ""
    if pattern.example is not None:
        name = f"[{name}]({pattern.page})"
        construct = text["construct"]
        passed = str(sum(each.passed for each in pattern.proofs))
        mark = f"`{pattern.mark}`" if pattern.mark else ""
    others = " | ".join(f"`{text[key][0]}`" for key in SYSTEMS)
    row = f"| {pattern.number} | {name} | {construct} | {passed} | {mark} | {others} |"
    return row.replace("|  |", "| |").replace("|  |", "| |")


def _count(every: list[Pattern], key: str) -> str:
    marks = [each.text[key][0].rstrip("*") for each in every]
    return f"{marks.count('+')} and {marks.count('±')}"


def drawn(flow: type[Flow]) -> str:
    """A flow's picture, as its ``plot`` makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.svg"
        flow.plot(path)
        return path.read_text(encoding="utf-8")


def made() -> dict[Path, str]:
    """Every page and picture, by path, as it should be."""
    every = patterns()
    files = {PAGES / "index.md": index_of(every)}
    for each in every:
        if each.example is not None:
            flow, printed = performed(each.example)
            files[PAGES / each.page] = page_of(each, flow, printed)
            files[PICTURES / f"wcp{each.number:02}.svg"] = drawn(flow)
    return files


def stale() -> list[str]:
    """What is out of date, one sentence each; empty if nothing is."""
    there = {
        (number, each.test): (each.says, each.cases)
        for number, proofs in run_tests(collect=True).items()
        for each in proofs
    }
    kept = {
        (number, each.test): (each.says, each.cases)
        for number, proofs in read_results().items()
        for each in proofs
    }
    found = [
        f"WCP-{number}: {test} has changed since results.json was written"
        for number, test in sorted(there.keys() | kept.keys())
        if there.get((number, test)) != kept.get((number, test))
    ]
    files = made()
    found += [
        f"{path.relative_to(ROOT)} is out of date"
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    found += [
        f"{path.relative_to(ROOT)} is of no pattern"
        for path in (*PAGES.glob("*.md"), *PICTURES.iterdir())
        if path not in files
    ]
    return found


def main() -> None:
    """Write all of it, or say what is out of date."""
    if "--check" in sys.argv:
        found = stale()
        print(*found, sep="\n")  # noqa: T201
        sys.exit(1 if found else 0)
    PAGES.mkdir(exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    if "--pages" not in sys.argv:
        write_results(run_tests())
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT), len(text))  # noqa: T201


if __name__ == "__main__":
    main()
