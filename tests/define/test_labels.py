"""Labels read from annotations and from source."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Sequence
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from flowkit.define import labels
from flowkit.define.labels import Declared, Read, declared_labels, read_labels

APPROVED = "approved"
lowered = "lowered"
Alias = Literal["left", "right"]


class Route(Enum):
    """Labels as an enumeration."""

    GO = "go"
    HALT = "halt"


class Level(IntEnum):
    """Numbers that become labels."""

    LOW = 1


def returning(annotation: Any) -> Any:
    """A function with that return annotation."""

    def route(_self: object) -> object:
        return None

    route.__annotations__["return"] = annotation
    return route


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Literal["a", "b"], ("a", "b")),
        (Literal[1, True, None, ""], ("1", "True")),
        (Literal[Route.GO, "b"], ("go", "b")),
        (Route, ("go", "halt")),
        (Level, ("1",)),
        (Optional[Literal["a"]], ("a",)),
        (Literal["a"] | None, ("a",)),
        (Union[Literal["a"], Route, None], ("a", "go", "halt")),
        (Annotated[Literal["a"], "why"], ("a",)),
        ("Literal['a', 'b']", ("a", "b")),
        ("Route | None", ("go", "halt")),
        ("Alias", ("left", "right")),
        (Optional["Alias"], ("left", "right")),
    ],
)
def test_an_annotation_of_single_labels_declares_them(
    annotation: Any, expected: tuple[str, ...]
) -> None:
    """Literals, enums and unions of them give their values in order."""
    assert declared_labels(returning(annotation)) == Declared(expected, single=True)


@pytest.mark.parametrize(
    "annotation",
    [
        list[Literal["a", "b"]],
        tuple[Literal["a", "b"], ...],
        set[Literal["a"]] | Literal["b"],
        Sequence[Union[Literal["a"], Literal["b"]]],
        Optional[frozenset[Literal["a", "b"]]],
        "list[Literal['a', 'b']]",
        list["Literal['a', 'b']"],
    ],
)
def test_a_collection_of_labels_declares_several_at_a_time(annotation: Any) -> None:
    """A collection of declared labels is not single."""
    found = declared_labels(returning(annotation))
    assert found is not None
    assert sorted(found.labels) == ["a", "b"]
    assert not found.single


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        None,
        Literal[""],
        Literal["a"] | str,
        list[str],
        list,
        Any,
        int,
        "Missing",
        "Missing | Literal['a']",
        "Missing[",
        "1 / 0",
        "print",
        "list[Missing]",
    ],
)
def test_any_other_annotation_declares_nothing(annotation: Any) -> None:
    """What is not fully a set of labels is no declaration, and no error."""
    assert declared_labels(returning(annotation)) is None


@pytest.mark.parametrize(
    "text",
    [
        "t.Literal['a', 'b'] | None",
        "Missing.Optional[missing.Literal['a', 'b']]",
        "typing.Union[typing.Literal['a'], typing.Literal['b'], None]",
        "typing.Annotated[typing.Literal['a', 'b'], 1]",
    ],
)
def test_an_annotation_that_cannot_be_evaluated_is_read_as_text(text: str) -> None:
    """A name imported only for the type checker still declares its labels."""
    assert declared_labels(returning(text)) == Declared(("a", "b"), single=True)


def test_an_enum_beside_an_unknown_name_is_found() -> None:
    """Known names inside unevaluable text are looked up."""
    found = declared_labels(returning("missing.Optional[Route]"))
    assert found == Declared(("go", "halt"), single=True)


def test_names_of_the_class_body_can_be_given() -> None:
    """A caller that knows the class body passes it on."""
    route = returning("Local")
    assert declared_labels(route) is None
    assert declared_labels(route, {"Local": Route}) is not None


def test_a_closure_variable_is_known_to_the_annotation() -> None:
    """Types of an enclosing function count if the router uses them."""

    class Inner(Enum):
        YES = "yes"

    def route() -> Inner:
        return Inner.YES

    assert declared_labels(route) == Declared(("yes",), single=True)
    assert read_labels(route) == Read(("yes",))


def test_a_wrapped_router_declares_what_the_inner_one_does() -> None:
    """Decorators that use functools.wraps hide nothing."""

    def route() -> Literal["a"]:
        return "a"

    @functools.wraps(route)
    def outer(*args: Any) -> Any:
        return route(*args)

    assert declared_labels(outer) == Declared(("a",), single=True)
    assert read_labels(functools.partial(outer)) == Read(("a",))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements came in 3.12")
def test_a_type_statement_is_followed() -> None:
    """``type Route = Literal[..]`` declares what it stands for."""
    scope: dict[str, Any] = {"Literal": Literal}
    exec("type Lane = Literal['a']\ntype Loop = Loop | None", scope)
    assert declared_labels(returning(scope["Lane"])) == Declared(("a",), single=True)
    assert declared_labels(returning(scope["Loop"])) is None


class Routers:
    """Routers whose source is read; never called."""

    def chain(self, n: int) -> str | None:
        """If, elif, and no label at the end."""
        if n > 2:
            return "big"
        elif n > 1:
            return "mid"
        text = """
unindented text in a method
"""
        return None if text else ""

    def conditional(self, n: int) -> object:
        """Conditional expressions inside one another."""
        return "a" if n else ("b" if n > 1 else Route.GO)

    def matched(self, n: int) -> object:
        """A match statement."""
        match n:
            case 0:
                return True
            case 1:
                return 0
            case _:
                return -1

    def several(self, n: int) -> object:
        """Collections of labels."""
        return ["a", "b"] if n else {"c"}

    def known(self, n: int) -> object:
        """Constants and members by name."""
        if n:
            return APPROVED
        return Route.HALT.value

    def variable(self, n: int) -> object:
        """A constant and something unknown."""
        if n:
            return "a"
        return f"x{n}"

    def local(self) -> object:
        """A variable."""
        APPROVED = "other"  # noqa: N806
        return APPROVED

    def nested(self) -> object:
        """Inner functions return for themselves."""

        def inner() -> str:
            return "inner"

        value = lambda: "no"  # noqa: E731
        del value, inner

    def generating(self) -> Any:
        """Labels that are yielded are not read."""
        yield "a"

    async def waits(self) -> object:
        """An async router."""
        if await self.ask():
            return "yes"
        return await self.ask()

    async def ask(self) -> bool:
        """Anything."""
        return lowered == "x"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chain", Read(("big", "mid"))),
        ("conditional", Read(("a", "b", "go"))),
        ("matched", Read(("True", "0", "-1"))),
        ("several", Read(("a", "b", "c"))),
        ("known", Read(("approved", "halt"))),
        ("variable", Read(("a",), open=True)),
        ("local", Read((), open=True)),
        ("nested", Read(())),
        ("generating", Read((), open=True)),
        ("waits", Read(("yes",), open=True)),
        ("ask", Read((), open=True)),
    ],
)
def test_labels_are_read_from_the_source(name: str, expected: Read) -> None:
    """Constants that are returned are labels; anything else leaves it open."""
    assert read_labels(getattr(Routers, name)) == expected


@pytest.mark.parametrize("function", [len, eval("lambda: 'a'"), Route])
def test_a_function_without_source_stays_open(function: Any) -> None:
    """Nothing is known of built-ins, evaluated code and classes."""
    assert read_labels(function) == Read((), open=True)


def test_the_module_itself_imports_no_parser() -> None:
    """``inspect`` and ``ast`` are for the calls that need them."""
    tree = ast.parse(Path(labels.__file__).read_text("utf-8"))
    imports = [each for each in tree.body if isinstance(each, ast.Import)]
    names = {alias.name for each in imports for alias in each.names}
    assert not names & {"ast", "inspect"}
