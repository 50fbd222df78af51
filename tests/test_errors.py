from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re

import pytest

from flowkit import errors

ALL = [getattr(errors, name) for name in errors.__all__]
ERRORS = [kind for kind in ALL if issubclass(kind, errors.FlowkitError)]
BRANCH = re.compile(r"(?P<in>[ │]*)[├└]── (?P<name>\w+)(?: \((?P<also>\w+)\))?")


def _tree() -> dict[str, tuple[str, str | None]]:
    """Class name to parent and built-in, as the module's docstring draws them."""
    found: dict[str, tuple[str, str | None]] = {"FlowkitError": ("Exception", None)}
    path = ["FlowkitError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := BRANCH.match(line):
            depth = (len(match["in"]) - len("    ")) // 4 + 1
            del path[depth:]
            found[match["name"]] = (path[-1], match["also"])
            path.append(match["name"])
    return found


def _made(kind: type[Exception]) -> Exception:
    """An error with an argument for each parameter its class asks for."""
    if not inspect.isfunction(kind.__init__):
        return kind("what happened, where, and how to mend it")
    values = []
    keywords = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        value = ("one", "two") if "Sequence" in str(parameter.annotation) else name
        if parameter.kind is parameter.KEYWORD_ONLY:
            keywords[name] = value
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            values.append(value)
    return kind(*values, **keywords)


def _pickled(error: Exception) -> Exception:
    return pickle.loads(pickle.dumps(error))


def test_tree_in_the_docstring_has_every_error():
    """The drawing is complete and names nothing that is not there."""
    assert set(_tree()) == {kind.__name__ for kind in ERRORS}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_error_inherits_as_the_tree_says(kind):
    """Each error has the drawn parent, and the built-in that users catch."""
    parent, also = _tree()[kind.__name__]
    bases = [base.__name__ for base in kind.__bases__]
    assert bases == [parent, *filter(None, [also])]
    assert also is None or issubclass(kind, getattr(builtins, also))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_error_has_a_docstring_of_its_own(kind):
    """The docstring says when it is raised."""
    assert vars(kind).get("__doc__")


@pytest.mark.parametrize("remake", [_pickled, copy.copy], ids=["pickle", "copy"])
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_error_survives(kind, remake):
    """Text, attributes and notes come out of a pickle or a copy as they went in."""
    error = _made(kind)
    error.add_note("step 'pay', attempt 2 of run r-1")
    again = remake(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


def test_all_is_complete_and_sorted():
    """Every public class of the module is in ``__all__``, in order."""
    public = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value)
        and value.__module__ == errors.__name__
        and not name.startswith("_")
    ]
    assert list(errors.__all__) == sorted(public)
