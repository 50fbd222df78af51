"""Pictures of runs in files, by the names that users know."""

from __future__ import annotations

import json
import sys

import pytest

from flowkit import Flow, RunError, runs, start
from flowkit.errors import MissingExtraError
from flowkit.picture import svg_of
from flowkit.plot import FORMATS, TIMELINES
from flowkit.runtime.recall import recalled
from tests.picture.flows import Desk, Order


@pytest.fixture
def desk():
    """A flow object whose run is over."""
    flow = Desk()
    flow.answers = ("again", "good")
    flow.kickoff()
    return flow


def data(path):
    """A picture's data."""
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_a_run(desk, form, tmp_path):
    """The file is exactly where told."""
    target = tmp_path / f"run.{form}"
    assert runs.plot(desk.run, target) == str(target)
    assert runs.compare(desk.run, desk.run, tmp_path / f"two.{form}")
    shown = b"\x89PNG\r\n" if form == "png" else b"completed"
    assert shown in target.read_bytes()


@pytest.mark.parametrize("form", TIMELINES)
def test_every_format_of_a_timeline(desk, form, tmp_path):
    """A run over time needs no layout; only pixels need an extra."""
    target = tmp_path / f"line.{form}"
    assert runs.timeline(desk.run, str(target)) == str(target)
    assert target.stat().st_size > 200


def test_a_timeline_is_no_graph(desk, tmp_path):
    """The message lists what it can be."""
    with pytest.raises(ValueError, match="Cannot draw") as caught:
        runs.timeline(desk.run, tmp_path / "line.dot")
    assert str(caught.value) == (
        "Cannot draw 'line.dot': its suffix must be one of "
        ".html, .svg, .png, .mmd, .json."
    )


def test_a_stored_run_is_drawn_by_its_id(tmp_path):
    """Or by the beginning of it, and by its handle."""
    url = f"sqlite:///{tmp_path}/runs.db"
    flow = Desk(store=url)
    flow.kickoff()
    for number, run in enumerate((flow.run, flow.run.id, flow.run.id[:30])):
        target = tmp_path / f"{number}.json"
        runs.plot(run, target, store=url)
        assert data(target)["facts"][0]["text"] == "Desk: completed after 3.5 s"
    runs.timeline(flow.run.id, tmp_path / "line.json", store=url)
    assert len(data(tmp_path / "line.json")["bars"]) == 3


def test_an_object_is_drawn_with_its_latest_run_and_a_class_without(desk, tmp_path):
    """What ran is drawn over what may happen."""
    target = tmp_path / "desk.json"
    assert desk.plot(str(target)) == str(target)
    assert data(target)["runs"] == 1
    assert Desk.plot(target) == str(target)
    assert data(target)["runs"] == 0
    Desk().plot(target)
    assert data(target)["runs"] == 0


def test_a_notebook_shows_the_latest_run_of_an_object(desk):
    """A cell that ends with the flow shows what became of it."""
    assert "Desk: completed after 4.5 s" in desk._repr_svg_()
    assert "completed" not in Desk()._repr_svg_()
    assert svg_of(Desk) == Desk()._repr_svg_()


def test_a_flow_that_never_ran_has_no_run_to_draw(tmp_path):
    """The handle is None then."""
    with pytest.raises(RunError) as caught:
        runs.plot(Desk().run, tmp_path / "run.json")
    assert str(caught.value) == (
        "There is no run to tell: this flow object was never kicked off."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_not_begun_is_drawn_as_such(tmp_path, clock):
    """Nothing has happened yet, and for no time."""
    flow = Desk()
    flow.kickoff()
    flow.run.records.clear()
    flow.run.marking.status = "running"
    told = recalled(flow.run)
    assert (told.began, told.executions) == (clock.now(), ())
    runs.plot(flow.run, tmp_path / "run.html")
    runs.timeline(flow.run, tmp_path / "line.html")


def test_runs_of_different_flows_are_not_compared(desk, tmp_path):
    """They have nothing in common."""
    order = Order()
    order.kickoff()
    with pytest.raises(RunError) as caught:
        runs.compare(desk.run, order.run, tmp_path / "two.json")
    assert str(caught.value) == (
        f"Run {desk.run.id!r} is one of Desk, run {order.run.id!r} one of Order: they "
        f"have no way in common. Compare two runs of one flow."
    )


def test_without_the_extra_a_timeline_is_drawn_as_svg(desk, tmp_path, monkeypatch):
    """Its bars need no layout engine, its pixels a renderer."""
    monkeypatch.setitem(sys.modules, "graphlay", None)
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    runs.timeline(desk.run, tmp_path / "line.svg")
    with pytest.raises(MissingExtraError, match="Drawing .png needs the extra 'plot'"):
        runs.timeline(desk.run, tmp_path / "line.png")
    with pytest.raises(MissingExtraError, match="Drawing .svg needs the extra 'plot'"):
        runs.plot(desk.run, tmp_path / "run.svg")
    runs.plot(desk.run, tmp_path / "run.html")


def test_show_opens_the_picture(desk, tmp_path, monkeypatch):
    """In the system's browser, by the file's address."""
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    target = tmp_path / "run.html"
    runs.plot(desk.run, target, show=True)
    desk.plot(str(target), show=True)
    assert opened == [target.as_uri()] * 2


def test_a_step_named_plot_is_the_users_own():
    """Names of steps are free."""

    class Novel(Flow):
        @start()
        def plot(self):
            return "twist"

    assert Novel().kickoff() == "twist"
