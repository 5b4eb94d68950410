"""Live events. Only this package uses `websockets`.

It stands below the resources. Its modules, from the top:

* `subscription`: the events of many agents as one stream; `fanout`: several consumers of that stream.
* `push_source` (WebSockets) and `poll_source` (polling) produce the events, behind the interface in `source`.
  `session` and `agent_diff` are one agent's part of them; `shared_poll` polls once for all.
* `dialer` and `sockets`: connections, with `liveness` and `interim_answers`. `snapshots`: reads the state
  once for several agents. `mailbox`: the bounded queue of a subscription. `settled`: waits until streams have
  begun. `settings`.
* Pure: `catchup` (what happened in a gap), `runs` (which script runs are new), `position` and
  `reader_position` (a position that can be stored), `backlog` (the bounded queue of a consumer), `filters`
  (which events a consumer gets).
"""

from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.dialer import Dialer, NoLink
from trmm_async.stream.fanout import Consumer, Handler
from trmm_async.stream.poll_source import PollSource
from trmm_async.stream.position import Place, SourcePlace
from trmm_async.stream.push_source import PushSource
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.shared_poll import (
    PollClient,
    PolledState,
    PollRequest,
    PollResult,
    SharedPoller,
    emptied,
    in_turns,
)
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
    "PollSource",
    "PollResult",
    "SharedPoller",
    "PollClient",
    "PolledState",
    "PollRequest",
    "emptied",
    "in_turns",
    "Link",
    "LinkSettings",
    "Lost",
    "NoLink",
    "Snapshot",
    "Outlet",
    "Place",
    "PushSource",
    "Source",
    "SourceLater",
    "SourcePlace",
    "Start",
    "StreamSettings",
    "StreamState",
    "Subscription",
]
