"""Live events. The only place that knows `websockets`.

Floor 4: above it the resources, below it the pure rooms. Inside, from the top: `subscription` (many agents'
events as one stream), `pushed` (they come over sockets), `session` (one agent's course over them), `source`
(the seam between the first two), `desk` (reading the state once for all), `dialing` (a handshake and what its
answer means), `mailbox` (the bounded queue), `catchup` (what a gap hid; pure), `settings`, `position` (a
place to be stored; pure), `sockets` (one connection).
"""

from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.desk import SnapshotSource
from trmm_async.stream.dialing import Dialer
from trmm_async.stream.pushed import Sockets
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.source import SourceLater
from trmm_async.stream.subscription import Subscription

__all__ = [
    "Dialer",
    "Snapshot",
    "SnapshotSource",
    "Sockets",
    "SourceLater",
    "StreamSettings",
    "StreamState",
    "Subscription",
]
