"""What a step costs, as ratios to floors measured in the same run.

``python -m benchmarks [--rounds N] [--json FILE]``. Each row pairs a flow with the
bare Python that does the same work; the two take turns, and the median ratio is
what to quote. Absolute figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import cases, durable, functions, pictures, policies
from benchmarks.imports import import_rows
from benchmarks.timing import Row, measure


def main() -> int:
    """Run all cases and print a table; 1 if a guarded ratio is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    every = [
        *cases.CASES,
        *durable.CASES,
        *functions.CASES,
        *pictures.CASES,
        *policies.CASES,
    ]
    rows = [
        measure(case, options.rounds) for case in every if options.only in case.title
    ]
    rows += import_rows(options.rounds, options.only)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=1))
    return int(any(row.missed for row in rows))


def show(rows: list[Row]) -> None:
    """The table on stdout."""
    print(f"{'case':42} {'here':>10} {'floor':>10} {'ratio':>7} {'guard':>7}  goal")
    for row in rows:
        guard = f"{row.guard:.2f}" if row.guard else "-"
        mark = "  MISSED" if row.missed else ""
        print(
            f"{row.title:42} {row.here:8.2f}us {row.floor:8.2f}us "
            f"{row.ratio:7.2f} {guard:>7}  {row.goal}{mark}"
        )


if __name__ == "__main__":
    sys.exit(main())
