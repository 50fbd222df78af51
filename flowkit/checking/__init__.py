"""Every fault of a flow, a module or a project, found without running a step."""

from __future__ import annotations

from flowkit.checking.flows import faults_of_flow
from flowkit.checking.targets import check

__all__ = ["check", "faults_of_flow"]
