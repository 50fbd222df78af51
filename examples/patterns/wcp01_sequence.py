"""A claim arrives as a letter; it is read first and rated afterwards.

python -m examples.patterns.wcp01_sequence
"""

from typing import Literal

from pydantic import BaseModel

from flowkit import Flow, FlowState, listen, start


class Letter(FlowState):
    """What the post brought."""

    text: str = ""


class Claim(BaseModel):
    """The same, understood."""

    policy: str
    euros: int


class ClaimDesk(Flow[Letter]):
    """``triage`` begins when ``intake`` is done, and is handed its result."""

    @start()
    def intake(self) -> Claim:
        policy, _, euros = self.state.text.partition(": ")
        return Claim(policy=policy, euros=int(euros))

    @listen(intake)
    def triage(self, claim: Claim) -> Literal["desk", "expert"]:
        return "expert" if claim.euros > 5_000 else "desk"


def main():
    """Rate two claims; the third letter is not readable, so it is never rated."""
    for text in ("P-7: 300", "P-8: 20000", "P-9: a lot"):
        desk = ClaimDesk()
        try:
            print(text, "->", desk.kickoff({"text": text}))
        except ValueError as error:
            print(text, "->", error)


if __name__ == "__main__":
    main()
