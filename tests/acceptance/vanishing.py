"""A flow in the middle of which its journal disappears: for ``flowkit run``."""

from __future__ import annotations

import os
from pathlib import Path

from flowkit import Flow, listen, start


class Vanishes(Flow[dict]):
    """Its second step deletes the journal."""

    @start()
    def first(self):
        return 1

    @listen(first)
    def second(self):
        journal = Path(os.environ["VANISHING"])
        for each in journal.parent.glob(f"{journal.name}*"):
            each.unlink()
        return 2
