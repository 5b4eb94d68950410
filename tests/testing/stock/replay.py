"""Recordings of the real stock server, replayed against the simulator: same request, same kind of answer.

The simulator's world is made to look like the recorded one, with the same ids, so that a request can be sent
just as it was.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trmm_async.testing import Script, ScriptReply, Simulator
from trmm_async.testing.nouns import Agent, Alert, Client, CustomField, FieldValue, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trmm_async.testing import Run

FOLDER = Path(__file__).parents[2] / "recordings"
HTTP = FOLDER / "http"

WINDOWS = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"
DARWIN = "WfpTbmRsHdRXfrnBNXYKGhQhyBPnLsbWsXAJKilK"
OFFLINE = "RJhyjPzSJxkKIvIKwFQsVFOsCfYlcdgDssPddTey"
HUNG = "nCOVxkhTOabFFHiCvJtcdMoCkcXSUyQBiAXqozAZ"
ZOMBIE = "EnClhMYrNHLjxkoVVvpWbjhkogOdadlsRSdUnJjk"
NEVER_SEEN = "tTwZkbcctMFyWDgKacncDBbyYpiEczxuWHqmxHgK"
DELETED = "ZwfDQbVjkyNIhcsXorTEmmWrgnjJewXHPnmKzKid"
FOREIGN = "UciqRhSBHpvkTSOsqHvzlIBtPnRNbzocFeogdvbz"
FOREIGN_TOO = "UYXHAKBLRqpiZbHVbYQapgFZNMwWotGzAXtqPrfX"
AGENTS = (
    (WINDOWS, "SRV-000", "windows", "server"),
    (LINUX, "web-003.example.com", "linux", "server"),
    (DARWIN, "Karens-MacBook-006.local", "darwin", "workstation"),
    (OFFLINE, "pi-007", "linux", "workstation"),
    (HUNG, "SRV-006", "windows", "server"),
    (ZOMBIE, "SRV-011", "windows", "server"),
    (NEVER_SEEN, "SRV-009", "windows", "server"),
    (DELETED, "BULK-04500", "windows", "workstation"),
    (FOREIGN, "DESKTOP-002", "windows", "workstation"),
    (FOREIGN_TOO, "DESKTOP-005", "windows", "workstation"),
)
PLACES = (
    (1, "Acme Corp", ((1, "HQ"), (2, "Warehouse"))),
    (2, "Globex", ((3, "Main Office"), (4, "Springfield Plant"))),
    (3, "Initech", ((6, "Austin"), (7, "Dallas"))),
    (6, "Renamed Client", ((10, "First Site"), (11, "Second"))),
    (7, "No Site", ()),
    (8, "Tmp C", ((12, "Tmp S"),)),
)
FIELDS = ((1, "agent", "text"), (2, "agent", "number"), (7, "client", "text"), (9, "site", "text"))


@dataclass(frozen=True)
class Recording:
    """One exchange with the real server."""

    name: str
    request: dict[str, object]
    response: dict[str, object]

    @property
    def body(self) -> object:
        return self.response["body"]


@cache
def recording(name: str) -> Recording:
    """Read a recording."""
    found = json.loads((HTTP / f"{name}.json").read_text())
    return Recording(name, found["request"], found["response"])


# -- the recorded world --------------------------------------------------------------------------------------


def furnish(server: Simulator) -> None:
    """Make a simulator's world look like the recorded one, as far as requests point into it."""
    world = server.world
    made = list(world.agents.values())[: len(AGENTS)]
    _build(server)
    world.agents.clear()
    for number, (agent, (agent_id, hostname, plat, kind)) in enumerate(zip(made, AGENTS, strict=True), 1):
        agent.agent_id, agent.hostname, agent.plat, agent.monitoring_type = agent_id, hostname, plat, kind
        agent.pk, agent.site = number, world.sites[1 if agent_id not in {FOREIGN, FOREIGN_TOO} else 6]
        world.agents[agent_id] = agent
    _afflict(server)
    world.scripts.clear()
    world.scripts[2] = Script(2, "Clear Print Spooler", "cmd", "")
    world.tasks.clear()
    for number in range(1, 10):
        owner = "" if number == 4 else WINDOWS
        kind = ("availability", "check", "task", "custom")[(number - 1) % 4]
        severity = ("info", "warning", "error")[number % 3]
        world.alerts[number] = Alert(
            number, kind, owner, severity, "a message", world.clock() - 3600 * number
        )


def _build(server: Simulator) -> None:
    world = server.world
    world.clients.clear()
    world.sites.clear()
    for number, model, kind in FIELDS:
        world.custom_fields[number] = CustomField(number, f"field {number}", model, kind)
    for client_id, name, sites in PLACES:
        client = world.clients[client_id] = Client(client_id, name, [FieldValue(1, 7, "C-100")])
        for site_id, site_name in sites:
            world.sites[site_id] = Site(site_id, site_name, client, [FieldValue(1, 9, "1 Main St")])


def _afflict(server: Simulator) -> None:
    agents = server.world.agents
    agents[WINDOWS].custom_fields.append(FieldValue(1, 1, "AT-00000"))
    server.go_offline(OFFLINE)
    server.go_offline(ZOMBIE)
    server.hang(HUNG)
    _forget(agents[NEVER_SEEN])


def _forget(agent: Agent) -> None:
    agent.status, agent.last_seen = "offline", None


def agent_program(run: Run) -> ScriptReply:
    """Do what the agents of the recordings did, which were told what to print by arguments or the command."""
    if run.command is not None:
        return _command(run)
    told = dict(arg.partition("=")[::2] for arg in run.args if "=" in arg)
    args, env = list(run.args), list(run.env_vars)
    default = f"ran cmd script (99 chars) args={args} env={env}\r\n"
    text = told.get("stdout", default).replace("\\n", "\n")
    return ScriptReply(text, told.get("stderr", ""), int(told.get("rc", "0")), seconds=0.0)


def _command(run: Run) -> ScriptReply:
    word, _, rest = (run.command or "").partition(" ")
    texts = {"echo": f"{rest}\r\n", "sleep": "slept\r\n", "exit": ""}
    if word == "lines":
        return ScriptReply("".join(f"line {number}\r\n" for number in range(1, int(rest) + 1)), seconds=0.0)
    if word == "stderr":
        return ScriptReply("partial out\n", rest, 1, seconds=0.0)
    return ScriptReply(texts[word], seconds=0.0)


# -- comparing -----------------------------------------------------------------------------------------------

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
DIGITS = re.compile(r"\d+")
FREE = {"wmi_detail", "services", "applied_policies", "alert_template", "all_timezones", "value"}
"""Keys whose values are anything."""


def differences(real: object, ours: object, where: str = "") -> Iterator[str]:
    """Yield how the form of our answer differs from the real one's; null goes with everything.

    So does the empty object that stands for a result that is not there yet.
    """
    if real is None or ours is None or (where.endswith("_result") and {} in (real, ours)):
        return
    if isinstance(real, dict) and isinstance(ours, dict):
        if missing := set(real) ^ set(ours):
            yield f"{where}: keys {sorted(missing)}"
        for key in sorted((set(real) & set(ours)) - FREE):
            yield from differences(real[key], ours[key], f"{where}.{key}")
    elif isinstance(real, list) and isinstance(ours, list):
        for item in ours if real else []:
            found = [list(differences(each, item, f"{where}[]")) for each in real]
            if all(found):
                yield from min(found, key=len)
    elif type(real) is not type(ours):
        yield f"{where}: {real!r} is no {ours!r}"
    elif (
        isinstance(real, str)
        and isinstance(ours, str)
        and bool(STAMP.fullmatch(real)) != bool(STAMP.fullmatch(ours))
    ):
        yield f"{where}: {real!r} and {ours!r} are not both times"


def same_words(real: object, ours: object) -> bool:
    """Whether two sentences are the same but for their numbers."""
    return DIGITS.sub("#", str(real)) == DIGITS.sub("#", str(ours))
