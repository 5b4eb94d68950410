"""What had happened to the recorded server before a recording was made, as far as it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .replay import DELETED, LINUX, WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from trmm_async.testing import Simulator


def prepare(server: Simulator, name: str) -> None:
    """Do it for one recording: by its name, or else by the beginning of its name."""
    for start, preparation in BY_BEGINNING.items():
        if name.startswith(start):
            preparation(server)
    if name in BY_NAME:
        BY_NAME[name](server)


def _history(server: Simulator) -> None:
    server.add_history(WINDOWS, command="ping google.com", username="admin", stdout="\\nok")
    server.add_history(WINDOWS, 2, username="admin", time=1_795_000_000.0)
    server.add_history(LINUX, 2, username="admin", reported=False, time=1_795_000_001.0)


def _deployments(server: Simulator) -> None:
    world = server.world
    for number in (1, 3):
        made = world.create_deployment(client=1, site=1, expiry=2e9, arch="amd64")
        world.deployments.pop(made.id)
        made.id = number
        world.deployments[number] = made


def _an_agent_at_site_12(server: Simulator) -> None:
    server.agents[0].site = server.world.sites[12]


def _snoozed(server: Simulator) -> None:
    server.world.alerts[4].snoozed, server.world.alerts[4].snooze_until = True, 2e9


def _name_of_site_11(name: str) -> Callable[[Simulator], None]:
    def rename(server: Simulator) -> None:
        server.world.sites[11].name = name

    return rename


BY_BEGINNING: dict[str, Callable[[Simulator], object]] = {
    "natsdown": lambda server: server.nats_down(),
    "natsapi": lambda server: server.natsapi_down(),
    "history": _history,
    "scripthistory": _history,
    "deployment": _deployments,
}
BY_NAME: dict[str, Callable[[Simulator], object]] = {
    "client_delete_404": lambda server: server.world.delete_client(6),
    "client_delete_move": lambda server: server.world.delete_client(8),
    "client_create_dup": lambda server: server.world.create_client("New Client"),
    "client_delete_move_to_site": _an_agent_at_site_12,
    "client_create_no_site": lambda server: server.world.delete_client(7),
    "site_delete": _name_of_site_11("Second renamed"),
    "site_delete_last": lambda server: server.world.delete_site(11),
    "site_create": lambda server: server.world.delete_site(11),
    "agent_delete_404": lambda server: server.world.delete_agent(DELETED),
    "alert_delete_404": lambda server: server.world.alerts.pop(8),
    "alert_get_resolved": lambda server: server.resolve_alert(1),
    "alert_get_snoozed": _snoozed,
}
