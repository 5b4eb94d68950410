"""The fleet as it stands: `trmm.mirror`, and maintenance mode for a while.

Over the resources, below `client`. Inside, from the top: `mirror` (what the user holds), `feeds` (how it is
kept up to date), `picture` (the agents, their alerts, who is told of changes; pure of I/O); `maintenance`.
"""

from trmm_async.mirror.maintenance import Maintenance
from trmm_async.mirror.mirror import Mirror
from trmm_async.mirror.picture import Change, Changes, MirrorSettings

__all__ = ["Change", "Changes", "Maintenance", "Mirror", "MirrorSettings"]
