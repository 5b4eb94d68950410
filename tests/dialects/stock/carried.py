"""Requests of the stock dialect, carried out by hand."""

from functools import partial
from typing import Any

from trmm_async.calls import Call, Plan, Steps
from trmm_async.dialects import HistoryRun, Stock
from trmm_async.errors import TRMMError

STOCK = Stock("https://rmm.example.com")


AGENT = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"


LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"


def follow(plan: object, *answers: bytes | TRMMError) -> tuple[list[Call[Any]], Any]:
    """Carry a plan out by hand: the calls that it makes, given these answers, and what it comes to."""
    plan = Plan(partial(in_order, plan)) if isinstance(plan, HistoryRun) else plan
    assert isinstance(plan, Plan)
    steps, calls, rest = plan.steps(), [], list(answers)
    try:
        call = next(steps)
        while True:
            calls.append(call)
            told = rest.pop(0)
            call = steps.throw(told) if isinstance(told, TRMMError) else steps.send(call.decode(told))
    except StopIteration as end:
        assert rest == [], "an answer too many"
        return calls, end.value


def in_order(run: HistoryRun) -> Steps[int | None]:
    """What a script's run asks: whether it may be sent, and the sending."""
    if run.checks is not None:
        yield from run.checks.steps()
    return (yield from run.send)


def one(request: object) -> Call[Any]:
    request = request.send if isinstance(request, HistoryRun) else request
    assert isinstance(request, Call)
    return request
