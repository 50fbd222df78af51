"""Mermaid, DOT and JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from flowkit.core.definition import Definition, Leaf, Step
from flowkit.plot.diagram import Status, diagram
from flowkit.plot.dot import dot
from flowkit.plot.mermaid import mermaid
from flowkit.plot.plain import as_dict, as_json
from tests.plot.flows import HOSTILE, NESTED, NEWS, OPEN, chain, with_status

AWKWARD = Definition(
    HOSTILE,
    (
        Step(HOSTILE + "\nnext", start=True, doc=HOSTILE),
        Step("end", router=True, trigger=Leaf("x"), labels=(HOSTILE,)),
        Step("subgraph", trigger=Leaf(HOSTILE)),
    ),
)


def test_mermaid_shows_kinds_labels_and_loops() -> None:
    """Routers are hexagons, labels stand on the edges, the way back is thick."""
    text = mermaid(diagram(NEWS))
    assert text.startswith('---\ntitle: "Newsroom"\n---\nflowchart TD\n')
    assert 'n0(["collect"])' in text
    assert 'n1{{"review<br/>(any)"}}' in text
    assert 'n1 -->|"approved"| n3' in text
    assert "n2 ==> n1" in text
    assert '-->|"failed"|' in text


def test_mermaid_dashes_possible_edges() -> None:
    """A guess looks like one."""
    assert 'n0 -.->|"known_label"| n1' in mermaid(diagram(OPEN))


def test_mermaid_escapes_what_it_would_read_as_syntax() -> None:
    """No text of a flow ends its quotes, and ids are never a flow's names."""
    lines = mermaid(diagram(AWKWARD)).splitlines()[4:]
    for line in lines:
        assert re.fullmatch(r"    (n\d+\S?.*|classDef .*|class .*)", line)
        assert line.count('"') in {0, 2}
        for inner in re.findall('"(.*)"', line):
            assert not set(inner.replace("<br/>", "")) & set('<>"|`')


def test_dot_shows_kinds_labels_and_loops() -> None:
    """The same facts in DOT's words."""
    text = dot(diagram(NEWS))
    assert text.startswith('digraph "Newsroom" {\n')
    assert 'n1 -> n3 [label="approved"]' in text
    assert 'n2 -> n1 [style="bold"]' in text
    assert 'style="dashed"' in dot(diagram(OPEN))


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
@pytest.mark.parametrize("definition", [NEWS, OPEN, NESTED, AWKWARD, chain(30)])
def test_dot_is_what_graphviz_reads(definition: Definition) -> None:
    """Graphviz takes the text without a warning."""
    done = subprocess.run(
        ["dot", "-Tjson"],
        input=dot(diagram(definition)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(json.loads(done.stdout)["objects"]) == len(diagram(definition).nodes)


def test_texts_carry_a_run() -> None:
    """A status is words where there are no icons."""
    drawn = with_status(diagram(NEWS), {"collect": Status("done", "1.2 s")})
    assert "collect<br/>done 1.2 s" in mermaid(drawn)
    assert "collect\\ndone 1.2 s" in dot(drawn)
    assert as_dict(drawn)["nodes"][0]["status"] == {
        "state": "done",
        "note": "1.2 s",
        "count": 1,
        "story": (),
    }


def test_json_holds_the_whole_diagram() -> None:
    """Name, nodes, edges and loops, each with all its fields."""
    found = json.loads(as_json(diagram(NEWS)))
    assert list(found) == ["name", "nodes", "edges", "groups", "runs", "facts"]
    assert found["edges"][0] == {
        "source": "collect",
        "target": "review",
        "label": "",
        "kind": "step",
        "possible": False,
        "back": False,
        "taken": [],
    }
    assert found["groups"] == [
        {
            "name": "loop 1",
            "nodes": ["review", "revise"],
            "kind": "loop",
            "tip": "",
            "marks": [],
        }
    ]
