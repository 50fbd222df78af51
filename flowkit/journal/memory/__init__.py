"""The store in memory: every promise of the port but durability."""

from __future__ import annotations

from flowkit.journal.memory.store import MemoryStore

__all__ = ["MemoryStore"]
