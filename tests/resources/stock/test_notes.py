"""`trmm.agents.notes`."""

from datetime import UTC, datetime

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    AGAIN,
    SAFE,
    WINDOWS,
    Requested,
    carried_out,
    done,
    named,
    waits,
)
from tests.servers import served, stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)
from trmm_async.calls import Replay
from trmm_async.resources.stock import notes


class TestNotes:
    async def test_notes(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            before = await trmm.agents.notes.list(agent_id)
            made = await trmm.agents.notes.create(agent_id, "one\ntwo ✓")
            assert (made.note, made.agent_id, made.username) == ("one\ntwo ✓", agent_id, server.username)
            await trmm.agents.notes.update(made, "three")
            assert [one.note for one in await trmm.agents.notes.list(agent_id) if one.id == made.id] == [
                "three"
            ]
            await trmm.agents.notes.delete(made, with_text=True)
            assert await trmm.agents.notes.list(agent_id) == before
            with pytest.raises(NotFoundError):
                await trmm.agents.notes.update(made.id, "four")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.notes.create(agent_id, " ")

    async def test_a_note_whose_answer_is_lost_is_found_all_the_same(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            server.cut("POST", "/agents/notes/")
            made = await trmm.agents.notes.create(server.agent_ids[0], "once")
            assert [one.id for one in await trmm.agents.notes.list(server.agent_ids[0])] == [made.id]


# -- against recordings, without a server --------------------------------------------------------------------

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: request_of(NOUNS.agents.notes.update(63, "edited")), ("note_edit",), None),
    (lambda: request_of(NOUNS.agents.notes.delete(63, with_text=True)), ("note_delete",), None),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: notes.LIST.call("a"), SAFE, None),
    (lambda: notes.UPDATE.call(1), AGAIN, None),
    (lambda: notes.DELETE.call(1), AGAIN, None),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_notes(self) -> None:
        old, new = done(lambda nouns: nouns.agents.notes.list(WINDOWS), "notes_agent")
        assert (old.id, old.username, old.agent_id) == (1, None, WINDOWS)
        assert (new.id, new.username, new.note) == (61, "admin", "hello world\n")
        assert new.entry_time == datetime(2026, 11, 23, 19, 24, 20, 304143, tzinfo=UTC)

    def test_a_note_that_is_made(self) -> None:
        made = done(
            lambda nouns: nouns.agents.notes.create(WINDOWS, "from api"),
            "notes_agent",
            "note_add",
            "notes_agent_after",
        )
        assert (made.id, made.note, made.username) == (63, "from api", "admin")


async def test_notes_of_all_agents_and_one_of_them() -> None:
    async with served("stock", agents=2) as (server, trmm):
        made = [await trmm.agents.notes.create(agent, "x") for agent in server.agent_ids]
        assert (await trmm.agents.notes.list())[-2:] == made
        assert await trmm.agents.notes.get(made[0]) == made[0]
        await trmm.agents.notes.delete(made[0], with_text=True)
        with pytest.raises(NotFoundError):
            await trmm.agents.notes.get(made[0])
