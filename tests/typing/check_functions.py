"""Steps and flows made of functions keep their types; never run."""

from collections.abc import Coroutine
from typing import Any, assert_type

from flowkit.functions import FunctionFlow, flow, step, together


@step
async def fetch(url: str, *, tries: int = 1) -> bytes:
    return url.encode() * tries


@step(name="measured")
def measure(page: bytes) -> int:
    return len(page)


@step(thread=True)
def render(page: bytes) -> str:
    return page.decode()


@step(retry=3, timeout="5s", cache="1h")
async def look_up(word: str) -> int:
    return len(word)


@step(thread=True, retry=3, bulkhead=2)
def press(page: bytes) -> int:
    return len(page)


@flow
async def digest(urls: list[str], limit: int = 3) -> float:
    page = await fetch(urls[0], tries=2)
    assert_type(page, bytes)
    assert_type(measure(page), int)
    assert_type(await render(page), str)
    assert_type(await look_up("a"), int)
    assert_type(await press(page), int)
    two = await together(fetch("a"), render(page))
    assert_type(two, tuple[bytes, str])
    many = await together(*[fetch(url) for url in urls], limit=limit)
    assert_type(many, tuple[bytes, ...])
    return 0.5


@flow(store="sqlite:///app.db")
async def stored() -> None:
    assert_type(await digest(["a"], limit=1), float)


coroutine: Coroutine[Any, Any, float] = digest([])
assert_type(stored, FunctionFlow[[], None])
digest.kickoff(["a"], limit=2)
digest.kickoff(3)  # type: ignore[arg-type]
digest.start(urls=[], lim=1)  # type: ignore[call-arg]
