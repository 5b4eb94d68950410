"""Carries calls out over HTTP. The only room that knows aiohttp.

Above it the resources, below it the pure rooms that decide.
"""

from trmm_async.transport.body import Body
from trmm_async.transport.connector import Connector
from trmm_async.transport.raw import RawResponse
from trmm_async.transport.sender import SendRecord, Transport
from trmm_async.transport.server import Secrets, Server
from trmm_async.transport.watching import WATCH, SendWatch

__all__ = [
    "WATCH",
    "Body",
    "Connector",
    "RawResponse",
    "SendRecord",
    "SendWatch",
    "Secrets",
    "Server",
    "Transport",
]
