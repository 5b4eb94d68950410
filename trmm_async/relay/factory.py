"""Makes the relay of a client: checks the arguments, and then loads the library of the engine.

Followers don't need this module.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trmm_async import arguments
from trmm_async.models import Agent
from trmm_async.relay.entrance import open_store, relay_address, relay_name
from trmm_async.resources import Agents, Api, Selector
from trmm_async.resources.live import subscribe
from trmm_async.stream import AlertSignal, StreamSettings, Subscription

if TYPE_CHECKING:
    from trmm_async.relay.relay import Relay

__all__ = ["make_relay"]


def make_relay(
    api: Api,
    nouns: Agents,
    to: str,
    name: str,
    agents: Iterable[str | Agent] | Selector | None,
    *,
    output: bool,
    length: int,
    queue: int,
    lease: float,
    relist: float,
    webhooks: AlertSignal | None,
    settings: StreamSettings | None,
) -> "Relay":
    """Make the relay of `TRMM.relay`, which describes the arguments. Nothing is sent yet.

    Raises:
        InvalidRequestError: an argument is invalid, or the engine's library is not installed.
    """
    address = relay_address(to, "to")
    api.transport.server.secrets.keep(address.password)
    given = agents if agents is None or isinstance(agents, Selector) else list(agents)
    # The events of agents that are connected are relayed while others are still connecting.
    chosen = replace(settings or StreamSettings(), wait_for_all=False)
    output = arguments.boolean(output, "output")
    again = arguments.number(relist, "relist", above=0)
    lease = arguments.number(lease, "lease", above=0)
    length = arguments.integer(length, "length", minimum=1)
    queue = arguments.integer(queue, "queue", minimum=1)
    store = open_store(address, relay_name(name))
    from trmm_async.relay.leader import RelaySource  # noqa: PLC0415 - as the store
    from trmm_async.relay.relay import Relay  # noqa: PLC0415

    async def listed() -> Sequence[str | Agent]:
        if given is None:
            return await nouns.list()
        return await given.list() if isinstance(given, Selector) else given

    def subscribed(agents: Sequence[str | Agent], since: str | None) -> Subscription:
        return subscribe(api, [agents], chosen, snapshot=True, since=since, webhooks=webhooks)

    is_listed = given is None or isinstance(given, Selector)
    source = RelaySource(listed, subscribed, output=output, relist=again if is_listed else None)
    return Relay(store, source, lease=lease, length=length, queue=queue)
