"""Identifiers of runs: UUIDs, in version 7 (which sort by time) unless derived."""

from __future__ import annotations

import os

__all__ = ["next_id", "random_id", "run_id"]


def random_id() -> str:
    """A new id for a state: 36 characters, a random UUID.

    Source: RFC 9562, section 5.4.
    """
    noise = os.urandom(16)
    text = noise.hex()
    variant = "89ab"[noise[8] & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def run_id(at: float) -> str:
    """A new id for a run begun at ``at`` seconds since the epoch.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = int(at * 1000) & ((1 << 48) - 1)
    noise = int.from_bytes(os.urandom(10), "big")
    high = noise >> 68 & 0xFFF
    low = noise & ((1 << 62) - 1)
    value = milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low
    return _dashed(f"{value:032x}")


def next_id(flow: str, state_id: str, before: str) -> str:
    """The id of the run of a state that follows the run ``before`` ("" for none).

    The same for everybody who asks: of two processes that begin it, one is refused.
    Source: RFC 9562, section 5.8.
    """
    from hashlib import sha256  # only who keeps runs

    digest = sha256(f"{flow}\0{state_id}\0{before}".encode()).digest()
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | 8 << 76
    value = value & ~(3 << 62) | 2 << 62
    return _dashed(f"{value:032x}")


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
