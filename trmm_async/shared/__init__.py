"""A key's limits, kept by a Redis server for any number of processes and hosts.

`pacing` keeps them for one process. `window` is the script with its request and reply, `store` runs it,
`queue` waits for slots, and `limiter` is what `admission` requires.
"""

from trmm_async.shared.limiter import SharedLimiters

__all__ = ["SharedLimiters"]
