"""What the load server answers: the gateway's JSON, deterministic, serialised once; nothing of the SDK."""

import gzip
import random
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec

__all__ = [
    "AGENT",
    "HOSTILE",
    "RESULT",
    "agent",
    "agents",
    "event_frames",
    "hostile",
    "stock_agent_ids",
    "stock_agents",
    "stock_alerts",
]

RESULT: Final = b'{"execution_time": "2.45", "retcode": 0, "stdout": "Disk C: 75% used\\n", "stderr": ""}'
AGENT: Final = b'{"agent_id": "agent-0", "hostname": "JADE-PC", "status": "online"}'

_SYSTEMS: Final = (
    "Microsoft Windows 11 Pro",
    "Microsoft Windows Server 2022 Standard",
    "Microsoft Windows 10 Enterprise",
    "Ubuntu 24.04.1 LTS",
)
_PROCESSORS: Final = (
    "Intel(R) Core(TM) i7-12700H",
    "AMD Ryzen 5 PRO 5650U with Radeon Graphics",
    "Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz",
)
_NAMES: Final = ("Hermes Network Inc.", "Jade & Söhne GmbH", "Northwind", "Contoso Health", "Fabrikam")


def agent(number: int, chance: random.Random) -> dict[str, Any]:
    """One agent with every field that the contract names, about 600 bytes of JSON."""
    client = number % 40
    site = client * 3 + number % 3
    return {
        "agent_id": f"{chance.getrandbits(160):040x}",
        "hostname": f"{chance.choice(('JADE', 'ONYX', 'RUBY', 'OPAL'))}-PC-{number:06d}",
        "client": {"id": client, "name": _NAMES[client % len(_NAMES)]},
        "site": {"id": site, "name": f"Office {site}"},
        "plat": "windows" if number % 7 else "linux",
        "operating_system": chance.choice(_SYSTEMS),
        "version": f"2.{number % 9}.0",
        "last_seen": f"2026-04-{1 + number % 28:02d}T{number % 24:02d}:32:{number % 60:02d}Z",
        "status": "online" if number % 5 else "overdue",
        "logged_in_username": f"user{chance.randrange(5000)}",
        "public_ip": f"203.0.113.{chance.randrange(256)}",
        "local_ip": f"10.{client}.{site}.{chance.randrange(256)}",
        "cpu_model": chance.choice(_PROCESSORS),
        "total_ram": float(chance.choice((8, 16, 32, 64))),
        "disks": [_disk(letter, chance) for letter in "CDE"[: 1 + number % 3]],
    }


def _disk(letter: str, chance: random.Random) -> dict[str, Any]:
    total = chance.randrange(100, 2000)
    used = chance.randrange(100)
    return {
        "device": f"{letter}:",
        "free": f"{total * (100 - used) / 100:.1f} GB",
        "total": f"{total}.0 GB",
        "percent": used,
    }


@cache
def agents(count: int, *, zipped: bool = False) -> bytes:
    """A list of that many agents, as the server sends it."""
    if zipped:
        return gzip.compress(agents(count), compresslevel=6)
    chance = random.Random(count)
    return msgspec.json.encode([agent(number, chance) for number in range(count)])


_SEPARATOR: Final = '}]},{"agent_id":"'


def _quoted_separators(number: int) -> dict[str, Any]:
    """Text that looks like the place between two agents."""
    return {"agent_id": str(number), "hostname": _SEPARATOR * 40, "cpu_model": ('\\"' + _SEPARATOR) * 20}


def _nested_separators(number: int) -> dict[str, Any]:
    """Real objects inside an agent that look like agents, the last bytes that a batch would end at."""
    lookalikes = [{"agent_id": "x", "disks": [{}]} for _ in range(60)]
    return {"agent_id": str(number), "disks": [{}], "unknown": {"disks": lookalikes}}


def _brackets_in_strings(number: int) -> dict[str, Any]:
    return {"agent_id": str(number), "hostname": ']}[{,\\"' * 200, "version": "[" * 300}


def _deep(number: int) -> dict[str, Any]:
    nest: Any = number
    for _ in range(300):
        nest = [nest, {}]
    return {"agent_id": str(number), "unknown": nest}


def _many_small(number: int) -> dict[str, Any]:
    return {"agent_id": str(number)}


def _huge(number: int) -> dict[str, Any]:
    """Agents larger than any batch."""
    return {"agent_id": str(number), "unknown": [{"agent_id": "x", "n": n} for n in range(30_000)]}


def _escapes(number: int) -> dict[str, Any]:
    return {"agent_id": str(number), "hostname": "\\" * 200 + '"' * 200, "status": "\u2028\n\t" * 50}


_Maker = Callable[[int], dict[str, Any]]
HOSTILE: Final[dict[str, _Maker]] = {
    "separators in strings": _quoted_separators,
    "separators in nested objects": _nested_separators,
    "brackets in strings": _brackets_in_strings,
    "deep nesting": _deep,
    "many small agents": _many_small,
    "agents larger than a batch": _huge,
    "escapes": _escapes,
}
"""Lists that are made to mislead a decoder which looks for the places between agents."""


@cache
def hostile(kind: str, size: int) -> bytes:
    """A good list of about `size` bytes of the worst kind."""
    make = HOSTILE[kind]
    count = max(2, size // len(msgspec.json.encode(make(1))))
    return msgspec.json.encode([make(number) for number in range(count)])


def event_frames(agent_id: str, count: int) -> list[bytes]:
    """Payloads of event frames: mostly script output, some changes of state, some alerts."""
    return [msgspec.json.encode(_event(agent_id, number)) for number in range(count)]


def _event(agent_id: str, number: int) -> dict[str, Any]:
    if number % 20 == 0:
        action = "agent.online" if number % 40 else "agent.offline"
        return {"action": action, "data": {"agent_id": agent_id, "time": "2026-04-21T10:32:15Z"}}
    if number % 20 == 10:
        return {"action": "alert", "data": _alert(agent_id, number)}
    output = {
        "agent_id": agent_id,
        "cmd_id": "5e1f0c",
        "script": 1,
        "output": f"line {number}\n",
        "done": False,
    }
    return {"action": "script.output", "data": output}


def _alert(agent_id: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "alert_type": "check",
        "agent": agent_id,
        "severity": "warning",
        "message": "C: drive 90% used",
        "created_at": "2026-04-21T08:15:00Z",
        "snoozed": False,
        "resolved": False,
    }


def stock_agent_ids(count: int) -> list[str]:
    """Of the agents of a stock server."""
    return [f"{number:040x}" for number in range(count)]


@cache
def stock_agents(count: int) -> bytes:
    """All agents of a stock server that has so many, as its list has them: about a kilobyte each."""
    row = {
        "alert_template": None,
        "site_name": "Jakarta Office",
        "client_name": "Hermes Network Inc.",
        "monitoring_type": "workstation",
        "description": "",
        "needs_reboot": False,
        "pending_actions_count": 0,
        "status": "online",
        "overdue_text_alert": False,
        "overdue_email_alert": False,
        "overdue_dashboard_alert": False,
        "last_seen": "2026-11-28T09:55:50.646609Z",
        "boot_time": 1792635311.0,
        "checks": dict.fromkeys(("total", "passing", "failing", "warning", "info"), 0)
        | {"has_failing_checks": False},
        "maintenance_mode": False,
        "logged_username": "jerem",
        "italic": False,
        "block_policy_inheritance": False,
        "plat": "windows",
        "goarch": "amd64",
        "has_patches_pending": True,
        "version": "2.11.0",
        "operating_system": "Microsoft Windows 11 Pro",
        "public_ip": "203.0.113.223",
        "cpu_model": ["AMD Ryzen 7 5800X 8-Core Processor"],
        "graphics": "No graphics cards",
        "local_ips": "192.168.170.63",
        "make_model": "LENOVO 21CBCTO1WW",
        "physical_disks": ["Virtual disk 237.9 GB"],
        "custom_fields": [],
        "serial_number": "5GUI82QCLS",
    }
    return msgspec.json.encode(
        [row | {"agent_id": who, "hostname": f"JADE-{who[-6:]}"} for who in stock_agent_ids(count)]
    )


@cache
def stock_alerts(count: int, agents: int) -> bytes:
    """So many open alerts of a stock server that has so many agents: about 750 bytes each."""
    nothing = (
        *(
            "snooze_until",
            "resolved_on",
            "email_sent",
            "resolved_email_sent",
            "sms_sent",
            "resolved_sms_sent",
        ),
        *(
            "assigned_check",
            "assigned_task",
            "action_run",
            "action_stdout",
            "action_stderr",
            "action_retcode",
        ),
        *("action_execution_time", "resolved_action_run", "resolved_action_stdout", "resolved_action_stderr"),
        *("resolved_action_retcode", "resolved_action_execution_time"),
    )
    row = dict.fromkeys(nothing) | {
        "client": "Hermes Network Inc.",
        "site": "Jakarta Office",
        "alert_time": "2026-11-28T09:56:05.478157Z",
        "alert_type": "check",
        "message": "C: drive 95% used",
        "snoozed": False,
        "resolved": False,
        "severity": "error",
        "hidden": False,
    }
    ids = stock_agent_ids(agents)
    return msgspec.json.encode(
        [row | {"id": number + 1, "agent_id": ids[number % agents]} for number in range(count)]
    )
