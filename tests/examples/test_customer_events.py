"""The program as users run it, and each branch of its flows."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples.customer_events import app, make_sample, services
from examples.customer_events.alert import Alert
from examples.customer_events.progress import Progress
from examples.customer_events.purchase import Purchase
from examples.customer_events.reading import LineError, parsed
from examples.customer_events.signup import Signup
from examples.customer_events.support import MOST_ANSWERS, Support
from examples.customer_events.ticket import Ticket
from flowkit import EventBus

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data here")

SIGNUP = {"account": "a1", "company": "Elm", "email": "o@elm.example", "seats": 3}
ORDER = {
    "order": "o1",
    "customer": "a1",
    "email": "o@elm.example",
    "cents": 5_000,
    "articles": ["lamp"],
}
PAID = {"order": "o1", "cents": 5_000}
REQUEST = {"ticket": "t1", "customer": "a1", "subject": "How do I export?"}
FAULT = {"fingerprint": "f1", "service": "api", "severity": "high", "title": "errors"}


REJECTED = """\
not a JSON object: lines 16, 140
not JSON: lines 110, 130, 197
no 'id': line 299
PurchaseCompleted: cents: Input should be a valid integer, unable to parse string as \
an integer, got 'a few': line 35
got 'owner at account-08': line 37
severity: Input should be 'low', 'medium', 'high' or 'critical', got 'apocalyptic': \
line 44
The payload for Purchase.close_books does not fit PaymentSettled: cents: Input should \
be a valid integer, unable to parse string as an integer, got 'soon': line 90
articles: Input should be a valid list, got 'a few': line 107
'purchase_complete'. Did you mean 'purchase_completed'?: lines 46, 48
'page_viewed'. Register a flow or a handler: lines 78, 84, 106, 161, 182, 212, 286
""".splitlines()

UNKNOWN_FORMAT = """\
other.jsonl has an unknown format: line 1 has 'a', 'b'. Known formats: customer \
events: data, id, type; webhook deliveries: action, event, payload; help-desk log: \
activity, case, time."""


def program(folder: Path, *arguments: object) -> SimpleNamespace:
    """Run the program in a folder; its exit code, and both outputs as lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.customer_events"]
        + [str(argument) for argument in arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    out, err = done.stdout.splitlines(), done.stderr.splitlines()
    return SimpleNamespace(code=done.returncode, out=out, err=err)


def table(lines: list[str]) -> dict[str, list[int]]:
    """The rows of the summary's table as numbers, by flow."""
    rows = [re.split(r"\s{2,}", each) for each in lines[3 : lines.index("", 2)]]
    return {
        name: [int(cell.replace(",", "")) for cell in cells] for name, *cells in rows
    }


def text_of(lines: list[str]) -> str:
    """The summary without its line breaks."""
    return " ".join(" ".join(lines).split())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The program run without arguments."""
    folder = tmp_path_factory.mktemp("sample")
    done = program(folder)
    done.folder = folder
    return done


@pytest.fixture
def office(monkeypatch):
    """Fresh services for one test."""
    for name in ("mail", "crm", "desk", "books", "pager"):
        fresh = type(getattr(services, name))()
        monkeypatch.setattr(services, name, fresh)
    warehouse = services.Warehouse(missing=frozenset({"lamp-discontinued"}))
    monkeypatch.setattr(services, "warehouse", warehouse)
    return services


# The sample ------------------------------------------------------------------


def test_sample_runs_every_flow_to_the_same_counts(sample):
    """Events, runs, completed, waiting, failed, cancelled and steps never vary."""
    assert sample.code == 0
    assert re.fullmatch(
        r"sample\.jsonl \(customer events\): 304 lines, \d+\.\d\d s", sample.out[0]
    )
    assert table(sample.out) == {
        "signup": [53, 29, 22, 6, 0, 1, 167],
        "purchase": [78, 38, 30, 5, 2, 1, 263],
        "support": [71, 30, 21, 9, 0, 0, 149],
        "alert": [67, 25, 20, 5, 0, 0, 119],
        "all": [269, 122, 93, 25, 2, 2, 698],
    }


def test_sample_names_every_rejected_line(sample):
    """Each reason stands with the numbers of its lines."""
    said = text_of(sample.out)
    assert "rejected 20 lines" in said
    for reason in REJECTED:
        assert reason in said


def test_sample_accounts_for_every_line(sample):
    """Taken by flows, handled, counted before, or rejected: nothing else."""
    said = text_of(sample.out)
    assert "handled 6 by note_feedback" in said
    assert (
        "duplicates 9, counted once: lines 79, 112, 126, 184, 231, 243, 247, 271, 279"
    ) in said
    assert 269 + 6 + 9 + 20 == 304


def test_sample_finds_runs_for_what_came_early(sample):
    """A wake event before its start is kept and taken by the run that follows."""
    assert (
        "kept early 14 (payment_settled 8, signup_confirmed 4, alert_resolved 1, "
        "customer_reply 1); 9 found their run, 5 wait"
    ) in text_of(sample.out)


def test_sample_tells_failed_runs_with_their_keys(sample):
    """A step that raised fails its run and no other."""
    assert (
        "failed 2 runs Purchase, OutOfStockError: lamp-discontinued cannot be "
        "delivered: order-12, order-33"
    ) in text_of(sample.out)


def test_sample_draws_a_picture_of_each_flow(sample):
    """The pictures are where the summary says."""
    said = text_of(sample.out).split("plots ")[1].split(", ")
    assert [Path(each).stem for each in said] == [
        "signup",
        "purchase",
        "support",
        "alert",
    ]
    for each in said:
        picture = (sample.folder / each).read_text(encoding="utf-8")
        assert picture.startswith("<!")


def test_progress_off_a_terminal_is_plain(sample):
    """No escapes and no carriage returns reach a file or a pipe."""
    assert sample.err == ["304 lines read, 122 runs"]


def test_sample_file_is_what_its_script_makes():
    """The checked-in file and the checked-in script agree."""
    assert make_sample.SAMPLE.read_text(encoding="utf-8") == make_sample.text()


# What is wrong with the file ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.jsonl", None, "There is no file none.jsonl."),
        ("", None, ". is a directory; give a JSONL file."),
        ("empty.jsonl", b"", "empty.jsonl holds no line with a JSON object."),
        ("prose.txt", b"dear all\n\n", "prose.txt holds no line with a JSON object."),
        (
            "other.jsonl",
            b'{"a": 1, "b": 2}\n',
            UNKNOWN_FORMAT,
        ),
        (
            "broken.gz",
            b"\x1f\x8b\x08\x00 no gzip at all",
            "broken.gz is a broken gzip file after line 0: ",
        ),
    ],
    ids=["missing", "directory", "empty", "prose", "unknown", "gzip"],
)
def test_file_that_cannot_be_replayed_is_one_sentence(tmp_path, name, content, said):
    """Exit code 2, one sentence on stderr, nothing on stdout, no pictures."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = program(tmp_path, name or ".")
    assert (done.code, done.out, len(done.err)) == (2, [], 1)
    assert done.err[0].startswith(f"customer_events: {said}")
    assert not (tmp_path / "build").exists()


def test_gzip_that_breaks_off_is_one_sentence(tmp_path):
    """What was read before does not hide that the rest is missing."""
    whole = gzip.compress(make_sample.SAMPLE.read_bytes())
    (tmp_path / "half.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = program(tmp_path, "half.jsonl.gz")
    assert (done.code, done.out) == (2, [])
    assert re.fullmatch(
        r"customer_events: half\.jsonl\.gz is a broken gzip file after line \d+: "
        r"Compressed file ended before the end-of-stream marker was reached",
        done.err[-1],
    )


def test_two_files_are_a_usage_error(tmp_path):
    """Argparse says how to call it; exit code 2."""
    done = program(tmp_path, "one", "two")
    assert (done.code, done.err[-1]) == (
        2,
        "python -m examples.customer_events: error: unrecognized arguments: two",
    )


def test_line_of_no_json_object_is_refused_by_kind():
    """Nothing that a line can hold is more than a rejected line."""
    for line in (b"\xff\xfe", b"[" * 100_000, b'{"a": ', b"1" * 5_000):
        with pytest.raises(LineError, match=r"^not JSON$"):
            parsed(line)
    for line in (b"[]", b"null", b'"text"', b"3"):
        with pytest.raises(LineError, match=r"^not a JSON object$"):
            parsed(line)


def test_gzipped_sample_gives_the_same_summary(tmp_path, sample):
    """A gzip is known by its first bytes, whatever it is called."""
    (tmp_path / "sample.jsonl").write_bytes(
        gzip.compress(make_sample.SAMPLE.read_bytes())
    )
    assert program(tmp_path, "sample.jsonl").out[1:] == sample.out[1:]


def test_interrupt_stops_between_lines_with_a_partial_summary(
    tmp_path, monkeypatch, capsys
):
    """Ctrl-C: what was read so far is summed up, exit code 130."""

    class Interrupting(Progress):
        def update(self, lines, runs):
            if lines == 100:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(app, "Progress", Interrupting)
    before = signal.getsignal(signal.SIGINT)
    assert app.main(["--plots", str(tmp_path)]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    said = capsys.readouterr().out
    assert said.startswith(
        "sample.jsonl (customer events): 100 lines, then interrupted"
    )


# Recorded input ------------------------------------------------------------------


@recorded
def test_help_desk_recording_gives_one_run_per_ticket(tmp_path):
    """4,580 runs, 4,559 of them closed; 21,348 events, none lost, none twice."""
    done = program(tmp_path, DATA / "helpdesk.jsonl.gz")
    assert done.code == 0
    assert done.out[0].startswith("helpdesk.jsonl.gz (help-desk log): 21,348 lines, ")
    assert table(done.out) == {"ticket": [21_348, 4_580, 0, 0, 0, 4_580, 52_253]}
    said = text_of(done.out)
    assert "closed 4,559 of 4,580 runs, by their states" in said
    assert "events 21,348 in the runs' states, none lost, none twice" in said
    assert "the end of the recording cancelled the runs" in said
    assert "rejected nothing" in said


@recorded
def test_webhook_recording_feeds_the_four_flows(tmp_path):
    """51 of 204 deliveries are the company's; the others are named and counted."""
    done = program(tmp_path, DATA / "github-webhooks.jsonl.gz")
    assert done.code == 0
    assert table(done.out) == {
        "signup": [4, 2, 1, 1, 0, 0, 11],
        "purchase": [3, 2, 0, 2, 0, 0, 12],
        "support": [38, 4, 1, 3, 0, 0, 45],
        "alert": [6, 4, 1, 3, 0, 0, 13],
        "all": [51, 12, 3, 9, 0, 0, 81],
    }
    said = text_of(done.out)
    assert "no flow takes them: 153 (pull_request 21, release 9, " in said
    assert "kept early 9 (customer_reply 6, alert_resolved 1, " in said


# Each flow -----------------------------------------------------------------------


def steps(flow) -> set[str]:
    """Names of the steps that ended."""
    return {step for step, _, _ in flow.run.history}


def test_signup_of_a_small_customer_waits_for_the_confirmation(office):
    """Welcome, tasks and guide at once; the check-in after the confirmation."""
    flow = Signup()
    run = flow.kickoff(SIGNUP)
    assert (run.status, run.awaits) == ("waiting", ("signup_confirmed",))
    assert steps(flow) == {
        "register",
        "welcome",
        "plan_onboarding",
        "size",
        "send_guide",
    }
    assert flow.send("signup_confirmed", {"account": "a1"})
    assert run.status == "completed"
    assert office.desk.tasks[flow.state.check_in - 1] == "call Elm"


@pytest.mark.parametrize(("seats", "manager"), [(50, "Grace"), (500, "Ada")])
def test_signup_of_a_large_customer_gets_an_account_manager(office, seats, manager):
    """A person instead of the guide, and the CRM knows who."""
    flow = Signup()
    flow.kickoff({**SIGNUP, "seats": seats})
    assert flow.state.manager == manager
    assert office.crm.notes["a1"] == [f"account manager: {manager}"]
    assert [mail.subject for mail in office.mail.sent] == ["Welcome, Elm"]


def test_signup_that_is_cancelled_ends_its_run(office):
    """The run is cancelled; a confirmation is not taken any more."""
    flow = Signup()
    run = flow.kickoff(SIGNUP)
    flow.send("signup_cancelled", {"account": "a1"})
    assert (run.status, run.reason) == ("cancelled", "the customer cancelled")
    assert not flow.send("signup_confirmed", {"account": "a1"})


def test_purchase_ships_and_closes_its_books_when_paid(office):
    """Receipt and CRM, then shipping, then the payment."""
    flow = Purchase()
    run = flow.kickoff(ORDER)
    assert office.warehouse.shipped == {"o1": ["lamp"]}
    assert (office.books.sums, run.awaits) == ({"sold": 5_000}, ("payment_settled",))
    flow.send("payment_settled", PAID)
    assert run.status == "completed"
    assert office.books.sums == {"sold": 5_000, "paid": 5_000}


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "refused"])
def test_purchase_of_unusual_size_waits_for_a_person(office, approved):
    """Nothing is shipped before the decision, nothing ever if it is no."""
    flow = Purchase()
    run = flow.kickoff({**ORDER, "cents": 600_000})
    assert (office.warehouse.shipped, run.awaits[0]) == ({}, "review_decided")
    flow.send("review_decided", {"order": "o1", "approved": approved})
    assert bool(office.warehouse.shipped) is approved
    assert office.desk.finished == {1}
    flow.send("payment_settled", {"order": "o1", "cents": 600_000})
    assert run.status == "completed"
    names = ["paid", "sold"] if approved else ["refunded", "refused"]
    assert sorted(office.books.sums) == names


def test_purchase_paid_before_it_is_known_is_closed_at_once(office):
    """The bus keeps the payment for the run that will wait for it."""
    with EventBus() as bus:
        bus.register(Purchase)
        assert bus.send("payment_settled", PAID).kept
        receipt = bus.send("purchase_completed", ORDER)
        bus.drain()
        assert (receipt.runs[0].status, bus.kept) == ("completed", 0)
    assert office.books.sums["paid"] == 5_000


def test_purchase_of_what_is_not_there_fails_alone(office):
    """The warehouse's error is the run's failure."""
    flow = Purchase()
    with pytest.raises(services.OutOfStockError, match="lamp-discontinued"):
        flow.kickoff({**ORDER, "articles": ["lamp-discontinued"]})
    assert flow.run.status == "failed"
    assert (office.warehouse.shipped, office.books.sums) == ({}, {})


def test_purchase_that_is_cancelled_ends_its_run(office):
    """Even while a person looks at it."""
    flow = Purchase()
    run = flow.kickoff({**ORDER, "cents": 600_000})
    flow.send("purchase_cancelled", {"order": "o1"})
    assert run.status == "cancelled"
    assert office.mail.sent[-1].subject == "o1 is cancelled"


def reply(flow, text: str) -> None:
    """One more reply of the customer."""
    flow.send("customer_reply", {"ticket": "t1", "text": text})


def test_support_closes_when_the_customer_is_content(office):
    """Answer, reply, answer, thanks: closed after the second answer."""
    flow = Support()
    run = flow.kickoff(REQUEST)
    reply(flow, "Still the same.")
    reply(flow, "Thank you, solved.")
    assert (run.status, run.result) == ("completed", "solved")
    assert (flow.state.answers, flow.state.solved) == (2, True)
    assert office.crm.notes["a1"] == ["solved t1"]


def test_support_hands_over_after_the_last_answer(office):
    """The loop ends at its bound, with a person."""
    flow = Support()
    run = flow.kickoff(REQUEST)
    for _ in range(MOST_ANSWERS):
        assert run.status == "waiting"
        reply(flow, "No.")
    assert (run.status, run.result) == ("completed", "escalated")
    assert (len(office.mail.sent), office.desk.tasks) == (3, ["take over t1"])


def test_support_hands_over_what_is_urgent_at_once(office):
    """No answer by mail when the shop is down."""
    flow = Support()
    flow.kickoff({**REQUEST, "subject": "Outage!"})
    assert (flow.run.result, office.mail.sent) == ("escalated", [])


def test_support_adds_a_further_request_to_the_open_ticket(office):
    """The same ticket is no second run."""
    with EventBus() as bus:
        bus.register(Support)
        first = bus.send("support_requested", REQUEST)
        bus.drain()
        second = bus.send("support_requested", REQUEST)
        bus.drain()
        assert first.runs == second.runs
    assert first.runs[0].state.requests == 2


@pytest.mark.parametrize("severity", ["high", "critical"])
def test_alert_that_is_urgent_pages_once_for_all_repeats(office, severity):
    """One cause is one run and one call, until it is resolved."""
    with EventBus() as bus:
        bus.register(Alert)
        runs = set()
        for _ in range(5):
            runs.update(bus.send("alert_raised", {**FAULT, "severity": severity}).runs)
            bus.drain()
        bus.send("alert_resolved", {"fingerprint": "f1"})
        bus.drain()
    (run,) = runs
    assert (run.status, run.state.repeats, run.state.resolved) == ("completed", 4, True)
    assert office.pager.calls == ["api: errors"]


def test_alert_that_is_harmless_pages_at_its_third_repeat(office):
    """A task first, a call when it will not stop."""
    flow = Alert()
    flow.kickoff({**FAULT, "severity": "low"})
    assert (office.pager.calls, office.desk.tasks) == ([], ["look at api: errors"])
    for _ in range(4):
        flow.send("alert_raised", {**FAULT, "severity": "low"})
    assert office.pager.calls == ["api: again and again"]


def test_alert_after_its_resolution_is_a_new_run(office):
    """A closed cause that comes back is paged again."""
    with EventBus() as bus:
        bus.register(Alert)
        runs = []
        for name in ("alert_raised", "alert_resolved", "alert_raised"):
            runs += bus.send(name, FAULT).runs
            bus.drain()
    assert (runs[0] is runs[1], runs[0] is runs[2]) == (True, False)
    assert len(office.pager.calls) == 2


@pytest.mark.parametrize("first", ["Insert ticket", "Wait", "Closed"])
def test_ticket_is_opened_by_any_activity(first):
    """Recordings begin in the middle; a first activity can be any."""
    flow = Ticket()
    flow.kickoff({"case": "1", "activity": first, "time": "", "line": 1})
    assert (flow.state.lines, flow.state.closed) == ([1], first == "Closed")


def test_ticket_stays_closed_whatever_comes_later():
    """Closed is a field of the state and not the end of the run."""
    flow = Ticket()
    activities = ["Wait", "Resolve ticket", "Closed", "Take in charge ticket"]
    first, *later = [
        {"case": "1", "activity": activity, "time": "", "line": line}
        for line, activity in enumerate(activities, 1)
    ]
    run = flow.kickoff(first)
    for activity in later:
        flow.send("ticket_activity", activity)
    assert (run.status, flow.state.lines) == ("waiting", [1, 2, 3, 4])
    assert (flow.state.resolved, flow.state.closed) == (True, True)
