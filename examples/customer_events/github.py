"""Webhook deliveries of a code-hosting service as the company's events.

A delivery whose event has no entry in the table keeps its name; the bus then says
that nobody takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from examples.customer_events.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

_Payload = dict[str, Any]

_SEVERITIES = {
    "critical": "critical",
    "error": "high",
    "high": "high",
    "warning": "medium",
    "medium": "medium",
    "moderate": "medium",
}

_INSTALLATIONS = {
    "deleted": "signup_cancelled",
    "new_permissions_accepted": "signup_confirmed",
}


def message(event: str, action: str, payload: _Payload) -> Message:
    """The company's event for a delivery.

    Raises:
        KeyError: the delivery lacks a field; TypeError, AttributeError: or has
            another type there.
    """
    adapter = _ADAPTERS.get(event)
    return (
        Message(event, payload, None) if adapter is None else adapter(action, payload)
    )


def _installation(action: str, payload: _Payload) -> Message:
    installation = payload["installation"]
    login = installation["account"]["login"]
    signup = {
        "account": str(installation["id"]),
        "company": login,
        "email": f"{login}@users.example",
        "seats": max(1, len(payload.get("repositories") or ())),
    }
    name = _INSTALLATIONS.get(action, "signup_completed")
    return Message(name, signup, signup["account"])


def _marketplace_purchase(action: str, payload: _Payload) -> Message:
    purchase = payload["marketplace_purchase"]
    account, plan = purchase["account"], purchase["plan"]
    order = {
        "order": f"{account['login']}/{plan['name']}",
        "customer": account["login"],
        "email": account["organization_billing_email"],
        "cents": plan["monthly_price_in_cents"] * max(1, purchase["unit_count"]),
        "articles": [plan["name"]],
    }
    name = "purchase_cancelled" if action == "cancelled" else "purchase_completed"
    return Message(name, order, order["order"])


def _issue_comment(action: str, payload: _Payload) -> Message:
    ticket = _ticket(payload["issue"])
    reply = {"ticket": ticket, "text": payload["comment"]["body"]}
    return Message("customer_reply", reply, ticket)


def _request(thread: _Payload) -> Message:
    ticket = _ticket(thread)
    request = {
        "ticket": ticket,
        "customer": thread["user"]["login"],
        "subject": thread["title"],
    }
    return Message("support_requested", request, ticket)


def _ticket(thread: _Payload) -> str:
    address: str = thread["html_url"]
    return address.split("/", 3)[-1]


def _repository_alert(action: str, payload: _Payload) -> Message:
    alert = payload["alert"]
    about = alert.get("rule") or alert["security_advisory"]
    raised = {
        "fingerprint": alert["html_url"].split("/", 3)[-1],
        "service": payload["repository"]["full_name"],
        "severity": _SEVERITIES.get(about["severity"], "low"),
        "title": about.get("summary") or about["description"],
    }
    name = "alert_resolved" if action in {"fixed", "dismissed"} else "alert_raised"
    return Message(name, raised, raised["fingerprint"])


def _advisory(action: str, payload: _Payload) -> Message:
    advisory = payload["security_advisory"]
    raised = {
        "fingerprint": advisory["ghsa_id"],
        "service": advisory["vulnerabilities"][0]["package"]["name"],
        "severity": _SEVERITIES.get(advisory["severity"], "low"),
        "title": advisory["summary"],
    }
    name = "alert_resolved" if action == "withdrawn" else "alert_raised"
    return Message(name, raised, raised["fingerprint"])


_ADAPTERS: dict[str, Callable[[str, _Payload], Message]] = {
    "installation": _installation,
    "marketplace_purchase": _marketplace_purchase,
    "issues": lambda _, payload: _request(payload["issue"]),
    "issue_comment": _issue_comment,
    "discussion": lambda _, payload: _request(payload["discussion"]),
    "dependabot_alert": _repository_alert,
    "code_scanning_alert": _repository_alert,
    "security_advisory": _advisory,
}
