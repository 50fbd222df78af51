"""A name that is not there is an error to a type checker, too; read, never run."""

import flowkit
from flowkit.compat.crewai.flow.flow import Flow as HistoricFlow
from flowkit.compat.crewai.flow.visualization import build_flow_structure

flowkit.Flwo  # type: ignore[attr-defined]  # noqa: B018
flowkit.EventBus  # noqa: B018
flowkit.signals.step_failed  # noqa: B018


class Historic(HistoricFlow[dict[str, str]]):
    pass


build_flow_structure(Historic)
