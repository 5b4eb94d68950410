"""What is done to agents without asking them: notes, maintenance mode, their versions and updates.

Below: `journal.py` keeps the notes. Above: `dialect.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.forms import no_match
from trmm_async.testing.replies import iso
from trmm_async.testing.routing import Route

from . import agent_shapes as shapes
from .models import NOTE
from .view import Fields, crash, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, Note
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["AgentUpkeepView"]

LISTED, MANAGED = "can_list_notes", "can_manage_notes"
LATEST = "2.11.0"


class AgentUpkeepView:
    """`/agents/notes/`, `/agents/maintenance/bulk/`, `/agents/versions/` and the like."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._journal = backend.world.journal
        self._bus = backend.bus
        self._activity = backend.activity
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        return (
            Route("GET", "/agents/notes/", self.notes, LISTED),
            Route("POST", "/agents/notes/", self.add_note, MANAGED),
            Route("GET", "/agents/notes/{id:int}/", self.note, LISTED),
            Route("PUT", "/agents/notes/{id:int}/", self.edit_note, MANAGED),
            Route("DELETE", "/agents/notes/{id:int}/", self.delete_note, MANAGED),
            Route("GET", "/agents/{agent_id:agent}/notes/", self.notes_of, LISTED),
            Route("POST", "/agents/maintenance/bulk/", self.maintain, "can_edit_agent"),
            Route("GET", "/agents/versions/", self.versions, "can_list_agents"),
            Route("POST", "/agents/update/", self.update, "can_update_agents"),
            Route("GET", "/agents/bulkrecovery/", self.recover, "can_recover_agents"),
        )

    # -- notes -----------------------------------------------------------------------------------------------

    def notes(self, asked: Asked) -> HTTPReply:
        """`GET /agents/notes/`."""
        notes = self._journal.notes.values()
        return said([_note(note) for note in notes if self._visibility.shows_by_id(asked, note.agent_id)])

    def notes_of(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/notes/`."""
        agent = self._world.agent(asked.params["agent_id"])
        return said([_note(note) for note in self._journal.notes_of(agent.agent_id)])

    def add_note(self, asked: Asked) -> HTTPReply:
        """`POST /agents/notes/`: on the agent with `agent_id`."""
        body = Fields.of(asked)
        agent = self._world.agent(str(body["agent_id"]))
        self._visibility.check_agent(asked, agent)
        if "note" not in body:
            refuse("Cannot add an empty note")
        text = NOTE.read(body)["note"]
        self._journal.add_note(agent.agent_id, username=asked.user, note=str(text or ""))
        return said("Note added!")

    def note(self, asked: Asked) -> HTTPReply:
        """`GET /agents/notes/{id}/`."""
        return said(_note(self._note(asked)))

    def edit_note(self, asked: Asked) -> HTTPReply:
        """`PUT /agents/notes/{id}/`."""
        note = self._note(asked)
        given = NOTE.read(Fields.of(asked), partial=True)
        note.note = str(given.get("note", note.note) or "")
        return said("Note edited!")

    def delete_note(self, asked: Asked) -> HTTPReply:
        """`DELETE /agents/notes/{id}/`."""
        del self._journal.notes[self._note(asked).pk]
        return said("Note was deleted!")

    def _note(self, asked: Asked) -> Note:
        note = self._journal.notes.get(int(asked.params["id"]))
        if note is None:
            raise no_match("Note")
        self._visibility.check_agent(asked, self._world.agents.get(note.agent_id))
        return note

    # -- the fleet -------------------------------------------------------------------------------------------

    def maintain(self, asked: Asked) -> HTTPReply:
        """`POST /agents/maintenance/bulk/`: `type` is `Client` or `Site`, `action` a flag."""
        body = Fields.of(asked)
        kind = body["type"]
        if kind not in {"Client", "Site"}:
            refuse("Invalid data")
        number, on = body.whole("id"), bool(body["action"])
        client, site = (number, None) if kind == "Client" else (None, number)
        (self._visibility.check_client if kind == "Client" else self._visibility.check_site)(asked, number)
        agents = self._visibility.agents(asked, self._world.find_agents(client=client, site=site))
        for agent in agents:
            agent.maintenance_mode = on
        if not agents:
            return said(
                "No agents have been put in maintenance mode."
                " You might not have permissions to the resources."
            )
        return said(f"Maintenance mode has been {'enabled' if on else 'disabled'} on {len(agents)} agents")

    def versions(self, asked: Asked) -> HTTPReply:
        """`GET /agents/versions/`: the newest, and all agents in the short form."""
        agents = [shapes.short(agent) for agent in self._visibility.agents(asked)]
        return said({"versions": [LATEST], "agents": agents})

    async def update(self, asked: Asked) -> HTTPReply:
        """`POST /agents/update/`: those of `agent_ids` that are older and answer."""
        wanted = Fields.of(asked)["agent_ids"]
        if not isinstance(wanted, list):
            crash()
        agents = [self._world.agents[name] for name in wanted if name in self._world.agents]
        for agent in self._visibility.agents(asked, agents):
            self._update(agent)
        return said("ok")

    def _update(self, agent: Agent) -> None:
        """One that is up to date is passed over; one that does not hear it has it still to do."""
        if agent.version == LATEST:
            return
        details: Row = {"url": None, "version": LATEST, "inno": None}
        row = self._activity.plan(agent, "agentupdate", details)
        if self._bus.hears(agent):
            agent.version, row["status"] = LATEST, "completed"

    def recover(self, _asked: Asked) -> HTTPReply:
        """`GET /agents/bulkrecovery/`: it changes something, for a GET; nothing here."""
        return said("Agents will now be recovered")


def _note(note: Note) -> Row:
    shown: Row = {
        "pk": note.pk,
        "entry_time": iso(note.entry_time),
        "note": note.note,
        "agent_id": note.agent_id,
    }
    # Left out, not null, where the user is gone.
    return shown | ({"username": note.username} if note.username else {})
