"""What is raised in a step to end it at once. Never caught by accident."""

__all__ = ["Abort", "Evicted", "Stop"]


class Stop(BaseException):
    """Raised by ``self.stop()``: nothing after it runs."""


class Abort(Stop):
    """Raised by ``self.abort()``."""


class Evicted(Stop):
    """Raised in a step that has waited long: it starts again with its answers."""
