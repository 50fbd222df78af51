"""The suite a second time, each record folded anew and compared (``tests/replay.py``)."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.acceptance.processes import ROOT

GROUPS = {
    "flow": ["tests/test_flow.py", "tests/runtime/test_calls.py"],
    "runner": ["tests/runtime/test_runner.py"],
    "state": ["tests/runtime/test_models.py", "tests/runtime/test_state_rules.py"],
    "groups": ["tests/runtime/test_groups.py"],
    "signals": ["tests/runtime/test_signals_rules.py"],
    "compat": ["tests/compat"],
    "policies": [
        "tests/runtime/test_recovery.py",
        "tests/runtime/test_policies_beside.py",
    ],
}

KEPT = "an interrupted run is kept for a later process, and not cancelled"
UNSTORABLE = (
    "what it keeps in state or gives as output cannot be stored: refused by name"
)
SAME = "looks at the identity of an output, which the codec makes anew"

LEFT_OUT = {
    "test_flow.py::test_a_waiting_run_is_given_up_by_a_new_kickoff": KEPT,
    "test_pause.py::test_kickoff_after_a_pause_begins_anew": KEPT,
    "test_flow.py::test_plain_values_of_any_kind_are_outputs": SAME,
    "test_runner.py::test_sync_steps_of_an_async_kickoff_run_in_worker_threads": UNSTORABLE,
    "test_runner.py::test_sync_steps_of_a_blocking_kickoff_run_in_the_callers_thread": UNSTORABLE,
    "test_runner.py::test_a_generator_is_an_output_like_any_other": UNSTORABLE,
    "test_runner.py::test_keyboard_interrupt_of_a_sync_step_ends_the_run": KEPT,
    "test_runner.py::test_keyboard_interrupt_of_an_async_step_ends_the_run": KEPT,
    "test_runner.py::test_cancelling_the_outer_scope_cancels_the_run": KEPT,
    "test_runner.py::test_a_timeout_around_kickoff_cancels_the_run": KEPT,
    "test_runner.py::test_an_outer_asyncio_task_is_cancelled": KEPT,
    "test_runner.py::test_a_coroutine_of_a_plain_function_can_stop_and_fail": KEPT,
    "test_runner.py::test_a_lone_late_thread_is_fenced_off_when_the_run_is_cancelled": KEPT,
    "test_runner.py::test_a_long_chain_that_never_suspends_does_not_starve_other_tasks": (
        "thousands of records, each compared with all before it: minutes"
    ),
    "test_runner.py::test_a_thousand_runs_at_once": "the same: it is about load",
    "test_groups.py::test_thousands_of_items_leave_no_more_than_the_limit_in_memory": (
        "the same: it is about load"
    ),
    "test_models.py::test_copies_made_within_a_step_are_plain": UNSTORABLE,
    "test_models.py::test_an_unpicklable_member_does_no_harm": UNSTORABLE,
    "test_models.py::test_every_form_of_the_type_parameter": UNSTORABLE,
    "test_models.py::test_a_waiting_run_shows_the_users_class": (
        "changes the state of a waiting run from outside, which no record says"
    ),
    "test_state_rules.py::test_a_lock_may_be_a_member": UNSTORABLE,
    "test_streaming.py::test_a_failing_step_is_delivered_then_raised": (
        "looks at the identity of an error, which the store makes anew"
    ),
    "test_feedback.py::test_without_emit_the_result_is_output_and_payload": SAME,
    "test_feedback.py::test_with_emit_the_outcome_is_a_label": SAME,
    "test_pause.py::test_callable_llm_is_found_again": (
        "of a pause in a persistence; with a store the pause is the store's"
    ),
    "test_pause.py::test_pause_of_a_persistence_without_pauses": "the same",
    "test_persistence.py::test_state_that_cannot_be_stored_is_no_fault_until_then": UNSTORABLE,
    "test_persistence.py::test_a_review_is_kept_when_the_state_cannot_be_stored": (
        UNSTORABLE
    ),
}


LEFT_OUT |= {
    "test_recovery.py::test_the_fallback_that_was_chosen_stays_chosen": (
        "an error whose class cannot be found again is restored as another one"
    ),
    "test_policies_beside.py::test_a_flow_step_in_memory_is_called_anew": (
        "of runs in memory; a stored one goes on where it failed"
    ),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("group", GROUPS)
def test_records_alone_give_every_run_again(group):
    """No difference, and no test that fails because its run is kept in a store."""
    files = GROUPS[group]
    names = [each.partition("::")[2] for each in LEFT_OUT]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "--timeout=60",
        *files,
    ]
    command += ["-p", "no:cacheprovider", "-k", "not (" + " or ".join(names) + ")"]
    environment = {**os.environ, "FLOWKIT_ALWAYS_REPLAY": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) > 20


def test_a_difference_is_found(monkeypatch, tmp_path):
    """The mode sees a state that no record says, and a firing that is not there."""
    from flowkit import Flow, event, listen, start
    from tests import replay

    class Waits(Flow, store=f"memory:{tmp_path}"):
        @start()
        def one(self):
            self.state["n"] = 1

        @listen(event("more"))
        def two(self):
            self.state["n"] += 1

    flow = Waits()
    flow.kickoff()
    run = flow.run
    assert replay.differences(run) == []
    flow.state["n"] = 5
    run.marking.fired[0] += 1
    found = replay.differences(run)
    assert found == [
        "Waits after StepFinished: fired is [2, 0], folded [1, 0]",
        "Waits: state.n is 5, folded 1",
    ]
