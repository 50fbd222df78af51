"""``python -m examples.customer_events [FILE.jsonl[.gz]]``."""

import sys

from examples.customer_events.app import main

if __name__ == "__main__":
    sys.exit(main())
