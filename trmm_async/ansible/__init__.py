"""An Ansible inventory of the agents of a server. Install it in Ansible's environment; it needs no extra.

    export ANSIBLE_INVENTORY_PLUGINS="$(python -m trmm_async.ansible)"
    ansible-inventory -i servers.trmm.yml --graph

Ansible loads the plugin, `inventory/trmm.py`. This module reads the server for it.
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
"""Characters that could form a pattern or a template of Ansible."""
_RESERVED: Final = frozenset({"all", "ungrouped", "localhost", "127.0.0.1"})
"""Groups that always exist, and names that Ansible takes for the machine on which it runs."""


async def hosts(
    trmm: TRMM,
    *,
    client: str | None = None,
    site: str | None = None,
    monitoring_type: Any = None,
    plat: Any = None,
    hostname: str | None = None,
) -> list[dict[str, Any]]:
    """Read the agents as hosts: `name` is unique, `vars` has JSON types and names such as `trmm_client`.

    A machine can choose any host name. Characters other than letters, digits, `.`, `-` and `_` are replaced
    by `_`. The agent's id is appended if several agents have the same name, or if the name is "all",
    "ungrouped" or "localhost". Custom fields are given by their names.

    Args:
        trmm: the client.
        client: only agents of this client, by name.
        site: only agents of this site, by its name or CLIENT/SITE.
        monitoring_type: only "server" or "workstation".
        plat: only "windows", "linux" or "darwin".
        hostname: only agents whose host name matches this pattern.

    Raises:
        TRMMError: a call failed.
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
    """The name with the agent's id appended, which makes it unique."""
    return f"{name}-{_UNFIT.sub('_', agent_id)}"


async def _field_names(trmm: TRMM) -> Mapping[int, str]:
    try:
        return {field.id: field.name for field in await trmm.custom_fields.list(model="agent")}
    except UnsupportedError:  # a gateway has no custom fields
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
    """The first of an agent's addresses, which are separated by commas."""
    return None if addresses is None else addresses.split(",")[0].strip() or None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
