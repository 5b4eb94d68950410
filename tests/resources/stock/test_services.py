"""`trmm.agents.services`."""

from typing import Any

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    AGAIN,
    HUNG,
    LINUX,
    NEVER,
    OFFLINE,
    SAFE,
    WINDOWS,
    Requested,
    carried_out,
    named,
    refused,
    waits,
)
from tests.servers import agent_on, stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
    Service,
    TRMMError,
)
from trmm_async.calls import Replay
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
)
from trmm_async.resources.stock import services


class TestServices:
    async def test_services(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            names = {one.name for one in await trmm.agents.services(agent_id)}
            assert "Spooler" in names
            spooler = await trmm.agents.services.get(agent_id, "Spooler")
            await trmm.agents.services.control(agent_id, spooler, "stop")
            await trmm.agents.services.update(agent_id, spooler, start_type="disabled")
            after = await trmm.agents.services.get(agent_id, spooler)
            assert (after.status, after.start_type) == ("stopped", "Disabled")
            with pytest.raises(NotFoundError, match="no service 'nosuch'"):
                await trmm.agents.services.get(agent_id, "nosuch")
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.services.control(agent_id, "denied", "restart")

    @pytest.mark.parametrize("name", ["", "a/b", "..", " a", 5])
    async def test_a_service_that_is_none_is_not_sent(self, name: Any) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.services.get(server.agent_ids[0], name)
            assert server.requests == []

    async def test_a_service_behind_a_bus_that_is_down(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.services.get(agent_on(server, "windows"), "Spooler")


# -- against recordings, without a server --------------------------------------------------------------------

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "Spooler", "restart")),
        ("service_restart",),
        None,
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "Spooler", "stop")),
        ("service_stop",),
        None,
    ),
    (
        lambda: request_of(NOUNS.agents.services.update(WINDOWS, "Spooler", start_type="manual")),
        ("service_edit",),
        None,
    ),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (lambda: services.LIST.call(OFFLINE), ("services_agent_offline",), AgentUnreachableError, "Unable"),
    (
        lambda: request_of(NOUNS.agents.services.get(WINDOWS, "nosuch")),
        ("service_detail_unknown",),
        NotFoundError,
        "no service 'nosuch'",
    ),
    (
        lambda: request_of(NOUNS.agents.services.get(WINDOWS, "Spooler")),
        ("natsdown__service_detail",),
        AgentUnreachableError,
        "message bus",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "denied", "stop")),
        ("service_denied",),
        BadRequestError,
        "Access is denied",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(LINUX, "ssh", "stop")),
        ("service_linux",),
        BadRequestError,
        "Recover Connection",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(HUNG, "Spooler", "start")),
        ("service_offline",),
        AgentLostError,
        "Unable",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: services.LIST.call("a"), SAFE, 10),
    (lambda: request_of(NOUNS.agents.services.control("a", "s", "stop")), NEVER, 32),
    (lambda: request_of(NOUNS.agents.services.control("a", "s", "restart")), NEVER, 64),
    (lambda: request_of(NOUNS.agents.services.update("a", "s", start_type="auto")), AGAIN, 10),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_services(self) -> None:
        found = carried_out(services.LIST.call(WINDOWS), "services_agent")
        assert (found[0].name, found[0].status, found[0].start_type) == (
            "AdobeARMservice",
            "running",
            "Automatic",
        )
        spooler = carried_out(request_of(NOUNS.agents.services.get(WINDOWS, "Spooler")), "service_detail")
        assert isinstance(spooler, Service)
        assert (spooler.display_name, spooler.pid, spooler.autodelay) == ("Print Spooler", 4104, False)
