"""Carries calls out over HTTP. The only room that knows aiohttp.

Above it the resources, below it the pure rooms that decide.
"""

from trmm_async.transport.body import Body
from trmm_async.transport.connector import Connector
from trmm_async.transport.sender import SendRecord, Transport
from trmm_async.transport.server import Server

__all__ = ["Body", "Connector", "SendRecord", "Server", "Transport"]
