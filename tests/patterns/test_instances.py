"""WCP-12 to WCP-15 and WCP-34 to WCP-36: several instances of one step."""

from __future__ import annotations

from itertools import permutations

import pytest

from flowkit import Flow, each, gather, listen, start


@pytest.mark.pattern(12)
async def test_instances_overlap_and_nobody_waits_for_them(stage):
    """All begin at once, another branch goes on, the run ends after the last."""
    module = stage.enter(
        12, **{"shop.example": 1, "mail.example": 5, "wiki.example": 9}
    )
    run = await stage.play(module.Monitoring())
    assert stage.times("ping", "started") == [0, 0, 0]
    assert stage.times("ping") == stage.times("show") == [1, 5, 9]
    assert stage.times("plan_next") == [0]
    assert (stage.now, run.status, run.stuck) == (9, "completed", [])


@pytest.mark.pattern(13)
@pytest.mark.parametrize("seconds", list(permutations((1, 2, 3))))
async def test_the_fixed_number_of_instances_is_joined_by_index(
    stage, monkeypatch, seconds
):
    """Three begin, one vote with three values, in their order, not in time's."""
    module = stage.enter(13)
    left = iter(range(3))

    async def answer(question):
        number = next(left)
        await stage.sleep(seconds[number])
        return f"answer {number}"

    class Ballot(module.Vote):
        @listen(gather(module.Vote.sample))
        async def vote(self, answers):
            return answers

    monkeypatch.setattr(module, "answer", answer)
    run = await stage.play(Ballot())
    assert stage.order().count("sample") == 3
    assert stage.times("vote", "started") == [3]
    assert run.result == ["answer 0", "answer 1", "answer 2"]


@pytest.mark.pattern(14)
@pytest.mark.parametrize("pages", [0, 1, 50])
async def test_one_report_in_the_order_of_the_pages(stage, monkeypatch, pages):
    """However many there are; at most eight are read at a time."""
    module = stage.enter(14)
    at_work, most = [], []

    async def summary(page):
        at_work.append(page)
        most.append(len(at_work))
        await stage.sleep(1 + len(page) % 3)
        at_work.remove(page)
        return page

    monkeypatch.setattr(module, "summary", summary)
    given = ["x" * number for number in range(1, pages + 1)]
    run = await stage.play(module.Review(), {"pages": given})
    assert stage.order().count("report") == 1
    assert run.result == "; ".join(given)
    assert max(most, default=0) == min(8, pages)


@pytest.mark.pattern(14)
async def test_a_page_that_fails_fails_the_report(stage, monkeypatch):
    """The others are cancelled, and the error comes out as it is."""
    module = stage.enter(14)

    async def summary(page):
        await stage.sleep(2 if page == "bad" else 9)
        raise ValueError(page)

    monkeypatch.setattr(module, "summary", summary)
    review = module.Review()
    with pytest.raises(ExceptionGroup) as caught:
        await stage.play(review, {"pages": ["a", "bad", "b"]})
    (error,) = caught.value.exceptions
    assert (type(error), str(error)) == (ValueError, "bad")
    assert stage.order("cancelled") == ["read_page", "read_page"]
    assert review.run.status == "failed"


@pytest.mark.pattern(14)
async def test_a_page_that_fails_may_be_handled(stage, monkeypatch):
    """Who listens to the failure of the report goes on from there."""
    module = stage.enter(14)

    async def summary(page):
        raise ValueError(page)

    class Handled(module.Review):
        @listen(module.Review.report.failed)
        async def apologise(self):
            return "not readable"

    monkeypatch.setattr(module, "summary", summary)
    run = await stage.play(Handled(), {"pages": ["bad"]})
    assert (run.status, run.result) == ("completed", "not readable")


@pytest.mark.pattern(15)
async def test_the_group_is_joined_when_source_and_instances_are_done(stage):
    """Referrals count; a report is written once, after the last of all."""
    module = stage.enter(15, page=1, call=4)
    knows = {"Ada": ["Edsger"], "Edsger": ["Barbara"]}
    given = {"cards": ["Ada", "Grace"], "knows": knows}
    run = await stage.play(module.Campaign(), given)
    assert stage.times("write_report", "started") == [13]
    assert run.result == [
        f"{name}: good" for name in ("Ada", "Grace", "Edsger", "Barbara")
    ]


@pytest.mark.pattern(15)
async def test_a_sealed_group_takes_no_more(stage):
    """``spawn`` says so, after ``seal`` and after the gather has fired."""
    said = []

    class Sealed(Flow):
        @start()
        async def leads(self):
            return ["Ada"]

        @listen(each(leads))
        async def qualify(self, lead):
            said.append(self.seal(Sealed.qualify))
            said.append(self.spawn(Sealed.qualify, "Grace"))
            return lead

        @listen(gather(qualify))
        async def report(self, leads):
            said.append(self.spawn(Sealed.qualify, "Linus"))
            return leads

    run = await stage.play(Sealed())
    assert said == [True, False, False]
    assert run.result == ["Ada"]


@pytest.mark.pattern(34)
@pytest.mark.parametrize("seconds", list(permutations((1, 2, 3))))
async def test_the_earliest_are_handed_over_by_index(stage, seconds):
    """At the second result, once; the third is read to its end, unheard."""
    names = ("Ada", "Grace", "Linus")
    module = stage.enter(34, **dict(zip(names, seconds, strict=True)))
    printed = []

    class Letters(module.Letters):
        @listen(gather(module.Letters.read, 2))
        async def print_page(self, letters):
            printed.append(letters)

    run = await stage.play(Letters())
    assert stage.times("print_page", "started") == [2]
    late = names[seconds.index(3)]
    assert printed == [[f"{name} likes it" for name in names if name != late]]
    assert stage.times("read") == [1, 2, 3]
    assert stage.order("cancelled") == []
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(34)
async def test_fewer_than_needed_is_a_failure(stage):
    """A single letter can never be two: the step that gathers has failed."""
    module = stage.enter(34, Ada=1)

    class Handled(module.Letters):
        @listen(module.Letters.print_page.failed)
        async def fill_page(self):
            return "a poem instead"

    run = await stage.play(Handled(), {"letters": ["Ada"]})
    assert stage.times("print_page", "started") == []
    assert (run.status, run.result) == ("completed", "a poem instead")


@pytest.mark.pattern(35)
async def test_the_instances_that_are_not_needed_are_cancelled(stage):
    """Exactly two end; the others are gone at that moment."""
    module = stage.enter(35, small=1, middle=4, large=30, huge=60)
    run = await stage.play(module.Translation())
    assert stage.times("ask") == [1, 4]
    assert stage.times("ask", "cancelled") == [4, 4]
    assert run.result == ["by small", "by middle"]
    assert (stage.now, run.status, run.stuck) == (4, "completed", [])


@pytest.mark.pattern(35)
async def test_inner_steps_and_inner_groups_are_cancelled_too(stage):
    """Nothing of a lane that is not needed goes on, however deep it stands."""

    class Deep(Flow):
        @start()
        async def models(self):
            return [1, 10, 20]

        @listen(each(models))
        async def ask(self, seconds):
            await stage.sleep(1)
            return [seconds, seconds + 5]

        @listen(each(ask))
        async def part(self, seconds):
            await stage.sleep(seconds)

        @listen(gather(part))
        async def whole(self, parts): ...

        @listen(gather(whole, 1, rest="cancel"))
        async def first(self, texts): ...

    run = await stage.play(Deep())
    assert stage.times("first") == [7]
    assert stage.times("part") == [2, 7]
    assert stage.order("cancelled") == ["part"] * 4
    assert stage.order().count("whole") == 1
    assert (stage.now, run.status, run.stuck) == (7, "completed", [])


@pytest.mark.pattern(36)
async def test_it_fires_at_the_first_completion_that_satisfies(stage, capsys):
    """Nine tenths of eleven are ten; the eleventh comes later and is not heard."""
    module = stage.enter(36, truck=1, late=50)
    run = await stage.play(module.Delivery())
    assert stage.times("invoice", "started") == [1]
    assert capsys.readouterr().out == "invoiced with 10 parcels\n"
    assert stage.times("deliver")[-1] == 50
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(36)
async def test_a_condition_that_never_holds_fires_at_the_end(stage, capsys):
    """Five parcels are never ten: they are invoiced when all are there."""
    module = stage.enter(36, truck=3)
    run = await stage.play(module.Delivery(), {"trucks": [2, 3]})
    assert stage.times("invoice", "started") == [3]
    assert capsys.readouterr().out == "invoiced with 5 parcels\n"
    assert (run.status, run.stuck) == ("completed", [])


@pytest.mark.pattern(36)
async def test_instances_may_be_added_until_then(stage):
    """The condition sees their number so far; what comes after is refused."""
    said, totals = [], []

    def enough(results, total):
        totals.append((len(results), total))
        return len(results) >= 3

    class Growing(Flow):
        @start()
        async def leads(self):
            return [1, 2]

        @listen(each(leads))
        async def qualify(self, seconds):
            await stage.sleep(seconds)
            said.append(self.spawn(Growing.qualify, seconds + 2))
            return seconds

        @listen(gather(qualify, until=enough))
        async def report(self, leads):
            self.stop(leads)

    run = await stage.play(Growing())
    assert run.result == [1, 2, 3]
    assert totals == [(1, 3), (2, 4), (3, 5)]
    assert said == [True, True, True]
