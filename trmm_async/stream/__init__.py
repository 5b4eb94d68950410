"""Live events. The only place that knows `websockets`.

Above it the resources, below it the pure rooms. Inside, from the top:

* `subscription` (many agents' events as one stream), `fanout` (several consumers of it);
* `pushed`, `polling` (where they come from: sockets, or looking again and again), behind the seam that is
  `source`; `looking` (one look for all who poll); `session` and `agent_diff` (where one agent's stream
  stands in each);
* `dialer` and `sockets` (connections), `snapshots` (reading the state once for all), `mailbox` (the bounded
  queue of a subscription), `settings`;
* pure: `catchup` (what a gap hid), `runs` (which script runs are news), `position` (a place to be stored),
  `backlog` (the bounded queue of a consumer), `filters` (which events are wanted).
"""

from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.dialer import Dialer, NoLink
from trmm_async.stream.fanout import Consumer, Handler
from trmm_async.stream.looking import Look, Looker, Looking, Seen, Wants, emptied, in_turns
from trmm_async.stream.polling import Polling
from trmm_async.stream.position import Place, SourcePlace
from trmm_async.stream.pushed import Sockets
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.snapshots import SnapshotSource
from trmm_async.stream.sockets import SEND_MOST, Link, LinkSettings, Lost
from trmm_async.stream.source import AgentStreamState, AlertSignal, Events, Outlet, Source, SourceLater, Start
from trmm_async.stream.subscription import Subscription

__all__ = [
    "AgentStreamState",
    "AlertSignal",
    "SEND_MOST",
    "Consumer",
    "Dialer",
    "Events",
    "Handler",
    "Polling",
    "Look",
    "Looker",
    "Looking",
    "Seen",
    "Wants",
    "emptied",
    "in_turns",
    "Link",
    "LinkSettings",
    "Lost",
    "NoLink",
    "Snapshot",
    "SnapshotSource",
    "Outlet",
    "Place",
    "Sockets",
    "Source",
    "SourceLater",
    "SourcePlace",
    "Start",
    "StreamSettings",
    "StreamState",
    "Subscription",
]
