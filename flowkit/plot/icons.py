"""Icons of drawings, as paths: fonts lack glyphs, and pictures load nothing."""

from __future__ import annotations

__all__ = ["ICONS", "SIDE"]

SIDE = 16.0
"""Each icon fills a square of so many px."""

ICONS = {
    # Kinds of nodes.
    "start": "M5 3.2l8 4.8-8 4.8z",
    "listen": "M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
    "router": "M8 1.8L14.2 8L8 14.2L1.8 8z",
    "event": "M9.2 1.2L3.2 9.2H7.6L6.6 14.8L12.8 6.6H8.4z",
    "outside": "M1.5 8h8M6.5 4.8l3.2 3.2-3.2 3.2M10 2h4v12h-4",
    "flow": "M2.5 2.5h11v11h-11zM5 8h6M8.8 5.6L11.2 8L8.8 10.4",
    "several": "M4.5 4.5h9v9h-9zM2.5 11.5v-9h9",
    "async": "M2 6.2c2-3 4-3 6 0s4 3 6 0M2 11c2-3 4-3 6 0s4 3 6 0",
    # How a step fared in a run, and in one of two.
    "ready": "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9",
    "running": "M13.5 8a5.5 5.5 0 1 1-2.2-4.4M11.6 1v3h-3",
    "waiting": "M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 1 0 0-11.6M8 5v3.3l2.3 1.5",
    "done": "M3 8.5l3.4 3.4L13.2 4.6",
    "failed": "M4 4l8 8M12 4l-8 8",
    "cancelled": "M2.8 8h10.4",
    "stuck": "M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 1 0 0-11.6M3.9 3.9l8.2 8.2",
    "same": "M3 6h10M3 10h10",
    "differs": "M3 6h10M3 10h10M10.8 2.6L5.2 13.4",
    "first": "M3.6 13L8 3L12.4 13M5.2 9.6H10.8",
    "second": "M5 3V13H9.2a2.7 2.7 0 0 0 0-5.3H5M5 3h3.6a2.35 2.35 0 0 1 0 4.7",
    # Marks.
    "retry": "M2.5 8a5.5 5.5 0 1 0 2.2-4.4M4.4 1v3h3",
    "timeout": "M8 3.6a5.2 5.2 0 1 0 0 10.4a5.2 5.2 0 1 0 0-10.4M8 6v3M6.2 1.4h3.6",
    "cache": (
        "M2.8 4c0-2.4 10.4-2.4 10.4 0v8c0 2.4-10.4 2.4-10.4 0z"
        "M2.8 4c0 2.4 10.4 2.4 10.4 0"
    ),
    "hedge": "M2.5 5h8M8 2.5L10.5 5L8 7.5M5.5 11h8M11 8.5l2.5 2.5-2.5 2.5",
    "isolate": "M2 2h12v12H2zM5.5 5.5h5v5h-5z",
    "limit": "M2 12.5a6.4 6.4 0 1 1 12 0M8 10.5l3.2-4",
    "lock": "M3.5 7.2h9v6.6h-9zM5.3 7.2V4.8a2.7 2.7 0 0 1 5.4 0v2.4",
    "breaker": "M1.5 10h4l4.6-5.2M10.5 10h4",
    "gate": "M2.5 3v10M13.5 3v10M5 8h6M8.6 5.6L11 8L8.6 10.4",
    "region": "M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3",
    "undo": "M6 3L2.5 6.5L6 10M2.5 6.5H10a3.5 3.5 0 0 1 0 7H7",
    "fallback": "M3 2.5v4.7a3 3 0 0 0 3 3h6.8M9.8 7.2l3 3-3 3",
    "cancel": (
        "M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 1 0 0-11.6"
        "M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4"
    ),
    "each": "M2.5 4h11M2.5 8h11M2.5 12h11",
    "loop": (
        "M11.5 2l2.3 2.3-2.3 2.3M13.8 4.3H5a3 3 0 0 0-3 3V8"
        "M4.5 14l-2.3-2.3L4.5 9.4M2.2 11.7H11a3 3 0 0 0 3-3V8"
    ),
    "person": "M8 2.2a2.7 2.7 0 1 0 0 5.4a2.7 2.7 0 1 0 0-5.4M2.8 14c.6-6 9.8-6 10.4 0",
    "priority": "M8 13.5v-10M4 7.2l4-4 4 4",
    "share": "M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 1 0 0-11.6M8 2.2V8l4.1 4.1",
    # Faults.
    "error": "M5.2 2h5.6L14 5.2v5.6L10.8 14H5.2L2 10.8V5.2zM8 4.8v4M8 11.2v.4",
    "warning": "M8 2L14.4 13.6H1.6zM8 6.2v3.4M8 11.6v.4",
    "hint": "M6 11.2C2.4 8 4.4 2 8 2s5.6 6 2 9.2zM6.4 13.8h3.2",
    "note": "M3 2.5h10v11H3zM5.5 6h5M5.5 9.5h5",
}
