"""The inventory plugin. Ansible loads it as a file; no part of the package imports it."""

import asyncio
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from trmm_async import TRMM, TRMMError
from trmm_async.ansible import hosts, with_id

DOCUMENTATION = """
name: trmm
short_description: The agents of a Tactical RMM server
description:
  - Lists the agents of a Tactical RMM server, or of a gateway, as hosts.
  - Groups are C(client_…), C(site_…), C(platform_…), C(kind_…), C(status_…), and C(field_NAME_…).
  - The inventory's file ends in C(trmm.yml) or C(trmm.yaml).
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: C(trmm).
    required: true
    choices: [trmm]
  profile:
    description: A profile that C(trmm login) wrote. It has the address and the key.
    type: str
    env: [{name: TRMM_PROFILE}]
  url:
    description: The server's address.
    type: str
    env: [{name: TRMM_URL}]
  api_key:
    description: The API key. Keep it in the environment, or in a profile.
    type: str
    env: [{name: TRMM_API_KEY}]
  dialect:
    description: Which kind of server it is.
    type: str
    default: auto
    choices: [auto, gateway, stock]
    env: [{name: TRMM_DIALECT}]
  client:
    description: The agents of this client alone, by name.
    type: str
  site:
    description: The agents of this site alone, by name or CLIENT/SITE.
    type: str
  kind:
    description: Servers or workstations alone.
    type: str
    choices: [server, workstation]
  platform:
    description: Agents of this platform alone.
    type: str
    choices: [windows, linux, darwin]
  hostname:
    description: Agents whose host name fits this pattern.
    type: str
  group_by:
    description: The groups that are made by themselves.
    type: list
    elements: str
    default: [client, site, platform, kind, status]
    choices: [client, site, platform, kind, status]
  custom_field_groups:
    description: Custom fields, by name, by whose values there are groups.
    type: list
    elements: str
    default: []
  ansible_host:
    description: Which address C(ansible_host) is; with C(none) it is not set.
    type: str
    default: local_ip
    choices: [local_ip, public_ip, none]
"""

EXAMPLES = """
plugin: trmm
kind: server
custom_field_groups: [Environment]
keyed_groups:
  - {key: trmm_operating_system, prefix: os}
groups:
  reboot: trmm_needs_reboot
cache: true
cache_plugin: jsonfile
cache_connection: .cache
cache_timeout: 300
"""

_GROUPS = {
    "client": ("trmm_client",),
    "site": ("trmm_client", "trmm_site"),
    "platform": ("trmm_platform",),
    "kind": ("trmm_kind",),
    "status": ("trmm_status",),
}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """The inventory plugin class; Ansible requires this name."""

    NAME = "trmm"

    def verify_file(self, path: str) -> bool:
        """Whether this is a file for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("trmm.yml", "trmm.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory, from the cache or from the server."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        keeps, key = self.get_option("cache"), self.get_cache_key(path)
        found = self._cache.get(key) if keeps and cache else None
        if found is None:
            found = self._read()
            if keeps:
                self._cache[key] = found
        for host in found:
            self._add(host["name"], host["vars"])
        # A pattern that names a group must not match a machine that has chosen that name as host name.
        for host in found:
            if host["name"] in self.inventory.groups:
                self.inventory.remove_host(self.inventory.get_host(host["name"]))
                self._add(with_id(host["name"], host["vars"]["trmm_agent_id"]), host["vars"])

    def _read(self) -> list[dict[str, Any]]:
        try:
            return asyncio.run(self._list())
        except TRMMError as error:
            raise AnsibleParserError(f"trmm: {error}") from error

    async def _list(self) -> list[dict[str, Any]]:
        option = self.get_option
        async with self._client() as trmm:
            return await hosts(
                trmm,
                client=option("client"),
                site=option("site"),
                monitoring_type=option("kind"),
                plat=option("platform"),
                hostname=option("hostname"),
            )

    def _client(self) -> TRMM:
        profile, url, key = (self.get_option(name) for name in ("profile", "url", "api_key"))
        if profile:
            return TRMM.from_profile(profile)
        if not url or not key:
            raise AnsibleParserError("trmm: give url and api_key (TRMM_URL, TRMM_API_KEY), or a profile")
        return TRMM(url, api_key=str(key), dialect=self.get_option("dialect"))

    def _add(self, name: str, told: dict[str, Any]) -> None:
        # Values from agents are untrusted: braces in a host's description must not be read as a template.
        values = wrap_var(told)
        self.inventory.add_host(name)
        for variable, value in values.items():
            self.inventory.set_variable(name, variable, value)
        address = told.get(f"trmm_{self.get_option('ansible_host')}")
        if address:
            self.inventory.set_variable(name, "ansible_host", wrap_var(address))
        for kind in self.get_option("group_by"):
            self._add_to(kind, [told[variable] for variable in _GROUPS[kind]], name)
        for field in self.get_option("custom_field_groups"):
            value = told["trmm_custom_fields"].get(field)
            for one in value if isinstance(value, list) else [value]:
                self._add_to("field", [field, one], name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), values, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), values, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), values, name, strict=strict)

    def _add_to(self, kind: str, parts: list[Any], name: str) -> None:
        if any(part in (None, "") for part in parts):
            return
        words = "_".join([kind, *(str(part) for part in parts)]).lower()
        group = self.inventory.add_group(self._sanitize_group_name(words))
        self.inventory.add_host(name, group=group)
