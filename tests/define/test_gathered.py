"""Checks see the faults of every class, not of the first one only."""

from __future__ import annotations

import warnings

import pytest

from flowkit import DefinitionError, Flow, listen, start
from flowkit.define.compiler import gathered


def faulty(name):
    """A class that listens to a typo and hides a verb."""

    def begin(self):
        return 1

    def state(self):
        return 2

    body = {"begin": start()(begin), "state": listen("begni")(state)}
    return type(name, (Flow,), body)


def test_classes_with_faults_are_made_within():
    """Each with all it has, errors and warnings; no warning is issued."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with gathered() as found:
            first, second = faulty("First"), faulty("Second")
    assert [cls for cls, _, _ in found] == [first, second]
    for _, _, faults in found:
        assert [fault.level for fault in faults] == ["error", "error"]


def test_afterwards_a_fault_is_an_error_again():
    """Also when the block was left by an exception."""
    with pytest.raises(KeyError), gathered():
        raise KeyError
    with pytest.raises(DefinitionError):
        faulty("Third")


def test_blocks_nest():
    """The inner one hears what is made in it, the outer one the rest."""
    with gathered() as outer:
        with gathered() as inner:
            faulty("Inner")
        faulty("Outer")
    assert [cls.__name__ for cls, _, _ in inner] == ["Inner"]
    assert [cls.__name__ for cls, _, _ in outer] == ["Outer"]
