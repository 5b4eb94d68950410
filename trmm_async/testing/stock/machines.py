"""What is on the endpoints of a stock server: processes, services, software, Windows updates, event logs.

Below: `nouns.py`. Above: the views that ask an agent. Pure: the only randomness is the generator handed in.
It is made when it is first looked at, and what a call changes on one agent stays changed.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from trmm_async.testing.nouns import Agent

    from .table import Row

__all__ = ["Machines"]

PROCESSES = (
    (4, "System", "NT AUTHORITY\\SYSTEM"), (368, "Registry", "NT AUTHORITY\\SYSTEM"),
    (836, "smss.exe", "NT AUTHORITY\\SYSTEM"), (1234, "notepad.exe", "jerem"),
    (4104, "spoolsv.exe", "NT AUTHORITY\\SYSTEM"),
)  # fmt: skip
SERVICES = (
    ("BITS", "Background Intelligent Transfer Service", "stopped", "Manual"),
    ("Spooler", "Print Spooler", "running", "Automatic"),
    ("W32Time", "Windows Time", "running", "Automatic"),
    ("denied", "Protected service", "running", "Automatic"),
)
NO_SERVICE: Row = {
    "name": "", "status": "", "display_name": "", "binpath": "", "description": "", "username": "", "pid": 0,
    "start_type": "", "autodelay": False,
}  # fmt: skip
SOFTWARE = (
    ("7-Zip 24.08 (x64)", "24.08", "Igor Pavlov"),
    ("Google Chrome", "131.0.6778.86", "Google LLC"),
    ("Tactical RMM Agent", "2.11.0", "AmidaWare Inc"),
)
UPDATES = (
    ("KB5034441", "2024-01 Security Update for Windows", False),
    ("KB5034122", "2024-01 Cumulative Update for Windows", True),
)


class Machines:
    """The insides of all agents."""

    def __init__(self, rng: Random, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._numbers = count(1)
        self._processes: dict[str, list[Row]] = {}
        self._services: dict[str, dict[str, Row]] = {}
        self._software: dict[str, Row] = {}
        self._updates: dict[str, list[Row]] = {}

    def word(self, length: int) -> str:
        """Make up a name."""
        return "".join(self._rng.choices(string.ascii_letters, k=length))

    # -- processes and logs ----------------------------------------------------------------------------------

    def processes(self, agent: Agent) -> list[Row]:
        """Return the running processes."""
        if agent.agent_id not in self._processes:
            self._processes[agent.agent_id] = [
                {
                    "name": name, "pid": pid, "membytes": 1_302_528 * place, "username": user, "id": place,
                    "cpu_percent": "0.0",
                }
                for place, (pid, name, user) in enumerate(PROCESSES, 1)
            ]  # fmt: skip
        return self._processes[agent.agent_id]

    def kill(self, agent: Agent, pid: int) -> None:
        """End a process; one that doesn't exist counts as ended."""
        left = [process for process in self.processes(agent) if process["pid"] != pid]
        self._processes[agent.agent_id] = left

    def event_log(self, agent: Agent, name: str) -> list[Row]:
        """Return what is in one of the event logs."""
        when = datetime.fromtimestamp(self._clock(), UTC)
        return [
            {
                "computer": agent.hostname, "source": f"{name} source", "eventType": kind,
                "eventID": str(16_384 + place), "eventCategory": "0",
                "message": f"Simulated {kind} event.\r\n",
                "time": f"{when:%a %b %d %H:%M:%S %Y}", "record": str(17_213 + place), "uid": place,
            }
            for place, kind in enumerate(("INFO", "WARNING", "ERROR"), 1)
        ]  # fmt: skip

    # -- services --------------------------------------------------------------------------------------------

    def services(self, agent: Agent) -> list[Row]:
        """Return the services."""
        return list(self._of(agent).values())

    def service(self, agent: Agent, name: str) -> Row:
        """Return one service; an unknown one is empty in every field."""
        return self._of(agent).get(name, dict(NO_SERVICE))

    def _of(self, agent: Agent) -> dict[str, Row]:
        if agent.agent_id not in self._services:
            self._services[agent.agent_id] = {
                name: {
                    "pid": 4000 + place if status == "running" else 0, "name": name, "status": status,
                    "binpath": f"C:\\WINDOWS\\System32\\{name.lower()}.exe", "username": "LocalSystem",
                    "autodelay": False, "start_type": start, "description": f"{display}.",
                    "display_name": display,
                }
                for place, (name, display, status, start) in enumerate(SERVICES, 1)
            }  # fmt: skip
        return self._services[agent.agent_id]

    # -- software and updates --------------------------------------------------------------------------------

    def software(self, agent: Agent) -> Row | None:
        """Return the list of what is installed as the server keeps it; only Windows agents have one."""
        if agent.plat != "windows":
            return None
        if agent.agent_id not in self._software:
            listed = [
                {
                    "name": name, "size": "5.2 MB", "source": "", "version": version,
                    "location": f"C:\\Program Files\\{publisher}\\", "publisher": publisher,
                    "uninstall": f"C:\\Program Files\\{publisher}\\uninstall.exe",
                    "install_date": "0001-01-01 00:00:00 +0000 UTC",
                }
                for name, version, publisher in SOFTWARE
            ]  # fmt: skip
            number = next(self._numbers)
            self._software[agent.agent_id] = {"id": number, "software": listed, "agent": agent.pk}
        return self._software[agent.agent_id]

    def updates(self, agent: Agent) -> list[Row]:
        """Return the Windows updates, newest first."""
        if agent.plat == "windows" and agent.agent_id not in self._updates:
            self._updates[agent.agent_id] = [self._update(agent, *update) for update in UPDATES]
        return sorted(self._updates.get(agent.agent_id, []), key=lambda row: -int(str(row["id"])))

    def _update(self, agent: Agent, kb: str, title: str, installed: bool) -> Row:
        when = datetime.fromtimestamp(self._clock(), UTC)
        return {
            "id": next(self._numbers), "guid": f"{self._rng.getrandbits(128):032x}", "kb": kb,
            "title": f"{title} ({kb})", "installed": installed, "downloaded": True,
            "description": "Install this update to resolve issues in Windows.", "severity": "",
            "categories": ["Security Updates"], "category_ids": [], "kb_article_ids": [],
            "more_info_urls": [],
            "support_url": None, "revision_number": None, "action": "nothing", "result": "success",
            "date_installed": f"{when:%m %d %Y %H:%M}", "agent": agent.pk,
        }  # fmt: skip

    def update(self, number: int) -> Row | None:
        """Return one update by its id."""
        found = (row for rows in self._updates.values() for row in rows)
        return next((row for row in found if row["id"] == number), None)
