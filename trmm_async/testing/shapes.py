"""The gateway's JSON: every shape of its contract, written out literally.

Below: `nouns.py`. Above: `gateway.py`. Pure, and on purpose without any of the SDK's own models: a mistake
there must not be able to hide here. Times have whole seconds, as in the contract, apart from what a client
sent itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .nouns import AlertChanged, CameOnline, ScriptEnded, ScriptPrinted, WentOffline
from .replies import iso

if TYPE_CHECKING:
    from .ledger import Run
    from .nouns import Agent, Alert, Check, Client, Deployment, Event, Script, Site, Task

__all__ = [
    "agent",
    "agent_detail",
    "alert",
    "check",
    "client",
    "deployment",
    "event",
    "result",
    "script",
    "site",
    "task",
]

Json = dict[str, object]


def agent(it: Agent) -> Json:
    """An agent as the list shows it."""
    return {
        "agent_id": it.agent_id,
        "hostname": it.hostname,
        "client": {"id": it.site.client.id, "name": it.site.client.name},
        "site": site(it.site),
        "plat": it.plat,
        "operating_system": it.operating_system,
        "version": it.version,
        "last_seen": None if it.last_seen is None else _stamp(it.last_seen),
        "status": it.status,
        "logged_in_username": it.logged_in_username,
        "public_ip": it.public_ip,
        "local_ip": it.local_ip,
        "cpu_model": it.cpu_model,
        "total_ram": it.total_ram,
        "disks": [
            {"device": disk.device, "free": disk.free, "total": disk.total, "percent": disk.percent}
            for disk in it.disks
        ],
    }


def agent_detail(it: Agent) -> Json:
    """An agent as it is shown alone, with further fields."""
    return agent(it) | {
        "monitoring_type": it.monitoring_type,
        "patches_pending": it.patches_pending,
        "make_model": it.make_model,
        "serial_number": it.serial_number,
        "boot_time": it.boot_time,
        "wmi_detail": {
            "cpu": [[{"Name": it.cpu_model}]],
            "os": [[{"Caption": it.operating_system}]],
            "comp_sys": [[{"Model": it.make_model, "TotalPhysicalMemory": int(it.total_ram * 2**30)}]],
        },
    }


def client(it: Client, sites: list[Site]) -> Json:
    """A client with its sites."""
    return {"id": it.id, "name": it.name, "sites": [site(each) for each in sites]}


def site(it: Site) -> Json:
    """A site."""
    return {"id": it.id, "name": it.name}


def script(it: Script) -> Json:
    """A script of the library."""
    return {"id": it.id, "name": it.name, "shell": it.shell, "description": it.description}


def check(it: Check) -> Json:
    """A check with its newest result."""
    return {
        "id": it.id,
        "check_type": it.check_type,
        "name": it.name,
        "status": it.status,
        "more_info": it.more_info,
        "last_run": _stamp(it.last_run),
    }


def task(it: Task) -> Json:
    """An automated task."""
    return {
        "id": it.id,
        "name": it.name,
        "agent": it.agent_id,
        "script": it.script,
        "schedule": it.schedule,
        "enabled": it.enabled,
    }


def alert(it: Alert) -> Json:
    """An alert. That somebody has acknowledged it is not shown."""
    return {
        "id": it.id,
        "alert_type": it.alert_type,
        "agent": it.agent_id,
        "severity": it.severity,
        "message": it.message,
        "created_at": _stamp(it.created_at),
        "snoozed": it.snoozed,
        "resolved": it.resolved,
    }


def deployment(it: Deployment, base: str) -> Json:
    """A deployment; `base` is the server's address as the client calls it."""
    return {
        "id": it.id,
        "uuid": it.uuid,
        "client": it.client,
        "site": it.site,
        "expiry": iso(it.expiry),
        "install_flags": it.install_flags,
        "download_url": f"{base}/api/v3/agents/deployments/{it.uuid}/download/",
    }


def result(it: Run) -> Json:
    """What a finished run came to; its time is a string."""
    return {
        "execution_time": f"{it.execution_time:.2f}",
        "retcode": it.retcode,
        "stdout": it.stdout,
        "stderr": it.stderr,
    }


def event(it: Event) -> Json:
    """What subscribers are told."""
    match it:
        case CameOnline(agent_id, time):
            return {"action": "agent.online", "data": {"agent_id": agent_id, "time": _stamp(time)}}
        case WentOffline(agent_id, time):
            return {"action": "agent.offline", "data": {"agent_id": agent_id, "time": _stamp(time)}}
        case AlertChanged(_, changed):
            return {"action": "alert", "data": alert(changed)}
        case ScriptPrinted(_, _, _, output):
            return {"action": "script.output", "data": _run(it) | {"output": output, "done": False}}
        case ScriptEnded(_, _, _, exit_code):
            return {
                "action": "script.output",
                "data": _run(it) | {"output": "", "done": True, "exit_code": exit_code},
            }


def _run(it: ScriptPrinted | ScriptEnded) -> Json:
    return {"agent_id": it.agent_id, "cmd_id": it.cmd_id, "script": it.script}


def _stamp(moment: float) -> str:
    return iso(int(moment))
