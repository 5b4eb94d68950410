"""Live events. The only place that knows `websockets`.

Floor 4: above it the resources, below it the pure rooms. Inside, from the top: `subscription` (many agents'
events as one stream), `pushed`, `polling` and `merged` (where they come from: sockets, looking again and
again, or several of these), `session` and `picture` (one agent's course in the first two), `source` (the seam
between them), `desk` (reading the state once for all), `dialing` (a handshake and what its answer means),
`mailbox` (the bounded queue), `settings`, `catchup` (what a gap hid; pure), `runs` (which script runs are
news; pure), `errands` (one thing after the other), `position` (a place to be stored; pure), `sockets` (one
connection).
"""

from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.desk import SnapshotSource
from trmm_async.stream.dialing import Dialer, NoLink
from trmm_async.stream.merged import Merged
from trmm_async.stream.polling import Polling, Seen
from trmm_async.stream.pushed import Sockets
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.sockets import SEND_MOST, Link, LinkSettings, Lost
from trmm_async.stream.source import Source, SourceLater
from trmm_async.stream.subscription import Subscription

__all__ = [
    "SEND_MOST",
    "Dialer",
    "Polling",
    "Seen",
    "Link",
    "LinkSettings",
    "Lost",
    "Merged",
    "NoLink",
    "Snapshot",
    "SnapshotSource",
    "Sockets",
    "Source",
    "SourceLater",
    "StreamSettings",
    "StreamState",
    "Subscription",
]
