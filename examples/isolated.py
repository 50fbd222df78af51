"""A step in a process of its own: a crash or a hang there is an error here.

python examples/isolated.py
"""

import os
import time

from flowkit import Flow, Retry, listen, start
from flowkit.errors import StepTimeoutError


class Convert(Flow):
    """Converts a file with a library that sometimes takes the process along."""

    @start(isolate="process", timeout="1m", retry=Retry(3, first=0))
    def convert(self):
        if self.attempt == 1:
            os._exit(1)  # as a crash in C code does
        print(f"converted at attempt {self.attempt}")
        self.state["pages"] = 12
        return "report.pdf"

    @start(isolate="process", timeout="2s")
    def index(self):
        time.sleep(600)

    @listen(index.timeout)
    def without(self, error: StepTimeoutError) -> None:
        print(f"no index: {error.step} took more than {error.seconds:g} s")


if __name__ == "__main__":
    flow = Convert()
    flow.kickoff()
    print(flow.state["pages"], "pages")
