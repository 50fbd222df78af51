"""What words such as ``pieces=3`` mean as inputs of a flow."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from flowkit import Flow, InputError, start
from flowkit.runtime.text_inputs import inputs_from


class Order(BaseModel):
    """A typed state."""

    pieces: int = 1
    zip: str = ""
    express: bool = False
    lines: list[str] = []
    note: str | None = None
    free: Any = None
    named: int = Field(0, alias="other")


class Typed(Flow[Order]):
    @start()
    def begin(self):
        return self.state.model_dump(exclude={"id"})


class Loose(Flow):
    @start()
    def begin(self):
        return self.state


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("pieces=3", "3"),
        ("zip=01067", "01067"),
        ("zip=12", "12"),
        ("express=yes", "yes"),
        ('lines=["a", "b"]', ["a", "b"]),
        ("note=null", "null"),
        ("free=[1]", [1]),
        ("other=7", "7"),
        ("pieces=x", "x"),
        ("zip=a=b", "a=b"),
        ("zip=", ""),
    ],
)
def test_a_typed_field_takes_text_if_it_can(word, means):
    """Else the text is read as JSON; what fits nothing is left for the kickoff."""
    assert inputs_from(Typed, [word]) == {word.partition("=")[0]: means}


def test_typed_inputs_reach_the_state_as_their_types():
    """The kickoff validates them."""
    words = ["pieces=3", "zip=01067", "express=yes", 'lines=["a"]']
    found = Typed().kickoff(inputs_from(Typed, words))
    assert found["pieces"] == 3
    assert (found["zip"], found["express"], found["lines"]) == ("01067", True, ["a"])


@pytest.mark.parametrize(
    ("text", "means"),
    [("3", 3), ("true", True), ('{"a": 1}', {"a": 1}), ("Berlin", "Berlin"), ("", "")],
)
def test_without_a_type_it_is_json_or_text(text, means):
    """As most would expect of a free-form state."""
    assert inputs_from(Loose, [f"x={text}"]) == {"x": means}


def test_a_word_without_a_value_is_refused():
    """With how it is written."""
    with pytest.raises(InputError) as caught:
        inputs_from(Loose, ["pieces"])
    assert str(caught.value) == (
        "'pieces' is no input. Write name=value, such as pieces=3."
    )
