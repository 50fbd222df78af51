"""What an author may write as a schedule, and what is said of the rest."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit import DefinitionError, Flow, event, listen, start
from flowkit.core.definition import Schedule
from flowkit.define.schedules import schedule_of
from flowkit.errors import MissingExtraError

FORM = "Write five fields, minute, hour, day of month, month and day of week, such as '0 6 * * 1-5'."
LENGTH = "Write seconds, or text such as '90s', '1h30m' or '14d'."
GOOD = [
    ({"every": "15m"}, Schedule(every=900.0)),
    ({"every": 1}, Schedule(every=1.0)),
    ({"every": timedelta(hours=1)}, Schedule(every=3600.0)),
    (
        {"cron": " 0 6  * * 1-5", "tz": "Europe/Berlin", "missed": "skip"},
        Schedule(cron="0 6 * * 1-5", tz="Europe/Berlin", missed="skip"),
    ),
    ({"cron": "0 0 29 FEB mon#5"}, Schedule(cron="0 0 29 FEB mon#5")),
    ({"every": 60, "tz": "UTC"}, Schedule(every=60.0)),
]
BAD = [
    ({"every": 0.5}, "every=0.5): every takes at least one second."),
    (
        {"every": "soon"},
        f"every='soon'): every takes a length of time, not 'soon'. {LENGTH}",
    ),
    ({"every": True}, f"every=True): every takes a length of time, not True. {LENGTH}"),
    (
        {"every": 1, "cron": "* * * * *"},
        "every=1, cron='* * * * *') says its times twice. Give one of every= and cron=, or two steps.",
    ),
    ({"tz": "UTC"}, "tz='UTC') says no times. Add every=.. or cron=.."),
    ({"missed": "all"}, "missed='all') says no times. Add every=.. or cron=.."),
    (
        {"every": 9, "missed": "al"},
        "every=9, missed='al'): missed is 'latest', 'all' or 'skip'.",
    ),
    (
        {"every": 9, "tz": "Berlin"},
        "every=9, tz='Berlin'): there is no time zone 'Berlin'. Did you mean 'Europe/Berlin'?",
    ),
    (
        {"every": 9, "tz": "new york"},
        "every=9, tz='new york'): there is no time zone 'new york'. Did you mean 'America/New_York'?",
    ),
    (
        {"every": 9, "tz": "Europe/Berln"},
        "every=9, tz='Europe/Berln'): there is no time zone 'Europe/Berln'. Did you mean 'Europe/Berlin'?",
    ),
    (
        {"every": 9, "tz": "../etc"},
        "every=9, tz='../etc'): there is no time zone '../etc'. Give an IANA name: 'Europe/Berlin'.",
    ),
    (
        {"every": 9, "tz": 2},
        "every=9, tz=2): there is no time zone 2. Give an IANA name: 'Europe/Berlin'.",
    ),
    ({"cron": 5}, f"cron=5): cron takes text. {FORM}"),
    ({"cron": "@daily"}, f"cron='@daily'): the cron text has 1 field. {FORM}"),
    (
        {"cron": "* * * * * *"},
        f"cron='* * * * * *'): the cron text has 6 fields. {FORM} For seconds, write every='10s'.",
    ),
    ({"cron": "61 * * * *"}, f"cron='61 * * * *'): bad minute. {FORM}"),
    ({"cron": "0 0 31 2 *"}, f"cron='0 0 31 2 *'): bad day-of-month. {FORM}"),
]


@pytest.mark.parametrize(("given", "wanted"), GOOD)
def test_a_schedule_is_plain_data(given, wanted):
    """Seconds, cron text with single spaces, a zone's name, a policy."""

    class Nightly(Flow):
        @start(**given)
        def run_it(self):
            """Nothing."""

    step = Nightly.definition().step("run_it")
    assert step.schedule == wanted
    assert (step.start, step.conditional, step.trigger) == (True, True, None)
    assert step.begins_runs
    assert not step.begins_on_event


@pytest.mark.parametrize(("given", "text"), BAD)
def test_what_is_no_schedule_is_said_at_the_decorator(given, text):
    """What was written, what is wrong with it, and how to write it."""
    with pytest.raises(ValueError) as caught:
        start(**given)
    assert str(caught.value) == f"Invalid schedule: @start({text}"


def test_a_date_that_never_comes_is_refused():
    """The first of a month is never its fifth Monday: nothing would run."""
    with pytest.raises(ValueError, match="no date ever fits the cron text"):
        start(cron="0 0 */31 * 1#5")


@pytest.mark.parametrize(
    ("condition", "shown"), [("again", "'again'"), (event("came"), "event('came')")]
)
def test_a_schedule_stands_alone(condition, shown):
    """A run begins by a time or by a condition, not by both in one step."""
    for other in ({"on": condition}, {"condition": condition}):
        with pytest.raises(ValueError) as caught:
            start(every=9, **other)
        assert str(caught.value) == (
            f"Invalid schedule: @start(every=9) has the condition {shown}, too. A run "
            f"begins by one of them: give the other one to a step of its own."
        )


def test_a_second_decorator_cannot_add_a_condition():
    """Found when the class is made, with its other faults."""
    with pytest.raises(
        DefinitionError, match="Both.both has a schedule .every 9s. and"
    ):

        class Both(Flow):
            @start()
            def first(self):
                """Nothing."""

            @listen(first)
            @start(every=9)
            def both(self):
                """Nothing."""


def test_a_second_schedule_needs_a_second_step():
    """Two schedules of one step would share what is noted of it."""
    with pytest.raises(ValueError, match="run_it has one. Write two steps."):

        @start(every=9)
        @start(cron="0 0 * * *")
        def run_it(self):
            """Nothing."""


def test_cron_without_its_library_names_the_extra(monkeypatch):
    """The install line is in the text."""
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(MissingExtraError) as caught:
        start(cron="0 0 * * *")
    assert str(caught.value) == (
        "@start(cron=..) needs the extra 'cron', which is not installed. Install it: "
        "pip install 'flowkit[cron]'"
    )
    assert start(every="1m")


@given(st.text(alphabet="0123456789*,-/#LW² ", min_size=1, max_size=14))
def test_any_text_is_a_cron_or_a_value_error(text):
    """Nothing else comes out of the reader, whatever is written."""
    try:
        found = schedule_of(None, f"{text} * * * *", None, None, None)
    except ValueError:
        return
    assert len(found.cron.split()) == 5


def test_an_overridden_step_keeps_its_schedule():
    """As it keeps any other wiring."""

    class Base(Flow):
        @start(every="1h")
        def tick(self):
            return 1

    class Derived(Base):
        def tick(self):
            return 2

    assert Derived.definition().step("tick").schedule == Schedule(every=3600.0)
    assert Derived().kickoff() == 2
