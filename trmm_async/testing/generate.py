"""Believable clients, sites, agents, checks and tasks, the same ones for the same random numbers.

Below: `nouns.py`. Above: `world.py`, which calls it once. Pure: whatever is random comes out of the generator
that is handed in. The first client, site and agent are those of the examples in the documentation (Hermes
Network Inc., Jakarta Office, JADE-PC), so that an example which names them works against a simulator.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, TypedDict

from .nouns import Agent, Check, Client, Disk, Script, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

__all__ = ["TaskFields", "agent", "checks", "scripts", "sites", "tasks"]

CLIENTS: tuple[tuple[int, str, tuple[tuple[int, str], ...]], ...] = (
    (34, "Hermes Network Inc.", ((41, "Jakarta Office"), (42, "Surabaya Warehouse"))),
    (35, "Blue Harbour Dental", ((43, "Front Street"),)),
    (36, "Ostermann & Söhne GmbH", ((44, "Hauptsitz Köln"), (45, "Werk Bonn"), (46, "Lager Düren"))),
    (37, "Northwind Traders", ((47, "Headquarters"), (48, "Harbour Depot"))),
    (38, "Lakeside School District", ((49, "Administration"), (50, "High School"))),
)
SCRIPTS = (
    (1, "Get-DiskInfo", "powershell", "Returns disk usage as JSON"),
    (2, "Restart-PrintSpooler", "powershell", "Restarts the print spooler and clears its queue"),
    (3, "Clear-TempFiles", "powershell", "Deletes temporary files older than seven days"),
    (4, "Get-InstalledSoftware", "powershell", "Lists installed software with its versions"),
    (5, "show-uptime", "shell", "Prints uptime and load"),
    (6, "check-pending-reboot", "python", "Exits with 1 when a reboot is pending"),
)
SYSTEMS = {
    ("windows", "workstation"): ("Microsoft Windows 11 Pro", "Microsoft Windows 10 Pro"),
    ("windows", "server"): (
        "Microsoft Windows Server 2022 Standard",
        "Microsoft Windows Server 2019 Datacenter",
    ),
    ("linux", "workstation"): ("Ubuntu 24.04.1 LTS x86_64 6.8.0-45-generic",),
    ("linux", "server"): ("Debian 12.4 x86_64 6.1.0-17-amd64", "Rocky Linux 9.4 x86_64 5.14.0-427.el9"),
    ("darwin", "workstation"): ("macOS 15.2 arm64 24.2.0", "macOS 14.7.1 arm64 23.6.0"),
    ("darwin", "server"): ("macOS 14.7.1 arm64 23.6.0",),
}
PROCESSORS = {
    "windows": (
        "Intel(R) Core(TM) i7-12700H",
        "Intel(R) Core(TM) i5-10400",
        "AMD Ryzen 7 5800X 8-Core Processor",
    ),
    "linux": ("AMD EPYC 7313 16-Core Processor", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"),
    "darwin": ("Apple M2", "Apple M3 Pro"),
}
MACHINES = {
    "windows": ("Dell Inc. Latitude 5540", "HP ProDesk 600 G6", "LENOVO 21CBCTO1WW"),
    "linux": ("QEMU Standard PC (Q35 + ICH9, 2009)", "Supermicro SYS-1029P"),
    "darwin": ("Mac14,2", "Mac15,6"),
}
STEMS = {
    ("windows", "workstation"): "DESKTOP",
    ("windows", "server"): "SRV",
    ("linux", "workstation"): "tux",
    ("linux", "server"): "web",
    ("darwin", "workstation"): "macbook",
    ("darwin", "server"): "macmini",
}
PEOPLE = ("jerem", "a.tanaka", "mwilson", "sofia", "o.becker", "priya", "reception")
DAY = 86_400
CHECKS_PER_AGENT = 6


class TaskFields(TypedDict):
    """What a task is made from."""

    name: str
    agent_id: str
    script: int
    schedule: str
    enabled: bool


def sites() -> Iterator[Site]:
    """Yield every site, each with its client."""
    for client_id, client_name, places in CLIENTS:
        client = Client(client_id, client_name)
        for site_id, site_name in places:
            yield Site(site_id, site_name, client)


def scripts() -> Iterator[Script]:
    """Yield the script library."""
    for script_id, name, shell, description in SCRIPTS:
        yield Script(script_id, name, shell, description)


def agent(rng: Random, number: int, places: Sequence[Site], now: float) -> Agent:
    """Make agent `number`, counted from 0. The agents of one world go round the sites in turn."""
    plat = "windows" if number == 0 else rng.choices(("windows", "linux", "darwin"), (75, 15, 10))[0]
    kind = "workstation" if number == 0 else rng.choices(("workstation", "server"), (70, 30))[0]
    person = "jerem" if number == 0 else rng.choice(PEOPLE)
    return Agent(
        agent_id="".join(rng.choices(string.ascii_letters, k=40)),
        pk=number + 1,
        hostname="JADE-PC" if number == 0 else f"{STEMS[plat, kind]}-{number:03}",
        site=places[number % len(places)],
        plat=plat,
        monitoring_type=kind,
        operating_system=rng.choice(SYSTEMS[plat, kind]),
        version=rng.choice(("2.5.0", "2.5.0", "2.4.11")),
        last_seen=now - rng.uniform(0, 30),
        logged_in_username=person if kind == "workstation" else "",
        public_ip=f"203.0.113.{rng.randrange(1, 255)}",
        local_ip=f"192.168.{rng.randrange(256)}.{rng.randrange(1, 255)}",
        cpu_model=rng.choice(PROCESSORS[plat]),
        total_ram=float(rng.choice((8, 16, 32, 64))),
        make_model=rng.choice(MACHINES[plat]),
        serial_number="".join(rng.choices(string.ascii_uppercase + string.digits, k=10)),
        boot_time=now - rng.uniform(0.1, 40) * DAY,
        disks=list(_disks(rng, plat, kind)),
        patches_pending=rng.choice((0, 0, 0, 1, 3, 12)),
    )


def _disks(rng: Random, plat: str, kind: str) -> Iterator[Disk]:
    devices = ("C:", "D:") if plat == "windows" else ("/", "/var")
    for device in devices if kind == "server" else devices[:1]:
        total = rng.choice((237.9, 476.9, 931.5))
        percent = rng.randrange(12, 92)
        yield Disk(device, f"{total * (100 - percent) / 100:.1f} GB", f"{total:.1f} GB", percent)


def checks(rng: Random, owner: Agent, now: float) -> list[Check]:
    """Make the checks of one agent; their ids follow from its `pk`, whenever they are made."""
    found = [*_disk_checks(owner), *_common_checks(rng), *_system_checks(rng, owner)][:CHECKS_PER_AGENT]
    first = 101 + (owner.pk - 1) * CHECKS_PER_AGENT
    return [
        Check(first + place, owner.agent_id, kind, name, status, info, now - rng.uniform(0, 120))
        for place, (kind, name, status, info) in enumerate(found)
    ]


def _disk_checks(owner: Agent) -> Iterator[tuple[str, str, str, str]]:
    for disk in owner.disks:
        status = "passing" if disk.percent < 90 else "failing"
        yield "diskspace", f"{disk.device} Drive", status, f"{disk.device} {disk.percent}% used"


def _common_checks(rng: Random) -> Iterator[tuple[str, str, str, str]]:
    yield "ping", "Gateway", "passing", f"Reply in {rng.randrange(1, 9)} ms"
    yield "cpuload", "CPU Load", "passing", f"Average {rng.randrange(2, 70)}%"
    yield "memory", "Memory", "passing", f"{rng.randrange(20, 85)}% used"


def _system_checks(rng: Random, owner: Agent) -> Iterator[tuple[str, str, str, str]]:
    if owner.plat != "windows":
        yield "script", "Package updates", "passing", f"{rng.randrange(9)} packages can be updated"
        return
    status = rng.choices(("passing", "failing"), (95, 5))[0]
    words = "running" if status == "passing" else "stopped"
    yield "winsvc", "Print Spooler", status, f"Status: {words.upper()}"
    yield "eventlog", "Disk errors", "passing", "No matching events in the last 24 hours"


def tasks(agents: Sequence[Agent]) -> Iterator[TaskFields]:
    """Yield what a few automated tasks of the first agents are made from."""
    for owner in agents[:3]:
        yield TaskFields(
            name="Weekly disk cleanup", agent_id=owner.agent_id, script=3, schedule="0 3 * * 0", enabled=True
        )
