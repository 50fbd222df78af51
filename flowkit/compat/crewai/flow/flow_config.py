"""``crewai.flow.flow_config``: who is asked, for the whole process."""

from flowkit.runtime.providers import FlowConfig, flow_config

__all__ = ["FlowConfig", "flow_config"]
