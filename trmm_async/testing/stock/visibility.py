"""Which agents, clients and sites a user's role shows, and what is refused to it.

Below: `accounts.py` has the users, `database.py` the roles. Above: every view with agents, or with what
belongs to one; `dialect.py` guards each path that names an agent. As permissions.py and models.py of the real
server have it, oddly in places: a role that names sites alone may name every client in a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.replies import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, Client, Site
    from trmm_async.testing.replies import Asked

    from .accounts import User

__all__ = ["Visibility"]


class Visibility:
    """Decides by the user of a request. A superuser, and a key without a user, see everything."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._accounts = backend.accounts
        self._roles = backend.database.roles

    def user(self, asked: Asked) -> User | None:
        """Return the user of a request; None for one to whom everything is allowed."""
        user = self._accounts.users.get(asked.user)
        return None if user is None or user.permissions is None else user

    def named(self, user: User | None, what: str) -> Sequence[int]:
        """Return the `clients` or the `sites` that a user's role names; an empty list means all of them."""
        row = self._roles.rows.get(user.role) if user and user.role and user.permissions is not None else None
        numbers = row[f"can_view_{what}"] if row else ()
        return numbers if isinstance(numbers, list) else ()

    # -- what is shown ---------------------------------------------------------------------------------------

    def shows_to(self, user: User | None, site: Site) -> bool:
        """Tell whether a user sees a site, and the agents there."""
        clients, sites = self.named(user, "clients"), self.named(user, "sites")
        return not (clients or sites) or site.client.id in clients or site.id in sites

    def shows(self, asked: Asked, site: Site) -> bool:
        """Tell whether the user of a request sees a site."""
        return self.shows_to(self.user(asked), site)

    def shows_client(self, asked: Asked, client: Client) -> bool:
        """Tell whether the user sees a client: the role names it, or one of its sites."""
        return any(self.shows(asked, site) for site in self._world.sites_of(client.id)) or (
            client.id in self.named(self.user(asked), "clients")
        )

    def agents(self, asked: Asked, agents: Iterable[Agent] | None = None) -> list[Agent]:
        """Return the agents that the user sees, of these or of all."""
        among = self._world.agents.values() if agents is None else agents
        user = self.user(asked)
        return [agent for agent in among if self.shows_to(user, agent.site)]

    def shows_by_id(self, asked: Asked, agent_id: object) -> bool:
        """Tell whether things of an agent are shown. Things of no agent are, if everything is."""
        user, agent = self.user(asked), self._world.agents.get(str(agent_id))
        if agent is None:
            return not (self.named(user, "clients") or self.named(user, "sites"))
        return self.shows_to(user, agent.site)

    # -- what is refused -------------------------------------------------------------------------------------

    def check_path(self, asked: Asked) -> None:
        """Refuse a path that names an agent that is not shown; an unknown one is its handler's affair."""
        self.check_agent(asked, self._world.agents.get(asked.params["agent_id"]))

    def check_agent(self, asked: Asked, agent: Agent | None) -> None:
        """403 for an agent that is not shown; None is what belongs to no agent, which anybody may have."""
        if agent is not None and not self.shows(asked, agent.site):
            raise RefusedError(403)

    def check_agent_id(self, asked: Asked, agent_id: str) -> None:
        """The same for an id in a body; the server looks it up for all but superusers."""
        if self.user(asked) is not None:
            self.check_agent(asked, self._world.agent(agent_id))

    def check_client(self, asked: Asked, number: int) -> None:
        """403 for a client that the role does not name, if it names any; looked up for all but superusers."""
        user = self.user(asked)
        named = self.named(user, "clients")
        if user is not None and self._world.client(number).id not in (named or (number,)):
            raise RefusedError(403)

    def check_site(self, asked: Asked, number: int) -> None:
        """403 for a site that is not shown; looked up for all but superusers."""
        user = self.user(asked)
        if user is not None and not self.shows_to(user, self._world.site(number)):
            raise RefusedError(403)

    def show_to_maker(self, asked: Asked, what: str, number: int) -> None:
        """Put what was made into the role that would not show it else: one that names some `what` already."""
        named = self.named(self.user(asked), what)
        if isinstance(named, list) and named:
            named.append(number)
