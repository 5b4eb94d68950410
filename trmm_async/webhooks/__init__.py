"""Receives TRMM's alert webhooks: the requests that a stock server posts when an alert is raised or resolved.

Its modules: `receiver` (an application for ASGI and for aiohttp), `delivery` (decides what a request means;
pure) and `setup` (makes a server post its alerts, with the public methods of a client that is passed in). A
receiver tells event streams which alert to read. They know it only as a `stream.source.AlertSignal`, so this
package stands above the client.
"""

from trmm_async.webhooks.receiver import WebhookReceiver
from trmm_async.webhooks.setup import WebhookSetup

__all__ = ["WebhookReceiver", "WebhookSetup"]
