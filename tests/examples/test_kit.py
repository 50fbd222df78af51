"""The examples under the testing kit: paths, kills at every record, cut tests."""

from __future__ import annotations

import pytest

from examples.approval.expense import Expense
from examples.customer_events.purchase import Purchase
from examples.hello import Greeting
from examples.parallel_join import Research
from examples.review_loop import Review
from flowkit.testing import (
    Answers,
    Arrives,
    TimePasses,
    any_order,
    assert_path,
    fail,
    play,
    survives_kills,
    testcase,
)

CLAIM = {"requested_by": "ann", "euros": 900, "purpose": "chairs"}
ORDER = {
    "order": "o-1",
    "customer": "ada",
    "email": "ada@example.org",
    "cents": 600_000,
    "articles": ["lamp"],
}
OUTSIDE = [
    Arrives("review_decided", {"order": "o-1", "approved": True}, key="o-1"),
    Arrives("payment_settled", {"order": "o-1", "cents": 600_000}, key="o-1"),
]


def cut_and_run(run):
    """The test that is cut from a run passes."""
    names = {}
    exec(testcase(run.id, name="test_cut"), names)
    names["test_cut"]()


def test_every_example_survives_a_kill_at_each_record() -> None:
    """Side by side, in a loop, with people, with events."""
    assert survives_kills(Greeting) == 6
    assert survives_kills(Research, ignore=["sources"]) == 10  # in any order
    assert survives_kills(Review, {"topic": "tides"}) == 18
    approve = [Answers("review", verb="approve", by="bob")]
    assert survives_kills(Expense, CLAIM, outside=approve) == 12
    assert survives_kills(Purchase, begins=PURCHASED, outside=OUTSIDE) >= 16


PURCHASED = Arrives("purchase_completed", ORDER, key="o-1")


def test_a_loop_is_told_turn_by_turn() -> None:
    """As often as it went round."""
    run = play(Review, {"topic": "tides"})
    turn = ["write", "judge"]
    assert_path(run, "outline", *turn, *turn, *turn, "publish")


def test_nobody_has_time() -> None:
    """Both roles let their time pass."""
    run = play(Expense, CLAIM, outside=[TimePasses("4h"), TimePasses("2d")])
    assert run.result == "refused to ann: nobody had time"
    assert_path(run, Expense.claim, Expense.review, Expense.refuse)


def test_a_purchase_is_reviewed_and_paid(memory_store) -> None:
    """Receipt and CRM side by side."""
    run = play(Purchase, begins=PURCHASED, outside=OUTSIDE)
    assert run.status == "completed"
    path = ["receive", any_order("send_receipt", "update_crm"), "check"]
    assert_path(run.id, *path, *[step for step, _, _ in run.history[4:]])
    cut_and_run(run)


def test_a_lost_mail_fails_the_purchase() -> None:
    """With the error itself."""
    with fail(Purchase, "send_receipt", with_=ConnectionError("no mail")):
        run = play(Purchase, begins=PURCHASED)
    with pytest.raises(ConnectionError):
        run.outcome()
