"""Writing drawings into files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import flowkit.plot
from flowkit.errors import FlowkitWarning, MissingExtraError
from flowkit.plot import FORMATS, Format
from tests.plot.flows import NEWS, chain, plot, render, to_svg


@pytest.mark.parametrize("form", FORMATS)
def test_the_suffix_chooses_the_format(form: Format, tmp_path: Path) -> None:
    """The file is exactly where told and holds what ``render`` gives."""
    target = tmp_path / f"news.{form}"
    assert plot(NEWS, target) == str(target)
    drawn = render(NEWS, form)
    data = drawn if isinstance(drawn, bytes) else drawn.encode()
    assert target.read_bytes() == data
    assert [each.name for each in tmp_path.iterdir()] == [target.name]


def test_a_relative_path_comes_back_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No path is made absolute behind the caller's back."""
    monkeypatch.chdir(tmp_path)
    assert plot(NEWS, "./news.DOT") == "./news.DOT"
    assert (tmp_path / "news.DOT").exists()


@pytest.mark.parametrize("name", ["news.pdf", "news"])
def test_an_unknown_suffix_says_what_is_possible(name: str, tmp_path: Path) -> None:
    """The message lists every suffix."""
    text = (
        f"Cannot draw '{name}': its suffix must be one of "
        ".html, .svg, .png, .mmd, .dot, .json."
    )
    with pytest.raises(ValueError, match="its suffix") as caught:
        plot(NEWS, tmp_path / name)
    assert str(caught.value) == text


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Folders are not made on the way."""
    target = tmp_path / "none" / "news.html"
    with pytest.raises(FileNotFoundError) as caught:
        plot(NEWS, target)
    expected = (
        f"Cannot write {target}: the folder {target.parent} does not exist. Make it "
        f"first."
    )
    assert str(caught.value) == expected


def test_without_the_extra_svg_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written; the text has the install line."""
    monkeypatch.setitem(sys.modules, "graphlay", None)
    target = tmp_path / "news.svg"
    with pytest.raises(MissingExtraError) as caught:
        plot(NEWS, target)
    assert str(caught.value) == (
        "Drawing .svg needs the extra 'plot', which is not installed. "
        "Install it: pip install 'flowkit[plot]'"
    )
    assert not target.exists()


def test_without_the_renderer_png_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout may be there and the renderer not."""
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError) as caught:
        plot(NEWS, tmp_path / "news.png")
    assert str(caught.value) == (
        "Drawing .png needs the extra 'plot', which is not installed. "
        "Install it: pip install 'flowkit[plot]'"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_png_is_twice_as_dense_as_the_drawing() -> None:
    """Width and height stand in the header of the file."""
    drawn = render(NEWS, "png")
    assert isinstance(drawn, bytes)
    assert drawn[:8] == b"\x89PNG\r\n\x1a\n"
    found = re.search(r'width="(\d+)[^"]*" height="(\d+)', to_svg(NEWS))
    assert found
    size = [int.from_bytes(drawn[at : at + 4], "big") for at in (16, 20)]
    assert [round(each / 2) for each in size] == pytest.approx(
        [int(each) for each in found.groups()], abs=1
    )


def test_without_the_extra_the_other_formats_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only pictures need the layout engine."""
    monkeypatch.setitem(sys.modules, "graphlay", None)
    for form in set(FORMATS) - {"svg", "png"}:
        plot(NEWS, tmp_path / f"news.{form}")
        assert "publish" in (tmp_path / f"news.{form}").read_text("utf-8")


def test_svg_for_a_page_takes_a_theme() -> None:
    """``to_svg`` gives what ``.svg`` holds, or one theme of it."""
    assert to_svg(NEWS) == render(NEWS, "svg")
    assert 'class="flowkit dark"' in to_svg(NEWS, theme="dark")


def test_importing_the_package_loads_no_writer() -> None:
    """Only the format asked for is paid for."""
    code = (
        "import sys, flowkit.plot;"
        "print([n for n in sys.modules if n == 'graphlay' or "
        "n.startswith(('flowkit.plot.', 'json'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_package_imports_only_lower_layers() -> None:
    """Drawing knows the core and the errors, and none of its own layer."""
    folder = Path(flowkit.plot.__file__ or "").parent
    allowed = (
        "flowkit.core.definition",
        "flowkit.core.durations",
        "flowkit.core.scopes",
        "flowkit.errors",
        "flowkit.plot",
    )
    for module in folder.glob("*.py"):
        for line in module.read_text("utf-8").splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].startswith("flowkit"):
                assert words[1].startswith(allowed), f"{module.name}: {line}"


def test_a_png_without_fonts_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A picture without text is no silent outcome."""
    monkeypatch.setattr("flowkit.plot.png._FONTS", {"skip_system_fonts": True})
    with pytest.warns(FlowkitWarning) as caught:
        render(NEWS, "png")
    assert [str(each.message) for each in caught] == [
        (
            "The PNG has no text: this system has no fonts. Install some (on Debian: "
            "apt-get install fonts-dejavu-core), or draw .svg."
        )
    ]


def test_a_large_png_has_fewer_pixels() -> None:
    """Memory does not grow with the number of steps."""
    drawn = render(chain(280), "png")
    assert isinstance(drawn, bytes)
    wide, high = (int.from_bytes(drawn[at : at + 4], "big") for at in (16, 20))
    assert wide * high < 6_100_000
