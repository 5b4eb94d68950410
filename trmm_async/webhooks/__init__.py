"""TRMM's alert webhooks: what a stock server posts when an alert is raised or resolved.

Beside `stream`, which it tells which alert to look at; it knows nothing else of this package but its
errors. Inside: `receiver` (an ASGI application, and one of aiohttp) over `delivery` (what a request means;
pure).
"""

from trmm_async.webhooks.receiver import WebhookReceiver

__all__ = ["WebhookReceiver"]
