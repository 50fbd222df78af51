from __future__ import annotations

import importlib.util
import textwrap
import tomllib
from pathlib import Path

import pytest

from tests import layers


def _folder() -> Path:
    spec = importlib.util.find_spec("flowkit")
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations)))


@pytest.fixture(scope="module")
def flowkit() -> layers.Package:
    """The installed package's source."""
    return layers.read(_folder())


def test_every_module_has_a_layer(flowkit):
    """A new top-level module or package is placed in the table first."""
    assert layers.unplaced(flowkit) == []


def test_imports_point_downwards(flowkit):
    """A module imports from its own package and from lower layers only."""
    assert layers.upward(flowkit) == []


def test_no_modules_import_each_other(flowkit):
    """There is no cycle, local imports counted."""
    assert layers.cycles(flowkit) == []


def test_internals_stay_in_their_package(flowkit):
    """An underscored module is imported by its own package only."""
    assert layers.private(flowkit) == []


def test_core_is_pure(flowkit):
    """The core imports itself, the errors and the pure part of the library."""
    assert layers.impure(flowkit) == []


def test_core_lint_bans_what_this_test_bans():
    """The editor tells at once what this file would tell later."""
    settings = Path(__file__).parents[1] / "flowkit" / "core" / "ruff.toml"
    if not settings.exists():
        pytest.skip("runs on an installed wheel, which has no lint settings")
    lint = tomllib.loads(settings.read_text())["lint"]
    banned = set(lint["flake8-tidy-imports"]["banned-api"])
    assert banned == layers.IMPURE | {"anyio", "blinker", "pydantic", "trio"}


# Each rule again on a package with that fault: a check that finds nothing in good
# code says something only if it finds the bad.


def _package(folder: Path, **files: str) -> layers.Package:
    root = folder / "flowkit"
    for name, text in files.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    for directory in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        (directory / "__init__.py").touch()
    return layers.read(root)


def test_unknown_module_is_found(tmp_path):
    """A module outside the table is named."""
    package = _package(tmp_path, utils="")
    assert layers.unplaced(package) == ["flowkit.utils"]


@pytest.mark.parametrize(
    "line",
    [
        "import flowkit.flow",
        "from flowkit import flow",
        "from flowkit.flow import Flow",
        "from .. import flow",
        "from ..flow import Flow",
        "def late():\n    from flowkit.flow import Flow",
        "import importlib\nimportlib.import_module('flowkit.flow')",
        "if not TYPE_CHECKING:\n    from flowkit.flow import Flow",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from flowkit.flow import Flow",
    ],
)
def test_upward_import_is_found_in_every_form(tmp_path, line):
    """However an import is written, its direction counts."""
    package = _package(tmp_path, flow="", runtime__runner=line)
    assert len(layers.upward(package)) == 1


def test_strangers_of_one_layer_are_found(tmp_path):
    """Packages of one layer do not import each other."""
    package = _package(
        tmp_path, plot__diagram="import flowkit.define.labels", define__labels=""
    )
    assert layers.upward(package) == [
        "flowkit.plot.diagram:1 imports flowkit.define.labels: layer 2 from 2"
    ]


def test_import_of_the_root_is_found(tmp_path):
    """The public names are for users; inside, a module is imported where it is."""
    package = _package(tmp_path, compat__crewai="from flowkit import Flow")
    assert layers.upward(package) == [
        "flowkit.compat.crewai:1 imports flowkit.Flow: the root is for users"
    ]


def test_downward_and_typing_imports_are_allowed(tmp_path):
    """Lower layers, the own package and imports for types alone are fine."""
    package = _package(
        tmp_path,
        errors="",
        core__records="from flowkit.errors import FlowkitError",
        core__machine="from . import records\nfrom .records import Record",
        runtime__runner="""\
            import typing
            from flowkit.core import machine
            if typing.TYPE_CHECKING:
                from flowkit.flow import Flow
            """,
        flow="import flowkit.runtime.runner",
    )
    assert layers.upward(package) == []
    assert layers.cycles(package) == []
    assert layers.impure(package) == []


def test_cycle_through_a_local_import_is_found(tmp_path):
    """A cycle stays one when half of it hides in a function."""
    package = _package(
        tmp_path,
        core__a="from flowkit.core import b",
        core__b="from flowkit.core.c import name",
        core__c="def late():\n    from flowkit.core.a import name",
        core__d="from flowkit.core import a",
    )
    assert layers.cycles(package) == [
        "flowkit.core.a <-> flowkit.core.b <-> flowkit.core.c"
    ]


def test_private_import_is_found(tmp_path):
    """Another package's underscored module is off limits, one's own is not."""
    package = _package(
        tmp_path,
        core___tables="",
        core__machine="from flowkit.core import _tables",
        runtime__runner="from flowkit.core._tables import table",
    )
    [fault] = layers.private(package)
    assert fault == (
        "flowkit.runtime.runner:1 imports flowkit.core._tables.table: "
        "an internal of flowkit.core"
    )


@pytest.mark.parametrize(
    "line",
    [
        "import anyio",
        "import time as clock",
        "from datetime import datetime",
        "from os import path",
        "import concurrent.futures",
        "def late():\n    import random",
        "from flowkit.define import labels",
        "from flowkit import Flow",
    ],
)
def test_impure_core_is_found(tmp_path, line):
    """A clock, chance, I/O or another package in the core is named."""
    package = _package(tmp_path, core__machine=line, define__labels="")
    assert len(layers.impure(package)) == 1
