"""The smallest flow: a start, a listener, a result.

python examples/hello.py
"""

from flowkit import Flow, listen, start


class Greeting(Flow):
    """Two steps, one after the other."""

    @start()
    def name(self):
        return self.state.get("name", "Ada")

    @listen(name)
    def greet(self, name: str):
        return f"Hello, {name}"


if __name__ == "__main__":
    print(Greeting().kickoff())
    print(Greeting().kickoff({"name": "Grace"}))
