"""What goes on in flows, for people and for other programs.

::

    from flowkit import observe

    print(observe.insights())
    print(observe.health())
"""

from __future__ import annotations

from flowkit.observe.insight import insights
from flowkit.observe.state import health

__all__ = ["health", "insights"]
