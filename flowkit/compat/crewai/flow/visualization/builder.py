"""``crewai.flow.visualization.builder``."""

from flowkit.picture import build_flow_structure

__all__ = ["build_flow_structure"]
