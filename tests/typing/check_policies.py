"""Policies keep a step's signature, and their keywords are known by name."""

from datetime import timedelta
from typing import Any, assert_type

from flowkit import (
    INPUTS,
    SOURCE,
    Admission,
    Breaker,
    Bulkhead,
    Cache,
    Flow,
    Hedge,
    Policy,
    Rate,
    Retry,
    listen,
    router,
    start,
)
from flowkit.define.conditions import FailedSource


class Governed(
    Flow[dict[str, Any]],
    defaults=Policy(retry=3, timeout="20s"),
    deadline="1h",
    admission=Admission(100, queue=1000),
):
    def undo(self, made: int) -> None: ...

    @start(
        retry=Retry(5, on=(OSError, KeyError), budget=Rate(20, per="1m")),
        timeout=timedelta(seconds=5),
        total_timeout=60,
        idle_timeout="5s",
        fallback=[Policy(timeout=60), 0],
        undo=undo,
    )
    async def begin(self) -> int:
        self.heartbeat()
        return 1

    @listen(
        begin,
        rate=Rate(100, per="1m", name="crm", shared="store"),
        bulkhead=Bulkhead(5, queue=50),
        breaker=Breaker(5, name="crm"),
        cache=Cache("1h", key=INPUTS + SOURCE - "debug"),
        max_starts=3,
        hedge=Hedge("500ms", most=3),
        isolate="process",
    )
    def use(self, number: int, *, debug: bool = False) -> str:
        return str(number)

    @listen(begin, retry=False, timeout=False, hedge=False, isolate=False, cache=False)
    async def bare(self) -> None: ...

    @router(begin.timeout, emit=["late"], retry=1, bulkhead=3, breaker="crm")
    def late(self, error: Exception) -> str:
        return "late"

    @listen(use, retries=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore
    def unknown(self) -> None: ...


assert_type(Governed.begin.timeout, FailedSource)
assert_type(Governed().use(1), str)
assert_type(Policy(retry=3).over(None), Policy)
