"""The client for threads that wait: scripts, notebooks, other people's frameworks.

    from trmm_async.sync import TRMM

    with TRMM("https://api.example.com", api_key="…") as trmm:
        print(len(trmm.agents.list()), "agents")

Over `client`. Events, outcomes, nouns and errors are those of `trmm_async`.
"""

from trmm_async.sync.client import TRMM

__all__ = ["TRMM"]
