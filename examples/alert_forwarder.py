"""Forward alerts to a URL, such as that of a chat: each change once, also across restarts of this program.

python examples/alert_forwarder.py https://chat.example.com/hook place.json

Warnings and errors of all agents are forwarded. How far that has come stands in the file; what happens while
this program does not run is caught up at the next start.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from trmm_async import TRMM, Alert, AlertEvent, Ended, Gap

log = logging.getLogger("forwarder")

WORTH_IT = {"warning", "error"}
PATIENCE = 60.0


async def main(url: str, place: Path, since: str | None) -> None:
    """Forward what has happened `since` that position, until the program is stopped."""
    async with TRMM.from_env(dialect="auto") as trmm, aiohttp.ClientSession() as chat:
        agents = {agent.agent_id: agent.hostname for agent in await trmm.agents.list()}
        async with trmm.events(agents, since=since) as events:
            log.info("watching %d agents", len(agents))
            async for event in events:
                match event:
                    case AlertEvent(alert=alert) if alert.severity in WORTH_IT:
                        await forward(chat, url, text_of(alert, agents.get(event.agent_id, event.agent_id)))
                    case Gap(agent_id=who, reason=reason):
                        log.warning("%s: catching up (%s)", agents.get(who, who), reason)
                    case Ended(agent_id=who, error=error):
                        log.warning("%s: no more events (%s)", agents.get(who, who), error)
                # Only now: an alert that was not forwarded is not behind the position.
                store(place, events.position)


def text_of(alert: Alert, hostname: str) -> str:
    """What people read."""
    state = "resolved" if alert.resolved else "snoozed" if alert.snoozed else alert.severity
    return f"[{state}] {hostname}: {alert.message}"


async def forward(chat: aiohttp.ClientSession, url: str, text: str) -> None:
    """Post it, for as long as it takes."""
    pause = 0.5
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with chat.post(url, json={"text": text}, timeout=aiohttp.ClientTimeout(10)) as answer:
                if answer.ok:
                    return
                log.warning("the chat answered %d", answer.status)
        await asyncio.sleep(pause)
        pause = min(2 * pause, PATIENCE)


def store(place: Path, position: str) -> None:
    """Write it aside first: a crash must not leave half of it."""
    aside = place.with_suffix(".new")
    aside.write_text(position)
    aside.replace(place)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    url, place = sys.argv[1], Path(sys.argv[2])
    with suppress(KeyboardInterrupt):
        asyncio.run(main(url, place, place.read_text() if place.exists() else None))
