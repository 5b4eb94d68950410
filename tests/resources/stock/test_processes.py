"""`trmm.agents.processes`; and what all agents that are asked have in common."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    HUNG,
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
from tests.peer import Peer, Request, answer, peer
from tests.servers import agent_on, stock
from trmm_async import (
    TRMM,
    DecodeError,
    EventLogEntry,
    InvalidRequestError,
    OutcomeUnknownError,
    Process,
    TRMMError,
)
from trmm_async.calls import Call, Replay
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
)
from trmm_async.resources.agents import Agents
from trmm_async.resources.stock import processes, services, windows_updates

KEY = "key-for-tests"


class TestProcesses:
    async def test_processes(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            found = await trmm.agents.processes.list(agent_id)
            victim = next(one for one in found if one.pid > 1000)
            await trmm.agents.processes.kill(agent_id, victim)
            assert victim.pid not in {one.pid for one in await trmm.agents.processes.list(agent_id)}
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.processes.kill(agent_id, 4)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.processes.kill(agent_id, "x")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda agents, agent_id: agents.processes.list(agent_id),
            lambda agents, agent_id: agents.services(agent_id),
            lambda agents, agent_id: agents.services.get(agent_id, "Spooler"),
            lambda agents, agent_id: agents.event_log.list(agent_id),
            lambda agents, agent_id: agents.event_log.list(agent_id, "Security"),
        ],
    )
    async def test_an_agent_that_is_asked_in_vain(
        self, ask: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentUnreachableError) as caught:
                await ask(trmm.agents, agent_id)
            assert not isinstance(caught.value, OutcomeUnknownError)

    @pytest.mark.parametrize(
        "change",
        [
            lambda agents, agent_id: agents.processes.kill(agent_id, 1234),
            lambda agents, agent_id: agents.services.control(agent_id, "Spooler", "restart"),
            lambda agents, agent_id: agents.services.update(agent_id, "Spooler", start_type="auto"),
            lambda agents, agent_id: agents.software.refresh(agent_id),
        ],
    )
    async def test_an_agent_that_is_told_in_vain(
        self, change: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentLostError):
                await change(trmm.agents, agent_id)
            assert len(server.requests) == 1

    async def test_an_answer_that_is_none_of_it_can_not_be_read(self) -> None:
        async def nonsense(_: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(b'"no more memory"'))
            return True

        async with (
            asyncio.timeout(30),
            peer(nonsense) as server,
            TRMM(server.url, api_key=KEY, dialect="stock") as trmm,
        ):
            for asked in (
                trmm.agents.processes.list("a"),
                trmm.agents.services.get("a", "s"),
                trmm.agents.software.list("a"),
            ):
                with pytest.raises(DecodeError):
                    await asked


# -- against recordings, without a server --------------------------------------------------------------------

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: processes.KILL.call(WINDOWS, 1234), ("processes_kill",), None),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (lambda: processes.LIST.call(OFFLINE), ("processes_offline",), AgentUnreachableError, "Unable"),
    (lambda: processes.LIST.call(HUNG), ("processes_hung",), AgentUnreachableError, "Unable"),
    (lambda: processes.LIST.call(WINDOWS), ("natsdown__processes",), AgentUnreachableError, "Unable"),
    (
        lambda: processes.KILL.call(WINDOWS, 4),
        ("processes_kill_denied",),
        BadRequestError,
        "Access is denied",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: processes.LIST.call("a"), SAFE, 5),
    (lambda: processes.KILL.call("a", 1), NEVER, 15),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


def test_a_process_that_was_ended_is_not_taken_for_gone() -> None:
    call = processes.KILL.call("a", 1)
    assert isinstance(call, Call)
    assert not call.gone_is_done


class TestWhatIsRecordedOf:
    def test_processes(self) -> None:
        found = carried_out(processes.LIST.call(WINDOWS), "processes")
        assert found[0] == Process(
            pid=368,
            name="Registry",
            username="NT AUTHORITY\\SYSTEM",
            membytes=110456832,
            cpu_percent=0.0,
        )
        assert len(found) == 25


class TestOddAnswers:
    @pytest.mark.parametrize("body", [b"null", b" null "])
    def test_null_is_no_row(self, body: bytes) -> None:
        for call in (
            processes.LIST.call("a"),
            services.LIST.call("a"),
            request_of(NOUNS.agents.event_log.list("a", "System", days=1)),
        ):
            assert isinstance(call, Call)
            assert call.decode(body) == []

    def test_what_can_not_be_read_of_a_row_is_none(self) -> None:
        log = request_of(NOUNS.agents.event_log.list("a", "System", days=1))
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"eventID": "x", "time": "Do 24. Sep", "record": null, "eventCategory": 3}]')
        assert entry == EventLogEntry(category="3")
        listed = processes.LIST.call("a")
        assert isinstance(listed, Call)
        assert listed.decode(b'[{"pid": 1, "cpu_percent": "n/a"}, {"pid": 2, "cpu_percent": null}]') == [
            Process(pid=1),
            Process(pid=2),
        ]
        updates = windows_updates.LIST.call("a")
        assert isinstance(updates, Call)
        (update,) = updates.decode(
            b'[{"id": 1, "categories": null, "date_installed": "?", "severity": null}]'
        )
        assert (update.categories, update.date_installed) == ((), None)
