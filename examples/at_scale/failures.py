"""Rows of a bank statement, of which some cannot be read: four policies.

python -m examples.at_scale.failures
"""

from flowkit import Flow, FlowState, each, gather, listen, start


class Statement(FlowState):
    """Its rows."""

    rows: list[str]


def euros(row: str) -> int:
    """What a row is about."""
    return int(row.rsplit(maxsplit=1)[-1])


class Strict(Flow[Statement]):
    """`fail_fast`: the first bad row cancels the others and fails the import."""

    @start()
    def rows(self) -> list[str]:
        return self.state.rows

    @listen(each(rows))
    async def read(self, row: str) -> int:
        return euros(row)

    @listen(gather(read))
    async def book(self, sums: list[int]) -> int:
        return sum(sums)


class Thorough(Flow[Statement]):
    """`finish`: all are read, then it fails, and all bad rows are known."""

    @start()
    def rows(self) -> list[str]:
        return self.state.rows

    @listen(each(rows, failures="finish"))
    async def read(self, row: str) -> int:
        return euros(row)

    @listen(gather(read))
    async def book(self, sums: list[int]) -> int:
        return sum(sums)


class Lenient(Flow[Statement]):
    """`collect`: the errors stand among the results, at their places."""

    @start()
    def rows(self) -> list[str]:
        return self.state.rows

    @listen(each(rows, failures="collect"))
    async def read(self, row: str) -> int:
        return euros(row)

    @listen(gather(read))
    async def book(self, sums: list[int | Exception]) -> dict:
        bad = [row for row, found in enumerate(sums) if isinstance(found, Exception)]
        good = sum(found for found in sums if not isinstance(found, Exception))
        return {"euros": good, "bad rows": bad}


class Tolerant(Flow[Statement]):
    """`max_failures`: a tenth may be bad; a count is written as a whole number."""

    @start()
    def rows(self) -> list[str]:
        return self.state.rows

    @listen(each(rows, failures="finish", max_failures=0.1))
    async def read(self, row: str) -> int:
        return euros(row)

    @listen(gather(read))
    async def book(self, sums: list[int]) -> int:
        return sum(sums)


def main():
    """Two rows in twelve are bad; then two in twenty-two."""
    rows = ["lamp 40", "torn", "desk 90", "wet", *["stamps 1"] * 8]
    for flow in (Strict(), Thorough(), Lenient(), Tolerant()):
        try:
            print(type(flow).__name__, flow.kickoff({"rows": rows}))
        except ValueError as error:
            print(type(flow).__name__, "failed:", error)
            for other in flow.run.failures[1:]:
                print("  beside:", other)
    print("Tolerant", Tolerant().kickoff({"rows": [*rows, *["stamps 1"] * 10]}))


if __name__ == "__main__":
    main()
