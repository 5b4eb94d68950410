"""The inventory plugin, as the real `ansible-inventory` loads and runs it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.stage import Backstage
from trmm_async.ansible import PLUGINS

INVENTORY = """\
plugin: trmm
custom_field_groups: [Environment]
keyed_groups:
  - {key: trmm_operating_system, prefix: os}
groups:
  quiet: trmm_status == 'offline'
cache: true
cache_plugin: jsonfile
cache_connection: CACHE
cache_timeout: 3600
"""


PAGE = Path(__file__).parents[3] / "docs" / "ansible.md"


NAMES = {
    "all": "all-ID",
    "Ungrouped": "Ungrouped-ID",
    "localhost": "localhost-ID",
    "platform_windows": "platform_windows-ID",
    "os_Windows_10_Pro": "os_Windows_10_Pro",
    "": "agent-ID",
    "a b": "a_b",
    "-rf": "_rf",
    "h[1:3]": "h_1_3_",
    "x:22,y": "x_22_y",
    "{{ 1+1 }}": "___1_1___",
    "Über-PC.example": "Über-PC.example",
}
"""What machines call themselves, and what they are for Ansible, to whom some of it means something."""


HOSTILE = "{{ lookup('pipe', 'touch OWNED') }}"


def bare(found: dict[str, Any]) -> Any:
    """What Ansible prints of texts that are no templates, as texts."""
    return found["__ansible_unsafe"] if found.keys() == {"__ansible_unsafe"} else found


def ansible(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`ansible-inventory` in a folder that has an inventory."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("ansible-inventory")), "-i", "servers.trmm.yml", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_INVENTORY_PLUGINS": str(PLUGINS),
            "ANSIBLE_INVENTORY_ENABLED": "trmm",
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def prepare(stage: Backstage) -> None:
    from trmm_async import TRMM

    async with TRMM(stage.url, api_key=stage.api_key, dialect="stock") as trmm:
        field = await trmm.custom_fields.create(name="Environment", model="agent", type="text")
        agents = await trmm.agents.list()
        await trmm.agents.update(agents[0], custom_fields={field: "Production"}, description=HOSTILE)
        stage.do(lambda server: server.go_offline(agents[1].agent_id))


def test_ansible_lists_groups_and_caches(tmp_path: Path) -> None:
    (tmp_path / "servers.trmm.yml").write_text(INVENTORY.replace("CACHE", str(tmp_path / "cache")))
    # What the page shows, beside it.
    (tmp_path / "page.trmm.yml").write_text(PAGE.read_text().split("```yaml\n")[1].split("```")[0])
    with Backstage(agents=6, dialect="stock") as stage:
        asyncio.run(prepare(stage))
        odd = stage.do(lambda server: {name: server.add_agent(hostname=name).agent_id for name in NAMES})
        done = ansible(tmp_path, "-i", "page.trmm.yml", "--list", **stage.environment)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout, object_hook=bare)
        environment = stage.environment
    variables = told["_meta"]["hostvars"]
    assert len(variables) == 6 + len(NAMES)
    assert {shown.replace("ID", odd[name]) for name, shown in NAMES.items()} <= variables.keys()
    assert not told.keys() & variables.keys()
    assert told["field_environment_production"]["hosts"] == ["JADE-PC"]
    assert len(told["status_offline"]["hosts"]) == 1
    assert told["quiet"]["hosts"] == told["status_offline"]["hosts"]
    assert {"client_hermes_network_inc_", "platform_windows", "kind_workstation"} <= told.keys()
    assert any(name.startswith("site_hermes_network_inc__") for name in told)
    assert any(name.startswith("os_") for name in told)
    jade = variables["JADE-PC"]
    servers = {*told["kind_server"]["hosts"]}
    assert {
        name for name, told in variables.items() if told.get("ansible_connection") in {"winrm", "ssh"}
    } == servers
    assert jade["trmm_custom_fields"] == {"Environment": "Production"}
    assert jade["ansible_host"] == jade["trmm_local_ip"]
    # What an agent is described as is data, and no template that is run here.
    assert jade["trmm_description"] == HOSTILE
    assert "__ansible_unsafe" in done.stdout
    assert not (tmp_path / "OWNED").exists()
    # The server is gone: the cache has it, the key is not in it, and it is told of a source without a cache.
    (tmp_path / "uncached.trmm.yml").write_text("plugin: trmm\n")
    again = ansible(
        tmp_path,
        "-i",
        "uncached.trmm.yml",
        "--host",
        "JADE-PC",
        **environment,
        ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="0",
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout, object_hook=bare)["trmm_client"] == jade["trmm_client"]
    assert "uncached.trmm.yml" in again.stderr
    assert "trmm: " in again.stderr
    texts = [again.stderr, *(path.read_text() for path in (tmp_path / "cache").iterdir())]
    assert not [text for text in texts if environment["TRMM_API_KEY"] in text]
