"""Relays events: one process reads the server, and many read its log in Redis or NATS JetStream.

This package stands above `stream` and `engines`, and below `client`. `relay` reads the server and writes a
log; `follower` reads that log. `store` defines what a relay needs of an engine, and `redis_store` and
`nats_store` implement it. `entrance` and `factory` check the users' arguments; an engine's library is loaded
only after that.
"""
