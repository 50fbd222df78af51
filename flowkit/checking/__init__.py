"""Every fault of a flow, a module or a project, found without running a step."""

from __future__ import annotations

from flowkit.checking.flows import faults_of_flow
from flowkit.checking.targets import Checked, check, checked, checked_module

__all__ = ["Checked", "check", "checked", "checked_module", "faults_of_flow"]
