"""`trmm.agents.notes`."""

from collections.abc import Mapping
from typing import Any, Final

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.models import Agent, Moment, Noun, no_extra
from trmm_async.resources.resource import Resource, refuse_loss

__all__ = ["Note", "Notes"]


class Note(Noun, frozen=True, kw_only=True, gc=False):
    """A note of an agent. `username` is None if its author doesn't exist any more."""

    id: int
    """The server's id of it."""
    agent_id: str | None = None
    """The agent's id."""
    note: str = ""
    """The text."""
    username: str | None = None
    entry_time: Moment | None = None
    """When it was written down."""
    extra: Mapping[str, Any] = no_extra()


_ONE: Final = "/agents/notes/{note:id}/"

LIST = read("agents.notes.list", "/agents/{agent:agent}/notes/", list[Note], wire={"id": "pk"})
EVERYWHERE = read("agents.notes.list", "/agents/notes/", list[Note], wire={"id": "pk"})
GET = read("agents.notes.get", _ONE, Note, wire={"id": "pk"})
CREATE = send("agents.notes.create", "/agents/notes/", needs="agent_id note")
UPDATE = put("agents.notes.update", _ONE)
DELETE = delete("agents.notes.delete", _ONE)


class Notes(Resource):
    """The notes of agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def create(self, agent: str | Agent, note: str) -> Note:
        """Add a note to an agent, and return it. Never sent twice.

        Raises:
            OutcomeUnknownError: the answer was lost, and the note does not exist yet.
            UnidentifiedError: it was created, and another note with the same text at the same time.
        """
        agent_id, text = arguments.agent_id(agent), arguments.free_text(note, "note")
        body = {"agent_id": agent_id, "note": text}
        # The server strips what it stores.
        return await self._create(
            CREATE, LIST, agent_id, body=body, is_it=lambda made: made.note.strip() == text.strip()
        )

    async def update(self, note: int | Note, text: str) -> None:
        """Change the text of a note. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such note.
        """
        await self._send(UPDATE, note, body={"note": arguments.free_text(text, "text")})

    async def delete(self, note: int | Note, *, with_text: bool = False) -> None:
        """Delete a note. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            note: the note or its id.
            with_text: True confirms that its text may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such note.
        """
        note_id = arguments.object_id(note, "note")
        refuse_loss(f"agents.notes.delete: note {note_id}", with_text=with_text)
        await self._send(DELETE, note_id)

    async def get(self, note: int | Note) -> Note:
        """Get one note.

        Raises:
            NotFoundError: there is no such note.
        """
        return await self._send(GET, note)

    async def list(self, agent: str | Agent | None = None) -> list[Note]:
        """List the notes of an agent, or of all agents."""
        if agent is None:
            return await self._send(EVERYWHERE)
        return await self._send(LIST, agent)
