"""Demonstrates the main job in half a minute, against the simulator: `python -m trmm_async.cli.demo`.

Lists a fleet, runs a script on all that are online while one agent fails and one goes offline under it, then
follows live events. Everything goes through the public interface, over real HTTP and WebSockets.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from trmm_async import (
    TRMM,
    Agent,
    AgentOffline,
    AgentOnline,
    AlertEvent,
    APIError,
    Done,
    Event,
    Failed,
    Outcome,
    RateLimit,
    ScriptOutput,
    Skipped,
    TRMMError,
    Unknown,
)
from trmm_async.cli.console import Screen
from trmm_async.testing import Simulator

__all__ = ["demonstrate", "main"]

LIMIT = (120, 2.0)
SHOWN = 12


async def demonstrate(console: Console, agents: int) -> None:
    """Start a simulator with that many agents and show the main job on it."""
    console.rule("[bold]trmm_async: the main job, against the embedded simulator")
    simulator = Simulator(agents=agents, rate_limit=LIMIT, script_seconds=(0.2, 1.0), offline_hold=1.0)
    limit = RateLimit(LIMIT[0], per=LIMIT[1])
    async with (
        simulator as server,
        TRMM(server.url, api_key=server.api_key, dialect="gateway", rate_limit=limit) as trmm,
    ):
        for agent_id in server.agent_ids[5::9]:
            server.go_offline(agent_id)
        console.print(f"Simulator at {server.url}, which allows {limit.count} requests in {limit.per:g} s.\n")
        fleet = await show_fleet(console, trmm)
        online = [agent for agent in fleet if agent.status == "online"]
        await show_fan_out(console, trmm, server, online)
        await show_events(console, trmm, server, online[:3])
        console.print(f"\nThe server counted {len(server.requests)} requests and refused {server.throttled}.")
    console.rule("[bold]Done. README.md says how to go on.")


async def show_fleet(console: Console, trmm: TRMM) -> list[Agent]:
    """List the agents as a table; all of them."""
    agents = await trmm.agents.list()
    table = Table(title=f"{len(agents)} agents", title_justify="left", expand=True)
    table.add_column("Agent", no_wrap=True, min_width=12)
    for name in ("Client", "Site", "System"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("Status", no_wrap=True, min_width=7)
    for agent in agents[:SHOWN]:
        colour = "green" if agent.status == "online" else "red"
        table.add_row(
            agent.hostname,
            agent.client.name,
            agent.site.name,
            agent.operating_system,
            f"[{colour}]{agent.status}[/]",
        )
    table.add_row(f"… {len(agents) - SHOWN} more")
    console.print(table)
    counts = Counter(agent.status for agent in agents)
    console.print(", ".join(f"{count} {status}" for status, count in counts.most_common()), end="\n\n")
    return agents


async def show_fan_out(console: Console, trmm: TRMM, server: Simulator, online: Sequence[Agent]) -> None:
    """Run a script on all of these; one fails, one goes offline while it runs."""
    script = (await trmm.scripts.list())[0]
    failing, leaving = online[len(online) // 3], online[len(online) // 2]
    server.script(script.id, agent_id=failing.agent_id, retcode=1, stderr="Access is denied.\n", seconds=0.3)
    server.script(script.id, agent_id=leaving.agent_id, seconds=30)
    names = {agent.agent_id: agent.hostname for agent in online}
    console.print(f"[bold]{script.name}[/] on {len(online)} agents that are online:")
    unplug = asyncio.create_task(_unplug_while_running(server, leaving.agent_id))
    try:
        with _progress(console) as progress:
            bar = progress.add_task("", total=len(online), bad=0)
            bad = 0
            async with trmm.fleet.run_script(online, script, timeout=60, width=60) as run:
                async for outcome in run:
                    trouble = _trouble(outcome)
                    bad += trouble is not None
                    progress.update(bar, advance=1, bad=bad)
                    if trouble is not None:
                        progress.console.print(f"  {names[outcome.agent_id]}: {trouble}")
    finally:
        await unplug
    counts = run.counts
    console.print(
        f"{counts.total} targets: {counts.done} done (whatever the return code), {counts.failed} failed, "
        f"{counts.unknown} unknown, {counts.skipped} skipped, {counts.pending} pending.\n"
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("  "),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[bad]} in trouble"),
        console=console,
    )


def _trouble(outcome: Outcome) -> str | None:
    match outcome:
        case Done(result=result) if result.ok:
            return None
        case Done(result=result):
            return f"[yellow]ran, return code {result.retcode}[/]: {result.stderr.strip()}"
        case Failed(error=error):
            return f"[red]did not run[/]: {_said(error)}"
        case Unknown(error=error):
            return f"[magenta]may have run[/]: {_said(error)}"
        case Skipped(reason=reason):
            return f"skipped: {reason}"


def _said(error: TRMMError) -> str:
    return f"{error.status} {error.detail}" if isinstance(error, APIError) else str(error)


async def _unplug_while_running(server: Simulator, agent_id: str) -> None:
    async with asyncio.timeout(40):
        while not server.runs_of(agent_id):  # noqa: ASYNC110 - a ledger is read, it does not call
            await asyncio.sleep(0.02)
    server.go_offline(agent_id)


async def show_events(console: Console, trmm: TRMM, server: Simulator, agents: Sequence[Agent]) -> None:
    """Follow some agents while things happen to them."""
    names = {agent.agent_id: agent.hostname for agent in agents}
    console.print(f"[bold]Live events[/] of {', '.join(names.values())}:")
    script = (await trmm.scripts.list())[0]
    server.script(script.id, seconds=1.2, lines=[f"step {step} of 4\n" for step in range(1, 5)])
    async with asyncio.timeout(30), trmm.events(agents) as events, asyncio.TaskGroup() as happenings:
        happenings.create_task(_happenings(trmm, server, agents, script.id))
        async for event in events:
            console.print(f"  {names[event.agent_id]}: {_told(event)}")
            if isinstance(event, AgentOnline):
                break


async def _happenings(trmm: TRMM, server: Simulator, agents: Sequence[Agent], script_id: int) -> None:
    first, second, third = (agent.agent_id for agent in agents)
    await asyncio.sleep(0.4)
    server.go_offline(first)
    await asyncio.sleep(0.4)
    server.raise_alert(second, severity="error", message="C: drive 97% used")
    await asyncio.sleep(0.4)
    await trmm.agents.run_script(third, script_id)
    server.come_online(first)


def _told(event: Event) -> str:
    match event:
        case AgentOffline(time=time):
            return f"[red]went offline[/] at {time:%H:%M:%S}"
        case AgentOnline(time=time):
            return f"[green]came online[/] at {time:%H:%M:%S}"
        case AlertEvent(alert=alert):
            return f"[yellow]alert {alert.id}[/], {alert.severity}: {alert.message}"
        case ScriptOutput(done=True, exit_code=code):
            return f"[cyan]script ended[/] with {code}"
        case ScriptOutput(output=output):
            return f"[cyan]script says[/] {output.rstrip()}"
    return repr(event)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demonstration with what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m trmm_async.cli.demo", description=__doc__)
    parser.add_argument("--agents", type=int, default=300, help="how many agents to simulate (default 300)")
    options = parser.parse_args(argv)
    asyncio.run(demonstrate(Screen(), max(20, options.agents)))


if __name__ == "__main__":
    main()
