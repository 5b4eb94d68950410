"""Ansible: the agents of a server as an inventory (in Ansible's own environment; needs no extra).

    export ANSIBLE_INVENTORY_PLUGINS="$(python -m trmm_async.ansible)"
    ansible-inventory -i servers.trmm.yml --graph

The plugin itself is `inventory/trmm.py`, which Ansible loads; what it reads of a server is read here.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trmm_async.client import TRMM
from trmm_async.errors import UnsupportedError
from trmm_async.models import Agent
from trmm_async.plaintext import clean, one_line

__all__ = ["PLUGINS", "hosts", "with_id"]

PLUGINS: Final = Path(__file__).parent / "inventory"
"""The folder for `ANSIBLE_INVENTORY_PLUGINS`, or for `inventory_plugins` in ansible.cfg."""
_UNFIT: Final = re.compile(r"[^\w.-]|^[-.]")
"""What a pattern or a template of Ansible's could be made of."""
_RESERVED: Final = frozenset({"all", "ungrouped", "localhost", "127.0.0.1"})
"""Groups that are always there, and what Ansible takes for the machine that it runs on."""


async def hosts(
    trmm: TRMM,
    *,
    client: str | None = None,
    site: str | None = None,
    monitoring_type: Any = None,
    plat: Any = None,
    hostname: str | None = None,
) -> list[dict[str, Any]]:
    """The agents as the plugin has them: `name` is unique, `vars` are of the types of JSON, named `trmm_…`.

    A machine calls itself what it likes: of its host name only letters, digits, `.`, `-` and `_` are taken,
    others are `_`. Two agents of one name have their ids behind it; so has one that is called "all",
    "ungrouped" or "localhost". Values of custom fields go by the fields' names.

    Args:
        trmm: the client.
        client: those of this client alone, by name.
        site: those of this site, by its name or CLIENT/SITE.
        monitoring_type: "server" or "workstation".
        plat: "windows", "linux" or "darwin".
        hostname: those whose host name fits this pattern.

    Raises:
        TRMMError: see `errors`.
    """
    agents = await trmm.agents.select(
        client=client, site=site, monitoring_type=monitoring_type, plat=plat, hostname=hostname
    ).list()
    fields = await _field_names(trmm) if any(agent.custom_fields for agent in agents) else {}
    shown = {agent.agent_id: _UNFIT.sub("_", one_line(clean(agent.hostname))) for agent in agents}
    names = Counter(name.casefold() for name in shown.values())

    def name_of(agent: Agent) -> str:
        name = shown[agent.agent_id]
        is_unique = names[name.casefold()] == 1 and name.casefold() not in _RESERVED
        return name if name and is_unique else with_id(name or "agent", agent.agent_id)

    return [
        {"name": name_of(agent), "vars": _vars(agent, fields)}
        for agent in sorted(agents, key=lambda agent: (agent.hostname.casefold(), agent.agent_id))
    ]


def with_id(name: str, agent_id: str) -> str:
    """A name that no other host has."""
    return f"{name}-{_UNFIT.sub('_', agent_id)}"


async def _field_names(trmm: TRMM) -> Mapping[int, str]:
    try:
        return {field.id: field.name for field in await trmm.custom_fields.list(model="agent")}
    except UnsupportedError:  # a gateway knows none
        return {}


def _vars(agent: Agent, fields: Mapping[int, str]) -> dict[str, Any]:
    return {
        "trmm_agent_id": agent.agent_id,
        "trmm_hostname": agent.hostname,
        "trmm_client": agent.client.name,
        "trmm_site": agent.site.name,
        "trmm_platform": agent.plat,
        "trmm_kind": agent.monitoring_type,
        "trmm_status": agent.status,
        "trmm_operating_system": agent.operating_system,
        "trmm_local_ip": _first(agent.local_ip),
        "trmm_public_ip": agent.public_ip,
        "trmm_needs_reboot": agent.needs_reboot,
        "trmm_maintenance": agent.maintenance_mode,
        "trmm_description": agent.description,
        "trmm_version": agent.version,
        "trmm_custom_fields": {
            fields.get(one.field, str(one.field)): _plain(one.value) for one in agent.custom_fields
        },
    }


def _first(addresses: str | None) -> str | None:
    """An agent may tell several, with commas between."""
    return None if addresses is None else addresses.split(",")[0].strip() or None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
