"""Carries calls out over HTTP. The only room that knows aiohttp.

Floor 4: above it the resources, below it the pure rooms that decide.
"""

from trmm_async.transport.connector import Connector
from trmm_async.transport.sender import Body, Server, Transport

__all__ = ["Body", "Connector", "Server", "Transport"]
