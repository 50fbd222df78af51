"""A briefing as straight code: read side by side, summarise, ask, publish.

python examples/straight_code.py

The flow is a function; the steps it calls are remembered in a store. The first process
here dies in the middle; the second goes on from there, and pays for no summary twice.
"""

import anyio

from flowkit.functions import flow, step, together

PAGES = {
    "tides": "The moon pulls the sea. Spring tides follow new and full moon.",
    "winds": "Air flows from high to low pressure.",
}
power = True


@step
async def fetch(topic: str) -> str:
    """Read a page; a real one asks a server."""
    await anyio.sleep(0.01)
    print("fetch", topic)
    return PAGES[topic]


@step
async def summarise(text: str) -> str:
    """What a model would be asked, and paid, for."""
    print("summarise", len(text), "characters")
    return text.partition(". ")[0].rstrip(".")


@step
def publish(text: str) -> int:
    """Send it out, once."""
    if not power:
        raise SystemExit("the power is gone")
    print("publish")
    return len(text)


async def brief(topic: str) -> str:
    """One part; branches like this one run side by side."""
    return f"{topic}: {await summarise(await fetch(topic))}"


@flow(store="sqlite:///briefing.db")
async def briefing(topics: list[str], limit: int = 4) -> str:
    """A briefing on some topics."""
    parts = await together(*[brief(topic) for topic in topics], limit=limit)
    text = "\n".join(parts)
    publish(text)
    return text


if __name__ == "__main__":
    today = briefing.with_options(id="today")
    power = False
    try:
        today.kickoff(["tides", "winds"], limit=1)
    except SystemExit as stop:
        print(stop)
    power = True
    print(today.kickoff(["tides", "winds"], limit=1))
