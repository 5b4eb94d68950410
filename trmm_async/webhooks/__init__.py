"""TRMM's alert webhooks: what a stock server posts when an alert is raised or resolved.

Beside `stream`, which it tells which alert to look at; it knows nothing else of this package but its
errors. Inside: `receiver` (an ASGI application, and one of aiohttp) over `delivery` (what a request means;
pure) and `setup` (makes a server post there, by the nouns of a client that is handed in).
"""

from trmm_async.webhooks.receiver import WebhookReceiver
from trmm_async.webhooks.setup import WebhookSetup

__all__ = ["WebhookReceiver", "WebhookSetup"]
