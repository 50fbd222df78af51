"""Makes ``sample.jsonl``: ``python -m examples.customer_events.make_sample``.

Small stories of customers, orders, tickets and faults, told at the same time and,
like everything that comes over a network, not quite well: some events arrive before
what they belong to, some twice, some broken. The same seed gives the same file.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).with_name("sample.jsonl")
HOURS = 72.0

Event = tuple[float, str, str, dict[str, Any]]
"""When it arrives, its type, its key, its data."""

COMPANIES = ("Acorn", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gingko", "Hazel")
ARTICLES = ("lamp", "desk", "chair", "shelf", "rug")
SUBJECTS = ("How do I export?", "Invoice is wrong", "Login fails", "Import is slow")
REPLIES = ("Still the same.", "Does not help.", "I tried that before.")
SERVICES = ("api", "billing", "search", "mail")

NOT_EVENTS = (
    '{"id": "evt-broken", "type": "purchase_completed", "data": {"order": "or',
    "<html><body>502 Bad Gateway</body></html>",
    '["signup_completed", "account-99"]',
    '{"type": "signup_completed", "data": {"account": "account-98"}}',
    "{'id': 'evt-quotes', 'type': 'alert_raised'}",
    "null",
)


def main() -> None:
    """Write the file beside this module."""
    SAMPLE.write_text(text(), encoding="utf-8")


def text(seed: int = 7) -> str:
    """The whole sample."""
    draw = random.Random(seed)  # noqa: S311 - a story, no secret
    events = [
        *(event for number in range(30) for event in signup(draw, number)),
        *(event for number in range(40) for event in purchase(draw, number)),
        *(event for number in range(30) for event in support(draw, number)),
        *(event for number in range(25) for event in alert(draw, number)),
        *strange(draw),
    ]
    events.sort(key=lambda event: (event[0], event[1:3]))
    lines = [line(number, *event) for number, event in enumerate(events, 1)]
    return "".join(f"{each}\n" for each in damaged(draw, lines))


def line(number: int, at: float, kind: str, key: str, data: dict[str, Any]) -> str:
    """One event as it stands in the file."""
    return json.dumps(
        {"id": f"evt-{number:04}", "type": kind, "key": key, "data": data}
    )


def damaged(draw: random.Random, lines: list[str]) -> list[str]:
    """Some lines again a little later, and some that are no events."""
    out = list(lines)
    for copied in sorted(draw.sample(range(len(lines) - 20), 9), reverse=True):
        out.insert(copied + draw.randint(1, 12), lines[copied])
    for other in NOT_EVENTS:
        out.insert(draw.randrange(5, len(out)), other)
    return out


def signup(draw: random.Random, number: int) -> list[Event]:
    """One in five is never confirmed, one in ten is confirmed before it arrives."""
    key = f"account-{number:02}"
    at = draw.uniform(0, HOURS)
    company = f"{draw.choice(COMPANIES)} {number}"
    data: dict[str, Any] = {
        "account": key,
        "company": company,
        "email": f"owner@{key}.example",
        "seats": draw.choice((1, 4, 12, 60, 800)),
    }
    if number == 8:
        data["email"] = "owner at account-08"
    events: list[Event] = [(at, "signup_completed", key, data)]
    if number == 17:
        events.append((at + 2, "signup_cancelled", key, {"account": key}))
    elif number % 5:
        later = -0.5 if number % 10 == 3 else draw.uniform(0.1, 20)
        events.append((at + later, "signup_confirmed", key, {"account": key}))
    return events


def purchase(draw: random.Random, number: int) -> list[Event]:
    """Every sixth is unusual and looked at; every seventh is not paid yet."""
    key = f"order-{number:02}"
    at = draw.uniform(0, HOURS)
    cents = draw.randint(900, 90_000) + (600_000 if number % 6 == 5 else 0)
    data: dict[str, Any] = {
        "order": key,
        "customer": f"account-{draw.randrange(30):02}",
        "email": f"buyer@{key}.example",
        "cents": cents,
        "articles": draw.sample(ARTICLES, draw.randint(1, 3)),
    }
    if number in {12, 33}:
        data["articles"].append("lamp-discontinued")
    if number in {4, 20}:
        data["cents" if number == 4 else "articles"] = "a few"
    events: list[Event] = [(at, "purchase_completed", key, data)]
    if number % 6 == 5 and number != 35:
        decision = {"order": key, "approved": number % 12 == 5}
        events.append((at + draw.uniform(1, 8), "review_decided", key, decision))
    if number % 7 or number == 7:
        paid = {"order": key, "cents": "soon" if number == 9 else cents}
        later = -0.3 if number % 8 == 3 else draw.uniform(0.1, 30)
        events.append((at + later, "payment_settled", key, paid))
    if number == 28:
        events.append((at + 1, "purchase_cancelled", key, {"order": key}))
    return events


def support(draw: random.Random, number: int) -> list[Event]:
    """Up to four replies; the last one is content, or nobody ever is."""
    key = f"ticket-{number:02}"
    at = draw.uniform(0, HOURS)
    subject = draw.choice(SUBJECTS) if number % 9 else "The shop is down"
    request = {"ticket": key, "customer": f"account-{number:02}", "subject": subject}
    events: list[Event] = [(at, "support_requested", key, request)]
    if number % 9 == 0:
        return events
    replies = draw.randint(0, 3)
    ends_well = number % 3 > 0
    for turn in range(replies):
        happy = ends_well and turn == replies - 1
        said = "Thank you, that works now!" if happy else draw.choice(REPLIES)
        reply = {"ticket": key, "text": said}
        later = -0.2 if number == 10 and not turn else turn + draw.uniform(0.5, 1)
        events.append((at + later, "customer_reply", key, reply))
    if number % 11 == 5:
        events.append((at + 0.3, "support_requested", key, request))
    return events


def alert(draw: random.Random, number: int) -> list[Event]:
    """Some faults are raised again and again; most are resolved."""
    key = f"fault-{number:02}"
    at = draw.uniform(0, HOURS)
    raised = {
        "fingerprint": key,
        "service": draw.choice(SERVICES),
        "severity": draw.choice(("low", "medium", "high", "critical")),
        "title": f"too many errors ({number})",
    }
    if number == 6:
        raised["severity"] = "apocalyptic"
    repeats = draw.choice((0, 0, 1, 4))
    events: list[Event] = [
        (at + turn / 4, "alert_raised", key, raised) for turn in range(repeats + 1)
    ]
    if number % 6:
        early = number == 11
        over = -0.1 if early else repeats / 4 + draw.uniform(0.5, 6)
        events.append((at + over, "alert_resolved", key, {"fingerprint": key}))
    return events


def strange(draw: random.Random) -> list[Event]:
    """What a handler takes, what nobody takes, and one that is misspelt."""
    events: list[Event] = []
    for number in range(6):
        key = f"account-{number:02}"
        data = {"customer": key, "stars": draw.randint(1, 5)}
        events.append((draw.uniform(0, HOURS), "feedback_given", key, data))
    for number in range(7):
        page = {"page": f"/pricing/{number}"}
        events.append((draw.uniform(0, HOURS), "page_viewed", "", page))
    for number in (90, 91):
        order = {"order": f"order-{number}"}
        at = draw.uniform(0, HOURS)
        events.append((at, "purchase_complete", order["order"], order))
    return events


if __name__ == "__main__":
    main()
