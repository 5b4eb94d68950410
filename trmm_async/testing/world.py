"""The state of a small RMM installation: who is there, who is online, and what has happened.

Below: `nouns.py` and `generate.py`. Above: the wire dialects, which give it a shape, and `simulator.py`,
which gives it switches. It knows no HTTP and no JSON, does no I/O and never waits, so that two dialects can
speak for one world.
"""

from __future__ import annotations

import time
import uuid
from itertools import count
from random import Random
from typing import TYPE_CHECKING, TypeVar

from . import generate
from .journal import AgentRecords
from .nouns import (
    Agent,
    Alert,
    AlertChanged,
    CameOnline,
    Check,
    Client,
    CustomField,
    Deployment,
    Event,
    Script,
    Site,
    Task,
    WentOffline,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["UnknownThingError", "World"]

Key = TypeVar("Key")
Thing = TypeVar("Thing")


class UnknownThingError(LookupError):
    """There is no such agent, client, site, script, alert, task or deployment in this world."""

    def __init__(self, noun: str, key: object) -> None:
        super().__init__(f"no {noun} {key!r} in this world")
        self.noun = noun
        self.key = key


class World:
    """An installation with `agents` agents, the same for the same `seed`.

    It starts out quiet: every agent is online and there are no alerts. Checks are made when they are first
    looked at. `agent_version` is the version of every agent; None leaves them different ones. All methods are
    synchronous; those that take the id of something raise `UnknownThingError` for an unknown one.
    """

    def __init__(
        self,
        *,
        agents: int = 0,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        agent_version: str | None = None,
    ) -> None:
        if agents < 0:
            msg = f"agents must not be negative, got {agents}"
            raise ValueError(msg)
        self.clock = clock
        self.seed = seed
        self.journal: AgentRecords = AgentRecords(clock)
        self._agent_version = agent_version
        self.rng: Random = Random(seed)
        self.clients: dict[int, Client] = {}
        self.sites: dict[int, Site] = {}
        self.agents: dict[str, Agent] = {}
        self.scripts: dict[int, Script] = {script.id: script for script in generate.scripts()}
        self.alerts: dict[int, Alert] = {}
        self.deployments: dict[int, Deployment] = {}
        self.custom_fields: dict[int, CustomField] = {}
        self._checks: dict[str, list[Check]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        for site in generate.sites():
            self.sites[site.id] = site
            self.clients[site.client.id] = site.client
        self._numbers: dict[type, Iterator[int]] = {
            Agent: count(), Client: count(max(self.clients) + 1), Site: count(max(self.sites) + 1),
            Script: count(max(self.scripts) + 1), Alert: count(5001), Deployment: count(123), Task: count(1),
            CustomField: count(1),
        }  # fmt: skip
        self._populate(agents)
        self.tasks: dict[int, Task] = {}
        for task in generate.tasks(list(self.agents.values())):
            self.create_task(**task)

    def _populate(self, agents: int) -> None:
        sites = list(self.sites.values())
        for _ in range(agents):
            self._place(generate.agent(self.rng, self._number(Agent), sites, self.clock()))

    def _place(self, agent: Agent) -> Agent:
        agent.version = self._agent_version or agent.version
        self.agents[agent.agent_id] = agent
        return agent

    def _number(self, noun: type) -> int:
        return next(self._numbers[noun])

    # -- looking ---------------------------------------------------------------------------------------------

    def agent(self, agent_id: str) -> Agent:
        """Return the agent with this id."""
        return _find(self.agents, agent_id, "agent")

    def find_agents(
        self,
        *,
        hostname: str | None = None,
        client: int | None = None,
        site: int | None = None,
        monitoring_type: str | None = None,
    ) -> list[Agent]:
        """Return the agents that satisfy all of the filters given, in the order of their making."""
        return [
            agent
            for agent in self.agents.values()
            if (hostname is None or agent.hostname == hostname)
            and (client is None or agent.site.client.id == client)
            and (site is None or agent.site.id == site)
            and (monitoring_type is None or agent.monitoring_type == monitoring_type)
        ]

    def client(self, client_id: int) -> Client:
        """Return the client with this id."""
        return _find(self.clients, client_id, "client")

    def site(self, site_id: int) -> Site:
        """Return the site with this id."""
        return _find(self.sites, site_id, "site")

    def sites_of(self, client_id: int) -> list[Site]:
        """Return the sites of one client."""
        client = self.client(client_id)
        return [site for site in self.sites.values() if site.client is client]

    def script(self, script_id: int) -> Script:
        """Return the script with this id."""
        return _find(self.scripts, script_id, "script")

    def alert(self, alert_id: int) -> Alert:
        """Return the alert with this id."""
        return _find(self.alerts, alert_id, "alert")

    def checks_of(self, agent_id: str | None = None) -> list[Check]:
        """Return one agent's checks, or everybody's; an unknown agent has none.

        They are made when they are first looked at, since a large fleet has many, and are the same from then
        on.
        """
        if agent_id is None:
            return [check for known in self.agents for check in self.checks_of(known)]
        if agent_id in self.agents and agent_id not in self._checks:
            agent = self.agents[agent_id]
            self._checks[agent_id] = generate.checks(Random(f"{self.seed} {agent_id}"), agent, self.clock())
        return self._checks.get(agent_id, [])

    # -- agents ----------------------------------------------------------------------------------------------

    def add_agent(self, *, hostname: str | None = None, site: int | None = None) -> Agent:
        """Add one more agent, online, and return it; its other fields are generated."""
        sites = [self.site(site)] if site is not None else list(self.sites.values())
        agent = generate.agent(self.rng, self._number(Agent), sites, self.clock())
        agent.hostname = hostname if hostname is not None else agent.hostname
        return self._place(agent)

    def delete_agent(self, agent_id: str) -> None:
        """Remove the record of an agent with its checks, tasks and alerts."""
        del self.agents[self.agent(agent_id).agent_id]
        self._checks.pop(agent_id, None)
        self.journal.forget(agent_id)
        self.alerts = {key: alert for key, alert in self.alerts.items() if alert.agent_id != agent_id}
        self.tasks = {key: task for key, task in self.tasks.items() if task.agent_id != agent_id}

    def go_offline(self, agent_id: str) -> None:
        """Lose an agent; publishes `WentOffline` if it was online."""
        agent = self.agent(agent_id)
        if agent.online:
            now = self.clock()
            agent.status, agent.last_seen = "offline", now
            self.publish(WentOffline(agent_id, now))

    def come_online(self, agent_id: str) -> None:
        """Bring an agent back; publishes `CameOnline` if it was not online."""
        agent = self.agent(agent_id)
        if not agent.online:
            now = self.clock()
            agent.status, agent.last_seen = "online", now
            self.publish(CameOnline(agent_id, now))

    # -- custom fields ---------------------------------------------------------------------------------------

    def add_custom_field(self, name: str, *, model: str, type: str = "text") -> CustomField:  # noqa: A002
        """Add a field to every `"agent"`, `"client"` or `"site"`."""
        return _store(self.custom_fields, CustomField(self._number(CustomField), name, model, type))

    # -- clients, scripts, tasks -----------------------------------------------------------------------------

    def create_client(self, name: str) -> Client:
        """Add a client without sites. The name must not be taken: ValueError."""
        if any(client.name == name for client in self.clients.values()):
            msg = f"there is a client named {name!r} already"
            raise ValueError(msg)
        return _store(self.clients, Client(self._number(Client), name))

    def create_site(self, client_id: int, name: str) -> Site:
        """Add a site to a client."""
        return _store(self.sites, Site(self._number(Site), name, self.client(client_id)))

    def delete_client(self, client_id: int) -> None:
        """Remove a client with its sites and their deployments; no agent may be left there."""
        for site in self.sites_of(client_id):
            self.delete_site(site.id)
        del self.clients[client_id]

    def delete_site(self, site_id: int) -> None:
        """Remove a site with its deployments; no agent may be left there."""
        del self.sites[self.site(site_id).id]
        self.deployments = {key: each for key, each in self.deployments.items() if each.site != site_id}

    def add_script(self, name: str, *, shell: str = "powershell", description: str = "") -> Script:
        """Add a script to the library."""
        return _store(self.scripts, Script(self._number(Script), name, shell, description))

    def create_task(self, *, name: str, agent_id: str, script: int, schedule: str, enabled: bool) -> Task:
        """Add an automated task; agent and script must exist."""
        owner, what = self.agent(agent_id), self.script(script)
        return _store(self.tasks, Task(self._number(Task), name, owner.agent_id, what.id, schedule, enabled))

    # -- alerts ----------------------------------------------------------------------------------------------

    def raise_alert(self, agent_id: str, *, severity: str, message: str, alert_type: str) -> Alert:
        """Raise an alert about an agent; publishes `AlertChanged`."""
        owner = self.agent(agent_id).agent_id
        number, now = self._number(Alert), self.clock()
        alert = _store(self.alerts, Alert(number, alert_type, owner, severity, message, now))
        self.publish(AlertChanged(owner, alert))
        return alert

    def add_alert(self) -> Alert:
        """Add an alert about no agent, without a message; publishes nothing."""
        return _store(self.alerts, Alert(self._number(Alert), "availability", "", "info", None, self.clock()))

    def acknowledge_alert(self, alert_id: int) -> Alert:
        """Note that somebody has seen an alert; publishes nothing."""
        alert = self.alert(alert_id)
        alert.acknowledged = True
        return alert

    def resolve_alert(self, alert_id: int) -> Alert:
        """Resolve an alert; publishes `AlertChanged` the first time."""
        alert = self.alert(alert_id)
        if not alert.resolved:
            alert.resolved, alert.resolved_on = True, self.clock()
            self.publish(AlertChanged(alert.agent_id, alert))
        return alert

    # -- deployments -----------------------------------------------------------------------------------------

    def create_deployment(
        self, *, client: int, site: int, expiry: float, arch: str, install_flags: str = ""
    ) -> Deployment:
        """Make an installer, valid until `expiry`; ValueError if the site is not the client's."""
        if self.site(site).client is not self.client(client):
            msg = f"site {site} does not belong to client {client}"
            raise ValueError(msg)
        name = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        number = self._number(Deployment)
        made = Deployment(number, name, client, site, expiry, arch, install_flags, created=self.clock())
        return _store(self.deployments, made)

    def active_deployments(self) -> list[Deployment]:
        """Return the deployments that are neither expired nor revoked."""
        now = self.clock()
        return [each for each in self.deployments.values() if not each.revoked and each.expiry > now]

    def stored_deployment(self, key: int | str) -> Deployment:
        """Return the deployment with this id or this UUID, expired or not, unless it was revoked."""
        for deployment in self.deployments.values():
            if key in {deployment.id, deployment.uuid} and not deployment.revoked:
                return deployment
        raise UnknownThingError("deployment", key)

    def deployment(self, key: int | str) -> Deployment:
        """Return the active deployment with this id or this UUID."""
        for deployment in self.active_deployments():
            if key in {deployment.id, deployment.uuid}:
                return deployment
        raise UnknownThingError("active deployment", key)

    def revoke_deployment(self, deployment_id: int) -> None:
        """End a deployment before it expires."""
        self.deployment(deployment_id).revoked = True

    # -- what happens ----------------------------------------------------------------------------------------

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have `listener` called with every event from now on, at once and in order."""
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(event)


def _find(table: Mapping[Key, Thing], key: Key, noun: str) -> Thing:
    try:
        return table[key]
    except KeyError:
        raise UnknownThingError(noun, key) from None


Numbered = TypeVar("Numbered", Client, Site, Script, Task, Alert, Deployment, CustomField)


def _store(table: dict[int, Numbered], thing: Numbered) -> Numbered:
    table[thing.id] = thing
    return thing
