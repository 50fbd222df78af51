"""Runs of the gallery that are cut off and resumed."""

from __future__ import annotations

__all__ = ["RUNS"]

RUNS = {
    1: ("ClaimDesk", {"text": "P-8: 20000"}),
    2: ("ClaimChecks", {}),
    3: ("Decision", {}),
    4: ("Payout", {"euros": 300, "fraud": 0.5}),
    5: ("Day", {"claims": [300, 4_000, 50]}),
    6: ("HelpDesk", {"text": "holiday in my contract"}),
    7: ("HelpDesk", {"text": "tax on a contract"}),
    8: ("PullRequest", {}),
    9: ("Writer", {}),
    10: ("Editing", {"imported": "a letter", "moves": ["rewrite", "deeper", "ready"]}),
    11: ("Onboarding", {"remote": True}),
    12: ("Monitoring", {}),
    13: ("Vote", {}),
    14: ("Review", {}),
    15: ("Campaign", {}),
    17: ("Warehouse", {}),
    21: ("Production", {}),
    22: ("Summary", {"words": ["how", "deep", "is", "the", "western", "sea"]}),
    26: ("Purchase", {}),
    27: ("Review", {}),
    28: ("Gate", {}),
    29: ("Race", {}),
    30: ("Hiring", {}),
    31: ("Shipping", {}),
    32: ("Vote", {}),
    33: ("Factory", {}),
    34: ("Letters", {}),
    35: ("Translation", {}),
    36: ("Delivery", {}),
    37: ("Solar", {"old": True}),
    38: ("Publishing", {}),
    39: ("Rental", {}),
    40: ("Service", {}),
    41: ("Office", {}),
    42: ("Conference", {}),
    43: ("Investigation", {"holder": "Mallory"}),
}
"""The flow of a pattern that is cut off, and what it is kicked off with."""
