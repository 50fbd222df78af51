"""An editor sends a text deeper, has it rewritten, publishes or drops it.

python -m examples.patterns.wcp10_arbitrary_cycles
"""

from pydantic import Field

from flowkit import Flow, FlowState, listen, merge, or_, router, start


class Desk(FlowState):
    """The text, what was given in ready-made, and the editor's moves to come."""

    imported: str = ""
    text: str = ""
    moves: list[str] = Field(default_factory=lambda: ["deeper", "rewrite", "ready"])


class Editing(Flow[Desk]):
    """A loop with two ways in (outline, import) and two ways out (ready, drop)."""

    @router(emit=["write", "import"])
    @start()
    def choose_source(self):
        return "import" if self.state.imported else "write"

    @listen("write")
    def outline(self):
        self.state.text = "a plan"

    @listen("import")
    def take_import(self):
        self.state.text = self.state.imported

    @listen(or_("rewrite", take_import))
    def rewrite_text(self):
        self.state.text += ", in better words"

    @router(
        merge(outline, "deeper", rewrite_text),
        emit=["deeper", "rewrite", "ready", "drop"],
        max_firings=20,
    )
    def critique(self):
        move = self.state.moves.pop(0)
        if move == "deeper":
            self.state.text += ", with more detail"
        return move

    @listen("ready")
    def publish(self):
        return self.state.text

    @listen("drop")
    def give_up(self):
        self.state.text = ""


def main():
    """Both ways in, both ways out."""
    print(Editing().kickoff())
    print(Editing().kickoff({"imported": "a letter", "moves": ["rewrite", "ready"]}))
    print(Editing().kickoff({"moves": ["deeper", "deeper", "drop"]}))


if __name__ == "__main__":
    main()
