"""Live events over WebSockets. The only place that knows `websockets`.

Floor 4: above it the resources, below it the pure rooms. Inside, from the top: `subscription` (many agents'
events as one stream), `session` (one agent's course), `dialing` (a handshake and what its answer means),
`mailbox` (the bounded queue), `catchup` (what a gap hid; pure), `sockets` (one connection).
"""

from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.dialing import Dialer, NoLink
from trmm_async.stream.session import SnapshotSource, StreamSettings, StreamState
from trmm_async.stream.sockets import SEND_MOST, Link, LinkSettings, Lost
from trmm_async.stream.subscription import SpecsLater, Subscription

__all__ = [
    "SEND_MOST",
    "Dialer",
    "Link",
    "LinkSettings",
    "Lost",
    "NoLink",
    "Snapshot",
    "SnapshotSource",
    "SpecsLater",
    "StreamSettings",
    "StreamState",
    "Subscription",
]
