"""An agent's three shapes: in the list, in the short list, and alone.

Below: `nouns.py`. Above: `agents.py`. Pure. An agent with no `last_seen` has never been seen: whatever it
would have reported is null or a phrase then.
"""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import TYPE_CHECKING

from trmm_async.testing.replies import iso

from .custom_fields import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trmm_async.testing.nouns import Agent, Check

    from .view import Json

__all__ = ["UPDATE_POLICY", "alone", "listed", "short", "update_policy"]

TIME_ZONE = "America/New_York"
UPDATE_POLICY: Json = {
    "critical": "inherit",
    "important": "inherit",
    "moderate": "inherit",
    "low": "inherit",
    "other": "inherit",
    "run_time_hour": 3,
    "run_time_frequency": "inherit",
    "run_time_days": [],
    "run_time_day": 1,
    "reboot_after_install": "inherit",
    "reprocess_failed_inherit": True,
    "reprocess_failed": False,
    "reprocess_failed_times": 5,
    "email_if_fail": False,
}
SERVICES = ("Dnscache", "EventLog", "LanmanServer", "LanmanWorkstation", "Schedule", "Spooler", "W32Time")
MANY_SERVICES = 150
"""Services of a Windows machine. With its hardware they make the detail big."""


def short(it: Agent) -> Json:
    """An agent with `detail=false`."""
    return {
        "id": it.pk,
        "hostname": it.hostname,
        "agent_id": it.agent_id,
        "client": it.site.client.name,
        "site": it.site.name,
    }


def listed(it: Agent, checks: Sequence[Check], pending_actions: int, template: Json | None) -> Json:
    """An agent as the list shows it: by the names of its client and site; `policy` only if it has one."""
    policy: Json = {} if it.policy is None else {"policy": it.policy}
    seen = it.last_seen is not None
    return {
        "agent_id": it.agent_id,
        "alert_template": template,
        "hostname": it.hostname,
        "site_name": it.site.name,
        "client_name": it.site.client.name,
        "monitoring_type": it.monitoring_type,
        "description": it.description,
        "needs_reboot": it.needs_reboot,
        "pending_actions_count": pending_actions,
        "status": it.status,
        "overdue_text_alert": it.overdue_text_alert,
        "overdue_email_alert": it.overdue_email_alert,
        "overdue_dashboard_alert": it.overdue_dashboard_alert,
        "last_seen": _stamp(it),
        "boot_time": float(int(it.boot_time)) if seen else None,
        "checks": _counts(checks),
        "maintenance_mode": it.maintenance_mode,
        "logged_username": _shown_user(it),
        "italic": seen and not it.logged_in_username and it.online,
        **policy,
        "block_policy_inheritance": it.block_policy_inheritance,
        "plat": it.plat,
        "goarch": it.goarch,
        "has_patches_pending": it.patches_pending > 0,
        "version": it.version,
        "operating_system": it.operating_system if seen else None,
        "public_ip": it.public_ip if seen else None,
        **_hardware(it),
        "custom_fields": shown(it.custom_fields, "agent", it.pk),
        "serial_number": it.serial_number if seen and it.plat == "windows" else "",
    }


def alone(it: Agent, checks: Sequence[Check], given: Mapping[str, object]) -> Json:
    """An agent alone: `client` is a name here, `site` a number; there is no `id` and no `serial_number`.

    `given` is what it has by its policies and its place.
    """
    seen = it.last_seen is not None
    created: Json = {"created_by": None, "created_time": iso(it.boot_time)}
    return {
        "winupdatepolicy": [update_policy(it)],
        "status": it.status,
        **_hardware(it),
        "checks": _counts(checks),
        "timezone": it.time_zone or TIME_ZONE,
        "all_timezones": _time_zones(),
        "client": it.site.client.name,
        "site_name": it.site.name,
        "custom_fields": shown(it.custom_fields, "agent", it.pk),
        "patches_last_installed": None,
        "last_seen": _stamp(it),
        **given,
        "effective_default_shell": "cmd" if it.plat == "windows" else "bash",
        **created,
        "modified_by": None,
        "modified_time": created["created_time"],
        "version": it.version,
        "operating_system": it.operating_system if seen else None,
        "plat": it.plat,
        "goarch": it.goarch,
        "hostname": it.hostname,
        "agent_id": it.agent_id,
        "services": _services() if seen and it.plat == "windows" else None,
        "public_ip": it.public_ip if seen else None,
        "total_ram": int(it.total_ram) if seen else None,
        "disks": _disks(it) if seen else None,
        "boot_time": float(int(it.boot_time)) if seen else None,
        "logged_in_username": (it.logged_in_username or "None") if seen else None,
        "last_logged_in_user": None,
        **_settings(it),
        "wmi_detail": _wmi(it) if seen else None,
        "site": it.site.id,
        "policy": it.policy,
    }


def update_policy(it: Agent) -> Json:
    """The agent's own rules for Windows updates; every agent has some, Windows or not."""
    made = iso(it.boot_time)
    head: Json = {"id": it.pk + 1, "created_by": None, "created_time": made}
    head |= {"modified_by": None, "modified_time": made}
    return head | UPDATE_POLICY | it.update_policy | {"agent": it.pk, "policy": None}


def _settings(it: Agent) -> Json:
    return {
        "monitoring_type": it.monitoring_type,
        "description": it.description,
        "mesh_node_id": f"mesh{it.agent_id}",
        "overdue_email_alert": it.overdue_email_alert,
        "overdue_text_alert": it.overdue_text_alert,
        "overdue_dashboard_alert": it.overdue_dashboard_alert,
        "offline_time": it.offline_time,
        "overdue_time": it.overdue_time,
        "check_interval": it.check_interval,
        "needs_reboot": it.needs_reboot,
        "choco_installed": False,
        "time_zone": it.time_zone,
        "maintenance_mode": it.maintenance_mode,
        "block_policy_inheritance": it.block_policy_inheritance,
        "default_shell": it.default_shell,
        "default_shell_custom": it.default_shell_custom,
    }


def _stamp(it: Agent) -> str | None:
    return None if it.last_seen is None else iso(it.last_seen)


def _shown_user(it: Agent) -> str | None:
    if it.logged_in_username and it.last_seen is not None:
        return it.logged_in_username
    return None if it.online or it.last_seen is None else "-"


def _counts(checks: Sequence[Check]) -> Json:
    failing = sum(check.status == "failing" for check in checks)
    passing = sum(check.status == "passing" for check in checks)
    counts: Json = {"total": len(checks), "passing": passing, "failing": failing, "warning": 0, "info": 0}
    return counts | {"has_failing_checks": failing > 0}


def _hardware(it: Agent) -> Json:
    if it.last_seen is None:
        return {
            "cpu_model": ["unknown cpu model"],
            "graphics": "Graphics info requires agent v1.4.14",
            "local_ips": "error getting local ips",
            "make_model": "unknown make/model",
            "physical_disks": ["unknown disk"],
        }
    return {
        "cpu_model": [it.cpu_model],
        "graphics": "No graphics cards",
        "local_ips": it.local_ip if it.plat == "windows" else f"{it.local_ip}/24",
        "make_model": it.make_model,
        "physical_disks": [f"Virtual disk {disk.total}" for disk in it.disks],
    }


def _disks(it: Agent) -> list[Json]:
    kind = "NTFS" if it.plat == "windows" else "ext4"
    return [
        {
            "free": disk.free,
            "used": f"{disk.percent}%",
            "total": disk.total,
            "device": disk.device,
            "fstype": kind,
            "percent": disk.percent,
        }
        for disk in it.disks
    ]


def _wmi(it: Agent) -> Json:
    if it.plat != "windows":
        return {
            "cpus": [it.cpu_model],
            "gpus": [],
            "disks": [f"Virtual disk {disk.total}" for disk in it.disks],
            "local_ips": [f"{it.local_ip}/24"],
            "make_model": it.make_model,
        }
    return {
        "os": [[{"Caption": it.operating_system, "CSName": it.hostname}]],
        "cpu": [[{"Name": it.cpu_model, "Role": "CPU", "Status": "OK"}]],
        "bios": [[{"SerialNumber": it.serial_number, "Status": "OK"}]],
        "comp_sys": [[{"Model": it.make_model, "TotalPhysicalMemory": int(it.total_ram * 2**30)}]],
        "network_config": [[{"Index": 0, "IPAddress": [it.local_ip], "IPEnabled": True}]],
    }


@cache
def _services() -> list[Json]:
    names = [*SERVICES, *(f"Svc{number:03}" for number in range(MANY_SERVICES - len(SERVICES)))]
    return [_service(number, name) for number, name in enumerate(names)]


def _service(number: int, name: str) -> Json:
    return {
        "pid": 1000 + 4 * number,
        "name": name,
        "status": "running" if number % 3 else "stopped",
        "binpath": rf"C:\Windows\System32\svchost.exe -k netsvcs -p -s {name}",
        "username": "LocalSystem",
        "autodelay": False,
        "start_type": "Automatic" if number % 3 else "Manual",
        "description": f"{name} does for Windows what its name says, and other services may depend on it.",
        "display_name": name,
    }


@cache
def _time_zones() -> list[str]:
    # A machine without a time zone database has none of them.
    return sorted(zoneinfo.available_timezones() | {"Europe/Berlin", TIME_ZONE, "UTC"})
