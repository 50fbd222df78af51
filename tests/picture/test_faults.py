"""Pictures of classes mark the steps that a check complains of."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Literal

from flowkit import Flow, and_, listen, router, start


class Faulty(Flow):
    """One fault of each level."""

    @start()
    @router()
    def examine(self) -> Literal["good", "bad"]:
        return "good"

    @listen("good")
    async def pack(self) -> int:
        time.sleep(0)  # noqa: ASYNC251 - it is looked at, not run
        return 3

    @listen("bad")
    def refuse(self) -> str:
        return "no"

    @listen(pack)
    def label(self, weight: str): ...

    @listen(and_(pack, refuse))
    def archive(self): ...


def test_each_faulty_step_has_a_mark(tmp_path) -> None:
    """By level, with the fault in short; the others have none."""
    nodes = json.loads(Path(Faulty.plot(tmp_path / "f.json")).read_text())
    marks = {
        node["name"]: [(mark["icon"], mark["tip"]) for mark in node["marks"]]
        for node in nodes["nodes"]
        if node["marks"]
    }
    assert marks == {
        "pack": [
            (
                "hint",
                (
                    "hint: is async and calls time.sleep(), which stops the event loop and "
                    "every run on it"
                ),
            )
        ],
        "label": [("warning", "warning: takes weight: str, but pack gives int")],
        "archive": [
            (
                "error",
                (
                    "error: waits for and_(pack, refuse), which can never be met: examine "
                    "runs once and chooses one label"
                ),
            )
        ],
    }


def test_every_format_shows_them(tmp_path) -> None:
    """As an icon with a tip, or in words."""
    for suffix in ("html", "svg", "mmd", "dot"):
        text = Path(Faulty.plot(tmp_path / f"f.{suffix}")).read_text()
        assert "which can never be met" in text.replace("\n", " "), suffix


def test_a_flow_without_faults_has_no_marks(tmp_path) -> None:
    """Nothing is drawn where nothing is found."""

    class Fine(Flow):
        @start()
        def begin(self): ...

    text = Path(Fine.plot(tmp_path / "f.json")).read_text()
    assert not any(node["marks"] for node in json.loads(text)["nodes"])
