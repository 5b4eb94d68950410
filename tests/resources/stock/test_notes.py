"""`trmm.agents.notes`, over real HTTP."""

import pytest

from tests.servers import stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)


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
