"""Carries calls out over HTTP. The only room that knows aiohttp.

Above it the resources, below it the pure rooms that decide.
"""

from trmm_async.transport.body import Body
from trmm_async.transport.hooks import WATCH, OnSent, SendRecord, SendWatch
from trmm_async.transport.pool import Pool, ServerLimits
from trmm_async.transport.raw import RawResponse
from trmm_async.transport.sender import CallSettings, Transport
from trmm_async.transport.server import Secrets, Server

__all__ = [
    "WATCH",
    "Body",
    "CallSettings",
    "OnSent",
    "Pool",
    "RawResponse",
    "SendRecord",
    "SendWatch",
    "Secrets",
    "Server",
    "ServerLimits",
    "Transport",
]
