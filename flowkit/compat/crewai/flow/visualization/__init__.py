"""``crewai.flow.visualization``: a flow as nodes and edges, and as a picture."""

from flowkit.picture import build_flow_structure, visualize_flow_structure

__all__ = ["build_flow_structure", "visualize_flow_structure"]
