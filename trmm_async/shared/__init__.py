"""A key's limits, kept by a Redis server for any number of processes and hosts.

Over `engines` and `admission`, beside `pacing`, which keeps them for one process. `window` is the script and
what it answers, `limiter` who asks.
"""

from trmm_async.shared.limiter import LEASE, SharedLimiters

__all__ = ["LEASE", "SharedLimiters"]
