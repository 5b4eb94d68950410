"""`python -m trmm_async.testing`: a simulator that runs until it is interrupted.

Below: `simulator.py` and `chaos.py`. Above: the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from .chaos import chaos
from .simulator import DIALECTS, Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "serve"]

LEDGER_LIMIT = 10_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a simulator until SIGINT, SIGTERM or SIGHUP; return 0, or 1 if the port cannot be had."""
    options = _parse(argv)
    try:
        asyncio.run(serve(options, asyncio.Event()))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host} port {options.port}: {error}\n")
        return 1
    return 0


async def serve(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set, as SIGTERM and SIGHUP do, or cancelled, as SIGINT does."""
    for name in ("SIGTERM", "SIGHUP"):
        # Windows has no add_signal_handler, and no SIGTERM that could be caught either.
        with contextlib.suppress(NotImplementedError, AttributeError):
            number = getattr(signal, name)
            # Who started it under nohup wants it to stay.
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chaotic = chaos if options.chaos else contextlib.nullcontext
    async with _simulator(options) as server, chaotic(server):
        sys.stdout.write(_welcome(server))
        sys.stdout.flush()
        try:
            await stop.wait()
        finally:
            sys.stdout.write(f"{len(server.runs)} scripts were run. Bye.\n")


def _simulator(options: argparse.Namespace) -> Simulator:
    return Simulator(
        agents=options.agents,
        seed=options.seed,
        dialect=options.dialect,
        api_key=options.api_key,
        host=options.host,
        port=options.port,
        rate_limit=None if options.no_limits else "usual",
        deployment_rate_limit=None if options.no_limits else "usual",
        ledger_limit=LEDGER_LIMIT,
    )


def _welcome(server: Simulator) -> str:
    first = server.agent_ids[0] if server.agents else "<agent_id>"
    header = f"-H 'X-API-KEY: {server.api_key}'"
    gateway = server.dialect == "gateway"
    sockets = server.url.replace("http", "ws", 1)
    events = f"\n  events   {sockets}/trmm/{first}/" if gateway else ""
    kind, base = ("gateway", "/api/v3") if gateway else ("server", "")
    return f"""A fake Tactical RMM {kind} with {len(server.agents)} agents is running.

  URL      {server.url}
  API key  {server.api_key}{events}

Try it:

  curl {header} {server.url}{base}/agents/{first}/

For the SDK and its command line:

  export TRMM_URL={server.url} TRMM_API_KEY={server.api_key}

Ctrl-C ends it.
"""


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trmm_async.testing",
        description="Run a fake Tactical RMM gateway on this machine until it is interrupted.",
    )
    parser.add_argument("--dialect", default="gateway", choices=sorted(DIALECTS), help="the API it speaks")
    parser.add_argument("--agents", type=int, default=20, help="how many agents it has (default: 20)")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another fleet (default: 0)")
    parser.add_argument("--api-key", help="the key to accept (default: made up from the seed)")
    parser.add_argument("--no-limits", action="store_true", help="do not limit the rate of requests")
    parser.add_argument("--chaos", action="store_true", help="let agents come and go, and calls fail")
    options = parser.parse_args(argv)
    if options.agents < int(options.chaos):
        parser.error("--agents must not be negative, and --chaos needs at least one")
    return options


if __name__ == "__main__":
    sys.exit(main())
