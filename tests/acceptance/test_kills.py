"""Processes are killed at random moments; nothing is lost, nothing recorded twice.

Each test has its own databases, a log of side effects outside of them, and what must
hold is in :func:`tests.acceptance.killer.check` (decisions.md, 20). Reports are added up
and printed at the end (``pytest -s``).
"""

from __future__ import annotations

import pytest

from tests.acceptance.killer import MODES
from tests.acceptance.processes import PROVE, killed

pytestmark = [pytest.mark.prove, pytest.mark.timeout(0 if PROVE else 240)]
KILLS = 850 if PROVE else 24
SECONDS = 3600.0 if PROVE else 90.0
KINDS = {
    "blocking": ("busy", "plain", "crowd"),
    "asyncio": ("busy", "plain", "crowd"),
    "trio": ("trio", "plain", "crowd on trio"),
}


@pytest.mark.parametrize("option", ["", "?synchronous=normal"], ids=["full", "normal"])
@pytest.mark.parametrize("mode", MODES)
def test_killed_processes_lose_nothing(tmp_path, mode, option):
    """One process a database; killers side by side, one for each kind of flow."""
    plans = []
    for flow in KINDS[mode]:
        folder = tmp_path / flow
        folder.mkdir()
        url = f"sqlite:///{folder}/{{n}}.db{option}"
        plans.append(
            {
                "url": url,
                "folder": str(folder),
                "mode": mode,
                "flow": flow,
                "kills": KILLS,
            }
        )
    told(killed(plans, SECONDS))


@pytest.mark.parametrize("mode", MODES)
def test_two_processes_take_each_others_runs_over(tmp_path, mode):
    """Both move runs of one database; a killed one's go on in the other."""
    plan = {
        "url": f"sqlite:///{tmp_path}/{{n}}.db?synchronous=normal",
        "folder": str(tmp_path),
        "mode": mode,
        "kills": KILLS // 2,
        "children": 2,
        "runs": 5,
        "least": 30.0,
        "most": 250.0,
    }
    told(killed([plan], SECONDS))


def told(reports: list[dict]) -> None:
    """Figures, and that the proof was one: firings were hit and started again."""
    for report in reports:
        print({name: value for name, value in report.items() if name != "faults"})
    assert sum(report["kills"] for report in reports) >= KILLS // 2
    assert sum(report["restarted"] for report in reports) > 0
