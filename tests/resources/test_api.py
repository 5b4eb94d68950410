"""How requests are carried out: a call at once, a plan step by step, and what is told of each."""

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from trmm_async.calls import Call, Replay, plan
from trmm_async.errors import ConnectionFailedError, NotFoundError, UnsupportedError
from trmm_async.resources.api import Api


def told(sent: bool) -> None:
    """Stands for an `on_sent`."""


READ: Call[Any] = Call(method="GET", path="/things/", decode=bytes)
CHANGE: Call[Any] = Call(method="POST", path="/things/", decode=bytes, replay=Replay.NEVER)
GONE = NotFoundError(404, "gone")


class Transport:
    """Answers each call with the next answer, and notes it, and who is told of it."""

    observers = None

    def __init__(self, *answers: Any) -> None:
        self._answers = [*answers]
        self.sent: list[tuple[str, bool]] = []

    async def send(self, call: Call[Any], on_sent: Any = None, record: Any = None) -> Any:
        del record
        self.sent.append((call.method, on_sent is told))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def api(transport: Transport, dialect: Any = None) -> Api:
    its: Any = transport
    unused: Any = SimpleNamespace()
    return Api(its, unused, SimpleNamespace(known=dialect), unused, unused, unused)  # type: ignore[arg-type]


@plan
def moved() -> Generator[Call[Any], Any, str]:
    """Reads, changes, and reads again, though the change may fail."""
    before = yield READ
    try:
        changed = yield CHANGE
    except NotFoundError as error:
        changed = f"{error.status}"
    after = yield READ
    return f"{before} {changed} {after}"


async def test_a_plan_has_each_answer_and_only_what_changes_something_is_told() -> None:
    transport = Transport("one", "two", "three")
    assert await api(transport).carry_out(moved(), told) == "one two three"
    assert transport.sent == [("GET", False), ("POST", True), ("GET", False)]


async def test_an_error_is_raised_where_the_plan_waits() -> None:
    assert await api(Transport("one", GONE, "three")).carry_out(moved()) == "one 404 three"
    with pytest.raises(ConnectionFailedError):
        await api(Transport("one", ConnectionFailedError("away"))).carry_out(moved())


async def test_a_plan_that_is_given_up_is_closed() -> None:
    closed: list[str] = []

    @plan
    def kept() -> Generator[Call[Any], Any, None]:
        try:
            yield READ
        finally:
            closed.append("closed")

    with pytest.raises(ZeroDivisionError):
        await api(Transport(ZeroDivisionError())).carry_out(kept())
    assert closed == ["closed"]


async def test_a_single_call_is_told_also_if_it_only_reads() -> None:
    transport = Transport("answer")
    assert await api(transport, dialect="known").send(lambda _: READ, told) == "answer"
    assert transport.sent == [("GET", True)]


async def test_what_only_a_stock_server_has_is_not_sent_to_another() -> None:
    class Gateway:
        def require_stock(self, name: str) -> None:
            raise UnsupportedError(name)

    transport = Transport("answer")
    with pytest.raises(UnsupportedError, match=r"things\.list"):
        await api(transport, Gateway()).on_stock("things.list", READ)
    assert transport.sent == []


async def test_the_call_of_a_long_list_is_what_its_plan_comes_to() -> None:
    @plan
    def which() -> Generator[Call[Any], Any, Any]:
        answer = yield READ
        return answer

    answered: Any = object()
    assert await api(Transport(answered)).prepare(which()) is answered
    unread: Any = object()
    assert await api(Transport()).prepare(unread) is unread
