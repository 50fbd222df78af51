from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import flowkit

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest; each by name, as ruff's RUF022 sorts."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_all_is_sorted_without_repetition():
    """``__all__`` reads like an index."""
    assert list(flowkit.__all__) == sorted(set(flowkit.__all__), key=_order)


@pytest.mark.parametrize("name", flowkit.__all__)
def test_name_is_there_and_documented(name):
    """Each public name resolves; what is a class or function has a docstring."""
    value = getattr(flowkit, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__


def test_nothing_public_beside_all():
    """What the root takes from flowkit's modules is public, or has an underscore."""
    others = {
        name
        for name, value in vars(flowkit).items()
        if not name.startswith("_")
        and name not in flowkit.__all__
        and getattr(value, "__module__", "").startswith("flowkit")
    }
    assert others == set()


def test_dir_shows_every_public_name():
    """Completion in a shell finds names that load only when used."""
    assert set(flowkit.__all__) <= set(dir(flowkit))


@pytest.mark.parametrize("name", flowkit.__all__)
def test_reference_has_name(name):
    """Every public name stands in the reference, as code."""
    words = set(re.findall(r"`@?(?:flowkit\.)?(\w+)[^`\n]*`", REFERENCE.read_text()))
    assert name in words
