"""Wait for a laptop to come online, and then run a script on it.

python examples/when_online.py JADE-PC 3          # host name, and the script's id
"""

import asyncio
import sys

from trmm_async import TRMM, Agent, AgentOffline, AgentOnline, AgentUnreachableError, Subscription, TRMMError


async def main(hostname: str, script: int) -> int:
    """Run it once; the return code is the script's."""
    async with TRMM.from_env(dialect="auto") as trmm:
        agent = await trmm.agents.find(hostname)
        if agent is None:
            print(f"there is no agent {hostname}", file=sys.stderr)
            return 2
        # The present state first: a laptop that is online already is not waited for.
        async with trmm.events(agent, snapshot=True) as events:
            while True:
                await online(events)
                code = await run(trmm, agent, script)
                if code is not None:
                    return code


async def online(events: Subscription) -> None:
    """Wait until the agent is online."""
    async for event in events:
        if isinstance(event, AgentOnline):
            return
        if isinstance(event, AgentOffline):
            print("it is offline; waiting", flush=True)


async def run(trmm: TRMM, agent: Agent, script: int) -> int | None:
    """Run the script; None if it certainly did not run, since the laptop was gone again."""
    try:
        result = await trmm.agents.run_script(agent, script=script, timeout=120)
    except AgentUnreachableError as error:
        print(f"{error}; waiting", flush=True)
        return None
    assert result is not None
    print(result.stdout, end="")
    print(result.stderr, end="", file=sys.stderr)
    return result.retcode or 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))
    except TRMMError as error:
        sys.exit(f"{type(error).__name__}: {error}")
