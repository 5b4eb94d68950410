"""The synchronous client, for scripts, notebooks and frameworks without asyncio.

    from trmm_async.sync import TRMM

    with TRMM("https://api.example.com", api_key="…") as trmm:
        print(len(trmm.agents.list()), "agents")

It stands above `client`. Events, outcomes, models and errors are those of `trmm_async`.
"""

from trmm_async.sync.client import TRMM

__all__ = ["TRMM"]
