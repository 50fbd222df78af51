"""What was exported, by name."""

from __future__ import annotations

__all__ = ["named", "points"]


def named(exporter, name):
    """The spans of that name, in the order they ended."""
    return [each for each in exporter.get_finished_spans() if each.name == name]


def points(reader):
    """Count, sum and attributes of each metric's points."""
    found = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] = list(metric.data.data_points)
    return found
